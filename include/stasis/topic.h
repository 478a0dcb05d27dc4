/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TOPIC_H
#define STASIS_TOPIC_H

/* stasis/topic.h — where messages are published
 *
 * Overview   A topic hands every message published to it to each of its subscriptions. Publishing
 *            queues; a worker of the subscription's executor calls back. A topic lives until its
 *            last reference is dropped; each subscription holds one.
 * Threads    Everything may be called from any thread at once, also inside callbacks.
 * Ordering   Two publishes by one thread, or otherwise ordered by happens-before, reach every
 *            subscription they share in that order, whatever the topics. Publishes of different
 *            threads that nothing orders may arrive in either order, and differently at different
 *            subscriptions.
 * Progress   A publish takes no lock and never waits for a subscriber, for a subscribe or
 *            unsubscribe, or for another publisher, running or stopped. A thread's very first call
 *            registers it (with liburcu, under a lock of its own) and allocates its record.
 */

#include <stddef.h>

#include <stasis/api.h>

STASIS_BEGIN_DECLS

struct stasis_message;
struct stasis_message_type;
struct stasis_topic;

/**
 * stasis_topic_create() - make a topic
 * @name:  for people and statistics; copied; neither NULL nor empty; need not be unique
 *
 * Ownership:  the caller gets one reference.
 * Threads:    any thread.
 * Progress:   as the allocator.
 * Return:     the topic; NULL with errno EINVAL or ENOMEM.
 */
STASIS_API struct stasis_topic *stasis_topic_create(const char *name);

/**
 * stasis_topic_name() - the name given at creation
 * @topic:  a topic
 *
 * Ownership:  the string belongs to the topic.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the name; NULL with errno EINVAL when @topic is NULL.
 */
STASIS_API const char *stasis_topic_name(const struct stasis_topic *topic);

/**
 * stasis_topic_subscribers() - how many subscriptions a publish would reach now
 * @topic:  a topic
 *
 * Ownership:  borrows @topic.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the number; 0 with errno EINVAL when @topic is NULL.
 */
STASIS_API size_t stasis_topic_subscribers(const struct stasis_topic *topic);

/**
 * stasis_topic_wants() - would a message of this type reach anybody?
 * @topic:  a topic
 * @type:   a message type
 *
 * Lets a publisher skip building a message that nobody would get.
 *
 * Ownership:  borrows both.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     1 or 0; -EINVAL when an argument is NULL.
 */
STASIS_API int stasis_topic_wants(const struct stasis_topic *topic,
				  const struct stasis_message_type *type);

/**
 * stasis_publish() - hand a message to every subscription of a topic
 * @topic:    where
 * @message:  what; may be published any number of times, to any topics
 *
 * A subscription that ends concurrently gets the message before its final message or not at all.
 *
 * Ownership:  the caller keeps his reference; every subscription that took the message holds one
 *             until its callback has returned. A worker may drop a few at once, at the end of its
 *             round through its subscriptions.
 * Threads:    any thread, also inside callbacks, for any topic.
 * Progress:   lock-free; allocates only when a queue grows, and once for a topic's second
 *             publishing thread (its counters); makes a system call only to wake a worker that
 *             sleeps: for the message, or to keep an eye on the one that is busy.
 * Return:     0: queued everywhere. n > 0: n subscriptions did not take it, because memory ran out
 *             when their queue had to grow, or because their executor is shut down; they count it
 *             as dropped. -EINVAL: an argument is NULL.
 */
STASIS_API int stasis_publish(struct stasis_topic *topic, struct stasis_message *message);

/**
 * stasis_publish_take() - publish and give the message away
 * @topic:    where
 * @message:  what
 *
 * The fast way for a freshly made message:
 * `stasis_publish_take(topic, stasis_message_create_inline(type, &x, sizeof(x)))`.
 *
 * Ownership:  consumes the caller's reference to @message, also on error.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_publish().
 * Return:     as stasis_publish().
 */
STASIS_API int stasis_publish_take(struct stasis_topic *topic, struct stasis_message *message);

/**
 * stasis_publish_batch() - publish several messages, in order, and give them away
 * @topic:     where
 * @messages:  what; the array stays the caller's. A message may occur in it more than once; each
 *             occurrence consumes a reference.
 * @n:         how many; 0 is allowed
 *
 * As n calls of stasis_publish_take(), but each subscription's queue is entered once for all.
 *
 * Ownership:  consumes one reference per element, also on error.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_publish().
 * Return:     as stasis_publish(), summed over the messages (INT_MAX at most). -EINVAL: @topic or
 *             an element is NULL, or @messages is while @n is not 0; nothing is published then.
 */
STASIS_API int stasis_publish_batch(struct stasis_topic *topic, struct stasis_message **messages,
				    size_t n);

STASIS_END_DECLS

#endif
