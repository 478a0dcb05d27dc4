/* SPDX-License-Identifier: BSD-2-Clause */
/* test_bounded.c — queues with a capacity, seen by one thread: full, forced, evicting */

#include "ring_fixture.h"

TestSuite(bounded, .init = faulty_install, .fini = close_queue);

/* The test's thread becomes the consumer. */
static void open_bounded(uint64_t capacity, bool evicts)
{
	sti_ring_set_patience(UINT64_MAX);
	cr_assert_eq(sti_mpsc_init_bounded(&queue.tail, &queue.head, capacity, evicts, NULL), 0);
	sti_mpsc_start_claimed(&queue.tail);
}

static enum sti_push push_range(size_t first, size_t n, enum sti_mpsc_how how, size_t *pushedp)
{
	void *batch[64];

	cr_assert_leq(n, 64);
	for (size_t i = 0; i < n; i++)
		batch[i] = &items[first + i];
	return queue_push_how(&queue, batch, n, how, pushedp);
}

static void expect_one(size_t i)
{
	void *item = NULL;

	cr_assert(sti_mpsc_take_one(&queue.head, &item), "item %zu", i);
	cr_assert_eq(item, &items[i], "item %zu", i);
}

static void expect_none(void)
{
	void *item = &queue;

	cr_assert_not(sti_mpsc_take_one(&queue.head, &item));
	cr_assert_eq(item, &queue, "nothing is written");
}

static void expect_evicted(size_t i)
{
	void *item = NULL;

	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_TAKEN);
	cr_assert_eq(item, &items[i], "item %zu", i);
}

static void hold_exactly(uint64_t capacity, bool evicts)
{
	size_t next = 0, first = 0;

	open_bounded(capacity, evicts);
	for (size_t lap = 0; lap < 100; lap++) {
		while (next - first < capacity)
			push_many(next++, 1);
		cr_assert_eq(queue_depth(&queue), capacity);
		cr_assert_eq(queue_push(&queue, &items[next]), STI_PUSH_FULL, "of %lu",
			     (unsigned long)capacity);
		/* Every slot gets to be the first of a lap. */
		for (size_t n = 1 + lap % capacity; n > 0; n--)
			expect_one(first++);
	}
	while (first < next)
		expect_one(first++);
	expect_none();
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	sti_mpsc_deinit(&queue.tail, &queue.head);
}

Test(bounded, capacity_is_exact)
{
	for (uint64_t capacity = 1; capacity <= 64; capacity *= 2) {
		hold_exactly(capacity, false);
		hold_exactly(capacity, true);
	}
}

Test(bounded, batches_may_be_taken_from_what_does_not_evict)
{
	open_bounded(4, false);
	for (size_t lap = 0; lap < 20; lap++) {
		push_many(0, 4);
		cr_assert_eq(queue_push(&queue, &items[4]), STI_PUSH_FULL);
		take_many(0, 4);
	}
}

Test(bounded, an_embedded_ring_serves_small_capacities_only)
{
	static _Alignas(STI_CACHELINE) char embedded[STI_RING_MIN_SIZE];
	struct queue other;

	open_bounded(1, false);
	faulty_arm(0, true);
	cr_assert_eq(sti_mpsc_init_bounded(&other.tail, &other.head, 8, true, embedded), 0);
	cr_assert_eq((void *)queue_ring(&other), (void *)embedded);
	sti_mpsc_deinit(&other.tail, &other.head);
	cr_assert_not(faulty_disarm());
	cr_assert_eq(sti_mpsc_init_bounded(&other.tail, &other.head, 16, false, embedded), 0);
	cr_assert_neq((void *)queue_ring(&other), (void *)embedded);
	sti_mpsc_deinit(&other.tail, &other.head);
}

Test(bounded, starts_at_rest_unless_claimed)
{
	struct queue other;

	open_bounded(4, false);
	cr_assert_eq(queue_push(&queue, &items[0]), STI_PUSH_OK);
	expect_one(0);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_WAKE);
	cr_assert_eq(sti_mpsc_init_bounded(&other.tail, &other.head, 4, true, NULL), 0);
	cr_assert_eq(queue_push(&other, &items[0]), STI_PUSH_WAKE);
	sti_mpsc_deinit(&other.tail, &other.head);
}

Test(bounded, an_ordinary_batch_goes_in_as_far_as_there_is_room)
{
	size_t pushed = 77;

	open_bounded(4, false);
	push_many(0, 1);
	cr_assert_eq(push_range(1, 9, STI_MPSC_FIT, &pushed), STI_PUSH_FULL);
	cr_assert_eq(pushed, 3);
	for (size_t i = 0; i < 4; i++)
		expect_one(i);
	cr_assert_eq(push_range(4, 4, STI_MPSC_FIT, &pushed), STI_PUSH_OK);
	cr_assert_eq(pushed, 4);
}

Test(bounded, a_whole_batch_goes_in_whole_or_not_at_all)
{
	size_t pushed = 77;

	open_bounded(4, false);
	cr_assert_eq(push_range(0, 5, STI_MPSC_WHOLE, &pushed), STI_PUSH_FULL);
	cr_assert_eq(pushed, 0);
	/* The producers' copy of head shows less room than there is. */
	push_many(0, 2);
	take_many(0, 2);
	cr_assert_eq(push_range(2, 4, STI_MPSC_WHOLE, &pushed), STI_PUSH_OK);
	take_many(2, 4);
	push_many(0, 2);
	cr_assert_eq(push_range(2, 3, STI_MPSC_WHOLE, &pushed), STI_PUSH_FULL);
	cr_assert_eq(pushed, 0);
	cr_assert_eq(push_range(2, 2, STI_MPSC_WHOLE, &pushed), STI_PUSH_OK);
	cr_assert_eq(pushed, 2);
	/* At every place of a lap. */
	for (size_t i = 0; i < 40; i++) {
		expect_one(i);
		cr_assert_eq(push_range(i + 4, 2, STI_MPSC_WHOLE, &pushed), STI_PUSH_FULL);
		cr_assert_eq(push_range(i + 4, 1, STI_MPSC_WHOLE, &pushed), STI_PUSH_OK);
	}
	for (size_t i = 40; i < 43; i++)
		expect_one(i);
	cr_assert_eq(push_range(44, 3, STI_MPSC_WHOLE, &pushed), STI_PUSH_OK);
	cr_assert_eq(push_range(0, 0, STI_MPSC_WHOLE, &pushed), STI_PUSH_OK);
}

Test(bounded, a_whole_batch_makes_a_queue_without_bounds_grow)
{
	size_t pushed = 77;

	open_queue();
	push_many(0, 5);
	cr_assert_eq(push_range(5, 60, STI_MPSC_WHOLE, &pushed), STI_PUSH_OK);
	cr_assert_eq(pushed, 60);
	expect_in_order(0, 65);
}

Test(bounded, a_forced_push_exceeds_the_capacity)
{
	size_t pushed = 77;

	open_bounded(2, false);
	push_many(0, 2);
	cr_assert_eq(push_range(2, 50, STI_MPSC_FORCE, &pushed), STI_PUSH_OK);
	cr_assert_eq(pushed, 50);
	cr_assert_eq(queue_depth(&queue), 52);
	cr_assert_eq(queue_ring(&queue)->order, SMALL);
	for (size_t i = 0; i < 50; i++) {
		cr_assert_eq(queue_push(&queue, &items[52]), STI_PUSH_FULL, "at %zu", i);
		if (i % 8 == 0 && i > 0)
			cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
		expect_one(i);
	}
	expect_one(50);
	push_many(52, 1);
	cr_assert_eq(queue_push(&queue, &items[53]), STI_PUSH_FULL);
	expect_one(51);
	expect_one(52);
	expect_none();
	cr_assert_eq(queue_depth(&queue), 0);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(bounded, a_forced_ring_is_for_all_once_the_consumer_is_there)
{
	struct sti_ring *first;
	size_t pushed;

	open_bounded(8, false);
	first = queue_ring(&queue);
	push_many(0, 8);
	cr_assert_eq(push_range(8, 1, STI_MPSC_FORCE, &pushed), STI_PUSH_OK);
	cr_assert_neq(queue_ring(&queue), first);
	for (size_t i = 0; i < 8; i++) {
		expect_one(i);
		cr_assert_eq(queue_push(&queue, &items[9]), STI_PUSH_FULL, "after %zu", i);
		cr_assert_eq(push_range(9, 1, STI_MPSC_WHOLE, &pushed), STI_PUSH_FULL);
	}
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(queue_depth(&queue), 1);
	push_many(9, 7);
	cr_assert_eq(queue_push(&queue, &items[16]), STI_PUSH_FULL);
	for (size_t i = 8; i < 16; i++)
		expect_one(i);
	expect_none();
}

Test(bounded, force_on_a_queue_without_bounds_is_an_ordinary_push)
{
	size_t pushed;

	open_queue();
	push_many(0, SMALL_SLOTS);
	cr_assert_eq(push_range(SMALL_SLOTS, 3, STI_MPSC_FORCE, &pushed), STI_PUSH_OK);
	cr_assert_gt(queue_ring(&queue)->order, SMALL);
	expect_in_order(0, SMALL_SLOTS + 3);
}

Test(bounded, refusing_claims_for_those_who_filled_the_queue)
{
	size_t pushed;

	open_bounded(1, false);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	/* Filled, and its producer stopped before it could claim. */
	atomic_fetch_add(&queue_ring(&queue)->tail, STI_RING_ONE);
	sti_ring_fill(queue_ring(&queue), 0, &items[0]);
	cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_FULL | STI_PUSH_WAKE);
	cr_assert_eq(push_range(1, 1, STI_MPSC_WHOLE, &pushed), STI_PUSH_FULL);
	expect_one(0);
}

Test(bounded, evicts_the_oldest_of_a_full_queue_only)
{
	void *item = NULL;

	open_bounded(2, true);
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_ROOM);
	push_many(0, 1);
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_ROOM);
	cr_assert_null(item);
	push_many(1, 1);
	for (size_t i = 0; i < 50; i++) {
		expect_evicted(i);
		cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_ROOM);
		push_many(i + 2, 1);
		cr_assert_eq(queue_depth(&queue), 2);
	}
	expect_one(50);
	expect_one(51);
	expect_none();
	cr_assert_eq(queue_pushed(&queue), 52);
}

Test(bounded, a_hole_is_not_evicted)
{
	struct sti_ring *ring;
	void *item = NULL;
	uint64_t hole;

	open_bounded(2, true);
	ring = queue_ring(&queue);
	/* In each lap, so that old items are in the slots too. */
	for (size_t lap = 0; lap < 20; lap++) {
		hole = sti_ring_pos(atomic_fetch_add(&ring->tail, STI_RING_ONE));
		push_many(1, 1);
		cr_assert_eq(queue_push(&queue, &items[2]), STI_PUSH_FULL);
		cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_HOLE);
		cr_assert_null(item);
		expect_none();
		cr_assert_eq(queue_rest(&queue), STI_REST_HOLE);
		sti_ring_fill(ring, hole, &items[0]);
		expect_evicted(0);
		expect_one(1);
	}
}

Test(bounded, evicts_nothing_from_a_closed_queue)
{
	void *item = NULL;

	open_bounded(1, true);
	push_many(0, 1);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_ENDED);
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_ENDED);
	cr_assert_null(item);
	expect_one(0);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
}

Test(bounded, rests_where_others_have_moved_head)
{
	open_bounded(1, true);
	for (size_t lap = 0; lap < 30; lap++) {
		push_many(lap, 1);
		expect_evicted(lap);
		cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
		cr_assert_eq(queue_push(&queue, &items[lap]), STI_PUSH_WAKE);
		expect_evicted(lap);
		cr_assert_eq(queue_push(&queue, &items[lap + 1]), STI_PUSH_OK);
		cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
		expect_one(lap + 1);
	}
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
}

Test(bounded, gives_items_back_with_the_caller_s_tag)
{
	void *tagged = (char *)&items[0] + 2;
	void *item = NULL;

	open_bounded(1, true);
	cr_assert_eq(queue_push(&queue, tagged), STI_PUSH_OK);
	cr_assert(sti_mpsc_take_one(&queue.head, &item));
	cr_assert_eq(item, tagged);
	cr_assert_eq(queue_push(&queue, tagged), STI_PUSH_OK);
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_TAKEN);
	cr_assert_eq(item, tagged);
}

Test(bounded, close_while_full_keeps_everything)
{
	size_t pushed;

	open_bounded(4, false);
	push_many(0, 4);
	cr_assert_eq(push_range(4, 10, STI_MPSC_FORCE, &pushed), STI_PUSH_OK);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_push(&queue, &items[14]), STI_PUSH_ENDED);
	cr_assert_eq(push_range(14, 2, STI_MPSC_FORCE, &pushed), STI_PUSH_ENDED);
	cr_assert_eq(pushed, 0);
	cr_assert_eq(push_range(14, 2, STI_MPSC_WHOLE, &pushed), STI_PUSH_ENDED);
	expect_in_order(0, 14);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
}

Test(bounded, depth_counts_across_rings)
{
	open_queue();
	for (size_t i = 0; i < 500; i++) {
		cr_assert_eq(queue_depth(&queue), i);
		push_many(i, 1);
	}
	for (size_t left = 500; left > 0;) {
		size_t n = sti_mpsc_take(&queue.head, taken, 7);

		left -= n;
		cr_assert_eq(queue_depth(&queue), left);
		if (n == 0)
			cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	}
}

Test(bounded, init_without_memory_says_so)
{
	struct queue other;

	open_bounded(1, false);
	faulty_arm(0, false);
	cr_assert_eq(sti_mpsc_init_bounded(&other.tail, &other.head, 64, false, NULL), -ENOMEM);
	cr_assert(faulty_disarm());
}

Test(bounded, full_needs_no_memory_and_force_says_when_there_is_none)
{
	size_t pushed = 77;

	open_bounded(2, false);
	push_many(0, 2);
	faulty_arm(0, true);
	cr_assert_eq(queue_push(&queue, &items[2]), STI_PUSH_FULL);
	cr_assert_not(faulty_disarm());
	faulty_arm(0, true);
	/* The rest of the ring is there already. */
	cr_assert_eq(push_range(2, 10, STI_MPSC_FORCE, &pushed), STI_PUSH_NOMEM);
	cr_assert_eq(pushed, SMALL_SLOTS - 2);
	cr_assert(faulty_disarm());
	cr_assert_eq(push_range(SMALL_SLOTS, 4, STI_MPSC_FORCE, &pushed), STI_PUSH_OK);
	expect_in_order(0, SMALL_SLOTS + 4);
}
