/* SPDX-License-Identifier: BSD-2-Clause */
/* test_memory.c — defects after memory had run out that have been found and mended */

#include <stdio.h>

#include "base/alloc.h"
#include "exec/executor.h"
#include "faulty.h"
#include "map/map.h"
#include "regress_fixture.h"

/* --- a drain waited for ever for a bounded subscription for which there was no memory --- */

static struct stasis_executor *drained;
static _Atomic bool drain_is_over;
static pthread_t drainer;
static __thread bool is_subscriber;
static unsigned n_passed, n_to_pass;
static bool failed;

static void *drain_all(void *arg)
{
	must(stasis_executor_drain(drained) == 0);
	atomic_store(&drain_is_over, true);
	return NULL;
}

/* Fails one allocation of the subscriber's, when a drain has seen what there is by then. */
static void *alloc_after_drain(size_t align, size_t size)
{
	if (!is_subscriber || n_passed++ != n_to_pass)
		return sti_alloc_system.alloc(align, size);
	failed = true;
	atomic_store(&drain_is_over, false);
	must(pthread_create(&drainer, NULL, drain_all, NULL) == 0);
	while (atomic_load(&drained->drainers) == 0 && !atomic_load(&drain_is_over))
		sched_yield();
	return NULL;
}

static void free_as_usual(void *ptr)
{
	sti_alloc_system.free(ptr);
}

/* Returns whether there was an allocation to fail. */
static bool subscribe_without_memory(struct stasis_topic *topic, unsigned n,
				     const struct stasis_subscribe_options *options)
{
	static struct probe probe;
	struct stasis_subscription *sub;
	struct timespec limit;

	n_passed = 0;
	n_to_pass = n;
	failed = false;
	is_subscriber = true;
	sub = stasis_subscribe_with(topic, probe_callback, &probe, options);
	is_subscriber = false;
	if (!failed) {
		cr_assert_not_null(sub);
		stasis_unsubscribe_and_join(sub);
		return false;
	}
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 10;
	cr_assert_eq(pthread_timedjoin_np(drainer, NULL, &limit), 0,
		     "the drain hangs where allocation %u failed", n);
	stasis_unsubscribe_and_join(sub);
	return true;
}

Test(memory, no_drain_waits_for_a_subscription_that_was_not_made)
{
	static const struct sti_alloc_ops ops = {
		.alloc = alloc_after_drain,
		.free = free_as_usual,
	};
	struct stasis_subscribe_options options = {
		.capacity = 4,
		.overflow = STASIS_OVERFLOW_DROP_NEWEST,
	};
	struct stasis_topic *topic;
	unsigned n = 0;

	sti_alloc_set_ops(&ops);
	drained = executor_that(STASIS_WAIT_PARK, 1);
	options.executor = drained;
	/* Of its own each time: an array that has room needs no memory. */
	do {
		topic = topic_new();
		n += 1;
	} while (subscribe_without_memory(topic, n - 1, &options) &&
		 stasis_object_unref(topic) == NULL);
	cr_assert_gt(n, 4);
	stasis_object_unref(topic);
	stasis_executor_shutdown(drained);
}

/* --- a map that had once been short of memory did not grow any more after it had shrunk --- */

#define ENTRIES 200u

struct numbered {
	struct sti_map_entry map;
	char id[11];
};

static void fill(struct sti_map *map, struct numbered *entries, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct sti_map_key *key = &entries[i].map.key;

		snprintf(entries[i].id, sizeof(entries[i].id), "%u", i);
		*key = (struct sti_map_key){ entries, entries[i].id, strlen(entries[i].id) };
		sti_rcu_read_lock();
		cr_assert_eq(sti_map_add(map, &entries[i].map), &entries[i].map);
		sti_rcu_read_unlock();
	}
	/* Resizes are done by call_rcu's thread. */
	sti_rcu_barrier();
}

static void empty(struct sti_map *map, struct numbered *entries, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		sti_rcu_read_lock();
		cr_assert(sti_map_remove(map, &entries[i].map));
		sti_rcu_read_unlock();
	}
	sti_rcu_barrier();
}

Test(memory, a_map_grows_again_after_it_was_short_of_it)
{
	static struct numbered entries[ENTRIES];
	struct sti_map map;
	uint64_t tried;

	faulty_install();
	cr_assert_eq(sti_map_init(&map), 0);
	fill(&map, entries, 0, ENTRIES / 2);
	/* What a table is to grow by is allocated on trial: nothing else is, in a map. */
	faulty_arm(0, true);
	fill(&map, entries, ENTRIES / 2, ENTRIES);
	cr_assert(faulty_disarm());
	empty(&map, entries, ENTRIES);
	tried = faulty_tried();
	fill(&map, entries, 0, ENTRIES / 2);
	cr_assert_eq(faulty_tried(), tried + 1);
	empty(&map, entries, ENTRIES / 2);
	sti_map_deinit(&map);
}
