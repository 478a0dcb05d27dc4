/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_VERDICT_H
#define SS_VERDICT_H

/* verdict.h — what a run comes to: text or a JSON object, on standard output */

#include <stdint.h>

#include "schedule.h"

struct ss_tally {
	uint64_t n_rounds, n_published, n_refused;
	uint64_t began_ns;
	double seconds;
};

/* record: the file with all that was done; NULL: none is left. hangs: what is being done, and does
 * not come to its end; NULL: nothing is. Exits when it cannot be written. */
void ss_verdict_print(const struct ss_schedule *schedule, const struct ss_tally *tally,
		      const char *record, const char *hangs);

#endif
