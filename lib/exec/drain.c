/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/drain.c — waiting until what is queued has been delivered
 *
 * Drain: a target per mailbox: what has been pushed by now, or the end. Then each worker and runner
 * must have dropped what it owes.
 * Shutdown: all mailboxes must rest, so that nobody is left who could still call back. Without
 * memory of its own: it goes through the members again and again.
 * R1 and A1 are those of mailbox.c and worker.h.
 *
 * Edges
 *   A6  load-acquire head->ring  <- R6 in ring/protocol.h
 *   A10  in sti_mpsc_mark(): see ring/protocol.h
 *   S6  load idle_at, then tail  -- S3 and S1 in ring/protocol.h: whoever lets go stores idle_at,
 *                                   then loads tail; whoever pushes moves tail, then loads idle_at
 */

#include <errno.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/object.h"
#include "base/process.h"
#include "exec/claims.h"
#include "exec/executor.h"
#include "exec/manual.h"

#define DRAIN_LOOK_NS 1000000u
/* Callbacks of a manual executor between two looks at what they are made for. */
#define DRAIN_RUN 64u

struct drain_target {
	struct sti_mailbox *mailbox; /* referenced */
	bool marked;
	uint64_t pushed; /* once it is marked */
	uint64_t seen;	 /* see sti_mailbox_has_settled() */
	bool closed;
};

static void target_mark(struct drain_target *target)
{
	sti_rcu_read_lock();
	/* A10: not while something is carried that is not counted yet. */
	target->marked = sti_mpsc_mark(&target->mailbox->head, &target->pushed);
	sti_rcu_read_unlock();
}

static bool target_reached(struct drain_target *target)
{
	const struct sti_mailbox *mailbox = target->mailbox;

	/* A1: pairs with R1 where DONE is set. Nothing comes after the end, also when something
	 * that was meant has been refused at last: see "Take-over" in ring/protocol.h. */
	if (atomic_load_explicit(&mailbox->flags, memory_order_acquire) & STI_MAILBOX_DONE)
		return true;
	if (target->closed)
		return false;
	/* A later mark is further away: it holds what is meant, too. */
	if (!target->marked)
		target_mark(target);
	return target->marked &&
	       sti_mailbox_has_settled(mailbox, target->pushed, &target->seen);
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
		target->seen = 0;
		sti_rcu_read_lock();
		target->closed = sti_mpsc_is_closed(&mailbox->tail);
		sti_rcu_read_unlock();
		target_mark(target);
	}
	pthread_mutex_unlock(&executor->lock);
	*np = n;
	return targets;
}

/* Waits until reached(arg) holds; workers signal after each round, runners after each turn, before
 * they let go. */
static void drain_wait(struct stasis_executor *executor, bool (*reached)(void *arg),
		       void *arg)
{
	for (;;) {
		uint32_t value = sti_eventcount_value(&executor->drained);

		if (reached(arg))
			return;
		if (executor->manual != NULL &&
		    (sti_executor_run_some(executor, DRAIN_RUN) > 0 || reached(arg)))
			continue;
		/* With a limit: workers look for drainers without an order to rely on. */
		sti_eventcount_wait(&executor->drained, value, DRAIN_LOOK_NS);
	}
}

static bool drain_target_reached(void *arg)
{
	return target_reached(arg);
}

struct drain_flush {
	const struct sti_worker *worker;
	uint32_t flushes;
};

static bool drain_flush_reached(void *arg)
{
	const struct drain_flush *flush = arg;

	/* A1: the references are dropped; pairs with R1 in worker_settle(). */
	return !atomic_load_explicit(&flush->worker->owing, memory_order_acquire) ||
	       atomic_load_explicit(&flush->worker->flushes, memory_order_acquire) != /* A1 */
		       flush->flushes;
}

struct drain_mark {
	struct sti_manual *manual;
	uint64_t mark;
};

static bool drain_mark_reached(void *arg)
{
	const struct drain_mark *mark = arg;

	return sti_manual_is_flushed(mark->manual, mark->mark);
}

/* Waits until what is owed now for deliveries has been dropped. */
static void drain_owed(struct stasis_executor *executor)
{
	for (unsigned i = 0; i < executor->n_workers; i++) {
		struct drain_flush flush = { .worker = &executor->workers[i] };

		/* A1: as in drain_flush_reached(). */
		flush.flushes = atomic_load_explicit(&flush.worker->flushes, memory_order_acquire);
		drain_wait(executor, drain_flush_reached, &flush);
	}
	if (executor->manual != NULL) {
		struct drain_mark mark = { .manual = executor->manual };

		mark.mark = sti_manual_mark(mark.manual);
		drain_wait(executor, drain_mark_reached, &mark);
	}
}

int stasis_executor_drain(struct stasis_executor *executor)
{
	struct drain_target *targets;
	size_t n;

	if (executor == NULL)
		return -EINVAL;
	if (sti_process_is_child)
		return -ENOTRECOVERABLE;
	if (sti_executor_is_current(executor))
		return -EDEADLK;
	sti_claims_let_go();
	targets = drain_targets(executor, &n);
	if (targets == NULL)
		return -ENOMEM;
	/* Relaxed: see worker_settle(). */
	atomic_fetch_add_explicit(&executor->drainers, 1, memory_order_relaxed);
	for (size_t i = 0; i < n; i++)
		drain_wait(executor, drain_target_reached, &targets[i]);
	drain_owed(executor);
	/* Relaxed: as above. */
	atomic_fetch_sub_explicit(&executor->drainers, 1, memory_order_relaxed);
	for (size_t i = 0; i < n; i++)
		stasis_object_unref(targets[i].mailbox);
	sti_free(targets);
	return 0;
}

/* --- shutdown --- */

/* Is nobody responsible for it, and nothing queued? */
static bool mailbox_rests(const struct sti_mailbox *mailbox)
{
	const struct sti_ring *ring;
	uint64_t idle_at, word;

	sti_rcu_read_lock();
	/* A6: pairs with R6 in head_advance(). */
	ring = atomic_load_explicit(&mailbox->head.ring, memory_order_acquire);
	/* S6: also releases what the callbacks did to whoever finds the position. */
	idle_at = atomic_load_explicit(&ring->idle_at, memory_order_seq_cst);
	/* S6: if it has not moved, the one who let go finds that too, or has found it. */
	word = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
	sti_rcu_read_unlock();
	return sti_ring_is_at_rest(idle_at, word);
}

static bool members_rest(void *arg)
{
	struct stasis_executor *executor = *(struct stasis_executor *const *)arg;
	bool rest = true;

	pthread_mutex_lock(&executor->lock);
	for (const struct sti_mailbox *mailbox = executor->members; rest && mailbox != NULL;
	     mailbox = mailbox->member_next)
		rest = mailbox_rests(mailbox);
	pthread_mutex_unlock(&executor->lock);
	return rest;
}

void sti_executor_settle(struct stasis_executor *executor)
{
	sti_claims_let_go();
	/* Relaxed: see worker_settle(). */
	atomic_fetch_add_explicit(&executor->drainers, 1, memory_order_relaxed);
	drain_wait(executor, members_rest, &executor);
	drain_owed(executor);
	/* Relaxed: as above. */
	atomic_fetch_sub_explicit(&executor->drainers, 1, memory_order_relaxed);
}
