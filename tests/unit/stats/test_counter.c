/* SPDX-License-Identifier: BSD-2-Clause */
/* test_counter.c — a counter that many threads raise */

#include "stats/counter.h"

#include <criterion/criterion.h>

#include "faulty.h"
#include "gate.h"

static struct sti_counter counter;
static struct sti_counter_own own;

static void add(uint64_t n)
{
	sti_counter_add(&counter, &own, sti_thread_self(), n);
}

Test(counter, starts_at_nought)
{
	cr_assert_eq(sti_counter_read(&counter, &own), 0);
	sti_counter_deinit(&counter);
}

Test(counter, adds_up_for_one_thread_without_memory_of_its_own)
{
	faulty_install();
	sti_thread_self();
	faulty_arm(0, true);
	for (uint64_t i = 0; i < 1000; i++)
		add(i);
	cr_assert_not(faulty_disarm());
	cr_assert_eq(sti_counter_read(&counter, &own), 999 * 1000 / 2);
	sti_counter_deinit(&counter);
}

static void *add_many(void *arg)
{
	for (int i = 0; i < 10000; i++)
		add(3);
	return NULL;
}

static void run_adders(size_t n)
{
	run_threads(n, add_many, NULL, 0);
}

Test(counter, adds_up_for_many_threads)
{
	add(7);
	run_adders(12);
	cr_assert_eq(sti_counter_read(&counter, &own), 7 + 12 * 30000);
	add(1);
	cr_assert_eq(sti_counter_read(&counter, &own), 8 + 12 * 30000);
	sti_counter_deinit(&counter);
}

Test(counter, adds_up_for_threads_that_come_and_go)
{
	/* The first of them owns it and ends; its number goes to others. */
	for (uint64_t round = 1; round <= 20; round++) {
		run_adders(4);
		cr_assert_eq(sti_counter_read(&counter, &own), round * 4 * 30000);
	}
	sti_counter_deinit(&counter);
}

Test(counter, adds_up_for_more_threads_than_words)
{
	run_adders(STI_COUNTER_WRITERS + 20);
	cr_assert_eq(sti_counter_read(&counter, &own), (STI_COUNTER_WRITERS + 20) * 30000);
	sti_counter_deinit(&counter);
}

Test(counter, adds_up_without_memory)
{
	faulty_install();
	add(1);
	faulty_arm(0, true);
	run_adders(8);
	faulty_disarm();
	cr_assert_eq(sti_counter_read(&counter, &own), 1 + 8 * 30000);
	sti_counter_deinit(&counter);
}

Test(counter, adds_up_for_threads_without_a_record)
{
	for (int i = 0; i < 100; i++)
		sti_counter_add(&counter, &own, NULL, 2);
	add(1);
	cr_assert_eq(sti_counter_read(&counter, &own), 201);
	sti_counter_deinit(&counter);
}
