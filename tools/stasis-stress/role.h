/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_ROLE_H
#define SS_ROLE_H

/* role.h — the threads of a round, and what each does again and again
 *
 * A thread has a slot, which stays when the thread is replaced by another (faults/exit.c): its
 * author, its random numbers and its role go on.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net.h"

/* How a thread is to leave; faults/exit.c. */
enum ss_leave {
	SS_LEAVE_NONE,
	SS_LEAVE_RETURN,
	SS_LEAVE_EXIT,	 /* pthread_exit() */
	SS_LEAVE_CANCEL, /* cancelled at the next point */
	SS_LEAVE_KEYS,	 /* publishes from destructors of thread-specific data */
	SS_LEAVE_N,
};

struct ss_slot {
	struct ss_net *net;
	unsigned index; /* 0 to n_threads - 1: also its author */
	enum ss_role_kind role;
	uint64_t random;
	pthread_t thread;
	_Atomic int tid;
	_Atomic(const char *) doing; /* for whoever wonders */
	_Atomic uint64_t n_ops;	     /* relaxed: a figure */
	_Atomic int leave;	     /* enum ss_leave */
	_Atomic bool gone;	     /* it has left, and can be joined */
	unsigned keys_left;	     /* rounds of destructors still to come */
};

/* The threads of the round that runs; NULL and 0 between rounds. */
extern struct ss_slot *ss_slots;
extern unsigned ss_n_slots;

void ss_roles_start(struct ss_net *net);

/* Joins them all; they have been told to stop. */
void ss_roles_join(void);
void ss_roles_free(void);

/* Keeps whoever makes messages from running away from workers. */
void ss_keep_pace(struct ss_slot *slot);

/* Puts a new thread in the place of one that has gone, if it has gone for good. */
void ss_role_replace(struct ss_slot *slot);

const char *ss_role_name(enum ss_role_kind role);

/* The thread's slot; NULL: it has none. */
struct ss_slot *ss_slot_self(void);

static inline void ss_doing(struct ss_slot *slot, const char *what)
{
	atomic_store_explicit(&slot->doing, what, memory_order_relaxed);
}

/* One round of each role. visit.c, and role.c the rest. */
void ss_visit(struct ss_slot *slot);
void ss_join_somebody(struct ss_slot *slot);
void ss_forward_somewhere(struct ss_slot *slot);
void ss_run_executor(struct ss_slot *slot);

/* Leaves, if it is told to; faults/exit.c. Does not return then, or returns true. */
bool ss_slot_leaves(struct ss_slot *slot);

#endif
