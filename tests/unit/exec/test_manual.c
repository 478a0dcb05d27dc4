/* SPDX-License-Identifier: BSD-2-Clause */
/* test_manual.c — executors that somebody else's loop runs: the descriptor, and running */

#include <fcntl.h>
#include <stdlib.h>

#include "exec/executor.h"
#include "manual_fixture.h"

/* --- the descriptor --- */

Test(manual, a_fresh_one_is_not_readable)
{
	struct loop loop = loop_open();

	cr_assert(!readable(&loop));
	cr_assert_eq(run_all(&loop), 0);
	cr_assert(!readable(&loop));
	cr_assert_eq(stasis_executor_fd(loop.executor), loop.fd);
	cr_assert(fcntl(loop.fd, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(loop.fd, F_GETFD) & FD_CLOEXEC);
	loop_close(&loop);
}

Test(manual, readable_from_publish_to_run)
{
	struct loop loop = loop_open();
	struct probe probe = { 0 };
	struct stasis_subscription *sub = loop_subscribe(&loop, &probe);

	for (uint64_t i = 0; i < 100; i++) {
		cr_assert(!readable(&loop));
		cr_assert_eq(publish_data(loop.topic, 0, 3 * i, 3), 0);
		cr_assert(readable(&loop));
		cr_assert_eq(probe.n_data, 3 * i);
		cr_assert_eq(run_all(&loop), 3);
		cr_assert_eq(probe.n_data, 3 * i + 3);
	}
	cr_assert(!readable(&loop));
	cr_assert_eq(probe.n_out_of_order, 0);
	cr_assert(pthread_equal(probe.last_thread, pthread_self()));
	loop_unsubscribe(&loop, sub);
	loop_close(&loop);
}

Test(manual, readable_until_the_last_has_been_delivered)
{
	struct loop loop = loop_open();
	struct probe probes[2] = { 0 };
	struct stasis_subscription *subs[2] = { loop_subscribe(&loop, &probes[0]),
						loop_subscribe(&loop, &probes[1]) };
	size_t made = 0;

	cr_assert_eq(publish_data(loop.topic, 0, 0, 10), 0);
	for (size_t max = 1; made < 20; max++) {
		size_t expected = max < 20 - made ? max : 20 - made;

		cr_assert(readable(&loop));
		cr_assert_eq(stasis_executor_run(loop.executor, 0), 0);
		cr_assert(readable(&loop));
		cr_assert_eq(stasis_executor_run(loop.executor, max), (int)expected);
		made += expected;
		cr_assert_eq(probes[0].n_data + probes[1].n_data, made);
	}
	cr_assert(!readable(&loop));
	/* As many as asked for, and no more were there: not readable either. */
	cr_assert_eq(publish_data(loop.topic, 0, 10, 5), 0);
	cr_assert_eq(stasis_executor_run(loop.executor, 10), 10);
	cr_assert(!readable(&loop));
	for (int i = 0; i < 2; i++)
		loop_unsubscribe(&loop, subs[i]);
	loop_close(&loop);
}

Test(manual, readable_at_the_ends_of_a_subscription)
{
	struct loop loop = loop_open();
	struct probe probe = { 0 };
	struct stasis_subscription *sub = subscribe_on(loop.topic, &probe, loop.executor);

	cr_assert(readable(&loop));
	cr_assert_eq(probe.n_calls, 0);
	cr_assert_eq(run_all(&loop), 1);
	cr_assert_eq(probe.n_subscribes, 1);
	cr_assert(!readable(&loop));
	cr_assert_eq(publish_data(loop.topic, 0, 0, 1), 0);
	stasis_unsubscribe(stasis_object_ref(sub));
	cr_assert(readable(&loop));
	cr_assert_eq(stasis_subscription_is_done(sub), 0);
	/* The final message is one like any other. */
	cr_assert_eq(stasis_executor_run(loop.executor, 1), 1);
	cr_assert_eq(probe.n_data, 1);
	cr_assert_eq(probe.n_finals, 0);
	cr_assert(readable(&loop));
	cr_assert_eq(stasis_executor_run(loop.executor, 1), 1);
	cr_assert_eq(probe.n_finals, 1);
	cr_assert_eq(stasis_subscription_is_done(sub), 1);
	cr_assert(!readable(&loop));
	cr_assert_eq(run_all(&loop), 0);
	stasis_object_unref(sub);
	loop_close(&loop);
}

Test(manual, belongs_to_the_executor_alone)
{
	struct loop one = loop_open(), other = loop_open();
	struct probe probe = { 0 };
	struct stasis_subscription *sub = loop_subscribe(&one, &probe);

	cr_assert_neq(one.fd, other.fd);
	cr_assert_eq(publish_data(one.topic, 0, 0, 1), 0);
	cr_assert(!readable(&other));
	cr_assert_eq(run_all(&other), 0);
	cr_assert(readable(&one));
	loop_unsubscribe(&one, sub);
	loop_close(&one);
	loop_close(&other);
}

/* --- running --- */

Test(manual, subscriptions_take_turns)
{
	enum {
		N = 3,
		BATCH = 4
	};
	struct loop loop = loop_open();
	struct probe probes[N] = { 0 };
	struct stasis_subscription *subs[N];

	for (int i = 0; i < N; i++) {
		subs[i] = stasis_subscribe_with(
			loop.topic, probe_callback, &probes[i],
			&(struct stasis_subscribe_options){ .executor = loop.executor,
							    .batch = BATCH });
		cr_assert_not_null(subs[i]);
	}
	cr_assert_gt(run_all(&loop), 0);
	cr_assert_eq(publish_data(loop.topic, 0, 0, 20), 0);
	for (size_t round = 1; round <= 5; round++) {
		cr_assert_eq(stasis_executor_run(loop.executor, (size_t)N * BATCH), N * BATCH);
		for (int i = 0; i < N; i++)
			cr_assert_eq(probes[i].n_data, round * BATCH);
	}
	cr_assert(!readable(&loop));
	for (int i = 0; i < N; i++)
		loop_unsubscribe(&loop, subs[i]);
	loop_close(&loop);
}

Test(manual, more_subscriptions_than_the_queue_has_slots)
{
	enum {
		N = 1100 /* each tells all before it */
	};
	struct loop loop = loop_open();
	struct probe *probes = calloc(N, sizeof(*probes));
	struct stasis_subscription **subs = calloc(N, sizeof(*subs));
	int made = 0, n;

	cr_assert_not_null(probes);
	cr_assert_not_null(subs);
	for (int i = 0; i < N; i++) {
		subs[i] = subscribe_on(loop.topic, &probes[i], loop.executor);
		cr_assert_not_null(subs[i]);
		/* Not the square of it. */
		cr_assert_gt(run_all(&loop), 0);
	}
	cr_assert_eq(publish_data(loop.topic, 0, 0, 2), 0);
	while ((n = stasis_executor_run(loop.executor, 7)) > 0) {
		made += n;
		cr_assert_eq(readable(&loop), made < 2 * N);
	}
	cr_assert_eq(made, 2 * N);
	for (int i = 0; i < N; i++) {
		cr_assert_eq(probes[i].n_data, 2);
		cr_assert_eq(probes[i].n_out_of_order, 0);
		loop_unsubscribe(&loop, subs[i]);
	}
	free(subs);
	free(probes);
	loop_close(&loop);
}

static void publish_more(struct probe *probe, struct stasis_subscription *sub,
			 struct stasis_topic *topic, struct stasis_message *message)
{
	if (probe->n_data < 10)
		publish_data(topic, 0, probe->n_data, 1);
}

Test(manual, what_callbacks_publish_counts)
{
	struct loop loop = loop_open();
	struct probe probe = { .on_data = publish_more };
	struct stasis_subscription *sub = loop_subscribe(&loop, &probe);

	cr_assert_eq(publish_data(loop.topic, 0, 0, 1), 0);
	cr_assert_eq(stasis_executor_run(loop.executor, 4), 4);
	cr_assert(readable(&loop));
	cr_assert_eq(run_all(&loop), 6);
	cr_assert(!readable(&loop));
	cr_assert_eq(probe.n_data, 10);
	cr_assert_eq(probe.n_out_of_order, 0);
	loop_unsubscribe(&loop, sub);
	loop_close(&loop);
}

Test(manual, references_are_dropped_when_run_returns)
{
	struct loop loop = loop_open();
	struct stasis_message *message = datum_message(0, 0);
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];

	for (int i = 0; i < 3; i++)
		subs[i] = loop_subscribe(&loop, &probes[i]);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(stasis_publish(loop.topic, message), 0);
	for (unsigned left = 15; left > 0; left--) {
		cr_assert_eq(stasis_object_refs(message), 1 + left);
		cr_assert_eq(stasis_executor_run(loop.executor, 1), 1);
	}
	cr_assert_eq(stasis_object_refs(message), 1);
	for (int i = 0; i < 3; i++)
		loop_unsubscribe(&loop, subs[i]);
	stasis_object_unref(message);
	loop_close(&loop);
}

struct nested {
	struct loop *loop;
	size_t max;
	int result;
	bool was_readable, is_readable;
	int drained;
};

static void run_nested(struct probe *probe, struct stasis_subscription *sub,
		       struct stasis_topic *topic, struct stasis_message *message)
{
	struct nested *nested = probe->user;

	if (probe->n_data != 1)
		return;
	nested->was_readable = readable(nested->loop);
	nested->result = stasis_executor_run(nested->loop->executor, nested->max);
	nested->is_readable = readable(nested->loop);
	nested->drained = stasis_executor_drain(nested->loop->executor);
}

Test(manual, run_inside_a_callback_delivers_the_others)
{
	struct loop loop = loop_open();
	struct nested nested = { .loop = &loop, .max = SIZE_MAX };
	struct probe outer = { .on_data = run_nested, .user = &nested }, inner[2] = { 0 };
	struct stasis_subscription *sub = loop_subscribe(&loop, &outer);
	struct stasis_subscription *subs[2] = { loop_subscribe(&loop, &inner[0]),
						loop_subscribe(&loop, &inner[1]) };

	cr_assert_eq(publish_data(loop.topic, 0, 0, 4), 0);
	/* The outer one is in its callback: 3 of its messages wait for that to return. */
	cr_assert_eq(run_all(&loop), 4);
	cr_assert_eq(nested.result, 8);
	cr_assert(nested.was_readable);
	cr_assert(!nested.is_readable);
	cr_assert_eq(nested.drained, -EDEADLK);
	cr_assert(!readable(&loop));
	cr_assert_eq(outer.n_data, 4);
	cr_assert_eq(outer.overlaps, 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(inner[i].n_data, 4);
		loop_unsubscribe(&loop, subs[i]);
	}
	loop_unsubscribe(&loop, sub);
	loop_close(&loop);
}

Test(manual, what_a_nested_run_did_not_see_is_announced)
{
	struct loop loop = loop_open();
	struct nested nested = { .loop = &loop, .max = SIZE_MAX };
	struct probe probe = { .on_data = run_nested, .user = &nested };
	struct stasis_subscription *sub = loop_subscribe(&loop, &probe);

	cr_assert_eq(publish_data(loop.topic, 0, 0, 4), 0);
	/* The nested run clears the descriptor; the outer one leaves 2 behind. */
	cr_assert_eq(stasis_executor_run(loop.executor, 2), 2);
	cr_assert_eq(nested.result, 0);
	cr_assert(!nested.is_readable);
	cr_assert(readable(&loop));
	cr_assert_eq(run_all(&loop), 2);
	cr_assert(!readable(&loop));
	loop_unsubscribe(&loop, sub);
	loop_close(&loop);
}

/* --- several threads --- */

enum {
	RUNNERS = 4,
	SUBS = 5,
	MESSAGES = 2000
};

static void *run_in_crowd(void *arg)
{
	struct member *member = arg;
	struct crowd *crowd = member->crowd;

	while (atomic_load(&crowd->made) < crowd->expected) {
		int n = stasis_executor_run(crowd->loop.executor, 1 + member->number * 7);

		if (n < 0)
			member->result = n;
		atomic_fetch_add(&crowd->made, n);
	}
	return NULL;
}

static void *publish_to_crowd(void *arg)
{
	struct member *member = arg;

	member->result = publish_data(member->crowd->loop.topic, member->number, 0, MESSAGES);
	return NULL;
}

static void *crowd_member(void *arg)
{
	struct member *member = arg;

	return member->number < RUNNERS ? run_in_crowd(arg) : publish_to_crowd(arg);
}

Test(manual, several_threads_run_it_at_once)
{
	struct crowd crowd = { .loop = loop_open(), .expected = 2 * MESSAGES * SUBS };
	static struct probe probes[SUBS];
	struct stasis_subscription *subs[SUBS];
	struct member members[RUNNERS + 2];
	struct stasis_stats stats = { 0 };

	for (int i = 0; i < SUBS; i++)
		subs[i] = loop_subscribe(&crowd.loop, &probes[i]);
	for (uint64_t i = 0; i < RUNNERS + 2; i++)
		members[i] = (struct member){ .crowd = &crowd, .number = i };
	run_threads(RUNNERS + 2, crowd_member, members, sizeof(members[0]));
	for (int i = 0; i < RUNNERS + 2; i++)
		cr_assert_eq(members[i].result, 0);
	cr_assert_eq(atomic_load(&crowd.made), crowd.expected);
	cr_assert_eq(run_all(&crowd.loop), 0);
	cr_assert(!readable(&crowd.loop));
	for (int i = 0; i < SUBS; i++) {
		cr_assert_eq(probes[i].n_data, 2 * MESSAGES);
		cr_assert_eq(probes[i].n_out_of_order, 0);
		cr_assert_eq(probes[i].overlaps, 0);
		loop_unsubscribe(&crowd.loop, subs[i]);
		cr_assert_eq(probes[i].n_finals, 1);
	}
	cr_assert_eq(stasis_stats_read(crowd.loop.executor, &stats), 0);
	cr_assert_eq(stats.threads, 0);
	cr_assert_gt(stats.turns, 0);
	loop_close(&crowd.loop);
}

Test(manual, a_callback_that_does_not_return_holds_up_its_thread_alone)
{
	struct crowd crowd = { .loop = loop_open() };
	struct loop *loop = &crowd.loop;
	struct stasis_topic *stuck = stasis_topic_create("stuck");
	struct gate hold = GATE_INIT;
	struct probe blocked = { .hold = &hold }, probe = { 0 };
	struct stasis_subscription *sub = loop_subscribe(loop, &probe);
	struct stasis_subscription *held = subscribe_on(stuck, &blocked, loop->executor);
	struct member member = { .crowd = &crowd };
	pthread_t thread;

	cr_assert_eq(run_all(loop), 1);
	cr_assert_eq(publish_data(stuck, 0, 0, 2), 0);
	cr_assert_eq(pthread_create(&thread, NULL, run_once, &member), 0);
	gate_await(&hold, 1);
	/* It had no time to say that it has taken all there was. */
	cr_assert_eq(run_all(loop), 0);
	cr_assert(!readable(loop));
	cr_assert_eq(publish_data(loop->topic, 0, 0, 3), 0);
	/* For the one in the callback, this is no news: its queue is its own. */
	cr_assert_eq(publish_data(stuck, 0, 2, 1), 0);
	cr_assert(readable(loop));
	cr_assert_eq(run_all(loop), 3);
	cr_assert_eq(probe.n_data, 3);
	cr_assert(!readable(loop));
	gate_open(&hold);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(member.result, 3);
	cr_assert(!member.readable);
	cr_assert_eq(blocked.n_data, 3);
	loop_unsubscribe(loop, sub);
	loop_unsubscribe(loop, held);
	stasis_object_unref(stuck);
	loop_close(loop);
}

static void *ask_may_run(void *arg)
{
	struct member *member = arg;

	member->result = sti_executor_may_run(member->crowd->loop.executor);
	return NULL;
}

static bool another_may_run(struct crowd *crowd)
{
	struct member member = { .crowd = crowd };

	run_threads(1, ask_may_run, &member, sizeof(member));
	return member.result != 0;
}

Test(manual, who_may_run_it_for_others)
{
	struct crowd crowd = { .loop = loop_open() };
	struct member member = { .crowd = &crowd };
	struct stasis_executor *pool = executor_with(1);

	cr_assert(!sti_executor_may_run(pool));
	cr_assert(sti_executor_may_run(crowd.loop.executor));
	cr_assert(another_may_run(&crowd));
	/* Who drains does not take it over. */
	cr_assert_eq(stasis_executor_drain(crowd.loop.executor), 0);
	cr_assert(another_may_run(&crowd));
	cr_assert_eq(run_all(&crowd.loop), 0);
	cr_assert(sti_executor_may_run(crowd.loop.executor));
	cr_assert(!another_may_run(&crowd));
	run_threads(1, run_once, &member, sizeof(member));
	cr_assert_eq(member.result, 0);
	cr_assert_eq(stasis_executor_drain(crowd.loop.executor), 0);
	cr_assert(!sti_executor_may_run(crowd.loop.executor));
	cr_assert_eq(run_all(&crowd.loop), 0);
	cr_assert(sti_executor_may_run(crowd.loop.executor));
	loop_close(&crowd.loop);
	stasis_executor_shutdown(pool);
}
