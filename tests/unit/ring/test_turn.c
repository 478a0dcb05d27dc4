/* SPDX-License-Identifier: BSD-2-Clause */
/* test_turn.c — turns: when a queue is long, and who looks away before a push. Times are those of
 * the quickest of many tries: whoever is stopped meanwhile has waited, too. */

#include <criterion/criterion.h>
#include <pthread.h>

#include "base/clock.h"
#include "ring_fixture.h"

#define TRIES 200
#define ORDER 12u /* room for all items */

/* Of whom nothing but the number and the turn is looked at. */
static struct sti_thread one = { .number = 0 }, other = { .number = STI_THREAD_MAX - 1 };

static void open_large(size_t n_queued)
{
	faulty_install();
	cr_assert_eq(sti_mpsc_init(&queue.tail, &queue.head, ORDER, NULL), 0);
	cr_assert_eq(sti_ring_wake(queue_ring(&queue), 0), STI_PUSH_WAKE);
	push_many(0, n_queued);
}

static void open_bounded(uint64_t capacity)
{
	faulty_install();
	cr_assert_eq(sti_mpsc_init_bounded(&queue.tail, &queue.head, capacity, false, NULL), 0);
	cr_assert_eq(sti_ring_wake(queue_ring(&queue), 0), STI_PUSH_WAKE);
	push_many(0, capacity);
}

static void take_turn(struct sti_thread *thread, bool may_wait)
{
	sti_rcu_read_lock();
	if (!sti_mpsc_has_turn(&queue.tail, thread))
		sti_mpsc_take_turn(&queue.tail, thread, may_wait);
	sti_rcu_read_unlock();
}

/* The least time that a turn of either takes which follows the other's, and which none in vain has
 * come before. */
static uint64_t quickest_ns(struct sti_thread *first, struct sti_thread *second, bool may_wait)
{
	uint64_t least = UINT64_MAX;

	take_turn(first, false);
	take_turn(second, false);
	for (int i = 0; i < TRIES; i++) {
		uint64_t before, ns;

		first->turn_skips = second->turn_skips = 0;
		before = sti_clock_monotonic_ns();
		take_turn(i % 2 == 0 ? first : second, may_wait);
		ns = sti_clock_monotonic_ns() - before;
		least = ns < least ? ns : least;
	}
	return least;
}

static uint64_t backoff_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = sti_clock_monotonic_ns(), ns;

		sti_backoff();
		ns = sti_clock_monotonic_ns() - before;
		least = ns < least ? ns : least;
	}
	return least;
}

Test(turn, a_queue_is_long_from_so_many_items)
{
	open_large(STI_TURN_BACKLOG - 1);
	cr_assert(!sti_ring_is_long(queue_ring(&queue)));
	push_many(STI_TURN_BACKLOG - 1, 1);
	cr_assert(sti_ring_is_long(queue_ring(&queue)));
	take_many(0, 1);
	cr_assert(!sti_ring_is_long(queue_ring(&queue)));
	close_queue();
}

Test(turn, a_queue_that_grew_is_as_long_as_its_last_ring)
{
	open_queue();
	push_many(0, 2729);
	cr_assert(!sti_ring_is_long(queue_ring(&queue)));
	push_many(2729, 1100);
	cr_assert(sti_ring_is_long(queue_ring(&queue)));
	close_queue();
}

Test(turn, a_consumer_who_has_gone_past_what_was_read_is_not_behind)
{
	struct sti_ring *ring;

	open_large(STI_TURN_BACKLOG);
	ring = queue_ring(&queue);
	atomic_store(&ring->head, STI_TURN_BACKLOG + 1);
	cr_assert(!sti_ring_is_long(ring));
	atomic_store(&ring->head, STI_RING_SHUT | STI_TURN_BACKLOG);
	cr_assert(!sti_ring_is_long(ring));
	atomic_store(&ring->head, STI_RING_SHUT);
	cr_assert(sti_ring_is_long(ring));
	atomic_store(&ring->head, 0);
	close_queue();
}

Test(turn, a_queue_whose_consumer_rests_is_not_long)
{
	struct sti_ring *ring;

	open_large(STI_TURN_BACKLOG);
	ring = queue_ring(&queue);
	/* Who pushed has not claimed yet. */
	atomic_store(&ring->idle_at, 1);
	cr_assert(!sti_ring_is_long(ring));
	atomic_store(&ring->idle_at, STI_RING_IDLE_NONE);
	cr_assert(sti_ring_is_long(ring));
	close_queue();
}

Test(turn, a_queue_with_bounds_is_never_long)
{
	open_bounded(2 * STI_TURN_BACKLOG);
	cr_assert(!sti_ring_is_long(queue_ring(&queue)));
	close_queue();
}

Test(turn, is_waited_for_behind_another_one)
{
	open_large(STI_TURN_BACKLOG);
	cr_assert_geq(quickest_ns(&one, &other, true), STI_TURN_BACKOFFS * backoff_ns() * 9 / 10);
	close_queue();
}

Test(turn, of_one_who_does_not_push_is_waited_for_once_in_a_while)
{
	unsigned n = 0;

	open_large(STI_TURN_BACKLOG);
	take_turn(&one, true);
	take_turn(&other, true);
	take_turn(&one, true);
	cr_assert_eq(one.turn_skips, STI_TURN_SKIPS);
	while (one.turn_skips > 0) {
		take_turn(&other, false);
		take_turn(&one, true);
		n++;
	}
	cr_assert_eq(n, STI_TURN_SKIPS);
	take_turn(&other, false);
	take_turn(&one, true);
	cr_assert_eq(one.turn_skips, STI_TURN_SKIPS);
	close_queue();
}

static void *push_all_the_time(void *arg)
{
	for (size_t i = STI_TURN_BACKLOG; i < 4096; i++)
		queue_push(&queue, &items[i]);
	return NULL;
}

/* Of those who wait while another pushes 3,072 items, 100 us and more, one sees it. */
Test(turn, of_one_who_pushes_is_waited_for_again)
{
	bool seen = false;

	for (int i = 0; i < 1000 && !seen; i++) {
		pthread_t thread;

		open_large(STI_TURN_BACKLOG);
		cr_assert_eq(pthread_create(&thread, NULL, push_all_the_time, NULL), 0);
		for (int j = 0; j < 50 && !seen; j++) {
			one.turn = queue_ring(&queue);
			one.turn_skips = 0;
			take_turn(&other, false);
			take_turn(&one, true);
			seen = one.turn_skips == 0;
		}
		pthread_join(thread, NULL);
		close_queue();
	}
	cr_assert(seen);
}

Test(turn, is_not_waited_for_by_who_must_not_wait)
{
	open_large(STI_TURN_BACKLOG);
	cr_assert_lt(quickest_ns(&one, &other, false), backoff_ns());
	close_queue();
}

Test(turn, is_kept_by_who_has_it)
{
	open_large(STI_TURN_BACKLOG);
	cr_assert_lt(quickest_ns(&other, &other, true), backoff_ns());
	cr_assert(sti_mpsc_has_turn(&queue.tail, &other));
	cr_assert(!sti_mpsc_has_turn(&queue.tail, &one));
	close_queue();
}

Test(turn, is_not_waited_for_by_who_has_been_elsewhere)
{
	uint64_t least = UINT64_MAX;

	open_large(STI_TURN_BACKLOG);
	take_turn(&one, false);
	for (int i = 0; i < TRIES; i++) {
		uint64_t before, ns;

		take_turn(&one, false);
		other.turn = NULL;
		before = sti_clock_monotonic_ns();
		take_turn(&other, true);
		ns = sti_clock_monotonic_ns() - before;
		least = ns < least ? ns : least;
	}
	cr_assert_lt(least, backoff_ns());
	cr_assert_eq(other.turn, queue_ring(&queue));
	close_queue();
}

Test(turn, who_has_no_record_needs_none)
{
	open_large(0);
	cr_assert(sti_mpsc_has_turn(&queue.tail, NULL));
	close_queue();
}
