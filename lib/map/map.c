/* SPDX-License-Identifier: BSD-2-Clause */
/* map/map.c — see map.h */

#include "map/map.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* All of it in this file: nothing to link. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/callout.h"
#include "base/compiler.h"

#define BUCKETS_FIRST 64u
#define BUCKETS_MAX (1ul << 28)
/* Fewer entries per bucket than one in so many: the table shrinks. */
#define SPARSE 8u

#define TABLE_RESIZING 1u
#define TABLE_CLOSED 2u

struct sti_map_table {
	/* const after init */
	struct cds_lfht *lfht;
	/* any thread: atomic */
	_Atomic size_t n_entries;
	_Atomic size_t n_buckets; /* written by resizes */
	_Atomic size_t enough;	  /* ditto: does not grow before it has so many entries */
	_Atomic uint32_t state;
	/* whoever has set RESIZING */
	struct sti_rcu_head rcu;
};

#if STI_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#else
#define __tsan_acquire(addr) ((void)(addr))
#define __tsan_release(addr) ((void)(addr))
#endif

static uint64_t secret;
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void secret_init(void)
{
	struct timespec now;

	if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) == (ssize_t)sizeof(secret))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	secret = ((uint64_t)now.tv_nsec << 32) ^ (uint64_t)now.tv_sec ^ (uintptr_t)&now ^
		 ((uint64_t)getpid() << 16);
}

static unsigned long key_hash(const struct sti_map_key *key)
{
	return XXH3_64bits_withSeed(key->id, key->size, secret ^ (uintptr_t)key->type);
}

static int key_match(struct cds_lfht_node *node, const void *arg)
{
	const struct sti_map_entry *entry = sti_container_of(node, struct sti_map_entry, node);
	const struct sti_map_key *key = arg;

	/* liburcu orders what is in an entry before the entry; ThreadSanitizer does not see it. */
	__tsan_acquire(node);
	return entry->key.size == key->size && entry->key.type == key->type &&
	       memcmp(entry->key.id, key->id, key->size) == 0;
}

static struct sti_map_entry *entry_of(struct cds_lfht_node *node)
{
	if (node == NULL)
		return NULL;
	__tsan_acquire(node);
	return sti_container_of(node, struct sti_map_entry, node);
}

/* --- size --- */

static void table_destroy(struct sti_map_table *table)
{
	int result = cds_lfht_destroy(table->lfht, NULL);

	stasis_assert(result == 0);
	sti_free(table);
}

/* The number of buckets that suits the entries; the present one, if that will do. */
static size_t table_fit(struct sti_map_table *table)
{
	/* Relaxed: a hint; who changes it looks again. */
	size_t n_entries = atomic_load_explicit(&table->n_entries, memory_order_relaxed);
	size_t n_buckets = atomic_load_explicit(&table->n_buckets, memory_order_relaxed);
	size_t enough = atomic_load_explicit(&table->enough, memory_order_relaxed);

	while (n_entries > n_buckets && n_buckets < BUCKETS_MAX && n_entries >= enough)
		n_buckets *= 2;
	while (n_entries < n_buckets / SPARSE && n_buckets > BUCKETS_FIRST)
		n_buckets /= 2;
	return n_buckets;
}

static bool table_fits(struct sti_map_table *table)
{
	/* Relaxed: a hint. */
	return table_fit(table) == atomic_load_explicit(&table->n_buckets, memory_order_relaxed);
}

/* Is there memory for so many buckets? liburcu allocates them as one block and aborts if it cannot:
 * so that is tried beforehand. (Somebody else may take it in between.) */
static bool memory_for(size_t n_buckets)
{
	void *block = sti_alloc(n_buckets * sizeof(struct cds_lfht_node));

	sti_free(block);
	return block != NULL;
}

/* There was no memory: chains get longer. Tries again when there are a quarter more. */
static void table_put_off(struct sti_map_table *table)
{
	/* Relaxed, both: hints. */
	size_t n_entries = atomic_load_explicit(&table->n_entries, memory_order_relaxed);

	atomic_store_explicit(&table->enough, n_entries + n_entries / 4, memory_order_relaxed);
}

static void table_resize(struct sti_rcu_head *rcu)
{
	struct sti_map_table *table = sti_container_of(rcu, struct sti_map_table, rcu);
	uint32_t state;

	while (!table_fits(table)) {
		/* Relaxed, here and below: hints; only this function writes it. */
		size_t now = atomic_load_explicit(&table->n_buckets, memory_order_relaxed);
		size_t n_buckets = table_fit(table);

		/* A step at a time, of which it is known what it takes. */
		if (n_buckets > now)
			n_buckets = 2 * now;
		if (n_buckets > now && !memory_for(now)) {
			table_put_off(table);
			break;
		}
		cds_lfht_resize(table->lfht, n_buckets);
		atomic_store_explicit(&table->n_buckets, n_buckets, memory_order_relaxed);
		/* There is memory, or it takes less now. */
		atomic_store_explicit(&table->enough, 0, memory_order_relaxed);
	}
	/* X1: another may ask now, or it is gone. */
	state = atomic_fetch_and_explicit(&table->state, ~TABLE_RESIZING, memory_order_acq_rel);
	if (state & TABLE_CLOSED)
		table_destroy(table);
}

/* Asks for a resize. */
static STI_COLD void table_ask(struct sti_map_table *table)
{
	/* X1: whoever finds it clear asks. */
	if (!(atomic_fetch_or_explicit(&table->state, TABLE_RESIZING, memory_order_acq_rel) &
	      TABLE_RESIZING))
		sti_rcu_call(&table->rcu, table_resize);
}

static void table_count(struct sti_map_table *table, size_t change)
{
	/* Relaxed: a figure, and a hint. */
	atomic_fetch_add_explicit(&table->n_entries, change, memory_order_relaxed);
	if (sti_unlikely(!table_fits(table)))
		table_ask(table);
}

/* --- the map --- */

int sti_map_init(struct sti_map *map)
{
	struct sti_map_table *table = sti_alloc_zeroed(sizeof(*table));
	int cancel;

	if (table == NULL || !memory_for(BUCKETS_FIRST)) {
		sti_free(table);
		return -ENOMEM;
	}
	/* To ask for a random number, or how many CPUs there are, is a cancellation point. */
	cancel = sti_cancel_hold();
	pthread_once(&secret_once, secret_init);
	sti_rcu_start();
	table->lfht = cds_lfht_new_flavor(BUCKETS_FIRST, BUCKETS_FIRST, 0, 0, &urcu_bp_flavor,
					  NULL);
	sti_cancel_release(cancel);
	if (table->lfht == NULL) {
		sti_free(table);
		return -ENOMEM;
	}
	atomic_init(&table->n_buckets, BUCKETS_FIRST);
	map->table = table;
	map->lfht = table->lfht;
	return 0;
}

void sti_map_deinit(struct sti_map *map)
{
	/* X1: nobody is there to ask any more. */
	uint32_t state = atomic_fetch_or_explicit(&map->table->state, TABLE_CLOSED,
						  memory_order_acq_rel);

	if (!(state & TABLE_RESIZING))
		table_destroy(map->table);
}

struct sti_map_entry *sti_map_find(const struct sti_map *map, const struct sti_map_key *key)
{
	struct cds_lfht_iter iter;

	cds_lfht_lookup(map->lfht, key_hash(key), key_match, key, &iter);
	return entry_of(cds_lfht_iter_get_node(&iter));
}

struct sti_map_entry *sti_map_add(struct sti_map *map, struct sti_map_entry *entry)
{
	struct cds_lfht_node *node;

	/* Counted first: an entry may be removed as soon as it is there, and the count must not go
	 * below 0. */
	table_count(map->table, 1);
	cds_lfht_node_init(&entry->node);
	__tsan_release(&entry->node);
	/* F1: inside; the entry is in the table before what the caller loads next. */
	node = cds_lfht_add_unique(map->lfht, key_hash(&entry->key), key_match, &entry->key,
				   &entry->node);
	if (node != &entry->node)
		table_count(map->table, (size_t)-1);
	return entry_of(node);
}

bool sti_map_remove(struct sti_map *map, struct sti_map_entry *entry)
{
	if (cds_lfht_del(map->lfht, &entry->node) != 0)
		return false;
	table_count(map->table, (size_t)-1);
	return true;
}

struct sti_map_entry *sti_map_first(const struct sti_map *map, struct sti_map_walk *walk)
{
	cds_lfht_first(map->lfht, &walk->iter);
	return entry_of(cds_lfht_iter_get_node(&walk->iter));
}

struct sti_map_entry *sti_map_next(const struct sti_map *map, struct sti_map_walk *walk)
{
	cds_lfht_next(map->lfht, &walk->iter);
	return entry_of(cds_lfht_iter_get_node(&walk->iter));
}
