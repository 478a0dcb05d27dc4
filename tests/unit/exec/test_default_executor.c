/* SPDX-License-Identifier: BSD-2-Clause */
/* test_default_executor.c — the executor of those who name none */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <stasis/stasis.h>

#include "gate.h"
#include "probe.h"

static uint64_t subscriptions_of(struct stasis_executor *executor)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(executor, &stats), 0);
	return stats.subscriptions;
}

Test(default_executor, is_started_when_asked_for_and_stays)
{
	struct stasis_executor *executor = stasis_executor_default();

	cr_assert_not_null(executor);
	cr_assert_eq(stasis_executor_default(), executor);
	cr_assert_null(stasis_executor_shutdown(executor));
}

Test(default_executor, is_started_by_the_first_subscribe)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probes[2] = { 0 };
	struct stasis_subscription *one = stasis_subscribe(topic, probe_callback, &probes[0]);
	struct stasis_subscription *two = stasis_subscribe_with(topic, probe_callback, &probes[1],
								NULL);

	cr_assert_not_null(one);
	cr_assert_not_null(two);
	cr_assert_eq(subscriptions_of(stasis_executor_default()), 2);
	cr_assert_eq(publish_data(topic, 0, 0, 100), 0);
	cr_assert_eq(stasis_executor_drain(stasis_executor_default()), 0);
	cr_assert_eq(probes[0].n_data, 100);
	cr_assert_eq(probes[1].n_data, 100);
	stasis_unsubscribe_and_join(one);
	stasis_unsubscribe_and_join(two);
	stasis_executor_shutdown(stasis_executor_default());
	stasis_object_unref(topic);
}

Test(default_executor, may_be_replaced)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_executor *mine = executor_with(1);
	struct probe probes[2] = { 0 };
	struct stasis_subscription *one = stasis_subscribe(topic, probe_callback, &probes[0]);
	struct stasis_subscription *two;

	cr_assert_eq(stasis_executor_set_default(mine), 0);
	cr_assert_eq(stasis_executor_default(), mine);
	cr_assert_eq(stasis_object_refs(mine), 2);
	two = stasis_subscribe(topic, probe_callback, &probes[1]);
	cr_assert_eq(subscriptions_of(mine), 1);
	/* The first stays where it was, though nobody else holds that executor now. */
	cr_assert_eq(publish_data(topic, 0, 0, 10), 0);
	stasis_unsubscribe_and_join(one);
	stasis_unsubscribe_and_join(two);
	cr_assert_eq(probes[0].n_data, 10);
	cr_assert_eq(probes[1].n_data, 10);
	cr_assert_eq(stasis_executor_set_default(NULL), 0);
	stasis_executor_shutdown(mine);
	stasis_object_unref(topic);
}

Test(default_executor, set_to_null_makes_the_next_subscribe_start_a_fresh_one)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_executor *mine = executor_with(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	cr_assert_eq(stasis_executor_set_default(mine), 0);
	cr_assert_eq(stasis_executor_set_default(NULL), 0);
	sub = stasis_subscribe(topic, probe_callback, &probe);
	cr_assert_not_null(sub);
	cr_assert_neq(stasis_executor_default(), mine);
	cr_assert_eq(subscriptions_of(mine), 0);
	stasis_unsubscribe_and_join(sub);
	stasis_executor_shutdown(mine);
	stasis_executor_shutdown(stasis_executor_default());
	stasis_object_unref(topic);
}

Test(default_executor, set_to_itself_changes_nothing)
{
	struct stasis_executor *mine = executor_with(1);

	cr_assert_eq(stasis_executor_set_default(mine), 0);
	cr_assert_eq(stasis_executor_set_default(mine), 0);
	cr_assert_eq(stasis_object_refs(mine), 2);
	cr_assert_eq(stasis_executor_set_default(NULL), 0);
	cr_assert_eq(stasis_object_refs(mine), 1);
	stasis_executor_shutdown(mine);
}

Test(default_executor, may_be_shut_down_and_comes_back)
{
	struct stasis_topic *topic = stasis_topic_create("t");

	for (int round = 0; round < 20; round++) {
		struct probe probe = { 0 };
		struct stasis_subscription *sub = stasis_subscribe(topic, probe_callback, &probe);

		cr_assert_not_null(sub);
		cr_assert_eq(publish_data(topic, 0, 0, 10), 0);
		cr_assert_null(stasis_executor_shutdown(stasis_executor_default()));
		cr_assert_eq(probe.n_data, 10);
		cr_assert_eq(publish_data(topic, 0, 10, 1), 1);
		stasis_unsubscribe(sub);
		cr_assert_eq(probe.n_data, 10);
		cr_assert_eq(probe.n_finals, 1);
	}
	stasis_object_unref(topic);
}

Test(default_executor, of_the_application_may_be_shut_down_by_it)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_executor *mine = executor_with(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	cr_assert_eq(stasis_executor_set_default(mine), 0);
	stasis_object_ref(mine);
	stasis_executor_shutdown(mine);
	/* It is nobody's default any more, and the next subscribe finds another. */
	sub = stasis_subscribe(topic, probe_callback, &probe);
	cr_assert_not_null(sub, "%s", strerror(errno));
	cr_assert_eq(stasis_executor_set_default(mine), -ESHUTDOWN);
	cr_assert_eq(stasis_object_refs(mine), 1);
	stasis_object_unref(mine);
	stasis_unsubscribe_and_join(sub);
	stasis_executor_shutdown(stasis_executor_default());
	stasis_object_unref(topic);
}

struct starter {
	struct gate *start;
	struct stasis_executor *seen;
};

static void *start_default(void *arg)
{
	struct starter *starter = arg;

	gate_pass(starter->start);
	starter->seen = stasis_executor_default();
	return NULL;
}

Test(default_executor, is_one_for_threads_that_ask_at_once)
{
	struct gate start = GATE_INIT;
	struct starter starters[8];

	for (int i = 0; i < 8; i++)
		starters[i] = (struct starter){ &start, NULL };
	gate_open(&start);
	run_threads(8, start_default, starters, sizeof(starters[0]));
	for (int i = 0; i < 8; i++)
		cr_assert_eq(starters[i].seen, starters[0].seen);
	stasis_executor_shutdown(starters[0].seen);
}
