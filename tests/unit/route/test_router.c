/* SPDX-License-Identifier: BSD-2-Clause */
/* test_router.c — which callback a message goes to, and what the functions refuse */

#include <stdlib.h>

#include "route_fixture.h"

Test(router, is_created_with_the_default_executor)
{
	struct stasis_topic *topic = stasis_topic_create("topic");
	struct stasis_message_router *router;

	errno = UNTOUCHED;
	router = stasis_message_router_create(topic);
	cr_assert_not_null(router);
	cr_assert_eq(stasis_topic_subscribers(topic), 1);
	cr_assert_null(stasis_message_router_unsubscribe_and_join(router));
	cr_assert_eq(errno, UNTOUCHED);
	cr_assert_eq(stasis_topic_subscribers(topic), 0);
	stasis_executor_shutdown(stasis_executor_default());
	stasis_object_unref(topic);
}

static void expect_refusal(struct stasis_topic *topic,
			   const struct stasis_subscribe_options *options, int error)
{
	errno = 0;
	cr_assert_null(stasis_message_router_create_with(topic, options));
	cr_assert_eq(errno, error, "%s", strerror(errno));
}

Test(router, create_checks_its_arguments)
{
	struct stasis_topic *topic = stasis_topic_create("topic");
	struct stasis_message_type *type = stasis_message_type_create("type");
	struct stasis_subscribe_options types = { .types = &type, .n_types = 1 };
	struct stasis_subscribe_options batch = { .batch = STASIS_BATCH_MAX + 1 };
	struct stasis_subscribe_options small = { .size = 1 };
	struct {
		struct stasis_subscribe_options options;
		uint64_t more;
	} newer = { .options = { .size = sizeof(newer) }, .more = 1 };
	struct stasis_subscribe_options late = { .executor = executor_with(1) };

	errno = 0;
	cr_assert_null(stasis_message_router_create(NULL));
	cr_assert_eq(errno, EINVAL);
	expect_refusal(NULL, NULL, EINVAL);
	expect_refusal(topic, &types, EINVAL);
	expect_refusal(topic, &batch, EINVAL);
	expect_refusal(topic, &small, EINVAL);
	expect_refusal(topic, &newer.options, E2BIG);
	stasis_executor_shutdown(stasis_object_ref(late.executor));
	expect_refusal(topic, &late, ESHUTDOWN);
	cr_assert_eq(stasis_topic_subscribers(topic), 0);
	stasis_object_unref(late.executor);
	stasis_object_unref(type);
	stasis_object_unref(topic);
}

Test(router, each_function_checks_its_arguments)
{
	struct routed it = routed_open();
	struct target target = { 0 };
	struct stasis_message_router *router = it.router;

	cr_assert_eq(stasis_message_router_add(NULL, it.a, target_callback, &target), -EINVAL);
	cr_assert_eq(stasis_message_router_add(router, NULL, target_callback, &target), -EINVAL);
	cr_assert_eq(stasis_message_router_add(router, it.a, NULL, &target), -EINVAL);
	cr_assert_eq(stasis_message_router_add_cache_update(NULL, it.a, target_callback, &target),
		     -EINVAL);
	cr_assert_eq(stasis_message_router_add_cache_update(router, NULL, target_callback, &target),
		     -EINVAL);
	cr_assert_eq(stasis_message_router_add_cache_update(router, it.a, NULL, &target), -EINVAL);
	cr_assert_eq(stasis_message_router_remove(NULL, it.a), -EINVAL);
	cr_assert_eq(stasis_message_router_remove(router, NULL), -EINVAL);
	cr_assert_eq(stasis_message_router_remove_cache_update(NULL, it.a), -EINVAL);
	cr_assert_eq(stasis_message_router_remove_cache_update(router, NULL), -EINVAL);
	cr_assert_eq(stasis_message_router_set_default(NULL, target_callback, &target), -EINVAL);
	cr_assert_eq(stasis_message_router_set_default(router, NULL, &target), -EINVAL);
	/* Data may be anything. */
	cr_assert_eq(stasis_message_router_add(router, it.a, target_callback, NULL), 0);
	cr_assert_eq(stasis_message_router_remove(router, it.a), 0);
	routed_close(&it);
	cr_assert_eq(target.n_calls, 0);
}

Test(router, a_message_goes_to_the_route_of_its_type)
{
	struct routed it = routed_open();
	struct target a = { 0 }, b = { 0 };

	route(&it, it.a, &a);
	route(&it, it.b, &b);
	publish(&it, it.a, 1);
	publish(&it, it.b, 2);
	publish(&it, it.a, 3);
	routed_drain(&it);
	cr_assert_eq(a.n_calls, 2);
	cr_assert_eq(a.values[0], 1);
	cr_assert_eq(a.values[1], 3);
	cr_assert_eq(a.type, it.a);
	cr_assert_eq(a.topic, it.topic);
	cr_assert_eq(b.n_calls, 1);
	cr_assert_eq(b.values[0], 2);
	cr_assert_eq(b.sub, a.sub);
	cr_assert_eq(stasis_subscription_is_subscribed(a.sub), 1);
	routed_close(&it);
	cr_assert_eq(a.n_calls + b.n_calls, 3);
}

Test(router, type_with_a_name_that_exists_is_another_type)
{
	struct routed it = routed_open();
	struct stasis_message_type *twin = stasis_message_type_create("a");
	struct target a = { 0 }, other = { 0 };

	route(&it, it.a, &a);
	route(&it, twin, &other);
	publish(&it, twin, 7);
	routed_drain(&it);
	cr_assert_eq(a.n_calls, 0);
	cr_assert_eq(other.n_calls, 1);
	stasis_object_unref(twin);
	routed_close(&it);
}

/* Which routes there are, and which of them a message should go to. */
static void run_precedence(unsigned routes)
{
	struct routed it = routed_open();
	struct target update = { 0 }, own = { 0 }, rest = { 0 };
	bool has_update = routes & 1, has_own = routes & 2, has_rest = routes & 4;
	bool to_own_a, to_own_b;
	struct stasis_message *bare;

	if (has_update)
		route_updates(&it, it.a, &update);
	if (has_own)
		route(&it, stasis_cache_update_type(), &own);
	if (has_rest)
		route_rest(&it, &rest);
	publish_update(&it, it.a);
	publish_update(&it, it.b); /* no route of its own */
	publish_update(&it, NULL);
	bare = stasis_message_create_foreign(stasis_cache_update_type(), NULL, NULL);
	cr_assert_eq(stasis_publish_take(it.topic, bare), 0);
	publish(&it, it.a, 1); /* no update */
	routed_drain(&it);
	to_own_a = has_own && !has_update;
	to_own_b = has_own;
	cr_assert_eq(update.n_calls, has_update, "routes %u", routes);
	cr_assert_eq(own.n_calls, to_own_a + 3 * to_own_b, "routes %u", routes);
	cr_assert_eq(rest.n_calls, has_rest ? (!has_update && !has_own) + 3 * !has_own + 1 : 0,
		     "routes %u", routes);
	routed_close(&it);
	cr_assert_eq(rest.n_finals, has_rest);
	cr_assert_eq(update.n_finals + own.n_finals, 0);
}

Test(router, update_route_precedes_own_route_precedes_default)
{
	for (unsigned routes = 0; routes < 8; routes++)
		run_precedence(routes);
}

Test(router, own_route_of_the_inner_type_gets_no_updates)
{
	struct routed it = routed_open();
	struct target own = { 0 }, update = { 0 };

	route(&it, it.a, &own);
	route_updates(&it, it.a, &update);
	publish(&it, it.a, 1);
	publish_update(&it, it.a);
	publish_update(&it, it.a);
	routed_drain(&it);
	cr_assert_eq(own.n_calls, 1);
	cr_assert_eq(own.type, it.a);
	cr_assert_eq(update.n_calls, 2);
	cr_assert_eq(update.type, stasis_cache_update_type());
	routed_close(&it);
}

Test(router, second_route_of_a_type_is_refused)
{
	struct routed it = routed_open();
	struct target first = { 0 }, second = { 0 };

	route(&it, it.a, &first);
	cr_assert_eq(stasis_message_router_add(it.router, it.a, target_callback, &second), -EEXIST);
	/* Cache updates of it are something else. */
	route_updates(&it, it.a, &first);
	cr_assert_eq(stasis_message_router_add_cache_update(it.router, it.a, target_callback,
							    &second),
		     -EEXIST);
	publish(&it, it.a, 1);
	publish_update(&it, it.a);
	routed_drain(&it);
	cr_assert_eq(first.n_calls, 2);
	cr_assert_eq(second.n_calls, 0);
	routed_close(&it);
}

Test(router, removed_route_is_not_used_and_can_be_added_again)
{
	struct routed it = routed_open();
	struct target first = { 0 }, second = { 0 };

	cr_assert_eq(stasis_message_router_remove(it.router, it.a), -ENOENT);
	cr_assert_eq(stasis_message_router_remove_cache_update(it.router, it.a), -ENOENT);
	route(&it, it.a, &first);
	cr_assert_eq(stasis_message_router_remove_cache_update(it.router, it.a), -ENOENT);
	cr_assert_eq(stasis_message_router_remove(it.router, it.a), 0);
	publish(&it, it.a, 1);
	cr_assert_eq(stasis_message_router_remove(it.router, it.a), -ENOENT);
	routed_drain(&it);
	route_updates(&it, it.a, &first);
	cr_assert_eq(stasis_message_router_remove(it.router, it.a), -ENOENT);
	cr_assert_eq(stasis_message_router_remove_cache_update(it.router, it.a), 0);
	publish_update(&it, it.a);
	routed_drain(&it);
	cr_assert_eq(first.n_calls, 0);
	route(&it, it.a, &second);
	publish(&it, it.a, 2);
	routed_drain(&it);
	cr_assert_eq(first.n_calls, 0);
	cr_assert_eq(second.n_calls, 1);
	cr_assert_eq(second.values[0], 2);
	routed_close(&it);
}

Test(router, with_a_default_what_has_lost_its_route_goes_there)
{
	struct routed it = routed_open();
	struct target a = { 0 }, rest = { 0 };

	route_rest(&it, &rest);
	route(&it, it.a, &a);
	publish(&it, it.a, 1);
	routed_drain(&it);
	cr_assert_eq(stasis_message_router_remove(it.router, it.a), 0);
	publish(&it, it.a, 2);
	routed_drain(&it);
	cr_assert_eq(a.n_calls, 1);
	cr_assert_eq(rest.n_calls, 1);
	cr_assert_eq(rest.values[0], 2);
	routed_close(&it);
}

Test(router, default_can_be_replaced)
{
	struct routed it = routed_open();
	struct target first = { 0 }, second = { 0 };

	route_rest(&it, &first);
	publish(&it, it.a, 1);
	routed_drain(&it);
	route_rest(&it, &second);
	publish(&it, it.a, 2);
	publish(&it, it.b, 3);
	routed_drain(&it);
	cr_assert_eq(first.n_calls, 1);
	cr_assert_eq(second.n_calls, 2);
	routed_close(&it);
	cr_assert_eq(first.n_finals, 0);
	cr_assert_eq(second.n_finals, 1);
}

Test(router, two_routers_on_a_topic_have_routes_of_their_own)
{
	struct routed it = routed_open();
	struct stasis_subscribe_options options = { .executor = it.executor };
	struct stasis_message_router *other;
	struct target first = { 0 }, second = { 0 };

	other = stasis_message_router_create_with(it.topic, &options);
	cr_assert_not_null(other);
	route(&it, it.a, &first);
	cr_assert_eq(stasis_message_router_add(other, it.a, target_callback, &second), 0);
	cr_assert_eq(stasis_message_router_add(other, it.b, target_callback, &second), 0);
	publish(&it, it.a, 1);
	publish(&it, it.b, 2);
	routed_drain(&it);
	cr_assert_eq(first.n_calls, 1);
	cr_assert_eq(second.n_calls, 2);
	stasis_message_router_unsubscribe_and_join(other);
	publish(&it, it.a, 3);
	routed_drain(&it);
	cr_assert_eq(first.n_calls, 2);
	cr_assert_eq(second.n_calls, 2);
	routed_close(&it);
}

Test(router, a_thousand_routes_all_lead_somewhere)
{
	enum {
		N = 1000
	};
	static struct stasis_message_type *types[N];
	static struct target targets[N], updates[N];
	struct routed it = routed_open();

	for (size_t i = 0; i < N; i++) {
		types[i] = stasis_message_type_create("one of many");
		route(&it, types[i], &targets[i]);
		route_updates(&it, types[i], &updates[i]);
	}
	for (size_t i = 0; i < N; i++) {
		publish(&it, types[i], i);
		publish_update(&it, types[i]);
	}
	routed_drain(&it);
	for (size_t i = 0; i < N; i++) {
		cr_assert_eq(targets[i].n_calls, 1, "%zu", i);
		cr_assert_eq(targets[i].values[0], i);
		cr_assert_eq(targets[i].type, types[i]);
		cr_assert_eq(updates[i].n_calls, 1, "%zu", i);
	}
	for (size_t i = 0; i < N; i += 3)
		cr_assert_eq(stasis_message_router_remove(it.router, types[i]), 0);
	for (size_t i = 0; i < N; i++)
		publish(&it, types[i], i);
	routed_drain(&it);
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(targets[i].n_calls, i % 3 == 0 ? 1 : 2, "%zu", i);
	routed_close(&it);
	for (size_t i = 0; i < N; i++)
		stasis_object_unref(types[i]);
}
