/* SPDX-License-Identifier: BSD-2-Clause */
/* test_object.c — reference-counted memory */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <stasis/object.h>

#include "faulty.h"
#include "gate.h"

static int n_destroyed;
static void *destroyed;

static void destroy(void *obj)
{
	n_destroyed++;
	destroyed = obj;
}

Test(object, is_zeroed_and_aligned)
{
	for (size_t size = 0; size < 3000; size += 11) {
		unsigned char *obj = stasis_object_alloc(size, NULL);

		cr_assert_not_null(obj);
		cr_assert_eq((uintptr_t)obj % 16, 0, "size %zu", size);
		for (size_t i = 0; i < size; i++)
			cr_assert_eq(obj[i], 0, "size %zu", size);
		memset(obj, 0xff, size);
		stasis_object_unref(obj);
	}
}

Test(object, is_born_with_one_reference_and_destroyed_with_the_last)
{
	void *obj = stasis_object_alloc(8, destroy);

	cr_assert_eq(stasis_object_refs(obj), 1);
	for (unsigned i = 2; i < 100; i++) {
		cr_assert_eq(stasis_object_ref(obj), obj);
		cr_assert_eq(stasis_object_refs(obj), i);
	}
	for (unsigned i = 98; i > 0; i--) {
		cr_assert_null(stasis_object_unref(obj));
		cr_assert_eq(stasis_object_refs(obj), i);
		cr_assert_eq(n_destroyed, 0);
	}
	cr_assert_null(stasis_object_unref(obj));
	cr_assert_eq(n_destroyed, 1);
	cr_assert_eq(destroyed, obj);
}

Test(object, null_is_allowed)
{
	errno = 0;
	cr_assert_null(stasis_object_ref(NULL));
	cr_assert_eq(errno, EINVAL);
	cr_assert_null(stasis_object_unref(NULL));
	cr_assert_eq(stasis_object_refs(NULL), 0);
}

Test(object, absurd_sizes_are_out_of_memory)
{
	static const size_t sizes[] = { SIZE_MAX,      SIZE_MAX - 8,  SIZE_MAX - 15,
					SIZE_MAX - 16, SIZE_MAX - 64, SIZE_MAX / 2 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		errno = 0;
		cr_assert_null(stasis_object_alloc(sizes[i], destroy));
		cr_assert_eq(errno, ENOMEM, "size %zu", sizes[i]);
	}
	cr_assert_eq(n_destroyed, 0);
}

Test(object, without_memory_says_so)
{
	faulty_install();
	faulty_arm(0, false);
	errno = 0;
	cr_assert_null(stasis_object_alloc(8, destroy));
	cr_assert_eq(errno, ENOMEM);
	cr_assert(faulty_disarm());
	cr_assert_eq(faulty_outstanding(), 0);
}

Test(object, memory_is_freed)
{
	faulty_install();
	for (size_t size = 0; size < 5000; size += 100)
		stasis_object_unref(stasis_object_alloc(size, NULL));
	cr_assert_eq(faulty_outstanding(), 0);
}

static void destroy_chain(void *obj)
{
	n_destroyed++;
	stasis_object_unref(*(void **)obj);
}

Test(object, destructor_may_drop_others)
{
	void *head = NULL;

	for (int i = 0; i < 100; i++) {
		void **obj = stasis_object_alloc(sizeof(void *), destroy_chain);

		*obj = head;
		head = obj;
	}
	stasis_object_unref(head);
	cr_assert_eq(n_destroyed, 100);
}

#define THREADS 8

struct shared {
	int written[THREADS]; /* plain: the destructor must see all of it */
	int *sum;
};

struct user {
	struct shared *shared;
	struct gate *start;
	int number;
};

static void add_up(void *obj)
{
	struct shared *shared = obj;

	for (int i = 0; i < THREADS; i++)
		*shared->sum += shared->written[i];
	n_destroyed++;
}

static void *use(void *arg)
{
	struct user *user = arg;

	gate_pass(user->start);
	for (int i = 0; i < 2000; i++) {
		stasis_object_ref(user->shared);
		stasis_object_unref(user->shared);
	}
	user->shared->written[user->number] = 1;
	stasis_object_unref(user->shared);
	return NULL;
}

Test(object, destructor_runs_once_and_sees_everything)
{
	for (int round = 0; round < 50; round++) {
		struct shared *shared = stasis_object_alloc(sizeof(*shared), add_up);
		struct gate start = GATE_INIT;
		struct user users[THREADS];
		int sum = 0;

		n_destroyed = 0;
		shared->sum = &sum;
		for (int i = 0; i < THREADS; i++)
			users[i] = (struct user){ stasis_object_ref(shared), &start, i };
		stasis_object_unref(shared);
		gate_open(&start);
		run_threads(THREADS, use, users, sizeof(users[0]));
		cr_assert_eq(n_destroyed, 1);
		cr_assert_eq(sum, THREADS);
	}
}
