/* SPDX-License-Identifier: BSD-2-Clause */
/* test_turn.c — turns: when a queue is long, and who looks away before a push. Whoever has done so
 * in vain, because nobody else pushes, does not do so again for a while: by that it is seen. */

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "ring_fixture.h"

#define ORDER 12u /* room for all items */

/* Of whom nothing but the number and the turn is looked at. */
static struct sti_thread one = { .number = 0 }, other = { .number = STI_THREAD_MAX - 1 };

static void open_large(size_t n_queued)
{
	open_queue_of(ORDER);
	push_many(0, n_queued);
}

static void take_turn(struct sti_thread *thread, bool may_wait)
{
	sti_rcu_read_lock();
	if (!sti_mpsc_has_turn(&queue.tail, thread))
		sti_mpsc_take_turn(&queue.tail, thread, may_wait);
	sti_rcu_read_unlock();
}

/* Does one wait for his turn, after the other's? */
static bool waits(bool may_wait)
{
	one.turn_skips = 0;
	take_turn(&other, false);
	take_turn(&one, may_wait);
	return one.turn_skips > 0;
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
	/* In rings of 8, 32, 128, 512 and 2,048. */
	size_t n_before = 2728;

	open_queue();
	for (size_t i = 0; i < n_before + STI_TURN_BACKLOG; i++) {
		cr_assert(!sti_ring_is_long(queue_ring(&queue)));
		queue_push(&queue, &items[i % 4096]);
	}
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
	atomic_store(&ring->head, 0);
	cr_assert(sti_ring_is_long(ring));
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
	open_queue_with(2 * STI_TURN_BACKLOG, false);
	push_many(0, 2 * STI_TURN_BACKLOG);
	cr_assert(!sti_ring_is_long(queue_ring(&queue)));
	close_queue();
}

Test(turn, is_waited_for_behind_another_one)
{
	open_large(STI_TURN_BACKLOG);
	cr_assert(!waits(true), "its first turn here");
	cr_assert(waits(true));
	cr_assert(sti_mpsc_has_turn(&queue.tail, &one));
	cr_assert(!sti_mpsc_has_turn(&queue.tail, &other));
	cr_assert(waits(true));
	close_queue();
}

Test(turn, is_not_waited_for_by_who_must_not_wait)
{
	open_large(STI_TURN_BACKLOG);
	take_turn(&one, false);
	cr_assert(!waits(false));
	cr_assert(waits(true));
	close_queue();
}

Test(turn, is_not_waited_for_in_a_short_queue)
{
	open_large(STI_TURN_BACKLOG - 1);
	take_turn(&one, false);
	cr_assert(!waits(true));
	push_many(STI_TURN_BACKLOG - 1, 1);
	cr_assert(waits(true));
	close_queue();
}

Test(turn, is_not_waited_for_by_who_has_been_elsewhere)
{
	open_large(STI_TURN_BACKLOG);
	take_turn(&one, false);
	one.turn = NULL;
	cr_assert(!waits(true));
	cr_assert_eq(one.turn, queue_ring(&queue));
	cr_assert(waits(true));
	close_queue();
}

Test(turn, is_not_waited_for_by_who_comes_now_and_then)
{
	open_large(STI_TURN_BACKLOG);
	take_turn(&one, false);
	push_many(STI_TURN_BACKLOG, STI_TURN_FAR + 1);
	cr_assert(!waits(true));
	push_many(STI_TURN_BACKLOG + STI_TURN_FAR + 1, STI_TURN_FAR - 1);
	cr_assert(waits(true));
	close_queue();
}

Test(turn, of_one_who_does_not_push_is_waited_for_once_in_a_while)
{
	unsigned n = 0;

	open_large(STI_TURN_BACKLOG);
	take_turn(&one, true);
	cr_assert(waits(true));
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

static _Atomic bool pushes, ends;

/* Pushes what is taken at once, so that the queue stays as long as it is. */
static void *push_all_the_time(void *arg)
{
	for (size_t i = 0; !atomic_load(&ends); i++) {
		queue_push(&queue, &items[i % 4096]);
		sti_mpsc_take(&queue.head, taken, 1);
		atomic_store(&pushes, true);
	}
	return NULL;
}

/* The thread is the consumer, too: the test takes turns only. */
Test(turn, of_one_who_pushes_is_waited_for_again)
{
	pthread_t thread;
	bool seen = false;

	/* Nobody pushes while another waits. */
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		cr_skip_test();
	open_large(STI_TURN_BACKLOG + 1);
	take_turn(&one, false);
	cr_assert_eq(pthread_create(&thread, NULL, push_all_the_time, NULL), 0);
	while (!atomic_load(&pushes))
		sched_yield();
	for (int i = 0; i < 100000 && !seen; i++) {
		uint64_t pos = sti_ring_pos(atomic_load(&queue_ring(&queue)->tail));

		one.turn_pos = pos;
		/* Not because too many have been pushed since. */
		seen = !waits(true) && one.turn_pos - pos <= STI_TURN_FAR;
	}
	atomic_store(&ends, true);
	pthread_join(thread, NULL);
	cr_assert(seen);
	close_queue();
}

Test(turn, who_has_no_record_needs_none)
{
	open_large(0);
	cr_assert(sti_mpsc_has_turn(&queue.tail, NULL));
	close_queue();
}
