/* SPDX-License-Identifier: BSD-2-Clause */
/* test_forward.c — one topic leading to another: what passes, what is refused, how it ends */

#include <pthread.h>
#include <stdlib.h>

#include "faulty.h"
#include "graph_fixture.h"
#include "sync/rcu.h"

#define DEPTH STASIS_FORWARD_DEPTH_MAX

/* --- what passes --- */

Test(forward, passes_on_what_is_published_one_way_only)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *to = stasis_topic_create("to");
	struct probe source = { 0 }, target = { 0 };
	struct stasis_subscription *at_source = bus_subscribe(&bus, &source);
	struct stasis_subscription *at_target = listen(&bus, to, &target);
	struct stasis_forward *forward = lead(bus.topic, to);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 10), 0);
	cr_assert_eq(publish_data(to, 1, 0, 5), 0);
	stasis_unsubscribe_and_join(at_target);
	stasis_unsubscribe_and_join(at_source);
	check_ended(&source, 10);
	check_ended(&target, 15);
	cr_assert_eq(target.next[0], 10);
	cr_assert_eq(target.next[1], 5);
	cancel(forward);
	stasis_object_unref(to);
	bus_close(&bus);
}

Test(forward, callback_is_given_the_topic_subscribed_to)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *topics[3];
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	topics_make(topics, 3);
	lead_for_good(topics[0], topics[1]);
	lead_for_good(topics[1], topics[2]);
	sub = listen(&bus, topics[2], &probe);
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(publish_data(topics[i], 0, i, 1), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 3);
	for (size_t i = 0; i < probe.n_calls; i++)
		cr_assert_eq(probe.log[i].topic, topics[2], "call %zu", i);
	topics_drop(topics, 3);
	bus_close(&bus);
}

Test(forward, chain_passes_on_to_all_behind)
{
	enum {
		N = 20
	};
	struct bus bus = bus_open(2);
	static struct probe probes[N];
	struct stasis_topic *topics[N];
	struct stasis_subscription *subs[N];

	topics_make(topics, N);
	for (int i = 0; i < N; i++)
		subs[i] = listen(&bus, topics[i], &probes[i]);
	for (int i = 0; i + 1 < N; i++)
		lead_for_good(topics[i], topics[i + 1]);
	for (uint64_t i = 0; i < 100; i++)
		cr_assert_eq(publish_data(topics[0], 0, i, 1), 0);
	cr_assert_eq(publish_data(topics[N / 2], 0, 100, 50), 0);
	for (int i = N - 1; i >= 0; i--) {
		stasis_unsubscribe_and_join(subs[i]);
		check_ended(&probes[i], i < N / 2 ? 100 : 150);
	}
	topics_drop(topics, N);
	bus_close(&bus);
}

Test(forward, aggregate_gets_one_threads_messages_in_order_whatever_the_topic)
{
	enum {
		N = 100
	};
	struct bus bus = bus_open(2);
	struct stasis_topic *topics[N];
	struct probe one = { 0 }, all = { 0 };
	struct stasis_subscription *at_one, *at_all;

	topics_make(topics, N);
	for (int i = 0; i < N; i++) {
		if (i % 3 == 0)
			lead_for_good(topics[i], topics[(i + 1) % N]);
		else
			lead_for_good(topics[i], bus.topic);
	}
	at_one = listen(&bus, topics[1], &one);
	at_all = bus_subscribe(&bus, &all);
	/* Paths of one to three forwards; the longest begins at 99: to 0, to 1, to the topic. */
	for (uint64_t i = 0; i < 5000; i++)
		cr_assert_eq(publish_data(topics[(i * 37) % N], 0, i, 1), 0);
	stasis_unsubscribe_and_join(at_one);
	stasis_unsubscribe_and_join(at_all);
	check_ended(&all, 5000);
	cr_assert_eq(one.n_data, 150);
	bus_close(&bus);
	topics_drop(topics, N);
}

Test(forward, diamond_delivers_once_for_each_path)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *topics[4];
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	topics_make(topics, 4);
	lead_for_good(topics[0], topics[1]);
	lead_for_good(topics[0], topics[2]);
	lead_for_good(topics[1], topics[3]);
	lead_for_good(topics[2], topics[3]);
	sub = listen(&bus, topics[3], &probe);
	cr_assert_eq(publish_data(topics[0], 0, 0, 1), 0);
	cr_assert_eq(publish_data(topics[1], 1, 0, 1), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_data, 3);
	cr_assert_eq(probe.n_finals, 1);
	topics_drop(topics, 4);
	bus_close(&bus);
}

Test(forward, two_between_the_same_topics_are_two_paths)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *to = stasis_topic_create("to");
	struct probe probe = { 0 };
	struct stasis_subscription *sub = listen(&bus, to, &probe);
	struct stasis_forward *forwards[2] = { lead(bus.topic, to), lead(bus.topic, to) };
	struct stasis_stats stats = { 0 };

	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	cr_assert_eq(stasis_stats_read(bus.topic, &stats), 0);
	cr_assert_eq(stats.forwards, 2);
	cr_assert_eq(stats.subscriptions, 1);
	expect_loop(to, bus.topic);
	cancel(forwards[0]);
	cr_assert_eq(publish_data(bus.topic, 0, 1, 1), 0);
	expect_loop(to, bus.topic);
	cancel(forwards[1]);
	cr_assert_eq(publish_data(bus.topic, 0, 2, 1), 0);
	cr_assert_eq(stasis_stats_read(bus.topic, &stats), 0);
	cr_assert_eq(stats.forwards, 0);
	cr_assert_eq(stats.subscriptions, 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_data, 3);
	cr_assert_eq(probe.next[0], 2);
	stasis_object_unref(to);
	bus_close(&bus);
}

Test(forward, subscription_changes_pass)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *to = stasis_topic_create("to");
	struct probe visitor = { 0 }, probe = { 0 };
	struct stasis_subscription *sub = listen(&bus, to, &probe), *other;
	char id[PROBE_ID];

	lead_for_good(bus.topic, to);
	other = bus_subscribe(&bus, &visitor);
	snprintf(id, sizeof(id), "%s", stasis_subscription_uniqueid(other));
	stasis_unsubscribe_and_join(other);
	stasis_unsubscribe_and_join(sub);
	/* On a quiet topic exactly two messages, and as many for who is led to. */
	check_ended(&visitor, 0);
	cr_assert_eq(visitor.n_calls, 2);
	check_ended(&probe, 0);
	cr_assert_eq(probe.n_calls, 4);
	cr_assert_eq(probe.log[1].kind, PROBE_SUBSCRIBE);
	cr_assert_eq(probe.log[2].kind, PROBE_UNSUBSCRIBE);
	for (int i = 1; i < 3; i++) {
		cr_assert_eq(probe.log[i].topic, to);
		cr_assert_eq(probe.log[i].change_topic, bus.topic);
		cr_assert_str_eq(probe.log[i].uniqueid, id);
	}
	bus_close(&bus);
	stasis_object_unref(to);
}

Test(forward, nothing_passes_after_its_end)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *to = stasis_topic_create("to");
	struct probe probe = { 0 };
	struct stasis_subscription *sub = listen(&bus, to, &probe);

	for (uint64_t i = 0; i < 200; i++) {
		struct stasis_forward *forward = lead(bus.topic, to);

		cr_assert_eq(publish_data(bus.topic, 0, i, 1), 0);
		cancel(forward);
		cr_assert_eq(publish_data(bus.topic, 1, i, 1), 0);
		cr_assert_eq(stasis_topic_wants(bus.topic, datum_type()), 0);
	}
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 200);
	cr_assert_eq(probe.next[1], 0);
	stasis_object_unref(to);
	bus_close(&bus);
}

static void make_and_cancel(struct probe *probe, struct stasis_subscription *sub,
			    struct stasis_topic *topic, struct stasis_message *message)
{
	struct stasis_topic *to = probe->user;
	struct stasis_forward *forward = stasis_forward_all(topic, to);

	stasis_publish_take(topic, datum_message(1, probe->n_data));
	stasis_forward_cancel(forward);
	stasis_publish_take(topic, datum_message(2, probe->n_data));
	if (probe->n_data == 1000)
		stasis_unsubscribe(stasis_object_ref(sub));
}

Test(forward, may_be_made_and_cancelled_inside_callbacks)
{
	struct bus bus = bus_open(2);
	struct stasis_topic *to = stasis_topic_create("to");
	struct probe other = { 0 }, probe = { .on_data = make_and_cancel, .user = to };
	struct stasis_subscription *at_to = listen(&bus, to, &other);
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	stasis_object_unref(sub);
	stasis_unsubscribe_and_join(at_to);
	cr_assert_geq(probe.n_data, 1000);
	cr_assert_eq(other.n_data, probe.n_data);
	cr_assert_eq(other.next[0], 0);
	cr_assert_eq(other.next[1], probe.n_data + 1);
	cr_assert_eq(other.next[2], 0);
	stasis_object_unref(to);
	bus_close(&bus);
}

/* --- counting --- */

Test(forward, subscribers_counts_each_once)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *topics[4];
	struct probe probes[4] = { 0 };
	struct stasis_subscription *subs[4];
	struct stasis_forward *forward;
	struct stasis_stats stats = { 0 };

	topics_make(topics, 4);
	for (int i = 0; i < 4; i++)
		subs[i] = listen(&bus, topics[i], &probes[i]);
	lead_for_good(topics[0], topics[1]);
	forward = lead(topics[0], topics[2]);
	lead_for_good(topics[1], topics[3]);
	lead_for_good(topics[2], topics[3]);
	cr_assert_eq(stasis_topic_subscribers(topics[0]), 4);
	cr_assert_eq(stasis_topic_subscribers(topics[1]), 2);
	cr_assert_eq(stasis_topic_subscribers(topics[3]), 1);
	cr_assert_eq(stasis_stats_read(topics[0], &stats), 0);
	cr_assert_eq(stats.forwards, 2);
	cr_assert_eq(stats.subscriptions, 4);
	cancel(forward);
	cr_assert_eq(stasis_topic_subscribers(topics[0]), 3);
	cr_assert_eq(stasis_stats_read(topics[0], &stats), 0);
	cr_assert_eq(stats.forwards, 1);
	stasis_unsubscribe_and_join(subs[3]);
	cr_assert_eq(stasis_topic_subscribers(topics[0]), 2);
	cr_assert_eq(stasis_topic_subscribers(topics[2]), 1);
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe_and_join(subs[i]);
	cr_assert_eq(stasis_topic_subscribers(topics[0]), 0);
	topics_drop(topics, 4);
	bus_close(&bus);
}

/* --- what is refused --- */

Test(forward, arguments_are_checked)
{
	struct stasis_topic *topic = stasis_topic_create("topic");

	errno = 0;
	cr_assert_null(stasis_forward_all(NULL, topic));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_forward_all(topic, NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_forward_cancel(NULL));
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(stasis_object_refs(topic), 1);
	stasis_object_unref(topic);
}

Test(forward, cycles_are_refused)
{
	enum {
		N = 100
	};
	struct stasis_topic *topics[N];
	struct stasis_forward *middle = NULL;

	topics_make(topics, N);
	for (int i = 0; i < N; i++)
		expect_loop(topics[i], topics[i]);
	for (int i = 0; i + 1 < N; i++) {
		struct stasis_forward *forward = lead(topics[i], topics[i + 1]);

		expect_loop(topics[i + 1], topics[i]);
		if (i == N / 2)
			middle = forward;
		else
			stasis_object_unref(forward);
	}
	for (int i = 1; i < N; i++)
		expect_loop(topics[i], topics[0]);
	cancel(middle);
	/* Now it closes none; but then the other does. */
	middle = lead(topics[N - 1], topics[0]);
	expect_loop(topics[N / 2], topics[N / 2 + 1]);
	cancel(middle);
	lead_for_good(topics[N / 2], topics[N / 2 + 1]);
	expect_loop(topics[N - 1], topics[0]);
	topics_drop(topics, N);
}

Test(forward, refusal_leaves_nothing_behind)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *to = stasis_topic_create("to");
	struct probe probe = { 0 };
	struct stasis_subscription *sub;
	struct stasis_stats stats = { 0 };

	lead_for_good(bus.topic, to);
	for (int i = 0; i < 10; i++)
		expect_loop(to, bus.topic);
	cr_assert_eq(stasis_object_refs(bus.topic), 1);
	cr_assert_eq(stasis_object_refs(to), 2);
	cr_assert_eq(stasis_stats_read(to, &stats), 0);
	cr_assert_eq(stats.forwards, 0);
	sub = bus_subscribe(&bus, &probe);
	cr_assert_eq(publish_data(to, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 0);
	bus_close(&bus);
	stasis_object_unref(to);
}

Test(forward, direction_may_change_any_number_of_times)
{
	struct stasis_topic *topics[4];

	topics_make(topics, 4);
	lead_for_good(topics[0], topics[1]);
	lead_for_good(topics[2], topics[3]);
	for (unsigned i = 0; i < 3 * DEPTH; i++) {
		cancel(lead(topics[1], topics[2]));
		cancel(lead(topics[3], topics[0]));
		cancel(lead(topics[i % 4], topics[(i + 2) % 4]));
	}
	topics_drop(topics, 4);
}

/* Ends of a chain that is as long as may be: nothing may be added at either. */
static void check_longest(struct stasis_topic **topics, struct stasis_forward **forwards)
{
	struct stasis_topic *more = stasis_topic_create("more");

	expect_loop(topics[DEPTH], more);
	expect_loop(more, topics[0]);
	expect_loop(topics[DEPTH], topics[0]);
	/* Beside it there is room. */
	cancel(lead(more, topics[1]));
	cancel(lead(topics[DEPTH - 1], more));
	cancel(forwards[DEPTH / 3]);
	lead_for_good(topics[DEPTH], more);
	expect_loop(topics[DEPTH / 3], topics[DEPTH / 3 + 1]);
	forwards[DEPTH / 3] = lead(topics[DEPTH / 3 + 1], topics[0]);
	topics_drop(&more, 1);
}

/* Makes forwards[i] from topics[i] to topics[i + 1], in the order that the table gives. */
static void run_depth(const unsigned *order)
{
	static struct stasis_topic *topics[DEPTH + 1];
	static struct stasis_forward *forwards[DEPTH];

	topics_make(topics, DEPTH + 1);
	for (unsigned i = 0; i < DEPTH; i++)
		forwards[order[i]] = lead(topics[order[i]], topics[order[i] + 1]);
	check_longest(topics, forwards);
	for (unsigned i = 0; i < DEPTH; i++)
		cancel(forwards[i]);
	topics_drop(topics, DEPTH + 1);
}

Test(forward, depth_is_limited_whatever_the_order_it_is_made_in)
{
	static unsigned order[DEPTH];
	unsigned seed = 7;

	for (unsigned i = 0; i < DEPTH; i++)
		order[i] = i;
	run_depth(order);
	for (unsigned i = 0; i < DEPTH; i++)
		order[i] = DEPTH - 1 - i;
	run_depth(order);
	/* Two halves, the one from the top and the other from the bottom, and the middle last. */
	for (unsigned i = 0; i < DEPTH / 2; i++) {
		order[i] = i;
		order[DEPTH / 2 + i] = DEPTH - 1 - i;
	}
	run_depth(order);
	for (unsigned i = DEPTH - 1; i > 0; i--) {
		unsigned j = (seed = seed * 1103515245 + 12345) / 65536 % (i + 1);
		unsigned other = order[j];

		order[j] = order[i];
		order[i] = other;
	}
	run_depth(order);
}

Test(forward, halves_that_are_too_long_together_are_refused)
{
	enum {
		HALF = DEPTH / 2
	};
	static struct stasis_topic *a[HALF + 1], *b[HALF + 1];
	struct stasis_forward *first = NULL;

	topics_make(a, HALF + 1);
	topics_make(b, HALF + 1);
	for (int i = 0; i < HALF; i++) {
		struct stasis_forward *forward = lead(a[i], a[i + 1]);

		lead_for_good(b[i], b[i + 1]);
		if (i == 0)
			first = forward;
		else
			stasis_object_unref(forward);
	}
	/* 512 and 1 and 512. */
	expect_loop(a[HALF], b[0]);
	cancel(first);
	lead_for_good(a[HALF], b[0]);
	expect_loop(a[0], a[1]);
	topics_drop(a, HALF + 1);
	topics_drop(b, HALF + 1);
}

/* F leads down to where paths become too long by one, found out when some heights upstream of it
 * have been raised and others not:
 *
 *   z -> w -> x -> F
 *   z -> v ------> F
 */
static void run_refused_by_depth(bool v_last)
{
	static struct stasis_topic *below[DEPTH - 2], *above[DEPTH - 3];
	struct stasis_topic *topics[5], *z, *w, *v, *x, *f;

	topics_make(topics, 5);
	z = topics[0], w = topics[1], v = topics[2], x = topics[3], f = topics[4];
	lead_for_good(z, w);
	lead_for_good(z, v);
	lead_for_good(w, x);
	if (!v_last)
		lead_for_good(v, f);
	lead_for_good(x, f);
	if (v_last)
		lead_for_good(v, f);
	topics_make(below, DEPTH - 2);
	for (unsigned i = 0; i + 1 < DEPTH - 2; i++)
		lead_for_good(below[i], below[i + 1]);
	expect_loop(f, below[0]);
	/* All is as it was: z is three from the end, so there may be 1021 above it. */
	topics_make(above, DEPTH - 3);
	lead_for_good(above[0], z);
	for (unsigned i = 1; i < DEPTH - 3; i++)
		lead_for_good(above[i], above[i - 1]);
	expect_loop(below[0], above[DEPTH - 4]);
	topics_drop(above, DEPTH - 3);
	topics_drop(topics, 5);
	topics_drop(below, DEPTH - 2);
}

Test(forward, refusal_for_depth_leaves_depths_as_they_were)
{
	run_refused_by_depth(false);
	run_refused_by_depth(true);
}
