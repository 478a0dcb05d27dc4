/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_EXEC_RELEASE_H
#define STI_EXEC_RELEASE_H

/* exec/release.h — dropping references in bulk
 *
 * A message that goes to a thousand subscriptions is released a thousand times, and one that is
 * published again and again is counted up by its publisher while workers count it down. So a worker
 * gathers what it owes, per message, and pays at once: when the table's place is wanted, when it
 * has seen all its subscriptions, and before it says that one of them is done. A message that
 * nobody else holds is freed on the spot, without a read-modify-write.
 *
 * A table that is too small for what is under way pays for each delivery by itself, which is what
 * it is there to avoid: a worker's is large, that of who runs a manual executor is on his stack and
 * small. A publisher, or whoever else delivers in between, has none, and pays at once: what he
 * delivers is counted only when its references have been dropped.
 *
 * Threads: each table has one owner.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/object.h"
#include "base/slab.h"

/* Powers of two. */
#define STI_RELEASE_FEW 64u
#define STI_RELEASE_MANY 512u

struct sti_release_entry {
	void *obj; /* NULL: nothing is owed */
	uint32_t n;
	uint32_t listed; /* since the last flush something has been put here */
};

/* Room for both tables, of n entries each. */
#define STI_RELEASE_ROOM(n)                                                                        \
	struct {                                                                                   \
		struct sti_release_entry entries[n];                                               \
		uint16_t list[n];                                                                  \
	}

struct sti_release {
	struct sti_slab_pending slab;
	struct sti_heap *heap; /* the owner's, if he frees what he has made himself; or NULL */
	struct sti_release_entry *entries; /* NULL: there is no table */
	uint16_t *list;			   /* those that are listed */
	uint32_t n_listed;
	uint32_t mask;
};

/* Without a table. */
static inline void sti_release_init(struct sti_release *release)
{
	release->slab.slab = NULL;
	release->slab.bits = 0;
	release->slab.word = 0;
	release->heap = NULL;
	release->entries = NULL;
	release->n_listed = 0;
}

/* A table of n entries, which are cleared, for one that has none yet. */
static inline void sti_release_use(struct sti_release *release, struct sti_release_entry *entries,
				   uint16_t *list, uint32_t n)
{
	memset(entries, 0, n * sizeof(entries[0]));
	release->entries = entries;
	release->list = list;
	release->mask = n - 1;
}

static inline void sti_release_pay(struct sti_release *release, struct sti_release_entry *entry)
{
	void *obj = entry->obj;

	entry->obj = NULL;
	if (obj != NULL)
		sti_object_unref_n(obj, entry->n, &release->slab);
}

/* Drops n references, now or by the next flush. */
STI_INLINE void sti_release_put_n(struct sti_release *release, void *obj, uint32_t n)
{
	struct sti_release_entry *entry;
	uint32_t i;

	if (sti_object_sole(obj, n)) {
		sti_object_destroy(sti_object_of(obj), &release->slab);
		return;
	}
	if (sti_unlikely(release->entries == NULL)) {
		sti_object_unref_n(obj, n, &release->slab);
		return;
	}
	/* Blocks are at least a line apart. */
	i = (uint32_t)((uintptr_t)obj >> 6) & release->mask;
	entry = &release->entries[i];
	if (entry->obj != obj) {
		sti_release_pay(release, entry);
		entry->obj = obj;
		entry->n = 0;
		if (!entry->listed) {
			entry->listed = 1;
			release->list[release->n_listed++] = (uint16_t)i;
		}
	}
	entry->n += n;
	if (sti_object_sole(obj, entry->n))
		sti_release_pay(release, entry);
}

STI_INLINE void sti_release_put(struct sti_release *release, void *obj)
{
	sti_release_put_n(release, obj, 1);
}

static STI_NOINLINE void sti_release_pay_all(struct sti_release *release)
{
	while (release->n_listed > 0) {
		struct sti_release_entry *entry =
			&release->entries[release->list[--release->n_listed]];

		entry->listed = 0;
		sti_release_pay(release, entry);
	}
}

static inline void sti_release_flush(struct sti_release *release)
{
	if (release->n_listed > 0)
		sti_release_pay_all(release);
	if (release->slab.bits == 0)
		return;
	if (release->heap == NULL || !sti_slab_take_back(release->heap, &release->slab))
		sti_slab_flush(&release->slab);
}

#endif
