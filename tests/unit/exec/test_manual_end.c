/* SPDX-License-Identifier: BSD-2-Clause */
/* test_manual_end.c — executors without threads: drain, shutdown, and what cannot be had */

#include <sys/resource.h>

#include "faulty.h"
#include "manual_fixture.h"
#include "sync/rcu.h"

/* What is opened and allocated once and for all. */
static void open_and_close(void)
{
	struct loop loop = loop_open();

	loop_close(&loop);
}

/* --- drain and shutdown --- */

Test(manual_end, drain_runs_it)
{
	struct loop loop = loop_open();
	struct probe probes[2] = { 0 };
	struct stasis_subscription *subs[2];
	struct stasis_message *message = datum_message(0, 0);

	for (int i = 0; i < 2; i++)
		subs[i] = subscribe_on(loop.topic, &probes[i], loop.executor);
	for (size_t round = 1; round <= 20; round++) {
		for (int i = 0; i < 50; i++)
			cr_assert_eq(stasis_publish(loop.topic, message), 0);
		cr_assert_eq(stasis_executor_drain(loop.executor), 0);
		cr_assert_eq(stasis_object_refs(message), 1);
		for (int i = 0; i < 2; i++)
			cr_assert_eq(probes[i].n_data, round * 50);
		cr_assert(pthread_equal(probes[0].last_thread, pthread_self()));
	}
	stasis_object_unref(message);
	cr_assert(!readable(&loop));
	for (int i = 0; i < 2; i++)
		stasis_unsubscribe(stasis_object_ref(subs[i]));
	cr_assert_eq(stasis_executor_drain(loop.executor), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(probes[i].n_finals, 1);
		stasis_object_unref(subs[i]);
	}
	loop_close(&loop);
}

static void *drain_crowd(void *arg)
{
	struct member *member = arg;

	member->result = stasis_executor_drain(member->crowd->loop.executor);
	return NULL;
}

static void *shut_crowd_down(void *arg)
{
	struct member *member = arg;

	stasis_executor_shutdown(stasis_object_ref(member->crowd->loop.executor));
	return NULL;
}

/* One thread is in a callback; end() is called on another, and must wait for it. */
static void end_during_callback(void *(*end)(void *arg))
{
	struct crowd crowd = { .loop = loop_open() };
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = loop_subscribe(&crowd.loop, &probe);
	struct stasis_message *message = datum_message(0, 0);
	struct member members[2] = { { .crowd = &crowd }, { .crowd = &crowd, .result = 1 } };
	pthread_t runner, ender;

	cr_assert_eq(stasis_publish(crowd.loop.topic, message), 0);
	cr_assert_eq(pthread_create(&runner, NULL, run_once, &members[0]), 0);
	gate_await(&hold, 1);
	cr_assert_eq(pthread_create(&ender, NULL, end, &members[1]), 0);
	cr_assert_eq(pthread_tryjoin_np(ender, NULL), EBUSY);
	cr_assert_gt(stasis_object_refs(message), 1);
	gate_open(&hold);
	cr_assert_eq(pthread_join(ender, NULL), 0);
	/* Before the runner is joined: what the ender waited for is visible through it. */
	cr_assert_eq(probe.n_data, 1);
	cr_assert_eq(stasis_object_refs(message), 1);
	cr_assert_eq(pthread_join(runner, NULL), 0);
	cr_assert_eq(members[0].result, 1);
	stasis_object_unref(message);
	stasis_unsubscribe(stasis_object_ref(sub));
	cr_assert_eq(stasis_executor_drain(crowd.loop.executor), 0);
	cr_assert_eq(probe.n_finals, 1);
	stasis_object_unref(sub);
	loop_close(&crowd.loop);
}

Test(manual_end, drain_waits_for_the_callbacks_of_others)
{
	for (int round = 0; round < 20; round++)
		end_during_callback(drain_crowd);
}

Test(manual_end, shutdown_waits_for_the_callbacks_of_others)
{
	for (int round = 0; round < 20; round++)
		end_during_callback(shut_crowd_down);
}

Test(manual_end, shutdown_delivers_what_is_queued)
{
	struct loop loop = loop_open();
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];

	for (int i = 0; i < 3; i++)
		subs[i] = subscribe_on(loop.topic, &probes[i], loop.executor);
	cr_assert_eq(publish_data(loop.topic, 0, 0, 1000), 0);
	cr_assert_null(stasis_executor_shutdown(stasis_object_ref(loop.executor)));
	cr_assert(!readable(&loop));
	cr_assert_eq(publish_data(loop.topic, 0, 1000, 1), 3);
	cr_assert(!readable(&loop));
	cr_assert_eq(run_all(&loop), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(probes[i].n_data, 1000);
		cr_assert_eq(probes[i].n_finals, 0);
		/* Within the call. */
		stasis_unsubscribe(subs[i]);
		cr_assert_eq(probes[i].n_finals, 1);
		cr_assert_eq(probes[i].n_out_of_order, 0);
	}
	errno = 0;
	cr_assert_null(subscribe_on(loop.topic, &probes[0], loop.executor));
	cr_assert_eq(errno, ESHUTDOWN);
	loop_close(&loop);
}

Test(manual_end, shutdown_leaves_nothing_claimed)
{
	for (size_t n = 1; n <= 20; n++) {
		struct loop loop = loop_open();
		struct probe probe = { 0 };
		struct stasis_subscription *sub = stasis_subscribe_with(
			loop.topic, probe_callback, &probe,
			&(struct stasis_subscribe_options){ .executor = loop.executor,
							    .batch = 4 });

		cr_assert_eq(publish_data(loop.topic, 0, 0, n), 0);
		loop.executor = stasis_executor_shutdown(loop.executor);
		cr_assert_eq(probe.n_data, n);
		stasis_unsubscribe(sub);
		cr_assert_eq(probe.n_finals, 1, "after %zu messages", n);
		loop.topic = stasis_object_unref(loop.topic);
	}
}

struct ending {
	struct loop *loop;
	int error;
};

static void shut_down_inside(struct probe *probe, struct stasis_subscription *sub,
			     struct stasis_topic *topic, struct stasis_message *message)
{
	struct ending *ending = probe->user;

	if (probe->n_data != 1)
		return;
	errno = 0;
	stasis_executor_shutdown(stasis_object_ref(ending->loop->executor));
	ending->error = errno;
}

Test(manual_end, after_shutdown_inside_a_callback_run_delivers_the_rest)
{
	struct loop loop = loop_open();
	struct ending ending = { .loop = &loop };
	struct probe probe = { .on_data = shut_down_inside, .user = &ending };
	struct stasis_subscription *sub = loop_subscribe(&loop, &probe);

	cr_assert_eq(publish_data(loop.topic, 0, 0, 10), 0);
	cr_assert_eq(stasis_executor_run(loop.executor, 2), 2);
	cr_assert_eq(ending.error, EDEADLK);
	cr_assert_eq(publish_data(loop.topic, 0, 10, 1), 1);
	cr_assert(readable(&loop));
	cr_assert_eq(stasis_executor_run(loop.executor, 3), 3);
	cr_assert(readable(&loop));
	/* Not idle: so it is not for this thread to deliver the end at once. */
	stasis_unsubscribe(stasis_object_ref(sub));
	cr_assert_eq(probe.n_finals, 0);
	cr_assert_eq(run_all(&loop), 6);
	cr_assert(!readable(&loop));
	cr_assert_eq(probe.n_data, 10);
	cr_assert_eq(probe.n_finals, 1);
	stasis_object_unref(sub);
	loop_close(&loop);
}

static void drop_executor(struct probe *probe, struct stasis_subscription *sub,
			  struct stasis_topic *topic, struct stasis_message *message)
{
	struct loop *loop = probe->user;

	loop->executor = stasis_object_unref(loop->executor);
}

Test(manual_end, is_freed_with_its_last_reference)
{
	int before, during;

	/* What is opened once and for all. */
	open_and_close();
	before = count_entries("/proc/self/fd");
	for (int i = 0; i < 10; i++) {
		struct loop loop = loop_open();
		struct probe probe = { .on_data = drop_executor, .user = &loop };
		struct stasis_subscription *sub = subscribe_on(loop.topic, &probe, loop.executor);

		during = count_entries("/proc/self/fd");
		cr_assert_eq(during, before + 1);
		cr_assert_eq(publish_data(loop.topic, 0, 0, 1), 0);
		stasis_unsubscribe(sub);
		cr_assert_eq(run_all(&loop), 3);
		cr_assert_null(loop.executor);
		cr_assert_eq(probe.n_finals, 1);
		stasis_object_unref(loop.topic);
		/* The subscription was found in an array by publishers; it holds the executor. */
		for (int j = 0; j < 3; j++)
			sti_rcu_barrier();
		cr_assert_eq(count_entries("/proc/self/fd"), before);
	}
}

Test(manual_end, unused_and_dropped_or_shut_down_closes_its_descriptor)
{
	int before;

	open_and_close();
	before = count_entries("/proc/self/fd");
	for (int i = 0; i < 10; i++) {
		struct loop loop = loop_open();

		if (i % 2 == 0)
			stasis_executor_shutdown(loop.executor);
		else
			stasis_object_unref(loop.executor);
		stasis_object_unref(loop.topic);
		cr_assert_eq(count_entries("/proc/self/fd"), before);
	}
}

Test(manual_end, starts_no_thread)
{
	struct loop loop = loop_open(), other;
	int before = count_entries("/proc/self/task");

	other = loop_open();
	cr_assert_eq(count_entries("/proc/self/task"), before);
	loop_close(&other);
	loop_close(&loop);
}

Test(manual_end, can_be_the_default)
{
	struct loop loop = loop_open();
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	cr_assert_eq(stasis_executor_set_default(loop.executor), 0);
	sub = stasis_subscribe(loop.topic, probe_callback, &probe);
	cr_assert(readable(&loop));
	cr_assert_eq(run_all(&loop), 1);
	loop_unsubscribe(&loop, sub);
	loop_close(&loop);
}

Test(manual_end, unsubscribe_and_join_runs_it_on_the_loop_thread)
{
	struct loop loop = loop_open();
	struct probe probes[2] = { 0 };
	struct stasis_subscription *subs[2];

	/* Nobody has run it. */
	subs[0] = subscribe_on(loop.topic, &probes[0], loop.executor);
	cr_assert_eq(publish_data(loop.topic, 0, 0, 5), 0);
	errno = 0;
	stasis_unsubscribe_and_join(subs[0]);
	cr_assert_eq(errno, 0);
	cr_assert_eq(probes[0].n_data, 5);
	cr_assert_eq(probes[0].n_finals, 1);
	/* This thread runs it. */
	subs[1] = loop_subscribe(&loop, &probes[1]);
	cr_assert_eq(publish_data(loop.topic, 0, 0, 5), 0);
	errno = 0;
	stasis_unsubscribe_and_join(subs[1]);
	cr_assert_eq(errno, 0);
	cr_assert_eq(probes[1].n_data, 5);
	cr_assert_eq(probes[1].n_finals, 1);
	cr_assert_eq(run_all(&loop), 0);
	cr_assert(!readable(&loop));
	loop_close(&loop);
}

/* --- errors --- */

Test(manual_end, what_is_not_manual_is_refused)
{
	static const enum stasis_wait modes[] = { STASIS_WAIT_SPIN_PARK, STASIS_WAIT_PARK,
						  STASIS_WAIT_SPIN, STASIS_WAIT_INLINE };

	cr_assert_eq(stasis_executor_fd(NULL), -EINVAL);
	cr_assert_eq(stasis_executor_run(NULL, 1), -EINVAL);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct stasis_executor *pool = stasis_executor_create(
			&(struct stasis_executor_options){ .threads = 1, .wait = modes[i] });

		cr_assert_not_null(pool);
		cr_assert_eq(stasis_executor_fd(pool), -EINVAL);
		cr_assert_eq(stasis_executor_run(pool, 1), -EINVAL);
		cr_assert_eq(stasis_executor_run(pool, 0), -EINVAL);
		stasis_executor_shutdown(pool);
	}
}

Test(manual_end, threads_are_of_no_meaning)
{
	struct stasis_executor *executor =
		stasis_executor_create(&(struct stasis_executor_options){
			.wait = STASIS_WAIT_MANUAL, .threads = STASIS_THREADS_MAX + 1 });
	struct stasis_stats stats = { 0 };

	cr_assert_not_null(executor);
	cr_assert_eq(stasis_stats_read(executor, &stats), 0);
	cr_assert_eq(stats.threads, 0);
	stasis_executor_shutdown(executor);
}

Test(manual_end, leaves_errno_alone)
{
	struct loop loop = loop_open();
	struct probe probe = { 0 };
	struct stasis_subscription *sub = loop_subscribe(&loop, &probe);

	errno = 77;
	cr_assert_eq(publish_data(loop.topic, 0, 0, 1), 0);
	cr_assert_eq(run_all(&loop), 1);
	cr_assert_eq(run_all(&loop), 0);
	cr_assert_eq(errno, 77);
	loop_unsubscribe(&loop, sub);
	loop_close(&loop);
}

Test(manual_end, without_memory_nothing_is_left)
{
	int64_t outstanding;
	bool failed = true;
	int fds;

	faulty_install();
	open_and_close();
	outstanding = faulty_outstanding();
	fds = count_entries("/proc/self/fd");
	for (uint64_t n = 0; failed; n++) {
		struct stasis_executor *executor;

		faulty_arm(n, false);
		errno = 0;
		executor = stasis_executor_create(
			&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
		failed = faulty_disarm();
		cr_assert_eq(executor == NULL, failed);
		if (executor == NULL)
			cr_assert_eq(errno, ENOMEM, "%s", strerror(errno));
		else
			stasis_executor_shutdown(executor);
		cr_assert_eq(faulty_outstanding(), outstanding);
		cr_assert_eq(count_entries("/proc/self/fd"), fds);
		cr_assert_lt(n, 10);
	}
}

Test(manual_end, runs_without_memory)
{
	struct loop loop;
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	faulty_install();
	loop = loop_open();
	sub = loop_subscribe(&loop, &probe);
	cr_assert_eq(publish_data(loop.topic, 0, 0, 5), 0);
	stasis_unsubscribe(sub);
	faulty_arm(0, true);
	cr_assert_eq(stasis_executor_run(loop.executor, 3), 3);
	loop.executor = stasis_executor_shutdown(loop.executor);
	cr_assert(!faulty_disarm());
	cr_assert_eq(probe.n_data, 5);
	cr_assert_eq(probe.n_finals, 1);
	stasis_object_unref(loop.topic);
}

Test(manual_end, without_a_descriptor_it_is_not_made)
{
	struct rlimit old, none = { 0 };
	struct stasis_executor *executor;
	int64_t outstanding;

	faulty_install();
	open_and_close();
	outstanding = faulty_outstanding();
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none.rlim_max = old.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	errno = 0;
	executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	cr_assert_null(executor);
	cr_assert_eq(errno, EMFILE, "%s", strerror(errno));
	cr_assert_eq(faulty_outstanding(), outstanding);
}
