/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_SUBSCRIPTION_H
#define STASIS_SUBSCRIPTION_H

/* stasis/subscription.h — receive the messages of a topic
 *
 * Overview   A subscription queues what its topic is given and has a worker of its executor call
 *            back, one message at a time. Its life:
 *
 *              subscribe -> subscribed -> unsubscribe -> ending -> final message -> done
 *
 *            Subscribing sends a subscription change ("Subscribe") to all subscribers, the new one
 *            included, for whom it is the first message. Unsubscribing sends "Unsubscribe" to all
 *            others; for the one that ends it is the final message: everything queued before is
 *            delivered first, nothing comes after it, and it is delivered exactly once, even when
 *            memory has run out.
 * Threads    Everything may be called from any thread at once, also inside callbacks, with the
 *            exception that join waits and so cannot be used by a subscription's own callback.
 * Ordering   Callbacks of one subscription never overlap, and each sees all that the ones before it
 *            did. See stasis/topic.h for the order of messages.
 * Ownership  The bus holds a reference to a subscription until it is done, so the caller may drop
 *            his at any time. A subscription ends only by being unsubscribed.
 * Filters    A selective subscription is given messages of the types it accepts, and its final
 *            message. What it does not accept costs a publisher next to nothing.
 * Overflow   A queue without a capacity grows. With one, an overflow policy says what happens to a
 *            message that finds it full. What is lost is counted (stasis/stats.h), and the final
 *            message never is.
 */

#include <stdbool.h>
#include <stddef.h>

#include "api.h"

STASIS_BEGIN_DECLS

struct stasis_executor;
struct stasis_message;
struct stasis_message_type;
struct stasis_subscription;
struct stasis_topic;

/**
 * stasis_subscription_cb - called for every message
 * @data:     as given at subscribe
 * @sub:      the subscription; borrowed
 * @topic:    the topic subscribed to; borrowed
 * @message:  borrowed for the time of the call; take a reference to keep it longer
 *
 * May publish, subscribe, unsubscribe (itself too) and drop any reference. A callback that does not
 * return holds up its own subscription and one worker; other workers take over what is queued
 * behind it. It must return: not leave by longjmp(), pthread_exit() or a C++ exception, which end
 * the program. While it runs, the thread is not cancelled.
 */
typedef void (*stasis_subscription_cb)(void *data, struct stasis_subscription *sub,
				       struct stasis_topic *topic, struct stasis_message *message);

/**
 * stasis_congestion_cb - called when a queue has become too long, and when it is short again
 * @data:       as given at subscribe
 * @sub:        the subscription; borrowed
 * @congested:  true: its depth has reached high_water; false: it has come down to low_water
 *
 * Called once per crossing by whoever crossed it: a publisher, at the end of its publish, or
 * whoever delivers. So a call may overlap with the subscription's message callback, but not with
 * another call: they alternate, and the last one is true of the present. A crossing there and back
 * while one runs is not told. Must return, as a stasis_subscription_cb.
 */
typedef void (*stasis_congestion_cb)(void *data, struct stasis_subscription *sub, bool congested);

/* What happens to a message that finds a subscription's queue full. Only with a capacity. */
enum stasis_overflow {
	/* The queue grows; nothing is lost while there is memory. */
	STASIS_OVERFLOW_GROW = 0,
	/* The publisher waits until there is room, after it has handed the message to everybody
	 * else, or until the subscription ends. Inside a callback, of whatever subscription, and on
	 * the thread that was the last to run the subscription's STASIS_WAIT_MANUAL executor,
	 * nobody waits: the queue grows there, and statistics count that. */
	STASIS_OVERFLOW_BLOCK,
	/* The message is not taken: lost for this subscription, counted, and the publisher told. */
	STASIS_OVERFLOW_DROP_NEWEST,
	/* The oldest that is queued makes room: lost for this subscription, and counted. If another
	 * publisher is in the middle of queueing that one, the message is refused instead, as with
	 * DROP_NEWEST: nobody waits. When one who had stopped there has been passed by (taken_over
	 * in stasis/stats.h), what was queued then is kept: until that has been delivered, newer
	 * ones make room, and where there are none the message is refused. */
	STASIS_OVERFLOW_DROP_OLDEST,
	/* The message is not taken and the publisher told, as with DROP_NEWEST; of several that are
	 * published at once (stasis_publish_batch()) either all are taken or none. On a topic with
	 * forwards or selective subscriptions that goes for neighbours of one type that come by one
	 * way. If its publisher stops in the middle, and is passed by, the rest is queued beyond
	 * the capacity. */
	STASIS_OVERFLOW_REJECT,
};

/* Which messages a subscription is given. */
enum stasis_subscription_filter {
	STASIS_SUBSCRIPTION_FILTER_NONE = 0,  /* all */
	STASIS_SUBSCRIPTION_FILTER_SELECTIVE, /* those of accepted types, and the final message */
};

/* Largest values of the options below. */
#define STASIS_CAPACITY_MAX ((size_t)1 << 24)
#define STASIS_BATCH_MAX 65535u

/* Options of stasis_subscribe_with(). All-zero means defaults. */
struct stasis_subscribe_options {
	size_t size; /* sizeof(struct stasis_subscribe_options), or 0 for the same */

	/* For people and statistics; copied. NULL: the topic's name. */
	const char *name;

	/* Who calls back. NULL: the default executor. A reference is taken. */
	struct stasis_executor *executor;

	/* The most messages that may be queued, rounded up to a power of two; the one being
	 * delivered does not count. 0: no limit, whatever the policy. With STASIS_OVERFLOW_GROW
	 * this is room reserved from the start, not a limit. */
	size_t capacity;

	enum stasis_overflow overflow;

	/* Messages delivered at most before other subscriptions of the executor get their turn.
	 * 0: 256. */
	unsigned batch;

	/* Depths at which on_congestion is called: true when as many as high_water are queued,
	 * false when no more than low_water are left after that. low_water must be less, and
	 * high_water no more than a capacity that limits. 0 for high_water: never. */
	size_t low_water;
	size_t high_water;
	stasis_congestion_cb on_congestion;

	/* What reaches the subscription's topic by several paths of forwards is delivered once. */
	bool distinct;

	/* The types to accept, n_types of them; copied. The subscription is selective from the
	 * start then, so it is given its own "Subscribe" only if it accepts that. None: it is given
	 * everything. */
	struct stasis_message_type *const *types;
	size_t n_types;
};

/* The data of a message of stasis_subscription_change_type(). */
struct stasis_subscription_change {
	struct stasis_topic *topic; /* borrowed from the message */
	const char *uniqueid;	    /* of the subscription that came or went */
	const char *description;    /* "Subscribe" or "Unsubscribe" */
};

/**
 * stasis_subscribe() - start to receive
 * @topic:     what to listen to
 * @callback:  called for every message
 * @data:      passed to @callback; kept alive by the caller until the final message
 *
 * Callbacks may run before this returns. Starts the default executor when there is none.
 *
 * Ownership:  the caller gets one reference, to be given to stasis_unsubscribe(); the subscription
 *             holds one to @topic until it is freed, soon after it is done.
 * Threads:    any thread, also inside callbacks.
 * Progress:   takes the topic's lock for one copy of its subscriber array.
 * Return:     the subscription; NULL with errno EINVAL, ENOMEM, EAGAIN (no thread could be started)
 *             or ESHUTDOWN (the executor is shut down).
 */
STASIS_API struct stasis_subscription *
stasis_subscribe(struct stasis_topic *topic, stasis_subscription_cb callback, void *data);

/**
 * stasis_subscribe_with() - start to receive, with options
 * @topic:     what to listen to
 * @callback:  called for every message
 * @data:      passed to @callback
 * @options:   NULL for defaults; copied
 *
 * Ownership:  as stasis_subscribe().
 * Threads:    as stasis_subscribe().
 * Progress:   as stasis_subscribe().
 * Return:     as stasis_subscribe(); also NULL with errno EINVAL when an option is out of range, or
 *             E2BIG when @options is of a newer version and uses what this one lacks.
 */
STASIS_API struct stasis_subscription *
stasis_subscribe_with(struct stasis_topic *topic, stasis_subscription_cb callback, void *data,
		      const struct stasis_subscribe_options *options);

/**
 * stasis_unsubscribe() - stop receiving
 * @sub:  a subscription, or NULL
 *
 * Publishes that begin after this has returned do not reach the subscription. What is queued is
 * still delivered, then the final message.
 *
 * Ownership:  consumes the caller's reference, also when the subscription had ended before.
 * Threads:    any thread, also inside the subscription's own callback.
 * Progress:   takes the topic's lock for one copy of its subscriber array; does not wait for
 *             callbacks.
 * Return:     NULL, always. errno is EALREADY when the subscription had been unsubscribed before
 *             (nothing changes then), EINVAL when @sub is NULL; otherwise it is left alone.
 */
STASIS_API struct stasis_subscription *stasis_unsubscribe(struct stasis_subscription *sub);

/**
 * stasis_unsubscribe_and_join() - stop receiving and wait for the final message
 * @sub:  a subscription, or NULL
 *
 * When it returns, the callback has run for the last time. With a STASIS_WAIT_INLINE executor the
 * caller delivers the final message by itself if nobody else is at the subscription (in callbacks,
 * as many inside each other as of publishes).
 *
 * Ownership:  consumes the caller's reference.
 * Threads:    any thread. Inside the subscription's own callback it unsubscribes and does not wait.
 * Progress:   blocks.
 * Return:     NULL, always. errno is EDEADLK when it could not wait, EALREADY when the subscription
 *             had been unsubscribed before (it has waited all the same), EINVAL when @sub is NULL.
 */
STASIS_API struct stasis_subscription *stasis_unsubscribe_and_join(struct stasis_subscription *sub);

/**
 * stasis_subscription_join() - wait for the final message
 * @sub:  a subscription
 *
 * Waits until the callback for the final message has returned. Does not unsubscribe. A worker that
 * joins another subscription of its own executor is a worker less: with one thread in the executor
 * that can never end, and is refused. If the subscription's executor is STASIS_WAIT_MANUAL and this
 * thread was the last to run it, or nobody has yet, this call runs it; otherwise it waits for
 * whoever does.
 *
 * Ownership:  borrows @sub; the caller's reference keeps it alive meanwhile.
 * Threads:    any number of threads at once.
 * Progress:   blocks.
 * Return:     0; -EDEADLK inside the subscription's own callback, or inside any callback of an
 *             executor with a single thread when @sub is of that executor and not done; -EINVAL
 *             when @sub is NULL.
 */
STASIS_API int stasis_subscription_join(struct stasis_subscription *sub);

/**
 * stasis_subscription_is_done() - has the callback for the final message returned?
 * @sub:  a subscription
 *
 * Ownership:  borrows @sub.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     1 or 0; -EINVAL when @sub is NULL.
 */
STASIS_API int stasis_subscription_is_done(const struct stasis_subscription *sub);

/**
 * stasis_subscription_is_subscribed() - has it not been unsubscribed yet?
 * @sub:  a subscription
 *
 * Ownership:  borrows @sub.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     1 or 0; -EINVAL when @sub is NULL.
 */
STASIS_API int stasis_subscription_is_subscribed(const struct stasis_subscription *sub);

/**
 * stasis_subscription_final_message() - is this the last message of this subscription?
 * @sub:      a subscription
 * @message:  what its callback was given
 *
 * Ownership:  borrows both.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     1 or 0; -EINVAL when an argument is NULL.
 */
STASIS_API int stasis_subscription_final_message(struct stasis_subscription *sub,
						 struct stasis_message *message);

/**
 * stasis_subscription_uniqueid() - a name that no other subscription of this process has
 * @sub:  a subscription
 *
 * Ownership:  the string belongs to the subscription.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the name; NULL with errno EINVAL when @sub is NULL.
 */
STASIS_API const char *stasis_subscription_uniqueid(const struct stasis_subscription *sub);

/**
 * stasis_subscription_change_type() - the type of subscription changes
 *
 * Their data is a struct stasis_subscription_change. As JSON a change is
 *   {"type": "stasis_subscription_change", "timestamp": T, "topic": NAME, "uniqueid": ID,
 *    "description": "Subscribe" or "Unsubscribe"}
 * where T is the time as ISO 8601, in UTC with milliseconds, NAME the name of the topic subscribed
 * to, and ID that of stasis_subscription_uniqueid().
 *
 * Ownership:  borrowed; it lives as long as the process.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the type; never NULL.
 */
STASIS_API struct stasis_message_type *stasis_subscription_change_type(void);

/**
 * stasis_subscription_accept_message_type() - add a type to those accepted
 * @sub:   a subscription
 * @type:  a message type; accepting it again changes nothing
 *
 * Takes effect once the subscription is selective; see stasis_subscription_set_filter(). Publishes
 * that begin after this has returned go by it; what is queued is delivered.
 *
 * Ownership:  borrows both.
 * Threads:    any thread, also inside callbacks.
 * Progress:   takes the topic's lock for one copy of its subscriber array.
 * Return:     0; -ENOMEM, and nothing has changed; -EINVAL when an argument is NULL.
 */
STASIS_API int stasis_subscription_accept_message_type(struct stasis_subscription *sub,
						       struct stasis_message_type *type);

/**
 * stasis_subscription_decline_message_type() - take a type out of those accepted
 * @sub:   a subscription
 * @type:  a message type; declining one that is not accepted changes nothing
 *
 * Ownership:  borrows both.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_subscription_accept_message_type().
 * Return:     as stasis_subscription_accept_message_type().
 */
STASIS_API int stasis_subscription_decline_message_type(struct stasis_subscription *sub,
							struct stasis_message_type *type);

/**
 * stasis_subscription_set_filter() - begin or stop to select messages by their type
 * @sub:     a subscription
 * @filter:  STASIS_SUBSCRIPTION_FILTER_SELECTIVE: only accepted types, of which there may be none;
 *           STASIS_SUBSCRIPTION_FILTER_NONE: everything. The accepted types are kept either way.
 *
 * Ownership:  borrows @sub.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_subscription_accept_message_type().
 * Return:     0; -ENOMEM, and nothing has changed; -EINVAL when @sub is NULL or @filter unknown.
 */
STASIS_API int stasis_subscription_set_filter(struct stasis_subscription *sub,
					      enum stasis_subscription_filter filter);

STASIS_END_DECLS

#endif
