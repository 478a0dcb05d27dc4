/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_SYNC_BACKOFF_H
#define STI_SYNC_BACKOFF_H

/* sync/backoff.h — what to do after losing a race for a line
 *
 * Two CPUs that both keep on trying take the line from each other at every operation, a transfer of
 * 60 ns or more each. If the loser looks away for as long as some dozen operations take the winner
 * alone, both get more done: a run of operations per transfer. */

#include <stdbool.h>

#include "base/compiler.h"

/* About 0.7 us where the processor's pause takes 10 ns. */
#define STI_BACKOFF_PAUSES 64

static inline void sti_backoff(void)
{
	for (int i = 0; i < STI_BACKOFF_PAUSES; i++)
		sti_cpu_relax();
}

/* Before a sleep that would cost more than what is waited for is likely to take: looks again, so
 * many times. */
static inline bool sti_spin_until(bool (*done)(const void *arg), const void *arg, unsigned spins)
{
	for (unsigned i = 0; i < spins; i++) {
		if (done(arg))
			return true;
		sti_cpu_relax();
	}
	return false;
}

#endif
