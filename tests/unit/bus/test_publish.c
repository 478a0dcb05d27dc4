/* SPDX-License-Identifier: BSD-2-Clause */
/* test_publish.c — publishing one at a time: results, references, order, growth */

#include "bus_fixture.h"

static int n_released;

static void release(void *data)
{
	n_released++;
}

static struct stasis_message *foreign_message(void)
{
	static struct datum datum;

	return stasis_message_create_foreign(datum_type(), &datum, release);
}

Test(publish, without_subscribers_queues_nowhere)
{
	struct stasis_topic *topic = stasis_topic_create("empty");
	struct stasis_message *message = foreign_message();

	cr_assert_eq(stasis_publish(topic, message), 0);
	cr_assert_eq(stasis_object_refs(message), 1);
	cr_assert_eq(stasis_publish_take(topic, message), 0);
	cr_assert_eq(n_released, 1);
	stasis_object_unref(topic);
}

Test(publish, needs_topic_and_message)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_message *message = foreign_message();

	cr_assert_eq(stasis_publish(NULL, message), -EINVAL);
	cr_assert_eq(stasis_publish(topic, NULL), -EINVAL);
	cr_assert_eq(stasis_publish(NULL, NULL), -EINVAL);
	cr_assert_eq(stasis_object_refs(message), 1);
	cr_assert_eq(n_released, 0);
	stasis_object_unref(message);
	cr_assert_eq(n_released, 1);
	stasis_object_unref(topic);
}

Test(publish, take_consumes_also_on_error)
{
	struct stasis_topic *topic = stasis_topic_create("t");

	cr_assert_eq(stasis_publish_take(NULL, foreign_message()), -EINVAL);
	cr_assert_eq(n_released, 1);
	cr_assert_eq(stasis_publish_take(topic, NULL), -EINVAL);
	cr_assert_eq(stasis_publish_take(NULL, NULL), -EINVAL);
	stasis_object_unref(topic);
}

Test(publish, keeps_the_callers_reference)
{
	struct bus bus = bus_open(2);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *message = foreign_message();

	cr_assert_eq(stasis_publish(bus.topic, message), 0);
	bus_drain(&bus);
	cr_assert_eq(stasis_object_refs(message), 1, "%u", stasis_object_refs(message));
	cr_assert_eq(n_released, 0);
	stasis_object_unref(message);
	cr_assert_eq(n_released, 1);
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
}

Test(publish, references_are_back_after_join_too)
{
	struct bus bus = bus_open(2);
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];
	struct stasis_message *message = foreign_message();

	for (int i = 0; i < 3; i++)
		subs[i] = bus_subscribe(&bus, &probes[i]);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(stasis_publish(bus.topic, message), 0);
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe_and_join(subs[i]);
	cr_assert_eq(stasis_object_refs(message), 1, "%u", stasis_object_refs(message));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(probes[i].n_data, 100);
	stasis_object_unref(message);
	cr_assert_eq(n_released, 1);
	bus_close(&bus);
}

Test(publish, take_of_a_shared_message_gives_one_reference_away)
{
	struct bus bus = bus_open(2);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *message = foreign_message();

	for (int i = 0; i < 100; i++)
		cr_assert_eq(stasis_publish_take(bus.topic, stasis_object_ref(message)), 0);
	bus_drain(&bus);
	cr_assert_eq(stasis_object_refs(message), 1);
	cr_assert_eq(stasis_publish_take(bus.topic, message), 0);
	bus_drain(&bus);
	cr_assert_eq(n_released, 1);
	cr_assert_eq(probe.n_data, 101);
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
}

Test(publish, subscriptions_hold_the_message_until_their_callback_returns)
{
	struct bus bus = bus_open(2);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *message = foreign_message();

	cr_assert_eq(stasis_publish(bus.topic, message), 0);
	gate_await(&hold, 1);
	cr_assert_geq(stasis_object_refs(message), 2);
	stasis_object_unref(message);
	cr_assert_eq(n_released, 0);
	gate_open(&hold);
	bus_drain(&bus);
	cr_assert_eq(n_released, 1);
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
}

static void keep(struct probe *probe, struct stasis_subscription *sub, struct stasis_topic *topic,
		 struct stasis_message *message)
{
	struct stasis_message **kept = probe->user;

	kept[probe->n_data - 1] = stasis_object_ref(message);
}

Test(publish, a_callback_may_keep_the_message)
{
	struct bus bus = bus_open(2);
	struct stasis_message *kept[10];
	struct probe probe = { .on_data = keep, .user = kept };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 10), 0);
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
	for (uint64_t i = 0; i < 10; i++) {
		const struct datum *datum = stasis_message_data(kept[i]);

		cr_assert_eq(datum->seq, i);
		cr_assert_eq(stasis_object_refs(kept[i]), 1);
		stasis_object_unref(kept[i]);
	}
}

Test(publish, everybody_gets_the_same_message)
{
	struct bus bus = bus_open(2);
	struct stasis_message *kept[3][1];
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];
	struct stasis_message *message = datum_message(0, 0);

	for (int i = 0; i < 3; i++) {
		probes[i].on_data = keep;
		probes[i].user = kept[i];
		subs[i] = bus_subscribe(&bus, &probes[i]);
	}
	cr_assert_eq(stasis_publish(bus.topic, message), 0);
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe_and_join(subs[i]);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(kept[i][0], message);
		cr_assert_eq(probes[i].log[3 - i].topic, bus.topic);
		stasis_object_unref(kept[i][0]);
	}
	cr_assert_eq(stasis_object_refs(message), 1);
	stasis_object_unref(message);
	bus_close(&bus);
}

Test(publish, one_message_may_go_to_several_topics)
{
	struct bus bus = bus_open(2);
	struct stasis_topic *other = stasis_topic_create("other");
	struct probe here = { 0 }, there = { 0 };
	struct stasis_subscription *one = bus_subscribe(&bus, &here);
	struct stasis_subscription *two = subscribe_on(other, &there, bus.executor);

	for (uint64_t i = 0; i < 100; i++) {
		struct stasis_message *message = datum_message(0, i);

		cr_assert_eq(stasis_publish(bus.topic, message), 0);
		cr_assert_eq(stasis_publish_take(other, message), 0);
	}
	stasis_unsubscribe_and_join(one);
	stasis_unsubscribe_and_join(two);
	check_ended(&here, 100);
	check_ended(&there, 100);
	cr_assert_eq(there.log[1].topic, other);
	stasis_object_unref(other);
	bus_close(&bus);
}

struct publisher {
	struct stasis_topic *topic;
	struct gate *start;
	uint64_t number;
	size_t n;
	int result;
};

static void *publish_many(void *arg)
{
	struct publisher *publisher = arg;

	gate_pass(publisher->start);
	publisher->result = publish_data(publisher->topic, publisher->number, 0, publisher->n);
	return NULL;
}

static void run_publishers(unsigned threads, enum stasis_wait wait)
{
	enum {
		P = 8,
		S = 5,
		N = 2000
	};
	struct bus bus = { .topic = stasis_topic_create("topic"),
			   .executor = stasis_executor_create(&(struct stasis_executor_options){
				   .threads = threads, .wait = wait }) };
	struct gate start = GATE_INIT;
	struct publisher publishers[P];
	static struct probe probes[S];
	struct stasis_subscription *subs[S];

	for (int i = 0; i < S; i++)
		subs[i] = bus_subscribe(&bus, &probes[i]);
	for (uint64_t i = 0; i < P; i++)
		publishers[i] = (struct publisher){ bus.topic, &start, i, N, 1 };
	gate_open(&start);
	run_threads(P, publish_many, publishers, sizeof(publishers[0]));
	for (int i = 0; i < P; i++)
		cr_assert_eq(publishers[i].result, 0);
	for (int i = 0; i < S; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		check_ended(&probes[i], (size_t)P * N);
	}
	bus_close(&bus);
}

Test(publish, keeps_each_publishers_order_with_one_worker)
{
	run_publishers(1, STASIS_WAIT_SPIN_PARK);
}

Test(publish, keeps_each_publishers_order_with_two_workers)
{
	run_publishers(2, STASIS_WAIT_PARK);
}

Test(publish, keeps_each_publishers_order_with_eight_workers)
{
	run_publishers(8, STASIS_WAIT_SPIN_PARK);
}

Test(publish, keeps_each_publishers_order_with_workers_that_spin)
{
	run_publishers(2, STASIS_WAIT_SPIN);
}

Test(publish, a_million_messages_wait_behind_a_blocked_callback)
{
	enum {
		N = 1000000
	};
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_stats stats = { 0 };

	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	gate_await(&hold, 1);
	cr_assert_eq(publish_data(bus.topic, 0, 1, N - 1), 0);
	cr_assert_eq(stasis_stats_read(sub, &stats), 0);
	cr_assert_geq(stats.depth, N - 1);
	gate_open(&hold);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, N);
	bus_close(&bus);
}

Test(publish, a_batch_of_one_lets_others_have_their_turn)
{
	struct bus bus = bus_open(1);
	struct probe probes[2] = { 0 };
	struct stasis_subscription *subs[2];

	for (int i = 0; i < 2; i++)
		subs[i] = stasis_subscribe_with(bus.topic, probe_callback, &probes[i],
						&(struct stasis_subscribe_options){
							.executor = bus.executor, .batch = 1 });
	cr_assert_eq(publish_data(bus.topic, 0, 0, 5000), 0);
	for (int i = 0; i < 2; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		check_ended(&probes[i], 5000);
	}
	bus_close(&bus);
}

struct adder {
	int sum;
};

/* What was written before publish is read in the callback without more ado. */
static void add(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		struct stasis_message *message)
{
	struct adder *adder = data;

	if (stasis_message_type(message) == datum_type())
		adder->sum += *(const int *)stasis_message_data(message);
}

Test(publish, shows_what_was_written_before)
{
	struct bus bus = bus_open(2);
	static int values[1000];
	struct adder adder = { 0 };
	struct stasis_subscription *sub = stasis_subscribe_with(bus.topic, add, &adder,
								&(struct stasis_subscribe_options){
									.executor = bus.executor });

	for (int i = 0; i < 1000; i++) {
		values[i] = i;
		cr_assert_eq(stasis_publish_take(bus.topic,
						 stasis_message_create_foreign(datum_type(),
									       &values[i], NULL)),
			     0);
	}
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(adder.sum, 999 * 1000 / 2);
	bus_close(&bus);
}
