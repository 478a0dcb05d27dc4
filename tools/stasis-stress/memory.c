/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c — see memory.h */

#include "memory.h"

#include "base/alloc.h"
#include "base/census.h"
#include "base/slab.h"
#include "base/thread.h"
#include "fail.h"
#include "random.h"
#include "sync/rcu.h"

/* Blocks that may stay beyond those at the mark: what the library's own threads, liburcu's among
 * them, keep for themselves and make at their first need. Far fewer than one for each message,
 * subscription or thread of a round. */
#define BLOCKS_SLACK 16

/* At the mark, nothing may have changed for so many looks, so far apart. */
#define MARK_QUIET 10
#define MARK_US 10000u

__thread volatile sig_atomic_t ss_memory_inside;
static __thread bool spared;
static __thread uint64_t random_state;

static struct {
	_Atomic int mode; /* relaxed, as all here: figures and a switch */
	_Atomic uint64_t n;
	_Atomic uint64_t tried;
	_Atomic uint64_t failures;
	_Atomic int64_t blocks;
	_Atomic uint64_t data_made, data_freed;
	uint64_t settle_ns;
	int64_t blocks_mark;
	int64_t census_mark[STI_CENSUS_N];
} memory;

static uint64_t chance(void)
{
	if (random_state == 0)
		random_state = random_seed((uint64_t)(uintptr_t)&random_state, 1);
	return random_next(&random_state);
}

static bool fails(void)
{
	uint64_t n = atomic_load_explicit(&memory.n, memory_order_relaxed);
	uint64_t tried;

	if (spared)
		return false;
	switch (atomic_load_explicit(&memory.mode, memory_order_relaxed)) {
	case SS_MEMORY_RANDOM:
		return chance() % n == 0;
	case SS_MEMORY_EVERY:
		tried = atomic_fetch_add_explicit(&memory.tried, 1, memory_order_relaxed) + 1;
		return tried % n == 0;
	case SS_MEMORY_NTH:
		tried = atomic_fetch_add_explicit(&memory.tried, 1, memory_order_relaxed) + 1;
		return tried == n;
	default:
		return false;
	}
}

/* Slabs stay in their pools: what is in them is asked for at the end. They are told by size. */
static bool is_slab(size_t size)
{
	return size == STI_SLAB_SIZE;
}

static void *counting_alloc(size_t align, size_t size)
{
	void *ptr;

	if (fails()) {
		atomic_fetch_add_explicit(&memory.failures, 1, memory_order_relaxed);
		return NULL;
	}
	ss_memory_enter();
	ptr = sti_alloc_system.alloc(align, size);
	ss_memory_leave();
	if (ptr != NULL && !is_slab(size))
		atomic_fetch_add_explicit(&memory.blocks, 1, memory_order_relaxed);
	return ptr;
}

static void counting_free(void *ptr)
{
	ss_memory_enter();
	sti_alloc_system.free(ptr);
	ss_memory_leave();
	atomic_fetch_sub_explicit(&memory.blocks, 1, memory_order_relaxed);
}

void ss_memory_init(double patience)
{
	static const struct sti_alloc_ops ops = { .alloc = counting_alloc, .free = counting_free };

	memory.settle_ns = (uint64_t)(patience * 1e9);
	sti_alloc_set_ops(&ops);
}

void ss_memory_fail(enum ss_memory_mode mode, uint64_t n)
{
	atomic_store_explicit(&memory.mode, SS_MEMORY_WELL, memory_order_relaxed);
	atomic_store_explicit(&memory.n, n > 0 ? n : 1, memory_order_relaxed);
	atomic_store_explicit(&memory.tried, 0, memory_order_relaxed);
	atomic_store_explicit(&memory.mode, mode, memory_order_relaxed);
}

uint64_t ss_memory_failures(void)
{
	return atomic_load_explicit(&memory.failures, memory_order_relaxed);
}

void ss_memory_spare(bool spare)
{
	spared = spare;
}

void ss_memory_data_made(void)
{
	atomic_fetch_add_explicit(&memory.data_made, 1, memory_order_relaxed);
}

void ss_memory_data_freed(void)
{
	atomic_fetch_add_explicit(&memory.data_freed, 1, memory_order_relaxed);
}

uint64_t ss_memory_data_live(void)
{
	/* Freed first: what is freed has been made. */
	uint64_t freed = atomic_load_explicit(&memory.data_freed, memory_order_relaxed);
	uint64_t made = atomic_load_explicit(&memory.data_made, memory_order_relaxed);

	return made > freed ? made - freed : 0;
}

static void settle(void)
{
	sti_rcu_barrier();
	/* This thread's own, half-used blocks. */
	if (sti_thread_self() != NULL)
		sti_heap_deinit(&sti_thread_self()->heap);
}

/* A figure that changes while anything is still on its way. */
static int64_t sum_of_all(void)
{
	int64_t sum = atomic_load(&memory.blocks) + (int64_t)sti_slab_in_use();

	for (int i = 0; i < STI_CENSUS_N; i++)
		sum += sti_census_count((enum sti_census)i);
	return sum;
}

void ss_memory_mark(void)
{
	int64_t before = -1, now;

	for (int quiet = 0; quiet < MARK_QUIET; quiet = now == before ? quiet + 1 : 0) {
		before = sum_of_all();
		settle();
		ss_sleep_us(MARK_US);
		now = sum_of_all();
	}
	memory.blocks_mark = atomic_load(&memory.blocks);
	for (int i = 0; i < STI_CENSUS_N; i++)
		memory.census_mark[i] = sti_census_count((enum sti_census)i);
}

static bool all_gone(void)
{
	for (int i = 0; i < STI_CENSUS_N; i++) {
		if (sti_census_count((enum sti_census)i) != memory.census_mark[i])
			return false;
	}
	return atomic_load(&memory.data_made) == atomic_load(&memory.data_freed) &&
	       sti_slab_in_use() == 0 &&
	       atomic_load(&memory.blocks) <= memory.blocks_mark + BLOCKS_SLACK;
}

void ss_memory_check(void)
{
	uint64_t end = ss_now_ns() + memory.settle_ns;
	int64_t blocks;

	for (settle(); !all_gone() && ss_now_ns() < end; settle())
		ss_sleep_us(2000);
	if (all_gone())
		return;
	for (int i = 0; i < STI_CENSUS_N; i++) {
		int64_t left = sti_census_count((enum sti_census)i) - memory.census_mark[i];

		ss_check(left == 0, "leak: %lld of kind %s left", (long long)left,
			 sti_census_name((enum sti_census)i));
	}
	ss_check(atomic_load(&memory.data_made) == atomic_load(&memory.data_freed),
		 "leak: %llu messages with data made, %llu freed",
		 (unsigned long long)atomic_load(&memory.data_made),
		 (unsigned long long)atomic_load(&memory.data_freed));
	ss_check(sti_slab_in_use() == 0, "leak: messages left in %zu slabs", sti_slab_in_use());
	blocks = atomic_load(&memory.blocks) - memory.blocks_mark;
	ss_check(blocks <= BLOCKS_SLACK, "leak: %lld blocks left", (long long)blocks);
}
