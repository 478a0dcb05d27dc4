/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/push.c — the overflow policies, and who is woken. See push.h. */

#include "bus/push.h"

#include "base/process.h"
#include "bus/chain.h"
#include "bus/sync.h"
#include "bus/topic.h"
#include "exec/executor.h"

/* Inline deliveries inside each other's callbacks, at most; beyond, workers deliver. */
#define INLINE_DEPTH 8u

bool sti_push_may_deliver(const struct stasis_subscription *sub)
{
	return sub->mailbox.executor->wait == STASIS_WAIT_INLINE &&
	       sti_context_depth() < INLINE_DEPTH;
}

/* The caller has claimed the mailbox. */
static void push_wake(struct sti_delivery *delivery, struct stasis_subscription *sub)
{
	struct sti_mailbox *mailbox = &sub->mailbox;

	if (sti_unlikely(sti_process_is_child))
		return;
	if (sti_push_may_deliver(sub))
		sti_pending_run(&delivery->pending, mailbox);
	else
		sti_executor_schedule(mailbox);
}

/* One message to a subscription without limits whose publishers deliver. */
static STI_NOINLINE void push_inline(struct sti_delivery *delivery, struct stasis_subscription *sub)
{
	struct sti_mailbox *mailbox = &sub->mailbox;
	enum sti_carry carry = sti_mpsc_carry(&mailbox->tail);
	enum sti_push push;

	if (sti_likely(carry == STI_CARRY_DONE)) {
		mailbox->carried = delivery->messages[0];
		push_wake(delivery, sub);
		return;
	}
	push = sti_mpsc_push(&mailbox->tail, delivery->messages[0]);
	if (carry == STI_CARRY_CLAIMED)
		push |= STI_PUSH_WAKE;
	if (sti_unlikely(push != STI_PUSH_OK))
		sti_push_settle(delivery, sub, push, delivery->messages, !sti_push_is_whole(push));
}

void sti_push_drop(struct sti_delivery *delivery, struct stasis_message *const *messages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sti_pending_drop(&delivery->pending, sti_item_message(messages[i]));
}

static void push_refuse(struct sti_delivery *delivery, struct stasis_subscription *sub,
			struct stasis_message *const *messages, size_t n)
{
	bool lost = true;

	/* A cell is alone. It may have been pushed before, by somebody else; relaxed: a hint. */
	if (n == 1 && sti_item_is_cell(messages[0]))
		lost = atomic_load_explicit(&sti_item_cell(messages[0])->pushed,
					    memory_order_relaxed) == 0 &&
		       sti_cell_decide(sti_item_cell(messages[0]), STI_CELL_REFUSED);
	if (lost) {
		delivery->refused += n;
		/* Relaxed: a figure. */
		atomic_fetch_add_explicit(&sub->mailbox.dropped, n, memory_order_relaxed);
	}
	sti_push_drop(delivery, messages, n);
}

bool sti_push_evict(struct sti_pending *pending, struct stasis_subscription *sub)
{
	bool repeated;
	void *item;

	switch (sti_mpsc_evict(&sub->mailbox.tail, &item)) {
	case STI_EVICT_ROOM:
		return true;
	case STI_EVICT_HOLE:
	case STI_EVICT_ENDED:
		return false;
	case STI_EVICT_TAKEN:
		break;
	}
	repeated = sti_item_is_cell(item) &&
		   !sti_cell_decide(sti_item_cell(item), STI_CELL_EVICTED);
	if ((uintptr_t)item & STI_ITEM_SYNC)
		sti_sync_evicted(pending, item);
	else
		sti_pending_drop(pending, sti_item_message(item));
	/* Relaxed: a figure, and a drain has no callback's effects to wait for here. */
	atomic_fetch_add_explicit(&sub->mailbox.limits->evicted, 1, memory_order_relaxed);
	/* It had been in the queue twice: a place is free, and nothing is lost. Relaxed: a figure.
	 * */
	if (repeated)
		atomic_fetch_sub_explicit(&sub->mailbox.dropped, 1, memory_order_relaxed);
	return true;
}

/* Pushes into a full queue, at the expense of the oldest. */
static void push_evicting(struct sti_delivery *delivery, struct stasis_subscription *sub,
			  struct stasis_message *const *messages, size_t left)
{
	while (left > 0) {
		enum sti_push push;
		size_t pushed;

		if (!sti_push_evict(&delivery->pending, sub))
			break;
		push = sti_mpsc_push_n(&sub->mailbox.tail, (void *const *)messages, left,
				       STI_MPSC_FIT, &pushed);
		if (push & STI_PUSH_WAKE)
			push_wake(delivery, sub);
		messages += pushed;
		left -= pushed;
		if (push & STI_PUSH_ENDED)
			break;
	}
	if (left > 0 && stasis_subscription_is_subscribed(sub))
		push_refuse(delivery, sub, messages, left);
	else
		sti_push_drop(delivery, messages, left);
}

bool sti_push_must_not_wait(const struct stasis_subscription *sub)
{
	return sti_context_current() != NULL || sti_executor_ran_here(sub->mailbox.executor);
}

void sti_push_take_turn(struct stasis_subscription *sub)
{
	/* Nobody's turn is worth a callback that comes later, nor a loop that runs some. */
	bool may_wait = sti_context_current() == NULL && !sti_thread_runs_loops();

	sti_mpsc_take_turn(&sub->mailbox.tail, sti_thread_self(), may_wait);
}

/* An update is queued at once, for its place in the chain is now; its publisher waits later. */
static void wait_later(struct sti_delivery *delivery, struct stasis_subscription *sub,
		       const struct stasis_message *item)
{
	if (sti_item_is_cell(item) && !sti_push_must_not_wait(sub) &&
	    !sti_pending_has_room(&delivery->pending, sub) &&
	    sti_pending_room(&delivery->pending, sub, NULL, 0)) {
		/* Relaxed: a figure. */
		atomic_fetch_add_explicit(&sub->mailbox.limits->blocked, 1, memory_order_relaxed);
	}
}

static void push_into_full(struct sti_delivery *delivery, struct stasis_subscription *sub,
			   struct stasis_message *const *messages, size_t left)
{
	enum sti_push push;
	size_t pushed;

	switch (sub->mailbox.limits->overflow) {
	case STASIS_OVERFLOW_DROP_OLDEST:
		push_evicting(delivery, sub, messages, left);
		return;
	case STASIS_OVERFLOW_BLOCK:
		if ((delivery->flags & STI_PUBLISH_FORCE) || sti_push_must_not_wait(sub)) {
			push = sti_mpsc_push_n(&sub->mailbox.tail, (void *const *)messages, left,
					       STI_MPSC_FORCE, &pushed);
			/* Relaxed: a figure. */
			atomic_fetch_add_explicit(&sub->mailbox.limits->forced, pushed,
						  memory_order_relaxed);
			sti_push_settle(delivery, sub, push & ~STI_PUSH_FULL, messages + pushed,
					left - pushed);
			wait_later(delivery, sub, messages[0]);
			return;
		}
		if (sti_pending_room(&delivery->pending, sub, messages, left)) {
			/* Relaxed: a figure. */
			atomic_fetch_add_explicit(&sub->mailbox.limits->blocked, 1,
						  memory_order_relaxed);
			return;
		}
		break;
	default:
		break;
	}
	push_refuse(delivery, sub, messages, left);
}

void sti_push_settle(struct sti_delivery *delivery, struct stasis_subscription *sub,
		     enum sti_push push, struct stasis_message *const *messages, size_t left)
{
	if (push & STI_PUSH_WAKE)
		push_wake(delivery, sub);
	if (left == 0)
		return;
	if (push & STI_PUSH_ENDED)
		sti_push_drop(delivery, messages, left);
	else if (push & STI_PUSH_FULL)
		push_into_full(delivery, sub, messages, left);
	else
		push_refuse(delivery, sub, messages, left);
}

void sti_push_behind(struct sti_delivery *delivery, struct stasis_subscription *sub)
{
	if (!sti_pending_room(&delivery->pending, sub, delivery->messages, delivery->n))
		push_refuse(delivery, sub, delivery->messages, delivery->n);
}

void sti_push_all(struct sti_delivery *delivery, struct stasis_subscription *sub)
{
	enum sti_push push;
	size_t pushed;

	if (sti_unlikely(delivery->pending.n_rooms > 0) &&
	    sti_pending_has_room(&delivery->pending, sub)) {
		sti_push_behind(delivery, sub);
		return;
	}
	if (sti_mailbox_is_flagged(&sub->mailbox, delivery->n > 1 ? STI_MAILBOX_INLINE : 0)) {
		sti_push_flagged(delivery, sub);
		return;
	}
	push = sti_mpsc_push_n(&sub->mailbox.tail, (void *const *)delivery->messages, delivery->n,
			       STI_MPSC_FIT, &pushed);
	if (sti_unlikely(push != STI_PUSH_OK))
		sti_push_settle(delivery, sub, push, delivery->messages + pushed,
				delivery->n - pushed);
}

void sti_push_item(struct sti_delivery *delivery, struct stasis_subscription *sub)
{
	if (sti_mailbox_is_flagged(&sub->mailbox, 0))
		sti_push_flagged(delivery, sub);
	else
		sti_push_plainly(delivery, sub, delivery->messages[0]);
}

static STI_NOINLINE void push_by_flags(struct sti_delivery *delivery,
				       struct stasis_subscription *sub, uint32_t flags)
{
	struct sti_mailbox *mailbox = &sub->mailbox;
	enum sti_push push;
	size_t pushed;

	if (flags & (STI_MAILBOX_REFUSING | STI_MAILBOX_DONE)) {
		/* Its executor is shut down, or it is done. */
		if (stasis_subscription_is_subscribed(sub))
			push_refuse(delivery, sub, delivery->messages, delivery->n);
		else
			sti_push_drop(delivery, delivery->messages, delivery->n);
		return;
	}
	push = sti_mpsc_push_n(&mailbox->tail, (void *const *)delivery->messages, delivery->n,
			       flags & STI_MAILBOX_WHOLE ? STI_MPSC_WHOLE : STI_MPSC_FIT, &pushed);
	sti_push_settle(delivery, sub, push, delivery->messages + pushed, delivery->n - pushed);
	if ((flags & STI_MAILBOX_WATCHED) && sti_mailbox_has_crossed(mailbox))
		sti_pending_crossed(&delivery->pending, sub);
}

/* Short, for the sake of those who deliver. */
void sti_push_flagged(struct sti_delivery *delivery, struct stasis_subscription *sub)
{
	/* A2: pairs with R2 in executor_begin_close(). */
	uint32_t flags = atomic_load_explicit(&sub->mailbox.flags, memory_order_acquire);

	if (flags == STI_MAILBOX_INLINE && delivery->n == 1)
		push_inline(delivery, sub);
	else
		push_by_flags(delivery, sub, flags);
}
