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
 */

#include <stddef.h>

#include <stasis/api.h>

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
 * behind it. It must not leave by longjmp() or a C++ exception.
 */
typedef void (*stasis_subscription_cb)(void *data, struct stasis_subscription *sub,
				       struct stasis_topic *topic, struct stasis_message *message);

/* What happens when a subscription's queue is full. */
enum stasis_overflow {
	STASIS_OVERFLOW_GROW = 0, /* the queue grows; nothing is lost while there is memory */
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

	/* Messages to have room for, rounded up to a power of two. 0: start small, which suits
	 * most. With STASIS_OVERFLOW_GROW this is room reserved from the start, not a limit. */
	size_t capacity;

	enum stasis_overflow overflow;

	/* Messages delivered at most before other subscriptions of the executor get their turn.
	 * 0: 256. */
	unsigned batch;
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
 * When it returns, the callback has run for the last time.
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
 * that can never end, and is refused.
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
 * Their data is a struct stasis_subscription_change.
 *
 * Ownership:  borrowed; it lives as long as the process.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the type; never NULL.
 */
STASIS_API struct stasis_message_type *stasis_subscription_change_type(void);

STASIS_END_DECLS

#endif
