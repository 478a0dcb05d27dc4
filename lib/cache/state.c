/* SPDX-License-Identifier: BSD-2-Clause */
/* cache/state.c — subscribing to updates, beginning with what there is
 *
 * The protocol is in bus/chain.h. Here: the subscription is announced as joining before it is among
 * the subscribers; then the cache's number is raised, and every entry there is gets a link for it
 * alone.
 */

#include <errno.h>

#include <stasis/object.h>
#include <stasis/subscription.h>

#include "base/alloc.h"
#include "base/process.h"
#include "bus/subscription.h"
#include "cache/cache.h"
#include "sync/rcu.h"

struct joining {
	struct stasis_cache *cache;
	struct sti_chain_joiner *joiner;
	struct sti_chain_whom whom;
	struct stasis_subscription *sub; /* referenced: a callback may give away the caller's */
	/* of all pushes; what is to be done afterwards is done when the lock is free again */
	struct sti_delivery delivery;
};

static void join_prepared(void *arg, struct stasis_subscription *sub)
{
	struct joining *joining = arg;

	joining->sub = stasis_object_ref(sub);
	sti_chain_join_begin(&joining->cache->group, joining->joiner, sub);
	joining->whom = (struct sti_chain_whom){ .group = &joining->cache->group,
						 .joiner = joining->joiner };
}

/* Tells the joiner of an entry. 0, also when there is nothing to tell, or -ENOMEM. */
static int join_entry(struct joining *joining, struct sti_cache_entry *entry)
{
	struct sti_link *link = sti_link_new((struct stasis_message_type *)(uintptr_t)
						     entry->map.key.type,
					     NULL);
	int result;

	if (link == NULL)
		return -ENOMEM;
	result = sti_cache_entry_add(joining->cache, entry, link, &joining->whom,
				     &joining->delivery);
	if (result != 0)
		sti_link_free(link);
	return result == -ENOMEM ? -ENOMEM : 0;
}

static int join_all(struct joining *joining)
{
	struct stasis_cache *cache = joining->cache;
	struct sti_map_walk walk;
	struct sti_map_entry *entry;
	int result = 0;

	sti_rcu_read_lock();
	for (entry = sti_map_first(&cache->map, &walk); entry != NULL && result == 0;
	     entry = sti_map_next(&cache->map, &walk))
		result = join_entry(joining, (struct sti_cache_entry *)entry);
	sti_rcu_read_unlock();
	return result;
}

/* Takes back a subscription that has not got all of the state. */
static void join_abandon(struct joining *joining, struct stasis_subscription *sub)
{
	errno = 0;
	joining->sub = stasis_unsubscribe(joining->sub);
	/* Otherwise a callback has done so, with the caller's reference. */
	if (errno != EALREADY)
		stasis_object_unref(sub);
}

/* Under the cache's lock: runs no callbacks. 0 or -errno. */
static int join_locked(struct joining *joining, struct stasis_caching_topic *caching,
		       stasis_subscription_cb callback, void *data,
		       const struct stasis_subscribe_options *options,
		       struct stasis_subscription **subp)
{
	struct sti_chain_group *group = &joining->cache->group;
	int result = 0;

	joining->joiner = sti_alloc_zeroed(sizeof(*joining->joiner));
	if (joining->joiner == NULL)
		return -ENOMEM;
	*subp = sti_subscribe_prepared(caching->topic, callback, data, options, join_prepared,
				       joining, &joining->delivery.pending);
	if (*subp == NULL)
		result = -errno;
	if (result == 0) {
		sti_chain_join_raise(group, joining->joiner);
		result = join_all(joining);
	}
	sti_chain_join_end(group, joining->joiner);
	return result;
}

struct stasis_subscription *
stasis_caching_subscribe_with_state(struct stasis_caching_topic *caching,
				    stasis_subscription_cb callback, void *data,
				    const struct stasis_subscribe_options *options)
{
	struct joining joining = { .cache = NULL };
	struct stasis_subscription *sub = NULL;
	int result = caching != NULL ? sti_process_check() : -EINVAL;

	if (result != 0) {
		errno = -result;
		return NULL;
	}
	joining.cache = caching->cache;
	sti_pending_init(&joining.delivery.pending);
	pthread_mutex_lock(&joining.cache->join_lock);
	result = join_locked(&joining, caching, callback, data, options, &sub);
	pthread_mutex_unlock(&joining.cache->join_lock);
	if (result != 0 && sub != NULL) {
		/* Callbacks that the end leads to may wait for what has been claimed. */
		sti_pending_let_go(&joining.delivery.pending);
		join_abandon(&joining, sub);
		sub = NULL;
	}
	sti_pending_settle(&joining.delivery.pending, 0);
	stasis_object_unref(joining.sub);
	if (result != 0)
		errno = -result;
	return sub;
}
