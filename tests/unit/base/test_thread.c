/* SPDX-License-Identifier: BSD-2-Clause */
/* test_thread.c — the library's record of a thread */

#include "base/thread.h"

#include <criterion/criterion.h>
#include <unistd.h>
#include <stdlib.h>

#include <stasis/stasis.h>

#include "faulty.h"
#include "gate.h"

Test(thread, record_stays_the_same)
{
	struct sti_thread *self = sti_thread_self();

	cr_assert_not_null(self);
	cr_assert_lt(self->number, STI_THREAD_MAX);
	cr_assert_eq(sti_thread_self(), self);
}

struct visitor {
	struct gate *all_there;
	unsigned number;
	bool has_record;
};

static void *visit(void *arg)
{
	struct visitor *visitor = arg;
	struct sti_thread *self = sti_thread_self();

	visitor->has_record = self != NULL;
	visitor->number = self != NULL ? self->number : 0;
	gate_pass(visitor->all_there);
	return NULL;
}

struct opener {
	struct gate *gate;
	size_t n;
};

static void *open_when_all_came(void *arg)
{
	struct opener *opener = arg;

	gate_await(opener->gate, opener->n);
	gate_open(opener->gate);
	return NULL;
}

/* Runs n threads that live at the same time; counts those with a record, whose numbers differ. */
static size_t run_visitors(size_t n)
{
	struct gate gate = GATE_INIT;
	struct opener opener = { &gate, n };
	struct visitor *visitors = calloc(n, sizeof(*visitors));
	bool *used = calloc(STI_THREAD_MAX, sizeof(*used));
	size_t n_records = 0;
	pthread_t thread;

	for (size_t i = 0; i < n; i++)
		visitors[i].all_there = &gate;
	cr_assert_eq(pthread_create(&thread, NULL, open_when_all_came, &opener), 0);
	run_threads(n, visit, visitors, sizeof(visitors[0]));
	pthread_join(thread, NULL);
	for (size_t i = 0; i < n; i++) {
		if (!visitors[i].has_record)
			continue;
		cr_assert_lt(visitors[i].number, STI_THREAD_MAX);
		cr_assert_not(used[visitors[i].number], "number %u twice", visitors[i].number);
		used[visitors[i].number] = true;
		n_records++;
	}
	free(used);
	free(visitors);
	return n_records;
}

Test(thread, numbers_belong_to_one_living_thread)
{
	for (int round = 0; round < 10; round++)
		cr_assert_eq(run_visitors(40), 40);
}

Test(thread, numbers_are_given_back)
{
	for (int round = 0; round < 50; round++)
		cr_assert_eq(run_visitors(64), 64, "round %d", round);
}

Test(thread, beyond_the_maximum_there_is_no_record)
{
	cr_assert_eq(run_visitors(STI_THREAD_MAX + 50), STI_THREAD_MAX);
	/* And once they are gone there is one for everybody again. */
	cr_assert_eq(run_visitors(100), 100);
}

static void *use_without_record(void *arg)
{
	struct stasis_message_type *type = arg;
	struct stasis_message *message;

	/* The record fails, then so does the message; with memory again both work. */
	faulty_arm(0, true);
	message = stasis_message_create_inline(type, "x", 1);
	faulty_disarm();
	if (message != NULL)
		stasis_object_unref(message);
	message = stasis_message_create_inline(type, "x", 1);
	if (message == NULL)
		abort();
	stasis_object_unref(message);
	return NULL;
}

Test(thread, everything_works_without_a_record)
{
	struct stasis_message_type *type;

	faulty_install();
	type = stasis_message_type_create("t");
	for (int i = 0; i < 20; i++)
		run_threads(1, use_without_record, type, 0);
	stasis_object_unref(type);
}

static void *make_one(void *arg)
{
	struct stasis_message **messagep = arg;

	*messagep = stasis_message_create_inline(stasis_subscription_change_type(), "x", 1);
	return NULL;
}

Test(thread, memory_of_threads_that_ended_is_used_again)
{
	struct stasis_message *messages[8];
	int64_t before;

	faulty_install();
	run_threads(8, make_one, messages, sizeof(messages[0]));
	for (int i = 0; i < 8; i++)
		stasis_object_unref(messages[i]);
	cr_assert_eq(sti_slab_in_use(), 0);
	before = faulty_outstanding();
	for (int round = 0; round < 20; round++) {
		run_threads(8, make_one, messages, sizeof(messages[0]));
		for (int i = 0; i < 8; i++)
			stasis_object_unref(messages[i]);
	}
	cr_assert_eq(sti_slab_in_use(), 0);
	cr_assert_leq(faulty_outstanding(), before, "%ld blocks more",
		      (long)(faulty_outstanding() - before));
}
