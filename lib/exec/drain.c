/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/drain.c — waiting until what is queued has been delivered
 *
 * A target per mailbox: what has been pushed by now, or the end. Then each worker must have dropped
 * what it owes. Edges: mailbox.c (R1, A1), worker.h (R1, A1).
 */

#include <errno.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/object.h"
#include "exec/executor.h"

#define DRAIN_LOOK_NS 1000000u

struct drain_target {
	struct sti_mailbox *mailbox; /* referenced */
	uint64_t pushed;
	bool closed;
};

static bool target_reached(const struct drain_target *target)
{
	const struct sti_mailbox *mailbox = target->mailbox;

	if (target->closed) {
		/* A1: pairs with R1 where DONE is set. */
		return atomic_load_explicit(&mailbox->flags, memory_order_acquire) &
		       STI_MAILBOX_DONE;
	}
	/* A1: what the callbacks did; pairs with R1 in deliver_batch(). */
	return atomic_load_explicit(&mailbox->delivered, memory_order_acquire) >= target->pushed;
}

static struct drain_target *drain_targets(struct stasis_executor *executor, size_t *np)
{
	struct drain_target *targets;
	size_t n = 0;

	pthread_mutex_lock(&executor->lock);
	targets = sti_alloc((executor->n_members + 1) * sizeof(*targets));
	for (struct sti_mailbox *mailbox = executor->members; targets != NULL && mailbox != NULL;
	     mailbox = mailbox->member_next) {
		struct drain_target *target = &targets[n++];

		target->mailbox = sti_object_ref_n(mailbox, 1);
		sti_rcu_read_lock();
		target->closed = sti_mpsc_is_closed(&mailbox->tail);
		target->pushed = sti_mpsc_pushed(&mailbox->head);
		sti_rcu_read_unlock();
	}
	pthread_mutex_unlock(&executor->lock);
	*np = n;
	return targets;
}

/* Waits until reached(arg) holds; workers signal after each round. */
static void drain_wait(struct stasis_executor *executor, bool (*reached)(const void *arg),
		       const void *arg)
{
	for (;;) {
		uint32_t value = sti_eventcount_value(&executor->drained);

		if (reached(arg))
			return;
		/* With a limit: workers look for drainers without an order to rely on. */
		sti_eventcount_wait(&executor->drained, value, DRAIN_LOOK_NS);
	}
}

static bool drain_target_reached(const void *arg)
{
	return target_reached(arg);
}

struct drain_flush {
	const struct sti_worker *worker;
	uint32_t flushes;
};

static bool drain_flush_reached(const void *arg)
{
	const struct drain_flush *flush = arg;

	/* A1: the references are dropped; pairs with R1 in worker_settle(). */
	return !atomic_load_explicit(&flush->worker->owing, memory_order_acquire) ||
	       atomic_load_explicit(&flush->worker->flushes, memory_order_acquire) != /* A1 */
		       flush->flushes;
}

int stasis_executor_drain(struct stasis_executor *executor)
{
	struct drain_target *targets;
	size_t n;

	if (executor == NULL)
		return -EINVAL;
	if (sti_executor_is_current(executor))
		return -EDEADLK;
	targets = drain_targets(executor, &n);
	if (targets == NULL)
		return -ENOMEM;
	/* Relaxed: see worker_settle(). */
	atomic_fetch_add_explicit(&executor->drainers, 1, memory_order_relaxed);
	for (size_t i = 0; i < n; i++)
		drain_wait(executor, drain_target_reached, &targets[i]);
	for (unsigned i = 0; i < executor->n_workers; i++) {
		struct drain_flush flush = { .worker = &executor->workers[i] };

		/* A1: as in drain_flush_reached(). */
		flush.flushes = atomic_load_explicit(&flush.worker->flushes, memory_order_acquire);
		drain_wait(executor, drain_flush_reached, &flush);
	}
	/* Relaxed: as above. */
	atomic_fetch_sub_explicit(&executor->drainers, 1, memory_order_relaxed);
	for (size_t i = 0; i < n; i++)
		stasis_object_unref(targets[i].mailbox);
	sti_free(targets);
	return 0;
}
