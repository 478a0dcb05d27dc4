/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_SLAB_H
#define STI_BASE_SLAB_H

/* base/slab.h — recycled memory for messages
 *
 * Messages are made by publishers and freed by workers: the worst case for an allocator. Here
 * memory comes in slabs of 64 KiB, cut into blocks of one size, with a bit per block in the slab's
 * header: 1 is free. A publisher takes a word of 64 bits at a time and hands its blocks out in
 * order of address, which lets the hardware fetch ahead; whoever frees a block sets its bit, and a
 * worker that frees neighbours sets their bits at once. Nobody writes to a dead block, so the lines
 * of a message travel from publisher to worker only. A thread that frees what it has just made
 * keeps it, if it is of the word that it hands out at the moment.
 *
 * A bit belongs to whoever cleared it. Words are taken by exchange, so slabs can be shared without
 * a lock: they belong to a pool per CPU and block size, which any thread running there takes from.
 * So a hundred threads on two CPUs use the memory of two, and find it in their caches. A pool is a
 * circle of slabs with a cursor; the word after it has been out the longest. When the next few hold
 * too little, a slab is added there, up to a bound; beyond that, and for blocks of more than 8 KiB,
 * memory comes from the allocator. Sizes are powers of two. A slab of large blocks has a part of a
 * word only, and whoever takes that has taken the slab; copying them takes longer than that.
 *
 * What is idle is given back: a worker with nothing to do calls sti_slab_trim(), which takes every
 * block of a slab that is wholly free, returns its pages to the system and gives the blocks back.
 * The slab itself, a header page and an address range, stays.
 *
 * Threads: a cache is its thread's; everything else from any thread.
 *
 * Edges
 *   R1  fetch-or free[w]      free     -> A1  reads of the block are over before it is reused
 *   A1  exchange free[w]      refill   <- R1  (and trim)
 *   R2  store-release next    grow     -> A2  the new slab is initialized
 *   A2  load-acquire next     refill, trim <- R2
 *   R3  store-release cursor  refill   -> A3  the slab that it points to is initialized
 *   A3  load-acquire cursor   refill   <- R3
 *   X1  exchange growing: one thread at a time adds a slab to a pool; others do not wait for it
 * Progress: alloc and free are wait-free, save for the allocator when a slab is added.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define STI_SLAB_SIZE ((size_t)65536)
#define STI_SLAB_SHIFT_MIN 6u /* blocks of 64 bytes */
#define STI_SLAB_SHIFT_MAX 13u /* of 8 KiB: 7 to a slab, and the header */
#define STI_SLAB_BINS (STI_SLAB_SHIFT_MAX - STI_SLAB_SHIFT_MIN + 1)
#define STI_SLAB_BLOCK_MAX ((size_t)1 << STI_SLAB_SHIFT_MAX)
#define STI_SLAB_WORDS (STI_SLAB_SIZE >> STI_SLAB_SHIFT_MIN >> 6)
/* Slabs that a pool may have: 32 MiB. */
#define STI_SLAB_POOL_MAX 512u
/* CPUs beyond so many share pools. */
#define STI_SLAB_CPUS 64u

/* AddressSanitizer should see every message as an allocation of its own. */
#define STI_SLAB_ENABLED (!STI_ASAN)

struct sti_slab {
	/* const after init */
	alignas(STI_CACHELINE) uint32_t shift;
	uint32_t words;
	uint64_t first; /* the first word without the blocks that this header covers, or none are */
	/* whoever holds growing writes */
	_Atomic(struct sti_slab *) next;
	/* any thread: may pages be missing? A hint. */
	_Atomic uint32_t trimmed;

	/* any thread: atomic */
	alignas(STI_CACHELINE) _Atomic uint64_t free[STI_SLAB_WORDS];
};

/* A word's worth of blocks of one size, of one thread. All-zero is empty. */
struct sti_slab_cache {
	uint64_t mask; /* taken and not yet handed out */
	char *base;    /* of the block of bit 0 */
};

struct sti_heap {
	struct sti_slab_cache caches[STI_SLAB_BINS];
};

/* Bits to be set in one word, put off. All-zero is empty. */
struct sti_slab_pending {
	struct sti_slab *slab;
	uint64_t bits;
	uint32_t word;
};

void *sti_slab_refill(struct sti_slab_cache *cache, unsigned shift);

/* A block of at least size bytes, 1 to STI_SLAB_BLOCK_MAX, not zeroed; NULL: use the allocator. */
STI_INLINE void *sti_slab_alloc(struct sti_heap *heap, size_t size)
{
	unsigned shift = size <= 64 ? STI_SLAB_SHIFT_MIN :
				      64u - (unsigned)__builtin_clzll(size - 1);
	struct sti_slab_cache *cache = &heap->caches[shift - STI_SLAB_SHIFT_MIN];
	char *block;

	if (sti_unlikely(cache->mask == 0))
		return sti_slab_refill(cache, shift);
	block = cache->base + ((size_t)__builtin_ctzll(cache->mask) << shift);
	cache->mask &= cache->mask - 1;
	/* If blocks are small, most likely to be handed out soon; owning the line by then keeps the
	 * next locked instruction from waiting for it. Off the end of the slab it does no harm. */
	sti_prefetch_write(block + (8u << STI_SLAB_SHIFT_MIN));
	return block;
}

STI_INLINE struct sti_slab *sti_slab_of(void *block, uint32_t *wordp, uint64_t *bitp)
{
	uintptr_t offset = (uintptr_t)block & (STI_SLAB_SIZE - 1);
	struct sti_slab *slab = (struct sti_slab *)((char *)block - offset);
	uintptr_t index = offset >> slab->shift;

	*wordp = (uint32_t)(index >> 6);
	*bitp = UINT64_C(1) << (index & 63);
	return slab;
}

STI_INLINE void sti_slab_free(void *block)
{
	uint32_t word;
	uint64_t bit;
	struct sti_slab *slab = sti_slab_of(block, &word, &bit);

	/* R1: reads of the block before its reuse; pairs with A1 in slab.c. */
	atomic_fetch_or_explicit(&slab->free[word], bit, memory_order_release);
}

STI_INLINE void sti_slab_flush(struct sti_slab_pending *pending)
{
	if (pending->bits == 0)
		return;
	/* R1: as in sti_slab_free(). */
	atomic_fetch_or_explicit(&pending->slab->free[pending->word], pending->bits,
				 memory_order_release);
	pending->bits = 0;
}

/* Instead of a flush, by a thread with its own heap: blocks of the word that it hands out just now
 * are handed out again, and next, while they are in its cache. False: they are of another. */
STI_INLINE bool sti_slab_take_back(struct sti_heap *heap, struct sti_slab_pending *pending)
{
	const struct sti_slab *slab = pending->slab;
	struct sti_slab_cache *cache;

	if (pending->bits == 0)
		return true;
	cache = &heap->caches[slab->shift - STI_SLAB_SHIFT_MIN];
	if (cache->base != (const char *)slab + ((size_t)pending->word << 6 << slab->shift))
		return false;
	cache->mask |= pending->bits;
	pending->bits = 0;
	return true;
}

/* Frees a block at the latest at the next sti_slab_flush(). */
STI_INLINE void sti_slab_free_later(struct sti_slab_pending *pending, void *block)
{
	uint32_t word;
	uint64_t bit;
	struct sti_slab *slab = sti_slab_of(block, &word, &bit);

	if (slab != pending->slab || word != pending->word) {
		sti_slab_flush(pending);
		pending->slab = slab;
		pending->word = word;
	}
	pending->bits |= bit;
}

/* Gives back the blocks that the heap has taken and not handed out. Its thread. */
void sti_heap_deinit(struct sti_heap *heap);

/* Gives the pages of all slabs that are wholly free back to the system; how many slabs. Some
 * microseconds and more: for those who have nothing better to do. */
size_t sti_slab_trim(void);

/* Slabs of which some block is out, in use or in a thread's cache: for tests. */
size_t sti_slab_in_use(void);

#endif
