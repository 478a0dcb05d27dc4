/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/publish.c — the hot path, alone
 *
 * A publish is one RCU read section: load the topic's array, count up the message once for all
 * deliveries, push it to each subscription's ring. What happens to a push that is not plain success
 * (a mailbox to wake, a queue that is full or has ended) is out of line (push.c), and so is a topic
 * with forwards or selective subscriptions (walk.c): there whom it reaches is gathered first. What
 * may wait or calls back is left until the read section has ended (pending.c).
 *
 * What it shares with others, per delivery: the line of the ring's tail and one slot's, both moving
 * between producers and consumer. Per publish: the message's line, and a counter of its own
 * thread's.
 *
 * Linearization: a publish reaches those whose subscriptions are in the arrays at A1
 * (bus/subscribers.h) and whose ring is not closed at the push (S1 in ring/protocol.h).
 * Progress: lock-free. A subscription whose consumer is stuck costs its publishers memory only, and
 * several who publish to it alone, all the time, some pauses ("Turns" in ring/protocol.h).
 *
 * Edges
 *   A2  load-acquire mailbox->flags, sti_mailbox_is_flagged() <- R2 in exec/executor.c: if
 *       REFUSING is not set, workers live until this read section has ended.
 */

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#include <stasis/topic.h>

#include "base/object.h"
#include "base/thread.h"
#include "bus/bundle.h"
#include "bus/message.h"
#include "bus/push.h"
#include "bus/subscription.h"
#include "bus/topic.h"
#include "bus/walk.h"

/* One subscription, of so many: with several, who comes second is a step behind everywhere, and
 * would wait at each. */
STI_INLINE void take_turn(struct stasis_subscription *sub, size_t n_subs)
{
	if (n_subs == 1 && sti_unlikely(!sti_mpsc_has_turn(&sub->mailbox.tail, sti_thread_self())))
		sti_push_take_turn(sub);
}

STI_INLINE void push_one(struct sti_delivery *delivery, struct stasis_subscription *sub,
			 struct stasis_message *message)
{
	if (sti_mailbox_is_flagged(&sub->mailbox, 0))
		sti_push_flagged(delivery, sub);
	else
		sti_push_plainly(delivery, sub, message);
}

/* Makes n references out of the caller's, which is given, or adds n to it. */
STI_INLINE void count_up(struct stasis_message *message, uint32_t n, bool given)
{
	if (given && n == 1)
		return;
	if (given && sti_object_sole(message, 1)) {
		/* Relaxed: the pushes release; nobody else has it yet. */
		atomic_store_explicit(&sti_object_of(message)->refs, n, memory_order_relaxed);
		return;
	}
	sti_object_ref_n(message, given ? n - 1 : n);
}

/* --- with forwards or filters --- */

struct publish_walk {
	struct sti_walk walk; /* first: it is what the walk knows of this */
	struct sti_delivery *delivery;
	size_t n_before; /* subscriptions that have been delivered to */
};

/* First, while the caller's references are still there. */
static void walk_tap(struct publish_walk *publish)
{
	struct sti_delivery *delivery = publish->delivery;
	struct stasis_message *const *messages = delivery->messages;
	size_t n = delivery->n;

	for (unsigned i = 0; i < publish->walk.n_segments; i++) {
		const struct sti_segment *segment = &publish->walk.segments[i];

		for (size_t j = 0; j < n && segment->n == 0; j++)
			segment->tap->take(segment->tap, messages[j], delivery);
	}
}

/* Delivers to those gathered. given: the caller's reference is theirs now. */
static void walk_deliver(struct publish_walk *publish, bool given)
{
	struct sti_delivery *delivery = publish->delivery;
	struct sti_walk *walk = &publish->walk;

	walk_tap(publish);
	if (given && walk->total == 0)
		sti_push_drop(delivery, delivery->messages, delivery->n);
	for (size_t i = 0; i < delivery->n && walk->total > 0; i++)
		count_up(delivery->messages[i], (uint32_t)walk->total, given);
	for (unsigned i = 0; i < walk->n_segments; i++) {
		for (uint32_t j = 0; j < walk->segments[i].n; j++) {
			/* Relaxed: as in sti_subscribers_at(). */
			struct stasis_subscription *sub = atomic_load_explicit(
				&walk->segments[i].subs[j], memory_order_relaxed);

			if (sti_likely(sub != NULL && sub != delivery->but)) {
				take_turn(sub, publish->n_before + walk->total);
				sti_push_all(delivery, sub);
			} else {
				sti_push_drop(delivery, delivery->messages, delivery->n);
			}
		}
	}
	publish->n_before += walk->total;
	walk->n_segments = 0;
	walk->total = 0;
}

static bool walk_full(struct sti_walk *walk)
{
	walk_deliver((struct publish_walk *)walk, false);
	return true;
}

static bool walk_too_wide(struct sti_walk *walk)
{
	return false;
}

/* Do they share a subscription? They need not begin alike: a walk that comes again leaves out those
 * that want no message twice. */
static bool segments_meet(const struct sti_segment *a, const struct sti_segment *b)
{
	return a->subs < b->subs + b->n && b->subs < a->subs + a->n;
}

/* Could somebody be given two messages in another order than one by one? If the walk has been at
 * some subscription twice, or at a tap, whose updates may lead to subscribers too. */
static bool walk_crosses(const struct sti_walk *walk)
{
	for (unsigned i = 0; i < walk->n_segments; i++) {
		if (walk->segments[i].n == 0 && walk->n_segments > 1)
			return true;
		for (unsigned j = 0; j < i; j++) {
			if (segments_meet(&walk->segments[i], &walk->segments[j]))
				return true;
		}
	}
	return false;
}

/* Messages of one type, along all forwards. Several only if nobody is reached twice, for the second
 * would come before the first on its other way: false, and nothing has been published. */
static bool publish_run(struct sti_delivery *delivery, const struct stasis_topic *topic,
			const struct sti_subscribers *subs)
{
	struct publish_walk publish;
	bool several = delivery->n > 1;
	bool given = delivery->flags & STI_PUBLISH_GIVEN;
	bool done;

	publish.delivery = delivery;
	publish.n_before = 0;
	sti_walk_init(&publish.walk, delivery->messages[0]->type,
		      several ? walk_too_wide : walk_full);
	done = sti_walk(&publish.walk, topic, subs) &&
	       !(several && walk_crosses(&publish.walk));
	if (done)
		walk_deliver(&publish, given);
	sti_walk_deinit(&publish.walk);
	return done;
}

/* Messages of any types, a run of neighbours of one type at a time. */
static STI_NOINLINE void publish_types(struct sti_delivery *delivery,
				       const struct stasis_topic *topic,
				       const struct sti_subscribers *subs)
{
	struct stasis_message *const *messages = delivery->messages;
	size_t n = delivery->n;

	while (n > 0) {
		size_t run = 1;

		while (run < n && messages[run]->type == messages[0]->type)
			run++;
		delivery->messages = messages;
		delivery->n = run;
		if (!publish_run(delivery, topic, subs)) {
			delivery->n = 1;
			for (; delivery->messages < messages + run; delivery->messages++)
				publish_run(delivery, topic, subs);
		}
		messages += run;
		n -= run;
	}
}

/* --- the rest --- */

/* Outside the read section. The result as the API has it. */
STI_INLINE int publish_end(struct sti_delivery *delivery)
{
	if (sti_unlikely(!sti_pending_is_empty(&delivery->pending)))
		delivery->refused += sti_pending_settle(&delivery->pending, delivery->deadline_ns);
	return delivery->refused > INT_MAX ? INT_MAX : (int)delivery->refused;
}

STI_INLINE int publish_one(struct stasis_topic *topic, struct stasis_message *message,
			   unsigned flags)
{
	/* Its address is known elsewhere: the compiler keeps the other one in a register. */
	struct stasis_message *same = message;
	struct sti_delivery delivery;
	const struct sti_subscribers *subs;

	delivery.messages = &same;
	delivery.n = 1;
	delivery.flags = flags;
	delivery.but = NULL;
	delivery.deadline_ns = 0;
	delivery.refused = 0;
	sti_pending_init(&delivery.pending);
	sti_rcu_read_lock();
	subs = sti_subscribers_get(&topic->subscribers);
	if (sti_unlikely(!subs->plain)) {
		publish_types(&delivery, topic, subs);
	} else {
		const size_t n = subs->n;

		if (sti_likely(n > 0))
			count_up(message, (uint32_t)n, flags & STI_PUBLISH_GIVEN);
		else if (flags & STI_PUBLISH_GIVEN)
			sti_push_drop(&delivery, &same, 1);
		for (size_t i = 0; i < n; i++) {
			struct stasis_subscription *sub = sti_subscribers_at(subs, i);

			sti_push_fetch_ahead(subs, n, i);
			if (sti_likely(sub != NULL)) {
				take_turn(sub, n);
				push_one(&delivery, sub, message);
			} else {
				sti_push_drop(&delivery, &same, 1);
			}
		}
	}
	sti_rcu_read_unlock();
	return publish_end(&delivery);
}

int stasis_publish(struct stasis_topic *topic, struct stasis_message *message)
{
	if (sti_unlikely(topic == NULL || message == NULL))
		return -EINVAL;
	sti_topic_count(topic, 1);
	return publish_one(topic, message, 0);
}

int stasis_publish_take(struct stasis_topic *topic, struct stasis_message *message)
{
	if (sti_unlikely(topic == NULL || message == NULL)) {
		if (message != NULL)
			sti_object_unref_n(message, 1, NULL);
		return -EINVAL;
	}
	sti_topic_count(topic, 1);
	return publish_one(topic, message, STI_PUBLISH_GIVEN);
}

int sti_topic_publish(struct stasis_topic *topic, struct stasis_message *const *messages, size_t n,
		      const struct sti_publish_how *how)
{
	struct sti_delivery delivery;
	const struct sti_subscribers *subs;
	bool given = how->flags & STI_PUBLISH_GIVEN;
	struct sti_bundles bundles = { NULL };
	uint32_t spare = 0; /* references per message that nobody needs */
	int result;

	delivery.messages = messages;
	delivery.n = n;
	delivery.flags = how->flags;
	delivery.but = how->but;
	delivery.deadline_ns = how->deadline_ns;
	delivery.refused = 0;
	sti_pending_init(&delivery.pending);
	sti_rcu_read_lock();
	subs = sti_subscribers_get(&topic->subscribers);
	if (!subs->plain) {
		publish_types(&delivery, topic, subs);
	} else if (sti_bundles_pay(&delivery, subs)) {
		sti_bundles_publish(&bundles, &delivery, subs);
	} else if (subs->n == 1 && how->but != NULL && sti_subscribers_at(subs, 0) == how->but) {
		/* Likely for who is excepted. Nobody is left. */
		spare = given;
	} else {
		for (size_t i = 0; i < n && subs->n > 0; i++)
			count_up(messages[i], subs->n, given);
		spare = subs->n == 0 && given;
		for (size_t i = 0; i < subs->n; i++) {
			struct stasis_subscription *sub = sti_subscribers_at(subs, i);

			sti_push_fetch_ahead(subs, subs->n, i);
			if (sti_likely(sub != NULL && sub != how->but)) {
				take_turn(sub, subs->n);
				sti_push_all(&delivery, sub);
			} else {
				spare++;
			}
		}
	}
	sti_rcu_read_unlock();
	sti_bundles_drop(&bundles);
	if (how->later != NULL) {
		*how->later = delivery.pending;
		sti_pending_init(&delivery.pending);
	}
	result = publish_end(&delivery);
	for (size_t i = 0; i < n && spare > 0; i++)
		sti_object_unref_n(messages[i], spare, NULL);
	return result;
}

int stasis_publish_batch(struct stasis_topic *topic, struct stasis_message **messages, size_t n)
{
	bool valid = topic != NULL && (messages != NULL || n == 0);

	if (messages == NULL)
		return valid ? 0 : -EINVAL;
	for (size_t i = 0; i < n; i++)
		valid = valid && messages[i] != NULL;
	if (sti_unlikely(!valid)) {
		for (size_t i = 0; i < n; i++) {
			if (messages[i] != NULL)
				sti_object_unref_n(messages[i], 1, NULL);
		}
		return -EINVAL;
	}
	sti_topic_count(topic, n);
	return sti_topic_publish(topic, messages, n,
				 &(struct sti_publish_how){ .flags = STI_PUBLISH_GIVEN });
}

/* The first that would get it is enough; but places may be empty. */
static bool wants_found(struct sti_walk *walk)
{
	const struct sti_segment *segment = &walk->segments[0];
	bool found = segment->n == 0;

	for (uint32_t i = 0; i < segment->n && !found; i++) {
		/* Relaxed: as in sti_subscribers_at(). */
		found = atomic_load_explicit(&segment->subs[i], memory_order_relaxed) != NULL;
	}
	walk->n_segments = 0;
	return !found;
}

int stasis_topic_wants(const struct stasis_topic *topic, const struct stasis_message_type *type)
{
	const struct sti_subscribers *subs;
	struct sti_walk walk;
	bool wanted;

	if (topic == NULL || type == NULL)
		return -EINVAL;
	sti_walk_init(&walk, type, wants_found);
	walk.room = 1;
	walk.once = true;
	sti_rcu_read_lock();
	subs = sti_subscribers_get(&topic->subscribers);
	wanted = !sti_walk(&walk, topic, subs);
	sti_rcu_read_unlock();
	sti_walk_deinit(&walk);
	return wanted;
}
