/* SPDX-License-Identifier: BSD-2-Clause */
/* test_router_changes.c — routes that change while they are in use */

#include <pthread.h>
#include <stdlib.h>

#include "route_fixture.h"

/* A target with its own memory, which the route's callback gives back. */
struct once {
	struct routed *it;
	int *n_callsp;
	int *n_freedp;
	int *resultp;
};

static void once_destroy(void *obj)
{
	++*((struct once *)obj)->n_freedp;
}

static void remove_and_free(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			    struct stasis_message *message)
{
	struct once *once = data;

	++*once->n_callsp;
	*once->resultp = stasis_message_router_remove(once->it->router, once->it->a);
	stasis_object_unref(once);
}

Test(router_changes, route_removes_itself_and_frees_its_data)
{
	struct routed it = routed_open();
	struct gate hold = GATE_INIT;
	struct target b = { .hold = &hold };
	int n_calls = 0, n_freed = 0, result = 1;
	struct once *once = stasis_object_alloc(sizeof(*once), once_destroy);

	*once = (struct once){ &it, &n_calls, &n_freed, &result };
	cr_assert_eq(stasis_message_router_add(it.router, it.a, remove_and_free, once), 0);
	route(&it, it.b, &b);
	publish(&it, it.b, 0);
	gate_await(&hold, 1);
	/* All queued while there was a route. */
	for (uint64_t i = 0; i < 100; i++)
		publish(&it, it.a, i);
	gate_open(&hold);
	routed_drain(&it);
	cr_assert_eq(result, 0);
	cr_assert_eq(n_calls, 1);
	cr_assert_eq(n_freed, 1);
	routed_close(&it);
}

/* What hooks do to the router, and what came of it; the test's own thread looks at the results. */
struct change {
	struct routed *it;
	struct target *to;
	int results[3];
};

static void add_another(struct target *target, struct stasis_subscription *sub,
			struct stasis_message *message)
{
	struct change *change = target->user;
	struct stasis_message_router *router = change->it->router;
	uint64_t value = 100;

	target->hook = NULL;
	change->results[0] = stasis_message_router_add(router, change->it->b, target_callback,
						       change->to);
	change->results[1] = stasis_message_router_add(router, change->it->a, target_callback,
						       change->to);
	message = stasis_message_create_inline(change->it->b, &value, sizeof(value));
	change->results[2] = stasis_publish_take(change->it->topic, message);
}

Test(router_changes, route_added_inside_a_callback_is_used_for_what_that_publishes)
{
	struct routed it = routed_open();
	struct target b = { 0 };
	struct change change = { .it = &it, .to = &b };
	struct target a = { .hook = add_another, .user = &change };

	route(&it, it.a, &a);
	publish(&it, it.a, 1);
	/* The second waits for what the callback has published. */
	routed_drain(&it);
	routed_drain(&it);
	cr_assert_eq(change.results[0], 0);
	cr_assert_eq(change.results[1], -EEXIST);
	cr_assert_eq(change.results[2], 0);
	cr_assert_eq(a.n_calls, 1);
	cr_assert_eq(b.n_calls, 1);
	cr_assert_eq(b.values[0], 100);
	routed_close(&it);
}

static void change_default(struct target *target, struct stasis_subscription *sub,
			   struct stasis_message *message)
{
	struct change *change = target->user;

	change->results[0] = stasis_message_router_set_default(change->it->router, target_callback,
							       change->to);
}

Test(router_changes, default_replaced_by_itself_takes_effect_with_the_next_message)
{
	struct routed it = routed_open();
	struct gate hold = GATE_INIT;
	struct target second = { 0 };
	struct change change = { .it = &it, .to = &second, .results = { 1 } };
	struct target first = { .hold = &hold, .hook = change_default, .user = &change };

	route_rest(&it, &first);
	for (uint64_t i = 0; i < 10; i++)
		publish(&it, it.a, i);
	gate_open(&hold);
	routed_drain(&it);
	routed_close(&it);
	cr_assert_eq(change.results[0], 0);
	cr_assert_eq(first.n_calls, 1);
	cr_assert_eq(second.n_calls, 10);
	cr_assert_eq(second.values[0], 1);
	cr_assert_eq(second.n_finals, 1);
}

Test(router_changes, route_made_after_the_unsubscribe_is_used_for_what_is_queued)
{
	struct routed it = routed_open();
	struct gate hold = GATE_INIT;
	struct target a = { .hold = &hold }, changes = { 0 };
	struct stasis_message_router *router = stasis_object_ref(it.router);

	route(&it, it.a, &a);
	publish(&it, it.a, 1);
	gate_await(&hold, 1);
	it.router = stasis_message_router_unsubscribe(it.router);
	cr_assert_eq(stasis_message_router_add(router, stasis_subscription_change_type(),
					       target_callback, &changes),
		     0);
	gate_open(&hold);
	routed_close(&it);
	cr_assert_eq(changes.n_finals, 1);
	/* After the end they may change as they like; they are never used. */
	cr_assert_eq(stasis_message_router_remove(router, stasis_subscription_change_type()), 0);
	cr_assert_eq(stasis_message_router_set_default(router, target_callback, &changes), 0);
	cr_assert_eq(changes.n_calls, 1);
	cr_assert_eq(stasis_object_refs(router), 1);
	stasis_object_unref(router);
}

static void change_at_the_end(struct target *target, struct stasis_subscription *sub,
			      struct stasis_message *message)
{
	struct change *change = target->user;
	struct stasis_message_router *router = change->it->router;

	change->results[0] = stasis_message_router_add(router, change->it->a, target_callback,
						       change->to);
	change->results[1] = stasis_message_router_set_default(router, target_callback, change->to);
	change->results[2] = stasis_message_router_remove(router,
							  stasis_subscription_change_type());
}

Test(router_changes, inside_the_final_callback_reach_nobody)
{
	struct routed it = routed_open();
	struct target other = { 0 };
	struct change change = { .it = &it, .to = &other, .results = { 1, 1, 1 } };
	struct target changes = { .hook = change_at_the_end, .user = &change };

	route(&it, stasis_subscription_change_type(), &changes);
	stasis_message_router_unsubscribe_and_join(stasis_object_ref(it.router));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(change.results[i], 0, "%d", i);
	cr_assert_eq(changes.n_finals, 1);
	cr_assert_eq(changes.n_calls, 1);
	cr_assert_eq(other.n_calls, 0);
	cr_assert_eq(stasis_object_refs(it.router), 1);
	it.router = stasis_object_unref(it.router);
	routed_close(&it);
}

/* Threads that add and remove the same few types. */

#define N_THREADS 4
#define N_TYPES 4
#define N_ROUNDS 2000

struct changer {
	struct routed *it;
	struct stasis_message_type **types;
	uint64_t random;
	int64_t balance[N_TYPES]; /* added less removed, by this thread */
	size_t n_wrong;		  /* results that cannot be */
};

static void *change_routes(void *arg)
{
	struct changer *self = arg;

	for (int i = 0; i < N_ROUNDS; i++) {
		size_t t;
		int result;

		self->random = self->random * UINT64_C(6364136223846793005) + 1;
		t = (self->random >> 33) % N_TYPES;
		if (self->random >> 63) {
			result = stasis_message_router_add(self->it->router, self->types[t],
							   target_callback, NULL);
			self->n_wrong += result != 0 && result != -EEXIST;
			self->balance[t] += result == 0;
		} else {
			result = stasis_message_router_remove(self->it->router, self->types[t]);
			self->n_wrong += result != 0 && result != -ENOENT;
			self->balance[t] -= result == 0;
		}
	}
	return NULL;
}

Test(router_changes, by_many_threads_leave_filter_and_routes_in_agreement)
{
	struct routed it = routed_open();
	struct stasis_message_type *types[N_TYPES];
	struct changer changers[N_THREADS];

	for (size_t t = 0; t < N_TYPES; t++)
		types[t] = stasis_message_type_create("contended");
	for (size_t i = 0; i < N_THREADS; i++)
		changers[i] = (struct changer){ .it = &it, .types = types, .random = i + 1 };
	run_threads(N_THREADS, change_routes, changers, sizeof(changers[0]));
	for (size_t t = 0; t < N_TYPES; t++) {
		int64_t balance = 0;

		for (size_t i = 0; i < N_THREADS; i++) {
			cr_assert_eq(changers[i].n_wrong, 0);
			balance += changers[i].balance[t];
		}
		cr_assert(balance == 0 || balance == 1, "%ld", (long)balance);
		cr_assert_eq(stasis_topic_wants(it.topic, types[t]), balance);
		cr_assert_eq(stasis_message_router_remove(it.router, types[t]),
			     balance ? 0 : -ENOENT);
		stasis_object_unref(types[t]);
	}
	routed_close(&it);
}
