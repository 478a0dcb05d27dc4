/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/publish.c — the hot path, alone
 *
 * A publish is one RCU read section: load the topic's array, count up the message once for all
 * deliveries, push it to each subscription's ring. What happens to a push that is not plain success
 * (a mailbox to wake, a queue that ended, no memory to grow) is out of line.
 *
 * What it shares with others, per delivery: the line of the ring's tail and one slot's, both moving
 * between producers and consumer. Per publish: the message's line, and a counter of its own
 * thread's.
 *
 * Linearization: a publish reaches those whose subscriptions are in the array at A1
 * (bus/subscribers.h) and whose ring is not closed at the push (S1 in ring/ring.h).
 * Progress: lock-free. A subscription whose consumer is stuck costs its publishers memory only.
 *
 * Edges
 *   A2  load-acquire mailbox->flags <- R2 in exec/executor.c: if REFUSING is not set, workers live
 *       until this read section has ended.
 */

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#include <stasis/topic.h>

#include "base/object.h"
#include "base/thread.h"
#include "bus/message.h"
#include "bus/subscription.h"
#include "bus/topic.h"
#include "exec/executor.h"

/* How far ahead of the delivery at hand the next subscriptions' lines are fetched. */
#define FETCH_MAILBOX 6
#define FETCH_RING 3

/* What became of the messages: refused counts those a subscription should have taken. */
struct outcome {
	size_t refused;
	size_t unsent; /* of the first message: references to give back */
};

/* Everything but plain success of a push. sent of n went in. True: the rest was refused. */
static STI_COLD bool push_settle(struct stasis_subscription *sub, enum sti_push push, size_t unsent)
{
	bool refused = unsent > 0 && !(push & STI_PUSH_ENDED);

	if (push & STI_PUSH_WAKE)
		sti_executor_schedule(&sub->mailbox);
	if (refused) {
		/* Relaxed: a figure. */
		atomic_fetch_add_explicit(&sub->mailbox.dropped, unsent, memory_order_relaxed);
	}
	return refused;
}

static bool mailbox_is_refusing(const struct sti_mailbox *mailbox)
{
	/* A2: pairs with R2 in executor_begin_close(). */
	return sti_unlikely(atomic_load_explicit(&mailbox->flags, memory_order_acquire) != 0);
}

/* A mailbox with a flag set: its executor is shut down, or it is done. */
static STI_COLD void flagged(struct stasis_subscription *sub, size_t n, struct outcome *outcome)
{
	outcome->unsent += n;
	if (!stasis_subscription_is_subscribed(sub))
		return;
	outcome->refused += n;
	/* Relaxed: a figure. */
	atomic_fetch_add_explicit(&sub->mailbox.dropped, n, memory_order_relaxed);
}

STI_INLINE void push_one(struct stasis_subscription *sub, struct stasis_message *message,
			 struct outcome *outcome)
{
	enum sti_push push;
	bool unsent;

	if (mailbox_is_refusing(&sub->mailbox)) {
		flagged(sub, 1, outcome);
		return;
	}
	push = sti_mpsc_push(&sub->mailbox.tail, message);
	if (sti_likely(push == STI_PUSH_OK))
		return;
	unsent = (push & (STI_PUSH_ENDED | STI_PUSH_NOMEM)) != 0;
	outcome->unsent += unsent;
	outcome->refused += push_settle(sub, push, unsent);
}

/* Fetches what the next deliveries will write to, while this one waits for its own. */
STI_INLINE void fetch_ahead(const struct sti_subscribers *subs, size_t i)
{
	if (i + FETCH_MAILBOX < subs->n)
		sti_prefetch_read(sti_subscribers_at(subs, i + FETCH_MAILBOX));
	if (i + FETCH_RING < subs->n) {
		struct stasis_subscription *sub = sti_subscribers_at(subs, i + FETCH_RING);

		/* Relaxed: nothing is read there. */
		if (sub != NULL)
			sti_prefetch_write(atomic_load_explicit(&sub->mailbox.tail.ring,
								memory_order_relaxed));
	}
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

/* The result as the API has it. */
static int outcome_result(const struct outcome *outcome)
{
	return outcome->refused > INT_MAX ? INT_MAX : (int)outcome->refused;
}

STI_INLINE int publish_one(struct stasis_topic *topic, struct stasis_message *message, bool given)
{
	struct outcome outcome = { 0 };
	const struct sti_subscribers *subs;

	sti_rcu_read_lock();
	subs = sti_subscribers_get(&topic->subscribers);
	if (subs->n > 0)
		count_up(message, (uint32_t)subs->n, given);
	else if (given)
		outcome.unsent = 1;
	for (size_t i = 0; i < subs->n; i++) {
		struct stasis_subscription *sub = sti_subscribers_at(subs, i);

		fetch_ahead(subs, i);
		if (sti_likely(sub != NULL))
			push_one(sub, message, &outcome);
		else
			outcome.unsent++;
	}
	sti_rcu_read_unlock();
	if (sti_unlikely(outcome.unsent > 0))
		sti_object_unref_n(message, (uint32_t)outcome.unsent, NULL);
	return outcome_result(&outcome);
}

STI_INLINE void topic_count(struct stasis_topic *topic, size_t n)
{
	sti_counter_add(&topic->published, &topic->published_own, sti_thread_self(), n);
}

int stasis_publish(struct stasis_topic *topic, struct stasis_message *message)
{
	if (sti_unlikely(topic == NULL || message == NULL))
		return -EINVAL;
	topic_count(topic, 1);
	return publish_one(topic, message, false);
}

int stasis_publish_take(struct stasis_topic *topic, struct stasis_message *message)
{
	if (sti_unlikely(topic == NULL || message == NULL)) {
		if (message != NULL)
			sti_object_unref_n(message, 1, NULL);
		return -EINVAL;
	}
	topic_count(topic, 1);
	return publish_one(topic, message, true);
}

/* Pushes the messages to one subscription; gives the references of those that it did not get back.
 * */
static void push_batch(struct stasis_subscription *sub, struct stasis_message *const *messages,
		       size_t n, struct outcome *outcome)
{
	struct outcome refusing = { 0 };
	enum sti_push push;
	size_t pushed = 0;

	if (mailbox_is_refusing(&sub->mailbox)) {
		flagged(sub, n, &refusing);
		outcome->refused += refusing.refused;
	} else {
		push = sti_mpsc_push_n(&sub->mailbox.tail, (void *const *)messages, n, STI_MPSC_FIT,
				       &pushed);
		if (sti_unlikely(push != STI_PUSH_OK) && push_settle(sub, push, n - pushed))
			outcome->refused += n - pushed;
	}
	for (size_t i = pushed; sti_unlikely(i < n); i++)
		sti_object_unref_n(messages[i], 1, NULL);
}

int sti_topic_publish(struct stasis_topic *topic, struct stasis_message *const *messages, size_t n,
		      bool given, const struct stasis_subscription *but)
{
	struct outcome outcome = { 0 };
	const struct sti_subscribers *subs;
	uint32_t spare = 0;

	sti_rcu_read_lock();
	subs = sti_subscribers_get(&topic->subscribers);
	for (size_t i = 0; i < n && subs->n > 0; i++)
		count_up(messages[i], (uint32_t)subs->n, given);
	if (subs->n == 0)
		spare = given;
	for (size_t i = 0; i < subs->n; i++) {
		struct stasis_subscription *sub = sti_subscribers_at(subs, i);

		fetch_ahead(subs, i);
		if (sti_likely(sub != NULL && sub != but))
			push_batch(sub, messages, n, &outcome);
		else
			spare++;
	}
	sti_rcu_read_unlock();
	for (size_t i = 0; i < n && spare > 0; i++)
		sti_object_unref_n(messages[i], spare, NULL);
	return outcome_result(&outcome);
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
	topic_count(topic, n);
	return sti_topic_publish(topic, messages, n, true, NULL);
}
