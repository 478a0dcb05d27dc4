/* SPDX-License-Identifier: BSD-2-Clause */
/* crowd.c — how late are the messages of one publisher, when many others publish beside it?
 *
 * Many threads publish batches to one subscription, a few messages outstanding each, so that all of
 * them want a CPU all the time and are stopped at every instruction of a publish. One more
 * publishes at a pace. It and the worker have a higher priority: what its messages wait for is
 * neither a CPU nor a long queue. Rounds take turns: consumers wait at a hole as long as it lasts,
 * or take it over. README.md says what to compare.
 */

#include <argp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <stasis/stasis.h>

#include "ring/ring.h"

#define PACE_NS UINT64_C(200000)
#define BATCH 64u
#define OUTSTANDING (4 * BATCH) /* of a thread, at most */

struct datum {
	uint64_t due_ns;
	_Atomic uint32_t *outstanding; /* NULL: paced */
};

static struct {
	double seconds;
	unsigned n_publishers, n_rounds;
	struct stasis_topic *topic;
	struct stasis_message_type *type;
	_Atomic bool stop;
	uint64_t *samples;
	size_t n_samples, n_samples_max;
	bool priority; /* could be raised */
} run = { .seconds = 1, .n_publishers = 64, .n_rounds = 3 };

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool raise_priority(void)
{
	/* Of this thread. Not real-time: that is stopped by the kernel when it takes too much. */
	return setpriority(PRIO_PROCESS, 0, -20) == 0;
}

static void receive(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	static __thread bool raised;
	const struct datum *datum;

	if (!raised)
		raised = raise_priority();
	if (stasis_message_type(message) != run.type)
		return;
	datum = stasis_message_data(message);
	if (datum->outstanding != NULL)
		atomic_fetch_sub_explicit(datum->outstanding, 1, memory_order_relaxed);
	else if (run.n_samples < run.n_samples_max)
		run.samples[run.n_samples++] = now_ns() - datum->due_ns;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "crowd: %s\n", what);
	exit(1);
}

static void publish(uint64_t due_ns, _Atomic uint32_t *outstanding, size_t n)
{
	const struct datum datum = { .due_ns = due_ns, .outstanding = outstanding };
	struct stasis_message *messages[BATCH];
	bool whole = true;

	for (size_t i = 0; i < n; i++) {
		messages[i] = stasis_message_create_inline(run.type, &datum, sizeof(datum));
		whole = whole && messages[i] != NULL;
	}
	if (!whole || stasis_publish_batch(run.topic, messages, n) != 0)
		fail("no memory");
}

static void *crowd(void *arg)
{
	_Atomic uint32_t *outstanding = arg;

	while (!atomic_load_explicit(&run.stop, memory_order_relaxed)) {
		if (atomic_load_explicit(outstanding, memory_order_relaxed) > OUTSTANDING - BATCH) {
			sched_yield();
			continue;
		}
		atomic_fetch_add_explicit(outstanding, BATCH, memory_order_relaxed);
		publish(0, outstanding, BATCH);
	}
	return NULL;
}

static void *pace(void *arg)
{
	uint64_t due = now_ns(), end = due + (uint64_t)(run.seconds * 1e9);

	run.priority = raise_priority();
	for (; due < end; due += PACE_NS) {
		const struct timespec until = { .tv_sec = (time_t)(due / 1000000000),
						.tv_nsec = (long)(due % 1000000000) };

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		publish(due, NULL, 1);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double sample_us(double part)
{
	return run.n_samples == 0 ?
		       0 :
		       (double)run.samples[(size_t)(part * (double)(run.n_samples - 1))] / 1e3;
}

static void thread_start(pthread_t *thread, void *(*run_thread)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run_thread, arg) != 0)
		fail("cannot start a thread");
}

static void one_round(const char *name, uint64_t patience_ns)
{
	pthread_t *threads = calloc(run.n_publishers + 1, sizeof(*threads));
	_Atomic uint32_t *outstanding = calloc(run.n_publishers * 16, sizeof(*outstanding));
	struct stasis_executor *executor;
	struct stasis_subscription *sub;
	struct stasis_stats stats = { .size = sizeof(stats) };

	sti_ring_set_patience(patience_ns);
	run.topic = stasis_topic_create("crowd");
	executor = stasis_executor_create(&(struct stasis_executor_options){ .threads = 1 });
	sub = stasis_subscribe_with(run.topic, receive, NULL,
				    &(struct stasis_subscribe_options){ .executor = executor });
	if (threads == NULL || outstanding == NULL || sub == NULL)
		fail("no memory");
	run.n_samples = 0;
	atomic_store(&run.stop, false);
	for (unsigned i = 0; i < run.n_publishers; i++)
		thread_start(&threads[i], crowd, &outstanding[i * 16]);
	thread_start(&threads[run.n_publishers], pace, NULL);
	pthread_join(threads[run.n_publishers], NULL);
	atomic_store(&run.stop, true);
	for (unsigned i = 0; i < run.n_publishers; i++)
		pthread_join(threads[i], NULL);
	if (stasis_executor_drain(executor) != 0 || stasis_stats_read(sub, &stats) != 0)
		fail("cannot drain");
	stasis_unsubscribe_and_join(sub);
	stasis_executor_shutdown(executor);
	stasis_object_unref(run.topic);
	qsort(run.samples, run.n_samples, sizeof(run.samples[0]), compare);
	printf("%-10s %9zu %10.1f %10.1f %10.1f %10.1f %9llu %11llu\n", name, run.n_samples,
	       sample_us(0.5), sample_us(0.99), sample_us(0.999), sample_us(1),
	       (unsigned long long)stats.taken_over, (unsigned long long)stats.delivered);
	fflush(stdout);
	free(outstanding);
	free(threads);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	char *end = NULL;

	switch (key) {
	case 'S':
		run.seconds = strtod(arg, &end);
		break;
	case 'p':
		run.n_publishers = (unsigned)strtoul(arg, &end, 10);
		break;
	case 'n':
		run.n_rounds = (unsigned)strtoul(arg, &end, 10);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (end == arg || *end != '\0' || run.seconds <= 0 || run.seconds > 3600 ||
	    run.n_publishers > 10000 || run.n_rounds > 10000)
		argp_error(state, "not a number that will do: %s", arg);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "seconds", 'S', "S", 0, "How long a round is (1)", 0 },
		{ "publishers", 'p', "N", 0, "How many publish besides the paced one (64)", 0 },
		{ "repeat", 'n', "N", 0, "Rounds of each kind (3)", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "How late a paced publisher's messages are among many publishers, whether "
		       "consumers wait at holes or take them over.",
	};

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	run.n_samples_max = (size_t)(run.seconds * 1e9 / (double)PACE_NS) + 2;
	run.samples = calloc(run.n_samples_max, sizeof(run.samples[0]));
	run.type = stasis_message_type_create("crowd");
	if (run.samples == NULL || run.type == NULL)
		return 1;
	printf("%-10s %9s %10s %10s %10s %10s %9s %11s\n", "holes", "paced", "p50 us", "p99 us",
	       "p99.9 us", "max us", "taken", "delivered");
	for (unsigned i = 0; i < run.n_rounds; i++) {
		one_round("waited for", UINT64_MAX);
		one_round("taken over", STI_RING_PATIENCE_NS);
	}
	if (!run.priority)
		printf("without a higher priority: these are mostly waits for a CPU\n");
	free(run.samples);
	return 0;
}
