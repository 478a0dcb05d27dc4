/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_EXEC_RUNQUEUE_H
#define STI_EXEC_RUNQUEUE_H

/* exec/runqueue.h — the mailboxes that wait for a worker
 *
 * Three places, so that no step of anybody's makes another wait:
 *   inbox     a stack that any thread pushes to and that is only ever taken as a whole
 *   overflow  what did not fit below: a chain in order, taken as a whole
 *   slots     a bounded FIFO: the owner puts in, the owner and thieves take out
 * All three can be emptied by anybody, so a worker that is stuck in a callback takes nobody but
 * the one it runs with it. Taking a chain as a whole, and positions of 64 bits, leave no ABA.
 *
 * Threads: push, steal, pull, take and is_empty by any; next and requeue by the owner.
 *
 * Edges
 *   R1  CAS inbox                -> A1  run_next, and the responsibility for the mailbox
 *   A1  exchange inbox           <- R1
 *   R2  store-release overflow   -> A2  the chain
 *   A2  exchange overflow        <- R2
 *   R3  store-release tail       -> A3  the slots below
 *   A3  load-acquire tail        <- R3
 *   R4  CAS head                 -> A4  the slot is read before it is reused
 *   A4  load-acquire head        <- R4  (owner, in slots_put)
 *   S1  CAS inbox, then load of the worker's state in schedule.c: see worker.h.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define STI_RUNQUEUE_SLOTS 1024u /* a power of two */

struct sti_mailbox;

struct sti_runqueue {
	/* any thread: atomic */
	alignas(STI_CACHELINE) _Atomic(struct sti_mailbox *) inbox;
	/* owner writes; owner and thieves take */
	alignas(STI_CACHELINE) _Atomic(struct sti_mailbox *) overflow;
	_Atomic uint64_t tail;
	/* owner and thieves */
	alignas(STI_CACHELINE) _Atomic uint64_t head;
	alignas(STI_CACHELINE) _Atomic(struct sti_mailbox *) slots[STI_RUNQUEUE_SLOTS];
};

void sti_runqueue_init(struct sti_runqueue *queue);

/* Any thread that is responsible for the mailbox; passes that on. */
void sti_runqueue_push(struct sti_runqueue *queue, struct sti_mailbox *mailbox);

/* The oldest, or NULL. Owner. */
struct sti_mailbox *sti_runqueue_next(struct sti_runqueue *queue);

/* To the back. Owner. */
void sti_runqueue_requeue(struct sti_runqueue *queue, struct sti_mailbox *mailbox);

/* Moves about half of what the victim has to the thief's queue; returns one of them, or NULL.
 * *np: how many. The thief's owner. */
struct sti_mailbox *sti_runqueue_steal(struct sti_runqueue *thief, struct sti_runqueue *victim,
				       unsigned *np);

/* Takes a mailbox out, wherever it is; what it finds on the way it puts behind, and then *movedp is
 * set: the caller wakes the owner as after a push. False: it is not there, or in the hands of the
 * owner or a thief. Any thread. */
bool sti_runqueue_pull(struct sti_runqueue *queue, const struct sti_mailbox *mailbox,
		       bool *movedp);

/* Any of those in it, or NULL. Any thread. */
struct sti_mailbox *sti_runqueue_take(struct sti_runqueue *queue);

/* A hint, unless the caller knows that nobody changes it. */
bool sti_runqueue_is_empty(const struct sti_runqueue *queue);

/* How many are in the slots: a hint, and exact for the owner while nobody steals. */
uint64_t sti_runqueue_length(const struct sti_runqueue *queue);

#endif
