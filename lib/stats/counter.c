/* SPDX-License-Identifier: BSD-2-Clause */
/* stats/counter.c — sharing a counter out. See counter.h. */

#include "stats/counter.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

static_assert(sizeof(struct sti_counter_shards) == STI_COUNTER_LINES * STI_CACHELINE,
	      "a line each");

static struct sti_counter_shards *counter_shards(struct sti_counter *counter)
{
	/* A1: zeroed; pairs with R1 just below. */
	struct sti_counter_shards *shards =
		atomic_load_explicit(&counter->shards, memory_order_acquire);
	struct sti_counter_shards *fresh;

	if (shards != NULL)
		return shards;
	fresh = sti_alloc_aligned(STI_CACHELINE, sizeof(*fresh));
	if (fresh == NULL)
		return NULL;
	memset((void *)fresh, 0, sizeof(*fresh));
	/* R1, A1: the shards are zeroed, whoever's they are; pairs with A1 above. */
	if (atomic_compare_exchange_strong_explicit(&counter->shards, &shards, fresh,
						    memory_order_acq_rel, memory_order_acquire))
		return fresh;
	sti_free(fresh);
	return shards;
}

static _Atomic uint64_t *shard_of(struct sti_counter_shards *shards, unsigned number)
{
	return &shards->counts[number % STI_COUNTER_LINES][number / STI_COUNTER_LINES];
}

void sti_counter_add_slow(struct sti_counter *counter, struct sti_counter_own *own,
			  const struct sti_thread *thread, uint64_t n)
{
	struct sti_counter_shards *shards;
	uint32_t owner = 0;

	/* Relaxed throughout: see counter.h. */
	if (thread != NULL && atomic_load_explicit(&counter->owner, memory_order_relaxed) == 0 &&
	    atomic_compare_exchange_strong_explicit(&counter->owner, &owner, thread->number + 1,
						    memory_order_relaxed, memory_order_relaxed)) {
		sti_counter_raise(&own->count, n);
		return;
	}
	if (thread != NULL && thread->number < STI_COUNTER_WRITERS) {
		shards = counter_shards(counter);
		if (shards != NULL) {
			sti_counter_raise(shard_of(shards, thread->number), n);
			return;
		}
	}
	atomic_fetch_add_explicit(&own->shared, n, memory_order_relaxed);
}

uint64_t sti_counter_read(const struct sti_counter *counter, const struct sti_counter_own *own)
{
	/* A1: zeroed; pairs with R1 in counter_shards(). The counts are relaxed: see counter.h. */
	struct sti_counter_shards *shards =
		atomic_load_explicit(&counter->shards, memory_order_acquire);
	uint64_t sum = atomic_load_explicit(&own->count, memory_order_relaxed) +
		       atomic_load_explicit(&own->shared, memory_order_relaxed);

	for (unsigned i = 0; shards != NULL && i < STI_COUNTER_WRITERS; i++)
		sum += atomic_load_explicit(shard_of(shards, i), memory_order_relaxed);
	return sum;
}

void sti_counter_deinit(struct sti_counter *counter)
{
	/* Relaxed: the caller is the last. */
	sti_free(atomic_load_explicit(&counter->shards, memory_order_relaxed));
}
