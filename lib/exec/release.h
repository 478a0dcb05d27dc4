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
 * Threads: each table has one owner.
 */

#include <stdint.h>

#include "base/object.h"
#include "base/slab.h"

#define STI_RELEASE_ENTRIES 64u

struct sti_release_entry {
	void *obj;
	uint32_t n;
};

/* All-zero is empty. */
struct sti_release {
	uint32_t used; /* entries that may be occupied */
	struct sti_slab_pending slab;
	struct sti_release_entry entries[STI_RELEASE_ENTRIES];
};

static inline void sti_release_pay(struct sti_release *release, struct sti_release_entry *entry)
{
	if (entry->obj != NULL)
		sti_object_unref_n(entry->obj, entry->n, &release->slab);
	entry->obj = NULL;
}

/* Drops n references, now or by the next flush. */
STI_INLINE void sti_release_put_n(struct sti_release *release, void *obj, uint32_t n)
{
	struct sti_release_entry *entry;

	if (sti_object_sole(obj, n)) {
		sti_object_destroy(sti_object_of(obj), &release->slab);
		return;
	}
	/* Blocks are at least a line apart. */
	entry = &release->entries[((uintptr_t)obj >> 6) % STI_RELEASE_ENTRIES];
	if (entry->obj != obj) {
		sti_release_pay(release, entry);
		entry->obj = obj;
		entry->n = 0;
		release->used++;
	}
	entry->n += n;
	if (sti_object_sole(obj, entry->n))
		sti_release_pay(release, entry);
}

STI_INLINE void sti_release_put(struct sti_release *release, void *obj)
{
	sti_release_put_n(release, obj, 1);
}

static inline void sti_release_flush(struct sti_release *release)
{
	if (release->used > 0) {
		release->used = 0;
		for (unsigned i = 0; i < STI_RELEASE_ENTRIES; i++)
			sti_release_pay(release, &release->entries[i]);
	}
	sti_slab_flush(&release->slab);
}

#endif
