/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/subscribers.c — copies of an array. See subscribers.h. */

#include "bus/subscribers.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/assert.h"

/* All topics without a subscriber share it. */
static struct sti_subscribers nobody;

static struct sti_subscribers *array_new(size_t n)
{
	struct sti_subscribers *array;

	if (n == 0)
		return &nobody;
	array = sti_alloc(sizeof(*array) + n * sizeof(array->subs[0]));
	if (array != NULL)
		array->n = n;
	return array;
}

static void array_free_rcu(struct sti_rcu_head *rcu)
{
	sti_free(sti_container_of(rcu, struct sti_subscribers, rcu));
}

/* Freed after a grace period: publishers may be walking it. */
static void array_replace(sti_subscribers_ptr *pointer, struct sti_subscribers *array)
{
	/* R1: the copy is complete; pairs with A1 in sti_subscribers_get(). */
	struct sti_subscribers *old =
		atomic_exchange_explicit(pointer, array, memory_order_acq_rel);

	if (old != &nobody)
		sti_rcu_call(&old->rcu, array_free_rcu);
}

/* The array as its only changer sees it. */
static struct sti_subscribers *array_own(const sti_subscribers_ptr *pointer)
{
	/* Relaxed: under the topic's lock. */
	return atomic_load_explicit(pointer, memory_order_relaxed);
}

/* Copies all but one to another array; how many. */
static size_t array_copy(struct sti_subscribers *to, const struct sti_subscribers *from,
			 const struct stasis_subscription *but)
{
	size_t n = 0;

	for (size_t i = 0; i < from->n; i++) {
		struct stasis_subscription *sub = sti_subscribers_at(from, i);

		if (sub != NULL && sub != but)
			atomic_init(&to->subs[n++], sub);
	}
	return n;
}

void sti_subscribers_init(sti_subscribers_ptr *pointer)
{
	atomic_init(pointer, &nobody);
}

void sti_subscribers_deinit(sti_subscribers_ptr *pointer)
{
	stasis_assert(sti_subscribers_count(array_own(pointer)) == 0);
	array_replace(pointer, &nobody);
}

size_t sti_subscribers_count(const struct sti_subscribers *subs)
{
	size_t n = 0;

	for (size_t i = 0; i < subs->n; i++)
		n += sti_subscribers_at(subs, i) != NULL;
	return n;
}

int sti_subscribers_add(sti_subscribers_ptr *pointer, struct stasis_subscription *sub)
{
	struct sti_subscribers *old = array_own(pointer);
	size_t n = sti_subscribers_count(old);
	struct sti_subscribers *array = array_new(n + 1);

	if (array == NULL)
		return -ENOMEM;
	array_copy(array, old, NULL);
	atomic_init(&array->subs[n], sub);
	array_replace(pointer, array);
	return 0;
}

void sti_subscribers_remove(sti_subscribers_ptr *pointer, struct stasis_subscription *sub)
{
	struct sti_subscribers *old = array_own(pointer);
	size_t n = sti_subscribers_count(old);
	struct sti_subscribers *array = array_new(n - 1);

	if (array != NULL) {
		n = array_copy(array, old, sub);
		stasis_assert(n == array->n);
		array_replace(pointer, array);
		return;
	}
	for (size_t i = 0; i < old->n; i++) {
		/* Relaxed: publishers may see it or not, as with a replaced array. */
		if (sti_subscribers_at(old, i) == sub)
			atomic_store_explicit(&old->subs[i], NULL, memory_order_relaxed);
	}
}
