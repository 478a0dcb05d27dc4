/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_CACHE_CACHE_H
#define STI_CACHE_CACHE_H

/* cache/cache.h — what is inside a cache and a caching topic
 *
 * An entry of a cache is a chain (bus/chain.h), found by type and id (map/map.h). Its last link has
 * the present snapshot. So replacing a snapshot and taking its place in the order of updates is one
 * CAS, and a reader loads one pointer.
 *
 * An entry whose chain has ended is taken out by whoever comes by; who removes it frees it, after a
 * grace period.
 *
 * References: entry -> its last link, a message -> old and new snapshot. Caching topic -> cache,
 * its topic, its forward. The forward leads from the original topic to an inlet, a topic with a
 * tap, which holds a reference to the caching topic; so that lives until the forward has ended.
 */

#include <pthread.h>

#include <stasis/cache.h>

#include "base/object.h"
#include "bus/chain.h"
#include "bus/topic.h"
#include "map/map.h"
#include "sync/retire.h"

struct stasis_cache {
	/* const after init */
	stasis_snapshot_get_id get_id;
	/* any thread: see there */
	struct sti_map map;
	struct sti_chain_group group;
	/* serializes those who join with the state */
	pthread_mutex_t join_lock;
};

/* With a short id, all that finding it and reading its state looks at is in one line. What frees it
 * is behind the id. */
struct sti_cache_entry {
	struct sti_map_entry map; /* first */
	struct sti_chain chain;
	char id[]; /* and a NUL, for people */
};

struct stasis_caching_topic {
	struct sti_tap tap; /* first */
	/* const after init; referenced */
	struct stasis_cache *cache;
	struct stasis_topic *topic;
	/* any thread: atomic; NULL: unsubscribed */
	_Atomic(struct stasis_forward *) forward;
};

/* Puts a snapshot, or a clear, into a cache and publishes the update on a topic. Inside a read
 * section. 0, also when there is nothing to do; -ENOMEM: nothing has changed. */
int sti_cache_put(struct stasis_cache *cache, struct stasis_topic *topic,
		  struct stasis_message *message, struct sti_delivery *delivery);

/* Adds a link to an entry's chain, and sees to what follows from it. As sti_chain_add(). Inside a
 * read section. */
int sti_cache_entry_add(struct stasis_cache *cache, struct sti_cache_entry *entry,
			struct sti_link *link, const struct sti_chain_whom *whom,
			struct sti_delivery *delivery);

#endif
