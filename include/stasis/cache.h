/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_CACHE_H
#define STASIS_CACHE_H

/* stasis/cache.h — the present state of things, and every change of it
 *
 * Overview   A snapshot is a message that says all there is to say about the state of one thing,
 *            and a function of yours tells the id of the thing. A cache keeps the last snapshot of
 *            each thing, by the snapshot's type and id. A caching topic watches an original topic
 *            for snapshots (also those that reach it by forwards), puts them into its cache, and
 *            presents a topic of its own, on which every change is published as a cache update:
 *            the old snapshot and the new one.
 *
 *              publish(original, snapshot) -> cache -> publish(caching topic, {old, new})
 *
 *            That happens inside the publish: when it returns, stasis_cache_get() gives that
 *            snapshot or a later one, and the update is queued at every subscription. Messages that
 *            are no snapshots are not passed on. A clear, stasis_cache_clear_create(), removes a
 *            thing: its update has an old snapshot and no new one.
 *
 *            Several caching topics may share a cache. Each publishes the changes that come
 *            through it; an id that comes through several has one history, of which each shows its
 *            part.
 * Threads    Everything may be called from any thread at once, also inside callbacks.
 * Ordering   For each id, updates form a chain at every subscription: the old snapshot of each is
 *            the new one of the one before, however many threads publish at once, and wherever one
 *            of them is stopped. Updates otherwise keep the order of messages (stasis/topic.h). A
 *            subscription with a lossy overflow policy misses links, which are counted; under
 *            STASIS_OVERFLOW_BLOCK an update is queued at once, the queue grows, and its publisher
 *            waits afterwards until there is room.
 *            An update reaches a subscription once for each path of forwards to it.
 * Lifetime   A cache keeps the last update of each id, and so the present snapshot and the one
 *            before. What they replace is let go some milliseconds later, and so is all of an id
 *            that has been cleared, on a thread of the library's: the release function of a
 *            snapshot's data must be ready for that. What a cache has at its end is let go by
 *            whoever drops the last reference to it.
 */

#include <stddef.h>

#include "api.h"

STASIS_BEGIN_DECLS

struct stasis_cache;
struct stasis_caching_topic;
struct stasis_message;
struct stasis_message_type;
struct stasis_subscribe_options;
struct stasis_subscription;
struct stasis_topic;

/* Bytes of an id, at most; a snapshot with a longer one is not cached. */
#define STASIS_CACHE_ID_MAX ((size_t)1 << 20)

/* The data of a message of stasis_cache_update_type(). */
struct stasis_cache_update {
	struct stasis_message_type *type;    /* of the snapshots */
	struct stasis_message *old_snapshot; /* borrowed from the update; NULL: there was none */
	struct stasis_message *new_snapshot; /* borrowed from the update; NULL: it is gone */
};

/**
 * stasis_cache_update_type() - the type of cache updates
 *
 * Their data is a struct stasis_cache_update. As JSON an update is
 *   {"type": "stasis_cache_update", "timestamp": T, "snapshot_type": NAME, "old": OLD, "new": NEW}
 * where T is the time of the update, NAME the name of the snapshots' type, and OLD and NEW the
 * snapshots' own JSON, or null where there is none.
 *
 * Ownership:  borrowed; it lives as long as the process.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the type; never NULL.
 */
STASIS_API struct stasis_message_type *stasis_cache_update_type(void);

/**
 * stasis_cache_clear_type() - the type of the messages that clear an entry
 *
 * Ownership:  borrowed; it lives as long as the process.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the type; never NULL.
 */
STASIS_API struct stasis_message_type *stasis_cache_clear_type(void);

/**
 * stasis_cache_clear_create() - a message that removes an entry
 * @snapshot:  any snapshot with the type and id of the entry
 *
 * Publish it on the original topic. Clearing what is not there does nothing, and publishes nothing.
 *
 * Ownership:  the message holds a reference to @snapshot; the caller gets one to the message.
 * Threads:    any thread.
 * Progress:   as stasis_message_create().
 * Return:     the message; NULL with errno EINVAL or ENOMEM.
 */
STASIS_API struct stasis_message *stasis_cache_clear_create(struct stasis_message *snapshot);

/**
 * stasis_snapshot_get_id - tells the id of a snapshot
 * @message:  any message published on an original topic, save the library's own: look at its type
 *            before its data
 *
 * Called inside the publish, on the publisher's thread, before the snapshot is cached. It must not
 * wait, publish or subscribe. The string is used before anything else happens on this thread, and
 * copied if it is kept. Any bytes but NUL will do, also none at all ("").
 *
 * Return:  the id; NULL: it is no snapshot, and is not cached.
 */
typedef const char *(*stasis_snapshot_get_id)(struct stasis_message *message);

/**
 * stasis_cache_create() - make a cache
 * @id:  tells the ids of snapshots
 *
 * Ownership:  the caller gets one reference; each caching topic holds one.
 * Threads:    any thread.
 * Progress:   as the allocator.
 * Return:     the cache; NULL with errno EINVAL or ENOMEM.
 */
STASIS_API struct stasis_cache *stasis_cache_create(stasis_snapshot_get_id id);

/**
 * stasis_cache_get() - the present snapshot of a thing
 * @cache:  a cache
 * @type:   the snapshot's type
 * @id:     its id
 *
 * Ownership:  the caller gets a reference to the snapshot.
 * Threads:    any thread, also inside callbacks.
 * Progress:   never waits: not for writers, nor while the table is resized. A few steps as a rule.
 * Return:     the snapshot; NULL when there is none (errno unchanged), or with errno EINVAL.
 */
STASIS_API struct stasis_message *stasis_cache_get(struct stasis_cache *cache,
						   struct stasis_message_type *type,
						   const char *id);

/**
 * stasis_cache_dump() - the present snapshots of all things
 * @cache:  a cache
 * @type:   of the snapshots; NULL: of every type
 * @n:      where to put their number
 *
 * Each is what its entry was at some moment during the call; what is in the cache all the while is
 * there once. In no order.
 *
 * Ownership:  the caller gets an array with a reference to each; free it with
 *             stasis_cache_dump_free().
 * Threads:    any thread, also inside callbacks.
 * Progress:   never waits; puts off the freeing of memory elsewhere while it runs.
 * Return:     the array, not NULL even when it is empty; NULL with errno EINVAL or ENOMEM, and *@n
 *             0 then, unless @n is NULL.
 */
STASIS_API struct stasis_message **
stasis_cache_dump(struct stasis_cache *cache, struct stasis_message_type *type, size_t *n);

/**
 * stasis_cache_dump_free() - free a dump
 * @dump:  of stasis_cache_dump(), or NULL
 * @n:     its number of snapshots
 *
 * Ownership:  drops a reference to each snapshot, unless the caller has set its place to NULL.
 * Threads:    any thread.
 * Progress:   as dropping the references.
 * Return:     NULL.
 */
STASIS_API struct stasis_message **stasis_cache_dump_free(struct stasis_message **dump, size_t n);

/**
 * stasis_caching_topic_create() - cache what is published on a topic
 * @original:  where snapshots are published
 * @cache:     where they are kept
 *
 * Publishes that begin after this has returned are cached. A snapshot that could not be, for want
 * of memory, counts as one refused in the result of its publish: the entry is as it was.
 * stasis_topic_wants() says yes for a topic that is cached.
 *
 * Ownership:  the caller gets one reference, for stasis_caching_unsubscribe(). It caches until it
 *             is unsubscribed or @original is freed: dropping the handle alone does not end it. It
 *             holds references to @cache and its own topic, not to @original.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_forward_all().
 * Return:     the caching topic; NULL with errno EINVAL, ELOOP (too many forwards in a row) or
 *             ENOMEM.
 */
STASIS_API struct stasis_caching_topic *stasis_caching_topic_create(struct stasis_topic *original,
								    struct stasis_cache *cache);

/**
 * stasis_caching_get_topic() - the topic on which updates are published
 * @caching:  a caching topic
 *
 * Ownership:  borrowed from @caching; take a reference to keep it longer.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the topic; NULL with errno EINVAL.
 */
STASIS_API struct stasis_topic *stasis_caching_get_topic(struct stasis_caching_topic *caching);

/**
 * stasis_caching_unsubscribe() - end the caching of a topic
 * @caching:  a caching topic, or NULL
 *
 * Publishes that begin after this has returned are not cached. Entries stay in the cache;
 * subscriptions to the topic of updates stay, and are given no more.
 *
 * Ownership:  consumes the caller's reference, always.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_forward_cancel().
 * Return:     NULL. errno EALREADY if it had been ended before, by another reference; EINVAL if
 *             @caching is NULL.
 */
STASIS_API struct stasis_caching_topic *
stasis_caching_unsubscribe(struct stasis_caching_topic *caching);

/**
 * stasis_caching_unsubscribe_and_join() - the same, and wait for publishes under way
 * @caching:  a caching topic, or NULL
 *
 * When this returns, all that was on its way into the cache is there, and its updates are queued.
 *
 * Ownership:  consumes the caller's reference, always.
 * Threads:    any thread, also inside callbacks; not in a function that tells ids.
 * Progress:   blocks for a grace period: until every publish that had begun has ended.
 * Return:     as stasis_caching_unsubscribe().
 */
STASIS_API struct stasis_caching_topic *
stasis_caching_unsubscribe_and_join(struct stasis_caching_topic *caching);

/**
 * stasis_caching_subscribe_with_state() - subscribe to updates, beginning with what there is
 * @caching:   a caching topic
 * @callback:  called for every message
 * @data:      given to @callback
 * @options:   as for stasis_subscribe_with(); NULL for defaults
 *
 * The subscription is given its own "Subscribe"; for each entry of the cache one update from no old
 * snapshot to the present one; and every later update of @caching: for each id without gap and
 * without repeat. Updates of ids that are told already may come in between.
 *
 * With a filter, see that it accepts stasis_cache_update_type().
 *
 * Ownership:  as stasis_subscribe_with().
 * Threads:    any thread, also inside callbacks; not in a function that tells ids.
 * Progress:   takes a lock of the cache's, for such calls; publishers and readers do not wait. One
 *             small message per entry.
 * Return:     the subscription; NULL with errno as stasis_subscribe_with(). ENOMEM also when not
 *             all of the state could be queued: the subscription has been unsubscribed then, and
 *             what it has been given comes before its final message.
 */
STASIS_API struct stasis_subscription *
stasis_caching_subscribe_with_state(struct stasis_caching_topic *caching,
				    void (*callback)(void *data, struct stasis_subscription *sub,
						     struct stasis_topic *topic,
						     struct stasis_message *message),
				    void *data, const struct stasis_subscribe_options *options);

STASIS_END_DECLS

#endif
