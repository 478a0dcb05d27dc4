/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/pull.c — taking a mailbox out of the run queue, for somebody who waits for it
 *
 * A thread that waits inside a callback for something that is queued could keep from running it
 * whoever would: in the end all workers may wait so. So it runs that itself, on top of the callback
 * that waits, and nothing else: what is on its stack is then a chain of waits and no more, and what
 * is found in a circle is one.
 *
 * What it finds on the way goes back to the queue that it was in. A worker that is stopping may
 * have found its queue empty meanwhile and ended; so whoever puts back looks whether it has, as the
 * worker, when it has said so, looks at the queue once more (S1), and runs himself what nobody else
 * would.
 *
 * Edges: S1 in worker.h.
 */

#include "exec/executor.h"
#include "exec/manual.h"

/* Something has been taken out of its queue and put back. */
static void worker_notice(struct sti_worker *worker)
{
	struct sti_mailbox *mailbox;

	/* S1: after it was put back; pairs with worker_set_state(). */
	switch (atomic_load_explicit(&worker->state, memory_order_seq_cst)) {
	case STI_WORKER_PARKED:
		sti_worker_wake(worker);
		break;
	case STI_WORKER_ENDED:
		while ((mailbox = sti_runqueue_take(&worker->queue)) != NULL)
			sti_executor_run_out(mailbox);
		break;
	default:
		break;
	}
}

bool sti_executor_pull(const struct sti_mailbox *mailbox)
{
	struct stasis_executor *executor = mailbox->executor;
	bool found = false;

	if (executor->manual != NULL)
		return sti_manual_pull(executor->manual, mailbox);
	for (unsigned i = 0; i < executor->n_workers && !found; i++) {
		struct sti_worker *worker = &executor->workers[i];
		bool moved = false;

		found = sti_runqueue_pull(&worker->queue, mailbox, &moved);
		if (moved)
			worker_notice(worker);
	}
	return found;
}
