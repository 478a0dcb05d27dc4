/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ring_wrap.c — positions that have counted for a long time
 *
 * Positions have 62 bits, in a tail word of 64. The places where something narrower would show are
 * crossed: 32 bits of the position, and of the word; and the last of the 62 bits are used, but for
 * a few. Beyond them nobody comes: a ring would have to take 100 million a second for 1,400 years.
 */

#include "ring/ring.h"

#include "ring_fixture.h"

#include "gate.h"

TestSuite(ring_wrap, .fini = close_queue);

/* 32 bits of the tail word, of a position signed and unsigned, and all 62 but two laps of the
 * largest ring here. */
static const uint64_t starts[] = {
	(UINT64_C(1) << 30) - 1,
	(UINT64_C(1) << 31) - 1,
	(UINT64_C(1) << 32) - 1,
	(UINT64_C(1) << 61) - 1,
	(UINT64_C(1) << 62) - 65536,
};

#define N_STARTS (sizeof(starts) / sizeof(starts[0]))

static void open_at(uint64_t start)
{
	uint64_t begin;

	open_queue();
	sti_mpsc_start_at(&queue.tail, &queue.head, start);
	begin = queue.head.pos;
	cr_assert_leq(begin, start);
	cr_assert_lt(start - begin, 2 * SMALL_SLOTS);
	cr_assert_eq(queue_pushed(&queue), 0);
	cr_assert_eq(queue_depth(&queue), 0);
}

static void open_bounded_at(uint64_t start, uint64_t capacity, bool evicts)
{
	faulty_install();
	cr_assert_eq(sti_mpsc_init_bounded(&queue.tail, &queue.head, capacity, evicts, NULL), 0);
	cr_assert_eq(sti_ring_wake(queue_ring(&queue), 0), STI_PUSH_WAKE);
	sti_mpsc_start_at(&queue.tail, &queue.head, start);
}

static void reopen(void)
{
	sti_mpsc_deinit(&queue.tail, &queue.head);
}

/* Lets go, and is called again by the next push. */
static void rest_and_wake(size_t i)
{
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	cr_assert_eq(queue_push(&queue, &items[i]), STI_PUSH_WAKE);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	take_many(i, 1);
}

Test(ring_wrap, laps_and_rests_across)
{
	for (size_t s = 0; s < N_STARTS; s++) {
		size_t i = 0;

		open_at(starts[s]);
		while (i < 8 * SMALL_SLOTS) {
			push_many(i, SMALL_SLOTS - 3);
			cr_assert_eq(queue_depth(&queue), SMALL_SLOTS - 3);
			take_many(i, SMALL_SLOTS - 3);
			i += SMALL_SLOTS - 3;
			rest_and_wake(i++);
			cr_assert_eq(queue_pushed(&queue), i);
		}
		/* Nothing has made it grow. */
		cr_assert_null(atomic_load(&queue_ring(&queue)->next));
		if (s + 1 < N_STARTS)
			reopen();
	}
}

Test(ring_wrap, grows_at_the_crossing)
{
	for (size_t s = 0; s < N_STARTS; s++) {
		for (size_t before = 0; before < 2 * SMALL_SLOTS; before++) {
			size_t n = before + 5 * SMALL_SLOTS;

			open_at(starts[s]);
			for (size_t i = 0; i < before; i++) {
				push_many(i, 1);
				take_many(i, 1);
			}
			push_many(before, n - before);
			cr_assert_eq(queue_pushed(&queue), n);
			cr_assert_eq(queue_depth(&queue), n - before);
			expect_in_order(before, n - before);
			cr_assert_eq(queue_pushed(&queue), n);
			cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
			if (s + 1 < N_STARTS || before + 1 < 2 * SMALL_SLOTS)
				reopen();
		}
	}
}

Test(ring_wrap, closes_at_the_crossing)
{
	for (size_t s = 0; s < N_STARTS; s++) {
		for (size_t before = 0; before < 2 * SMALL_SLOTS; before++) {
			open_at(starts[s]);
			for (size_t i = 0; i < before; i++) {
				push_many(i, 1);
				take_many(i, 1);
			}
			cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
			cr_assert_eq(queue_close(&queue), STI_PUSH_WAKE);
			cr_assert_eq(queue_push(&queue, &items[0]), STI_PUSH_ENDED);
			cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
			if (s + 1 < N_STARTS || before + 1 < 2 * SMALL_SLOTS)
				reopen();
		}
	}
}

Test(ring_wrap, capacity_holds_across)
{
	for (size_t s = 0; s < N_STARTS; s++) {
		void *item;

		open_bounded_at(starts[s], 4, false);
		for (size_t i = 0; i < 8 * SMALL_SLOTS; i += 4) {
			push_many(i, 4);
			cr_assert_eq(queue_push(&queue, &items[i + 4]), STI_PUSH_FULL);
			for (size_t j = i; j < i + 4; j++) {
				cr_assert(sti_mpsc_take_one(&queue.head, &item));
				cr_assert_eq(item, &items[j]);
			}
			cr_assert_not(sti_mpsc_take_one(&queue.head, &item));
		}
		if (s + 1 < N_STARTS)
			reopen();
	}
}

Test(ring_wrap, evicts_the_oldest_across)
{
	for (size_t s = 0; s < N_STARTS; s++) {
		void *item;

		open_bounded_at(starts[s], 4, true);
		push_many(0, 4);
		for (size_t i = 4; i < 8 * SMALL_SLOTS; i++) {
			cr_assert_eq(queue_push(&queue, &items[i]), STI_PUSH_FULL);
			cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_TAKEN);
			cr_assert_eq(item, &items[i - 4]);
			cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_ROOM);
			cr_assert_eq(queue_push(&queue, &items[i]), STI_PUSH_OK);
			cr_assert_eq(queue_depth(&queue), 4);
		}
		if (s + 1 < N_STARTS)
			reopen();
	}
}

/* --- with several producers, from far below the crossing to far above it --- */

#define PRODUCERS 3u
#define PER_PRODUCER 40000u

struct run {
	struct item *items;
	_Atomic uint64_t n_taken;
	bool in_order;
};

struct producer {
	struct run *run;
	uint64_t number;
};

/* Whoever is called is the consumer, until nothing is left. */
static void consume(struct run *run)
{
	static uint64_t next[PRODUCERS];
	enum sti_rest rest;

	do {
		void *batch[32];
		size_t n = sti_mpsc_take(&queue.head, batch, 32);

		for (size_t i = 0; i < n; i++) {
			struct item *item = batch[i];

			if (item->seq != next[item->producer]++)
				run->in_order = false;
		}
		atomic_fetch_add(&run->n_taken, n);
		rest = n > 0 ? STI_REST_MORE : queue_rest(&queue);
	} while (rest != STI_REST_GONE);
}

static void *produce(void *arg)
{
	struct producer *producer = arg;
	struct item *own = &producer->run->items[producer->number * PER_PRODUCER];

	for (uint64_t i = 0; i < PER_PRODUCER; i++) {
		own[i].producer = producer->number;
		own[i].seq = i;
		/* Seldom more than there is room for: most laps are of the first ring. */
		while (queue_depth(&queue) > 1000)
			sti_cpu_relax();
		if (queue_push(&queue, &own[i]) & STI_PUSH_WAKE)
			consume(producer->run);
	}
	return NULL;
}

Test(ring_wrap, producers_cross_it_together)
{
	struct run run = { .in_order = true };
	struct producer producers[PRODUCERS];

	faulty_install();
	/* A hole that is taken over ends the ring, and the next begins at 0. */
	sti_ring_set_patience(UINT64_MAX);
	run.items = calloc((size_t)PRODUCERS * PER_PRODUCER, sizeof(run.items[0]));
	cr_assert_eq(sti_mpsc_init(&queue.tail, &queue.head, 12, NULL), 0);
	sti_mpsc_start_at(&queue.tail, &queue.head, (UINT64_C(1) << 32) - 60000);
	for (unsigned i = 0; i < PRODUCERS; i++)
		producers[i] = (struct producer){ &run, i };
	run_threads(PRODUCERS, produce, producers, sizeof(producers[0]));
	cr_assert_eq(atomic_load(&run.n_taken), (uint64_t)PRODUCERS * PER_PRODUCER);
	cr_assert(run.in_order);
	cr_assert_gt(queue.head.pos, UINT64_C(1) << 32, "it has been left for another ring");
	free(run.items);
}
