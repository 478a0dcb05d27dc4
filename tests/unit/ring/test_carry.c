/* SPDX-License-Identifier: BSD-2-Clause */
/* test_carry.c — items that do not go through the queue: when that may be, and that they count */

#include <criterion/criterion.h>

#include "ring_fixture.h"
#include "sync/membarrier.h"

static bool carry(void)
{
	enum sti_carry carried;

	sti_rcu_read_lock();
	carried = sti_mpsc_carry(&queue.tail);
	sti_rcu_read_unlock();
	cr_assert_neq(carried, STI_CARRY_CLAIMED);
	return carried == STI_CARRY_DONE;
}

/* The consumer, who has taken everything, lets go. */
static void rest(void)
{
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(carry, whoever_carries_is_the_consumer)
{
	open_queue();
	rest();
	cr_assert(carry());
	cr_assert_eq(queue_pushed(&queue), 1);
	cr_assert_eq(queue_depth(&queue), 0);
	/* Nobody else is. */
	cr_assert(!carry());
	push_many(0, 3);
	cr_assert(!carry());
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	take_many(0, 3);
	rest();
	cr_assert_eq(queue_pushed(&queue), 4);
	close_queue();
}

/* Others have come and gone since, and one of them is about to rest once more. */
Test(carry, an_old_look_gives_a_claim_and_no_more)
{
	struct sti_ring *ring;
	uint64_t idle_at, word;

	open_queue();
	rest();
	ring = queue_ring(&queue);
	idle_at = atomic_load(&ring->idle_at);
	word = atomic_load(&ring->tail);
	cr_assert(carry());
	cr_assert_eq(queue_push(&queue, &items[0]), STI_PUSH_OK);
	atomic_store(&ring->idle_at, idle_at);
	cr_assert_eq(sti_ring_carry(ring, idle_at, word), STI_CARRY_CLAIMED);
	cr_assert_eq(queue_pushed(&queue), 2, "what is not carried does not count");
	cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_OK, "it has been claimed");
	take_many(0, 2);
	rest();
	cr_assert_eq(queue_pushed(&queue), 3);
	close_queue();
}

Test(carry, not_while_somebody_is_at_it)
{
	open_queue();
	cr_assert(!carry());
	cr_assert_eq(queue_pushed(&queue), 0);
	rest();
	cr_assert(carry());
	close_queue();
}

Test(carry, not_past_what_nobody_has_claimed_yet)
{
	uint64_t pos;

	open_queue();
	rest();
	/* One that has been stopped before it has filled its place, or before it has claimed. */
	cr_assert(sti_ring_reserve(queue_ring(&queue), &pos));
	cr_assert(!carry());
	sti_ring_fill(queue_ring(&queue), pos, &items[0]);
	cr_assert(!carry());
	cr_assert_eq(sti_ring_wake(queue_ring(&queue), pos), STI_PUSH_WAKE);
	take_many(0, 1);
	rest();
	cr_assert(carry());
	cr_assert_eq(queue_pushed(&queue), 2);
	close_queue();
}

Test(carry, not_into_a_queue_that_has_ended)
{
	open_queue();
	rest();
	cr_assert_eq(queue_close(&queue), STI_PUSH_WAKE);
	cr_assert(!carry());
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
	cr_assert(!carry());
	close_queue();
}

Test(carry, the_end_comes_behind_what_is_carried)
{
	open_queue();
	rest();
	cr_assert(carry());
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
	cr_assert_eq(queue_pushed(&queue), 1);
	close_queue();
}

Test(carry, counts_across_rings)
{
	const size_t n_rounds = 3, n = 40; /* rings of 8, 32, 128, 512 */
	size_t total = 0;

	open_queue();
	rest();
	for (size_t round = 0; round < n_rounds; round++) {
		cr_assert(carry());
		total++;
		push_many(total, n);
		expect_in_order(total, n);
		total += n;
		rest();
		cr_assert_eq(queue_pushed(&queue), total);
	}
	close_queue();
}

Test(carry, counts_across_a_take_over)
{
	uint64_t pos;

	open_queue();
	if (!sti_membarrier_is_usable()) {
		close_queue();
		cr_skip_test("no take-over without membarrier");
	}
	rest();
	cr_assert(carry());
	cr_assert(sti_ring_reserve(queue_ring(&queue), &pos));
	push_many(0, 2);
	sti_ring_set_patience(0);
	while (queue_rest(&queue) == STI_REST_HOLE)
		;
	take_many(0, 2);
	while (queue_rest(&queue) != STI_REST_GONE)
		;
	cr_assert_eq(queue_pushed(&queue), 3);
	cr_assert(carry());
	cr_assert_eq(queue_pushed(&queue), 4);
	close_queue();
}
