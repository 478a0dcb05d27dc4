/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/schedule.c — finding somebody to run a mailbox. Edges: worker.h (S1 to S3), executor.h. */

#include <stasis/object.h>

#include "base/process.h"
#include "exec/executor.h"
#include "exec/manual.h"

/* Wakes one worker to be the watcher. False: nobody is parked. */
static bool executor_appoint(struct stasis_executor *executor)
{
	for (unsigned i = 0; i < executor->n_workers; i++) {
		struct sti_worker *worker = &executor->workers[i];

		/* Relaxed: a hint; sti_worker_wake() decides. */
		if (atomic_load_explicit(&worker->state, memory_order_relaxed) != STI_WORKER_PARKED)
			continue;
		/* S3: before the wake-up, so that it finds it. */
		atomic_store_explicit(&worker->appointed, 1, memory_order_seq_cst);
		if (sti_worker_wake(worker))
			return true;
		/* S3: it was awake after all; unless it has taken it, look for another. */
		if (!atomic_exchange_explicit(&worker->appointed, 0, memory_order_seq_cst))
			return true;
	}
	return false;
}

static bool executor_has_parked(const struct stasis_executor *executor)
{
	for (unsigned i = 0; i < executor->n_workers; i++) {
		/* S2: after the caller has cleared the watcher. Not n_parked: that still counts a
		 * worker that has been woken and waits for a CPU. */
		if (atomic_load_explicit(&executor->workers[i].state, memory_order_seq_cst) ==
		    STI_WORKER_PARKED)
			return true;
	}
	return false;
}

void sti_executor_watch(struct stasis_executor *executor)
{
	/* S2: a cheap look first; one that is about to park looks at us afterwards. */
	if (atomic_load_explicit(&executor->n_parked, memory_order_seq_cst) == 0)
		return;
	do {
		uint32_t none = 0;

		/* S2: after the caller's look at a worker's state; pairs with watch_end(). The look
		 * is cheaper than the CAS, which is for one of several to appoint. */
		if (atomic_load_explicit(&executor->watcher, memory_order_seq_cst) != 0 ||
		    !atomic_compare_exchange_strong_explicit(&executor->watcher, &none, 1,
							     memory_order_seq_cst,
							     memory_order_relaxed))
			return;
		if (executor_appoint(executor))
			return;
		/* S2: all were awake. One that has parked since saw the flag set and relies on
		 * another look; pairs with worker_may_sleep(). */
		atomic_store_explicit(&executor->watcher, 0, memory_order_seq_cst);
	} while (executor_has_parked(executor));
}

void sti_executor_schedule(struct sti_mailbox *mailbox)
{
	struct stasis_executor *executor = mailbox->executor;
	const struct sti_context *context = sti_context_current();
	/* Relaxed: a hint. */
	unsigned home = atomic_load_explicit(&mailbox->home, memory_order_relaxed);
	struct sti_worker *worker;

	/* Nobody would come; and the descriptor of a manual executor is the parent's as well. */
	if (sti_unlikely(sti_process_is_child))
		return;
	if (executor->manual != NULL) {
		sti_manual_push(executor->manual, mailbox);
		return;
	}
	/* What a callback wakes is best run by its own worker: the message is in its cache. */
	while (context != NULL && (context->executor != executor || context->worker == NULL))
		context = context->outer;
	if (context != NULL)
		home = (unsigned)(context->worker - executor->workers);
	worker = &executor->workers[home];
	sti_runqueue_push(&worker->queue, mailbox);
	/* S1: after the push; pairs with worker_set_state() in worker_sleep(). */
	switch (atomic_load_explicit(&worker->state, memory_order_seq_cst)) {
	case STI_WORKER_PARKED:
		sti_worker_wake(worker);
		break;
	case STI_WORKER_RUNNING:
		if (executor->n_workers > 1)
			sti_executor_watch(executor);
		break;
	default:
		break;
	}
}

void sti_executor_submit(struct sti_mailbox *mailbox)
{
	bool refusing;

	sti_rcu_read_lock();
	/* A2: if not set, workers live at least until this read section ends; pairs with R2 in
	 * executor_begin_close(). */
	refusing = atomic_load_explicit(&mailbox->flags, memory_order_acquire) &
		   STI_MAILBOX_REFUSING;
	if (!refusing)
		sti_executor_schedule(mailbox);
	sti_rcu_read_unlock();
	if (refusing)
		sti_executor_run_out(mailbox);
}

void sti_executor_run_turn(struct sti_mailbox *mailbox, struct sti_context *context)
{
	enum sti_turn turn;
	size_t n;

	context->executor = mailbox->executor;
	turn = sti_mailbox_run(mailbox, context, &n);
	/* If it is gone it may not be there any more, nor its executor. */
	context->executor = NULL;
	if (turn != STI_TURN_GONE)
		sti_executor_submit(mailbox);
}

STI_NOINLINE void sti_executor_run_out(struct sti_mailbox *mailbox)
{
	struct sti_context context;

	sti_context_enter_here(&context, mailbox->executor);
	sti_mailbox_run_out(mailbox, &context);
	sti_context_leave(&context);
}

void sti_executor_close(struct sti_mailbox *mailbox, void (*serve)(struct sti_mailbox *mailbox))
{
	enum sti_push push;

	sti_rcu_read_lock();
	push = sti_mpsc_close(&mailbox->tail);
	sti_rcu_read_unlock();
	sti_mailbox_wake_waiters(mailbox);
	if (push & STI_PUSH_WAKE)
		serve(mailbox);
}
