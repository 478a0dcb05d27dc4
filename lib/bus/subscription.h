/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_SUBSCRIPTION_H
#define STI_BUS_SUBSCRIPTION_H

/* bus/subscription.h — what is inside a subscription
 *
 * One block of seven lines: object header, mailbox, the final message, the first ring. The final
 * message is built in, so ending a subscription needs no memory.
 *
 * References to a subscription
 *   application   from subscribe until unsubscribe
 *   bus           from subscribe until a grace period after the final callback: so long publishers
 *                 may find it in an array
 *   final message from unsubscribe until the last subscriber has dropped it
 *   drain         while it waits
 * References of a subscription: its topic and its executor, until it is freed.
 *
 * Edges
 *   R1  fetch-or flags (DONE)     final     -> A1  what the final callback did
 *   A1  load-acquire flags        is_done, join <- R1
 *   X1  fetch-or flags (ENDED)    unsubscribe: one of several ends it
 *   R2  store-release filter      accept, decline, set_filter -> A2  the set of types
 *   A2  load-acquire filter       <- R2
 */

#include <stasis/subscription.h>

#include "bus/message.h"
#include "exec/mailbox.h"
#include "ring/run.h"
#include "sync/eventcount.h"

/* The last message, in place: its own object, whose end drops a reference to the subscription. */
struct sti_final_message {
	struct sti_object object;
	struct stasis_message message;
	struct stasis_subscription_change change;
};

struct sti_filter;
struct sti_pending;

/* Ten digits of six bits, and the end. */
#define STI_UNIQUEID_SIZE 11

/* On 64-bit machines the first ring begins a line by itself. */
#define STI_SUBSCRIPTION_PAD (sizeof(void *) == 8 ? 0 : STI_CACHELINE)

struct stasis_subscription {
	struct sti_mailbox mailbox; /* first: a mailbox begins an object */

	/* whoever ends it; then readers of the message, which is an item like others */
	alignas(2 * STI_RUN_PLACE) struct sti_final_message final;

	/* RCU: published under the topic's lock */
	_Atomic(struct sti_filter *) filter; /* NULL: accepts everything */
	/* const after init */
	char uniqueid[STI_UNIQUEID_SIZE];
	bool named : 1; /* its name is behind the ring; otherwise it has the topic's */
	bool distinct : 1;
	/* any thread: atomic */
	struct sti_eventcount done;

	/* the first ring, and what it may take to begin a line; see below */
	unsigned char ring[STI_RING_MIN_SIZE + STI_SUBSCRIPTION_PAD];
};

static_assert(offsetof(struct sti_final_message, message) % (2 * STI_RUN_PLACE) == 0,
	      "the final message's address is one of an item");

static inline struct stasis_topic *sti_subscription_topic(const struct stasis_subscription *sub)
{
	return sub->mailbox.user_origin;
}

static inline void *sti_subscription_ring(struct stasis_subscription *sub)
{
	size_t offset = (uintptr_t)sub->ring % STI_CACHELINE;

	return STI_SUBSCRIPTION_PAD == 0 || offset == 0 ? sub->ring :
							  sub->ring + STI_CACHELINE - offset;
}

static inline const char *sti_subscription_own_name(const struct stasis_subscription *sub)
{
	return sub->named ? (const char *)(sub + 1) : NULL;
}

/* Inside a read section, or under the topic's lock. */
static inline struct sti_filter *sti_subscription_filter(const struct stasis_subscription *sub)
{
	/* A2: pairs with R2 in bus/filter.c. */
	return atomic_load_explicit(&sub->filter, memory_order_acquire);
}

extern const struct sti_mailbox_ops sti_subscription_ops;

/* Is the calling thread inside a callback of this subscription? */
bool sti_subscription_is_current(const struct stasis_subscription *sub);

/* As stasis_subscribe_with(), selective from the start though it accepts no types. */
struct stasis_subscription *sti_subscribe_selective(struct stasis_topic *topic,
						    stasis_subscription_cb callback, void *data,
						    const struct stasis_subscribe_options *options);

/* As stasis_subscribe_with(), and calls a function with the new subscription before it is among the
 * topic's subscribers. Callbacks that would run here are put into a list, for later. */
struct stasis_subscription *
sti_subscribe_prepared(struct stasis_topic *topic, stasis_subscription_cb callback, void *data,
		       const struct stasis_subscribe_options *options,
		       void (*prepared)(void *arg, struct stasis_subscription *sub), void *arg,
		       struct sti_pending *later);

#endif
