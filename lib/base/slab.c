/* SPDX-License-Identifier: BSD-2-Clause */
/* base/slab.c — taking words of free blocks, adding slabs, giving pages back. See slab.h. */

#include "base/slab.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"

/* A word with at least this many free blocks is worth taking at once; or with half of what there is
 * in a slab of large ones. */
#define FREE_GOOD 32
/* How many words a refill looks at before it would rather add a slab. */
#define LOOK_MAX 16u

static_assert(STI_SLAB_BLOCK_MAX * 8 <= STI_SLAB_SIZE, "the header takes an eighth at most");

struct pool {
	/* any thread running on the CPU: the word last taken, slab | word. A hint: a late store may
	 * set it back. */
	alignas(STI_CACHELINE) _Atomic uintptr_t cursor;
	_Atomic(struct sti_slab *) slabs;
	_Atomic uint32_t n_slabs;
	_Atomic uint32_t growing;
};

/* A word of a slab; slab NULL: none. */
struct place {
	struct sti_slab *slab;
	uint32_t word;
};

static struct pool pools[STI_SLAB_CPUS][STI_SLAB_BINS];

static struct pool *pool_here(unsigned shift)
{
	int cpu = sched_getcpu();

	return &pools[cpu < 0 ? 0 : (unsigned)cpu % STI_SLAB_CPUS][shift - STI_SLAB_SHIFT_MIN];
}

static uint64_t word_full(const struct sti_slab *slab, unsigned word)
{
	return word == 0 ? slab->first : UINT64_MAX;
}

static struct sti_slab *slab_new(unsigned shift)
{
	struct sti_slab *slab = sti_alloc_aligned(STI_SLAB_SIZE, STI_SLAB_SIZE);
	unsigned covered, blocks;

	if (slab == NULL)
		return NULL;
	covered = (unsigned)((sizeof(*slab) + ((size_t)1 << shift) - 1) >> shift);
	blocks = (unsigned)(STI_SLAB_SIZE >> shift);
	slab->shift = shift;
	slab->words = blocks > 64 ? blocks >> 6 : 1;
	slab->first = UINT64_MAX << covered;
	if (blocks < 64)
		slab->first &= ((uint64_t)1 << blocks) - 1;
	atomic_init(&slab->next, NULL);
	atomic_init(&slab->trimmed, 0);
	for (unsigned i = 0; i < STI_SLAB_WORDS; i++)
		atomic_init(&slab->free[i], i < slab->words ? word_full(slab, i) : 0);
	return slab;
}

static struct place pool_cursor(struct pool *pool)
{
	/* A3: the slab is initialized; pairs with R3 in pool_take(). */
	uintptr_t cursor = atomic_load_explicit(&pool->cursor, memory_order_acquire);

	return (struct place){ .slab = (struct sti_slab *)(cursor & ~(STI_SLAB_SIZE - 1)),
			       .word = (uint32_t)(cursor & (STI_SLAB_SIZE - 1)) };
}

/* The next word in the circle; slab NULL when the pool has none. */
static struct place pool_step(struct pool *pool, struct place at)
{
	if (at.slab != NULL && ++at.word < at.slab->words)
		return at;
	at.word = 0;
	/* A2: pairs with R2 in pool_grow(). */
	if (at.slab != NULL)
		at.slab = atomic_load_explicit(&at.slab->next, memory_order_acquire);
	if (at.slab == NULL)
		at.slab = atomic_load_explicit(&pool->slabs, memory_order_acquire); /* A2: ditto */
	return at;
}

/* Adds a slab behind a place, where the circle comes by next. NULL: not now. */
static struct sti_slab *pool_grow(struct pool *pool, struct sti_slab *behind, unsigned shift)
{
	_Atomic(struct sti_slab *) *link = behind != NULL ? &behind->next : &pool->slabs;
	struct sti_slab *slab = NULL;

	/* X1: acquires what the last one wrote. */
	if (atomic_exchange_explicit(&pool->growing, 1, memory_order_acquire))
		return NULL;
	/* Relaxed, here and below: under growing. */
	if (atomic_load_explicit(&pool->n_slabs, memory_order_relaxed) < STI_SLAB_POOL_MAX)
		slab = slab_new(shift);
	if (slab != NULL) {
		struct sti_slab *next = atomic_load_explicit(link, memory_order_relaxed);

		atomic_store_explicit(&slab->next, next, memory_order_relaxed);
		/* R2: the slab is initialized; pairs with A2 in pool_step() and trim. */
		atomic_store_explicit(link, slab, memory_order_release);
		atomic_fetch_add_explicit(&pool->n_slabs, 1, memory_order_relaxed);
	}
	/* X1: hands the pool on. */
	atomic_store_explicit(&pool->growing, 0, memory_order_release);
	return slab;
}

/* Takes a word's free blocks and hands out the first; NULL: somebody else was faster. */
static void *pool_take(struct pool *pool, struct place at, struct sti_slab_cache *cache)
{
	struct sti_slab *slab = at.slab;
	char *block;

	/* R3: passes A2 on; pairs with A3 in pool_cursor(). */
	atomic_store_explicit(&pool->cursor, (uintptr_t)slab | at.word, memory_order_release);
	/* A1: reads of the blocks are over; pairs with R1 in sti_slab_free(). */
	cache->mask = atomic_exchange_explicit(&slab->free[at.word], 0, memory_order_acquire);
	if (cache->mask == 0)
		return NULL;
	/* Relaxed: a hint for the trimmer. */
	if (atomic_load_explicit(&slab->trimmed, memory_order_relaxed))
		atomic_store_explicit(&slab->trimmed, 0, memory_order_relaxed);
	cache->base = (char *)slab + ((size_t)at.word << 6 << slab->shift);
	block = cache->base + ((size_t)__builtin_ctzll(cache->mask) << slab->shift);
	cache->mask &= cache->mask - 1;
	return block;
}

static int free_good(unsigned shift)
{
	int half = (int)(STI_SLAB_SIZE >> shift >> 1);

	return half < FREE_GOOD ? half : FREE_GOOD;
}

static int place_free(struct place at)
{
	/* Relaxed: a hint; pool_take() exchanges. */
	return __builtin_popcountll(
		atomic_load_explicit(&at.slab->free[at.word], memory_order_relaxed));
}

void *sti_slab_refill(struct sti_slab_cache *cache, unsigned shift)
{
	struct pool *pool = pool_here(shift);
	struct place at, best = { NULL, 0 };
	int best_free = 0, good = free_good(shift);
	void *block = NULL;

	if (!STI_SLAB_ENABLED)
		return NULL;
	at = pool_cursor(pool);
	for (unsigned i = 0; i < LOOK_MAX && block == NULL; i++) {
		int n;

		at = pool_step(pool, at);
		if (at.slab == NULL)
			break;
		n = place_free(at);
		if (n >= good) {
			block = pool_take(pool, at, cache);
		} else if (n > best_free) {
			best_free = n;
			best = at;
		}
	}
	if (block == NULL) {
		at.slab = pool_grow(pool, at.slab, shift);
		at.word = 0;
		if (at.slab != NULL)
			block = pool_take(pool, at, cache);
	}
	if (block == NULL && best.slab != NULL)
		block = pool_take(pool, best, cache);
	return block;
}

void sti_heap_deinit(struct sti_heap *heap)
{
	for (unsigned i = 0; i < STI_SLAB_BINS; i++) {
		struct sti_slab_cache *cache = &heap->caches[i];
		struct sti_slab *slab;
		uint32_t word;
		uint64_t bit;

		if (cache->mask == 0)
			continue;
		slab = sti_slab_of(cache->base, &word, &bit);
		/* R1: nobody has used these; pairs with A1. */
		atomic_fetch_or_explicit(&slab->free[word], cache->mask, memory_order_release);
		cache->mask = 0;
	}
}

/* Takes every free block of a slab. True when that is all. */
static bool slab_borrow(struct sti_slab *slab, uint64_t taken[STI_SLAB_WORDS])
{
	bool whole = true;

	for (unsigned i = 0; i < slab->words; i++) {
		/* A1: pairs with R1 in sti_slab_free(). */
		taken[i] = atomic_exchange_explicit(&slab->free[i], 0, memory_order_acquire);
		whole = whole && taken[i] == word_full(slab, i);
	}
	return whole;
}

static void slab_return(struct sti_slab *slab, const uint64_t taken[STI_SLAB_WORDS])
{
	for (unsigned i = 0; i < slab->words; i++) {
		/* R1: what the trimmer did to the pages before their reuse; pairs with A1. */
		atomic_fetch_or_explicit(&slab->free[i], taken[i], memory_order_release);
	}
}

static bool slab_looks_free(struct sti_slab *slab)
{
	/* Relaxed: a hint; slab_borrow() exchanges. */
	for (unsigned i = 0; i < slab->words; i++) {
		if (atomic_load_explicit(&slab->free[i], memory_order_relaxed) !=
		    word_full(slab, i))
			return false;
	}
	return true;
}

/* True when the slab's pages have gone back to the system. */
static bool slab_trim(struct sti_slab *slab)
{
	/* The header's page is kept. */
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t taken[STI_SLAB_WORDS];
	bool whole;

	if (page >= STI_SLAB_SIZE)
		return false;
	/* Relaxed: a hint. */
	if (atomic_load_explicit(&slab->trimmed, memory_order_relaxed) || !slab_looks_free(slab))
		return false;
	whole = slab_borrow(slab, taken) &&
		madvise((char *)slab + page, STI_SLAB_SIZE - page, MADV_DONTNEED) == 0;
	/* Relaxed: as above. */
	if (whole)
		atomic_store_explicit(&slab->trimmed, 1, memory_order_relaxed);
	slab_return(slab, taken);
	return whole;
}

static bool slab_is_in_use(struct sti_slab *slab)
{
	return !slab_looks_free(slab);
}

/* For how many slabs of a pool does it hold? */
static size_t pool_count(struct pool *pool, bool (*holds)(struct sti_slab *slab))
{
	/* A2: pairs with R2 in pool_grow(). */
	struct sti_slab *slab = atomic_load_explicit(&pool->slabs, memory_order_acquire);
	size_t n = 0;

	while (slab != NULL) {
		n += holds(slab);
		/* A2: as above. */
		slab = atomic_load_explicit(&slab->next, memory_order_acquire);
	}
	return n;
}

static size_t count(bool (*holds)(struct sti_slab *slab))
{
	size_t n = 0;

	for (unsigned cpu = 0; cpu < STI_SLAB_CPUS; cpu++) {
		for (unsigned i = 0; i < STI_SLAB_BINS; i++)
			n += pool_count(&pools[cpu][i], holds);
	}
	return n;
}

size_t sti_slab_trim(void)
{
	return count(slab_trim);
}

size_t sti_slab_in_use(void)
{
	return count(slab_is_in_use);
}
