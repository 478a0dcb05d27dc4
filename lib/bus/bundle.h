/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_BUNDLE_H
#define STI_BUS_BUNDLE_H

/* bus/bundle.h — messages of one batch, for many subscriptions
 *
 * A batch that goes to several subscriptions is written down once, as runs (ring/run.h), and
 * each subscription's queue is given the places. Then what a delivery costs is the callback and a
 * step in an array: neither are slots read one by one, nor is each message counted down for each
 * subscription. It is the bundle that is counted, one reference for each place in each queue, and
 * it holds one reference to each message. So the messages of a bundle go together, when the last of
 * the subscriptions has had all of it: a bundle is small.
 *
 * Subscriptions with a capacity, and those that are watched, are given the messages themselves, the
 * whole batch at once: what they refuse or evict is about single ones, or about all.
 *
 * Threads: made by the publisher, before anybody else knows it; then constant, but for the count.
 */

#include "bus/push.h"
#include "ring/run.h"

/* From so many messages and subscriptions on it pays. */
#define STI_BUNDLE_MIN 4u
#define STI_BUNDLE_SUBSCRIPTIONS 2u
/* Messages of one. */
#define STI_BUNDLE_MAX 32u

/* Those of a publish under way: the publisher has a reference to each until he is done. */
struct sti_bundles {
	struct sti_place *first;
};

/* Is this a delivery for bundles, as far as can be seen at once? */
bool sti_bundles_pay(const struct sti_delivery *delivery, const struct sti_subscribers *subs);

/* Delivers messages that are given to all subscriptions. What lacks memory is pushed one by one. */
void sti_bundles_publish(struct sti_bundles *bundles, struct sti_delivery *delivery,
			 const struct sti_subscribers *subs);

/* Outside the read section. */
void sti_bundles_drop(struct sti_bundles *bundles);

/* What a number of references to it is dropped by. */
static inline void *sti_bundle_of(const struct sti_place *place)
{
	return (void *)(uintptr_t)(place - place->index);
}

#endif
