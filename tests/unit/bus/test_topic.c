/* SPDX-License-Identifier: BSD-2-Clause */
/* test_topic.c — topics: names, who is there, who wants what */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <stasis/stasis.h>

#include "probe.h"
#include "sync/rcu.h"

Test(topic, keeps_a_copy_of_its_name)
{
	char name[] = "calls";
	struct stasis_topic *topic = stasis_topic_create(name);

	cr_assert_not_null(topic);
	memset(name, 'x', sizeof(name) - 1);
	cr_assert_str_eq(stasis_topic_name(topic), "calls");
	cr_assert_eq(stasis_object_refs(topic), 1);
	cr_assert_null(stasis_object_unref(topic));
}

Test(topic, name_is_required)
{
	errno = 0;
	cr_assert_null(stasis_topic_create(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_topic_create(""));
	cr_assert_eq(errno, EINVAL);
}

Test(topic, name_need_not_be_unique)
{
	struct stasis_topic *one = stasis_topic_create("same");
	struct stasis_topic *other = stasis_topic_create("same");

	cr_assert_neq(one, other);
	stasis_object_unref(one);
	stasis_object_unref(other);
}

Test(topic, questions_about_null_are_errors)
{
	struct stasis_topic *topic = stasis_topic_create("t");

	errno = 0;
	cr_assert_null(stasis_topic_name(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_eq(stasis_topic_subscribers(NULL), 0);
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(stasis_topic_wants(NULL, datum_type()), -EINVAL);
	cr_assert_eq(stasis_topic_wants(topic, NULL), -EINVAL);
	cr_assert_eq(stasis_topic_wants(NULL, NULL), -EINVAL);
	stasis_object_unref(topic);
}

Test(topic, knows_how_many_subscribe)
{
	enum {
		N = 40
	};
	struct stasis_executor *executor = executor_with(2);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_topic *other = stasis_topic_create("other");
	struct stasis_subscription *subs[N];
	static struct probe probes[N];

	cr_assert_eq(stasis_topic_subscribers(topic), 0);
	for (size_t i = 0; i < N; i++) {
		subs[i] = subscribe_on(topic, &probes[i], executor);
		cr_assert_eq(stasis_topic_subscribers(topic), i + 1);
	}
	cr_assert_eq(stasis_topic_subscribers(other), 0);
	/* From both ends to the middle. */
	for (size_t i = 0; i < N; i++) {
		size_t which = i % 2 ? N - 1 - i / 2 : i / 2;

		subs[which] = stasis_unsubscribe(subs[which]);
		cr_assert_eq(stasis_topic_subscribers(topic), N - 1 - i);
	}
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
	stasis_object_unref(other);
}

Test(topic, wants_what_somebody_would_get)
{
	struct stasis_executor *executor = executor_with(1);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	cr_assert_eq(stasis_topic_wants(topic, datum_type()), 0);
	sub = subscribe_on(topic, &probe, executor);
	cr_assert_eq(stasis_topic_wants(topic, datum_type()), 1);
	cr_assert_eq(stasis_topic_wants(topic, stasis_subscription_change_type()), 1);
	sub = stasis_unsubscribe_and_join(sub);
	cr_assert_null(sub);
	cr_assert_eq(stasis_topic_wants(topic, datum_type()), 0);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

Test(topic, is_held_by_its_subscriptions_until_they_are_done)
{
	struct stasis_executor *executor = executor_with(1);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probes[2] = { 0 };
	struct stasis_subscription *subs[2];

	for (int i = 0; i < 2; i++)
		subs[i] = subscribe_on(topic, &probes[i], executor);
	cr_assert_geq(stasis_object_refs(topic), 3);
	for (int i = 0; i < 2; i++)
		subs[i] = stasis_unsubscribe_and_join(subs[i]);
	stasis_executor_shutdown(executor);
	/* A publisher may still be looking at them: they go after a grace period. */
	sti_rcu_barrier();
	cr_assert_eq(stasis_object_refs(topic), 1);
	stasis_object_unref(topic);
}
