/* SPDX-License-Identifier: BSD-2-Clause */
/* cache/cache.c — the entries of a cache. See cache.h, and bus/chain.h for the protocol.
 *
 * Linearization: of a put, the CAS on the chain (X1 in bus/chain.c); of a get, the load of its last
 * link (A1 there).
 */

#include "cache/cache.h"

#include <errno.h>
#include <string.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/callout.h"

/* --- entries --- */

static struct sti_cache_entry *entry_find(const struct stasis_cache *cache,
					  const struct sti_map_key *key)
{
	return (struct sti_cache_entry *)sti_map_find(&cache->map, key);
}

/* What frees an entry. */
struct entry_end {
	struct sti_rcu_head rcu;
	struct sti_cache_entry *entry;
};

/* Where that is: behind the id. */
static size_t end_offset(size_t id_size)
{
	size_t size = sizeof(struct sti_cache_entry) + id_size + 1;

	return (size + _Alignof(struct entry_end) - 1) & ~(_Alignof(struct entry_end) - 1);
}

static void entry_free(struct sti_rcu_head *rcu)
{
	sti_free(sti_container_of(rcu, struct entry_end, rcu)->entry);
}

/* Takes out an entry whose chain has ended. */
static void entry_remove(struct stasis_cache *cache, struct sti_cache_entry *entry)
{
	struct entry_end *end;

	if (!sti_map_remove(&cache->map, &entry->map))
		return;
	end = (struct entry_end *)((char *)entry + end_offset(entry->map.key.size));
	end->entry = entry;
	sti_rcu_call(&end->rcu, entry_free);
}

/* Ends the chain if its last link (NULL: it has not begun) has no snapshot. True: the chain's
 * reference to that is the caller's to drop. */
static bool entry_end(struct stasis_cache *cache, struct sti_cache_entry *entry,
		      struct sti_link *last)
{
	if (!sti_chain_end(&entry->chain, last))
		return false;
	entry_remove(cache, entry);
	return last != NULL;
}

/* An entry for a key that has none, or the one that somebody else has made meanwhile. NULL: no
 * memory. */
static struct sti_cache_entry *entry_make(struct stasis_cache *cache,
					  const struct sti_map_key *key)
{
	struct sti_cache_entry *entry, *made;

	made = sti_alloc_aligned(STI_CACHELINE,
				 end_offset(key->size) + sizeof(struct entry_end));
	if (made == NULL)
		return NULL;
	memset(made, 0, sizeof(*made));
	memcpy(made->id, key->id, key->size);
	made->id[key->size] = '\0';
	made->map.key = (struct sti_map_key){ key->type, made->id, key->size };
	entry = (struct sti_cache_entry *)sti_map_add(&cache->map, &made->map);
	if (entry != made)
		sti_free(made);
	return entry;
}

int sti_cache_entry_add(struct stasis_cache *cache, struct sti_cache_entry *entry,
			struct sti_link *link, const struct sti_chain_whom *whom,
			struct sti_delivery *delivery)
{
	/* Places for what is replaced and for what ends: then neither can fail afterwards. */
	struct sti_retire_batch *batch = sti_retire_reserve();
	struct sti_link *before = NULL;
	bool ended = false;
	int result = -ENOMEM;

	if (batch != NULL)
		result = sti_chain_add(&entry->chain, link, whom, delivery, &before);
	if (result == -ESTALE)
		entry_remove(cache, entry);
	else if (result == -ENOMEM && sti_chain_last(&entry->chain) == NULL)
		entry_end(cache, entry, NULL);
	else if (result == 0 && link->update.new_snapshot == NULL)
		ended = entry_end(cache, entry, link);
	if (batch != NULL) {
		sti_retire_add(batch, before != NULL ? sti_link_message(before) : NULL);
		sti_retire_put(batch, ended ? sti_link_message(link) : NULL);
	}
	return result;
}

/* --- putting --- */

/* In the middle of a publish: to hold off a cancellation as well would cost more than it does. */
static const char *id_of(const struct stasis_cache *cache, struct stasis_message *snapshot)
{
	STI_CALLOUT inside = true;
	const char *id = cache->get_id(snapshot);

	inside = false;
	return id;
}

/* The key of a snapshot. False: it has none; messages of the library's own are none. */
static bool key_of(const struct stasis_cache *cache, struct stasis_message *snapshot,
		   struct sti_map_key *key)
{
	if (snapshot->type->id < STI_TYPE_ID_FIRST)
		return false;
	key->type = snapshot->type;
	key->id = id_of(cache, snapshot);
	if (key->id == NULL)
		return false;
	key->size = strnlen(key->id, STASIS_CACHE_ID_MAX + 1);
	return key->size <= STASIS_CACHE_ID_MAX;
}

int sti_cache_put(struct stasis_cache *cache, struct stasis_topic *topic,
		  struct stasis_message *message, struct sti_delivery *delivery)
{
	const struct sti_chain_whom whom = { .group = &cache->group, .topic = topic };
	bool clear = message->type == stasis_cache_clear_type();
	struct stasis_message *snapshot = clear ? message->data : message;
	struct sti_cache_entry *entry;
	struct sti_map_key key;
	struct sti_link *link;
	int result;

	if (!key_of(cache, snapshot, &key))
		return 0;
	entry = entry_find(cache, &key);
	if (entry != NULL)
		sti_chain_fetch(&entry->chain);
	else if (clear)
		return 0;
	link = sti_link_new(snapshot->type, clear ? NULL : snapshot);
	if (link == NULL)
		return -ENOMEM;
	do {
		if (entry == NULL && !clear)
			entry = entry_make(cache, &key);
		if (entry == NULL)
			result = clear ? -ENOENT : -ENOMEM;
		else
			result = sti_cache_entry_add(cache, entry, link, &whom, delivery);
		if (result == -ESTALE)
			entry = entry_find(cache, &key);
	} while (result == -ESTALE);
	if (result == 0)
		sti_topic_count(topic, 1);
	else
		sti_link_free(link);
	return result == -ENOENT ? 0 : result;
}

/* --- the cache --- */

/* Takes out all entries. The last links, put in a row by prev: they are done, so nobody reads that
 * any more. */
static struct sti_link *cache_empty(struct stasis_cache *cache)
{
	struct sti_link *links = NULL;
	struct sti_map_walk walk;
	struct sti_map_entry *map;

	sti_rcu_read_lock();
	for (map = sti_map_first(&cache->map, &walk); map != NULL;
	     map = sti_map_next(&cache->map, &walk)) {
		struct sti_cache_entry *entry = (struct sti_cache_entry *)map;
		struct sti_link *last = sti_chain_last(&entry->chain);

		if (last != NULL) {
			last->prev = links;
			links = last;
		}
		entry_remove(cache, entry);
	}
	sti_rcu_read_unlock();
	return links;
}

/* Nobody else has it. */
static void cache_destroy(void *obj)
{
	struct stasis_cache *cache = obj;
	struct sti_link *link = cache_empty(cache);

	sti_map_deinit(&cache->map);
	pthread_mutex_destroy(&cache->join_lock);
	/* Outside the read section: release functions may wait. */
	while (link != NULL) {
		struct sti_link *next = link->prev;

		sti_link_free(link);
		link = next;
	}
}

struct stasis_cache *stasis_cache_create(stasis_snapshot_get_id id)
{
	struct stasis_cache *cache;

	if (id == NULL) {
		errno = EINVAL;
		return NULL;
	}
	cache = sti_object_new(STI_KIND_CACHE, STI_MEM_HEAP, STI_CACHELINE, sizeof(*cache),
			       cache_destroy);
	if (cache == NULL || sti_map_init(&cache->map) != 0) {
		if (cache != NULL)
			sti_object_dispose(cache);
		errno = ENOMEM;
		return NULL;
	}
	cache->get_id = id;
	pthread_mutex_init(&cache->join_lock, NULL);
	return cache;
}

/* --- reading --- */

struct stasis_message *stasis_cache_get(struct stasis_cache *cache,
					struct stasis_message_type *type, const char *id)
{
	struct stasis_message *snapshot = NULL;
	const struct sti_cache_entry *entry;
	const struct sti_link *last = NULL;
	struct sti_map_key key;

	if (sti_unlikely(cache == NULL || type == NULL || id == NULL)) {
		errno = EINVAL;
		return NULL;
	}
	key = (struct sti_map_key){ type, id, strlen(id) };
	sti_rcu_read_lock();
	entry = entry_find(cache, &key);
	if (sti_likely(entry != NULL))
		last = sti_chain_last(&entry->chain);
	if (sti_likely(last != NULL))
		snapshot = last->update.new_snapshot;
	if (sti_likely(snapshot != NULL))
		sti_object_ref_n(snapshot, 1);
	sti_rcu_read_unlock();
	return snapshot;
}

/* Snapshots gathered. */
struct dump {
	struct stasis_message **snapshots;
	size_t n, room;
};

static bool dump_add(struct dump *dump, struct stasis_message *snapshot)
{
	if (dump->n == dump->room) {
		size_t room = 2 * dump->room;
		struct stasis_message **more = sti_alloc(room * sizeof(*more));

		if (more == NULL)
			return false;
		memcpy(more, dump->snapshots, dump->n * sizeof(*more));
		sti_free(dump->snapshots);
		dump->snapshots = more;
		dump->room = room;
	}
	dump->snapshots[dump->n++] = sti_object_ref_n(snapshot, 1);
	return true;
}

/* False: no memory. */
static bool dump_all(struct dump *dump, const struct stasis_cache *cache,
		     const struct stasis_message_type *type)
{
	struct sti_map_walk walk;
	struct sti_map_entry *map;
	bool fits = true;

	sti_rcu_read_lock();
	for (map = sti_map_first(&cache->map, &walk); map != NULL && fits;
	     map = sti_map_next(&cache->map, &walk)) {
		const struct sti_cache_entry *entry = (struct sti_cache_entry *)map;
		const struct sti_link *last = sti_chain_last(&entry->chain);

		if (last != NULL && last->update.new_snapshot != NULL &&
		    (type == NULL || type == map->key.type))
			fits = dump_add(dump, last->update.new_snapshot);
	}
	sti_rcu_read_unlock();
	return fits;
}

struct stasis_message **stasis_cache_dump(struct stasis_cache *cache,
					  struct stasis_message_type *type, size_t *n)
{
	struct dump dump = { .room = 64 };

	if (n != NULL)
		*n = 0;
	if (cache == NULL || n == NULL) {
		errno = EINVAL;
		return NULL;
	}
	dump.snapshots = sti_alloc(dump.room * sizeof(*dump.snapshots));
	if (dump.snapshots == NULL || !dump_all(&dump, cache, type)) {
		stasis_cache_dump_free(dump.snapshots, dump.n);
		errno = ENOMEM;
		return NULL;
	}
	*n = dump.n;
	return dump.snapshots;
}

struct stasis_message **stasis_cache_dump_free(struct stasis_message **dump, size_t n)
{
	for (size_t i = 0; dump != NULL && i < n; i++)
		stasis_object_unref(dump[i]);
	sti_free(dump);
	return NULL;
}
