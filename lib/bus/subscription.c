/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/subscription.c — the life of a subscription after its beginning (subscribe.c), and its end
 *
 * End: take it out of the array; tell the others; close the queue. Whoever still has the old array
 *   pushes before the close, and is delivered, or after it, and is refused. The worker that empties
 *   the closed queue delivers the final message and gives the bus's reference to RCU.
 *
 * Edges: see subscription.h.
 */

#include "bus/subscription.h"

#include <errno.h>
#include <string.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/process.h"
#include "bus/bundle.h"
#include "bus/chain.h"
#include "bus/json.h"
#include "bus/push.h"
#include "bus/sync.h"
#include "bus/topic.h"
#include "exec/claims.h"
#include "exec/executor.h"
#include "sync/backoff.h"

#define JOIN_LOOK_NS 1000000u
/* Some microseconds: what a worker that is awake takes. */
#define JOIN_SPINS 400u

static struct sti_own_type change_type =
	STI_OWN_TYPE("stasis_subscription_change", STI_TYPE_ID_CHANGE, sti_change_to_json);

struct stasis_message_type *stasis_subscription_change_type(void)
{
	return &change_type.type;
}

/* --- delivering --- */

/* Delivers an update, unless it has been: it may have been pushed more than once. */
STI_INLINE void deliver_cell(struct stasis_subscription *sub, void *item,
			     struct sti_context *context)
{
	stasis_subscription_cb callback = (stasis_subscription_cb)sub->mailbox.user_callback;
	struct stasis_message *message = sti_item_message(item);

	if (sti_cell_decide(sti_item_cell(item), STI_CELL_DELIVERED))
		callback(sub->mailbox.user_data, sub, sti_subscription_topic(sub), message);
	sti_release_put(&context->release, message);
}

/* A synchronous publish, or an update. */
static STI_NOINLINE void deliver_other(struct stasis_subscription *sub, void *item,
				       struct sti_context *context)
{
	if ((uintptr_t)item & STI_ITEM_SYNC)
		sti_sync_deliver(sub, item);
	else
		deliver_cell(sub, item, context);
}

static void subscription_deliver(struct sti_mailbox *mailbox, void **items, size_t n,
				 struct sti_context *context)
{
	struct stasis_subscription *sub = (struct stasis_subscription *)mailbox;
	stasis_subscription_cb callback = (stasis_subscription_cb)mailbox->user_callback;
	struct stasis_topic *topic = mailbox->user_origin;
	void *data = mailbox->user_data;

	for (size_t i = 0; i < n; i++) {
		if (sti_unlikely((uintptr_t)items[i] & (STI_ITEM_SYNC | STI_ITEM_CELL))) {
			deliver_other(sub, items[i], context);
			continue;
		}
		callback(data, sub, topic, items[i]);
		sti_release_put(&context->release, items[i]);
	}
}

/* Lines of messages fetched ahead of a callback. */
#define FETCH_AHEAD 8u

static void subscription_deliver_run(struct sti_mailbox *mailbox, const struct sti_place *first,
				     size_t n, struct sti_context *context)
{
	struct stasis_subscription *sub = (struct stasis_subscription *)mailbox;
	stasis_subscription_cb callback = (stasis_subscription_cb)mailbox->user_callback;
	struct stasis_topic *topic = mailbox->user_origin;
	void *data = mailbox->user_data;

	for (size_t i = 0; i < n && i < FETCH_AHEAD; i++)
		sti_prefetch_read(first[i].item);
	for (size_t i = 0; i < n; i++) {
		if (i + FETCH_AHEAD < n)
			sti_prefetch_read(first[i + FETCH_AHEAD].item);
		callback(data, sub, topic, first[i].item);
	}
	sti_release_put_n(&context->release, sti_bundle_of(first), (uint32_t)n);
}

static void drop_bus_reference(struct sti_rcu_head *rcu)
{
	stasis_object_unref(sti_container_of(rcu, struct stasis_subscription, mailbox.rcu));
}

/* A grace period after the final callback. Those who help others with an update may still have
 * found it since (bus/chain.h). */
static void end_first_grace(struct sti_rcu_head *rcu)
{
	if (sti_chain_started())
		sti_rcu_call(rcu, drop_bus_reference);
	else
		drop_bus_reference(rcu);
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
	sti_executor_tell_drainers(mailbox->executor);
	sti_rcu_call(&mailbox->rcu, end_first_grace);
}

static void subscription_congestion(struct sti_mailbox *mailbox, bool congested)
{
	stasis_congestion_cb callback = (stasis_congestion_cb)mailbox->limits->user_congestion;

	callback(mailbox->user_data, (struct stasis_subscription *)mailbox, congested);
}

const struct sti_mailbox_ops sti_subscription_ops = {
	.deliver = subscription_deliver,
	.deliver_run = subscription_deliver_run,
	.final = subscription_final,
	.congestion = subscription_congestion,
};

/* --- the end --- */

/* By one who waits for the end: with an inline executor it is his to deliver. */
static void serve_and_join(struct sti_mailbox *mailbox)
{
	struct sti_claims claims;

	if (!sti_push_may_deliver((struct stasis_subscription *)mailbox)) {
		sti_executor_submit(mailbox);
		return;
	}
	sti_claims_keep(&claims, mailbox);
	sti_claims_let_go_of(claims.outer);
	if (sti_claims_take_back(&claims))
		sti_executor_run_out(mailbox);
}

/* serve: see sti_executor_close(). 0 or -errno. */
static int subscription_end(struct stasis_subscription *sub,
			    void (*serve)(struct sti_mailbox *mailbox))
{
	struct stasis_topic *topic = sti_subscription_topic(sub);
	struct stasis_message *final = &sub->final.message;

	if (sti_process_is_child)
		return -ENOTRECOVERABLE;
	/* X1: whoever finds it clear ends it. */
	if (atomic_fetch_or_explicit(&sub->mailbox.flags, STI_MAILBOX_ENDED,
				     memory_order_acq_rel) & STI_MAILBOX_ENDED)
		return -EALREADY;
	stasis_object_ref(sub); /* the final message's */
	sti_message_stamp(final);
	pthread_mutex_lock(&topic->lock);
	sti_subscribers_remove(&topic->subscribers, sub);
	pthread_mutex_unlock(&topic->lock);
	/* To the others. The message's first reference is for the subscription itself. */
	sti_topic_publish(topic, &final, 1,
			  &(struct sti_publish_how){ .flags = STI_PUBLISH_FORCE, .but = sub });
	sti_executor_close(&sub->mailbox, serve);
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
	ended = subscription_end(sub, sti_executor_submit);
	sub = stasis_object_unref(sub);
	errno = ended != 0 ? -ended : saved;
	return sub;
}

static bool join_is_done(const void *arg)
{
	return stasis_subscription_is_done(arg);
}

struct stasis_subscription *stasis_unsubscribe_and_join(struct stasis_subscription *sub)
{
	int saved = errno;
	int ended, joined;

	if (sub == NULL) {
		errno = EINVAL;
		return NULL;
	}
	ended = subscription_end(sub, serve_and_join);
	joined = stasis_subscription_join(sub);
	sub = stasis_object_unref(sub);
	errno = joined != 0 ? -joined : ended != 0 ? -ended : saved;
	return sub;
}

bool sti_subscription_is_current(const struct stasis_subscription *sub)
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
	struct stasis_executor *executor;
	bool may_run;

	if (sub == NULL)
		return -EINVAL;
	if (sti_process_is_child)
		return -ENOTRECOVERABLE;
	if (sti_subscription_is_current(sub))
		return -EDEADLK;
	if (sti_spin_until(join_is_done, sub, JOIN_SPINS))
		return 0;
	sti_claims_let_go();
	executor = sub->mailbox.executor;
	may_run = executor->manual != NULL && sti_executor_runs_here(executor);
	for (;;) {
		uint32_t value = sti_eventcount_value(&sub->done);

		if (stasis_subscription_is_done(sub))
			return 0;
		if (sti_executor_alone(executor))
			return -EDEADLK;
		if (may_run && sti_executor_run_some(executor, 1) > 0)
			continue;
		/* With a limit when nobody else may come to run what somebody else queues. */
		sti_eventcount_wait(&sub->done, value, may_run ? JOIN_LOOK_NS : 0);
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
	return !(atomic_load_explicit(&sub->mailbox.flags, memory_order_relaxed) &
		 STI_MAILBOX_ENDED);
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
