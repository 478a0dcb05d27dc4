/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TOPIC_H
#define STASIS_TOPIC_H

/* stasis/topic.h — where messages are published
 *
 * Overview   A topic hands every message published to it to each of its subscriptions. Publishing
 *            queues; a worker of the subscription's executor calls back. A topic lives until its
 *            last reference is dropped; each subscription and each forward to it holds one.
 *
 *            A forward passes on to one topic all that is published to another, without end: what
 *            one topic is given reaches the subscribers of every topic it leads to, once for each
 *            path. That is how aggregation topics are made. Forwards cannot form cycles.
 * Threads    Everything may be called from any thread at once, also inside callbacks.
 * Ordering   Two publishes by one thread, or otherwise ordered by happens-before, reach every
 *            subscription they share in that order, whatever the topics. Publishes of different
 *            threads that nothing orders may arrive in either order, and differently at different
 *            subscriptions. What is published by a callback that runs inside a publish
 *            (on_congestion, or inline) may come before what that publish still has to wait for
 *            room for.
 * Progress   A publish takes no lock and never waits for a subscriber, for a subscribe or
 *            unsubscribe, or for another publisher, running or stopped. A thread's very first call
 *            registers it (with liburcu, under a lock of its own) and allocates its record.
 */

#include <stddef.h>

#include "api.h"

STASIS_BEGIN_DECLS

struct stasis_forward;
struct stasis_message;
struct stasis_message_type;
struct stasis_subscription;
struct stasis_topic;
struct timespec;

/* Forwards in a row, at most, on any path. */
#define STASIS_FORWARD_DEPTH_MAX 1024u

/* Synchronous publishes inside each other's callbacks on one thread, at most. */
#define STASIS_SYNC_DEPTH_MAX 256u

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
 * Forwards included, filters left aside. One that is reached by several paths counts once.
 *
 * Ownership:  borrows @topic.
 * Threads:    any thread.
 * Progress:   wait-free; with forwards it takes the lock that making and cancelling one takes.
 * Return:     the number; 0 with errno EINVAL when @topic is NULL.
 */
STASIS_API size_t stasis_topic_subscribers(const struct stasis_topic *topic);

/**
 * stasis_topic_wants() - would a message of this type reach anybody?
 * @topic:  a topic
 * @type:   a message type
 *
 * Lets a publisher skip building a message that nobody would get. Goes by forwards and filters.
 *
 * Ownership:  borrows both.
 * Threads:    any thread.
 * Progress:   lock-free, as a publish, but ends at the first that would get it.
 * Return:     1 or 0; -EINVAL when an argument is NULL.
 */
STASIS_API int stasis_topic_wants(const struct stasis_topic *topic,
				  const struct stasis_message_type *type);

/**
 * stasis_forward_all() - pass everything published to one topic on to another
 * @from:  where it is published
 * @to:    where it is to go too
 *
 * Publishes to @from that begin after this has returned pass. Forwards may be made and cancelled
 * while others publish. Two forwards between the same topics are two paths.
 *
 * Ownership:  the caller gets one reference, for stasis_forward_cancel(). The forward holds one to
 *             @to, and lasts until it is cancelled or @from is freed: dropping its handle alone
 *             does not end it.
 * Threads:    any thread, also inside callbacks.
 * Progress:   takes a lock that all forwards share, for the check for cycles, and that of @from for
 *             one copy of its array.
 * Return:     the forward; NULL with errno ELOOP (it would close a cycle, or make a path of more
 *             than STASIS_FORWARD_DEPTH_MAX forwards), ENOMEM or EINVAL.
 */
STASIS_API struct stasis_forward *stasis_forward_all(struct stasis_topic *from,
						     struct stasis_topic *to);

/**
 * stasis_forward_cancel() - end a forward
 * @forward:  a forward, or NULL
 *
 * Publishes that begin after this has returned do not pass. Cancelling a forward that has ended, by
 * another reference, changes nothing.
 *
 * Ownership:  consumes the caller's reference.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_forward_all(). Cannot fail: it needs no memory.
 * Return:     NULL, always. errno is EALREADY when the forward had ended before, EINVAL when
 *             @forward is NULL; otherwise it is left alone.
 */
STASIS_API struct stasis_forward *stasis_forward_cancel(struct stasis_forward *forward);

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
 * Progress:   lock-free; allocates only when a queue grows, once for a topic's second publishing
 *             thread (its counters), and when it has to remember much: more than 16 topics with
 *             distinct subscriptions on its way, or more than 8 subscriptions with something left
 *             to do (below); makes a system call only to wake a worker that
 *             sleeps: for the message, or to keep an eye on the one that is busy. Where several
 *             threads publish to one and the same subscription without a capacity, all the time,
 *             and more than two thousand messages are queued there, each lets another go on alone
 *             for some microseconds before it publishes. Not inside callbacks, nor on threads that
 *             run STASIS_WAIT_MANUAL executors.
 *             Three things are left until everybody has it, and are done by this thread then:
 *             waiting for room where the policy is STASIS_OVERFLOW_BLOCK, calling on_congestion,
 *             and delivering where the executor is STASIS_WAIT_INLINE.
 * Return:     0: queued everywhere. n > 0: n subscriptions did not take it, because their queue is
 *             full and their policy says so, because memory ran out when it had to grow, or because
 *             their executor is shut down; they count it as dropped. A subscription whose filter
 *             declines it does not count. -EINVAL: an argument is NULL.
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
 * As n calls of stasis_publish_take(), but each subscription's queue is entered once for many, 32
 * and more; on a topic with forwards or selective subscriptions, once for neighbours of one type.
 * Where there are several subscriptions, up to 32 neighbours may be kept in memory until all have
 * had the last of them.
 *
 * Ownership:  consumes one reference per element, also on error.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_publish().
 * Return:     as stasis_publish(), summed over the messages (INT_MAX at most). -EINVAL: @topic or
 *             an element is NULL, or @messages is while @n is not 0; nothing is published then.
 */
STASIS_API int stasis_publish_batch(struct stasis_topic *topic, struct stasis_message **messages,
				    size_t n);

/**
 * stasis_publish_sync() - publish, and wait until one subscription has handled it
 * @sub:      whose topic to publish to, and whose callback to wait for
 * @message:  what
 *
 * Returns when @sub's callback for this message has returned; others get it as by stasis_publish().
 * If @sub has nothing else queued, the callback runs on the calling thread, so that nobody has to
 * be woken; callbacks of @sub never overlap all the same. A thread that waits inside a callback
 * takes @sub out of its executor's queue, should it be waiting there for a worker, and delivers
 * what it has: so a whole pool may wait inside callbacks without standing still. With a
 * STASIS_WAIT_MANUAL executor, only a thread that was the last to run it (or any, while none has),
 * or is running it, does any of this; others wait for that. A loop's thread that waits here for the
 * subscription of another executor lets its own loop stand still meanwhile.
 *
 * Ownership:  borrows @sub; the caller keeps his reference to @message, until this returns at the
 *             least: callbacks must not drop it for him.
 * Threads:    any thread, also inside callbacks. No lock is held while callbacks run or this waits.
 * Progress:   blocks until the callback has returned.
 * Return:     0: @sub has handled it and all others have it queued, or @sub's filter declines it.
 *             n > 0: as stasis_publish(), @sub included when its policy did not let it take, or
 *             keep, the message. -ESHUTDOWN: @sub is unsubscribed or its executor shut down;
 *             nothing is published, unless that happened while it was waiting for room. -EDEADLK:
 *             the wait could never end, because it is made inside a callback that @sub's callback
 *             itself has to wait for (its own, at the least); nothing is published. -ELOOP: more
 *             than STASIS_SYNC_DEPTH_MAX inside each other on this thread; nothing is published.
 *             -ENOMEM: nothing is published. -EINVAL.
 */
STASIS_API int stasis_publish_sync(struct stasis_subscription *sub, struct stasis_message *message);

/**
 * stasis_publish_sync_timed() - the same, and wait no longer than so
 * @sub:      as for stasis_publish_sync()
 * @message:  as for stasis_publish_sync()
 * @timeout:  how long to wait, from now; NULL: for ever
 *
 * With a timeout the callback is left to the executor; inside a callback the calling thread may
 * still come to run it, and take longer. Room is not waited for any longer, either: another
 * subscription of the topic (STASIS_OVERFLOW_BLOCK) whose queue is full until then does not get the
 * message, and counts it as dropped.
 *
 * Ownership:  as stasis_publish_sync().
 * Threads:    as stasis_publish_sync().
 * Progress:   blocks until the callback has returned or the time is up.
 * Return:     as stasis_publish_sync(); -ETIMEDOUT: the time is up; the message is published and
 *             @sub will handle it, unless it was still waiting for room
 *             (STASIS_OVERFLOW_BLOCK);
 *             -EINVAL also when @timeout is not a valid time.
 */
STASIS_API int stasis_publish_sync_timed(struct stasis_subscription *sub,
					 struct stasis_message *message,
					 const struct timespec *timeout);

STASIS_END_DECLS

#endif
