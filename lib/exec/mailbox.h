/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_EXEC_MAILBOX_H
#define STI_EXEC_MAILBOX_H

/* exec/mailbox.h — a queue with somebody responsible for emptying it
 *
 * At any moment a mailbox is exactly one of
 *   idle     nobody is responsible; idle_at in its ring is the position of the next push
 *   claimed  a thread has moved idle_at to NONE and is about to queue it
 *   queued   in the run queue of one worker
 *   running  with one thread, which takes and delivers
 *   done     the final message has been delivered
 * idle -> claimed -> queued -> running -> { queued, idle, done }. The step from idle is one CAS
 * (S4 in ring/ring.h), every other is made by the one who is responsible, so deliveries of a
 * mailbox never overlap and it is never queued twice.
 *
 * Threads: push and close by any thread inside an RCU read section; run by the one responsible.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "exec/release.h"
#include "ring/ring.h"

struct stasis_executor;
struct sti_mailbox;
struct sti_worker;

/* Where a thread is when it delivers: on its stack, innermost first. */
struct sti_context {
	struct sti_release release;
	struct sti_mailbox *mailbox; /* being run; NULL between turns */
	struct stasis_executor *executor;
	struct sti_worker *worker; /* NULL: a thread that stands in for workers that have ended */
	struct sti_context *outer;
};

struct sti_mailbox_ops {
	/* Delivers n items, 1 at least, and consumes them. */
	void (*deliver)(struct sti_mailbox *mailbox, void **items, size_t n,
			struct sti_context *context);
	/* Delivers the end. Called once, last; may free the mailbox. */
	void (*final)(struct sti_mailbox *mailbox, struct sti_context *context);
};

/* Bits of sti_mailbox.flags. */
#define STI_MAILBOX_REFUSING 1u /* the executor is shut down: takes no items any more */
#define STI_MAILBOX_DONE 2u	/* the final callback has returned, references are dropped */

/* 48 bytes that producers read, then 64 for whoever runs it: with the 16-byte object header in
 * front, two lines. A mailbox is the beginning of an object of the library, and is referenced as
 * such. */
struct sti_mailbox {
	/* producers read; rarely written */
	struct sti_mpsc_tail tail;
	struct stasis_executor *executor;
	const struct sti_mailbox_ops *ops;
	_Atomic uint32_t flags;
	_Atomic uint16_t home; /* the worker that ran it last: a hint */
	uint16_t batch;
	_Atomic uint64_t dropped; /* by producers: what it did not take */
	/* whoever is responsible */
	struct sti_mailbox *run_next;

	/* whoever runs it; figures are read by anybody */
	struct sti_mpsc_head head;
	_Atomic uint64_t delivered;
	_Atomic uint64_t depth_max;
	/* const after init: for ops, which run with this line at hand */
	void (*user_callback)(void);
	void *user_data;
	void *user_origin;

	union {
		/* executor->lock, while attached */
		struct {
			struct sti_mailbox *member_prev, *member_next;
		};
		/* afterwards: to free it */
		struct sti_rcu_head rcu;
	};
};

enum sti_turn {
	STI_TURN_GONE, /* idle, done, or somebody else's */
	STI_TURN_MORE, /* still responsible: its batch was used up, or a ring follows */
	STI_TURN_CAUGHT_UP, /* still responsible: found items, and no more for now */
	STI_TURN_HOLE, /* still responsible: the next item is being pushed */
};

/* 0 or -ENOMEM. The mailbox is zeroed before. order, embedded: as for sti_mpsc_init(). */
int sti_mailbox_init(struct sti_mailbox *mailbox, const struct sti_mailbox_ops *ops,
		     struct stasis_executor *executor, unsigned batch, unsigned order,
		     void *embedded);

/* Nobody may be inside a push. */
void sti_mailbox_deinit(struct sti_mailbox *mailbox);

/* Runs a mailbox for a turn. linger: do not let go of it when it has had items. *np: delivered. */
enum sti_turn sti_mailbox_run(struct sti_mailbox *mailbox, struct sti_context *context, bool linger,
			      size_t *np);

/* Runs it until it is idle or done. */
void sti_mailbox_run_out(struct sti_mailbox *mailbox, struct sti_context *context);

/* This thread's innermost delivery; NULL outside callbacks. */
struct sti_context *sti_context_current(void);
void sti_context_enter(struct sti_context *context, struct stasis_executor *executor,
		       struct sti_worker *worker);
void sti_context_leave(struct sti_context *context);

#endif
