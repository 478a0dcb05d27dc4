/* SPDX-License-Identifier: BSD-2-Clause */
/* test_router_filter.c — without a default a router takes exactly what it has routes for */

#include "route_fixture.h"

static bool wants(const struct routed *it, const struct stasis_message_type *type)
{
	int result = stasis_topic_wants(it->topic, type);

	cr_assert(result == 0 || result == 1, "%d", result);
	return result == 1;
}

Test(router_filter, without_routes_nothing_is_wanted)
{
	struct routed it = routed_open();

	cr_assert_not(wants(&it, it.a));
	cr_assert_not(wants(&it, stasis_cache_update_type()));
	cr_assert_not(wants(&it, stasis_subscription_change_type()));
	cr_assert_eq(stasis_topic_subscribers(it.topic), 1);
	routed_close(&it);
}

Test(router_filter, follows_the_routes)
{
	struct routed it = routed_open();
	struct target target = { 0 };

	route(&it, it.a, &target);
	cr_assert(wants(&it, it.a));
	cr_assert_not(wants(&it, it.b));
	route(&it, it.b, &target);
	cr_assert(wants(&it, it.b));
	cr_assert_eq(stasis_message_router_remove(it.router, it.a), 0);
	cr_assert_not(wants(&it, it.a));
	cr_assert(wants(&it, it.b));
	/* What is refused changes nothing. */
	cr_assert_eq(stasis_message_router_remove(it.router, it.a), -ENOENT);
	cr_assert_eq(stasis_message_router_add(it.router, it.b, target_callback, NULL), -EEXIST);
	cr_assert_not(wants(&it, it.a));
	cr_assert(wants(&it, it.b));
	cr_assert_eq(stasis_message_router_remove(it.router, it.b), 0);
	cr_assert_not(wants(&it, it.b));
	routed_close(&it);
}

Test(router_filter, updates_are_wanted_while_any_route_needs_them)
{
	struct stasis_message_type *update = stasis_cache_update_type();
	struct routed it = routed_open();
	struct target target = { 0 };

	route_updates(&it, it.a, &target);
	cr_assert(wants(&it, update));
	cr_assert_not(wants(&it, it.a));
	route_updates(&it, it.b, &target);
	route(&it, update, &target);
	cr_assert_eq(stasis_message_router_remove_cache_update(it.router, it.a), 0);
	cr_assert(wants(&it, update));
	cr_assert_eq(stasis_message_router_remove_cache_update(it.router, it.b), 0);
	cr_assert(wants(&it, update));
	cr_assert_eq(stasis_message_router_remove(it.router, update), 0);
	cr_assert_not(wants(&it, update));
	route(&it, update, &target);
	route_updates(&it, it.a, &target);
	cr_assert_eq(stasis_message_router_remove(it.router, update), 0);
	cr_assert(wants(&it, update));
	cr_assert_eq(stasis_message_router_remove_cache_update(it.router, it.a), 0);
	cr_assert_not(wants(&it, update));
	routed_close(&it);
}

Test(router_filter, default_wants_everything_whatever_the_routes)
{
	struct routed it = routed_open();
	struct target target = { 0 }, rest = { 0 };

	route(&it, it.a, &target);
	route_rest(&it, &rest);
	cr_assert(wants(&it, it.a));
	cr_assert(wants(&it, it.b));
	cr_assert(wants(&it, stasis_cache_update_type()));
	cr_assert(wants(&it, stasis_subscription_change_type()));
	cr_assert_eq(stasis_message_router_remove(it.router, it.a), 0);
	cr_assert(wants(&it, it.a));
	route(&it, it.b, &target);
	cr_assert_eq(stasis_message_router_remove(it.router, it.b), 0);
	cr_assert(wants(&it, it.b));
	routed_close(&it);
}

Test(router_filter, default_is_of_no_concern_to_others)
{
	struct routed it = routed_open();
	struct probe probe = { 0 };
	struct target rest = { 0 };
	struct stasis_subscribe_options options = {
		.executor = it.executor,
		.types = &it.a,
		.n_types = 1,
	};
	struct stasis_subscription *sub;
	struct stasis_stats stats = { 0 };

	sub = stasis_subscribe_with(it.topic, probe_callback, &probe, &options);
	cr_assert_not_null(sub);
	route_rest(&it, &rest);
	publish(&it, it.b, 1);
	routed_drain(&it);
	cr_assert_eq(rest.n_calls, 1);
	cr_assert_eq(stasis_stats_read(sub, &stats), 0);
	cr_assert_eq(stats.delivered, 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_calls, 1);
	routed_close(&it);
}

static void keep_subscription(struct target *target, struct stasis_subscription *sub,
			      struct stasis_message *message)
{
	if (target->user == NULL)
		target->user = stasis_object_ref(sub);
}

Test(router_filter, what_has_no_route_is_never_queued)
{
	struct routed it = routed_open();
	struct target a = { .hook = keep_subscription };
	struct stasis_stats stats = { 0 };

	route(&it, it.a, &a);
	publish(&it, it.a, 1);
	for (uint64_t i = 0; i < 100; i++) {
		publish(&it, it.b, i);
		publish_update(&it, it.a);
	}
	publish(&it, it.a, 2);
	routed_drain(&it);
	cr_assert_eq(stasis_stats_read(a.user, &stats), 0);
	cr_assert_eq(stats.published, 2, "%lu", (unsigned long)stats.published);
	cr_assert_eq(stats.delivered, 2);
	cr_assert_eq(stats.dropped, 0);
	cr_assert_eq(a.n_calls, 2);
	it.router = stasis_message_router_unsubscribe_and_join(it.router);
	/* The final message passes all the same, though it goes nowhere. */
	cr_assert_eq(stasis_stats_read(a.user, &stats), 0);
	cr_assert_eq(stats.delivered, 3);
	cr_assert_eq(a.n_calls, 2);
	stasis_object_unref(a.user);
	routed_close(&it);
}

Test(router_filter, changes_of_others_come_with_a_route_for_them)
{
	struct routed it = routed_open();
	struct probe probe = { 0 };
	struct target changes = { 0 };
	struct stasis_subscription *sub;

	/* Its own Subscribe came before there was a route. */
	route(&it, stasis_subscription_change_type(), &changes);
	routed_drain(&it);
	cr_assert_eq(changes.n_calls, 0);
	sub = subscribe_on(it.topic, &probe, it.executor);
	stasis_unsubscribe_and_join(sub);
	routed_drain(&it);
	cr_assert_eq(changes.n_calls, 2);
	cr_assert_eq(changes.n_finals, 0);
	routed_close(&it);
	cr_assert_eq(changes.n_calls, 3);
	cr_assert_eq(changes.n_finals, 1);
}
