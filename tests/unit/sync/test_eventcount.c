/* SPDX-License-Identifier: BSD-2-Clause */
/* test_eventcount.c — sleeping until something has happened */

#include "sync/eventcount.h"

#include <criterion/criterion.h>
#include <time.h>
#include <stdatomic.h>

#include "gate.h"

Test(eventcount, wait_after_a_signal_returns_at_once)
{
	struct sti_eventcount ec;
	uint32_t value;

	sti_eventcount_init(&ec);
	value = sti_eventcount_value(&ec);
	sti_eventcount_signal(&ec);
	cr_assert_neq(sti_eventcount_value(&ec), value);
	cr_assert(sti_eventcount_wait(&ec, value, 0));
}

static int64_t ns_between(const struct timespec *a, const struct timespec *b)
{
	return (b->tv_sec - a->tv_sec) * INT64_C(1000000000) + (b->tv_nsec - a->tv_nsec);
}

Test(eventcount, wait_without_a_signal_times_out)
{
	struct timespec before, after;
	struct sti_eventcount ec;

	sti_eventcount_init(&ec);

	clock_gettime(CLOCK_MONOTONIC, &before);
	cr_assert_not(sti_eventcount_wait(&ec, sti_eventcount_value(&ec), 1000000));
	cr_assert_not(sti_eventcount_wait(&ec, sti_eventcount_value(&ec), 1));
	clock_gettime(CLOCK_MONOTONIC, &after);
	/* Not ck_ec's own slice of a second; half of it, to allow for a busy machine. */
	cr_assert_geq(ns_between(&before, &after), 1000000);
	cr_assert_leq(ns_between(&before, &after), 500000000);
}

struct relay {
	struct sti_eventcount ec;
	_Atomic uint64_t number;
	uint64_t plain; /* written before number is raised */
};

#define ROUNDS 20000u

struct waiter {
	struct relay *relay;
	bool leads;
};

static void *follow(void *arg)
{
	struct waiter *waiter = arg;
	struct relay *relay = waiter->relay;

	while (atomic_load_explicit(&relay->number, memory_order_relaxed) < ROUNDS) {
		uint32_t value = sti_eventcount_value(&relay->ec);

		if (atomic_load_explicit(&relay->number, memory_order_relaxed) >= ROUNDS)
			break;
		sti_eventcount_wait(&relay->ec, value, 0);
	}
	return NULL;
}

static void *lead(void *arg)
{
	struct relay *relay = ((struct waiter *)arg)->relay;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		atomic_fetch_add_explicit(&relay->number, 1, memory_order_relaxed);
		sti_eventcount_signal(&relay->ec);
	}
	return NULL;
}

static void *lead_or_follow(void *arg)
{
	struct waiter *waiter = arg;

	return waiter->leads ? lead(arg) : follow(arg);
}

Test(eventcount, no_signal_is_lost)
{
	/* Ends only when everybody has seen the last one. */
	for (int round = 0; round < 5; round++) {
		struct relay relay = { .number = 0 };
		struct waiter waiters[5];

		sti_eventcount_init(&relay.ec);
		for (int i = 0; i < 5; i++)
			waiters[i] = (struct waiter){ &relay, i == 4 };
		run_threads(5, lead_or_follow, waiters, sizeof(waiters[0]));
		cr_assert_eq(atomic_load(&relay.number), ROUNDS);
	}
}

static void *write_and_signal(void *arg)
{
	struct relay *relay = arg;

	relay->plain = 42;
	sti_eventcount_signal(&relay->ec);
	return NULL;
}

Test(eventcount, signal_shows_what_was_written_before)
{
	for (int round = 0; round < 200; round++) {
		struct relay relay = { .plain = 0 };
		pthread_t thread;
		uint32_t value;

		sti_eventcount_init(&relay.ec);
		value = sti_eventcount_value(&relay.ec);
		cr_assert_eq(pthread_create(&thread, NULL, write_and_signal, &relay), 0);
		while (sti_eventcount_value(&relay.ec) == value)
			sti_eventcount_wait(&relay.ec, value, 0);
		cr_assert_eq(relay.plain, 42);
		pthread_join(thread, NULL);
	}
}

/* 31 bits are counted; the highest of the word says whether somebody sleeps. */
#define COUNT_LAST 0x7fffffffu

Test(eventcount, counts_round)
{
	for (uint32_t before = 0; before < 3; before++) {
		struct relay relay = { .number = 0 };
		struct waiter waiters[3];
		uint32_t value;

		relay.ec.counter = COUNT_LAST - before;
		for (uint32_t i = 0; i < 6; i++) {
			value = sti_eventcount_value(&relay.ec);
			cr_assert_not(sti_eventcount_wait(&relay.ec, value, 1000));
			sti_eventcount_signal(&relay.ec);
			cr_assert(sti_eventcount_wait(&relay.ec, value, 0));
		}
		/* Asleep while it goes round. */
		relay.ec.counter = COUNT_LAST - ROUNDS / 2;
		for (int i = 0; i < 3; i++)
			waiters[i] = (struct waiter){ &relay, i == 2 };
		run_threads(3, lead_or_follow, waiters, sizeof(waiters[0]));
		cr_assert_eq(atomic_load(&relay.number), ROUNDS);
		cr_assert_lt(sti_eventcount_value(&relay.ec), ROUNDS);
	}
}
