/* SPDX-License-Identifier: BSD-2-Clause */
/* test_retire.c — references are dropped after a grace period, and not before */

#include <criterion/criterion.h>
#include <sched.h>
#include <stdatomic.h>

#include <stasis/object.h>

#include "faulty.h"
#include "gate.h"
#include "sync/rcu.h"
#include "sync/retire.h"

static _Atomic unsigned n_dropped;

static void note_dropped(void *data)
{
	atomic_fetch_add(&n_dropped, 1);
}

static void retire(void *obj)
{
	struct sti_retire_batch *batch = sti_retire_reserve();

	cr_assert_not_null(batch);
	sti_retire_put(batch, obj);
}

static void *object(void)
{
	void *obj = stasis_object_alloc(8, note_dropped);

	cr_assert_not_null(obj);
	return obj;
}

/* A flush, a grace period, and what it has closed, after another. */
static void settle(void)
{
	for (int i = 0; i < 3; i++)
		sti_rcu_barrier();
}

Test(retire, drops_one_after_a_while)
{
	retire(object());
	settle();
	cr_assert_eq(n_dropped, 1);
	retire(object());
	settle();
	cr_assert_eq(n_dropped, 2);
}

Test(retire, drops_each_of_many_once)
{
	for (unsigned n = 1; n <= 300; n++) {
		for (unsigned i = 0; i < n; i++)
			retire(object());
	}
	settle();
	cr_assert_eq(n_dropped, 300 * 301 / 2);
}

Test(retire, drops_one_reference)
{
	void *obj = object();

	stasis_object_ref(obj);
	stasis_object_ref(obj);
	retire(obj);
	retire(obj);
	settle();
	cr_assert_eq(n_dropped, 0);
	cr_assert_eq(stasis_object_refs(obj), 1);
	stasis_object_unref(obj);
	cr_assert_eq(n_dropped, 1);
}

Test(retire, may_reserve_in_vain)
{
	int64_t before;

	faulty_install();
	retire(NULL);
	settle();
	before = faulty_outstanding();
	for (int i = 0; i < 100; i++)
		retire(NULL);
	settle();
	cr_assert_leq(faulty_outstanding(), before);
	cr_assert_eq(n_dropped, 0);
}

Test(retire, is_refused_without_memory)
{
	struct sti_retire_batch *first, *second;

	faulty_install();
	first = sti_retire_reserve();
	cr_assert_not_null(first);
	faulty_arm(0, true);
	second = sti_retire_reserve();
	cr_assert(faulty_disarm());
	cr_assert_null(second);
	sti_retire_put(first, object());
	settle();
	cr_assert_eq(n_dropped, 1);
}

/* Others reserve while one has a batch in hand. */
Test(retire, hands_out_as_many_batches_as_are_asked_for)
{
	struct sti_retire_batch *batches[100];

	for (int i = 0; i < 100; i++)
		batches[i] = sti_retire_reserve();
	for (int i = 0; i < 100; i++) {
		for (int j = 0; j < i; j++)
			cr_assert_neq(batches[i], batches[j]);
	}
	for (int i = 0; i < 100; i++)
		sti_retire_put(batches[i], object());
	settle();
	cr_assert_eq(n_dropped, 100);
}

static void *read_for_a_while(void *arg)
{
	sti_rcu_read_lock();
	gate_pass(arg);
	sti_rcu_read_unlock();
	return NULL;
}

Test(retire, waits_for_readers)
{
	struct gate gate = GATE_INIT;
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, read_for_a_while, &gate), 0);
	gate_await(&gate, 1);
	for (int i = 0; i < 200; i++)
		retire(object());
	/* Nothing can be waited for here: that nothing is dropped is seen, if it is, by chance. */
	for (int i = 0; i < 1000; i++)
		sched_yield();
	cr_assert_eq(n_dropped, 0);
	gate_open(&gate);
	pthread_join(thread, NULL);
	settle();
	cr_assert_eq(n_dropped, 200);
}

static void *retire_many(void *arg)
{
	for (int i = 0; i < 5000; i++) {
		struct sti_retire_batch *batch;

		sti_rcu_read_lock();
		batch = sti_retire_reserve();
		if (batch != NULL)
			sti_retire_put(batch, stasis_object_alloc(8, note_dropped));
		sti_rcu_read_unlock();
	}
	return NULL;
}

Test(retire, is_done_by_many_threads_at_once)
{
	int args[24];

	run_threads(24, retire_many, args, sizeof(args[0]));
	settle();
	cr_assert_eq(n_dropped, 24 * 5000);
}
