/* SPDX-License-Identifier: BSD-2-Clause */
/* test_runqueue.c — inbox, slots and overflow: nothing lost, nothing twice, roughly in order */

#include "exec/runqueue.h"

#include <criterion/criterion.h>
#include <sched.h>

#include "exec/mailbox.h"
#include "gate.h"

#define MANY (3 * STI_RUNQUEUE_SLOTS)

static struct sti_runqueue queue, other;
static struct sti_mailbox boxes[MANY];
static bool seen[MANY];

static void open_queues(void)
{
	sti_runqueue_init(&queue);
	sti_runqueue_init(&other);
}

TestSuite(runqueue, .init = open_queues);

static void push_many(size_t n)
{
	for (size_t i = 0; i < n; i++)
		sti_runqueue_push(&queue, &boxes[i]);
}

static void see(struct sti_mailbox *mailbox)
{
	cr_assert_not_null(mailbox);
	cr_assert_not(seen[mailbox - boxes], "mailbox %td twice", mailbox - boxes);
	seen[mailbox - boxes] = true;
}

static size_t count_seen(void)
{
	size_t n = 0;

	for (size_t i = 0; i < MANY; i++)
		n += seen[i];
	return n;
}

Test(runqueue, is_empty_at_first)
{
	unsigned n = 77;

	cr_assert(sti_runqueue_is_empty(&queue));
	cr_assert_null(sti_runqueue_next(&queue));
	cr_assert_null(sti_runqueue_steal(&other, &queue, &n));
	cr_assert_eq(n, 0);
}

/* Positions are 64 bits, and only their differences count. */
Test(runqueue, counts_round)
{
	unsigned n;

	for (uint64_t before = 1; before < 40; before++) {
		atomic_store(&queue.head, 0 - before);
		atomic_store(&queue.tail, 0 - before);
		for (size_t i = 0; i < 20; i++)
			sti_runqueue_requeue(&queue, &boxes[i]);
		cr_assert_eq(sti_runqueue_length(&queue), 20);
		for (size_t i = 0; i < 8; i++)
			cr_assert_eq(sti_runqueue_next(&queue), &boxes[i]);
		cr_assert_eq(sti_runqueue_steal(&other, &queue, &n), &boxes[8]);
		cr_assert_eq(n, 6);
		for (size_t i = 9; i < 14; i++)
			cr_assert_eq(sti_runqueue_next(&other), &boxes[i]);
		for (size_t i = 14; i < 20; i++)
			cr_assert_eq(sti_runqueue_next(&queue), &boxes[i]);
		cr_assert(sti_runqueue_is_empty(&queue));
		cr_assert_null(sti_runqueue_next(&queue));
	}
}

Test(runqueue, is_full_across_the_end)
{
	atomic_store(&queue.head, 0 - (uint64_t)100);
	atomic_store(&queue.tail, 0 - (uint64_t)100);
	push_many(MANY);
	for (size_t i = 0; i < MANY; i++)
		see(sti_runqueue_next(&queue));
	cr_assert_null(sti_runqueue_next(&queue));
	cr_assert_eq(count_seen(), MANY);
}

Test(runqueue, gives_the_oldest_first)
{
	push_many(100);
	cr_assert_not(sti_runqueue_is_empty(&queue));
	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(sti_runqueue_next(&queue), &boxes[i], "place %zu", i);
	cr_assert_null(sti_runqueue_next(&queue));
	cr_assert(sti_runqueue_is_empty(&queue));
}

/* As when its owner has ended: from the slots, from beyond them, and what was not looked at yet. */
Test(runqueue, anybody_takes_everything_wherever_it_is)
{
	struct sti_mailbox *mailbox;

	push_many(MANY - 10);
	see(sti_runqueue_next(&queue));
	for (size_t i = MANY - 10; i < MANY; i++)
		sti_runqueue_push(&queue, &boxes[i]);
	while ((mailbox = sti_runqueue_take(&queue)) != NULL)
		see(mailbox);
	cr_assert_eq(count_seen(), MANY);
	cr_assert(sti_runqueue_is_empty(&queue));
}

Test(runqueue, gives_everything_in_order_beyond_its_slots)
{
	push_many(MANY);
	for (size_t i = 0; i < MANY; i++)
		cr_assert_eq(sti_runqueue_next(&queue), &boxes[i], "place %zu", i);
	cr_assert_null(sti_runqueue_next(&queue));
	cr_assert(sti_runqueue_is_empty(&queue));
}

Test(runqueue, what_is_put_back_waits_for_all_others)
{
	push_many(10);
	for (size_t round = 0; round < 50; round++) {
		struct sti_mailbox *mailbox = sti_runqueue_next(&queue);

		cr_assert_eq(mailbox, &boxes[round % 10], "round %zu", round);
		sti_runqueue_requeue(&queue, mailbox);
	}
}

Test(runqueue, nobody_starves_when_it_overflows)
{
	push_many(MANY);
	for (size_t i = 0; i < (size_t)4 * MANY; i++) {
		struct sti_mailbox *mailbox = sti_runqueue_next(&queue);

		cr_assert_not_null(mailbox);
		seen[mailbox - boxes] = true;
		sti_runqueue_requeue(&queue, mailbox);
	}
	cr_assert_eq(count_seen(), MANY);
}

static void steal_all(size_t n)
{
	struct sti_mailbox *mailbox;
	unsigned stolen;

	while ((mailbox = sti_runqueue_steal(&other, &queue, &stolen)) != NULL) {
		cr_assert_geq(stolen, 1);
		see(mailbox);
		for (unsigned i = 1; i < stolen; i++)
			see(sti_runqueue_next(&other));
		cr_assert_null(sti_runqueue_next(&other));
	}
	cr_assert_eq(count_seen(), n);
	cr_assert(sti_runqueue_is_empty(&queue));
}

Test(runqueue, an_inbox_can_be_stolen)
{
	push_many(10);
	steal_all(10);
}

Test(runqueue, slots_can_be_stolen)
{
	push_many(11);
	see(sti_runqueue_next(&queue));
	cr_assert_eq(sti_runqueue_length(&queue), 10);
	steal_all(11);
}

Test(runqueue, overflow_can_be_stolen)
{
	push_many(MANY);
	see(sti_runqueue_next(&queue));
	steal_all(MANY);
}

Test(runqueue, a_thief_leaves_about_half)
{
	unsigned n;

	push_many(101);
	cr_assert_eq(sti_runqueue_next(&queue), &boxes[0]);
	cr_assert_not_null(sti_runqueue_steal(&other, &queue, &n));
	cr_assert_eq(n, 50);
	cr_assert_eq(sti_runqueue_length(&queue), 50);
}

/* Threads push, one owner takes and puts back, thieves steal: each mailbox is with one of them. */
struct owner {
	struct sti_runqueue *own, *victims[2];
	_Atomic bool *stop;
	uint64_t n_taken;
	uint64_t n_twice;
};

static _Atomic int held[MANY];
static _Atomic uint64_t n_turns;

static void *take_and_put_back(void *arg)
{
	struct owner *owner = arg;

	while (!atomic_load(owner->stop)) {
		struct sti_mailbox *mailbox = sti_runqueue_next(owner->own);
		unsigned n;

		for (int i = 0; i < 2 && mailbox == NULL; i++)
			mailbox = sti_runqueue_steal(owner->own, owner->victims[i], &n);
		if (mailbox == NULL) {
			sched_yield();
			continue;
		}
		owner->n_twice += atomic_exchange(&held[mailbox - boxes], 1) != 0;
		owner->n_taken++;
		atomic_store(&held[mailbox - boxes], 0);
		if (owner->n_taken % 3 == 0)
			sti_runqueue_push(owner->victims[0], mailbox);
		else
			sti_runqueue_requeue(owner->own, mailbox);
		atomic_fetch_add(&n_turns, 1);
	}
	return NULL;
}

static void run_owners(size_t n_boxes)
{
	static struct sti_runqueue queues[3];
	struct owner owners[3];
	_Atomic bool stop = false;
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		sti_runqueue_init(&queues[i]);
	for (int i = 0; i < 3; i++) {
		owners[i] = (struct owner){
			&queues[i], { &queues[(i + 1) % 3], &queues[(i + 2) % 3] }, &stop, 0, 0
		};
		cr_assert_eq(pthread_create(&threads[i], NULL, take_and_put_back, &owners[i]), 0);
	}
	for (size_t i = 0; i < n_boxes; i++)
		sti_runqueue_push(&queues[i % 3], &boxes[i]);
	while (atomic_load(&n_turns) < 300000)
		sched_yield();
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(owners[i].n_twice, 0);
	}
	for (int i = 0; i < 3; i++) {
		struct sti_mailbox *mailbox;

		while ((mailbox = sti_runqueue_next(&queues[i])) != NULL)
			see(mailbox);
	}
	cr_assert_eq(count_seen(), n_boxes);
}

Test(runqueue, thieves_and_owners_neither_lose_nor_double)
{
	run_owners(50);
}

Test(runqueue, thieves_and_owners_neither_lose_nor_double_beyond_the_slots)
{
	run_owners(MANY);
}
