/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_THROUGHPUT_H
#define SB_THROUGHPUT_H

/* throughput.h — the workloads that measure deliveries per second
 *
 * The library and its baselines take turns, and again for every repetition, so that what else goes
 * on in the machine meets all of them alike. A run during which the placement changed is dropped
 * and made again, a bounded number of times.
 */

#include "options.h"
#include "results.h"

/* How many runs, for the progress. */
unsigned sb_throughput_runs(const struct sb_options *options, const struct sb_workload *workload);

/* Appends to results. 0 or -ENOMEM. */
int sb_throughput(const struct sb_options *options, const struct sb_workload *workload,
		  struct sb_results *results);

#endif
