/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_EXEC_MANUAL_H
#define STI_EXEC_MANUAL_H

/* exec/manual.h — an executor without threads, and the descriptor that says when it has work
 *
 * One run queue. Publishers push to it; whoever calls sti_executor_run_some() is a runner, and
 * there may be several. What only a queue's owner may do is done under a lock that publishers never
 * take and that nobody holds during a callback.
 *
 * The descriptor is an eventfd, written and read as seldom as can be. A word says how it stands:
 *   bits 2..63  epoch: how many times runners have cleared it
 *   bits 0..1   CLEAR       it need not be readable
 *               SIGNALLING  some publisher has begun to make it readable
 *               SET         it is; or a runner is about to clear this and to look at the queue then
 *
 *   Publisher: push the mailbox, then look at the word (S5).
 *     SET         nothing to do
 *     CLEAR       CAS to SIGNALLING, write, CAS to SET
 *     SIGNALLING  somebody is at it, who may have been stopped: write, CAS to SET
 *   Runner that finds the queue empty, under the lock: read, store the next epoch with CLEAR, then
 *   look at the queue again (S5). If something is there, go on as a publisher does.
 *
 *   Either the runner's second look finds the mailbox or the publisher finds CLEAR.
 *   SET is true: it was stored after a write, which came after CLEAR of the same epoch, which came
 *   after the read before it. So the next to take that write away is a runner who then looks at the
 *   queue. To read after CLEAR instead could take away what SET of the new epoch stands for; and
 *   without the epoch a publisher that was stopped after its write could turn another's SIGNALLING
 *   into SET after the write had been taken away (tests/model/ready.pml).
 *   The write of one that was stopped before it comes late: readable without work, until the next
 *   run, which clears also when it has found nothing.
 *
 * Progress: publishers never wait, for each other or for runners. A publisher that stops between
 *           push and signal holds up its own mailbox, until another's signal. Runners wait for each
 *           other's few instructions under the lock.
 *
 * Edges
 *   S5  push (CAS inbox), then word  -- store of word, then sti_runqueue_is_empty()
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "exec/mailbox.h"
#include "exec/runqueue.h"

struct stasis_executor;
struct sti_runner;

struct sti_manual {
	struct sti_runqueue queue;

	/* publishers read, seldom write; runners write */
	alignas(STI_CACHELINE) _Atomic uint64_t word;
	int fd; /* const after init */

	/* runners */
	alignas(STI_CACHELINE) _Atomic uint64_t last; /* a thread; 0: none yet */
	_Atomic uint64_t turns;				   /* written under the lock */
	pthread_mutex_t lock;
	struct sti_runner *runners; /* calls in progress */
	uint64_t generation;	    /* goes on with each drain; not 0 */
};

/* 0, -ENOMEM, or what eventfd(2) says. */
int sti_manual_new(struct sti_manual **manualp);

/* NULL is allowed. Nobody may be in any other function. */
void sti_manual_free(struct sti_manual *manual);

/* Queues a mailbox that the caller has claimed; makes the descriptor readable. Any thread, as long
 * as the executor lives. */
void sti_manual_push(struct sti_manual *manual, struct sti_mailbox *mailbox);

/* Takes a mailbox out of the queue. False: it is not there. */
bool sti_manual_pull(struct sti_manual *manual, const struct sti_mailbox *mailbox);

/* For drains: a point in time, and whether all references owed for deliveries before it have been
 * dropped. */
uint64_t sti_manual_mark(struct sti_manual *manual);
bool sti_manual_is_flushed(struct sti_manual *manual, uint64_t mark);

#endif
