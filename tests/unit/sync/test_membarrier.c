/* SPDX-License-Identifier: BSD-2-Clause */
/* test_membarrier.c — one of two threads that store and then load pays for both */

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sync/membarrier.h"

#define ROUNDS 2000u

/* On lines of their own, so that the store waits for its line and the load does not. */
static struct {
	_Alignas(STI_CACHELINE) _Atomic uint32_t cheap;
	_Alignas(STI_CACHELINE) _Atomic uint32_t dear;
	_Alignas(STI_CACHELINE) _Atomic uint32_t round;
	_Alignas(STI_CACHELINE) _Atomic uint32_t answer; /* round << 1 | has seen dear */
} shared;

/* The other may have to be given this processor. */
static void wait_a_little(void)
{
	static __thread unsigned n_looks;

	if (++n_looks % 1024 == 0)
		sched_yield();
	else
		sti_cpu_relax();
}

static void *store_then_load(void *arg)
{
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		uint32_t seen;

		while (atomic_load_explicit(&shared.round, memory_order_acquire) < i)
			wait_a_little();
		atomic_store_explicit(&shared.cheap, i, memory_order_release);
		atomic_signal_fence(memory_order_seq_cst);
		seen = atomic_load_explicit(&shared.dear, memory_order_relaxed);
		atomic_store_explicit(&shared.answer, i << 1 | (seen == i), memory_order_release);
	}
	return NULL;
}

Test(membarrier, is_usable_here_and_stays_so)
{
	if (!sti_membarrier_is_usable())
		cr_skip_test("no membarrier");
	for (int i = 0; i < 100; i++)
		sti_membarrier();
	cr_assert(sti_membarrier_is_usable());
}

Test(membarrier, one_of_two_sees_the_other)
{
	unsigned n_neither = 0;
	pthread_t thread;

	if (!sti_membarrier_is_usable())
		cr_skip_test("no membarrier");
	cr_assert_eq(pthread_create(&thread, NULL, store_then_load, NULL), 0);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		uint32_t seen, answer;

		atomic_store_explicit(&shared.round, i, memory_order_release);
		atomic_store_explicit(&shared.dear, i, memory_order_relaxed);
		sti_membarrier();
		seen = atomic_load_explicit(&shared.cheap, memory_order_acquire);
		while ((answer = atomic_load_explicit(&shared.answer, memory_order_acquire)) >> 1 <
		       i)
			wait_a_little();
		n_neither += seen != i && !(answer & 1);
	}
	pthread_join(thread, NULL);
	cr_assert_eq(n_neither, 0);
}
