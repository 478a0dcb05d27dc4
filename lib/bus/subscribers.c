/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/subscribers.c — copies of an array. See subscribers.h. */

#include "bus/subscribers.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "bus/filter.h"
#include "bus/subscription.h"

static_assert(sizeof(struct sti_subscribers) == 16 + sizeof(struct sti_rcu_head),
	      "with one subscription, 48 bytes");
static_assert(sizeof(sti_target) == sizeof(const struct sti_filter *) &&
		      sizeof(sti_target) == sizeof(_Atomic(struct stasis_subscription *)),
	      "all parts but the masks are made of words of one size");

/* All topics that lead to nobody share it. */
static struct sti_subscribers nobody = { .plain = true };

/* How a copy differs. NULL: not in this. */
struct change {
	const struct stasis_subscription *but;
	struct stasis_subscription *add;
	const struct sti_filter *filter; /* of add */
	struct stasis_topic *forward;
	const struct stasis_topic *unforward; /* once */
};

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

static bool is_selective(const struct sti_filter *filter)
{
	return filter != NULL && filter->selective;
}

static const struct sti_filter *array_filter(const struct sti_subscribers *array, uint32_t i)
{
	return i < array->n_open ? NULL : sti_subscribers_filters(array)[i - array->n_open];
}

static bool keeps(const struct stasis_subscription *sub, const struct change *change)
{
	return sub != NULL && sub != change->but;
}

/* Where the one is that the copy is without; n: there is none. */
static uint32_t array_find(const struct sti_subscribers *array, const struct change *change)
{
	uint32_t i = 0;

	if (change->but == NULL)
		return array->n;
	while (i < array->n && sti_subscribers_at(array, i) != change->but)
		i++;
	return i;
}

/* The sizes of the copy. False: it leads to nobody. */
static bool array_measure(struct sti_subscribers *size, const struct sti_subscribers *from,
			  const struct change *change)
{
	size_t forwards = sti_subscribers_count_forwards(from);

	*size = (struct sti_subscribers){ 0 };
	if (!from->emptied) {
		uint32_t at = array_find(from, change);

		size->n = from->n - (at < from->n);
		size->n_open = from->n_open - (at < from->n_open);
	} else {
		for (uint32_t i = 0; i < from->n; i++) {
			const struct stasis_subscription *sub = sti_subscribers_at(from, i);

			size->n += keeps(sub, change);
			size->n_open += keeps(sub, change) && i < from->n_open;
		}
	}
	if (change->add != NULL) {
		size->n++;
		size->n_open += !is_selective(change->filter);
	}
	size->distinct = from->distinct || (change->add != NULL && change->add->distinct);
	size->n_forwards = (uint32_t)(forwards + (change->forward != NULL) -
				      (change->unforward != NULL));
	size->plain = size->n == size->n_open && size->n_forwards == 0;
	return size->n > 0 || size->n_forwards > 0;
}

static void array_put(struct sti_subscribers *to, uint32_t i, struct stasis_subscription *sub,
		      const struct sti_filter *filter)
{
	atomic_init(&to->subs[i], sub);
	if (i < to->n_open)
		return;
	sti_subscribers_filters(to)[i - to->n_open] = filter;
	sti_subscribers_masks(to)[i - to->n_open] = filter->mask;
}

/* The subscriptions of an array in which places may be empty. */
static void array_fill_one_by_one(struct sti_subscribers *to, const struct sti_subscribers *from,
				  const struct change *change)
{
	uint32_t open = 0, selective = to->n_open;

	for (uint32_t i = 0; i < from->n; i++) {
		struct stasis_subscription *sub = sti_subscribers_at(from, i);

		if (keeps(sub, change))
			array_put(to, i < from->n_open ? open++ : selective++, sub,
				  array_filter(from, i));
	}
	/* What is added is not there yet. */
	stasis_assert(to->n_open - open + to->n - selective == (change->add != NULL));
}

/* Copies n elements but the one at a place, if it is among them. */
static void copy_without(void *to, const void *from, size_t n, size_t at, size_t size)
{
	size_t before = at < n ? at : n;
	size_t behind = n - before - (at < n);

	if (before > 0)
		memcpy(to, from, before * size);
	if (behind > 0)
		memcpy((char *)to + before * size, (const char *)from + (before + 1) * size,
		       behind * size);
}

/* The same in one go. Nobody else writes to the old array, so its words may be copied as such. */
static void array_fill_at_once(struct sti_subscribers *to, const struct sti_subscribers *from,
			       const struct change *change)
{
	uint32_t n_open = from->n_open, n_selective = sti_subscribers_n_selective(from);
	uint32_t at = array_find(from, change);
	/* If it is an open one, it is beyond the selective ones. */
	size_t at_selective = (size_t)at - n_open;

	copy_without((void *)to->subs, (const void *)from->subs, n_open, at, sizeof(to->subs[0]));
	copy_without((void *)(to->subs + to->n_open), (const void *)(from->subs + n_open),
		     n_selective, at_selective, sizeof(to->subs[0]));
	copy_without(sti_subscribers_masks(to), sti_subscribers_masks(from), n_selective,
		     at_selective, sizeof(uint64_t));
	copy_without(sti_subscribers_filters(to), sti_subscribers_filters(from), n_selective,
		     at_selective, sizeof(const struct sti_filter *));
}

static void array_fill_forwards(struct sti_subscribers *to, const struct sti_subscribers *from,
				const struct change *change)
{
	const struct stasis_topic *unforward = change->unforward;
	uint32_t n = 0;

	for (uint32_t i = 0; i < from->n_forwards; i++) {
		struct stasis_topic *target = sti_subscribers_target(from, i);

		if (target != NULL && target == unforward)
			unforward = NULL;
		else if (target != NULL)
			atomic_init(&sti_subscribers_targets(to)[n++], target);
	}
	if (change->forward != NULL)
		atomic_init(&sti_subscribers_targets(to)[n++], change->forward);
	stasis_assert(n == to->n_forwards);
}

/* What is added comes last among its kind. */
static void array_fill(struct sti_subscribers *to, const struct sti_subscribers *from,
		       const struct change *change)
{
	if (from->emptied)
		array_fill_one_by_one(to, from, change);
	else
		array_fill_at_once(to, from, change);
	if (change->add != NULL)
		array_put(to, (is_selective(change->filter) ? to->n : to->n_open) - 1, change->add,
			  change->filter);
	array_fill_forwards(to, from, change);
}

/* Bytes, for an array whose sizes are known: its parts one behind the other. */
static size_t array_bytes(const struct sti_subscribers *size)
{
	size_t selective = sti_subscribers_n_selective(size);
	size_t words = (size_t)size->n + selective + size->n_forwards;

	/* Masks are aligned: see sti_subscribers_masks(). */
	return sizeof(*size) + words * sizeof(size->subs[0]) + selective * sizeof(uint64_t) +
	       (sizeof(uint64_t) - sizeof(void *));
}

/* 0 or -ENOMEM. */
static int array_change(sti_subscribers_ptr *pointer, const struct change *change)
{
	struct sti_subscribers *old = array_own(pointer);
	struct sti_subscribers size;
	struct sti_subscribers *array = &nobody;

	if (array_measure(&size, old, change)) {
		array = sti_alloc(array_bytes(&size));
		if (array == NULL)
			return -ENOMEM;
		*array = size;
		array_fill(array, old, change);
	}
	array_replace(pointer, array);
	return 0;
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

	for (uint32_t i = 0; i < subs->n; i++)
		n += sti_subscribers_at(subs, i) != NULL;
	return n;
}

size_t sti_subscribers_count_forwards(const struct sti_subscribers *subs)
{
	size_t n = 0;

	for (uint32_t i = 0; i < subs->n_forwards; i++)
		n += sti_subscribers_target(subs, i) != NULL;
	return n;
}

int sti_subscribers_add(sti_subscribers_ptr *pointer, struct stasis_subscription *sub)
{
	return array_change(pointer, &(struct change){ .add = sub,
						       .filter = sti_subscription_filter(sub) });
}

int sti_subscribers_refilter(sti_subscribers_ptr *pointer, struct stasis_subscription *sub,
			     const struct sti_filter *filter)
{
	const struct sti_subscribers *array = array_own(pointer);

	for (uint32_t i = 0; i < array->n; i++) {
		if (sti_subscribers_at(array, i) == sub)
			return array_change(pointer, &(struct change){ .but = sub, .add = sub,
								       .filter = filter });
	}
	return 0;
}

void sti_subscribers_remove(sti_subscribers_ptr *pointer, struct stasis_subscription *sub)
{
	struct sti_subscribers *array = array_own(pointer);

	if (array_change(pointer, &(struct change){ .but = sub }) == 0)
		return;
	for (uint32_t i = 0; i < array->n; i++) {
		/* Relaxed: publishers may see it or not, as with a replaced array. */
		if (sti_subscribers_at(array, i) == sub)
			atomic_store_explicit(&array->subs[i], NULL, memory_order_relaxed);
	}
	array->emptied = true;
}

int sti_subscribers_add_forward(sti_subscribers_ptr *pointer, struct stasis_topic *target)
{
	return array_change(pointer, &(struct change){ .forward = target });
}

void sti_subscribers_remove_forward(sti_subscribers_ptr *pointer, struct stasis_topic *target)
{
	struct sti_subscribers *array = array_own(pointer);

	if (array_change(pointer, &(struct change){ .unforward = target }) == 0)
		return;
	for (uint32_t i = 0; i < array->n_forwards; i++) {
		if (sti_subscribers_target(array, i) != target)
			continue;
		/* Relaxed: as in sti_subscribers_remove(). */
		atomic_store_explicit(&sti_subscribers_targets(array)[i], NULL,
				      memory_order_relaxed);
		return;
	}
}
