/* SPDX-License-Identifier: BSD-2-Clause */
/* test_turn.c — turns: who looks away before a push, and who does not. Times are those of the
 * quickest of many tries: whoever is stopped meanwhile has waited, too. */

#include <criterion/criterion.h>

#include "base/clock.h"
#include "ring_fixture.h"

#define TRIES 200
#define ORDER 11u

/* Of whom nothing but the number is looked at. */
static const struct sti_thread one = { .number = 0 }, other = { .number = STI_THREAD_MAX - 1 };

static void open_large(size_t n_queued)
{
	faulty_install();
	cr_assert_eq(sti_mpsc_init(&queue.tail, &queue.head, ORDER, NULL), 0);
	cr_assert_eq(sti_ring_wake(queue_ring(&queue), 0), STI_PUSH_WAKE);
	push_many(0, n_queued);
}

static uint64_t take_turn_ns(const struct sti_thread *thread)
{
	uint64_t before = sti_clock_monotonic_ns();

	sti_rcu_read_lock();
	sti_mpsc_take_turn(&queue.tail, thread);
	sti_rcu_read_unlock();
	return sti_clock_monotonic_ns() - before;
}

/* The least time that a turn of either takes which follows the other's. */
static uint64_t quickest_ns(const struct sti_thread *first, const struct sti_thread *second)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t ns = take_turn_ns(i % 2 == 0 ? first : second);

		if (i > 0 && ns < least)
			least = ns;
	}
	return least;
}

Test(turn, follows_another_one_after_a_while_if_the_consumer_is_far_behind)
{
	open_large(STI_TURN_BACKLOG);
	/* Clocks that have been compared agree but for a little. */
	cr_assert_geq(quickest_ns(&one, &other), STI_TURN_NS * 9 / 10);
	close_queue();
}

Test(turn, is_kept_by_who_has_it)
{
	open_large(STI_TURN_BACKLOG);
	cr_assert_lt(quickest_ns(&one, &one), STI_TURN_NS);
	cr_assert_lt(quickest_ns(&other, &other), STI_TURN_NS);
	close_queue();
}

Test(turn, of_a_thread_without_a_number_is_nothing)
{
	open_large(STI_TURN_BACKLOG);
	cr_assert_lt(quickest_ns(&one, NULL), STI_TURN_NS);
	cr_assert_eq(atomic_load(&queue_ring(&queue)->turn), one.number + 1);
	close_queue();
}

Test(turn, is_not_waited_for_if_little_is_queued)
{
	open_large(STI_TURN_BACKLOG - 1);
	cr_assert_lt(quickest_ns(&one, &other), STI_TURN_NS);
	close_queue();
}

Test(turn, is_not_waited_for_if_the_consumer_rests)
{
	size_t n;

	open_large(STI_TURN_BACKLOG);
	do
		n = sti_mpsc_take(&queue.head, taken, 4096);
	while (n > 0);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	cr_assert_lt(quickest_ns(&one, &other), STI_TURN_NS);
	close_queue();
}

Test(turn, was_nobodys_before_the_first)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t ns;

		open_large(STI_TURN_BACKLOG);
		ns = take_turn_ns(&other);
		least = ns < least ? ns : least;
		close_queue();
	}
	cr_assert_lt(least, STI_TURN_NS);
}
