/* SPDX-License-Identifier: BSD-2-Clause */
/* test_publish_sync.c — publishing and waiting for one callback: where it runs, when it returns,
 * what is refused */

#include <stdlib.h>

#include "sync_fixture.h"

/* The latest there is: 2038 on many a 32-bit machine. */
#define TIME_MAX ((time_t)(sizeof(time_t) == 8 ? INT64_MAX : INT32_MAX))

/* A subscription with a topic of its own that passes what it is given by publisher 0 on. */
struct node {
	struct probe probe;
	struct stasis_topic *topic;
	struct stasis_subscription *sub;
	struct node *next;
	struct gate *meet; /* to be passed before it passes on */
	const struct timespec *timeout;
	int result; /* of passing on */
};

static void pass_on(struct probe *probe, struct stasis_subscription *sub,
		    struct stasis_topic *topic, struct stasis_message *message)
{
	struct node *node = probe->user;
	const struct datum *datum = stasis_message_data(message);

	if (datum->publisher != 0 || node->next == NULL)
		return;
	if (node->meet != NULL)
		gate_pass(node->meet);
	node->result = sync_datum(node->next->sub, 0, datum->seq, node->timeout);
}

static void node_open(struct node *node, struct stasis_executor *executor, struct node *next)
{
	*node = (struct node){ .next = next, .result = 12345 };
	node->probe.user = node;
	node->probe.on_data = pass_on;
	node->topic = stasis_topic_create("node");
	node->sub = subscribe_on(node->topic, &node->probe, executor);
	cr_assert_not_null(node->sub);
}

static void node_close(struct node *node, size_t n_data)
{
	stasis_unsubscribe_and_join(node->sub);
	check_ended(&node->probe, n_data);
	stasis_object_unref(node->topic);
}

/* --- where and when --- */

Test(publish_sync, idle_subscription_is_run_on_the_callers_thread)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *message = datum_message(0, 0);

	bus_drain(&bus);
	cr_assert_eq(stasis_publish_sync(sub, message), 0);
	cr_assert_eq(probe.n_data, 1);
	cr_assert(pthread_equal(probe.last_thread, pthread_self()));
	cr_assert_eq(stasis_object_refs(message), 1);
	cr_assert_eq(published(bus.topic), 1);
	stasis_object_unref(message);
	/* With a timeout it is left to a worker. */
	cr_assert_eq(sync_datum(sub, 0, 1, &(struct timespec){ .tv_sec = 100 }), 0);
	cr_assert_eq(probe.n_data, 2);
	cr_assert(!pthread_equal(probe.last_thread, pthread_self()));
	cr_assert_eq(sync_datum(sub, 0, 2, &(struct timespec){ .tv_sec = TIME_MAX }), 0);
	cr_assert_eq(sync_datum(sub, 0, 3, NULL), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 4);
	bus_close(&bus);
}

Test(publish_sync, busy_subscription_handles_it_in_turn)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct caller caller = { .sub = sub, .publisher = 0, .seq = 3 };

	cr_assert_eq(publish_data(bus.topic, 0, 0, 3), 0);
	gate_await(&hold, 1);
	caller_start(&caller);
	await_published(bus.topic, 4);
	cr_assert_eq(publish_data(bus.topic, 0, 4, 3), 0);
	cr_assert_eq(probe.n_data, 1);
	gate_open(&hold);
	cr_assert_eq(caller_join(&caller), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 7);
	bus_close(&bus);
}

static void *call_often(void *arg)
{
	struct caller *caller = arg;

	for (caller->seq = 0; caller->seq < 300; caller->seq++)
		caller->result |= sync_datum(caller->sub, caller->publisher, caller->seq, NULL);
	return NULL;
}

Test(publish_sync, of_many_threads_never_overlaps)
{
	struct bus bus = bus_open(2);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct caller callers[8];

	for (uint64_t i = 0; i < 8; i++)
		callers[i] = (struct caller){ .sub = sub, .publisher = i };
	run_threads(8, call_often, callers, sizeof(callers[0]));
	for (int i = 0; i < 8; i++)
		cr_assert_eq(callers[i].result, 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 2400);
	bus_close(&bus);
}

Test(publish_sync, reaches_all_others_too)
{
	struct bus bus = bus_open(2);
	struct stasis_topic *all = stasis_topic_create("all");
	struct stasis_forward *forward = stasis_forward_all(bus.topic, all);
	struct probe probes[4] = { 0 };
	struct stasis_subscription *subs[4];
	struct stasis_message_type *other = stasis_message_type_create("other");

	cr_assert_not_null(forward);
	subs[0] = bus_subscribe(&bus, &probes[0]);
	subs[1] = bus_subscribe(&bus, &probes[1]);
	subs[2] = subscribe_on(all, &probes[2], bus.executor);
	/* Declines it, and does not count. */
	subs[3] = bus_subscribe(&bus, &probes[3]);
	cr_assert_eq(stasis_subscription_accept_message_type(subs[3], other), 0);
	cr_assert_eq(stasis_subscription_set_filter(subs[3], STASIS_SUBSCRIPTION_FILTER_SELECTIVE),
		     0);
	for (uint64_t i = 0; i < 100; i += 2) {
		cr_assert_eq(sync_datum(subs[0], 0, i, NULL), 0);
		cr_assert_eq(publish_data(bus.topic, 0, i + 1, 1), 0);
	}
	/* Nor does it keep others from getting what it does not want itself. */
	cr_assert_eq(sync_datum(subs[3], 0, 100, NULL), 0);
	bus_drain(&bus);
	cr_assert_eq(probes[3].n_data, 0);
	for (int i = 0; i < 4; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		cr_assert_eq(probes[i].n_data, i == 3 ? 0 : 101);
		cr_assert_eq(probes[i].n_out_of_order, 0);
	}
	stasis_forward_cancel(forward);
	stasis_object_unref(all);
	bus_close(&bus);
}

/* --- inside callbacks --- */

static void run_chain(unsigned threads)
{
	struct stasis_executor *executor = executor_with(threads);
	static struct node nodes[40];

	for (int i = 39; i >= 0; i--)
		node_open(&nodes[i], executor, i < 39 ? &nodes[i + 1] : NULL);
	for (uint64_t round = 0; round < 50; round++)
		cr_assert_eq(publish_data(nodes[0].topic, 0, round, 1), 0);
	cr_assert_eq(sync_datum(nodes[0].sub, 0, 50, NULL), 0);
	for (int i = 0; i < 40; i++) {
		cr_assert(i == 39 || nodes[i].result == 0);
		node_close(&nodes[i], 51);
	}
	stasis_executor_shutdown(executor);
}

Test(publish_sync, nests_deeper_than_a_pool_of_1)
{
	run_chain(1);
}

Test(publish_sync, nests_deeper_than_a_pool_of_2)
{
	run_chain(2);
}

/* All workers wait for what is queued behind them. */
static void run_helping(unsigned threads)
{
	struct stasis_executor *executor = executor_with(threads);
	struct node waiting[2], target;
	struct gate meet = GATE_INIT;

	node_open(&target, executor, NULL);
	for (unsigned i = 0; i < threads; i++) {
		node_open(&waiting[i], executor, &target);
		waiting[i].meet = &meet;
		cr_assert_eq(publish_data(waiting[i].topic, 0, i, 1), 0);
	}
	gate_await(&meet, threads);
	cr_assert_eq(publish_data(target.topic, 1, 0, 20), 0);
	gate_open(&meet);
	for (unsigned i = 0; i < threads; i++) {
		stasis_unsubscribe_and_join(waiting[i].sub);
		cr_assert_eq(waiting[i].result, 0);
		stasis_object_unref(waiting[i].topic);
	}
	stasis_unsubscribe_and_join(target.sub);
	cr_assert_eq(target.probe.n_data, 20 + threads);
	cr_assert_eq(target.probe.overlaps, 0);
	stasis_object_unref(target.topic);
	stasis_executor_shutdown(executor);
}

Test(publish_sync, a_pool_of_1_that_waits_goes_on)
{
	run_helping(1);
}

Test(publish_sync, a_pool_of_2_that_waits_goes_on)
{
	run_helping(2);
}

/* --- circles --- */

Test(publish_sync, inside_its_own_callback_is_refused)
{
	struct stasis_executor *executor = executor_with(2);
	struct node node;

	node_open(&node, executor, &node);
	cr_assert_eq(publish_data(node.topic, 0, 0, 1), 0);
	cr_assert_eq(sync_datum(node.sub, 1, 0, NULL), 0);
	cr_assert_eq(node.result, -EDEADLK);
	cr_assert_eq(published(node.topic), 2);
	node.result = 0;
	/* Also when it runs here, and with a timeout. */
	node.timeout = &(struct timespec){ .tv_sec = 100 };
	cr_assert_eq(sync_datum(node.sub, 0, 1, NULL), 0);
	cr_assert_eq(node.result, -EDEADLK);
	node_close(&node, 3);
	stasis_executor_shutdown(executor);
}

/* Passes on the first message only. */
static void pass_on_once(struct probe *probe, struct stasis_subscription *sub,
			 struct stasis_topic *topic, struct stasis_message *message)
{
	if (probe->n_data == 1)
		pass_on(probe, sub, topic, message);
}

/* Each on its own worker, all at once: one is refused, the others get through. */
static void run_meeting(struct stasis_executor *const *executors, unsigned n, unsigned n_executors)
{
	struct node nodes[3];
	struct gate meet = GATE_INIT;
	unsigned n_refused = 0, n_data = 0;

	for (unsigned i = 0; i < n; i++)
		node_open(&nodes[i], executors[i % n_executors], &nodes[(i + 1) % n]);
	for (unsigned i = 0; i < n; i++) {
		nodes[i].meet = &meet;
		nodes[i].probe.on_data = pass_on_once;
		cr_assert_eq(publish_data(nodes[i].topic, 0, 0, 1), 0);
	}
	gate_await(&meet, n);
	gate_open(&meet);
	for (unsigned i = 0; i < n_executors; i++)
		cr_assert_eq(stasis_executor_drain(executors[i]), 0);
	for (unsigned i = 0; i < n; i++) {
		stasis_unsubscribe_and_join(nodes[i].sub);
		n_refused += nodes[i].result == -EDEADLK;
		cr_assert(nodes[i].result == 0 || nodes[i].result == -EDEADLK, "%d",
			  nodes[i].result);
		n_data += (unsigned)nodes[i].probe.n_data;
		cr_assert_eq(nodes[i].probe.overlaps, 0);
		cr_assert_eq(nodes[i].probe.n_finals, 1);
		stasis_object_unref(nodes[i].topic);
	}
	cr_assert_eq(n_refused, 1, "%u", n_refused);
	cr_assert_eq(n_data, 2 * n - 1, "%u", n_data);
}

Test(publish_sync, of_a_circle_of_2_one_is_refused)
{
	struct stasis_executor *executor = executor_with(2);

	for (int i = 0; i < 50; i++)
		run_meeting(&executor, 2, 1);
	stasis_executor_shutdown(executor);
}

Test(publish_sync, of_a_circle_of_3_one_is_refused)
{
	struct stasis_executor *executor = executor_with(3);

	for (int i = 0; i < 50; i++)
		run_meeting(&executor, 3, 1);
	stasis_executor_shutdown(executor);
}

Test(publish_sync, of_a_circle_across_executors_one_is_refused)
{
	struct stasis_executor *executors[2] = { executor_with(1), executor_with(1) };

	for (int i = 0; i < 50; i++)
		run_meeting(executors, 2, 2);
	for (int i = 0; i < 2; i++)
		stasis_executor_shutdown(executors[i]);
}

Test(publish_sync, of_a_circle_on_one_thread_the_last_is_refused)
{
	struct stasis_executor *executor = executor_with(1);
	struct node nodes[3];

	for (int i = 0; i < 3; i++)
		node_open(&nodes[i], executor, &nodes[(i + 1) % 3]);
	cr_assert_eq(stasis_executor_drain(executor), 0);
	for (uint64_t round = 0; round < 20; round++) {
		cr_assert_eq(sync_datum(nodes[0].sub, 0, round, NULL), 0);
		cr_assert_eq(nodes[0].result, 0);
		cr_assert_eq(nodes[1].result, 0);
		cr_assert_eq(nodes[2].result, -EDEADLK);
	}
	for (int i = 0; i < 3; i++)
		node_close(&nodes[i], 20);
	stasis_executor_shutdown(executor);
}

static void *publish_often(void *arg)
{
	struct node *node = arg;

	for (uint64_t seq = 0; seq < 300; seq++)
		must(publish_data(node->topic, 0, seq, 1) == 0);
	return NULL;
}

Test(publish_sync, of_many_that_wait_for_one_none_is_refused)
{
	struct stasis_executor *executor = executor_with(2);
	struct node target, nodes[4];

	node_open(&target, executor, NULL);
	for (int i = 0; i < 4; i++)
		node_open(&nodes[i], executor, &target);
	run_threads(4, publish_often, nodes, sizeof(nodes[0]));
	for (int i = 0; i < 4; i++) {
		stasis_unsubscribe_and_join(nodes[i].sub);
		check_ended(&nodes[i].probe, 300);
		cr_assert_eq(nodes[i].result, 0);
		stasis_object_unref(nodes[i].topic);
	}
	stasis_unsubscribe_and_join(target.sub);
	cr_assert_eq(target.probe.n_data, 1200);
	cr_assert_eq(target.probe.overlaps, 0);
	stasis_object_unref(target.topic);
	stasis_executor_shutdown(executor);
}

Test(publish_sync, has_a_greatest_depth)
{
	const unsigned max = STASIS_SYNC_DEPTH_MAX;
	struct stasis_executor *executor = executor_with(1);
	struct node *nodes = calloc(max + 2, sizeof(*nodes));

	for (unsigned i = max + 2; i-- > 0;)
		node_open(&nodes[i], executor, i <= max ? &nodes[i + 1] : NULL);
	cr_assert_eq(stasis_executor_drain(executor), 0);
	/* Number i + 1 inside number i; the last that is allowed reaches node max - 1. */
	cr_assert_eq(sync_datum(nodes[0].sub, 0, 0, NULL), 0);
	cr_assert_eq(nodes[max - 2].result, 0);
	cr_assert_eq(nodes[max - 1].result, -ELOOP);
	cr_assert_eq(published(nodes[max].topic), 0);
	/* On a worker it is the same; there the first is the callback's. */
	cr_assert_eq(publish_data(nodes[0].topic, 0, 1, 1), 0);
	cr_assert_eq(stasis_executor_drain(executor), 0);
	cr_assert_eq(nodes[max - 1].result, 0);
	cr_assert_eq(nodes[max].result, -ELOOP);
	for (unsigned i = 0; i < max + 2; i++) {
		stasis_unsubscribe_and_join(nodes[i].sub);
		cr_assert_eq(nodes[i].probe.n_data, i < max ? 2 : i == max, "%u", i);
		stasis_object_unref(nodes[i].topic);
	}
	free(nodes);
	stasis_executor_shutdown(executor);
}

/* --- on loops --- */

Test(publish_sync, a_loop_runs_its_own_subscriptions)
{
	struct stasis_executor *loop =
		stasis_executor_create(&(struct stasis_executor_options){
			.wait = STASIS_WAIT_MANUAL });
	struct node nodes[3];

	for (int i = 2; i >= 0; i--)
		node_open(&nodes[i], loop, i < 2 ? &nodes[i + 1] : NULL);
	cr_assert_eq(stasis_executor_run(loop, SIZE_MAX), 3);
	/* At rest, with something queued before it, and with a timeout. */
	cr_assert_eq(sync_datum(nodes[0].sub, 0, 0, NULL), 0);
	cr_assert_eq(publish_data(nodes[0].topic, 0, 1, 2), 0);
	cr_assert_eq(publish_data(nodes[1].topic, 1, 0, 2), 0);
	cr_assert_eq(sync_datum(nodes[0].sub, 0, 3, NULL), 0);
	cr_assert_eq(sync_datum(nodes[0].sub, 0, 4, &(struct timespec){ .tv_sec = 100 }), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert(i == 2 || nodes[i].result == 0);
		cr_assert(pthread_equal(nodes[i].probe.last_thread, pthread_self()));
		node_close(&nodes[i], i == 1 ? 7 : 5);
	}
	stasis_executor_shutdown(loop);
}

Test(publish_sync, from_another_thread_than_the_loops_waits_for_the_loop)
{
	struct stasis_executor *loop =
		stasis_executor_create(&(struct stasis_executor_options){
			.wait = STASIS_WAIT_MANUAL });
	struct node node;
	struct caller caller;

	node_open(&node, loop, NULL);
	cr_assert_eq(stasis_executor_run(loop, SIZE_MAX), 1);
	for (uint64_t i = 0; i < 50; i++) {
		caller = (struct caller){ .sub = node.sub, .seq = i };
		caller_start(&caller);
		while (node.probe.n_data == i)
			stasis_executor_run(loop, 1);
		cr_assert(pthread_equal(node.probe.last_thread, pthread_self()));
		cr_assert_eq(caller_join(&caller), 0);
	}
	/* Nobody runs it: the time runs out, and it is delivered later. */
	caller = (struct caller){
		.sub = node.sub, .seq = 50, .timeout = &(struct timespec){ 0, 1000 }
	};
	caller_start(&caller);
	cr_assert_eq(caller_join(&caller), -ETIMEDOUT);
	node_close(&node, 51);
	stasis_executor_shutdown(loop);
}

/* The loop waits for a pool, whose callback waits for the loop. */
Test(publish_sync, a_loop_that_waits_inside_a_callback_is_run)
{
	struct stasis_executor *pool = executor_with(1);
	struct stasis_executor *loop =
		stasis_executor_create(&(struct stasis_executor_options){
			.wait = STASIS_WAIT_MANUAL });
	struct node nodes[3];

	node_open(&nodes[2], loop, NULL);
	node_open(&nodes[1], pool, &nodes[2]);
	node_open(&nodes[0], loop, &nodes[1]);
	nodes[0].timeout = &(struct timespec){ .tv_sec = 100 };
	cr_assert_eq(stasis_executor_run(loop, SIZE_MAX), 2);
	for (uint64_t i = 0; i < 50; i++) {
		cr_assert_eq(publish_data(nodes[0].topic, 0, i, 1), 0);
		cr_assert_gt(stasis_executor_run(loop, SIZE_MAX), 0);
		cr_assert_eq(nodes[0].result, 0, "%d", nodes[0].result);
		cr_assert_eq(nodes[1].result, 0, "%d", nodes[1].result);
		cr_assert(pthread_equal(nodes[2].probe.last_thread, pthread_self()));
	}
	for (int i = 0; i < 3; i++)
		node_close(&nodes[i], 50);
	stasis_executor_shutdown(loop);
	stasis_executor_shutdown(pool);
}
