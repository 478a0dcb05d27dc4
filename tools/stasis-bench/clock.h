/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_CLOCK_H
#define SB_CLOCK_H

/* clock.h — CLOCK_MONOTONIC in nanoseconds, and waiting by it */

#include <errno.h>
#include <stdint.h>
#include <time.h>

#include "base/compiler.h"

#define SB_NS_PER_S UINT64_C(1000000000)

static inline uint64_t sb_clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * SB_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static inline uint64_t sb_now(void)
{
	return sb_clock_ns(CLOCK_MONOTONIC);
}

static inline void sb_sleep_until(uint64_t when_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(when_ns / SB_NS_PER_S),
			       .tv_nsec = (long)(when_ns % SB_NS_PER_S) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		continue;
}

static inline void sb_sleep(uint64_t ns)
{
	sb_sleep_until(sb_now() + ns);
}

static inline void sb_spin_until(uint64_t when_ns)
{
	while (sb_now() < when_ns)
		sti_cpu_relax();
}

#endif
