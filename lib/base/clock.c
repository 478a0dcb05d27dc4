/* SPDX-License-Identifier: BSD-2-Clause */
/* base/clock.c — anchoring the tick counter to the clocks of the system. See clock.h.
 *
 * Edges
 *   R1  store-release calibration_state (MEASURING)  -> A1  the first sample
 *   A1  load-acquire calibration_state               <- R1
 */

#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>
#if STI_CLOCK_COUNTER
#include <cpuid.h>
#endif

#define NS_PER_SEC UINT64_C(1000000000)

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t sti_clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

#if STI_CLOCK_COUNTER

/* The rate is taken over at least this long. */
#define CALIBRATION_NS 10000000u
/* Counter and clock are read together; if that takes longer, somebody cut in. */
#define SAMPLE_NS_MAX 500u
#define SAMPLE_TRIES 4
/* Assumed before the rate is known: 2.5 GHz. */
#define RATE_GUESS ((UINT64_C(1) << 32) * 2 / 5)
/* Believable: 10 GHz to 100 MHz. */
#define RATE_MIN ((UINT64_C(1) << 32) / 10)
#define RATE_MAX ((UINT64_C(1) << 32) * 10)

enum calibration { CALIBRATION_NONE, CALIBRATION_STARTING, CALIBRATION_MEASURING };

static _Atomic int calibration_state = CALIBRATION_NONE;
static struct sample {
	uint64_t tick;
	uint64_t ns;
} calibration; /* written once, before MEASURING */
static _Atomic uint64_t calibrated_rate;	  /* 32.32 ns per tick; 0: not known yet */

static bool counter_is_steady(void)
{
	unsigned a, b, c, d;

	/* "Invariant TSC". */
	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8));
}

/* Nanoseconds to ticks at a rate. */
static uint64_t ticks_at(uint64_t rate, uint64_t ns)
{
	return (uint64_t)((double)ns * 4294967296.0 / (double)rate);
}

/* Reads clock and counter together. False: each time somebody cut in between. */
static bool sample_take(clockid_t id, uint64_t rate, struct sample *sample)
{
	for (int i = 0; i < SAMPLE_TRIES; i++) {
		uint64_t before = sti_ticks();
		uint64_t after;

		sample->ns = clock_ns(id);
		after = sti_ticks();
		sample->tick = before + (after - before) / 2;
		if (after - before <= ticks_at(rate, SAMPLE_NS_MAX))
			return true;
	}
	return false;
}

/* The first call takes a sample; a later one, long enough after, sets the rate. CLOCK_BOOTTIME:
 * it goes on, as the counter does, while the system is suspended. */
static uint64_t rate_measure(void)
{
	int state = CALIBRATION_NONE;
	struct sample now;
	double measured;
	uint64_t rate;

	/* Relaxed: a look before the CAS. */
	if (atomic_load_explicit(&calibration_state, memory_order_relaxed) == CALIBRATION_NONE) {
		if (!sample_take(CLOCK_BOOTTIME, RATE_GUESS, &now))
			return 0;
		/* Relaxed: the first thread to come stores its sample; R1 publishes it. */
		if (!atomic_compare_exchange_strong_explicit(&calibration_state, &state,
							     CALIBRATION_STARTING,
							     memory_order_relaxed,
							     memory_order_relaxed))
			return 0;
		if (!counter_is_steady())
			return 0; /* stays STARTING: exact readings for ever */
		calibration = now;
		/* R1: the sample before the state; pairs with A1 just below. */
		atomic_store_explicit(&calibration_state, CALIBRATION_MEASURING,
				      memory_order_release);
		return 0;
	}
	/* A1: pairs with R1. */
	if (atomic_load_explicit(&calibration_state, memory_order_acquire) !=
		    CALIBRATION_MEASURING ||
	    !sample_take(CLOCK_BOOTTIME, RATE_GUESS, &now) ||
	    now.ns - calibration.ns < CALIBRATION_NS || now.tick <= calibration.tick)
		return 0;
	measured = (double)(now.ns - calibration.ns) / (double)(now.tick - calibration.tick) *
		   4294967296.0;
	/* Before it is converted: a clock that has stepped may give anything. */
	if (measured < (double)RATE_MIN || measured > (double)RATE_MAX)
		return 0;
	rate = (uint64_t)measured;
	/* Relaxed: a value on its own. */
	atomic_store_explicit(&calibrated_rate, rate, memory_order_relaxed);
	return rate;
}

uint64_t sti_ticks_from_ns(uint64_t ns)
{
	/* Relaxed: a value on its own. */
	uint64_t rate = atomic_load_explicit(&calibrated_rate, memory_order_relaxed);

	if (rate == 0)
		rate = rate_measure();
	if (rate == 0)
		rate = RATE_GUESS;
	return ticks_at(rate, ns);
}

/* Sets the anchor, if counter and clock can be read close together. */
static void clock_anchor(struct sti_clock *clock)
{
	struct sample now;
	/* Relaxed: a value on its own. */
	uint64_t rate = atomic_load_explicit(&calibrated_rate, memory_order_relaxed);

	clock->ticks = 0;
	if (rate == 0)
		rate = rate_measure();
	if (rate == 0)
		return;
	if (!sample_take(CLOCK_REALTIME, rate, &now))
		return;
	clock->tick = now.tick;
	clock->ticks = ticks_at(rate, STI_CLOCK_SPAN_NS);
	clock->sec = (int64_t)(now.ns / NS_PER_SEC);
	clock->nsec = now.ns % NS_PER_SEC;
	clock->rate = rate;
}

#else

uint64_t sti_ticks_from_ns(uint64_t ns)
{
	return ns;
}

static void clock_anchor(struct sti_clock *clock)
{
	(void)clock;
}

#endif

STI_COLD void sti_clock_now_slow(struct sti_clock *clock, struct timeval *now)
{
	struct timespec ts;

	clock_anchor(clock);
	clock_gettime(CLOCK_REALTIME, &ts);
	now->tv_sec = ts.tv_sec;
	now->tv_usec = (suseconds_t)(ts.tv_nsec / 1000);
}
