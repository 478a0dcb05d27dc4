/* SPDX-License-Identifier: BSD-2-Clause */
/* test_filter_memory.c — filters when there is no memory: nothing has changed */

#include "faulty.h"
#include "graph_fixture.h"
#include "sync/rcu.h"

enum step { ACCEPT, DECLINE, SELECT, SELECT_ALL };

static int take_step(struct stasis_subscription *sub, struct stasis_message_type **types,
		     enum step step)
{
	switch (step) {
	case ACCEPT:
		return stasis_subscription_accept_message_type(sub, types[1]);
	case DECLINE:
		return stasis_subscription_decline_message_type(sub, types[0]);
	case SELECT:
		return stasis_subscription_set_filter(sub, STASIS_SUBSCRIPTION_FILTER_SELECTIVE);
	case SELECT_ALL:
		return stasis_subscription_set_filter(sub, STASIS_SUBSCRIPTION_FILTER_NONE);
	}
	return 0;
}

/* A step with each allocation failing in turn; before and after it the subscription gets as many of
 * three types as told. */
static void run_step(struct bus *bus, enum step step, bool selective, size_t n_before,
		     size_t n_after)
{
	struct stasis_message_type *types[3];
	struct probe probe = { 0 };
	struct stasis_subscription *sub;
	size_t n_data = 0;
	uint64_t n;
	int result;

	types_make(types, 3);
	sub = listen_to(bus, &probe, types, 1);
	if (!selective)
		cr_assert_eq(take_step(sub, types, SELECT_ALL), 0);
	publish_each(bus->topic, types, 3, 0);
	for (n = 0;; n++) {
		sti_rcu_barrier();
		faulty_arm(n, false);
		result = take_step(sub, types, step);
		if (!faulty_disarm())
			break;
		cr_assert_eq(result, -ENOMEM);
		publish_each(bus->topic, types, 3, 0);
		n_data += n_before;
	}
	cr_assert_eq(result, 0);
	/* A filter and, where publishers must know, an array. */
	cr_assert_eq(n, selective || step == SELECT ? 2 : 1);
	publish_each(bus->topic, types, 3, 0);
	n_data += n_before + n_after;
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_data, n_data, "%zu instead of %zu", probe.n_data, n_data);
	types_drop(types, 3);
}

Test(filter, without_memory_nothing_has_changed)
{
	struct bus bus;
	struct probe probe = { 0 };
	struct stasis_subscription *neighbour;

	faulty_install();
	bus = bus_open(1);
	neighbour = bus_subscribe(&bus, &probe);
	run_step(&bus, ACCEPT, true, 1, 2);
	run_step(&bus, ACCEPT, false, 3, 3);
	run_step(&bus, DECLINE, true, 1, 0);
	run_step(&bus, DECLINE, false, 3, 3);
	run_step(&bus, SELECT, false, 3, 1);
	run_step(&bus, SELECT_ALL, true, 1, 3);
	stasis_unsubscribe_and_join(neighbour);
	/* 3 of each round: 2 and 1 rounds for each failure, and the first and the last. */
	cr_assert_eq(probe.n_data, 3 * ((2 + 1 + 2 + 1 + 2 + 2) + 6 * 2));
	bus_close(&bus);
}

/* Returns whether an allocation has failed. */
static bool subscribe_without(struct bus *bus, uint64_t n, struct stasis_message_type **types)
{
	struct probe probe = { 0 };
	struct stasis_subscription *sub;
	bool failed;

	errno = 0;
	faulty_arm(n, false);
	sub = stasis_subscribe_with(bus->topic, probe_callback, &probe,
				    &(struct stasis_subscribe_options){
					    .executor = bus->executor,
					    .types = types,
					    .n_types = 3,
					    .capacity = 100,
					    .distinct = true });
	failed = faulty_disarm();
	if (sub == NULL) {
		cr_assert(failed);
		cr_assert_eq(errno, ENOMEM);
		cr_assert_eq(probe.n_calls, 0);
	} else {
		publish_each(bus->topic, types, 4, 0);
		stasis_unsubscribe_and_join(sub);
		check_selective(&probe, 3);
	}
	cr_assert_eq(stasis_topic_subscribers(bus->topic), 0);
	return failed;
}

/* Waits until subscriptions that have ended are freed, and so have let go of their executor. */
static void settle(struct bus *bus, unsigned refs)
{
	do {
		sti_rcu_barrier();
	} while (stasis_object_refs(bus->executor) > refs);
	sti_rcu_barrier();
}

Test(filter, subscribing_with_types_without_memory_leaves_nothing_behind)
{
	unsigned refs;
	struct bus bus;
	struct stasis_message_type *types[4];
	uint64_t n = 0;
	int64_t before;
	bool failed;

	faulty_install();
	bus = bus_open(1);
	types_make(types, 4);
	refs = stasis_object_refs(bus.executor);
	for (int i = 0; i < 3; i++)
		subscribe_without(&bus, UINT32_MAX, types);
	settle(&bus, refs);
	before = faulty_outstanding();
	do {
		failed = subscribe_without(&bus, n++, types);
		settle(&bus, refs);
		cr_assert_eq(faulty_outstanding(), before, "allocation %lu failed: %ld left over",
			     (unsigned long)n, (long)(faulty_outstanding() - before));
	} while (failed);
	/* The subscription, its filter, the array. */
	cr_assert_geq(n, 4);
	types_drop(types, 4);
	bus_close(&bus);
}

Test(filter, what_is_replaced_is_freed)
{
	struct bus bus;
	struct stasis_message_type *types[2];
	struct probe probe = { 0 };
	struct stasis_subscription *sub;
	int64_t before = 0;

	faulty_install();
	bus = bus_open(1);
	types_make(types, 2);
	sub = listen_to(&bus, &probe, types, 1);
	for (int i = 0; i < 100; i++) {
		take_step(sub, types, ACCEPT);
		take_step(sub, types, SELECT_ALL);
		cr_assert_eq(stasis_subscription_decline_message_type(sub, types[1]), 0);
		take_step(sub, types, SELECT);
		if (i == 0) {
			sti_rcu_barrier();
			before = faulty_outstanding();
		}
	}
	sti_rcu_barrier();
	cr_assert_eq(faulty_outstanding(), before);
	stasis_unsubscribe_and_join(sub);
	types_drop(types, 2);
	bus_close(&bus);
}
