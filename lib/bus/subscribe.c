/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/subscribe.c — the beginning of a subscription
 *
 * Build everything that can fail; claim the new queue, which nobody knows yet, and put "Subscribe"
 * into it, so that it comes first; publish the array; only then let a worker at it.
 *
 * Edges
 *   R3  store-release delivered  abandon -> A1 in exec/mailbox.c: "Subscribe" is not waited for
 * and those in subscription.h.
 */

#include "bus/subscription.h"

#include <errno.h>
#include <string.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/options.h"
#include "base/process.h"
#include "bus/filter.h"
#include "bus/pending.h"
#include "bus/topic.h"
#include "exec/claims.h"
#include "exec/executor.h"

#define BATCH_DEFAULT 256u

static_assert(sizeof(void *) != 8 ||
		      (sizeof(struct sti_object) + offsetof(struct stasis_subscription, ring)) %
			      STI_CACHELINE == 0,
	      "the ring begins a line");
static_assert(sizeof(struct sti_object) + sizeof(struct stasis_subscription) <= 7 * STI_CACHELINE,
	      "an idle subscription is seven lines");

static _Atomic uint64_t next_id = 1;

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

	message = sti_message_new(stasis_subscription_change_type(),
				  sizeof(*change) + sizeof(sub->uniqueid), release_change);
	if (message == NULL)
		return NULL;
	change = message->data;
	change->topic = stasis_object_ref(sti_subscription_topic(sub));
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
	final->message.type = stasis_subscription_change_type();
	final->change.topic = sti_subscription_topic(sub);
	final->change.uniqueid = sub->uniqueid;
	final->change.description = "Unsubscribe";
}

static void subscription_destroy(void *obj)
{
	struct stasis_subscription *sub = obj;

	sti_mailbox_deinit(&sub->mailbox);
	sti_filter_free(sti_subscription_filter(sub));
	stasis_object_unref(sub->mailbox.executor);
	stasis_object_unref(sti_subscription_topic(sub));
}

/* The least n with 2^n at or above a size. */
static unsigned order_of(size_t size)
{
	unsigned order = 0;

	while (((size_t)1 << order) < size)
		order++;
	return order;
}

/* Is the capacity a limit, rather than room reserved? */
static bool options_bound(const struct stasis_subscribe_options *options)
{
	return options->capacity != 0 && options->overflow != STASIS_OVERFLOW_GROW;
}

static struct sti_limits *limits_new(const struct stasis_subscribe_options *options)
{
	struct sti_limits *limits = sti_alloc_zeroed(sizeof(*limits));

	if (limits == NULL)
		return NULL;
	if (options_bound(options)) {
		limits->capacity = (uint64_t)1 << order_of(options->capacity);
		limits->overflow = options->overflow;
	}
	limits->low = options->low_water;
	limits->high = options->high_water;
	limits->user_congestion = (void (*)(void))options->on_congestion;
	return limits;
}

/* 0 or -ENOMEM. */
static int subscription_queue_init(struct stasis_subscription *sub,
				   struct stasis_executor *executor,
				   const struct stasis_subscribe_options *options)
{
	unsigned batch = options->batch != 0 ? options->batch : BATCH_DEFAULT;
	bool reserves = options->overflow == STASIS_OVERFLOW_GROW;
	unsigned order = reserves ? order_of(options->capacity) : 0;
	void *ring = sti_subscription_ring(sub);
	struct sti_limits *limits;
	int result;

	if (order < STI_RING_ORDER_MIN)
		order = STI_RING_ORDER_MIN;
	result = sti_mailbox_init(&sub->mailbox, &sti_subscription_ops, executor, batch, order,
				  order == STI_RING_ORDER_MIN ? ring : NULL);
	if (result != 0)
		return result;
	if (!options_bound(options) && options->high_water == 0) {
		/* atomic_init: nobody else knows the mailbox yet. */
		if (executor->wait == STASIS_WAIT_INLINE)
			atomic_init(&sub->mailbox.flags, STI_MAILBOX_INLINE);
		return 0;
	}
	limits = limits_new(options);
	result = limits != NULL ? sti_mailbox_limit(&sub->mailbox, limits, ring) : -ENOMEM;
	if (result != 0)
		sti_mailbox_deinit(&sub->mailbox);
	return result;
}

/* The filter that the options ask for. 0 or -ENOMEM. */
static int subscription_filter_init(struct stasis_subscription *sub, bool selective,
				    const struct stasis_subscribe_options *options)
{
	struct sti_filter *filter = NULL;

	if (selective || options->n_types > 0) {
		filter = sti_filter_of(options->types, options->n_types);
		if (filter == NULL)
			return -ENOMEM;
	}
	atomic_init(&sub->filter, filter);
	return 0;
}

/* What a subscription is made of. */
struct making {
	struct stasis_topic *topic;
	stasis_subscription_cb callback;
	void *data;
	bool selective;
	/* called before the subscription is among the topic's; NULL: nothing */
	void (*prepared)(void *arg, struct stasis_subscription *sub);
	void *prepared_arg;
	struct sti_pending *later; /* empty: the caller runs callbacks; NULL: at once */
	struct stasis_subscribe_options options;
};

/* The next number, in 64 digits. */
static void uniqueid_init(char uniqueid[STI_UNIQUEID_SIZE])
{
	static const char digits[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	/* Relaxed: unique is enough. */
	uint64_t id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
	unsigned n = 1;

	while (n < STI_UNIQUEID_SIZE - 1 && id >> (6 * n) != 0)
		n++;
	uniqueid[n] = '\0';
	for (; n > 0; id >>= 6)
		uniqueid[--n] = digits[id & 63];
}

/* Everything but making it known. Takes the reference to the executor, also on failure. */
static struct stasis_subscription *subscription_new(const struct making *making,
						    struct stasis_executor *executor)
{
	const struct stasis_subscribe_options *options = &making->options;
	size_t name_size = options->name != NULL ? strlen(options->name) + 1 : 0;
	struct stasis_subscription *sub;

	sub = sti_object_new(STI_KIND_SUBSCRIPTION, STI_MEM_HEAP, STI_CACHELINE,
			     sizeof(*sub) + name_size, subscription_destroy);
	if (sub == NULL)
		goto fail;
	if (subscription_filter_init(sub, making->selective, options) != 0)
		goto fail;
	if (subscription_queue_init(sub, executor, options) != 0)
		goto fail;
	sti_mpsc_start_claimed(&sub->mailbox.tail);
	sub->mailbox.user_callback = (void (*)(void))making->callback;
	sub->mailbox.user_data = making->data;
	sub->mailbox.user_origin = stasis_object_ref(making->topic);
	sub->distinct = options->distinct;
	sub->named = name_size > 0;
	memcpy(sub + 1, options->name != NULL ? options->name : "", name_size);
	sti_eventcount_init(&sub->done);
	uniqueid_init(sub->uniqueid);
	final_init(sub);
	return sub;
fail:
	if (sub != NULL) {
		sti_filter_free(sti_subscription_filter(sub));
		sti_object_dispose(sub);
	}
	stasis_object_unref(executor);
	return NULL;
}

/* Puts "Subscribe" into its queue, if it is wanted, and the subscription into the array, in this
 * order. 0 or -ENOMEM. */
static int subscription_publish(struct stasis_subscription *sub, struct stasis_message *change,
				bool wanted)
{
	struct stasis_topic *topic = sti_subscription_topic(sub);
	enum sti_push push;
	int result;

	if (wanted) {
		/* Outside a read section: nobody else knows the queue, and it has room. */
		push = sti_mpsc_push(&sub->mailbox.tail, stasis_object_ref(change));
		stasis_assert(push == STI_PUSH_OK);
	}
	pthread_mutex_lock(&topic->lock);
	result = sti_subscribers_add(&topic->subscribers, sub);
	pthread_mutex_unlock(&topic->lock);
	if (result != 0 && wanted)
		stasis_object_unref(change);
	return result;
}

static bool waters_are_valid(const struct stasis_subscribe_options *options)
{
	if (options->high_water == 0)
		return options->low_water == 0;
	return options->on_congestion != NULL && options->low_water < options->high_water &&
	       (!options_bound(options) ||
		options->high_water <= (size_t)1 << order_of(options->capacity));
}

static int options_check(struct stasis_subscribe_options *options,
			 const struct stasis_subscribe_options *given)
{
	int result = sti_options_copy(options, sizeof(*options), given);

	if (result != 0)
		return result;
	if (options->capacity > STASIS_CAPACITY_MAX || options->batch > STASIS_BATCH_MAX ||
	    (unsigned)options->overflow > STASIS_OVERFLOW_REJECT || !waters_are_valid(options) ||
	    (options->n_types > 0 && options->types == NULL) ||
	    options->n_types > SIZE_MAX / (2 * sizeof(options->types[0])))
		return -EINVAL;
	for (size_t i = 0; i < options->n_types; i++) {
		if (options->types[i] == NULL)
			return -EINVAL;
	}
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
	/* R3: a drain may have seen "Subscribe" in its queue, and nobody will deliver it. */
	atomic_store_explicit(&sub->mailbox.delivered, sti_mpsc_pushed(&sub->mailbox.head),
			      memory_order_release);
	/* R3: likewise where it goes by what was taken. */
	atomic_fetch_or_explicit(&sub->mailbox.flags, STI_MAILBOX_DONE, memory_order_release);
}

/* Lets somebody at a queue that is complete. */
static STI_NOINLINE void subscription_submit(struct stasis_subscription *sub, bool has_change,
					     struct sti_pending *later)
{
	struct sti_context context;
	enum sti_turn turn = STI_TURN_MORE;
	size_t n = 0;

	/* Without "Subscribe" there is mostly nothing to wake anybody for. */
	if (!has_change) {
		sti_context_enter(&context, sub->mailbox.executor, NULL);
		turn = sti_mailbox_rest(&sub->mailbox, &context, &n);
		sti_context_leave(&context);
	}
	if (turn == STI_TURN_GONE)
		return;
	if (later != NULL && sub->mailbox.executor->wait == STASIS_WAIT_INLINE)
		sti_pending_run(later, &sub->mailbox);
	else
		sti_executor_submit(&sub->mailbox);
}

/* Makes a subscription that is complete known to executor, topic and subscribers. 0 or -errno. */
static int subscription_begin(struct stasis_subscription *sub, struct sti_pending *later)
{
	struct stasis_message *change = change_new(sub);
	/* Nobody else can change the filter yet. */
	bool wanted = sti_filter_accepts(sti_subscription_filter(sub),
					 stasis_subscription_change_type());
	struct sti_claims claims;
	int result;

	if (change == NULL)
		return -ENOMEM;
	result = sti_executor_attach(sub->mailbox.executor, &sub->mailbox);
	if (result == 0) {
		result = subscription_publish(sub, change, wanted);
		if (result != 0)
			subscription_abandon(sub);
	}
	if (result != 0) {
		stasis_object_unref(change);
		return result;
	}
	/* First: its callback may unsubscribe, and "Unsubscribe" must come later. */
	sti_claims_keep(&claims, &sub->mailbox);
	sti_topic_publish(sti_subscription_topic(sub), &change, 1,
			  &(struct sti_publish_how){
				  .flags = STI_PUBLISH_GIVEN | STI_PUBLISH_FORCE,
				  .but = sub,
				  .later = later });
	if (sti_claims_take_back(&claims))
		subscription_submit(sub, wanted, later);
	return 0;
}

/* making has everything but the options. */
static struct stasis_subscription *subscribe(struct making *making,
					     const struct stasis_subscribe_options *given)
{
	struct stasis_executor *executor;
	struct stasis_subscription *sub;
	int result = options_check(&making->options, given);

	if (making->topic == NULL || making->callback == NULL)
		result = -EINVAL;
	if (result == 0)
		result = sti_process_check();
	if (result != 0) {
		errno = -result;
		return NULL;
	}
	executor = executor_ref(making->options.executor);
	if (executor == NULL)
		return NULL;
	sub = subscription_new(making, executor);
	if (sub == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	/* The bus's, and one to see this function through: a callback may give away the
	 * caller's. */
	sti_object_ref_n(sub, 2);
	if (making->prepared != NULL)
		making->prepared(making->prepared_arg, sub);
	result = subscription_begin(sub, making->later);
	if (result != 0) {
		sti_object_unref_n(sub, 3, NULL);
		errno = -result;
		return NULL;
	}
	stasis_object_unref(sub);
	return sub;
}

struct stasis_subscription *
stasis_subscribe_with(struct stasis_topic *topic, stasis_subscription_cb callback, void *data,
		      const struct stasis_subscribe_options *options)
{
	struct making making = { .topic = topic, .callback = callback, .data = data };

	return subscribe(&making, options);
}

struct stasis_subscription *sti_subscribe_selective(struct stasis_topic *topic,
						    stasis_subscription_cb callback, void *data,
						    const struct stasis_subscribe_options *options)
{
	struct making making = {
		.topic = topic, .callback = callback, .data = data, .selective = true
	};

	return subscribe(&making, options);
}

struct stasis_subscription *
sti_subscribe_prepared(struct stasis_topic *topic, stasis_subscription_cb callback, void *data,
		       const struct stasis_subscribe_options *options,
		       void (*prepared)(void *arg, struct stasis_subscription *sub), void *arg,
		       struct sti_pending *later)
{
	struct making making = { .topic = topic,
				 .callback = callback,
				 .data = data,
				 .prepared = prepared,
				 .prepared_arg = arg,
				 .later = later };

	return subscribe(&making, options);
}

struct stasis_subscription *stasis_subscribe(struct stasis_topic *topic,
					     stasis_subscription_cb callback, void *data)
{
	return stasis_subscribe_with(topic, callback, data, NULL);
}
