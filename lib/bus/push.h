/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_PUSH_H
#define STI_BUS_PUSH_H

/* bus/push.h — one publish under way, and every push that is not plain success
 *
 * Items in a subscription's queue are messages, or, with bit 1 of the word set, somebody's request
 * to be told when the message has been handled (bus/sync.h), or, with bit 2 set, cells of a chain
 * (bus/chain.h): messages that may be pushed more than once, or, with bit 3 set, places of a bundle
 * (bus/bundle.h): messages of a batch.
 *
 * Threads: a delivery has one, the publisher's. Functions are called inside its RCU read section.
 */

#include <stddef.h>

#include "bus/pending.h"
#include "bus/subscribers.h"
#include "bus/subscription.h"

#define STI_ITEM_SYNC ((uintptr_t)2)

struct sti_delivery {
	struct stasis_message *const *messages; /* in order; a reference each per subscription */
	size_t n;
	unsigned flags; /* STI_PUBLISH_... */
	const struct stasis_subscription *but;
	uint64_t deadline_ns; /* for waiting; 0: none */
	size_t refused; /* those that a subscription should have taken */
	struct sti_pending pending;
};

/* A push of messages, of which left did not go in: wakes, refuses, makes room, or notes what has to
 * be done later. */
void sti_push_settle(struct sti_delivery *delivery, struct stasis_subscription *sub,
		     enum sti_push push, struct stasis_message *const *messages, size_t left);

/* Pushes the one item of a delivery. */
void sti_push_item(struct sti_delivery *delivery, struct stasis_subscription *sub);

/* Pushes all messages. */
void sti_push_all(struct sti_delivery *delivery, struct stasis_subscription *sub);

/* Pushes all messages to a subscription whose mailbox has a flag set. */
void sti_push_flagged(struct sti_delivery *delivery, struct stasis_subscription *sub);

/* To a subscription that has not got all of what came before. */
void sti_push_behind(struct sti_delivery *delivery, struct stasis_subscription *sub);

/* Gives back the references to messages that a subscription does not get. */
void sti_push_drop(struct sti_delivery *delivery, struct stasis_message *const *messages, size_t n);

/* Makes room in a full queue whose policy is DROP_OLDEST. False: there cannot be any, for the
 * oldest is still being pushed, or the queue has ended. */
bool sti_push_evict(struct sti_pending *pending, struct stasis_subscription *sub);

/* Pushes items (without any: waits until the queue is not full) as room comes, until a deadline (of
 * sti_clock_monotonic_ns(); 0: none) or until the queue ends or its executor shuts down. What came
 * last; *pushedp: how many went in. Outside read sections; the caller holds a reference. */
enum sti_push sti_push_wait(struct stasis_subscription *sub, void *const *items, size_t n,
			    uint64_t deadline_ns, size_t *pushedp);

/* Does the calling thread deliver to an idle subscription by itself? */
bool sti_push_may_deliver(const struct stasis_subscription *sub);

/* Must the calling thread not wait for room in this subscription's queue? */
bool sti_push_must_not_wait(const struct stasis_subscription *sub);

/* Says that this thread publishes to the subscription alone, and lets another who does go on for a
 * while, if neither can be delivered soon. */
void sti_push_take_turn(struct stasis_subscription *sub);

/* How far ahead of the delivery at hand the next subscriptions' lines are fetched. */
#define STI_FETCH_MAILBOX 6
#define STI_FETCH_RING 3

/* Fetches what the next deliveries will write to, while this one waits for its own. */
STI_INLINE void sti_push_fetch_ahead(const struct sti_subscribers *subs, size_t n, size_t i)
{
	if (i + STI_FETCH_MAILBOX < n)
		sti_prefetch_read(sti_subscribers_at(subs, i + STI_FETCH_MAILBOX));
	if (i + STI_FETCH_RING < n) {
		struct stasis_subscription *sub = sti_subscribers_at(subs, i + STI_FETCH_RING);

		/* Relaxed: nothing is read there. */
		if (sub != NULL)
			sti_prefetch_write(atomic_load_explicit(&sub->mailbox.tail.ring,
								memory_order_relaxed));
	}
}

static inline bool sti_push_is_whole(enum sti_push push)
{
	return !(push & (STI_PUSH_ENDED | STI_PUSH_NOMEM | STI_PUSH_FULL));
}

/* Pushes the one item of a delivery, whatever the mailbox's flags. item: delivery->messages[0],
 * which a compiler may not keep in a register. */
STI_INLINE void sti_push_plainly(struct sti_delivery *delivery, struct stasis_subscription *sub,
				 struct stasis_message *item)
{
	enum sti_push push = sti_mpsc_push(&sub->mailbox.tail, item);

	if (sti_unlikely(push != STI_PUSH_OK))
		sti_push_settle(delivery, sub, push, delivery->messages, !sti_push_is_whole(push));
}

#endif
