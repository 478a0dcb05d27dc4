/* SPDX-License-Identifier: BSD-2-Clause */
/* test_inline.c — STASIS_WAIT_INLINE: the publisher delivers what it has just queued */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus_fixture.h"
#include "exec/executor.h"
#include "faulty.h"

/* For other threads than the test's own, where nothing may be asserted. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct bus inline_open(unsigned threads)
{
	struct bus bus = {
		.executor = stasis_executor_create(&(struct stasis_executor_options){
			.threads = threads, .wait = STASIS_WAIT_INLINE }),
		.topic = stasis_topic_create("topic"),
	};

	cr_assert_not_null(bus.executor);
	cr_assert_not_null(bus.topic);
	return bus;
}

/* Somebody else delivers; he lets go a moment after the last callback. */
static void settle(struct bus *bus)
{
	struct stasis_stats stats = { 0 };

	bus_drain(bus);
	do {
		sched_yield();
		cr_assert_eq(stasis_stats_read(bus->executor, &stats), 0);
	} while (stats.parks == 0);
}

static struct stasis_stats stats_of(const void *handle)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(handle, &stats), 0);
	return stats;
}

/* Publishes until it is delivered here: the worker that delivered the last may not have rested. */
static uint64_t await_idle(struct bus *bus, struct probe *probe)
{
	uint64_t seq = probe->next[0];

	do {
		cr_assert_eq(publish_data(bus->topic, 0, seq++, 1), 0);
		bus_drain(bus);
	} while (!pthread_equal(probe->last_thread, pthread_self()));
	return seq;
}

Test(inline, idle_subscription_is_delivered_to_before_publish_returns)
{
	struct bus bus = inline_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *messages[3], *message;
	uint64_t seq;

	settle(&bus);
	seq = await_idle(&bus, &probe);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(publish_data(bus.topic, 0, seq++, 1), 0);
		cr_assert_eq(probe.n_data, seq);
		message = datum_message(0, seq++);
		cr_assert_eq(stasis_publish(bus.topic, message), 0);
		cr_assert_eq(probe.n_data, seq);
		cr_assert_eq(stasis_object_refs(message), 1);
		stasis_object_unref(message);
		for (int j = 0; j < 3; j++)
			messages[j] = datum_message(0, seq++);
		cr_assert_eq(stasis_publish_batch(bus.topic, messages, 3), 0);
		cr_assert_eq(probe.n_data, seq);
		cr_assert(pthread_equal(probe.last_thread, pthread_self()));
	}
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, seq);
	bus_close(&bus);
}

Test(inline, all_idle_subscriptions_are_delivered_to)
{
	struct bus bus = inline_open(1);
	static struct probe probes[40];
	struct stasis_subscription *subs[40];
	uint64_t seq = 0;

	/* More than a publish notes without memory. */
	for (int i = 0; i < 40; i++)
		subs[i] = bus_subscribe(&bus, &probes[i]);
	bus_drain(&bus);
	settle(&bus);
	for (int i = 0; i < 40; i++)
		seq = await_idle(&bus, &probes[i]);
	bus_drain(&bus);
	for (int i = 0; i < 40; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		check_ended(&probes[i], seq);
	}
	bus_close(&bus);
}

Test(inline, without_memory_workers_deliver)
{
	struct bus bus;
	static struct probe probes[40];
	struct stasis_subscription *subs[40];
	struct stasis_message *message;

	faulty_install();
	bus = inline_open(2);
	for (int i = 0; i < 40; i++)
		subs[i] = bus_subscribe(&bus, &probes[i]);
	bus_drain(&bus);
	for (uint64_t seq = 0; seq < 20; seq++) {
		message = datum_message(0, seq);
		faulty_arm(0, true);
		cr_assert_eq(stasis_publish_take(bus.topic, message), 0);
		faulty_disarm();
		bus_drain(&bus);
	}
	for (int i = 0; i < 40; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		check_ended(&probes[i], 20);
	}
	bus_close(&bus);
}

/* --- what is not queued --- */

static void *publish_one(void *arg)
{
	must(publish_data(arg, 0, 0, 1) == 0);
	return NULL;
}

Test(inline, counts_what_it_does_not_queue)
{
	struct bus bus = inline_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_stats before, after;
	uint64_t seq;

	settle(&bus);
	seq = await_idle(&bus, &probe);
	before = stats_of(sub);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(publish_data(bus.topic, 0, seq++, 1), 0);
	bus_drain(&bus);
	after = stats_of(sub);
	cr_assert_eq(after.published, before.published + 1000);
	cr_assert_eq(after.delivered, before.delivered + 1000);
	cr_assert_eq(after.depth, 0);
	cr_assert_eq(after.grown, 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, seq);
	bus_close(&bus);
}

static void publish_behind(struct probe *probe, struct stasis_subscription *sub,
			   struct stasis_topic *topic, struct stasis_message *message)
{
	const struct datum *datum = stasis_message_data(message);
	struct stasis_stats stats = stats_of(sub);

	/* The one that is being delivered counts as published, and not as delivered yet. */
	must(stats.published > stats.delivered);
	if (datum->seq % 4 == 0)
		must(publish_data(topic, 0, datum->seq + 1, 3) == 0);
}

Test(inline, what_a_callback_publishes_comes_behind)
{
	struct bus bus = inline_open(1);
	struct probe probe = { .on_data = publish_behind };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	settle(&bus);
	for (uint64_t seq = 0; seq < 4000; seq += 4) {
		cr_assert_eq(publish_data(bus.topic, 0, seq, 1), 0);
		/* Those behind may be a worker's. */
		bus_drain(&bus);
		cr_assert_eq(probe.n_data, seq + 4);
		cr_assert_eq(stats_of(sub).published, stats_of(sub).delivered);
	}
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 4000);
	bus_close(&bus);
}

static void publish_to_next(struct probe *probe, struct stasis_subscription *sub,
			    struct stasis_topic *topic, struct stasis_message *message)
{
	const struct datum *datum = stasis_message_data(message);

	if (datum->publisher == 0)
		must(publish_data(topic, 1, 3 * datum->seq, 3) == 0);
}

/* The second has been claimed, with a message that it carries, when more is queued behind it. */
Test(inline, what_comes_behind_is_delivered_before_the_publish_returns)
{
	struct bus bus = inline_open(1);
	struct probe first = { .on_data = publish_to_next }, second = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &first);
	struct stasis_subscription *other = bus_subscribe(&bus, &second);
	uint64_t turns;

	settle(&bus);
	/* Those for the first itself may be a worker's. */
	for (uint64_t seq = 0; seq < 100; seq++) {
		bus_drain(&bus);
		settle(&bus);
		turns = stats_of(bus.executor).turns;
		cr_assert_eq(publish_data(bus.topic, 0, seq, 1), 0);
		if (stats_of(bus.executor).turns != turns)
			continue;
		cr_assert_eq(second.n_data, 4 * (seq + 1));
		cr_assert(pthread_equal(second.last_thread, pthread_self()));
	}
	stasis_unsubscribe_and_join(sub);
	stasis_unsubscribe_and_join(other);
	cr_assert_eq(second.n_data, 400);
	cr_assert_eq(second.n_out_of_order, 0);
	bus_close(&bus);
}

static void *drain_bus(void *arg)
{
	must(stasis_executor_drain(arg) == 0);
	return NULL;
}

static void await_drainer(struct stasis_executor *executor)
{
	while (atomic_load(&executor->drainers) == 0)
		sched_yield();
}

Test(inline, drain_waits_for_what_is_not_queued)
{
	struct bus bus = inline_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	pthread_t publisher, drainer;

	settle(&bus);
	cr_assert_eq(pthread_create(&publisher, NULL, publish_one, bus.topic), 0);
	gate_await(&hold, 1);
	cr_assert_eq(pthread_create(&drainer, NULL, drain_bus, bus.executor), 0);
	await_drainer(bus.executor);
	usleep(20000); /* for it to go wrong */
	cr_assert_eq(pthread_tryjoin_np(drainer, NULL), EBUSY);
	gate_open(&hold);
	pthread_join(drainer, NULL);
	cr_assert_eq(probe.n_data, 1);
	pthread_join(publisher, NULL);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 1);
	bus_close(&bus);
}

/* --- several publishers --- */

struct publisher {
	struct stasis_topic *topic;
	uint64_t number;
};

static void *publish_many(void *arg)
{
	struct publisher *publisher = arg;

	must(publish_data(publisher->topic, publisher->number, 0, 5000) == 0);
	return NULL;
}

Test(inline, publishers_take_turns)
{
	struct bus bus = inline_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct publisher publishers[4];

	for (uint64_t i = 0; i < 4; i++)
		publishers[i] = (struct publisher){ bus.topic, i };
	run_threads(4, publish_many, publishers, sizeof(publishers[0]));
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 20000);
	bus_close(&bus);
}

/* --- bounds --- */

Test(inline, what_is_beyond_a_batch_goes_to_workers)
{
	struct bus bus = inline_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub;
	struct stasis_message *messages[100];
	uint64_t seq, turns;

	sub = stasis_subscribe_with(
		bus.topic, probe_callback, &probe,
		&(struct stasis_subscribe_options){ .executor = bus.executor, .batch = 10 });
	settle(&bus);
	seq = await_idle(&bus, &probe);
	turns = stats_of(bus.executor).turns;
	for (int i = 0; i < 100; i++)
		messages[i] = datum_message(0, seq++);
	cr_assert_eq(stasis_publish_batch(bus.topic, messages, 100), 0);
	bus_drain(&bus);
	cr_assert_eq(probe.n_data, seq);
	cr_assert(!pthread_equal(probe.last_thread, pthread_self()));
	/* 90 in turns of 10 at most. */
	cr_assert_geq(stats_of(bus.executor).turns, turns + 9);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, seq);
	bus_close(&bus);
}

#define N_LINKS 20

struct link {
	struct probe probe;
	struct stasis_topic *topic;
	struct stasis_subscription *sub;
	struct link *next;
};

static void pass_on(struct probe *probe, struct stasis_subscription *sub,
		    struct stasis_topic *topic, struct stasis_message *message)
{
	struct link *link = probe->user;

	if (link->next != NULL)
		must(stasis_publish(link->next->topic, message) == 0);
}

Test(inline, depth_is_bounded)
{
	struct bus bus = inline_open(1);
	static struct link links[N_LINKS];
	unsigned n_here = 0;

	for (int i = N_LINKS - 1; i >= 0; i--) {
		links[i].topic = stasis_topic_create("link");
		links[i].next = i < N_LINKS - 1 ? &links[i + 1] : NULL;
		links[i].probe.user = &links[i];
		links[i].probe.on_data = pass_on;
		links[i].sub = subscribe_on(links[i].topic, &links[i].probe, bus.executor);
	}
	bus_drain(&bus);
	for (uint64_t seq = 0; seq < 50; seq++) {
		unsigned here = 0;

		cr_assert_eq(publish_data(links[0].topic, 0, seq, 1), 0);
		/* Link by link: each has queued the next's before it is delivered. */
		for (int i = 0; i < N_LINKS; i++)
			bus_drain(&bus);
		for (int i = 0; i < N_LINKS; i++) {
			cr_assert_eq(links[i].probe.n_data, seq + 1, "link %d", i);
			here += pthread_equal(links[i].probe.last_thread, pthread_self()) != 0;
		}
		cr_assert_leq(here, 8, "%u", here);
		n_here = here > n_here ? here : n_here;
	}
	cr_assert_eq(n_here, 8, "%u", n_here);
	for (int i = 0; i < N_LINKS; i++) {
		stasis_unsubscribe_and_join(links[i].sub);
		check_ended(&links[i].probe, 50);
		stasis_object_unref(links[i].topic);
	}
	bus_close(&bus);
}

static void publish_to_itself(struct probe *probe, struct stasis_subscription *sub,
			      struct stasis_topic *topic, struct stasis_message *message)
{
	size_t n = probe->n_data;

	if (n < 5000)
		must(publish_data(topic, 0, n, 1) == 0);
	/* Not inside each other. */
	must(probe->n_data == n);
}

Test(inline, publishing_to_itself_is_not_nested)
{
	struct bus bus = inline_open(1);
	struct probe probe = { .on_data = publish_to_itself };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	settle(&bus);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	while (stats_of(sub).delivered < 5001)
		sched_yield();
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 5000);
	bus_close(&bus);
}

/* --- ends --- */

Test(inline, who_joins_an_idle_subscription_delivers_the_end)
{
	struct bus bus = inline_open(1);
	struct stasis_stats before;

	for (int i = 0; i < 100; i++) {
		struct probe probe = { 0 };
		struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
		uint64_t seq;

		settle(&bus);
		seq = await_idle(&bus, &probe);
		before = stats_of(bus.executor);
		cr_assert_null(stasis_unsubscribe_and_join(sub));
		check_ended(&probe, seq);
		cr_assert(pthread_equal(probe.last_thread, pthread_self()));
		cr_assert_eq(stats_of(bus.executor).turns, before.turns);
		cr_assert_eq(stats_of(bus.executor).delivered, before.delivered + 1);
	}
	bus_close(&bus);
}

static void join_other(struct probe *probe, struct stasis_subscription *sub,
		       struct stasis_topic *topic, struct stasis_message *message)
{
	struct stasis_subscription **other = probe->user;

	*other = stasis_unsubscribe_and_join(*other);
}

/* The one that is joined has been claimed by the publish that is delivering, and has the message
 * that it carries first. */
Test(inline, who_joins_what_is_next_to_be_called_lets_go_of_it)
{
	struct bus bus = inline_open(1);

	for (int i = 0; i < 50; i++) {
		struct stasis_subscription *sub, *other;
		struct probe first = { .on_data = join_other, .user = &other };
		struct probe second = { 0 };

		sub = bus_subscribe(&bus, &first);
		other = bus_subscribe(&bus, &second);
		bus_drain(&bus);
		cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
		bus_drain(&bus);
		cr_assert_null(other);
		/* "Unsubscribe" of the other came to the first as well. */
		stasis_unsubscribe_and_join(sub);
		cr_assert_eq(first.n_data, 1);
		check_ended(&second, 1);
	}
	bus_close(&bus);
}

static void end_here(struct probe *probe, struct stasis_subscription *sub,
		     struct stasis_topic *topic, struct stasis_message *message)
{
	stasis_unsubscribe(sub); /* the only reference */
}

Test(inline, unsubscribe_inside_the_callback)
{
	struct bus bus = inline_open(1);

	for (int i = 0; i < 200; i++) {
		struct probe probe = { .on_data = end_here };

		bus_subscribe(&bus, &probe);
		cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
		bus_drain(&bus);
		check_ended(&probe, 1);
		cr_assert_eq(stasis_topic_subscribers(bus.topic), 0);
	}
	bus_close(&bus);
}

static void *shut_down(void *arg)
{
	return stasis_executor_shutdown(arg);
}

Test(inline, shutdown_waits_for_a_publisher_that_delivers)
{
	struct bus bus = inline_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	pthread_t publisher, closer;

	settle(&bus);
	cr_assert_eq(pthread_create(&publisher, NULL, publish_one, bus.topic), 0);
	gate_await(&hold, 1);
	cr_assert_eq(pthread_create(&closer, NULL, shut_down, bus.executor), 0);
	/* Until it has begun: then publishes are refused. */
	while (publish_data(bus.topic, 1, 0, 1) == 0)
		;
	gate_open(&hold);
	pthread_join(closer, NULL);
	cr_assert_geq(probe.n_data, 1);
	cr_assert_eq(stats_of(sub).depth, 0);
	pthread_join(publisher, NULL);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_finals, 1);
	cr_assert_eq(probe.overlaps, 0);
	stasis_object_unref(bus.topic);
}

/* --- waiting for each other --- */

struct meeting {
	struct stasis_subscription *other;
	int result;
};

static void wait_for_other(struct probe *probe, struct stasis_subscription *sub,
			   struct stasis_topic *topic, struct stasis_message *message)
{
	struct meeting *meeting = probe->user;
	const struct datum *datum = stasis_message_data(message);
	struct stasis_message *mine;

	if (datum->publisher != 0)
		return;
	mine = datum_message(1, probe->n_data);
	meeting->result = stasis_publish_sync(meeting->other, mine);
	stasis_object_unref(mine);
}

/* The publisher has claimed both, and runs the one that waits for the other first. */
Test(inline, a_callback_may_wait_for_the_next_that_is_to_be_called)
{
	struct bus bus = inline_open(1);

	for (int round = 0; round < 50; round++) {
		struct meeting meeting = { NULL, 12345 };
		struct probe first = { .on_data = wait_for_other, .user = &meeting };
		struct probe second = { 0 };
		struct stasis_subscription *sub = bus_subscribe(&bus, &first);
		struct stasis_subscription *other = bus_subscribe(&bus, &second);

		meeting.other = other;
		bus_drain(&bus);
		cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
		bus_drain(&bus);
		cr_assert_eq(meeting.result, 0);
		stasis_unsubscribe_and_join(sub);
		stasis_unsubscribe_and_join(other);
		cr_assert_eq(first.n_data, 2);
		cr_assert_eq(second.n_data, 2);
		cr_assert_eq(second.overlaps, 0);
	}
	bus_close(&bus);
}

/* As before, with the claim of one who publishes synchronously. */
Test(inline, a_callback_may_wait_for_whom_the_publisher_waits_for)
{
	struct bus bus = inline_open(1), pool = bus_open(1);

	for (int round = 0; round < 50; round++) {
		struct meeting meeting = { NULL, 12345 };
		struct probe first = { .on_data = wait_for_other, .user = &meeting };
		struct probe second = { 0 };
		struct stasis_subscription *sub = bus_subscribe(&bus, &first);
		struct stasis_subscription *other =
			subscribe_on(bus.topic, &second, pool.executor);
		struct stasis_message *message = datum_message(0, 0);

		meeting.other = other;
		bus_drain(&bus);
		bus_drain(&pool);
		cr_assert_eq(stasis_publish_sync(other, message), 0);
		stasis_object_unref(message);
		bus_drain(&bus);
		cr_assert_eq(meeting.result, 0);
		stasis_unsubscribe_and_join(sub);
		stasis_unsubscribe_and_join(other);
		cr_assert_eq(second.n_data, 2);
		cr_assert_eq(second.overlaps, 0);
	}
	bus_close(&pool);
	bus_close(&bus);
}
