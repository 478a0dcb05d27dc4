/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ring.c — the queue seen by one thread: laps, rest and wake, holes, growth */

#include "ring_fixture.h"

TestSuite(ring, .init = open_queue, .fini = close_queue);

Test(ring, is_empty_at_first)
{
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 8), 0);
	cr_assert_eq(queue_pushed(&queue), 0);
}

Test(ring, starts_at_rest)
{
	struct queue other;

	cr_assert_eq(sti_mpsc_init(&other.tail, &other.head, SMALL, NULL), 0);
	cr_assert_eq(queue_push(&other, &items[0]), STI_PUSH_WAKE);
	cr_assert_eq(queue_push(&other, &items[1]), STI_PUSH_OK);
	cr_assert_eq(sti_mpsc_take(&other.head, taken, 8), 2);
	sti_mpsc_deinit(&other.tail, &other.head);
}

static _Alignas(STI_CACHELINE) char embedded[STI_RING_MIN_SIZE];

Test(ring, embedded_ring_needs_no_memory_and_is_not_freed)
{
	struct queue other;

	faulty_arm(0, true);
	cr_assert_eq(sti_mpsc_init(&other.tail, &other.head, SMALL, embedded), 0);
	cr_assert_eq((void *)queue_ring(&other), (void *)embedded);
	for (size_t i = 0; i < SMALL_SLOTS; i++)
		cr_assert_not(queue_push(&other, &items[i]) & STI_PUSH_NOMEM);
	cr_assert_eq(queue_push(&other, &items[8]), STI_PUSH_NOMEM);
	cr_assert(faulty_disarm());
	/* It may grow and leave the embedded ring behind. */
	cr_assert_eq(queue_push(&other, &items[8]), STI_PUSH_OK);
	cr_assert_eq(sti_mpsc_take(&other.head, taken, 16), SMALL_SLOTS);
	cr_assert_eq(queue_rest(&other), STI_REST_MORE);
	cr_assert_eq(sti_mpsc_take(&other.head, taken, 16), 1);
	cr_assert_eq(queue_rest(&other), STI_REST_GONE);
	sti_mpsc_deinit(&other.tail, &other.head);
}

Test(ring, gives_back_what_was_pushed_in_order)
{
	push_many(0, 5);
	take_many(0, 5);
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 8), 0);
}

Test(ring, take_gives_no_more_than_asked_for)
{
	push_many(0, 8);
	take_many(0, 3);
	take_many(3, 1);
	take_many(4, 4);
}

Test(ring, take_of_none_takes_nothing)
{
	push_many(0, 1);
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 0), 0);
	take_many(0, 1);
}

Test(ring, parity_holds_over_many_laps)
{
	struct sti_ring *first = queue_ring(&queue);

	/* Steps that do not divide the size: every slot gets to be the first of a take. */
	for (size_t lap = 0; lap < 1000; lap++) {
		size_t n = 1 + lap % SMALL_SLOTS;

		push_many(lap % 100, n);
		take_many(lap % 100, n);
		cr_assert_eq(sti_mpsc_take(&queue.head, taken, SMALL_SLOTS), 0, "lap %zu", lap);
	}
	cr_assert_eq(queue_ring(&queue), first, "it had no reason to grow");
}

Test(ring, a_full_lap_is_full_and_no_fuller)
{
	struct sti_ring *first = queue_ring(&queue);

	for (size_t lap = 0; lap < 100; lap++) {
		push_many(0, SMALL_SLOTS);
		cr_assert_eq(queue_ring(&queue), first);
		take_many(0, SMALL_SLOTS);
	}
}

Test(ring, old_items_are_not_taken_again_when_the_ring_wraps)
{
	push_many(0, SMALL_SLOTS);
	take_many(0, SMALL_SLOTS);
	push_many(8, 3);
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, SMALL_SLOTS), 3);
}

Test(ring, grows_when_full_and_keeps_order)
{
	struct sti_ring *first = queue_ring(&queue);

	push_many(0, SMALL_SLOTS + 1);
	cr_assert_neq(queue_ring(&queue), first);
	cr_assert_gt(queue_ring(&queue)->order, SMALL);
	cr_assert(atomic_load(&first->tail) & STI_RING_CLOSED);
	cr_assert_not(atomic_load(&first->tail) & STI_RING_FINAL);
	expect_in_order(0, SMALL_SLOTS + 1);
}

Test(ring, grows_many_times_and_keeps_order)
{
	push_many(0, 4000);
	cr_assert_eq(queue_pushed(&queue), 4000);
	expect_in_order(0, 4000);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(ring, growth_stops_multiplying_at_its_bound)
{
	struct queue big;
	size_t n = ((size_t)1 << STI_RING_ORDER_GROW_MAX) + 1;

	cr_assert_eq(sti_mpsc_init(&big.tail, &big.head, STI_RING_ORDER_GROW_MAX, NULL), 0);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(queue_push(&big, &items[i % 4096]),
			     i == 0 ? STI_PUSH_WAKE : STI_PUSH_OK);
	cr_assert_eq(queue_ring(&big)->order, STI_RING_ORDER_GROW_MAX);
	cr_assert_eq(queue_pushed(&big), n);
	sti_mpsc_deinit(&big.tail, &big.head);
}

Test(ring, takes_and_pushes_may_alternate_across_growth)
{
	size_t pushed = 0, got = 0;

	while (got < 3000) {
		if (pushed < 3000) {
			push_many(pushed, 11 < 3000 - pushed ? 11 : 3000 - pushed);
			pushed += 11 < 3000 - pushed ? 11 : 3000 - pushed;
		}
		for (size_t n = sti_mpsc_take(&queue.head, taken, 7), i = 0; i < n; i++, got++)
			cr_assert_eq(taken[i], &items[got], "item %zu", got);
		if (pushed > got)
			cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	}
}

Test(ring, batch_goes_in_whole_and_in_order)
{
	void *batch[3000];
	size_t pushed = 0;

	for (size_t i = 0; i < 3000; i++)
		batch[i] = &items[i];
	cr_assert_eq(queue_push_n(&queue, batch, 3000, &pushed), STI_PUSH_OK);
	cr_assert_eq(pushed, 3000);
	cr_assert_eq(queue_pushed(&queue), 3000);
	expect_in_order(0, 3000);
}

Test(ring, batch_of_none_is_accepted)
{
	size_t pushed = 77;

	cr_assert_eq(queue_push_n(&queue, NULL, 0, &pushed), STI_PUSH_OK);
	cr_assert_eq(pushed, 0);
}

Test(ring, counts_pushes_across_rings_and_takes)
{
	for (size_t i = 0; i < 2000; i++) {
		push_many(i, 1);
		cr_assert_eq(queue_pushed(&queue), i + 1);
		if (i % 3 == 1)
			cr_assert_leq(sti_mpsc_take(&queue.head, taken, 1), 1);
		if (i % 5 == 0)
			cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	}
}

Test(ring, rest_of_an_empty_queue_lets_go)
{
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(ring, rest_with_items_left_stays)
{
	push_many(0, 2);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	take_many(0, 1);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	take_many(1, 1);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(ring, only_the_first_push_after_a_rest_wakes)
{
	for (size_t lap = 0; lap < 50; lap++) {
		cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
		cr_assert_eq(queue_push(&queue, &items[0]), STI_PUSH_WAKE);
		cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_OK);
		cr_assert_eq(queue_push(&queue, &items[2]), STI_PUSH_OK);
		take_many(0, 3);
	}
}

Test(ring, no_push_wakes_a_consumer_that_has_not_rested)
{
	push_many(0, 4);
	take_many(0, 4);
	push_many(4, 1);
	take_many(4, 1);
}

Test(ring, a_batch_wakes_once)
{
	void *batch[20];
	size_t pushed;

	for (size_t i = 0; i < 20; i++)
		batch[i] = &items[i];
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	cr_assert_eq(queue_push_n(&queue, batch, 20, &pushed), STI_PUSH_WAKE);
	cr_assert_eq(queue_push(&queue, &items[20]), STI_PUSH_OK);
	expect_in_order(0, 21);
}

Test(ring, a_wake_is_not_lost_when_the_ring_is_left_behind)
{
	/* Rests in the first ring exactly where it is full; what wakes is in the second. */
	push_many(0, SMALL_SLOTS);
	take_many(0, SMALL_SLOTS);
	atomic_store(&queue_ring(&queue)->head, 0);
	atomic_store(&queue_ring(&queue)->head_cache, 0);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	cr_assert_eq(queue_push(&queue, &items[SMALL_SLOTS]), STI_PUSH_WAKE);
	expect_in_order(SMALL_SLOTS, 1);
}

/* A producer that stopped between reserving its slot and filling it. */
static uint64_t reserve_by_hand(void)
{
	return sti_ring_pos(atomic_fetch_add(&queue_ring(&queue)->tail, STI_RING_ONE));
}

Test(ring, a_hole_holds_up_what_is_behind_it_and_is_told_apart)
{
	uint64_t hole = reserve_by_hand();

	push_many(1, 2);
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 8), 0);
	cr_assert_eq(queue_rest(&queue), STI_REST_HOLE);
	cr_assert_eq(queue_rest(&queue), STI_REST_HOLE);
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 8), 0);
	sti_ring_fill(queue_ring(&queue), hole, &items[0]);
	take_many(0, 3);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(ring, a_hole_at_the_end_keeps_the_consumer)
{
	uint64_t hole;

	push_many(0, 1);
	hole = reserve_by_hand();
	take_many(0, 1);
	cr_assert_eq(queue_rest(&queue), STI_REST_HOLE);
	sti_ring_fill(queue_ring(&queue), hole, &items[1]);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	take_many(1, 1);
}

Test(ring, a_hole_survives_growth_and_close)
{
	struct sti_ring *first = queue_ring(&queue);
	uint64_t hole = reserve_by_hand();

	push_many(1, SMALL_SLOTS + 3);
	cr_assert_neq(queue_ring(&queue), first);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_rest(&queue), STI_REST_HOLE);
	sti_ring_fill(first, hole, &items[0]);
	expect_in_order(0, SMALL_SLOTS + 4);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
}

Test(ring, a_late_push_may_wake_for_an_earlier_one)
{
	/* Reserved and filled after the rest, but its producer stopped before it could claim. */
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	sti_ring_fill(queue_ring(&queue), reserve_by_hand(), &items[0]);
	cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_WAKE);
	cr_assert_eq(sti_ring_wake(queue_ring(&queue), 0), STI_PUSH_OK, "one winner");
	take_many(0, 2);
}
