/* SPDX-License-Identifier: BSD-2-Clause */
/* test_stats.c — counters are exact when nothing flows */

#include <stddef.h>

#include "bus_fixture.h"

static struct stasis_stats stats_of(const void *handle)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(handle, &stats), 0);
	return stats;
}

Test(stats, of_a_fresh_topic_are_zero)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_stats stats = stats_of(topic);

	cr_assert_eq(stats.kind, STASIS_STATS_TOPIC);
	cr_assert_eq(stats.subscriptions, 0);
	cr_assert_eq(stats.published, 0);
	/* Without meaning here. */
	cr_assert_eq(stats.threads, 0);
	cr_assert_eq(stats.delivered, 0);
	cr_assert_eq(stats.dropped, 0);
	cr_assert_eq(stats.depth, 0);
	cr_assert_eq(stats.turns, 0);
	stasis_object_unref(topic);
}

Test(stats, of_a_topic_count_every_way_to_publish)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *message = datum_message(0, 0);
	struct stasis_message *messages[7];

	/* Subscription changes do not count: nobody gave them to publish. */
	cr_assert_eq(stats_of(bus.topic).published, 0);
	cr_assert_eq(stats_of(bus.topic).subscriptions, 1);
	cr_assert_eq(stasis_publish(bus.topic, message), 0);
	cr_assert_eq(stats_of(bus.topic).published, 1);
	cr_assert_eq(stasis_publish_take(bus.topic, message), 0);
	cr_assert_eq(stats_of(bus.topic).published, 2);
	for (int i = 0; i < 7; i++)
		messages[i] = datum_message(0, 0);
	cr_assert_eq(stasis_publish_batch(bus.topic, messages, 7), 0);
	cr_assert_eq(stats_of(bus.topic).published, 9);
	cr_assert_eq(stasis_publish(bus.topic, NULL), -EINVAL);
	cr_assert_eq(stats_of(bus.topic).published, 9);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(stats_of(bus.topic).subscriptions, 0);
	bus_close(&bus);
}

struct publisher {
	struct stasis_topic *topic;
	uint64_t number;
};

static void *publish_some(void *arg)
{
	struct publisher *publisher = arg;

	publish_data(publisher->topic, publisher->number, 0, 5000);
	return NULL;
}

Test(stats, tell_the_names)
{
	struct stasis_executor *named = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 1, .name = "mine" });
	struct bus bus = bus_open(1);
	struct probe probes[2] = { 0 };
	struct stasis_subscription *one = bus_subscribe(&bus, &probes[0]), *two;
	char name[] = "own name";

	two = stasis_subscribe_with(bus.topic, probe_callback, &probes[1],
				    &(struct stasis_subscribe_options){ .executor = named,
									.name = name });
	memset(name, 'x', sizeof(name) - 1);
	cr_assert_str_eq(stats_of(bus.topic).name, "topic");
	cr_assert_str_eq(stats_of(one).name, "topic");
	cr_assert_str_eq(stats_of(two).name, "own name");
	cr_assert_str_eq(stats_of(named).name, "mine");
	cr_assert_str_eq(stats_of(bus.executor).name, "stasis");
	stasis_unsubscribe_and_join(one);
	stasis_unsubscribe_and_join(two);
	stasis_executor_shutdown(named);
	bus_close(&bus);
}

Test(stats, of_a_topic_count_all_publishers)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct publisher publishers[16];

	for (uint64_t i = 0; i < 16; i++)
		publishers[i] = (struct publisher){ topic, i };
	/* Twice: threads come and go, and with them whatever counts for them. */
	for (uint64_t i = 1; i <= 2; i++) {
		run_threads(16, publish_some, publishers, sizeof(publishers[0]));
		cr_assert_eq(stats_of(topic).published, i * 16 * 5000);
	}
	stasis_object_unref(topic);
}

Test(stats, of_a_subscription_count_changes_and_the_final_message)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 }, other = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_stats stats;

	cr_assert_eq(publish_data(bus.topic, 0, 0, 100), 0);
	stasis_unsubscribe_and_join(bus_subscribe(&bus, &other));
	bus_drain(&bus);
	stats = stats_of(sub);
	cr_assert_eq(stats.kind, STASIS_STATS_SUBSCRIPTION);
	/* 100, its own Subscribe, and the other's two changes. */
	cr_assert_eq(stats.published, 103, "%lu", (unsigned long)stats.published);
	cr_assert_eq(stats.delivered, 103, "%lu", (unsigned long)stats.delivered);
	cr_assert_eq(stats.dropped, 0);
	cr_assert_eq(stats.depth, 0, "%lu", (unsigned long)stats.depth);
	cr_assert_geq(stats.depth_max, 1);
	cr_assert_leq(stats.depth_max, 103);
	cr_assert_eq(stats.threads, 0);
	cr_assert_eq(stats.subscriptions, 0);
	cr_assert_eq(stats.turns, 0);
	stasis_unsubscribe_and_join(stasis_object_ref(sub));
	stats = stats_of(sub);
	cr_assert_eq(stats.published, 104);
	cr_assert_eq(stats.delivered, 104);
	cr_assert_eq(stats.depth, 0);
	stasis_object_unref(sub);
	bus_close(&bus);
}

Test(stats, of_a_subscription_show_what_waits)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_stats stats;

	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	gate_await(&hold, 1);
	cr_assert_eq(publish_data(bus.topic, 0, 1, 99), 0);
	stats = stats_of(sub);
	cr_assert_eq(stats.published, 101);
	/* The one being delivered may count either way. */
	cr_assert_geq(stats.depth, 99);
	cr_assert_leq(stats.depth, 101);
	gate_open(&hold);
	bus_drain(&bus);
	stats = stats_of(sub);
	cr_assert_eq(stats.depth, 0);
	cr_assert_eq(stats.delivered, 101);
	/* A worker looks ring by ring: not all of the 99, but a good part. */
	cr_assert_geq(stats.depth_max, 32, "%lu", (unsigned long)stats.depth_max);
	cr_assert_leq(stats.depth_max, 101);
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
}

Test(stats, of_an_executor_count_its_deliveries)
{
	struct bus bus = bus_open(3);
	struct stasis_executor *other = executor_with(1);
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];
	struct stasis_stats stats;

	for (int i = 0; i < 3; i++)
		subs[i] = subscribe_on(bus.topic, &probes[i], i < 2 ? bus.executor : other);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1000), 0);
	bus_drain(&bus);
	cr_assert_eq(stasis_executor_drain(other), 0);
	stats = stats_of(bus.executor);
	cr_assert_eq(stats.kind, STASIS_STATS_EXECUTOR);
	cr_assert_eq(stats.threads, 3);
	cr_assert_eq(stats.subscriptions, 2);
	/* 1,000 each, and of the three Subscribes the first sees 3, the second 2, the third 1. */
	cr_assert_eq(stats.delivered, 2005, "%lu", (unsigned long)stats.delivered);
	cr_assert_geq(stats.turns, 2);
	cr_assert_eq(stats.published, 0);
	stats = stats_of(other);
	cr_assert_eq(stats.threads, 1);
	cr_assert_eq(stats.subscriptions, 1);
	cr_assert_eq(stats.delivered, 1001, "%lu", (unsigned long)stats.delivered);
	cr_assert_eq(stats.steals, 0, "one worker has nobody to steal from");
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe_and_join(subs[i]);
	stasis_executor_shutdown(other);
	bus_close(&bus);
}

Test(stats, of_an_executor_forget_subscriptions_that_ended)
{
	struct bus bus = bus_open(1);

	for (int i = 0; i < 20; i++) {
		struct probe probe = { 0 };

		stasis_unsubscribe_and_join(bus_subscribe(&bus, &probe));
	}
	bus_drain(&bus);
	cr_assert_eq(stats_of(bus.executor).subscriptions, 0);
	cr_assert_eq(stats_of(bus.executor).delivered, 40);
	bus_close(&bus);
}

Test(stats, count_parks_and_wakes_of_workers_that_park)
{
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 1, .wait = STASIS_WAIT_PARK });
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probe = { 0 };
	struct stasis_subscription *sub = subscribe_on(topic, &probe, executor);
	uint64_t seq = 0;

	/* Each round lets the worker run dry; sooner or later it has slept. */
	while (stats_of(executor).parks < 3 || stats_of(executor).wakes < 2) {
		cr_assert_eq(publish_data(topic, 0, seq++, 1), 0);
		cr_assert_eq(stasis_executor_drain(executor), 0);
		cr_assert_lt(seq, 1000000);
	}
	stasis_unsubscribe_and_join(sub);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

Test(stats, never_show_a_park_of_workers_that_spin)
{
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 1, .wait = STASIS_WAIT_SPIN });
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probe = { 0 };
	struct stasis_subscription *sub = subscribe_on(topic, &probe, executor);

	for (uint64_t i = 0; i < 100; i++) {
		cr_assert_eq(publish_data(topic, 0, i, 1), 0);
		cr_assert_eq(stasis_executor_drain(executor), 0);
	}
	cr_assert_eq(stats_of(executor).parks, 0);
	stasis_unsubscribe_and_join(sub);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

static void read_own(struct probe *probe, struct stasis_subscription *sub,
		     struct stasis_topic *topic, struct stasis_message *message)
{
	struct stasis_stats stats = { 0 };

	*(int *)probe->user |= stasis_stats_read(sub, &stats) | stasis_stats_read(topic, &stats);
}

Test(stats, may_be_read_inside_callbacks)
{
	struct bus bus = bus_open(1);
	int result = 0;
	struct probe probe = { .on_any = read_own, .user = &result };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 10), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(result, 0);
	bus_close(&bus);
}

Test(stats, fill_no_more_than_the_caller_knows)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_stats stats;

	cr_assert_eq(publish_data(topic, 0, 0, 3), 0);
	memset(&stats, 0x55, sizeof(stats));
	stats.size = offsetof(struct stasis_stats, delivered);
	cr_assert_eq(stasis_stats_read(topic, &stats), 0);
	cr_assert_eq(stats.kind, STASIS_STATS_TOPIC);
	cr_assert_eq(stats.published, 3);
	for (size_t i = stats.size; i < sizeof(stats); i++)
		cr_assert_eq(((unsigned char *)&stats)[i], 0x55, "byte %zu", i);
	stats.size = 0;
	cr_assert_eq(stasis_stats_read(topic, &stats), 0);
	cr_assert_eq(stats.steals, 0);
	memset(&stats, 0x55, sizeof(stats));
	stats.size = sizeof(stats);
	cr_assert_eq(stasis_stats_read(topic, &stats), 0);
	cr_assert_eq(stats.steals, 0);
	stasis_object_unref(topic);
}

Test(stats, of_anything_else_are_an_error)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_message *message = datum_message(0, 0);
	void *object = stasis_object_alloc(100, NULL);
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(NULL, &stats), -EINVAL);
	cr_assert_eq(stasis_stats_read(topic, NULL), -EINVAL);
	cr_assert_eq(stasis_stats_read(message, &stats), -EINVAL);
	cr_assert_eq(stasis_stats_read(datum_type(), &stats), -EINVAL);
	cr_assert_eq(stasis_stats_read(object, &stats), -EINVAL);
	/* Not even room for its own size. */
	stats.size = sizeof(stats.size) - 1;
	cr_assert_eq(stasis_stats_read(topic, &stats), -EINVAL);
	cr_assert_eq(stats.size, sizeof(stats.size) - 1);
	stasis_object_unref(object);
	stasis_object_unref(message);
	stasis_object_unref(topic);
}
