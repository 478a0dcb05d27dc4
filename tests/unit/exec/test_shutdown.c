/* SPDX-License-Identifier: BSD-2-Clause */
/* test_shutdown.c — the end of an executor, and what its subscriptions can still do */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <stasis/stasis.h>

#include "gate.h"
#include "probe.h"

static struct stasis_stats stats_of(const void *handle)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(handle, &stats), 0);
	return stats;
}

Test(shutdown, of_null_does_nothing)
{
	cr_assert_null(stasis_executor_shutdown(NULL));
}

Test(shutdown, delivers_what_is_queued)
{
	struct stasis_executor *executor = executor_with(2);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];

	for (int i = 0; i < 3; i++)
		subs[i] = subscribe_on(topic, &probes[i], executor);
	cr_assert_eq(publish_data(topic, 0, 0, 20000), 0);
	cr_assert_null(stasis_executor_shutdown(executor));
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(probes[i].n_data, 20000);
		cr_assert_eq(probes[i].n_out_of_order, 0);
		cr_assert_eq(probes[i].n_finals, 0);
		cr_assert_eq(stasis_subscription_is_subscribed(subs[i]), 1);
		cr_assert_eq(stasis_subscription_is_done(subs[i]), 0);
		stasis_unsubscribe(subs[i]);
	}
	stasis_object_unref(topic);
}

Test(shutdown, makes_publish_count_what_is_not_taken)
{
	struct stasis_executor *executor = executor_with(1), *other = executor_with(1);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];
	struct stasis_message *message = datum_message(0, 0);

	for (int i = 0; i < 3; i++)
		subs[i] = subscribe_on(topic, &probes[i], i < 2 ? executor : other);
	stasis_executor_shutdown(executor);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(stasis_publish(topic, message), 2);
	cr_assert_eq(stasis_executor_drain(other), 0);
	cr_assert_eq(stasis_object_refs(message), 1);
	cr_assert_eq(probes[2].n_data, 10);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(probes[i].n_data, 0);
		cr_assert_eq(stats_of(subs[i]).dropped, 10);
		cr_assert_eq(stats_of(subs[i]).depth, 0);
	}
	cr_assert_eq(stats_of(subs[2]).dropped, 0);
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe_and_join(subs[i]);
	stasis_object_unref(message);
	stasis_executor_shutdown(other);
	stasis_object_unref(topic);
}

Test(shutdown, leaves_the_final_message_to_the_one_who_unsubscribes)
{
	struct stasis_executor *executor = executor_with(2);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probes[2] = { 0 };
	struct stasis_subscription *subs[2];

	for (int i = 0; i < 2; i++)
		subs[i] = subscribe_on(topic, &probes[i], executor);
	stasis_executor_shutdown(executor);
	cr_assert_eq(publish_data(topic, 0, 0, 1), 2);
	/* Within the call and on this thread, with join and without. */
	stasis_unsubscribe(stasis_object_ref(subs[0]));
	cr_assert_eq(probes[0].n_finals, 1);
	cr_assert(pthread_equal(probes[0].last_thread, pthread_self()));
	cr_assert_eq(stasis_subscription_is_done(subs[0]), 1);
	errno = 0;
	stasis_unsubscribe_and_join(stasis_object_ref(subs[1]));
	cr_assert_eq(errno, 0);
	cr_assert_eq(probes[1].n_finals, 1);
	cr_assert(pthread_equal(probes[1].last_thread, pthread_self()));
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(probes[i].n_data, 0);
		cr_assert_eq(stasis_subscription_join(subs[i]), 0);
		errno = 0;
		stasis_unsubscribe(subs[i]);
		cr_assert_eq(errno, EALREADY);
		cr_assert_eq(probes[i].n_finals, 1);
	}
	stasis_object_unref(topic);
}

Test(shutdown, refuses_new_subscriptions)
{
	struct stasis_executor *executor = executor_with(1);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probe = { 0 };

	stasis_object_ref(executor);
	stasis_executor_shutdown(executor);
	errno = 0;
	cr_assert_null(subscribe_on(topic, &probe, executor));
	cr_assert_eq(errno, ESHUTDOWN);
	cr_assert_eq(stasis_topic_subscribers(topic), 0);
	cr_assert_eq(stasis_object_refs(topic), 1);
	cr_assert_eq(stasis_executor_set_default(executor), -ESHUTDOWN);
	stasis_object_unref(executor);
	stasis_object_unref(topic);
}

Test(shutdown, twice_changes_nothing)
{
	struct stasis_executor *executor = executor_with(2);

	stasis_object_ref(executor);
	stasis_object_ref(executor);
	cr_assert_null(stasis_executor_shutdown(executor));
	cr_assert_null(stasis_executor_shutdown(executor));
	cr_assert_eq(stasis_object_refs(executor), 1);
	cr_assert_eq(stasis_executor_drain(executor), 0);
	stasis_object_unref(executor);
}

static void *shut_down(void *arg)
{
	stasis_executor_shutdown(*(struct stasis_executor **)arg);
	return NULL;
}

Test(shutdown, by_many_threads_at_once)
{
	for (int round = 0; round < 20; round++) {
		struct stasis_executor *executor = executor_with(2), *refs[6];
		struct stasis_topic *topic = stasis_topic_create("t");
		struct probe probe = { 0 };
		struct stasis_subscription *sub = subscribe_on(topic, &probe, executor);

		cr_assert_eq(publish_data(topic, 0, 0, 1000), 0);
		for (int i = 0; i < 6; i++)
			refs[i] = stasis_object_ref(executor);
		run_threads(6, shut_down, refs, sizeof(refs[0]));
		cr_assert_eq(probe.n_data, 1000);
		stasis_object_unref(executor);
		stasis_unsubscribe(sub);
		cr_assert_eq(probe.n_finals, 1);
		stasis_object_unref(topic);
	}
}

struct inside {
	struct stasis_executor *executor;
	int error;
	int subscribe_error;
	int publish;
};

static void shut_down_own(struct probe *probe, struct stasis_subscription *sub,
			  struct stasis_topic *topic, struct stasis_message *message)
{
	struct inside *inside = probe->user;
	struct probe other = { 0 };

	if (probe->n_data != 1)
		return;
	errno = 0;
	stasis_executor_shutdown(stasis_object_ref(inside->executor));
	inside->error = errno;
	errno = 0;
	subscribe_on(topic, &other, inside->executor);
	inside->subscribe_error = errno;
	inside->publish = publish_data(topic, 1, 0, 1);
}

Test(shutdown, inside_a_callback_does_not_wait)
{
	struct stasis_executor *executor = executor_with(2);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct inside inside = { .executor = executor };
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold, .on_data = shut_down_own, .user = &inside };
	struct stasis_subscription *sub = subscribe_on(topic, &probe, executor);

	cr_assert_eq(publish_data(topic, 0, 0, 50), 0);
	gate_open(&hold);
	/* Waits for what the callback has begun. */
	gate_await(&hold, 50);
	stasis_executor_shutdown(executor);
	cr_assert_eq(inside.error, EDEADLK);
	cr_assert_eq(inside.subscribe_error, ESHUTDOWN);
	cr_assert_eq(inside.publish, 1);
	cr_assert_eq(probe.n_data, 50);
	cr_assert_eq(probe.n_out_of_order, 0);
	cr_assert_eq(probe.n_finals, 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_finals, 1);
	stasis_object_unref(topic);
}

static void shut_down_and_end(struct probe *probe, struct stasis_subscription *sub,
			      struct stasis_topic *topic, struct stasis_message *message)
{
	struct inside *inside = probe->user;

	if (probe->n_data != 1)
		return;
	errno = 0;
	inside->executor = stasis_executor_shutdown(inside->executor);
	inside->error = errno;
	stasis_unsubscribe(stasis_object_ref(sub));
}

Test(shutdown, inside_a_callback_that_then_unsubscribes)
{
	for (int round = 0; round < 50; round++) {
		struct inside inside = { .executor = executor_with(1) };
		struct stasis_topic *topic = stasis_topic_create("t");
		struct probe probe = { .on_data = shut_down_and_end, .user = &inside };
		struct stasis_subscription *sub = subscribe_on(topic, &probe, inside.executor);

		cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
		cr_assert_eq(stasis_subscription_join(sub), 0);
		cr_assert_eq(inside.error, EDEADLK);
		cr_assert_eq(probe.n_finals, 1);
		cr_assert_eq(probe.n_after_final, 0);
		stasis_object_unref(sub);
		stasis_object_unref(topic);
	}
}

static void shut_down_other(struct probe *probe, struct stasis_subscription *sub,
			    struct stasis_topic *topic, struct stasis_message *message)
{
	struct inside *inside = probe->user;

	errno = 0;
	inside->executor = stasis_executor_shutdown(inside->executor);
	inside->error = errno;
}

Test(shutdown, of_another_executor_inside_a_callback_waits)
{
	struct inside inside = { .executor = executor_with(1) };
	struct stasis_executor *executor = executor_with(1);
	struct stasis_topic *topic = stasis_topic_create("t"), *other = stasis_topic_create("o");
	struct probe probe = { .on_data = shut_down_other, .user = &inside }, fed = { 0 };
	struct stasis_subscription *sub = subscribe_on(topic, &probe, executor);
	struct stasis_subscription *two = subscribe_on(other, &fed, inside.executor);

	cr_assert_eq(publish_data(other, 0, 0, 100), 0);
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(inside.error, 0);
	cr_assert_eq(fed.n_data, 100);
	stasis_unsubscribe(two);
	cr_assert_eq(fed.n_finals, 1);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
	stasis_object_unref(other);
}

struct ending {
	struct stasis_topic *topic;
	struct stasis_executor *executor;
	struct probe probe;
	struct gate start;
	int n_refused;
};

static void *publish_until_refused(void *arg)
{
	struct ending *ending = arg;

	gate_pass(&ending->start);
	for (uint64_t i = 0; i < 100000 && ending->n_refused == 0; i++)
		ending->n_refused += publish_data(ending->topic, 0, i, 1);
	return NULL;
}

Test(shutdown, while_others_publish_delivers_what_was_taken)
{
	for (int round = 0; round < 50; round++) {
		struct ending ending = { .topic = stasis_topic_create("t"),
					 .executor = executor_with(2),
					 .start = GATE_INIT };
		struct stasis_subscription *sub = subscribe_on(ending.topic, &ending.probe,
							       ending.executor);
		struct stasis_stats stats;
		pthread_t thread;

		cr_assert_eq(pthread_create(&thread, NULL, publish_until_refused, &ending), 0);
		gate_open(&ending.start);
		gate_await(&ending.start, 1);
		stasis_executor_shutdown(ending.executor);
		pthread_join(thread, NULL);
		stats = stats_of(sub);
		cr_assert_eq(stats.published, ending.probe.n_calls);
		cr_assert_eq(stats.delivered, ending.probe.n_calls);
		cr_assert_eq(stats.dropped, (uint64_t)ending.n_refused);
		cr_assert_eq(ending.probe.n_out_of_order, 0);
		stasis_unsubscribe(sub);
		cr_assert_eq(ending.probe.n_finals, 1);
		stasis_object_unref(ending.topic);
	}
}
