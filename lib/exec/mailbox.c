/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/mailbox.c — one turn of a mailbox. The states are in mailbox.h.
 *
 * Edges
 *   R1  store-release delivered  turn  -> A1  effects of the callbacks, for whoever drains
 *   A1  load-acquire delivered   sti_executor_drain() <- R1
 */

#include "exec/mailbox.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/assert.h"

static_assert(offsetof(struct sti_mailbox, head) == 48, "the runner's line begins here");
static_assert(offsetof(struct sti_mailbox, member_prev) == 48 + STI_CACHELINE, "and ends here");

/* Items taken from the ring at once: their lines arrive while the first are delivered. */
#define TAKE 32

static __thread struct sti_context *context_current;

struct sti_context *sti_context_current(void)
{
	return context_current;
}

void sti_context_enter(struct sti_context *context, struct stasis_executor *executor,
		       struct sti_worker *worker)
{
	memset((void *)context, 0, sizeof(*context));
	context->executor = executor;
	context->worker = worker;
	context->outer = context_current;
	context_current = context;
}

void sti_context_leave(struct sti_context *context)
{
	sti_release_flush(&context->release);
	context_current = context->outer;
}

int sti_mailbox_init(struct sti_mailbox *mailbox, const struct sti_mailbox_ops *ops,
		     struct stasis_executor *executor, unsigned batch, unsigned order,
		     void *embedded)
{
	stasis_assert(batch > 0);
	stasis_assert(batch <= UINT16_MAX);
	mailbox->ops = ops;
	mailbox->executor = executor;
	mailbox->batch = (uint16_t)batch;
	return sti_mpsc_init(&mailbox->tail, &mailbox->head, order, embedded);
}

void sti_mailbox_deinit(struct sti_mailbox *mailbox)
{
	sti_mpsc_deinit(&mailbox->tail, &mailbox->head);
}

/* Relaxed throughout: the runner is the only writer of his figures. */
static void note_depth(struct sti_mailbox *mailbox, uint64_t depth)
{
	if (depth > atomic_load_explicit(&mailbox->depth_max, memory_order_relaxed))
		atomic_store_explicit(&mailbox->depth_max, depth, memory_order_relaxed);
}

static size_t deliver_batch(struct sti_mailbox *mailbox, struct sti_context *context)
{
	void *items[TAKE];
	size_t batch = mailbox->batch;
	size_t total = 0;
	size_t n;
	/* Relaxed: the runner is the only writer. */
	uint64_t delivered = atomic_load_explicit(&mailbox->delivered, memory_order_relaxed);

	do {
		n = sti_mpsc_take(&mailbox->head, items,
				  batch - total < TAKE ? batch - total : TAKE);
		if (n == 0)
			break;
		mailbox->ops->deliver(mailbox, items, n, context);
		total += n;
		/* R1: what the callbacks did, for A1 in sti_executor_drain(). */
		atomic_store_explicit(&mailbox->delivered, delivered + total, memory_order_release);
	} while (n == TAKE && total < batch);
	return total;
}

enum sti_turn sti_mailbox_run(struct sti_mailbox *mailbox, struct sti_context *context, bool linger,
			      size_t *np)
{
	struct sti_mailbox *outer = context->mailbox;
	enum sti_turn turn = STI_TURN_MORE;
	enum sti_rest rest;

	context->mailbox = mailbox;
	*np = deliver_batch(mailbox, context);
	if (*np == mailbox->batch) {
		/* Behind: worth a look at the producers' line. */
		sti_rcu_read_lock();
		note_depth(mailbox, sti_mpsc_pushed(&mailbox->head) -
					    atomic_load_explicit(&mailbox->delivered,
								 memory_order_relaxed));
		sti_rcu_read_unlock();
	} else if (*np > 0 && linger) {
		note_depth(mailbox, *np);
		turn = STI_TURN_CAUGHT_UP;
	} else {
		note_depth(mailbox, *np);
		/* Once let go, the ring may be retired under us. */
		sti_rcu_read_lock();
		rest = sti_mpsc_rest(&mailbox->tail, &mailbox->head);
		sti_rcu_read_unlock();
		if (rest == STI_REST_FINAL)
			mailbox->ops->final(mailbox, context);
		turn = rest == STI_REST_MORE ? STI_TURN_MORE :
		       rest == STI_REST_HOLE ? STI_TURN_HOLE :
					       STI_TURN_GONE;
	}
	context->mailbox = outer;
	return turn;
}

void sti_mailbox_run_out(struct sti_mailbox *mailbox, struct sti_context *context)
{
	enum sti_turn turn;
	size_t n;

	while ((turn = sti_mailbox_run(mailbox, context, false, &n)) != STI_TURN_GONE) {
		if (turn == STI_TURN_HOLE)
			sched_yield();
	}
}
