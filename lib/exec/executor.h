/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_EXEC_EXECUTOR_H
#define STI_EXEC_EXECUTOR_H

/* exec/executor.h — a pool of workers, or none of its own (manual.h), and its mailboxes
 *
 * Phases: OPEN -> CLOSING -> STOPPING.
 *   CLOSING   no mailbox may be attached; all have REFUSING set. A grace period later, every
 *   publisher
 *             who did not see that has pushed and scheduled.
 *   STOPPING  workers end when their queues are empty. So all that was pushed is delivered, but for
 *             what threads that are no workers have at hand: publishers that deliver themselves,
 *             runners of a manual executor, closers.
 * A mailbox that is closed while REFUSING is run by the closer, if it was idle: nobody else would.
 *
 * Shutdown therefore waits for the members to rest (drain.c), after it has joined the workers. In
 * this order the usual first look finds all of them at rest, and nothing can be missed: since the
 * grace period, whoever is not a worker runs to the end what it has at hand, for
 * sti_executor_submit() gives nothing to workers any more. So it needs none of them, and none of
 * them needs it. A manual executor has no workers to join, and is run until its members rest.
 *
 * Memory: the object's references and each worker thread hold the structure; the last to let go
 * frees it, so an executor may be dropped by its own worker.
 *
 * Threads: as said at each function. Lock: mailboxes may be attached and detached by any thread;
 *          held for a few instructions, and for one walk by drain and shutdown.
 *
 * Edges
 *   R1  fetch-sub holders -> A1  uses of the structure before it is freed
 *   A1  fetch-sub holders <- R1
 *   R2  fetch-or flags (REFUSING) -> A2  and a grace period, before workers stop
 *   A2  load-acquire flags        <- R2  (submit, publish)
 *   S1, S2, S3: see worker.h.
 *   S4  store of phase, then state of the workers (S1): a worker about to park sees STOPPING, or it
 *       is seen PARKED and woken.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stasis/executor.h>

#include "exec/mailbox.h"
#include "exec/worker.h"
#include "sync/rcu.h"

enum sti_executor_phase { STI_EXECUTOR_OPEN, STI_EXECUTOR_CLOSING, STI_EXECUTOR_STOPPING };

struct stasis_executor {
	/* const after init */
	struct sti_worker *workers;
	unsigned n_workers;
	struct sti_manual *manual; /* NULL: there are workers */
	enum stasis_wait wait;
	bool by_library; /* started as the default, held by nobody else */
	uint64_t spin_ns;
	char name[12];

	/* any thread: atomic */
	_Atomic uint32_t phase;
	_Atomic uint32_t watcher; /* is there one? */
	_Atomic uint32_t n_parked;
	_Atomic uint32_t next_home;
	_Atomic uint32_t holders;
	_Atomic uint32_t drainers;
	struct sti_eventcount drained; /* signalled after each round while there are drainers */

	/* lock */
	pthread_mutex_t lock;
	struct sti_mailbox *members;
	size_t n_members;
	uint64_t detached_delivered; /* by those that have been detached */

	/* shutdown_lock: held while threads are joined */
	pthread_mutex_t shutdown_lock;
	bool joined;

	/* sti_rcu_call(), for a shutdown from a callback */
	struct sti_rcu_head rcu;
};

/* Does somebody wait for deliveries? A hint. Relaxed: a drainer that is missed looks again by
 * itself within a millisecond. */
static inline bool sti_executor_has_drainers(const struct stasis_executor *executor)
{
	return sti_unlikely(atomic_load_explicit(&executor->drainers, memory_order_relaxed) != 0);
}

/* To be called by whoever has delivered. */
static inline void sti_executor_tell_drainers(struct stasis_executor *executor)
{
	if (sti_executor_has_drainers(executor))
		sti_eventcount_signal(&executor->drained);
}

/* 0 or -ESHUTDOWN. Gives the mailbox a home. */
int sti_executor_attach(struct stasis_executor *executor, struct sti_mailbox *mailbox);
void sti_executor_detach(struct stasis_executor *executor, struct sti_mailbox *mailbox);

/* Queues a mailbox that the caller has claimed; wakes somebody if need be. Any thread, inside the
 * read section in which REFUSING was found not to be set. */
void sti_executor_schedule(struct sti_mailbox *mailbox);

/* The same outside read sections, whatever the phase: runs the mailbox on this thread when there
 * are no workers any more. */
void sti_executor_submit(struct sti_mailbox *mailbox);

/* Is the calling thread delivering for this executor? */
bool sti_executor_is_current(const struct stasis_executor *executor);

/* Is it its only worker? Never, of a manual one. */
bool sti_executor_alone(const struct stasis_executor *executor);

/* Is it manual, and was this thread the last in stasis_executor_run(), or nobody there yet? */
bool sti_executor_may_run(const struct stasis_executor *executor);

/* Is it manual, and was this thread the last in stasis_executor_run()? */
bool sti_executor_ran_here(const struct stasis_executor *executor);

/* Has this thread ever been in stasis_executor_run()? */
bool sti_thread_runs_loops(void);

/* Is it one with workers, or does it run on this thread? */
bool sti_executor_runs_here(const struct stasis_executor *executor);

/* What stasis_executor_run() does, without taking note of the thread. How many callbacks were made:
 * 0 also when all that is queued waits for publishers in the middle of a push. Manual ones only. */
size_t sti_executor_run_some(struct stasis_executor *executor, size_t max);

/* Waits until nobody is responsible for any member; a manual executor is run meanwhile. Only after
 * the grace period of a shutdown, and not inside its callbacks. */
void sti_executor_settle(struct stasis_executor *executor);

/* Takes a mailbox out of the queue it is in, for the caller to run. False: it is not queued, or on
 * its way. Any thread that holds a reference; not inside a read section. */
bool sti_executor_pull(const struct sti_mailbox *mailbox);

/* Makes sure that somebody watches while a worker is busy. */
void sti_executor_watch(struct stasis_executor *executor);

/* Runs a mailbox that the caller is responsible for, up to its batch, in a context of
 * sti_context_enter_here(); workers do the rest. Not inside a read section. */
void sti_executor_run_turn(struct sti_mailbox *mailbox, struct sti_context *context);

/* Runs a mailbox that the caller is responsible for until it is idle or done, on this thread. Not
 * inside a read section. */
void sti_executor_run_out(struct sti_mailbox *mailbox);

/* Ends a queue: what was pushed is delivered, then the final message. serve: what to do with the
 * mailbox if it is the caller's to run, such as sti_executor_submit(). The caller holds a
 * reference; not inside a read section. */
void sti_executor_close(struct sti_mailbox *mailbox, void (*serve)(struct sti_mailbox *mailbox));

/* Lets go of the structure; frees it when nobody holds it any more. */
void sti_executor_leave(struct stasis_executor *executor);

/* A reference to the default executor, started if need be; NULL with errno. */
struct stasis_executor *sti_executor_default_ref(void);

/* Called by shutdown with a reference that is about to be consumed. If the executor is the default,
 * it is so no longer: the reference to one that the library started is what is about to be
 * consumed; that to an application's own is dropped. */
void sti_executor_default_clear(struct stasis_executor *executor);

#endif
