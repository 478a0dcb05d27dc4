/* SPDX-License-Identifier: BSD-2-Clause */
/* test_slab.c — recycled blocks: sizes, reuse, frees by others, bounds, trimming */

#include "base/slab.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "faulty.h"
#include "gate.h"

#define N 5000

/* A pool for each CPU that the test may happen to run on. */
#define N_POOLS ((uint64_t)sysconf(_SC_NPROCESSORS_CONF))

static struct sti_heap heap;
static unsigned char *blocks[N];

/* Distinct blocks: each is filled with its own number, and none is overwritten by another. */
static void check_distinct(size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++)
		memset(blocks[i], (int)(i * 7 + 1), size);
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(blocks[i][0], (unsigned char)(i * 7 + 1), "block %zu", i);
		cr_assert_eq(blocks[i][size - 1], (unsigned char)(i * 7 + 1), "block %zu", i);
	}
}

Test(slab, gives_distinct_aligned_blocks_of_every_size)
{
	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	for (size_t size = 1; size <= STI_SLAB_BLOCK_MAX; size += size < 130 ? 1 : 61) {
		for (size_t i = 0; i < 200; i++) {
			blocks[i] = sti_slab_alloc(&heap, size);
			cr_assert_not_null(blocks[i]);
			cr_assert_eq((uintptr_t)blocks[i] % 16, 0);
			cr_assert_geq((uintptr_t)blocks[i] % STI_SLAB_SIZE,
				      sizeof(struct sti_slab));
			cr_assert_leq((uintptr_t)blocks[i] % STI_SLAB_SIZE + size, STI_SLAB_SIZE);
		}
		check_distinct(200, size);
		for (size_t i = 0; i < 200; i++)
			sti_slab_free(blocks[i]);
	}
	sti_heap_deinit(&heap);
}

Test(slab, reuses_what_was_freed)
{
	faulty_install();
	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	for (size_t round = 0; round < 200; round++) {
		for (size_t i = 0; i < 700; i++)
			blocks[i] = sti_slab_alloc(&heap, 64);
		for (size_t i = 0; i < 700; i++)
			sti_slab_free(blocks[i]);
	}
	/* 140,000 blocks; a slab holds about a thousand. */
	cr_assert_leq(faulty_tried(), 8 * N_POOLS, "%lu slabs", (unsigned long)faulty_tried());
	sti_heap_deinit(&heap);
	cr_assert_eq(sti_slab_in_use(), 0);
}

Test(slab, frees_put_off_come_back_at_the_flush)
{
	struct sti_slab_pending pending = { 0 };

	faulty_install();
	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	for (size_t round = 0; round < 200; round++) {
		for (size_t i = 0; i < 700; i++)
			blocks[i] = sti_slab_alloc(&heap, 200);
		check_distinct(700, 200);
		for (size_t i = 0; i < 700; i++)
			sti_slab_free_later(&pending, blocks[i]);
		sti_slab_flush(&pending);
	}
	cr_assert_leq(faulty_tried(), 16 * N_POOLS, "%lu slabs", (unsigned long)faulty_tried());
	sti_heap_deinit(&heap);
	cr_assert_eq(sti_slab_in_use(), 0);
}

Test(slab, takes_back_what_it_has_just_handed_out)
{
	struct sti_slab_pending pending = { 0 };
	void *block;

	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	cr_assert(sti_slab_take_back(&heap, &pending), "there is nothing to free");
	block = sti_slab_alloc(&heap, 200);
	for (size_t i = 0; i < 1000; i++) {
		sti_slab_free_later(&pending, block);
		cr_assert(sti_slab_take_back(&heap, &pending));
		cr_assert_eq(pending.bits, 0);
		cr_assert_eq(sti_slab_alloc(&heap, 200), block, "block %zu", i);
	}
	sti_slab_free(block);
	sti_heap_deinit(&heap);
	cr_assert_eq(sti_slab_in_use(), 0);
}

Test(slab, does_not_take_back_blocks_of_another_word)
{
	static struct sti_heap other;
	struct sti_slab_pending pending = { 0 };
	void *block, *others;

	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	block = sti_slab_alloc(&heap, 64);
	others = sti_slab_alloc(&other, 64);
	sti_slab_free_later(&pending, others);
	cr_assert(!sti_slab_take_back(&heap, &pending));
	sti_slab_flush(&pending);
	sti_slab_free_later(&pending, block);
	cr_assert(!sti_slab_take_back(&other, &pending));
	cr_assert(sti_slab_take_back(&heap, &pending));
	sti_heap_deinit(&heap);
	sti_heap_deinit(&other);
	cr_assert_eq(sti_slab_in_use(), 0);
}

static void stay_on_this_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	cr_assert_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

Test(slab, number_is_bounded)
{
	size_t n = 0;
	void *first = NULL, *block;

	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	faulty_install();
	stay_on_this_cpu();
	/* A chain through the blocks themselves. */
	while ((block = sti_slab_alloc(&heap, STI_SLAB_BLOCK_MAX)) != NULL) {
		*(void **)block = first;
		first = block;
		n++;
		cr_assert_leq(n, STI_SLAB_POOL_MAX * (STI_SLAB_SIZE / STI_SLAB_BLOCK_MAX));
	}
	cr_assert_geq(faulty_tried(), STI_SLAB_POOL_MAX);
	while (first != NULL) {
		block = first;
		first = *(void **)first;
		sti_slab_free(block);
	}
	cr_assert_not_null(sti_slab_alloc(&heap, STI_SLAB_BLOCK_MAX));
}

Test(slab, without_memory_sends_to_the_allocator)
{
	faulty_install();
	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	faulty_arm(0, true);
	cr_assert_null(sti_slab_alloc(&heap, 64));
	cr_assert(faulty_disarm());
	blocks[0] = sti_slab_alloc(&heap, 64);
	cr_assert_not_null(blocks[0]);
	sti_slab_free(blocks[0]);
	sti_heap_deinit(&heap);
	cr_assert_eq(sti_slab_in_use(), 0);
}

Test(slab, blocks_in_use_survive_their_heap)
{
	faulty_install();
	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	for (size_t i = 0; i < 3000; i++)
		blocks[i] = sti_slab_alloc(&heap, 64);
	check_distinct(3000, 64);
	sti_heap_deinit(&heap);
	check_distinct(3000, 64);
	for (size_t i = 0; i < 3000; i++)
		sti_slab_free(blocks[i]);
	cr_assert_eq(sti_slab_in_use(), 0);
}

Test(slab, trimmed_slabs_are_usable_again)
{
	size_t trimmed;

	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	for (size_t i = 0; i < N; i++)
		blocks[i] = sti_slab_alloc(&heap, 64);
	for (size_t i = 0; i < N; i++)
		sti_slab_free(blocks[i]);
	trimmed = sti_slab_trim();
	cr_assert_geq(trimmed, 1);
	cr_assert_eq(sti_slab_trim(), 0, "trimmed twice");
	for (size_t i = 0; i < N; i++)
		blocks[i] = sti_slab_alloc(&heap, 64);
	check_distinct(N, 64);
	for (size_t i = 0; i < N; i++)
		sti_slab_free(blocks[i]);
	sti_heap_deinit(&heap);
}

Test(slab, a_slab_in_use_is_not_trimmed)
{
	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	stay_on_this_cpu();
	for (size_t i = 0; i < N; i++)
		blocks[i] = sti_slab_alloc(&heap, 64);
	sti_heap_deinit(&heap);
	memset(blocks[N / 2], 42, 64);
	for (size_t i = 0; i < N; i++) {
		if (i != N / 2)
			sti_slab_free(blocks[i]);
	}
	cr_assert_eq(sti_slab_in_use(), 1);
	cr_assert_geq(sti_slab_trim(), 1);
	for (size_t k = 0; k < 64; k++)
		cr_assert_eq(blocks[N / 2][k], 42);
	sti_slab_free(blocks[N / 2]);
	cr_assert_eq(sti_slab_in_use(), 0);
	cr_assert_eq(sti_slab_trim(), 1);
}

/* Blocks go to other threads, which free them while the owner goes on. */
struct hand_over {
	_Atomic(unsigned char *) *shelf;
	_Atomic bool *stop;
	size_t n_bad;
};

#define SHELF 64

static void *free_from_shelf(void *arg)
{
	struct hand_over *hand = arg;

	while (!atomic_load(hand->stop)) {
		for (size_t i = 0; i < SHELF; i++) {
			unsigned char *block = atomic_exchange(&hand->shelf[i], NULL);

			if (block == NULL)
				continue;
			for (size_t k = 1; k < 100; k++)
				hand->n_bad += block[k] != block[0];
			sti_slab_free(block);
		}
	}
	return NULL;
}

Test(slab, blocks_are_freed_by_other_threads)
{
	_Atomic(unsigned char *) shelf[SHELF] = { NULL };
	_Atomic bool stop = false;
	struct hand_over hands[3];
	pthread_t threads[3];

	if (!STI_SLAB_ENABLED)
		cr_skip_test("messages are allocations of their own here");
	for (int i = 0; i < 3; i++) {
		hands[i] = (struct hand_over){ shelf, &stop, 0 };
		cr_assert_eq(pthread_create(&threads[i], NULL, free_from_shelf, &hands[i]), 0);
	}
	for (size_t i = 0; i < 300000; i++) {
		unsigned char *block = sti_slab_alloc(&heap, 100);

		cr_assert_not_null(block);
		memset(block, (int)(i % 251), 100);
		block = atomic_exchange(&shelf[i % SHELF], block);
		if (block != NULL)
			sti_slab_free(block);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(hands[i].n_bad, 0);
	}
}
