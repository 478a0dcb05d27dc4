/* SPDX-License-Identifier: BSD-2-Clause */
/* test_callbacks.c — what callbacks may do: publish, subscribe, unsubscribe, drop references */

#include <stdlib.h>

#include "bus_fixture.h"

#define CHAIN 1000u

static void publish_next(struct probe *probe, struct stasis_subscription *sub,
			 struct stasis_topic *topic, struct stasis_message *message)
{
	struct gate *end = probe->user;

	if (probe->n_data < CHAIN)
		publish_data(topic, 0, probe->n_data, 1);
	else
		gate_open(end);
}

Test(callbacks, may_publish_on_their_own_topic)
{
	struct bus bus = bus_open(1);
	struct gate end = GATE_INIT;
	struct probe probe = { .on_data = publish_next, .user = &end };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	gate_pass(&end);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, CHAIN);
	bus_close(&bus);
}

struct relay {
	struct stasis_topic *to;
	struct gate *end; /* opened at the last */
	int result;
};

static void pass_on(struct probe *probe, struct stasis_subscription *sub,
		    struct stasis_topic *topic, struct stasis_message *message)
{
	struct relay *relay = probe->user;
	const struct datum *datum = stasis_message_data(message);

	if (datum->seq + 1 < CHAIN)
		relay->result |= publish_data(relay->to, 0, datum->seq + 1, 1);
	else
		gate_open(relay->end);
}

static void run_ping_pong(unsigned threads)
{
	struct bus bus = bus_open(threads);
	struct stasis_topic *other = stasis_topic_create("other");
	struct gate end = GATE_INIT;
	struct relay there = { .to = other, .end = &end }, back = { .to = bus.topic, .end = &end };
	struct probe ping = { .on_data = pass_on, .user = &there };
	struct probe pong = { .on_data = pass_on, .user = &back };
	struct stasis_subscription *one = bus_subscribe(&bus, &ping);
	struct stasis_subscription *two = subscribe_on(other, &pong, bus.executor);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	gate_pass(&end);
	stasis_unsubscribe_and_join(one);
	stasis_unsubscribe_and_join(two);
	/* Every other number here, the rest there. */
	cr_assert_eq(ping.n_data, CHAIN / 2);
	cr_assert_eq(pong.n_data, CHAIN / 2);
	cr_assert_eq(ping.next[0], CHAIN - 1);
	cr_assert_eq(pong.next[0], CHAIN);
	cr_assert_eq(there.result | back.result, 0);
	stasis_object_unref(other);
	bus_close(&bus);
}

Test(callbacks, may_publish_to_another_topic_on_one_worker)
{
	run_ping_pong(1);
}

Test(callbacks, may_publish_to_another_topic_on_two_workers)
{
	run_ping_pong(2);
}

struct flood {
	struct stasis_topic *to;
	int result;
};

static void flood(struct probe *probe, struct stasis_subscription *sub, struct stasis_topic *topic,
		  struct stasis_message *message)
{
	struct flood *it = probe->user;

	it->result = publish_data(it->to, 1, 0, 50000);
}

Test(callbacks, may_publish_more_than_any_queue_holds)
{
	struct bus bus = bus_open(1);
	struct flood it = { .to = bus.topic };
	struct probe source = { 0 }, sink = { 0 };
	struct stasis_topic *trigger = stasis_topic_create("trigger");
	struct stasis_subscription *one, *two;

	/* One worker: nobody can empty the queue meanwhile. */
	source.on_data = flood;
	source.user = &it;
	one = subscribe_on(trigger, &source, bus.executor);
	two = bus_subscribe(&bus, &sink);
	cr_assert_eq(publish_data(trigger, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(one);
	stasis_unsubscribe_and_join(two);
	cr_assert_eq(it.result, 0);
	check_ended(&sink, 50000);
	stasis_object_unref(trigger);
	bus_close(&bus);
}

struct spawn {
	struct bus *bus;
	struct probe child;
	struct stasis_subscription *sub;
	int join;
	int error;
};

static void subscribe_child(struct probe *probe, struct stasis_subscription *sub,
			    struct stasis_topic *topic, struct stasis_message *message)
{
	struct spawn *spawn = probe->user;

	if (probe->n_data == 1) {
		spawn->sub = subscribe_on(topic, &spawn->child, spawn->bus->executor);
		publish_data(topic, 1, 0, 5);
	}
}

Test(callbacks, may_subscribe)
{
	struct bus bus = bus_open(1);
	struct spawn spawn = { .bus = &bus };
	struct probe probe = { .on_data = subscribe_child, .user = &spawn };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	bus_drain(&bus);
	cr_assert_not_null(spawn.sub);
	stasis_unsubscribe_and_join(spawn.sub);
	stasis_unsubscribe_and_join(sub);
	check_ended(&spawn.child, 5);
	check_ended(&probe, 6);
	cr_assert_eq(probe.n_subscribes, 2);
	cr_assert_eq(probe.n_unsubscribes, 1);
	bus_close(&bus);
}

static void end_other(struct probe *probe, struct stasis_subscription *sub,
		      struct stasis_topic *topic, struct stasis_message *message)
{
	struct spawn *spawn = probe->user;

	stasis_unsubscribe(stasis_object_ref(spawn->sub));
	spawn->join = stasis_subscription_join(spawn->sub);
	errno = 0;
	stasis_unsubscribe_and_join(stasis_object_ref(spawn->sub));
	spawn->error = errno;
}

/* Publishes one message to a topic where a subscription ends another and joins it. */
static void run_join_in_callback(struct bus *bus, struct stasis_executor *executor,
				 struct spawn *spawn)
{
	struct stasis_topic *victims = stasis_topic_create("victims");
	struct probe probe = { .on_data = end_other, .user = spawn };
	struct stasis_subscription *sub = bus_subscribe(bus, &probe);

	spawn->sub = subscribe_on(victims, &spawn->child, executor);
	cr_assert_eq(publish_data(victims, 0, 0, 3), 0);
	cr_assert_eq(publish_data(bus->topic, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(stasis_subscription_join(spawn->sub), 0);
	check_ended(&spawn->child, 3);
	check_ended(&probe, 1);
	stasis_object_unref(spawn->sub);
	stasis_object_unref(victims);
}

Test(callbacks, may_join_another_subscription_of_a_larger_executor)
{
	struct bus bus = bus_open(2);
	struct spawn spawn = { 0 };

	run_join_in_callback(&bus, bus.executor, &spawn);
	cr_assert_eq(spawn.join, 0);
	cr_assert_eq(spawn.error, EALREADY);
	bus_close(&bus);
}

Test(callbacks, may_join_a_subscription_of_another_executor)
{
	struct bus bus = bus_open(1);
	struct stasis_executor *other = executor_with(1);
	struct spawn spawn = { 0 };

	run_join_in_callback(&bus, other, &spawn);
	cr_assert_eq(spawn.join, 0);
	cr_assert_eq(spawn.error, EALREADY);
	stasis_executor_shutdown(other);
	bus_close(&bus);
}

Test(callbacks, cannot_join_what_their_only_worker_would_have_to_run)
{
	struct bus bus = bus_open(1);
	struct spawn spawn = { 0 };

	run_join_in_callback(&bus, bus.executor, &spawn);
	cr_assert_eq(spawn.join, -EDEADLK);
	cr_assert(spawn.error == EDEADLK || spawn.error == EALREADY, "%d", spawn.error);
	bus_close(&bus);
}

static void join_done(struct probe *probe, struct stasis_subscription *sub,
		      struct stasis_topic *topic, struct stasis_message *message)
{
	struct spawn *spawn = probe->user;

	spawn->join = stasis_subscription_join(spawn->sub);
}

Test(callbacks, may_join_what_is_done_even_on_their_only_worker)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *victims = stasis_topic_create("victims");
	struct spawn spawn = { .join = 1 };
	struct probe probe = { .on_data = join_done, .user = &spawn };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	spawn.sub = subscribe_on(victims, &spawn.child, bus.executor);
	stasis_unsubscribe_and_join(stasis_object_ref(spawn.sub));
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(spawn.join, 0);
	stasis_object_unref(spawn.sub);
	stasis_object_unref(victims);
	bus_close(&bus);
}

struct last {
	struct stasis_topic *topic;
	struct stasis_executor *executor;
};

static void drop_everything(struct probe *probe, struct stasis_subscription *sub,
			    struct stasis_topic *topic, struct stasis_message *message)
{
	struct last *last = probe->user;

	if (probe->n_data != 1)
		return;
	last->topic = stasis_object_unref(last->topic);
	last->executor = stasis_object_unref(last->executor);
	stasis_unsubscribe(stasis_object_ref(sub));
}

Test(callbacks, may_drop_the_last_handles)
{
	struct last last = { stasis_topic_create("t"), executor_with(2) };
	struct probe probe = { .on_data = drop_everything, .user = &last };
	struct stasis_subscription *sub = subscribe_on(last.topic, &probe, last.executor);

	cr_assert_eq(publish_data(last.topic, 0, 0, 1), 0);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	check_ended(&probe, 1);
	stasis_object_unref(sub);
}

static void drop_own_handle(struct probe *probe, struct stasis_subscription *sub,
			    struct stasis_topic *topic, struct stasis_message *message)
{
	struct gate *end = probe->user;

	if (stasis_subscription_final_message(sub, message))
		gate_open(end);
	else if (probe->n_data == 1)
		stasis_unsubscribe(sub); /* the only handle there was */
}

Test(callbacks, may_give_up_the_only_handle_of_their_subscription)
{
	struct bus bus = bus_open(2);
	struct gate end = GATE_INIT;
	struct probe probe = { .on_any = drop_own_handle, .user = &end };

	/* Its callback owns the handle; see drop_own_handle(). */
	bus_subscribe(&bus, &probe);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	gate_pass(&end);
	bus_close(&bus);
	check_ended(&probe, 1);
}
