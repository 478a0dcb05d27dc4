/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_CENSUS_H
#define STI_BASE_CENSUS_H

/* base/census.h — how many there are of each kind of thing that is made seldom
 *
 * For tests, which see by it that everything goes, and what does not. Counted are the objects of
 * sti_object_new() but the user's, types, which stay, and rings. Messages are not: a counter that
 * all threads share would cost more than a message does. Those have sti_slab_in_use().
 *
 * Threads: any. A reading is exact when nothing is made or freed meanwhile; what is freed after a
 *          grace period counts until then.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/census_kind.h"
#include "base/compiler.h"

extern _Atomic int64_t sti_census_counts[STI_CENSUS_N];

/* For people: "topic", "subscription", ... */
const char *sti_census_name(enum sti_census kind);

STI_INLINE void sti_census_add(enum sti_census kind, int64_t n)
{
	/* Relaxed: a figure. */
	if (kind < STI_CENSUS_N)
		atomic_fetch_add_explicit(&sti_census_counts[kind], n, memory_order_relaxed);
}

STI_INLINE int64_t sti_census_count(enum sti_census kind)
{
	/* Relaxed: a figure. */
	return atomic_load_explicit(&sti_census_counts[kind], memory_order_relaxed);
}

#endif
