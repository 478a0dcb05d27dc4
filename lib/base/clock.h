/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_CLOCK_H
#define STI_BASE_CLOCK_H

/* base/clock.h — cheap time
 *
 * Ticks are for measuring short spans: the processor's time-stamp counter where it runs at one rate
 * in all states (CPUID says so), nanoseconds of CLOCK_MONOTONIC elsewhere.
 *
 * The wall clock of a message costs a clock_gettime() (17 to 40 ns) only once per STI_CLOCK_SPAN_NS
 * and thread: between, it is interpolated by ticks from that anchor. The rate is measured over at
 * least 10 ms, to better than 1e-4; counter and clock are read within half a microsecond of each
 * other, or not believed. So an interpolated time is off by less than half a microsecond. A step of
 * the clock is seen when the span ends. Without a usable counter every reading is exact.
 *
 * Threads: ticks from any; a struct sti_clock belongs to one thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

#include "base/compiler.h"

/* Is there a counter to read, cheaper than the clocks? */
#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#define STI_CLOCK_COUNTER 1
#else
#define STI_CLOCK_COUNTER 0
#endif

#define STI_CLOCK_SPAN_NS 1000000u

/* One thread's anchor. All-zero is a valid start: the first reading sets it. */
struct sti_clock {
	uint64_t tick;	/* when the anchor was taken */
	uint64_t ticks; /* how long it holds; 0: not at all */
	int64_t sec;
	uint64_t nsec;
	uint64_t rate; /* nanoseconds per tick, 32.32 fixed point */
};

uint64_t sti_clock_monotonic_ns(void);

/* Nanoseconds to ticks. Until the rate has been measured, within a factor of three. */
uint64_t sti_ticks_from_ns(uint64_t ns);

void sti_clock_now_slow(struct sti_clock *clock, struct timeval *now);

STI_INLINE uint64_t sti_ticks(void)
{
#if STI_CLOCK_COUNTER
	return __rdtsc();
#else
	return sti_clock_monotonic_ns();
#endif
}

STI_INLINE void sti_clock_now(struct sti_clock *clock, struct timeval *now)
{
	uint64_t elapsed = sti_ticks() - clock->tick;
	uint64_t nsec;

	/* Also when the counter went backwards: the difference is huge then. */
	if (sti_unlikely(elapsed >= clock->ticks)) {
		sti_clock_now_slow(clock, now);
		return;
	}
	nsec = clock->nsec + ((elapsed * clock->rate) >> 32);
	now->tv_sec = clock->sec;
	if (sti_unlikely(nsec >= 1000000000u)) {
		nsec -= 1000000000u;
		now->tv_sec++;
	}
	now->tv_usec = (suseconds_t)((uint32_t)nsec / 1000);
}

#endif
