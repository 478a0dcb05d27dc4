/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_SUBSCRIBERS_H
#define STI_BUS_SUBSCRIBERS_H

/* bus/subscribers.h — the array of a topic's subscriptions that publishers walk
 *
 * Immutable but for one thing: changing it means publishing a copy and leaving the old one to RCU.
 * When there is no memory for a copy without a subscription, its place is emptied instead; the next
 * copy leaves it out.
 *
 * It holds no reference: a subscription is taken out before its final message, and the bus's
 * reference to it is dropped a grace period after that message.
 *
 * Threads: walked by any thread inside an RCU read section; changed under the topic's lock.
 *
 * Edges
 *   R1  store-release topic->subscribers  -> A1  the array, and the subscriptions in it
 *   A1  load-acquire topic->subscribers   <- R1
 */

#include <stdatomic.h>
#include <stddef.h>

#include "sync/rcu.h"

struct stasis_subscription;

struct sti_subscribers {
	/* const after init */
	size_t n;
	/* Emptied (NULL) under the topic's lock. */
	struct sti_rcu_head rcu;
	_Atomic(struct stasis_subscription *) subs[];
};

typedef _Atomic(struct sti_subscribers *) sti_subscribers_ptr;

void sti_subscribers_init(sti_subscribers_ptr *pointer);
void sti_subscribers_deinit(sti_subscribers_ptr *pointer);

/* Under the topic's lock. 0 or -ENOMEM. */
int sti_subscribers_add(sti_subscribers_ptr *pointer, struct stasis_subscription *sub);

/* Under the topic's lock. Cannot fail. */
void sti_subscribers_remove(sti_subscribers_ptr *pointer, struct stasis_subscription *sub);

/* Inside a read section. */
static inline struct sti_subscribers *sti_subscribers_get(const sti_subscribers_ptr *pointer)
{
	/* A1: pairs with R1 in subscribers.c. */
	return atomic_load_explicit(pointer, memory_order_acquire);
}

static inline struct stasis_subscription *sti_subscribers_at(const struct sti_subscribers *subs,
							     size_t i)
{
	/* Relaxed: A1 has ordered what it points to; it only ever changes to NULL. */
	return atomic_load_explicit(&subs->subs[i], memory_order_relaxed);
}

/* How many there are. Inside a read section. */
size_t sti_subscribers_count(const struct sti_subscribers *subs);

#endif
