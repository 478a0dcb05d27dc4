/* SPDX-License-Identifier: BSD-2-Clause */
/* test_router_end.c — the final message, who gets it, and what is left of the router: nothing */

#include "faulty.h"
#include "route_fixture.h"
#include "sync/rcu.h"

/* Ends a router that the caller holds another reference to; the bus has dropped its own then. */
static void end_and_check(struct routed *it)
{
	struct stasis_message_router *router = stasis_object_ref(it->router);

	cr_assert_eq(stasis_object_refs(router), 3, "caller, caller, bus");
	it->router = stasis_message_router_unsubscribe_and_join(it->router);
	cr_assert_null(it->router);
	cr_assert_eq(stasis_object_refs(router), 1, "%u", stasis_object_refs(router));
	stasis_object_unref(router);
}

Test(router_end, final_message_goes_to_the_route_of_changes)
{
	struct routed it = routed_open();
	struct target a = { 0 }, changes = { 0 }, rest = { 0 };

	route(&it, it.a, &a);
	route(&it, stasis_subscription_change_type(), &changes);
	route_rest(&it, &rest);
	end_and_check(&it);
	cr_assert_eq(changes.n_finals, 1);
	cr_assert_eq(changes.n_calls, 1);
	cr_assert_eq(rest.n_calls, 0);
	cr_assert_eq(a.n_calls, 0);
	routed_close(&it);
}

Test(router_end, final_message_goes_to_the_default_otherwise)
{
	struct routed it = routed_open();
	struct target a = { 0 }, rest = { 0 };

	route(&it, it.a, &a);
	route_rest(&it, &rest);
	end_and_check(&it);
	cr_assert_eq(rest.n_finals, 1);
	cr_assert_eq(rest.n_calls, 1);
	cr_assert_eq(a.n_calls, 0);
	routed_close(&it);
}

Test(router_end, final_message_goes_nowhere_when_nobody_is_there)
{
	struct routed it = routed_open();
	struct target a = { 0 };

	route(&it, it.a, &a);
	route_updates(&it, it.a, &a);
	end_and_check(&it);
	cr_assert_eq(a.n_calls, 0);
	routed_close(&it);
}

/* Everything that a router is made of, once the default executor and the types are there. */
Test(router_end, leaves_no_memory_behind)
{
	struct target target = { 0 };
	int64_t before = 0;

	faulty_install();
	for (int i = 0; i < 4; i++) {
		struct routed it = routed_open();

		for (int j = 0; j < 20; j++) {
			route(&it, it.a, &target);
			route_updates(&it, it.b, &target);
			route_rest(&it, &target);
			if (j % 2 == 0)
				cr_assert_eq(stasis_message_router_remove(it.router, it.a), 0);
			else
				publish(&it, it.a, 1);
			if (j < 19)
				stasis_message_router_remove(it.router, it.a);
			if (j < 19)
				stasis_message_router_remove_cache_update(it.router, it.b);
		}
		routed_close(&it);
		cr_assert_eq(target.n_after_final, 0);
		target.n_finals = 0;
		sti_rcu_barrier();
		if (i == 2)
			before = faulty_outstanding();
	}
	/* Types stay: two, of a block each. */
	cr_assert_eq(faulty_outstanding(), before + 2, "%ld", (long)faulty_outstanding());
}

Test(router_end, what_was_queued_is_routed_before_the_final_message)
{
	enum {
		N = 500
	};
	struct routed it = routed_open();
	struct gate hold = GATE_INIT;
	struct target a = { .hold = &hold }, rest = { 0 };

	route(&it, it.a, &a);
	route_rest(&it, &rest);
	for (uint64_t i = 0; i < N; i++) {
		publish(&it, it.a, i);
		publish(&it, it.b, i);
	}
	gate_await(&hold, 1);
	it.router = stasis_message_router_unsubscribe(it.router);
	cr_assert_eq(stasis_topic_subscribers(it.topic), 0);
	publish(&it, it.a, N);
	gate_open(&hold);
	routed_close(&it);
	cr_assert_eq(a.n_calls, N);
	cr_assert_eq(rest.n_calls, N + 1);
	cr_assert_eq(rest.n_finals, 1);
	cr_assert_eq(rest.n_after_final, 0);
}

Test(router_end, unsubscribe_of_null_is_an_error)
{
	errno = 0;
	cr_assert_null(stasis_message_router_unsubscribe(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_message_router_unsubscribe_and_join(NULL));
	cr_assert_eq(errno, EINVAL);
}

Test(router_end, second_unsubscribe_changes_nothing_and_says_so)
{
	struct routed it = routed_open();
	struct gate hold = GATE_INIT;
	struct target rest = { .hold = &hold };
	struct stasis_message_router *second, *third;

	route_rest(&it, &rest);
	publish(&it, it.a, 1);
	gate_await(&hold, 1);
	second = stasis_object_ref(it.router);
	third = stasis_object_ref(it.router);
	errno = UNTOUCHED;
	it.router = stasis_message_router_unsubscribe(it.router);
	cr_assert_eq(errno, UNTOUCHED);
	errno = 0;
	cr_assert_null(stasis_message_router_unsubscribe(second));
	cr_assert_eq(errno, EALREADY);
	gate_open(&hold);
	errno = 0;
	/* It waits all the same. */
	cr_assert_null(stasis_message_router_unsubscribe_and_join(third));
	cr_assert_eq(errno, EALREADY);
	cr_assert_eq(rest.n_calls, 2);
	cr_assert_eq(rest.n_finals, 1);
	routed_close(&it);
	cr_assert_eq(rest.n_calls, 2);
}

struct self_end {
	struct routed *it;
	bool join;
	int error;
};

static void end_myself(struct target *target, struct stasis_subscription *sub,
		       struct stasis_message *message)
{
	struct self_end *end = target->user;
	struct stasis_message_router *router = end->it->router;

	if (router == NULL)
		return;
	end->it->router = NULL;
	errno = UNTOUCHED;
	if (end->join)
		stasis_message_router_unsubscribe_and_join(router);
	else
		stasis_message_router_unsubscribe(router);
	end->error = errno;
}

static void run_self_end(bool join, int error)
{
	struct routed it = routed_open();
	struct self_end end = { .it = &it, .join = join };
	struct gate hold = GATE_INIT;
	struct target a = { .hold = &hold, .hook = end_myself, .user = &end }, rest = { 0 };
	struct stasis_message_router *router = stasis_object_ref(it.router);

	route(&it, it.a, &a);
	route_rest(&it, &rest);
	for (uint64_t i = 0; i < 5; i++)
		publish(&it, it.a, i);
	gate_open(&hold);
	routed_drain(&it);
	routed_close(&it);
	cr_assert_eq(stasis_object_refs(router), 1);
	stasis_object_unref(router);
	cr_assert_eq(end.error, error, "%d", end.error);
	cr_assert_eq(a.n_calls, 5);
	cr_assert_eq(rest.n_calls, 1);
	cr_assert_eq(rest.n_finals, 1);
}

Test(router_end, unsubscribe_inside_a_callback)
{
	run_self_end(false, UNTOUCHED);
}

Test(router_end, join_inside_a_callback_does_not_wait)
{
	run_self_end(true, EDEADLK);
}

static void unsubscribe_by_subscription(struct target *target, struct stasis_subscription *sub,
					struct stasis_message *message)
{
	if (!stasis_subscription_final_message(sub, message))
		stasis_unsubscribe(stasis_object_ref(sub));
}

Test(router_end, its_subscription_can_be_ended_too)
{
	struct routed it = routed_open();
	struct target rest = { .hook = unsubscribe_by_subscription };

	route_rest(&it, &rest);
	publish(&it, it.a, 1);
	routed_drain(&it);
	errno = 0;
	it.router = stasis_message_router_unsubscribe_and_join(it.router);
	cr_assert_eq(errno, EALREADY);
	cr_assert_eq(rest.n_calls, 2);
	cr_assert_eq(rest.n_finals, 1);
	routed_close(&it);
}

Test(router_end, handles_of_topic_types_and_executor_may_be_dropped_before)
{
	struct routed it = routed_open();
	struct target a = { 0 }, rest = { 0 };

	route(&it, it.a, &a);
	route_rest(&it, &rest);
	publish(&it, it.a, 1);
	it.executor = stasis_object_unref(it.executor);
	it.topic = stasis_object_unref(it.topic);
	it.a = stasis_object_unref(it.a);
	it.router = stasis_message_router_unsubscribe_and_join(it.router);
	cr_assert_eq(a.n_calls, 1);
	cr_assert_eq(rest.n_finals, 1);
	stasis_object_unref(it.b);
}

Test(router_end, after_a_shutdown_the_caller_handles_the_final_message)
{
	struct routed it = routed_open();
	struct target rest = { 0 };

	route_rest(&it, &rest);
	it.executor = stasis_executor_shutdown(it.executor);
	/* The router is as good as before, but for messages. */
	route(&it, it.a, &rest);
	cr_assert_eq(stasis_message_router_remove(it.router, it.a), 0);
	it.router = stasis_message_router_unsubscribe(it.router);
	cr_assert_eq(rest.n_calls, 1);
	cr_assert_eq(rest.n_finals, 1);
	routed_close(&it);
}

Test(router_end, dropping_the_handle_does_not_unsubscribe)
{
	struct routed it = routed_open();
	struct target rest = { .hook = unsubscribe_by_subscription };

	route_rest(&it, &rest);
	it.router = stasis_object_unref(it.router);
	cr_assert_eq(stasis_topic_subscribers(it.topic), 1);
	publish(&it, it.a, 1);
	routed_drain(&it);
	cr_assert_eq(stasis_topic_subscribers(it.topic), 0);
	routed_close(&it);
	cr_assert_eq(rest.n_finals, 1);
}
