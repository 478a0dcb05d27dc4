/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_RING_FIXTURE_H
#define STASIS_TESTS_RING_FIXTURE_H

/* ring_fixture.h — one small queue, of which the test's thread is the consumer */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "faulty.h"
#include "queue.h"

#define SMALL STI_RING_ORDER_MIN
#define SMALL_SLOTS ((size_t)1 << SMALL)

static struct queue queue;
static struct item items[4096];
static void *taken[4096];

/* The test's thread becomes the consumer: a new queue is at rest. Holes are as long as the test
 * wants. */
static inline void open_queue_of(unsigned order)
{
	faulty_install();
	sti_ring_set_patience(UINT64_MAX);
	cr_assert_eq(sti_mpsc_init(&queue.tail, &queue.head, order, NULL), 0);
	cr_assert_eq(sti_ring_wake(queue_ring(&queue), 0), STI_PUSH_WAKE);
}

static inline void open_queue(void)
{
	open_queue_of(SMALL);
}

static inline void open_queue_with(uint64_t capacity, bool evicts)
{
	faulty_install();
	sti_ring_set_patience(UINT64_MAX);
	cr_assert_eq(sti_mpsc_init_bounded(&queue.tail, &queue.head, capacity, evicts, NULL), 0);
	cr_assert_eq(sti_ring_wake(queue_ring(&queue), 0), STI_PUSH_WAKE);
}

/* An assertion would pass unnoticed after the test; an abort does not. */
static inline void close_queue(void)
{
	sti_mpsc_deinit(&queue.tail, &queue.head);
	sti_rcu_barrier();
	if (faulty_outstanding() != 0) {
		fprintf(stderr, "%ld blocks leaked\n", (long)faulty_outstanding());
		abort();
	}
}

static inline void push_many(size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		cr_assert_eq(queue_push(&queue, &items[i]), STI_PUSH_OK, "push %zu", i);
}

static inline void take_many(size_t first, size_t n)
{
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, n), n);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(taken[i], &items[first + i], "item %zu", first + i);
}

/* Takes everything, across rings; the caller is the consumer and stays it. */
static inline void expect_in_order(size_t first, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t got = sti_mpsc_take(&queue.head, taken, 7);

		for (size_t i = 0; i < got; i++, done++)
			cr_assert_eq(taken[i], &items[first + done], "item %zu", first + done);
		if (got == 0)
			cr_assert_eq(queue_rest(&queue), STI_REST_MORE, "after %zu", done);
	}
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 1), 0);
}

#endif
