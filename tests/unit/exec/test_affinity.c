/* SPDX-License-Identifier: BSD-2-Clause */
/* test_affinity.c — workers that stay on the CPUs they are given */

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <stasis/stasis.h>

#include "faulty.h"
#include "gate.h"
#include "probe.h"

/* The CPUs that this process may use. */
static size_t usable(unsigned *cpus, size_t max)
{
	cpu_set_t set;
	size_t n = 0;

	cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && n < max; cpu++) {
		if (CPU_ISSET(cpu, &set))
			cpus[n++] = cpu;
	}
	cr_assert_gt(n, 0);
	return n;
}

/* Every worker in a callback of its own, at the same time. */
struct place {
	pthread_t thread;
	char name[16];
	cpu_set_t set;
	int result;
};

static void note_place(struct probe *probe, struct stasis_subscription *sub,
		       struct stasis_topic *topic, struct stasis_message *message)
{
	struct place *place = probe->user;

	place->thread = pthread_self();
	place->result = pthread_getname_np(place->thread, place->name, sizeof(place->name));
	if (place->result == 0)
		place->result = sched_getaffinity(0, sizeof(place->set), &place->set);
}

#define WORKERS_MAX 8u

/* Fills in where each of n workers may run. */
static void find_places(struct stasis_executor *executor, struct place *places, size_t n)
{
	static struct probe probes[WORKERS_MAX];
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_subscription *subs[WORKERS_MAX];
	struct gate hold = GATE_INIT;

	memset((void *)probes, 0, sizeof(probes));
	for (size_t i = 0; i < n; i++) {
		probes[i].hold = &hold;
		probes[i].on_data = note_place;
		probes[i].user = &places[i];
		subs[i] = subscribe_on(topic, &probes[i], executor);
	}
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	gate_await(&hold, n);
	gate_open(&hold);
	for (size_t i = 0; i < n; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		cr_assert_eq(places[i].result, 0);
		for (size_t j = 0; j < i; j++)
			cr_assert(!pthread_equal(places[i].thread, places[j].thread));
	}
	stasis_object_unref(topic);
}

static size_t count_pinned(const struct place *places, size_t n, unsigned cpu)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(CPU_COUNT(&places[i].set), 1);
		count += CPU_ISSET(cpu, &places[i].set) != 0;
	}
	return count;
}

static uint32_t threads_of(struct stasis_executor *executor)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(executor, &stats), 0);
	return stats.threads;
}

Test(affinity, worker_i_stays_on_cpu_i)
{
	struct place places[4] = { 0 };
	unsigned cpus[2] = { 0 };
	size_t n = usable(cpus, 2);
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .name = "pinned",
						   .threads = 4,
						   .affinity = cpus,
						   .n_affinity = n });

	cr_assert_not_null(executor, "%s", strerror(errno));
	cr_assert_eq(threads_of(executor), 4);
	find_places(executor, places, 4);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(count_pinned(places, 4, cpus[i]), 4 / n);
	/* Which of them is which, the name tells. */
	for (size_t i = 0; i < 4; i++) {
		unsigned number = 4;

		cr_assert_eq(sscanf(places[i].name, "pinned-%u", &number), 1, "%s", places[i].name);
		cr_assert_lt(number, 4);
		cr_assert(CPU_ISSET(cpus[number % n], &places[i].set));
	}
	stasis_executor_shutdown(executor);
}

Test(affinity, there_are_as_many_workers_as_cpus_named)
{
	unsigned cpus[3] = { 0 };
	struct place places[3] = { 0 };
	struct stasis_executor *executor;

	usable(cpus, 1);
	cpus[1] = cpus[2] = cpus[0];
	executor = stasis_executor_create(
		&(struct stasis_executor_options){ .affinity = cpus, .n_affinity = 3 });
	cr_assert_not_null(executor, "%s", strerror(errno));
	cr_assert_eq(threads_of(executor), 3);
	/* It was copied. */
	memset(cpus, 0xff, sizeof(cpus));
	find_places(executor, places, 3);
	usable(cpus, 1);
	cr_assert_eq(count_pinned(places, 3, cpus[0]), 3);
	stasis_executor_shutdown(executor);
}

Test(affinity, what_is_beyond_the_workers_is_not_used)
{
	unsigned cpus[2] = { 0, 60000 };
	struct stasis_executor *executor;
	struct place place;

	usable(cpus, 1);
	executor = stasis_executor_create(&(struct stasis_executor_options){
		.threads = 1, .affinity = cpus, .n_affinity = 2 });
	cr_assert_not_null(executor, "%s", strerror(errno));
	find_places(executor, &place, 1);
	cr_assert_eq(count_pinned(&place, 1, cpus[0]), 1);
	stasis_executor_shutdown(executor);
}

Test(affinity, workers_go_where_their_creator_may_without_it)
{
	unsigned cpu;
	cpu_set_t set;
	struct stasis_executor *executor;
	struct place places[2] = { 0 };

	usable(&cpu, 1);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	cr_assert_eq(sched_setaffinity(0, sizeof(set), &set), 0);
	executor = executor_with(2);
	find_places(executor, places, 2);
	cr_assert_eq(count_pinned(places, 2, cpu), 2);
	stasis_executor_shutdown(executor);
}

static void refuse(const struct stasis_executor_options *options, int error)
{
	errno = 0;
	cr_assert_null(stasis_executor_create(options));
	cr_assert_eq(errno, error, "%s instead of %s", strerror(errno), strerror(error));
}

Test(affinity, a_cpu_that_is_not_there_is_refused)
{
	static const unsigned absent[] = { 8191, 60000, 65536, 1u << 31, UINT_MAX };
	unsigned cpus[2];

	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		refuse(&(struct stasis_executor_options){ .affinity = &absent[i],
							  .n_affinity = 1 },
		       EINVAL);
		/* Also when others have started. */
		usable(cpus, 1);
		cpus[1] = absent[i];
		refuse(&(struct stasis_executor_options){ .affinity = cpus, .n_affinity = 2 },
		       EINVAL);
	}
}

Test(affinity, options_that_make_no_sense_are_refused)
{
	static unsigned cpus[STASIS_THREADS_MAX + 1];
	struct stasis_executor *executor;

	refuse(&(struct stasis_executor_options){ .n_affinity = 1 }, EINVAL);
	usable(cpus, 1);
	for (size_t i = 1; i < STASIS_THREADS_MAX + 1; i++)
		cpus[i] = cpus[0];
	refuse(&(struct stasis_executor_options){ .affinity = cpus,
						  .n_affinity = STASIS_THREADS_MAX + 1 },
	       EINVAL);
	refuse(&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL,
						  .affinity = cpus,
						  .n_affinity = 1 },
	       EINVAL);
	/* An array of none is none. */
	executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 1, .affinity = cpus });
	cr_assert_not_null(executor);
	stasis_executor_shutdown(executor);
}

Test(affinity, without_memory_for_it_nothing_is_left)
{
	unsigned cpus[2];
	int64_t before;
	bool failed = true;

	faulty_install();
	usable(cpus, 1);
	cpus[1] = cpus[0];
	/* What is made once and for all. */
	stasis_executor_shutdown(executor_with(1));
	before = faulty_outstanding();
	for (uint64_t n = 0; failed; n++) {
		struct stasis_executor *executor;

		faulty_arm(n, false);
		errno = 0;
		executor = stasis_executor_create(&(struct stasis_executor_options){
			.affinity = cpus, .n_affinity = 2, .wait = STASIS_WAIT_PARK });
		failed = faulty_disarm();
		if (executor == NULL)
			cr_assert_eq(errno, ENOMEM, "%s", strerror(errno));
		else
			stasis_executor_shutdown(executor);
		cr_assert_eq(faulty_outstanding(), before);
		cr_assert_lt(n, 100);
	}
}
