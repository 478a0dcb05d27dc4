/* SPDX-License-Identifier: BSD-2-Clause */
/* placement.c — a ping-pong of one line between two pinned threads; see placement.h
 *
 * Round trips are timed in blocks, and the median of the blocks is taken: what else runs on the
 * machine interrupts some of them, but not most.
 */

#include "placement.h"

#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "clock.h"
#include "cpu.h"
#include "stats.h"

#define BLOCK 64u
#define BLOCKS_MIN 16u
#define BLOCKS_MAX 1024u
#define TIME_NS 2000000u
#define QUIT UINT64_MAX
#define SPINS 4096u

struct line {
	alignas(STI_CACHELINE) _Atomic uint64_t ball; /* odd: on its way out, even: back */
};

/* Waits until the ball is no longer old. Without a pause, which would be longer than the trip; but
 * the other thread may not be running at all. */
static uint64_t await_change(struct line *line, uint64_t old)
{
	for (unsigned spins = 0;;) {
		/* Relaxed: the ball is all there is. */
		uint64_t ball = atomic_load_explicit(&line->ball, memory_order_relaxed);

		if (ball != old)
			return ball;
		if (++spins == SPINS) {
			sched_yield();
			spins = 0;
		}
	}
}

static void *echo_main(void *arg)
{
	struct line *line = arg;
	uint64_t ball = 0;

	for (;;) {
		ball = await_change(line, ball);
		if (ball == QUIT)
			return NULL;
		ball++;
		/* Relaxed: as in await_change(). */
		atomic_store_explicit(&line->ball, ball, memory_order_relaxed);
	}
}

static double ping(struct line *line)
{
	double blocks[BLOCKS_MAX];
	uint64_t end = sb_now() + TIME_NS;
	uint64_t ball = 0;
	unsigned n = 0;

	while (n < BLOCKS_MAX && (n < BLOCKS_MIN || sb_now() < end)) {
		uint64_t start = sb_now();

		for (unsigned i = 0; i < BLOCK; i++) {
			/* Relaxed: as in await_change(). */
			atomic_store_explicit(&line->ball, ball + 1, memory_order_relaxed);
			ball = await_change(line, ball + 1);
		}
		blocks[n++] = (double)(sb_now() - start) / BLOCK;
	}
	atomic_store_explicit(&line->ball, QUIT, memory_order_relaxed);
	return sb_median(blocks, n);
}

double sb_round_trip_ns(void)
{
	struct line line = { 0 };
	pthread_t echo;
	double trip;
	int error;

	if (sb_cpu_first() == sb_cpu_second())
		return 0;
	sb_cpu_pin(sb_cpu_second());
	error = pthread_create(&echo, NULL, echo_main, &line);
	sb_cpu_pin(sb_cpu_first());
	if (error != 0) {
		sb_cpu_free();
		return 0;
	}
	trip = ping(&line);
	pthread_join(echo, NULL);
	sb_cpu_free();
	return trip;
}

enum sb_placement sb_placement_of(double before_ns, double after_ns)
{
	if (before_ns <= 0 || after_ns <= 0)
		return SB_PLACEMENT_ONE_CPU;
	if ((before_ns < SB_ROUND_TRIP_CORE_NS) != (after_ns < SB_ROUND_TRIP_CORE_NS))
		return SB_PLACEMENT_MIXED;
	return before_ns < SB_ROUND_TRIP_CORE_NS ? SB_PLACEMENT_ONE_CORE : SB_PLACEMENT_TWO_CORES;
}

const char *sb_placement_name(enum sb_placement placement)
{
	static const char *const names[SB_PLACEMENTS] = {
		[SB_PLACEMENT_TWO_CORES] = "two cores",
		[SB_PLACEMENT_ONE_CORE] = "one core",
		[SB_PLACEMENT_MIXED] = "mixed",
		[SB_PLACEMENT_ONE_CPU] = "one CPU",
	};

	return names[placement];
}
