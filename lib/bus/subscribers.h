/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_SUBSCRIBERS_H
#define STI_BUS_SUBSCRIBERS_H

/* bus/subscribers.h — whom a topic leads to: the array that publishers walk
 *
 * Three parts: subscriptions that take everything; selective ones, each with its filter's mask
 * beside it, so that those who would decline are passed over eight at a time without a look at
 * them; and the topics that forwards lead to. Most topics have the first part only (plain).
 *
 * Immutable but for one thing: changing it means publishing a copy and leaving the old one to RCU.
 * When there is no memory for a copy without an entry, its place is emptied instead; the next copy
 * leaves it out.
 *
 * It holds no reference: a subscription is taken out before its final message, and the bus's
 * reference to it is dropped a grace period after that message. A forward's reference to its target
 * is dropped a grace period after the forward has been taken out.
 *
 * Threads: walked by any thread inside an RCU read section; changed under the topic's lock.
 *
 * Edges
 *   R1  store-release topic->subscribers  -> A1  the array, and what is in it
 *   A1  load-acquire topic->subscribers   <- R1
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/rcu.h"

struct stasis_subscription;
struct stasis_topic;
struct sti_filter;

struct sti_subscribers {
	/* const after init */
	uint32_t n;	     /* subscriptions */
	uint32_t n_open;     /* the first of them take everything */
	uint32_t n_forwards;
	bool plain;    /* all are open, and there is no forward */
	bool distinct; /* some subscription wants no message twice, or one that is gone did */
	/* the topic's lock */
	bool emptied; /* some place has been */
	struct sti_rcu_head rcu;
	/* Emptied (NULL) under the topic's lock. After it: masks and filters, of the selective ones
	 * only, and the targets of the forwards. */
	_Atomic(struct stasis_subscription *) subs[];
};

typedef _Atomic(struct sti_subscribers *) sti_subscribers_ptr;
typedef _Atomic(struct stasis_topic *) sti_target;

void sti_subscribers_init(sti_subscribers_ptr *pointer);
void sti_subscribers_deinit(sti_subscribers_ptr *pointer);

/* All under the topic's lock. 0 or -ENOMEM; removing cannot fail. */
int sti_subscribers_add(sti_subscribers_ptr *pointer, struct stasis_subscription *sub);
void sti_subscribers_remove(sti_subscribers_ptr *pointer, struct stasis_subscription *sub);
/* Gives a subscription another filter; nothing happens when it is not there. */
int sti_subscribers_refilter(sti_subscribers_ptr *pointer, struct stasis_subscription *sub,
			     const struct sti_filter *filter);
int sti_subscribers_add_forward(sti_subscribers_ptr *pointer, struct stasis_topic *target);
/* One of those that lead there. */
void sti_subscribers_remove_forward(sti_subscribers_ptr *pointer, struct stasis_topic *target);

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

static inline uint32_t sti_subscribers_n_selective(const struct sti_subscribers *subs)
{
	return subs->n - subs->n_open;
}

/* Of the selective ones, from the first. */
static inline uint64_t *sti_subscribers_masks(const struct sti_subscribers *subs)
{
	uintptr_t end = (uintptr_t)(subs->subs + subs->n);

	/* An odd number of 32-bit addresses leaves half a word. */
	return (uint64_t *)(sizeof(void *) == 8 ? end : (end + 7) & ~(uintptr_t)7);
}

static inline const struct sti_filter **sti_subscribers_filters(const struct sti_subscribers *subs)
{
	return (const struct sti_filter **)(sti_subscribers_masks(subs) +
					    sti_subscribers_n_selective(subs));
}

static inline sti_target *sti_subscribers_targets(const struct sti_subscribers *subs)
{
	return (sti_target *)(sti_subscribers_filters(subs) + sti_subscribers_n_selective(subs));
}

/* NULL: the forward is gone. */
static inline struct stasis_topic *sti_subscribers_target(const struct sti_subscribers *subs,
							  size_t i)
{
	/* Relaxed: as in sti_subscribers_at(). */
	return atomic_load_explicit(&sti_subscribers_targets(subs)[i], memory_order_relaxed);
}

/* How many subscriptions, and forwards, there are. Inside a read section. */
size_t sti_subscribers_count(const struct sti_subscribers *subs);
size_t sti_subscribers_count_forwards(const struct sti_subscribers *subs);

#endif
