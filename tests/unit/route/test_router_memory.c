/* SPDX-License-Identifier: BSD-2-Clause */
/* test_router_memory.c — every allocation fails once, in turn: what fails changes nothing, nothing
 * leaks, and the final message comes all the same */

#include "faulty.h"
#include "route_fixture.h"
#include "sync/rcu.h"

/* More than the first table of routes holds. */
#define N_TYPES 12

/* Only what is given here is made outside the rounds. */
static struct stasis_message_type *types[N_TYPES];

struct scenario {
	struct stasis_executor *executor;
	struct stasis_topic *topic;
	struct stasis_message_router *router;
	struct target targets[N_TYPES], rest;
	bool routed[N_TYPES];
};

/* 0, or there was no memory. */
static bool succeeded(int result)
{
	cr_assert(result == 0 || result == -ENOMEM, "%d", result);
	return result == 0;
}

/* One message of each type: to its route, or else to the default. What the queue has no memory for
 * is told. */
static void publish_all(struct scenario *it, bool has_default)
{
	size_t n_rest = it->rest.n_calls;

	for (size_t i = 0; i < N_TYPES; i++) {
		struct target *target = it->routed[i] ? &it->targets[i] : &it->rest;
		bool reaches = it->routed[i] || has_default;
		size_t n_calls = target->n_calls;
		struct stasis_message *message;
		uint64_t value = i;
		int result;

		cr_assert_eq(stasis_topic_wants(it->topic, types[i]), reaches);
		message = stasis_message_create_inline(types[i], &value, sizeof(value));
		if (message == NULL)
			continue;
		result = stasis_publish_take(it->topic, message);
		cr_assert(result == 0 || (result == 1 && reaches), "%d", result);
		while (!succeeded(stasis_executor_drain(it->executor)))
			;
		cr_assert_eq(target->n_calls, n_calls + (reaches && result == 0));
	}
	if (!has_default)
		cr_assert_eq(it->rest.n_calls, n_rest);
}

static void use_router(struct scenario *it)
{
	bool has_default;

	for (size_t i = 0; i < N_TYPES; i++)
		it->routed[i] = succeeded(stasis_message_router_add(
			it->router, types[i], target_callback, &it->targets[i]));
	publish_all(it, false);
	for (size_t i = 0; i < N_TYPES; i += 2) {
		if (it->routed[i])
			it->routed[i] = !succeeded(
				stasis_message_router_remove(it->router, types[i]));
	}
	publish_all(it, false);
	has_default = succeeded(
		stasis_message_router_set_default(it->router, target_callback, &it->rest));
	publish_all(it, has_default);
	stasis_message_router_unsubscribe_and_join(stasis_object_ref(it->router));
	cr_assert_eq(it->rest.n_finals, has_default);
	cr_assert_eq(stasis_object_refs(it->router), 1);
	stasis_object_unref(it->router);
}

static void run_scenario(void)
{
	static struct scenario it;
	struct stasis_subscribe_options options;

	it = (struct scenario){ .executor = executor_with(1) };
	it.topic = stasis_topic_create("memory");
	if (it.executor != NULL && it.topic != NULL) {
		options = (struct stasis_subscribe_options){ .executor = it.executor };
		errno = 0;
		it.router = stasis_message_router_create_with(it.topic, &options);
		if (it.router != NULL)
			use_router(&it);
		else
			cr_assert_eq(errno, ENOMEM, "%s", strerror(errno));
		cr_assert_eq(stasis_topic_subscribers(it.topic), 0);
	}
	stasis_executor_shutdown(it.executor);
	stasis_object_unref(it.topic);
}

/* Runs the scenario with its n-th allocation failing. False when it had fewer. */
static bool run_round(uint64_t n)
{
	int64_t before, after;
	bool failed;

	sti_rcu_barrier();
	before = faulty_outstanding();
	faulty_arm(n, false);
	run_scenario();
	failed = faulty_disarm();
	sti_rcu_barrier();
	after = faulty_outstanding();
	cr_assert_eq(after, before, "allocation %lu failed: %ld blocks left over", (unsigned long)n,
		     (long)(after - before));
	return failed;
}

static void make_types(void)
{
	faulty_install();
	for (size_t i = 0; i < N_TYPES; i++)
		types[i] = stasis_message_type_create("memory");
}

Test(router_memory, every_allocation_fails_in_turn)
{
	uint64_t n = 0;

	make_types();
	for (int i = 0; i < 3; i++)
		run_scenario();
	while (run_round(n)) {
		n++;
		cr_assert_lt(n, 10000);
	}
	cr_assert_gt(n, 2 * N_TYPES, "routes are allocated, and through the seam");
}

Test(router_memory, without_any_changes_are_refused_and_the_routes_stay)
{
	struct target a = { 0 }, rest = { 0 };
	struct routed it;
	int64_t before;

	make_types();
	it = routed_open();
	route(&it, it.a, &a);
	publish(&it, it.a, 1);
	routed_drain(&it);
	sti_rcu_barrier();
	before = faulty_outstanding();
	faulty_arm(0, true);
	for (size_t i = 0; i < N_TYPES; i++) {
		cr_assert_eq(stasis_message_router_add(it.router, types[i], target_callback, &a),
			     -ENOMEM);
		cr_assert_eq(stasis_message_router_add_cache_update(it.router, types[i],
								    target_callback, &a),
			     -ENOMEM);
	}
	cr_assert_eq(stasis_message_router_add(it.router, it.a, target_callback, &a), -EEXIST);
	cr_assert_eq(stasis_message_router_remove(it.router, it.b), -ENOENT);
	cr_assert_eq(stasis_message_router_remove(it.router, it.a), -ENOMEM);
	cr_assert_eq(stasis_message_router_set_default(it.router, target_callback, &rest), -ENOMEM);
	cr_assert(faulty_disarm());
	sti_rcu_barrier();
	cr_assert_eq(faulty_outstanding(), before);
	cr_assert_eq(stasis_topic_wants(it.topic, types[0]), 0);
	cr_assert_eq(stasis_topic_wants(it.topic, it.a), 1);
	publish(&it, it.a, 2);
	routed_drain(&it);
	cr_assert_eq(a.n_calls, 2);
	routed_close(&it);
	cr_assert_eq(a.n_calls, 2);
	cr_assert_eq(rest.n_calls, 0);
}

Test(router_memory, unsubscribe_needs_none)
{
	struct target rest = { 0 };
	struct routed it;

	faulty_install();
	it = routed_open();
	route_rest(&it, &rest);
	faulty_arm(0, true);
	it.router = stasis_message_router_unsubscribe_and_join(it.router);
	faulty_disarm();
	cr_assert_eq(rest.n_finals, 1);
	routed_close(&it);
}
