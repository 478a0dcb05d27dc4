/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_MAP_MAP_H
#define STI_MAP_MAP_H

/* map/map.h — entries found by a type and an id, by any number of threads at once
 *
 * liburcu's lock-free hash table. An entry is embedded in what it is an entry for; its id is any
 * bytes, kept with it. Ids come from outside, so they are hashed with a secret of the process,
 * which makes collisions hard to provoke.
 *
 * Size. The table is resized on liburcu's call_rcu thread when there are more entries than buckets,
 * or few in many; finding, adding and removing go on meanwhile. liburcu could do so by itself, but
 * in 0.13 a request for it can be lost for good: it notes that one is under way only after it has
 * queued it, by when it may be over, and then never queues another.
 *   RESIZING  a resize is queued or under way: set by who asks for it, cleared when it is over
 *   CLOSED    the map is gone: whoever comes second, closer or resizer, destroys the table
 *
 * Threads: everything inside an RCU read section, in which entries that were found stay valid. init
 *          and deinit: nobody else is there, outside read sections.
 * Freed: an entry that has been removed, by its owner, through RCU.
 * Linearization: as liburcu says: of add and remove, the CAS on the list; find sees what was added
 *          before and not removed.
 * Progress: find, add and remove are lock-free, with a grace period to resize on another thread.
 *
 * Edges
 *   X1  fetch-or, fetch-and table->state: one asks for a resize; one destroys the table
 *   F1  adding an entry is a full fence after it: whoever has added one sees, in what he loads
 *       next, all that was stored before a walk began which missed it (bus/chain.h)
 */

#include <stdbool.h>
#include <stddef.h>

#include "sync/rcu.h"

#include <urcu/rculfhash.h>

struct sti_map_table;

struct sti_map {
	struct cds_lfht *lfht; /* the table's: one load less */
	struct sti_map_table *table;
};

struct sti_map_key {
	const void *type;
	const char *id;
	size_t size; /* of the id, in bytes */
};

struct sti_map_entry {
	struct cds_lfht_node node;
	struct sti_map_key key; /* const after init; the id is a copy that lives as long */
};

struct sti_map_walk {
	struct cds_lfht_iter iter;
};

/* 0 or -ENOMEM. */
int sti_map_init(struct sti_map *map);
/* The map must be empty. */
void sti_map_deinit(struct sti_map *map);

struct sti_map_entry *sti_map_find(const struct sti_map *map, const struct sti_map_key *key);

/* Adds an entry, or returns the one that is there. */
struct sti_map_entry *sti_map_add(struct sti_map *map, struct sti_map_entry *entry);

/* False: somebody else has removed it. */
bool sti_map_remove(struct sti_map *map, struct sti_map_entry *entry);

/* Goes through all entries: those that are there all the while are found, once. */
struct sti_map_entry *sti_map_first(const struct sti_map *map, struct sti_map_walk *walk);
struct sti_map_entry *sti_map_next(const struct sti_map *map, struct sti_map_walk *walk);

#endif
