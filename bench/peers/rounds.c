/* SPDX-License-Identifier: BSD-2-Clause */
/* rounds.c — one thing again and again on one thread: calls, subscribing; see measure.h
 *
 * The clock is read once in a while only: reading it takes as long as a call may.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>

#include "clock.h"
#include "cpu.h"
#include "measure.h"

#define WARM_UP 0.2 /* of the time measured */
#define BLOCK 16u   /* between two looks at the clock */
/* Of so many that come, one is published to: only when something is under way, leaving means more
 * than to take oneself off a list. A callback is known to be late during GUESTS such turns. */
#define GUEST_EVERY 16u
#define GUESTS 64u

struct rounds {
	/* 0 or -errno; positive: it was done wrong, and result->text says how. */
	int (*once)(struct rounds *rounds);
	struct sp_result *result;
	const struct sb_call *call;
	const struct sb_churn *churn;
	void *state;
	uint64_t number; /* of the next */
	bool lose;
	struct sb_guest guests[GUESTS]; /* CHURN: in turn */
};

static int call_once(struct rounds *rounds)
{
	uint64_t request = rounds->number, reply = 0;
	int error = rounds->call->call(rounds->state, request, &reply);

	if (rounds->lose)
		reply = 0;
	if (error != 0 || reply == request + 1)
		return error;
	snprintf(rounds->result->text, sizeof(rounds->result->text),
		 "the reply to %" PRIu64 " was %" PRIu64, request, reply);
	return 1;
}

static int cycle_once(struct rounds *rounds)
{
	struct sb_guest *guest;
	int error;

	if (rounds->number % GUEST_EVERY != 0)
		return rounds->churn->cycle(rounds->state, NULL);
	guest = &rounds->guests[rounds->number / GUEST_EVERY % GUESTS];
	atomic_store_explicit(&guest->gone, rounds->lose, memory_order_relaxed);
	error = rounds->churn->cycle(rounds->state, guest);
	atomic_store_explicit(&guest->gone, true, memory_order_relaxed);
	return error;
}

/* Nothing runs any more. */
static void check_guests(struct rounds *rounds)
{
	struct sp_result *result = rounds->result;
	unsigned late = 0;

	for (unsigned i = 0; i < GUESTS; i++)
		late += atomic_exchange_explicit(&rounds->guests[i].late, 0, memory_order_relaxed);
	if (late == 0 || result->outcome != SP_OUTCOME_OK)
		return;
	result->outcome = SP_OUTCOME_FAILED;
	snprintf(result->text, sizeof(result->text),
		 "%u callbacks after their subscribers had gone", late);
}

/* Until then, but one block at least. 0 or what once returned. */
static int run_until(struct rounds *rounds, uint64_t end)
{
	do {
		for (unsigned i = 0; i < BLOCK; i++) {
			int error = rounds->once(rounds);

			if (error != 0)
				return error;
			rounds->number++;
		}
	} while (sb_now() < end);
	return 0;
}

static long preemptions(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nivcsw;
}

static int measure(struct rounds *rounds, double seconds)
{
	struct sp_result *result = rounds->result;
	uint64_t span = (uint64_t)(seconds * 1e9), start, cpu, first;
	int error = run_until(rounds, sb_now() + (uint64_t)((double)span * WARM_UP));
	long before = preemptions();

	if (error != 0)
		return error;
	first = rounds->number;
	cpu = sb_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	start = sb_now();
	error = run_until(rounds, start + span);
	result->seconds = (double)(sb_now() - start) / 1e9;
	result->cpu_ns = sb_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	result->preemptions = preemptions() - before;
	result->deliveries = rounds->number - first;
	result->rate = (double)result->deliveries / result->seconds;
	return error;
}

/* --- where the threads are -------------------------------------------------------------------- */

/* Two threads that wait for each other are slow when a wake-up has to travel to another CPU, and
 * fast when they share one; threads that spin are fast on two and slow on one. So both are tried,
 * for half of the time each, and the better one counts. */
static const struct {
	const char *name;
	bool apart;
} pinnings[] = { { "two CPUs", true }, { "one CPU", false } };

#define PINNINGS (sizeof(pinnings) / sizeof(pinnings[0]))

static int open_state(struct rounds *rounds, unsigned others)
{
	if (rounds->call != NULL)
		return rounds->call->open(&rounds->state);
	return rounds->churn->open(others, &rounds->state);
}

static void close_state(struct rounds *rounds)
{
	if (rounds->call != NULL)
		rounds->call->close(rounds->state);
	else
		rounds->churn->close(rounds->state);
}

static void run(struct rounds *rounds, bool apart, unsigned others, double seconds)
{
	int error;

	sb_cpu_consumers(true, 1);
	if (!apart)
		sb_cpu_publisher(true);
	error = open_state(rounds, others);
	if (error < 0) {
		sb_cpu_free();
		sp_result_fail(rounds->result, "opening", -error);
		return;
	}
	sb_cpu_publisher(true);
	error = measure(rounds, seconds);
	sb_cpu_free();
	close_state(rounds);
	if (error < 0)
		sp_result_fail(rounds->result, "running", -error);
	else if (error > 0)
		rounds->result->outcome = SP_OUTCOME_FAILED;
	check_guests(rounds);
}

static void run_all(struct rounds *rounds, unsigned others, const struct sp_setup *setup,
		    struct sp_result *result)
{
	double before = sb_round_trip_ns();

	for (unsigned i = 0; i < PINNINGS && result->outcome == SP_OUTCOME_OK; i++) {
		struct sp_result one = { .pinning = pinnings[i].name };

		rounds->result = &one;
		rounds->number = 0;
		run(rounds, pinnings[i].apart, others, setup->harness.seconds / PINNINGS);
		if (one.outcome != SP_OUTCOME_OK || one.rate > result->rate)
			*result = one;
	}
	result->trip_before_ns = before;
	result->trip_after_ns = sb_round_trip_ns();
	result->placement = sb_placement_of(before, result->trip_after_ns);
}

void sp_measure_call(const struct sb_call *call, const struct sp_setup *setup,
		     struct sp_result *result)
{
	struct rounds rounds = { .once = call_once, .call = call, .lose = setup->lose };

	run_all(&rounds, 0, setup, result);
}

void sp_measure_churn(const struct sb_churn *churn, unsigned others, const struct sp_setup *setup,
		      struct sp_result *result)
{
	struct rounds rounds = { .once = cycle_once, .churn = churn, .lose = setup->lose };

	run_all(&rounds, others, setup, result);
}
