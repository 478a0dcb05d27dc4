/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_ROUTE_FIXTURE_H
#define STASIS_TESTS_ROUTE_FIXTURE_H

/* route_fixture.h — a topic, an executor and a router on them; targets that write down what they
 * are given */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <stasis/stasis.h>

#include "gate.h"
#include "probe.h"

#define TARGET_LOG 16
#define UNTOUCHED 12345 /* an errno that nobody sets */

struct target;
typedef void (*target_hook)(struct target *target, struct stasis_subscription *sub,
			    struct stasis_message *message);

/* What a route leads to. Callbacks write, the test reads after a drain or a join. */
struct target {
	struct gate *hold; /* every call waits here */
	target_hook hook;  /* called last */
	void *user;

	size_t n_calls;
	size_t n_finals;
	size_t n_after_final;
	uint64_t values[TARGET_LOG]; /* of the first messages; 0 for those without */
	struct stasis_message_type *type;
	struct stasis_subscription *sub;
	struct stasis_topic *topic;
};

static inline void target_callback(void *data, struct stasis_subscription *sub,
				   struct stasis_topic *topic, struct stasis_message *message)
{
	struct target *target = data;
	struct stasis_message_type *type = stasis_message_type(message);

	if (target->n_finals > 0)
		target->n_after_final++;
	if (target->n_calls < TARGET_LOG && type != stasis_subscription_change_type() &&
	    type != stasis_cache_update_type())
		memcpy(&target->values[target->n_calls], stasis_message_data(message),
		       sizeof(target->values[0]));
	target->n_calls++;
	target->n_finals += stasis_subscription_final_message(sub, message) == 1;
	target->type = type;
	target->sub = sub;
	target->topic = topic;
	if (target->hold != NULL)
		gate_pass(target->hold);
	if (target->hook != NULL)
		target->hook(target, sub, message);
}

struct routed {
	struct stasis_executor *executor;
	struct stasis_topic *topic;
	struct stasis_message_type *a, *b;
	struct stasis_message_router *router;
};

static inline struct routed routed_open(void)
{
	struct routed it = {
		.executor = executor_with(1),
		.topic = stasis_topic_create("topic"),
		.a = stasis_message_type_create("a"),
		.b = stasis_message_type_create("b"),
	};
	struct stasis_subscribe_options options = { .executor = it.executor };

	cr_assert_not_null(it.executor);
	cr_assert_not_null(it.topic);
	cr_assert_not_null(it.a);
	cr_assert_not_null(it.b);
	it.router = stasis_message_router_create_with(it.topic, &options);
	cr_assert_not_null(it.router);
	return it;
}

static inline void routed_drain(struct routed *it)
{
	cr_assert_eq(stasis_executor_drain(it->executor), 0);
}

/* Ends what has not ended yet. */
static inline void routed_close(struct routed *it)
{
	if (it->router != NULL)
		it->router = stasis_message_router_unsubscribe_and_join(it->router);
	it->executor = stasis_executor_shutdown(it->executor);
	it->topic = stasis_object_unref(it->topic);
	it->a = stasis_object_unref(it->a);
	it->b = stasis_object_unref(it->b);
}

static inline void route(struct routed *it, struct stasis_message_type *type, struct target *target)
{
	cr_assert_eq(stasis_message_router_add(it->router, type, target_callback, target), 0);
}

static inline void route_updates(struct routed *it, struct stasis_message_type *type,
				 struct target *target)
{
	cr_assert_eq(stasis_message_router_add_cache_update(it->router, type, target_callback,
							    target),
		     0);
}

static inline void route_rest(struct routed *it, struct target *target)
{
	cr_assert_eq(stasis_message_router_set_default(it->router, target_callback, target), 0);
}

static inline void publish(struct routed *it, struct stasis_message_type *type, uint64_t value)
{
	struct stasis_message *message = stasis_message_create_inline(type, &value, sizeof(value));

	cr_assert_eq(stasis_publish_take(it->topic, message), 0);
}

/* An update of snapshots of a type. */
static inline void publish_update(struct routed *it, struct stasis_message_type *type)
{
	struct stasis_cache_update update = { .type = type };
	struct stasis_message *message = stasis_message_create_inline(stasis_cache_update_type(),
								      &update, sizeof(update));

	cr_assert_eq(stasis_publish_take(it->topic, message), 0);
}

#endif
