/* SPDX-License-Identifier: BSD-2-Clause */
/* test_executor.c — pools of workers: options, wait modes, drain, blocked callbacks */

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stasis/stasis.h>

#include "gate.h"
#include "probe.h"

static uint32_t threads_of(struct stasis_executor *executor)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(executor, &stats), 0);
	return stats.threads;
}

Test(executor, has_a_worker_per_usable_cpu_by_default)
{
	struct stasis_executor_options options = { .size = sizeof(options) };
	struct stasis_executor *one = stasis_executor_create(NULL);
	struct stasis_executor *other = stasis_executor_create(&options);
	cpu_set_t cpus;

	cr_assert_not_null(one);
	cr_assert_not_null(other);
	cr_assert_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	cr_assert_eq(threads_of(one), (uint32_t)CPU_COUNT(&cpus));
	cr_assert_eq(threads_of(other), (uint32_t)CPU_COUNT(&cpus));
	cr_assert_eq(stasis_object_refs(one), 1);
	cr_assert_null(stasis_executor_shutdown(one));
	cr_assert_null(stasis_executor_shutdown(other));
}

Test(executor, has_as_many_workers_as_asked_for)
{
	static const unsigned counts[] = { 1, 2, 3, 8, 64 };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct stasis_executor *executor = executor_with(counts[i]);

		cr_assert_eq(threads_of(executor), counts[i]);
		stasis_executor_shutdown(executor);
	}
}

static void refuse(const struct stasis_executor_options *options, int error)
{
	errno = 0;
	cr_assert_null(stasis_executor_create(options));
	cr_assert_eq(errno, error, "%s instead of %s", strerror(errno), strerror(error));
}

/* What a later version of the header might look like. */
struct newer_options {
	struct stasis_executor_options known;
	uint64_t unknown;
};

Test(executor, options_out_of_range_are_refused)
{
	struct newer_options newer = { .known = { .size = sizeof(newer), .threads = 1 },
				       .unknown = 1 };

	refuse(&(struct stasis_executor_options){ .threads = STASIS_THREADS_MAX + 1 }, EINVAL);
	refuse(&(struct stasis_executor_options){ .threads = 1, .wait = (enum stasis_wait)99 },
	       EINVAL);
	refuse(&newer.known, E2BIG);
	newer.unknown = 0;
	stasis_executor_shutdown(stasis_executor_create(&newer.known));
}

/* How many threads of this process have a name that begins so. */
static int count_threads_named(const char *prefix)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	int n = 0;

	cr_assert_not_null(tasks);
	while ((task = readdir(tasks)) != NULL) {
		char path[300], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		file = fopen(path, "r");
		if (file == NULL)
			continue;
		if (fgets(name, sizeof(name), file) != NULL)
			n += strncmp(name, prefix, strlen(prefix)) == 0;
		fclose(file);
	}
	closedir(tasks);
	return n;
}

static void wait_until_they_run(struct stasis_executor *executor)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probe = { 0 };

	stasis_unsubscribe_and_join(subscribe_on(topic, &probe, executor));
	cr_assert_eq(stasis_executor_drain(executor), 0);
	stasis_object_unref(topic);
}

Test(executor, names_its_threads)
{
	char name[] = "calls";
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 3, .name = name });

	memset(name, 'x', sizeof(name) - 1);
	wait_until_they_run(executor);
	cr_assert_eq(count_threads_named("calls"), 3);
	stasis_executor_shutdown(executor);
	cr_assert_eq(count_threads_named("calls"), 0);
	executor = stasis_executor_create(&(struct stasis_executor_options){
		.threads = 2, .name = "a-name-that-is-much-too-long-for-the-kernel" });
	wait_until_they_run(executor);
	cr_assert_eq(count_threads_named("a-name-th"), 2);
	stasis_executor_shutdown(executor);
}

struct publisher {
	struct stasis_topic *topic;
	uint64_t number;
	int result;
};

static void *publish_many(void *arg)
{
	struct publisher *publisher = arg;

	publisher->result = publish_data(publisher->topic, publisher->number, 0, 500);
	return NULL;
}

/* Whatever the options: 4 publishers, 6 subscriptions, everything arrives. */
static void exercise(const struct stasis_executor_options *options)
{
	struct stasis_executor *executor = stasis_executor_create(options);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_subscription *subs[6];
	struct publisher publishers[4];
	static struct probe probes[6];

	cr_assert_not_null(executor, "%s", strerror(errno));
	memset(probes, 0, sizeof(probes));
	for (int i = 0; i < 6; i++)
		subs[i] = subscribe_on(topic, &probes[i], executor);
	for (uint64_t i = 0; i < 4; i++)
		publishers[i] = (struct publisher){ topic, i, 1 };
	run_threads(4, publish_many, publishers, sizeof(publishers[0]));
	for (int i = 0; i < 6; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		cr_assert_eq(probes[i].n_data, 2000);
		cr_assert_eq(probes[i].n_out_of_order, 0);
		cr_assert_eq(probes[i].overlaps, 0);
		cr_assert_eq(probes[i].n_finals, 1);
	}
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

Test(executor, delivers_in_every_wait_mode_with_any_number_of_workers)
{
	static const enum stasis_wait modes[] = { STASIS_WAIT_SPIN_PARK, STASIS_WAIT_PARK,
						  STASIS_WAIT_SPIN };
	static const unsigned counts[] = { 1, 2, 8 };

	for (int m = 0; m < 3; m++) {
		for (int c = 0; c < 3; c++)
			exercise(&(struct stasis_executor_options){ .wait = modes[m],
								    .threads = counts[c] });
	}
}

Test(executor, delivers_whatever_the_time_to_spin)
{
	exercise(&(struct stasis_executor_options){ .threads = 2, .spin_ns = 1 });
	exercise(&(struct stasis_executor_options){ .threads = 2, .spin_ns = UINT32_MAX });
}

Test(executor, uses_no_cpu_when_idle)
{
	struct stasis_executor *executor = executor_with(4);
	struct timespec before, after;
	double used;

	wait_until_they_run(executor);
	/* Time for workers to give up spinning, and then time to watch them do nothing. */
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	nanosleep(&(struct timespec){ .tv_nsec = 500000000 }, NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	used = (double)(after.tv_sec - before.tv_sec) +
	       (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	cr_assert_lt(used, 0.02, "%f s of CPU in half a second", used);
	stasis_executor_shutdown(executor);
}

Test(executor, drain_waits_for_what_is_queued)
{
	struct stasis_executor *executor = executor_with(2);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];
	struct stasis_message *message = datum_message(0, 0);

	for (int i = 0; i < 3; i++)
		subs[i] = subscribe_on(topic, &probes[i], executor);
	for (size_t round = 1; round <= 200; round++) {
		for (int i = 0; i < 20; i++)
			cr_assert_eq(stasis_publish(topic, message), 0);
		cr_assert_eq(stasis_executor_drain(executor), 0);
		cr_assert_eq(stasis_object_refs(message), 1, "round %zu", round);
		for (int i = 0; i < 3; i++)
			cr_assert_eq(probes[i].n_data, round * 20, "round %zu", round);
	}
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe_and_join(subs[i]);
	stasis_object_unref(message);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

static void publish_again(struct probe *probe, struct stasis_subscription *sub,
			  struct stasis_topic *topic, struct stasis_message *message)
{
	if (!atomic_load((_Atomic bool *)probe->user))
		publish_data(topic, 0, 0, 1);
}

Test(executor, drain_does_not_wait_for_what_callbacks_publish)
{
	struct stasis_executor *executor = executor_with(1);
	struct stasis_topic *topic = stasis_topic_create("t");
	_Atomic bool enough = false;
	struct probe probe = { .on_data = publish_again, .user = (void *)(uintptr_t)&enough };
	struct stasis_subscription *sub = subscribe_on(topic, &probe, executor);

	/* From here on the queue is never empty. */
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(stasis_executor_drain(executor), 0);
	atomic_store(&enough, true);
	stasis_unsubscribe_and_join(sub);
	cr_assert_gt(probe.n_data, 1);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

Test(executor, drain_of_null_is_an_error)
{
	cr_assert_eq(stasis_executor_drain(NULL), -EINVAL);
}

Test(executor, drain_of_nothing_returns)
{
	struct stasis_executor *executor = executor_with(2);

	cr_assert_eq(stasis_executor_drain(executor), 0);
	cr_assert_eq(stasis_executor_drain(executor), 0);
	stasis_executor_shutdown(executor);
}

struct drains {
	struct stasis_executor *own, *other;
	int of_own, of_other;
};

static void drain_both(struct probe *probe, struct stasis_subscription *sub,
		       struct stasis_topic *topic, struct stasis_message *message)
{
	struct drains *drains = probe->user;

	drains->of_own = stasis_executor_drain(drains->own);
	drains->of_other = stasis_executor_drain(drains->other);
}

Test(executor, drain_inside_a_callback_is_refused_for_its_own)
{
	struct drains drains = { executor_with(2), executor_with(1), 1, 1 };
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probe = { .on_data = drain_both, .user = &drains };
	struct stasis_subscription *sub = subscribe_on(topic, &probe, drains.own);

	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(drains.of_own, -EDEADLK);
	cr_assert_eq(drains.of_other, 0);
	stasis_executor_shutdown(drains.own);
	stasis_executor_shutdown(drains.other);
	stasis_object_unref(topic);
}

/* One subscription's callback does not return; all the others must be served. */
static void run_blocked(unsigned threads, enum stasis_wait wait)
{
	enum {
		N = 20
	};
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = threads, .wait = wait });
	struct stasis_topic *stuck = stasis_topic_create("stuck");
	struct stasis_topic *topic = stasis_topic_create("t");
	struct gate hold = GATE_INIT;
	struct probe blocked = { .hold = &hold };
	static struct probe probes[N];
	struct stasis_subscription *sub, *subs[N];

	memset(probes, 0, sizeof(probes));
	sub = subscribe_on(stuck, &blocked, executor);
	for (int i = 0; i < N; i++)
		subs[i] = subscribe_on(topic, &probes[i], executor);
	for (uint64_t round = 0; round < 30; round++) {
		cr_assert_eq(publish_data(stuck, 0, round, 1), 0);
		cr_assert_eq(publish_data(topic, 0, round * 10, 10), 0);
		if (round == 0)
			gate_await(&hold, 1);
	}
	/* These joins return although the gate is closed. */
	for (int i = 0; i < N; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		cr_assert_eq(probes[i].n_data, 300);
		cr_assert_eq(probes[i].n_out_of_order, 0);
	}
	cr_assert_eq(blocked.n_data, 1);
	gate_open(&hold);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(blocked.n_data, 30);
	cr_assert_eq(blocked.overlaps, 0);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
	stasis_object_unref(stuck);
}

Test(executor, a_blocked_callback_holds_up_nobody_else)
{
	run_blocked(2, STASIS_WAIT_SPIN_PARK);
	run_blocked(2, STASIS_WAIT_PARK);
	run_blocked(2, STASIS_WAIT_SPIN);
	run_blocked(8, STASIS_WAIT_SPIN_PARK);
}

Test(executor, all_workers_but_one_may_be_blocked)
{
	enum {
		N = 4,
		OTHERS = 8
	};
	struct stasis_executor *executor = executor_with(N);
	struct stasis_topic *topics[N], *topic = stasis_topic_create("t");
	struct gate hold = GATE_INIT;
	struct probe blocked[N - 1], probes[OTHERS] = { 0 };
	struct stasis_subscription *stuck[N - 1], *subs[OTHERS];

	for (int i = 0; i < OTHERS; i++)
		subs[i] = subscribe_on(topic, &probes[i], executor);
	for (int i = 0; i < N - 1; i++) {
		memset((void *)&blocked[i], 0, sizeof(blocked[i]));
		blocked[i].hold = &hold;
		topics[i] = stasis_topic_create("stuck");
		stuck[i] = subscribe_on(topics[i], &blocked[i], executor);
		cr_assert_eq(publish_data(topics[i], 0, 0, 1), 0);
	}
	gate_await(&hold, N - 1);
	cr_assert_eq(publish_data(topic, 0, 0, 100), 0);
	for (int i = 0; i < OTHERS; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		cr_assert_eq(probes[i].n_data, 100);
	}
	gate_open(&hold);
	for (int i = 0; i < N - 1; i++) {
		stasis_unsubscribe_and_join(stuck[i]);
		stasis_object_unref(topics[i]);
	}
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

/* Threads that there are without any executor's; liburcu's stays. Not counted by name: a thread
 * that has just been made has none yet. */
static int threads_without_executors(void)
{
	stasis_executor_shutdown(executor_with(1));
	return count_threads_named("");
}

/* Nobody can join them: this waits, for a minute at most. */
static void await_threads(int n)
{
	for (int i = 0; i < 60000 && count_threads_named("") > n; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	cr_assert_leq(count_threads_named(""), n);
}

Test(executor, ends_by_itself_when_its_last_reference_is_dropped)
{
	int n_threads = threads_without_executors();
	struct stasis_executor *executor = executor_with(2);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probe = { 0 };
	struct stasis_subscription *sub = subscribe_on(topic, &probe, executor);

	cr_assert_null(stasis_object_unref(executor));
	cr_assert_eq(publish_data(topic, 0, 0, 100), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_data, 100);
	cr_assert_eq(probe.n_finals, 1);
	await_threads(n_threads);
	stasis_object_unref(topic);
}

Test(executor, unused_and_dropped_ends_too)
{
	int n_threads = threads_without_executors();

	for (int i = 0; i < 50; i++)
		stasis_object_unref(executor_with(2));
	await_threads(n_threads);
}
