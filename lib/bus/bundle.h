/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_BUNDLE_H
#define STI_BUS_BUNDLE_H

/* bus/bundle.h — the messages of one batch, for many subscriptions
 *
 * A batch that goes to several subscriptions is written down once, as a run (ring/run.h), and
 * each subscription's queue is given the places. Then what a delivery costs is the callback and a
 * step in an array: neither are slots read one by one, nor is each message counted down for each
 * subscription. It is the bundle that is counted, one reference for each place in each queue, and
 * it holds one reference to each message.
 *
 * Subscriptions with a capacity, and those whose mailbox has a flag set, are given the messages
 * themselves: what they refuse or evict is about single ones.
 *
 * Threads: made by the publisher, before anybody else knows it; then constant, but for the count.
 */

#include "bus/push.h"
#include "ring/run.h"

/* From so many messages and subscriptions on it pays. */
#define STI_BUNDLE_MESSAGES 4u
#define STI_BUNDLE_SUBSCRIPTIONS 2u

/* Takes over a reference to each message; counts n_subs references for each place and one for the
 * caller. The first place; NULL: there is no memory, or there are too many, and nothing is taken.
 */
struct sti_place *sti_bundle_new(struct stasis_message *const *messages, size_t n, size_t n_subs);

/* Gives all to a subscription. False: it must be given the messages themselves. */
bool sti_bundle_push(struct sti_delivery *delivery, struct stasis_subscription *sub,
		     struct sti_place *places);

/* What a number of references to it is dropped by. */
static inline void *sti_bundle_of(const struct sti_place *place)
{
	return (void *)(uintptr_t)(place - place->index);
}

#endif
