/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ring_close.c — the end of a queue, and a queue without memory */

#include "ring_fixture.h"

TestSuite(ring_close, .init = open_queue, .fini = close_queue);

Test(ring_close, close_of_a_resting_queue_wakes)
{
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	cr_assert_eq(queue_close(&queue), STI_PUSH_WAKE);
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 1), 0);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
}

Test(ring_close, close_keeps_what_was_pushed_before)
{
	push_many(0, 3);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	take_many(0, 3);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
	cr_assert_eq(queue_pushed(&queue), 3);
}

Test(ring_close, push_after_close_is_refused)
{
	void *batch[] = { &items[1], &items[2] };
	size_t pushed = 77;

	push_many(0, 1);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_ENDED);
	cr_assert_eq(queue_push_n(&queue, batch, 2, &pushed), STI_PUSH_ENDED);
	cr_assert_eq(pushed, 0);
	take_many(0, 1);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
	cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_ENDED);
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 1), 0);
}

Test(ring_close, says_whether_it_is_closed)
{
	sti_rcu_read_lock();
	cr_assert_not(sti_mpsc_is_closed(&queue.tail));
	sti_rcu_read_unlock();
	/* Growth closes a ring, not the queue. */
	push_many(0, SMALL_SLOTS + 1);
	sti_rcu_read_lock();
	cr_assert_not(sti_mpsc_is_closed(&queue.tail));
	sti_rcu_read_unlock();
	queue_close(&queue);
	sti_rcu_read_lock();
	cr_assert(sti_mpsc_is_closed(&queue.tail));
	sti_rcu_read_unlock();
	expect_in_order(0, SMALL_SLOTS + 1);
}

Test(ring_close, second_close_says_so_and_changes_nothing)
{
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	cr_assert_eq(queue_close(&queue), STI_PUSH_WAKE);
	cr_assert_eq(queue_close(&queue), STI_PUSH_ENDED);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
	cr_assert_eq(queue_close(&queue), STI_PUSH_ENDED);
}

Test(ring_close, close_while_full)
{
	push_many(0, SMALL_SLOTS);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_push(&queue, &items[SMALL_SLOTS]), STI_PUSH_ENDED);
	expect_in_order(0, SMALL_SLOTS);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
}

Test(ring_close, close_after_growth_ends_the_last_ring_only)
{
	struct sti_ring *first = queue_ring(&queue);

	push_many(0, SMALL_SLOTS + 1);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_not(atomic_load(&first->tail) & STI_RING_FINAL);
	cr_assert(atomic_load(&queue_ring(&queue)->tail) & STI_RING_FINAL);
	expect_in_order(0, SMALL_SLOTS + 1);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
}

Test(ring_close, init_without_memory_says_so)
{
	struct queue other;

	faulty_arm(0, false);
	cr_assert_eq(sti_mpsc_init(&other.tail, &other.head, SMALL, NULL), -ENOMEM);
	cr_assert(faulty_disarm());
}

Test(ring_close, full_without_memory_refuses_and_recovers)
{
	void *batch[] = { &items[8], &items[9] };
	size_t pushed = 77;

	push_many(0, SMALL_SLOTS);
	faulty_arm(0, true);
	cr_assert_eq(queue_push(&queue, &items[8]), STI_PUSH_NOMEM);
	cr_assert_eq(queue_push_n(&queue, batch, 2, &pushed), STI_PUSH_NOMEM);
	cr_assert_eq(pushed, 0);
	cr_assert(faulty_disarm());
	push_many(8, 2);
	expect_in_order(0, 10);
}

Test(ring_close, batch_without_memory_goes_in_as_far_as_there_is_room)
{
	void *batch[20];
	size_t pushed = 77;

	for (size_t i = 0; i < 20; i++)
		batch[i] = &items[i];
	faulty_arm(0, true);
	cr_assert_eq(queue_push_n(&queue, batch, 20, &pushed), STI_PUSH_NOMEM);
	cr_assert(faulty_disarm());
	cr_assert_eq(pushed, SMALL_SLOTS);
	expect_in_order(0, SMALL_SLOTS);
}

Test(ring_close, close_needs_no_memory)
{
	push_many(0, SMALL_SLOTS);
	faulty_arm(0, true);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_not(faulty_disarm());
	expect_in_order(0, SMALL_SLOTS);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
}
