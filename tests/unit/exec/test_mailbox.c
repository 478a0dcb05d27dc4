/* SPDX-License-Identifier: BSD-2-Clause */
/* test_mailbox.c — one turn of a mailbox, run by hand: no worker is involved */

#include "exec/mailbox.h"

#include <criterion/criterion.h>
#include <string.h>

#include "sync/rcu.h"

static struct sti_mailbox mailbox;
static struct sti_context context;
static uint64_t items[2000];
static size_t n_delivered, n_finals, n_wrong, largest;

static void deliver(struct sti_mailbox *box, void **got, size_t n, struct sti_context *ctx)
{
	n_wrong += box != &mailbox || ctx != &context || ctx->mailbox != &mailbox || n_finals > 0;
	for (size_t i = 0; i < n; i++)
		n_wrong += got[i] != &items[n_delivered + i];
	n_delivered += n;
	if (n > largest)
		largest = n;
}

static void final(struct sti_mailbox *box, struct sti_context *ctx)
{
	n_finals++;
}

static const struct sti_mailbox_ops ops = { .deliver = deliver, .final = final };

static void open_mailbox(unsigned batch)
{
	cr_assert_eq(sti_mailbox_init(&mailbox, &ops, NULL, batch, STI_RING_ORDER_MIN, NULL), 0);
	sti_context_enter(&context, NULL, NULL);
}

/* Ends the test: everything delivered in order, the memory given back. */
static void close_mailbox(size_t delivered)
{
	cr_assert_eq(n_delivered, delivered);
	cr_assert_eq(n_wrong, 0);
	cr_assert_eq(atomic_load(&mailbox.delivered), delivered);
	sti_context_leave(&context);
	cr_assert_null(sti_context_current());
	sti_mailbox_deinit(&mailbox);
}

static enum sti_push push(size_t i)
{
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_push(&mailbox.tail, &items[i]);
	sti_rcu_read_unlock();
	return result;
}

static enum sti_push close_queue(void)
{
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_close(&mailbox.tail);
	sti_rcu_read_unlock();
	return result;
}

static void push_many(size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		push(i);
}

Test(mailbox, first_push_makes_somebody_responsible)
{
	size_t n;

	open_mailbox(256);
	cr_assert_eq(push(0), STI_PUSH_WAKE);
	cr_assert_eq(push(1), STI_PUSH_OK);
	while (sti_mailbox_run(&mailbox, &context, &n) != STI_TURN_GONE) {
	}
	cr_assert_eq(push(2), STI_PUSH_WAKE, "it has been let go");
	sti_mailbox_run_out(&mailbox, &context);
	close_mailbox(3);
}

/* As a publisher does who is going to run it. */
static void carry(size_t i)
{
	sti_rcu_read_lock();
	cr_assert_eq(sti_mpsc_carry(&mailbox.tail), STI_CARRY_DONE);
	sti_rcu_read_unlock();
	mailbox.carried = &items[i];
}

Test(mailbox, what_is_carried_comes_first)
{
	size_t n;

	open_mailbox(256);
	carry(0);
	push_many(1, 7);
	cr_assert_eq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_GONE);
	cr_assert_eq(n, 8);
	cr_assert_null(mailbox.carried);
	carry(8);
	cr_assert_eq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_GONE);
	cr_assert_eq(n, 1);
	close_mailbox(9);
}

Test(mailbox, what_is_carried_is_of_the_batch)
{
	size_t n;

	open_mailbox(4);
	carry(0);
	push_many(1, 4);
	cr_assert_eq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_MORE);
	cr_assert_eq(n, 4);
	sti_mailbox_run_out(&mailbox, &context);
	close_mailbox(5);
}

/* By one who has promised to make one callback. */
Test(mailbox, what_is_carried_is_all_of_a_turn_of_one)
{
	size_t n;

	open_mailbox(256);
	carry(0);
	cr_assert_eq(close_queue(), STI_PUSH_OK);
	context.max = 1;
	cr_assert_eq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_MORE);
	cr_assert_eq(n, 1);
	cr_assert_eq(n_finals, 0);
	cr_assert_eq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_GONE);
	cr_assert_eq(n, 1);
	cr_assert_eq(n_finals, 1);
	close_mailbox(1);
}

/* By one who has taken it for something that has been done meanwhile. */
Test(mailbox, what_is_carried_is_not_left_at_rest)
{
	size_t n = 0;

	open_mailbox(256);
	carry(0);
	cr_assert_eq(sti_mailbox_rest(&mailbox, &context, &n), STI_TURN_MORE);
	cr_assert(!sti_mailbox_let_go(&mailbox, &context));
	cr_assert_eq(close_queue(), STI_PUSH_OK);
	cr_assert_eq(sti_mailbox_rest(&mailbox, &context, &n), STI_TURN_MORE);
	cr_assert_eq(n, 0);
	cr_assert_eq(n_finals, 0);
	sti_mailbox_run_out(&mailbox, &context);
	cr_assert_eq(n_finals, 1);
	close_mailbox(1);
}

Test(mailbox, a_turn_delivers_no_more_than_the_batch)
{
	size_t n;

	for (unsigned batch = 1; batch <= 100; batch += 33) {
		n_delivered = n_finals = largest = 0;
		memset((void *)&mailbox, 0, sizeof(mailbox));
		open_mailbox(batch);
		push_many(0, 1000);
		for (size_t left = 1000; left > 0; left -= n) {
			enum sti_turn turn = sti_mailbox_run(&mailbox, &context, &n);

			cr_assert_leq(n, batch);
			if (n < left)
				cr_assert_eq(turn, STI_TURN_MORE);
		}
		cr_assert_leq(largest, batch);
		sti_mailbox_run_out(&mailbox, &context);
		close_mailbox(1000);
	}
}

Test(mailbox, lingering_keeps_it_after_items_and_lets_go_without)
{
	size_t n;

	open_mailbox(256);
	context.linger = true;
	push_many(0, 3);
	cr_assert_eq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_CAUGHT_UP);
	cr_assert_eq(n, 3);
	cr_assert_eq(push(3), STI_PUSH_OK, "somebody is responsible");
	cr_assert_eq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_CAUGHT_UP);
	cr_assert_eq(n, 1);
	cr_assert_eq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_GONE);
	cr_assert_eq(n, 0);
	cr_assert_eq(push(4), STI_PUSH_WAKE);
	sti_mailbox_run_out(&mailbox, &context);
	close_mailbox(5);
}

Test(mailbox, a_hole_is_told_and_nothing_overtakes_it)
{
	struct sti_ring *ring;
	size_t n;
	uint64_t hole;

	open_mailbox(256);
	sti_ring_set_patience(UINT64_MAX);
	cr_assert_eq(push(0), STI_PUSH_WAKE);
	ring = atomic_load(&mailbox.tail.ring);
	hole = sti_ring_pos(atomic_fetch_add(&ring->tail, STI_RING_ONE));
	push(2);
	cr_assert_neq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_GONE);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(sti_mailbox_run(&mailbox, &context, &n), STI_TURN_HOLE);
	cr_assert_eq(n_delivered, 1);
	sti_ring_fill(ring, hole, &items[1]);
	sti_mailbox_run_out(&mailbox, &context);
	close_mailbox(3);
}

Test(mailbox, close_delivers_what_was_pushed_and_then_the_end_once)
{
	open_mailbox(7);
	push_many(0, 500);
	cr_assert_eq(close_queue(), STI_PUSH_OK);
	cr_assert_eq(close_queue(), STI_PUSH_ENDED);
	cr_assert(push(500) & STI_PUSH_ENDED);
	sti_mailbox_run_out(&mailbox, &context);
	cr_assert_eq(n_finals, 1);
	close_mailbox(500);
}

Test(mailbox, close_of_an_idle_one_wakes)
{
	open_mailbox(256);
	cr_assert_eq(close_queue(), STI_PUSH_WAKE);
	sti_mailbox_run_out(&mailbox, &context);
	cr_assert_eq(n_finals, 1);
	close_mailbox(0);
}

Test(mailbox, contexts_nest)
{
	struct sti_context inner;

	open_mailbox(256);
	cr_assert_eq(sti_context_current(), &context);
	sti_context_enter(&inner, NULL, NULL);
	cr_assert_eq(sti_context_current(), &inner);
	cr_assert_eq(inner.outer, &context);
	sti_context_leave(&inner);
	cr_assert_eq(sti_context_current(), &context);
	close_mailbox(0);
}
