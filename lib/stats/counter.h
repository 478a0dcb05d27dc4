/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_STATS_COUNTER_H
#define STI_STATS_COUNTER_H

/* stats/counter.h — a counter that many threads may raise and that costs one of them nothing
 *
 * The first thread to raise it owns it and counts with plain stores. When a second comes, shards
 * are allocated: a word for each of the first STI_COUNTER_WRITERS thread numbers, neighbours in
 * different lines, again with plain stores. For threads beyond those, and without memory, one more
 * word is raised by atomic additions. Thread numbers belong to one living thread at a time
 * (base/thread.h), so a number stands for one writer, for ever.
 *
 * Threads: add from any; read from any. Progress: wait-free, save for one allocation.
 * Every count is relaxed: figures for people, ordered by nothing.
 *
 * Edges
 *   R1  CAS shards            -> A1  the shards are zeroed
 *   A1  load-acquire shards   <- R1
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/thread.h"

#define STI_COUNTER_LINES 16u
#define STI_COUNTER_WRITERS 128u

struct sti_counter_shards {
	alignas(STI_CACHELINE) _Atomic uint64_t
		counts[STI_COUNTER_LINES][STI_COUNTER_WRITERS / STI_COUNTER_LINES];
};

/* Read by every add; the own count, which is written by every add, should be in another line: it is
 * apart for that reason. All-zero is a valid start. */
struct sti_counter {
	_Atomic uint32_t owner; /* thread number + 1; 0: none yet */
	_Atomic(struct sti_counter_shards *) shards;
};

struct sti_counter_own {
	_Atomic uint64_t count;	 /* the owner's */
	_Atomic uint64_t shared; /* theirs who have no word */
};

void sti_counter_add_slow(struct sti_counter *counter, struct sti_counter_own *own,
			  const struct sti_thread *thread, uint64_t n);

/* The only writer of a word raises it. */
STI_INLINE void sti_counter_raise(_Atomic uint64_t *count, uint64_t n)
{
	/* Relaxed: see above. */
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

STI_INLINE void sti_counter_add(struct sti_counter *counter, struct sti_counter_own *own,
				const struct sti_thread *thread, uint64_t n)
{
	/* Relaxed: a thread's own number can only have been stored by itself or by one that ended
	 * before it began. */
	if (sti_likely(thread != NULL &&
		       atomic_load_explicit(&counter->owner, memory_order_relaxed) ==
			       thread->number + 1)) {
		sti_counter_raise(&own->count, n);
	} else {
		sti_counter_add_slow(counter, own, thread, n);
	}
}

uint64_t sti_counter_read(const struct sti_counter *counter, const struct sti_counter_own *own);

void sti_counter_deinit(struct sti_counter *counter);

#endif
