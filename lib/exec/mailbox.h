/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_EXEC_MAILBOX_H
#define STI_EXEC_MAILBOX_H

/* exec/mailbox.h — a queue with somebody responsible for emptying it
 *
 * At any moment a mailbox is exactly one of
 *   idle     nobody is responsible; idle_at in its ring is the position of the next push
 *   claimed  a thread has moved idle_at to NONE, or to CARRYING and then to NONE, and is about to
 *            queue it, or to run it. It may have an item that is carried, and comes before what is
 *            in the ring ("Carry" there)
 *   queued   in the run queue of one worker
 *   running  with one thread, which takes and delivers
 *   done     the final message has been delivered
 * idle -> claimed -> { queued, running }, queued -> running -> { queued, idle, done }. The step
 * from idle is one CAS (S4 in ring/protocol.h), every other is made by the one who is responsible,
 * so deliveries of a mailbox never overlap and it is never queued twice.
 *
 * Threads: push and close by any thread inside an RCU read section; run by the one responsible.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "exec/limits.h"
#include "exec/release.h"
#include "ring/run.h"

struct stasis_executor;
struct sti_mailbox;
struct sti_worker;

/* Where a thread is when it delivers: on its stack, innermost first. All is set by
 * sti_context_enter(). */
struct sti_context {
	struct sti_release release;
	struct sti_mailbox *mailbox; /* being run; NULL between turns */
	struct stasis_executor *executor;
	struct sti_worker *worker; /* NULL: not a worker of the executor */
	struct sti_context *outer;
	const struct sti_context *self; /* while it is entered */
	int cancel; /* the thread's, before: it is not cancelled here */
	bool linger; /* keep a mailbox that has been emptied, for it will have more */
	/* no worker's: nobody looks after it, so references are dropped before deliveries are
	 * counted, and drainers told before a mailbox is let go */
	bool eager;
	/* callbacks in a turn, besides its batch; 0: no limit. If eager, the end may be one more */
	size_t max;
};

struct sti_mailbox_ops {
	/* Delivers n items, 1 at least, and consumes them. */
	void (*deliver)(struct sti_mailbox *mailbox, void **items, size_t n,
			struct sti_context *context);
	/* Delivers n items that follow each other in a run, 1 at least, and consumes them. NULL:
	 * items are never places of one. */
	void (*deliver_run)(struct sti_mailbox *mailbox, const struct sti_place *first, size_t n,
			    struct sti_context *context);
	/* Delivers the end. Called once, last; may free the mailbox. */
	void (*final)(struct sti_mailbox *mailbox, struct sti_context *context);
	/* The queue has become too long, or is short again. Only with limits. */
	void (*congestion)(struct sti_mailbox *mailbox, bool congested);
};

/* Bits of sti_mailbox.flags. */
#define STI_MAILBOX_REFUSING 1u /* the executor is shut down: takes no items any more */
#define STI_MAILBOX_DONE 2u	/* the final callback has returned, references are dropped */
#define STI_MAILBOX_WATCHED 4u	/* its depth is looked at after each push; since its beginning */
#define STI_MAILBOX_WHOLE 8u	/* takes all of a batch or none of it; since its beginning */
#define STI_MAILBOX_ENDED 16u	/* its owner has ended it; the queue is closed soon */
#define STI_MAILBOX_INLINE 32u	/* no limits, and publishers deliver; since its beginning */

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
		struct {
			/* executor->lock, while attached */
			struct sti_mailbox *member_prev, *member_next;
			/* whoever is responsible: an item that comes before what is queued */
			void *carried;
		};
		/* afterwards: to free it */
		struct sti_rcu_head rcu;
	};
	/* const after init */
	struct sti_limits *limits; /* NULL: grows without end, and nobody watches it */
};

/* Must a push look before it goes in? but: flags that do not matter to it. In a read section. */
STI_INLINE bool sti_mailbox_is_flagged(const struct sti_mailbox *mailbox, uint32_t but)
{
	/* A2: if REFUSING is not set, workers live until this read section has ended; pairs with R2
	 * in executor_begin_close(). */
	return sti_unlikely((atomic_load_explicit(&mailbox->flags, memory_order_acquire) & ~but) !=
			    0);
}

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

/* Gives an initialized mailbox, that nobody knows yet, limits, which it takes over, also on
 * failure. Their capacity is 0 or a power of two; if it is not 0, embedded is for the one ring
 * there is then. 0 or -ENOMEM. */
int sti_mailbox_limit(struct sti_mailbox *mailbox, struct sti_limits *limits, void *embedded);

/* Nobody may be inside a push. */
void sti_mailbox_deinit(struct sti_mailbox *mailbox);

/* Runs a mailbox for a turn. *np: callbacks, the final one included. */
enum sti_turn sti_mailbox_run(struct sti_mailbox *mailbox, struct sti_context *context,
			      size_t *np);

/* Have the first pushed items been delivered, or given up to make room? *seenp is 0 at the first
 * look, and this function's from then on. Any thread. */
bool sti_mailbox_has_settled(const struct sti_mailbox *mailbox, uint64_t pushed, uint64_t *seenp);

/* Wakes publishers that wait for room, to look again. Any thread. */
void sti_mailbox_wake_waiters(struct sti_mailbox *mailbox);

/* Has a push made the queue too long, as far as can be seen? Then the caller has to call the next,
 * outside read sections, before it lets go of the mailbox; if it cannot, another push will be seen.
 * Any thread. */
bool sti_mailbox_has_crossed(const struct sti_mailbox *mailbox);
void sti_mailbox_tell_congestion(struct sti_mailbox *mailbox);

/* Lets go of a mailbox if it is empty and has not ended. */
bool sti_mailbox_let_go(struct sti_mailbox *mailbox, struct sti_context *context);

/* Lets go of a mailbox that has been emptied, and delivers the end if that has come. MORE if it has
 * not been run, and carries something. */
enum sti_turn sti_mailbox_rest(struct sti_mailbox *mailbox, struct sti_context *context,
			       size_t *np);

/* Runs it until it is idle or done. */
void sti_mailbox_run_out(struct sti_mailbox *mailbox, struct sti_context *context);

static inline bool sti_mailbox_is_watched(const struct sti_mailbox *mailbox)
{
	return mailbox->limits != NULL && mailbox->limits->high != 0;
}

/* How many deliveries are inside each other on this thread. */
unsigned sti_context_depth(void);

/* This thread's innermost delivery; NULL outside callbacks. This and the next abort if they find
 * that the callback in it was left by longjmp(): then it is not there any more. */
struct sti_context *sti_context_current(void);

/* Until it is left, the thread is not cancelled. A function that has the context on its stack is
 * STI_NOINLINE. */
void sti_context_enter(struct sti_context *context, struct stasis_executor *executor,
		       struct sti_worker *worker);
/* For a thread that is in the way of what it delivers, and likely to have made it. */
void sti_context_enter_here(struct sti_context *context, struct stasis_executor *executor);
void sti_context_leave(struct sti_context *context);

#endif
