/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_EXEC_WORKER_H
#define STI_EXEC_WORKER_H

/* exec/worker.h — a thread that runs mailboxes, and what it does when there are none
 *
 * States of a worker
 *   RUNNING   takes mailboxes from its queue; may be stuck in a callback
 *   SPINNING  looks at its queue all the time
 *   PARKED    sleeps on its event count, or is about to
 *   ENDED     has found STOPPING, and nothing queued; it looks once more after saying so, for
 *             somebody may have had what is queued in his hands then (exec/pull.c)
 *
 * Nothing queued is forgotten:
 *   Worker:  state = PARKED, then look at the queue (S1), then sleep.
 *   Waker:   push to the queue (S1), then look at the state; if PARKED, the one whose
 *            CAS makes it RUNNING signals.
 *   Either the worker sees the push or the waker sees PARKED.
 *
 * Nothing queued behind a stuck callback waits for long:
 *   A waker that finds the worker RUNNING makes sure that there is a watcher: one worker of the
 *   executor that has nothing to do and looks every millisecond whether others get on. A worker
 *   that is not RUNNING needs none. A watcher takes over the queue of a worker that has not turned
 *   since the last look, or that asks for help. It rests for good once it has seen all others
 *   parked; it clears the watcher flag first and looks at them again then (S2), so that either it
 *   sees the worker RUNNING or the waker sees no watcher.
 *
 * Passes: a worker goes round its queue; after each round it drops the references it owes, tells
 * those who drain, and measures how fast items arrive. When they come faster than one per
 * BUSY_GAP_NS, it keeps mailboxes that it has emptied instead of letting them go, and after a round
 * that left all of them empty it looks away for some microseconds: a consumer that polls the line a
 * producer is writing to takes it away at every item.
 *
 * Edges
 *   S1  state = PARKED, then sti_runqueue_is_empty()  -- sti_runqueue_push(), then state
 *   S2  watcher = 0, then others' state               -- state of the target, then watcher
 *   S3  CAS of state from PARKED: one waker signals
 *   R1  store-release flushes, owing  -> A1  references dropped, for sti_executor_drain()
 *   A1  load-acquire flushes, owing   <- R1
 */

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "exec/mailbox.h"
#include "exec/runqueue.h"
#include "sync/eventcount.h"

struct stasis_executor;

enum sti_worker_state {
	STI_WORKER_RUNNING,
	STI_WORKER_SPINNING,
	STI_WORKER_PARKED,
	STI_WORKER_ENDED,
};

/* What a watcher remembers of each of the others. */
struct sti_worker_seen {
	uint64_t turns;
	uint64_t tick;
};

/* How fast items come, and what is done about it. */
struct sti_pace {
	uint64_t start; /* of the measurement; ticks */
	uint64_t items;
	uint64_t pause; /* ticks to look away after a round; 0: not busy */
};

/* One round through the queue. */
struct sti_pass {
	uint64_t start; /* ticks */
	uint64_t turns_left;
	uint64_t turns;
	uint64_t items;
	bool more; /* some mailbox is not empty yet */
	bool hole;
};

struct sti_worker {
	struct sti_runqueue queue;

	/* wakers read; this worker, and a waker when it is PARKED, write */
	alignas(STI_CACHELINE) _Atomic uint32_t state;
	struct sti_eventcount event;
	_Atomic uint32_t appointed; /* by a waker: be the watcher */
	_Atomic uint64_t wakes;

	/* this worker writes; others read */
	alignas(STI_CACHELINE) _Atomic uint64_t turns;
	_Atomic uint64_t parks;
	_Atomic uint64_t steals;
	_Atomic uint32_t flushes; /* times it has dropped what it owed */
	_Atomic uint32_t owing;
	_Atomic uint32_t wants_help;

	/* this worker only */
	alignas(STI_CACHELINE) struct stasis_executor *executor;
	struct sti_pass pass;
	struct sti_pace pace;
	uint64_t holes;	     /* rounds in a row that found nothing but holes */
	uint32_t spin_score; /* how well spinning has paid */
	bool watching;
	bool trimmed;
	struct sti_worker_seen *seen; /* one per worker */
	struct sti_context context;
	STI_RELEASE_ROOM(STI_RELEASE_MANY) many;

	/* creator only */
	pthread_t thread;
};

void *sti_worker_main(void *arg);

/* Wakes this worker if it is parked. True if it was. Any thread. */
bool sti_worker_wake(struct sti_worker *worker);

#endif
