/* SPDX-License-Identifier: BSD-2-Clause */
/* test_unsubscribe.c — the end of a subscription: the final message, joins, states */

#include <pthread.h>

#include "bus_fixture.h"

#define UNTOUCHED 12345 /* an errno that nobody sets */

Test(unsubscribe, delivers_what_was_queued_before_the_final_message)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 500), 0);
	gate_await(&hold, 1);
	errno = UNTOUCHED;
	cr_assert_null(stasis_unsubscribe(stasis_object_ref(sub)));
	cr_assert_eq(errno, UNTOUCHED);
	gate_open(&hold);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	check_ended(&probe, 500);
	cr_assert_eq(probe.n_calls, 502);
	stasis_object_unref(sub);
	bus_close(&bus);
}

Test(unsubscribe, of_null_is_an_error)
{
	errno = 0;
	cr_assert_null(stasis_unsubscribe(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_unsubscribe_and_join(NULL));
	cr_assert_eq(errno, EINVAL);
}

Test(unsubscribe, twice_changes_nothing_and_says_so)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	stasis_object_ref(sub);
	stasis_object_ref(sub);
	errno = UNTOUCHED;
	cr_assert_null(stasis_unsubscribe_and_join(sub));
	cr_assert_eq(errno, UNTOUCHED);
	errno = 0;
	cr_assert_null(stasis_unsubscribe(sub));
	cr_assert_eq(errno, EALREADY);
	errno = 0;
	cr_assert_null(stasis_unsubscribe_and_join(sub));
	cr_assert_eq(errno, EALREADY);
	bus_close(&bus);
	check_ended(&probe, 0);
	cr_assert_eq(probe.n_calls, 2);
}

Test(unsubscribe, second_call_with_join_waits_all_the_same)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 100), 0);
	gate_await(&hold, 1);
	stasis_unsubscribe(stasis_object_ref(sub));
	gate_open(&hold);
	errno = 0;
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(errno, EALREADY);
	check_ended(&probe, 100);
	bus_close(&bus);
}

Test(unsubscribe, states_are_told_at_each_stage)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(stasis_subscription_is_subscribed(sub), 1);
	cr_assert_eq(stasis_subscription_is_done(sub), 0);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	gate_await(&hold, 1);
	stasis_unsubscribe(stasis_object_ref(sub));
	cr_assert_eq(stasis_subscription_is_subscribed(sub), 0);
	cr_assert_eq(stasis_subscription_is_done(sub), 0);
	cr_assert_eq(stasis_topic_subscribers(bus.topic), 0);
	gate_open(&hold);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	cr_assert_eq(stasis_subscription_is_subscribed(sub), 0);
	cr_assert_eq(stasis_subscription_is_done(sub), 1);
	stasis_object_unref(sub);
	bus_close(&bus);
}

struct seen_states {
	int subscribed, done, join, final;
};

static void look(struct probe *probe, struct stasis_subscription *sub, struct stasis_topic *topic,
		 struct stasis_message *message)
{
	struct seen_states *seen = &((struct seen_states *)probe->user)[probe->n_calls - 1];

	seen->subscribed = stasis_subscription_is_subscribed(sub);
	seen->done = stasis_subscription_is_done(sub);
	seen->join = stasis_subscription_join(sub);
	seen->final = stasis_subscription_final_message(sub, message);
}

Test(unsubscribe, own_callback_cannot_join_and_is_not_done)
{
	struct bus bus = bus_open(2);
	struct seen_states seen[3] = { 0 };
	struct probe probe = { .on_any = look, .user = seen };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	bus_drain(&bus);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 1);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(seen[i].subscribed, i < 2, "call %d", i);
		cr_assert_eq(seen[i].done, 0, "call %d", i);
		cr_assert_eq(seen[i].join, -EDEADLK, "call %d", i);
		cr_assert_eq(seen[i].final, i == 2, "call %d", i);
	}
	bus_close(&bus);
}

struct self_end {
	bool join;
	size_t after; /* data to see first */
	int error;
	bool unsubscribed;
};

static void end_myself(struct probe *probe, struct stasis_subscription *sub,
		       struct stasis_topic *topic, struct stasis_message *message)
{
	struct self_end *end = probe->user;

	if (probe->n_data != end->after)
		return;
	errno = UNTOUCHED;
	stasis_object_ref(sub);
	if (end->join)
		stasis_unsubscribe_and_join(sub);
	else
		stasis_unsubscribe(sub);
	end->error = errno;
	end->unsubscribed = !stasis_subscription_is_subscribed(sub);
}

static void run_self_end(bool join, int error)
{
	struct bus bus = bus_open(2);
	struct self_end end = { .join = join, .after = 2 };
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold, .on_data = end_myself, .user = &end };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	/* Five are queued before it ends itself in the second: they still arrive. */
	cr_assert_eq(publish_data(bus.topic, 0, 0, 5), 0);
	gate_open(&hold);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	cr_assert_eq(end.error, error);
	cr_assert(end.unsubscribed);
	cr_assert_eq(publish_data(bus.topic, 0, 5, 1), 0);
	errno = 0;
	stasis_unsubscribe(sub);
	cr_assert_eq(errno, EALREADY);
	bus_close(&bus);
	check_ended(&probe, 5);
}

Test(unsubscribe, inside_its_own_callback)
{
	run_self_end(false, UNTOUCHED);
}

Test(unsubscribe, and_join_inside_its_own_callback_does_not_wait)
{
	run_self_end(true, EDEADLK);
}

static void end_at_first_call(struct probe *probe, struct stasis_subscription *sub,
			      struct stasis_topic *topic, struct stasis_message *message)
{
	if (probe->n_calls == 1)
		stasis_unsubscribe(stasis_object_ref(sub));
}

Test(unsubscribe, inside_the_callback_for_its_own_subscribe)
{
	struct bus bus = bus_open(2);

	for (int i = 0; i < 200; i++) {
		struct probe probe = { .on_any = end_at_first_call };
		struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

		cr_assert_eq(stasis_subscription_join(sub), 0);
		check_ended(&probe, 0);
		cr_assert_eq(probe.n_calls, 2);
		stasis_object_unref(sub);
	}
	cr_assert_eq(stasis_topic_subscribers(bus.topic), 0);
	bus_close(&bus);
}

static void end_at_final(struct probe *probe, struct stasis_subscription *sub,
			 struct stasis_topic *topic, struct stasis_message *message)
{
	if (!stasis_subscription_final_message(sub, message))
		return;
	errno = 0;
	stasis_unsubscribe(stasis_object_ref(sub));
	*(int *)probe->user = errno;
}

Test(unsubscribe, inside_the_final_callback_is_too_late)
{
	struct bus bus = bus_open(1);
	int error = 0;
	struct probe probe = { .on_any = end_at_final, .user = &error };

	stasis_unsubscribe_and_join(bus_subscribe(&bus, &probe));
	bus_close(&bus);
	cr_assert_eq(error, EALREADY);
	check_ended(&probe, 0);
}

struct joiner {
	struct stasis_subscription *sub;
	struct gate *start;
	int result;
	int done;
};

static void *join(void *arg)
{
	struct joiner *joiner = arg;

	gate_pass(joiner->start);
	joiner->result = stasis_subscription_join(joiner->sub);
	joiner->done = stasis_subscription_is_done(joiner->sub);
	return NULL;
}

struct joiners {
	struct joiner each[16];
};

static void *run_joiners(void *arg)
{
	struct joiners *joiners = arg;

	run_threads(16, join, joiners->each, sizeof(joiners->each[0]));
	return NULL;
}

Test(unsubscribe, many_threads_may_join)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT, start = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct joiners joiners;
	pthread_t thread;

	for (int i = 0; i < 16; i++)
		joiners.each[i] = (struct joiner){ .sub = sub, .start = &start, .result = 1 };
	cr_assert_eq(publish_data(bus.topic, 0, 0, 10), 0);
	cr_assert_eq(pthread_create(&thread, NULL, run_joiners, &joiners), 0);
	gate_await(&start, 16);
	gate_open(&start);
	gate_await(&hold, 1);
	stasis_unsubscribe(stasis_object_ref(sub));
	gate_open(&hold);
	pthread_join(thread, NULL);
	for (int i = 0; i < 16; i++) {
		cr_assert_eq(joiners.each[i].result, 0);
		cr_assert_eq(joiners.each[i].done, 1);
	}
	check_ended(&probe, 10);
	stasis_object_unref(sub);
	bus_close(&bus);
}

Test(unsubscribe, join_after_the_end_returns_at_once)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	stasis_unsubscribe_and_join(stasis_object_ref(sub));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(stasis_subscription_join(sub), 0);
	bus_close(&bus);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	stasis_object_unref(sub);
}

struct ender {
	struct stasis_subscription *sub; /* a reference of its own */
	int error;
};

static void *unsubscribe(void *arg)
{
	struct ender *ender = arg;

	errno = 0;
	stasis_unsubscribe_and_join(ender->sub);
	ender->error = errno;
	return NULL;
}

Test(unsubscribe, many_threads_at_once_end_it_once)
{
	struct bus bus = bus_open(2);

	for (int round = 0; round < 50; round++) {
		struct ender enders[8];
		struct probe probe = { 0 };
		struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
		int n_first = 0;

		for (int i = 0; i < 8; i++)
			enders[i] = (struct ender){ .sub = stasis_object_ref(sub) };
		run_threads(8, unsubscribe, enders, sizeof(enders[0]));
		for (int i = 0; i < 8; i++) {
			cr_assert(enders[i].error == 0 || enders[i].error == EALREADY);
			n_first += enders[i].error == 0;
		}
		cr_assert_eq(n_first, 1);
		check_ended(&probe, 0);
		cr_assert_eq(probe.n_calls, 2);
		stasis_object_unref(sub);
	}
	bus_close(&bus);
}

Test(unsubscribe, hundreds_come_and_go)
{
	enum {
		N = 300
	};
	struct bus bus = bus_open(2);
	static struct probe probes[N];
	static struct stasis_subscription *subs[N];

	for (int i = 0; i < N; i++)
		subs[i] = bus_subscribe(&bus, &probes[i]);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 3), 0);
	for (int i = 0; i < N; i++)
		stasis_unsubscribe_and_join(subs[i]);
	for (int i = 0; i < N; i++) {
		check_ended(&probes[i], 3);
		/* All that came later, and all that went earlier. */
		cr_assert_eq(probes[i].n_subscribes, (size_t)(N - i), "subscription %d", i);
		cr_assert_eq(probes[i].n_unsubscribes, (size_t)i, "subscription %d", i);
	}
	bus_close(&bus);
}
