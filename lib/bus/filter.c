/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/filter.c — sets of types, and what changes a subscription's. See filter.h. */

#include "bus/filter.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "bus/subscription.h"
#include "bus/topic.h"

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (const void *const *)a;
	uintptr_t y = (uintptr_t) * (const void *const *)b;

	return (x > y) - (x < y);
}

bool sti_filter_has(const struct sti_filter *filter, const struct stasis_message_type *type)
{
	const void *key = type;

	return (filter->mask & sti_filter_bit(type)) &&
	       bsearch(&key, filter->types, filter->n, sizeof(filter->types[0]), by_address);
}

static struct sti_filter *filter_alloc(bool selective, size_t n_types)
{
	struct sti_filter *filter =
		sti_alloc(sizeof(*filter) + n_types * sizeof(filter->types[0]));

	if (filter != NULL) {
		filter->selective = selective;
		filter->mask = 0;
		filter->n = 0;
	}
	return filter;
}

/* Sorts the types and leaves out those that come again. */
static void filter_finish(struct sti_filter *filter)
{
	size_t n = 0;

	if (filter->n > 0)
		qsort(filter->types, filter->n, sizeof(filter->types[0]), by_address);
	for (size_t i = 0; i < filter->n; i++) {
		if (n > 0 && filter->types[n - 1] == filter->types[i])
			continue;
		filter->types[n++] = filter->types[i];
		filter->mask |= sti_filter_bit(filter->types[i]);
	}
	filter->n = n;
}

struct sti_filter *sti_filter_of(struct stasis_message_type *const *types, size_t n)
{
	struct sti_filter *filter = filter_alloc(true, n);

	if (filter == NULL)
		return NULL;
	while (filter->n < n) {
		filter->types[filter->n] = types[filter->n];
		filter->n++;
	}
	filter_finish(filter);
	return filter;
}

struct sti_filter *sti_filter_new(const struct sti_filter *from, bool selective,
				  const struct stasis_message_type *add,
				  const struct stasis_message_type *but)
{
	size_t n_from = from != NULL ? from->n : 0;
	struct sti_filter *filter = filter_alloc(selective, n_from + 1);

	if (filter == NULL)
		return NULL;
	for (size_t i = 0; i < n_from; i++) {
		if (from->types[i] != but)
			filter->types[filter->n++] = from->types[i];
	}
	if (add != NULL)
		filter->types[filter->n++] = add;
	filter_finish(filter);
	return filter;
}

void sti_filter_free(struct sti_filter *filter)
{
	sti_free(filter);
}

static void filter_free_rcu(struct sti_rcu_head *rcu)
{
	sti_filter_free(sti_container_of(rcu, struct sti_filter, rcu));
}

void sti_filter_retire(struct sti_filter *filter)
{
	if (filter != NULL)
		sti_rcu_call(&filter->rcu, filter_free_rcu);
}

/* Replaces a subscription's filter, and the topic's array with it. Under the topic's lock. 0 or
 * -ENOMEM. */
static int filter_replace(struct stasis_subscription *sub, struct sti_filter *filter)
{
	struct stasis_topic *topic = sti_subscription_topic(sub);
	struct sti_filter *old = sti_subscription_filter(sub);
	int result = 0;

	if (filter == NULL)
		return -ENOMEM;
	/* One that is not in the array, or not any more, needs no other array. */
	if ((old != NULL && old->selective) || filter->selective)
		result = sti_subscribers_refilter(&topic->subscribers, sub, filter);
	if (result != 0) {
		sti_filter_free(filter);
		return result;
	}
	/* R2: complete; pairs with A2 in sti_subscription_filter(). */
	atomic_store_explicit(&sub->filter, filter, memory_order_release);
	sti_filter_retire(old);
	return 0;
}

/* What a change makes of the filter there is; NULL types: none. */
struct filter_change {
	const struct stasis_message_type *add, *but;
	bool sets_selective; /* to the next; otherwise it stays as it is */
	bool selective;
};

/* 0 or -ENOMEM, and nothing has changed. */
static int filter_change(struct stasis_subscription *sub, const struct filter_change *change)
{
	pthread_mutex_t *lock = &sti_subscription_topic(sub)->lock;
	const struct sti_filter *old;
	bool was_selective, selective;
	int result = 0;

	pthread_mutex_lock(lock);
	old = sti_subscription_filter(sub);
	was_selective = old != NULL && old->selective;
	selective = change->sets_selective ? change->selective : was_selective;
	if (selective != was_selective ||
	    (change->add != NULL && (old == NULL || !sti_filter_has(old, change->add))) ||
	    (change->but != NULL && old != NULL && sti_filter_has(old, change->but)))
		result = filter_replace(sub,
					sti_filter_new(old, selective, change->add, change->but));
	pthread_mutex_unlock(lock);
	return result;
}

int stasis_subscription_accept_message_type(struct stasis_subscription *sub,
					    struct stasis_message_type *type)
{
	if (sub == NULL || type == NULL)
		return -EINVAL;
	return filter_change(sub, &(struct filter_change){ .add = type });
}

int stasis_subscription_decline_message_type(struct stasis_subscription *sub,
					     struct stasis_message_type *type)
{
	if (sub == NULL || type == NULL)
		return -EINVAL;
	return filter_change(sub, &(struct filter_change){ .but = type });
}

int stasis_subscription_set_filter(struct stasis_subscription *sub,
				   enum stasis_subscription_filter filter)
{
	bool selective = filter == STASIS_SUBSCRIPTION_FILTER_SELECTIVE;

	if (sub == NULL || (!selective && filter != STASIS_SUBSCRIPTION_FILTER_NONE))
		return -EINVAL;
	return filter_change(sub, &(struct filter_change){ .sets_selective = true,
							    .selective = selective });
}
