/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/subscription.c — beginning and end of a subscription, and what happens between: deliver().
 *
 * Beginning: build everything that can fail; put "Subscribe" into the new queue, which nobody knows
 *   yet, so that it comes first; publish the array; only then let a worker at it.
 * End: take it out of the array; tell the others; close the queue. Whoever still has the old array
 *   pushes before the close, and is delivered, or after it, and is refused. The worker that empties
 *   the closed queue delivers the final message and gives the bus's reference to RCU.
 *
 * Edges: see subscription.h.
 */

#include "bus/subscription.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/options.h"
#include "bus/topic.h"
#include "exec/executor.h"

#define BATCH_DEFAULT 256u

static_assert((sizeof(struct sti_object) + offsetof(struct stasis_subscription, ring)) %
			      STI_CACHELINE == 0,
	      "the ring begins a line");
static_assert(sizeof(struct sti_object) + sizeof(struct stasis_subscription) == 7 * STI_CACHELINE,
	      "an idle subscription is seven lines");

static struct {
	struct sti_object object;
	struct stasis_message_type type;
} change_type = {
	.object = { .refs = 1, .kind = STI_KIND_TYPE, .mem = STI_MEM_KEEP },
	.type = { .name = "stasis_subscription_change" },
};

static _Atomic uint64_t next_id = 1;

struct stasis_message_type *stasis_subscription_change_type(void)
{
	return &change_type.type;
}

static struct stasis_topic *subscription_topic(const struct stasis_subscription *sub)
{
	return sub->mailbox.user_origin;
}

/* --- delivering --- */

static void subscription_deliver(struct sti_mailbox *mailbox, void **items, size_t n,
				 struct sti_context *context)
{
	struct stasis_subscription *sub = (struct stasis_subscription *)mailbox;
	stasis_subscription_cb callback = (stasis_subscription_cb)mailbox->user_callback;
	struct stasis_topic *topic = mailbox->user_origin;
	void *data = mailbox->user_data;

	for (size_t i = 0; i < n; i++) {
		callback(data, sub, topic, items[i]);
		sti_release_put(&context->release, items[i]);
	}
}

static void drop_bus_reference(struct sti_rcu_head *rcu)
{
	stasis_object_unref(sti_container_of(rcu, struct stasis_subscription, mailbox.rcu));
}

static void subscription_final(struct sti_mailbox *mailbox, struct sti_context *context)
{
	struct stasis_subscription *sub = (struct stasis_subscription *)mailbox;
	void *final = &sub->final.message;
	/* Relaxed: the runner is the only writer. */
	uint64_t delivered = atomic_load_explicit(&mailbox->delivered, memory_order_relaxed);

	subscription_deliver(mailbox, &final, 1, context);
	/* R1: as in deliver_batch(): a drain may wait for what came before. */
	atomic_store_explicit(&mailbox->delivered, delivered + 1, memory_order_release);
	/* Who joins may look at the counts of what he published. */
	sti_release_flush(&context->release);
	sti_executor_detach(mailbox->executor, mailbox);
	/* R1: the callback's effects; pairs with A1 in stasis_subscription_is_done(). */
	atomic_fetch_or_explicit(&mailbox->flags, STI_MAILBOX_DONE, memory_order_release);
	sti_eventcount_signal(&sub->done);
	sti_rcu_call(&mailbox->rcu, drop_bus_reference);
}

static const struct sti_mailbox_ops subscription_ops = {
	.deliver = subscription_deliver,
	.final = subscription_final,
};

/* --- the beginning --- */

static void release_change(void *data)
{
	struct stasis_subscription_change *change = data;

	stasis_object_unref(change->topic);
}

/* "Subscribe", with a copy of the id: it may outlive the subscription. */
static struct stasis_message *change_new(const struct stasis_subscription *sub)
{
	struct stasis_subscription_change *change;
	struct stasis_message *message;

	message = sti_message_new(&change_type.type, sizeof(*change) + sizeof(sub->uniqueid),
				  release_change);
	if (message == NULL)
		return NULL;
	change = message->data;
	change->topic = stasis_object_ref(subscription_topic(sub));
	change->description = "Subscribe";
	change->uniqueid = memcpy(change + 1, sub->uniqueid, sizeof(sub->uniqueid));
	return message;
}

static void release_final(void *data)
{
	stasis_object_unref(sti_container_of(data, struct stasis_subscription, final.change));
}

static void final_init(struct stasis_subscription *sub)
{
	struct sti_final_message *final = &sub->final;

	sti_object_init(&final->object, STI_KIND_MESSAGE, STI_MEM_KEEP, release_final);
	final->message.data = &final->change;
	final->message.type = &change_type.type;
	final->change.topic = subscription_topic(sub);
	final->change.uniqueid = sub->uniqueid;
	final->change.description = "Unsubscribe";
}

static void subscription_destroy(void *obj)
{
	struct stasis_subscription *sub = obj;

	sti_mailbox_deinit(&sub->mailbox);
	sti_free(sub->name);
	stasis_object_unref(sub->mailbox.executor);
	stasis_object_unref(subscription_topic(sub));
}

static unsigned capacity_order(size_t capacity)
{
	unsigned order = STI_RING_ORDER_MIN;

	while (((size_t)1 << order) < capacity)
		order++;
	return order;
}

/* Everything but making it known. Takes the reference to the executor, also on failure. */
static struct stasis_subscription *
subscription_new(struct stasis_topic *topic, stasis_subscription_cb callback, void *data,
		 struct stasis_executor *executor, const struct stasis_subscribe_options *options)
{
	unsigned order = capacity_order(options->capacity);
	unsigned batch = options->batch != 0 ? options->batch : BATCH_DEFAULT;
	struct stasis_subscription *sub;

	sub = sti_object_new(STI_KIND_SUBSCRIPTION, STI_MEM_HEAP, STI_CACHELINE, sizeof(*sub),
			     subscription_destroy);
	if (sub == NULL)
		goto fail;
	if (options->name != NULL && (sub->name = sti_strdup(options->name)) == NULL)
		goto fail;
	if (sti_mailbox_init(&sub->mailbox, &subscription_ops, executor, batch, order,
			     order == STI_RING_ORDER_MIN ? sub->ring : NULL) != 0)
		goto fail;
	sub->mailbox.user_callback = (void (*)(void))callback;
	sub->mailbox.user_data = data;
	sub->mailbox.user_origin = stasis_object_ref(topic);
	sti_eventcount_init(&sub->done);
	/* Relaxed: unique is enough. */
	snprintf(sub->uniqueid, sizeof(sub->uniqueid), "%" PRIx64,
		 atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed) &
			 ((UINT64_C(1) << 60) - 1));
	final_init(sub);
	return sub;
fail:
	if (sub != NULL) {
		sti_free(sub->name);
		sti_object_dispose(sub);
	}
	stasis_object_unref(executor);
	return NULL;
}

/* Puts "Subscribe" into its queue and the subscription into the array, in this order. The mailbox
 * is claimed by the caller then. 0 or -ENOMEM. */
static int subscription_publish(struct stasis_subscription *sub, struct stasis_message *change)
{
	struct stasis_topic *topic = subscription_topic(sub);
	enum sti_push push;
	int result;

	/* Outside a read section: nobody else knows the queue. */
	push = sti_mpsc_push(&sub->mailbox.tail, stasis_object_ref(change));
	stasis_assert(push == STI_PUSH_WAKE);
	pthread_mutex_lock(&topic->lock);
	result = sti_subscribers_add(&topic->subscribers, sub);
	pthread_mutex_unlock(&topic->lock);
	if (result != 0)
		stasis_object_unref(change);
	return result;
}

static int options_check(struct stasis_subscribe_options *options,
			 const struct stasis_subscribe_options *given)
{
	int result = sti_options_copy(options, sizeof(*options), given);

	if (result != 0)
		return result;
	if (options->capacity > STASIS_CAPACITY_MAX || options->batch > STASIS_BATCH_MAX ||
	    options->overflow != STASIS_OVERFLOW_GROW)
		return -EINVAL;
	return 0;
}

static struct stasis_executor *executor_ref(struct stasis_executor *executor)
{
	return executor != NULL ? stasis_object_ref(executor) : sti_executor_default_ref();
}

/* Takes back a subscription that did not get into the array. */
static void subscription_abandon(struct stasis_subscription *sub)
{
	sti_executor_detach(sub->mailbox.executor, &sub->mailbox);
	/* R1: a drain may have seen "Subscribe" in its queue, and nobody will deliver it. */
	atomic_store_explicit(&sub->mailbox.delivered, 1, memory_order_release);
}

/* Makes a subscription that is complete known to executor, topic and subscribers. 0 or -errno. */
static int subscription_begin(struct stasis_subscription *sub)
{
	struct stasis_message *change = change_new(sub);
	int result;

	if (change == NULL)
		return -ENOMEM;
	result = sti_executor_attach(sub->mailbox.executor, &sub->mailbox);
	if (result == 0) {
		result = subscription_publish(sub, change);
		if (result != 0)
			subscription_abandon(sub);
	}
	if (result != 0) {
		stasis_object_unref(change);
		return result;
	}
	/* First: its callback may unsubscribe, and "Unsubscribe" must come later. */
	sti_topic_publish(subscription_topic(sub), &change, 1, true, sub);
	sti_executor_submit(&sub->mailbox);
	return 0;
}

struct stasis_subscription *
stasis_subscribe_with(struct stasis_topic *topic, stasis_subscription_cb callback, void *data,
		      const struct stasis_subscribe_options *given)
{
	struct stasis_subscribe_options options;
	struct stasis_executor *executor;
	struct stasis_subscription *sub;
	int result = options_check(&options, given);

	if (topic == NULL || callback == NULL)
		result = -EINVAL;
	if (result != 0) {
		errno = -result;
		return NULL;
	}
	executor = executor_ref(options.executor);
	if (executor == NULL)
		return NULL;
	sub = subscription_new(topic, callback, data, executor, &options);
	if (sub == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	/* The bus's, and one to see this function through: a callback may give away the caller's.
	 * */
	sti_object_ref_n(sub, 2);
	result = subscription_begin(sub);
	if (result != 0) {
		sti_object_unref_n(sub, 3, NULL);
		errno = -result;
		return NULL;
	}
	stasis_object_unref(sub);
	return sub;
}

struct stasis_subscription *stasis_subscribe(struct stasis_topic *topic,
					     stasis_subscription_cb callback, void *data)
{
	return stasis_subscribe_with(topic, callback, data, NULL);
}

/* --- the end --- */

/* 0 or -EALREADY. */
static int subscription_end(struct stasis_subscription *sub)
{
	struct stasis_topic *topic = subscription_topic(sub);
	struct stasis_message *final = &sub->final.message;

	/* X1: whoever finds 0 ends it. */
	if (atomic_exchange_explicit(&sub->ended, 1, memory_order_acq_rel) != 0)
		return -EALREADY;
	stasis_object_ref(sub); /* the final message's */
	sti_message_stamp(final);
	pthread_mutex_lock(&topic->lock);
	sti_subscribers_remove(&topic->subscribers, sub);
	pthread_mutex_unlock(&topic->lock);
	/* To the others. The message's first reference is for the subscription itself. */
	sti_topic_publish(topic, &final, 1, false, sub);
	sti_executor_close(&sub->mailbox);
	return 0;
}

struct stasis_subscription *stasis_unsubscribe(struct stasis_subscription *sub)
{
	int saved = errno;
	int ended;

	if (sub == NULL) {
		errno = EINVAL;
		return NULL;
	}
	ended = subscription_end(sub);
	sub = stasis_object_unref(sub);
	errno = ended != 0 ? EALREADY : saved;
	return sub;
}

struct stasis_subscription *stasis_unsubscribe_and_join(struct stasis_subscription *sub)
{
	int saved = errno;
	int ended, joined;

	if (sub == NULL) {
		errno = EINVAL;
		return NULL;
	}
	ended = subscription_end(sub);
	joined = stasis_subscription_join(sub);
	sub = stasis_object_unref(sub);
	errno = joined != 0 ? -joined : ended != 0 ? -ended : saved;
	return sub;
}

/* Is the calling thread inside a callback of this subscription? */
static bool subscription_is_current(const struct stasis_subscription *sub)
{
	for (const struct sti_context *context = sti_context_current(); context != NULL;
	     context = context->outer) {
		if (context->mailbox == &sub->mailbox)
			return true;
	}
	return false;
}

int stasis_subscription_join(struct stasis_subscription *sub)
{
	if (sub == NULL)
		return -EINVAL;
	if (subscription_is_current(sub))
		return -EDEADLK;
	for (;;) {
		uint32_t value = sti_eventcount_value(&sub->done);

		if (stasis_subscription_is_done(sub))
			return 0;
		if (sti_executor_alone(sub->mailbox.executor))
			return -EDEADLK;
		sti_eventcount_wait(&sub->done, value, 0);
	}
}

int stasis_subscription_is_done(const struct stasis_subscription *sub)
{
	if (sub == NULL)
		return -EINVAL;
	/* A1: the final callback's effects; pairs with R1 in subscription_final(). */
	return (atomic_load_explicit(&sub->mailbox.flags, memory_order_acquire) &
		STI_MAILBOX_DONE) != 0;
}

/* --- asking --- */

int stasis_subscription_is_subscribed(const struct stasis_subscription *sub)
{
	if (sub == NULL)
		return -EINVAL;
	/* Relaxed: a value on its own. */
	return atomic_load_explicit(&sub->ended, memory_order_relaxed) == 0;
}

int stasis_subscription_final_message(struct stasis_subscription *sub,
				      struct stasis_message *message)
{
	if (sub == NULL || message == NULL)
		return -EINVAL;
	return message == &sub->final.message;
}

const char *stasis_subscription_uniqueid(const struct stasis_subscription *sub)
{
	if (sub == NULL) {
		errno = EINVAL;
		return NULL;
	}
	return sub->uniqueid;
}
