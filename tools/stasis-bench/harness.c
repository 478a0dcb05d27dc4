/* SPDX-License-Identifier: BSD-2-Clause */
/* harness.c — see harness.h
 *
 * Edges
 *   R1  fetch-sub running  publisher, reader -> A1  its sequence and refused; what it has checked
 *   A1  load running       main thread <- R1
 */

#include "harness.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "clock.h"
#include "cpu.h"
#include "reader.h"
#include "window.h"

#define WARM_UP 0.2    /* of the time measured */
#define POLL_NS 50000u /* how often the main thread looks whether all is delivered */
/* How long after the time measured everything must be delivered, or it has stalled. */
#define LIMIT_S 30.0
#define LIMIT_MAY_STALL_S 1.5
/* Deliveries per second below which what may stall has done so. */
#define RATE_MAY_STALL 1e5

static void *publisher_main(void *arg)
{
	struct sb_publisher *publisher = arg;
	struct sb_run *run = publisher->run;

	sb_cpu_publisher(run->topology.publishers == 1);
	/* Held by the main thread until all publishers are there. */
	pthread_mutex_lock(&run->start);
	pthread_mutex_unlock(&run->start);
	/* Relaxed: as in sb_run_aborted(). */
	while (!atomic_load_explicit(&run->stop, memory_order_relaxed)) {
		if (!sb_window_enter(publisher, run->chunk))
			break;
		if (run->engine->publish(publisher, run->chunk) < run->chunk)
			break;
	}
	/* R1: what this publisher has counted; pairs with A1 in all_ended(). */
	atomic_fetch_sub_explicit(&run->running, 1, memory_order_release);
	return NULL;
}

static void *reader_main(void *arg)
{
	struct sb_reader *reader = arg;
	struct sb_run *run = reader->run;

	sb_cpu_consumers(run->topology.publishers == 1, run->topology.readers);
	pthread_mutex_lock(&run->start);
	pthread_mutex_unlock(&run->start);
	sb_reader_loop(reader);
	/* R1: as in publisher_main(). */
	atomic_fetch_sub_explicit(&run->running, 1, memory_order_release);
	return NULL;
}

static void *aligned_zeroed(size_t size)
{
	void *memory;

	/* A line at least: NULL means that there is no memory. */
	size = (size + STI_CACHELINE) / STI_CACHELINE * STI_CACHELINE;
	memory = aligned_alloc(STI_CACHELINE, size);
	if (memory != NULL)
		memset(memory, 0, size);
	return memory;
}

static void run_free(struct sb_run *run)
{
	if (run->subscribers != NULL) {
		for (unsigned i = 0; i < run->topology.subscribers; i++)
			sb_subscriber_deinit(&run->subscribers[i]);
	}
	if (run->publishers != NULL) {
		for (unsigned i = 0; i < run->topology.publishers; i++)
			free(run->publishers[i].payload);
	}
	if (run->readers != NULL) {
		for (unsigned i = 0; i < run->topology.readers; i++)
			sb_reader_deinit(&run->readers[i]);
	}
	free(run->readers);
	free(run->subscribers);
	free(run->publishers);
	free(run);
}

static bool run_init_parties(struct sb_run *run)
{
	unsigned n_publishers = run->topology.publishers;
	unsigned n_subscribers = run->topology.subscribers;
	unsigned n_readers = run->topology.readers;

	run->subscribers = aligned_zeroed(n_subscribers * sizeof(run->subscribers[0]));
	run->publishers = aligned_zeroed(n_publishers * sizeof(run->publishers[0]));
	run->readers = aligned_zeroed(n_readers * sizeof(run->readers[0]));
	if (run->subscribers == NULL || run->publishers == NULL || run->readers == NULL)
		return false;
	for (unsigned i = 0; i < n_readers; i++) {
		if (sb_reader_init(&run->readers[i], run, i) < 0)
			return false;
	}
	for (unsigned i = 0; i < n_subscribers; i++) {
		if (sb_subscriber_init(&run->subscribers[i], i, n_publishers, run->chunk) < 0)
			return false;
	}
	for (unsigned i = 0; i < n_publishers; i++) {
		struct sb_publisher *publisher = &run->publishers[i];

		publisher->run = run;
		publisher->payload = aligned_zeroed(run->setup.payload);
		if (publisher->payload == NULL)
			return false;
		publisher->payload->publisher = i;
		if (run->topology.mode == SB_MODE_REPUBLISH)
			publisher->payload->flags = SB_STAMP_REPEATED;
	}
	return true;
}

static struct sb_run *run_new(const struct sb_engine *engine, const struct sb_topology *topology,
			      const struct sb_setup *setup)
{
	struct sb_run *run = aligned_zeroed(sizeof(*run));

	if (run == NULL)
		return NULL;
	run->engine = engine;
	run->topology = *topology;
	run->setup = *setup;
	run->window = sb_window(topology, setup);
	if (engine->room > 0 && run->window > engine->room)
		run->window = engine->room;
	run->chunk = sb_window_chunk(run->window);
	if (!run_init_parties(run)) {
		run_free(run);
		return NULL;
	}
	return run;
}

/* The first n of publishers and readers. */
static void threads_join(struct sb_run *run, unsigned n)
{
	unsigned n_publishers = run->topology.publishers;

	for (unsigned i = 0; i < n; i++)
		pthread_join(i < n_publishers ? run->publishers[i].thread :
						run->readers[i - n_publishers].thread,
			     NULL);
}

static int thread_start(struct sb_run *run, unsigned i)
{
	unsigned n_publishers = run->topology.publishers;

	if (i < n_publishers)
		return pthread_create(&run->publishers[i].thread, NULL, publisher_main,
				      &run->publishers[i]);
	i -= n_publishers;
	return pthread_create(&run->readers[i].thread, NULL, reader_main, &run->readers[i]);
}

/* Starts all publishers and readers, or none. 0 or -errno. */
static int threads_start(struct sb_run *run)
{
	unsigned n = run->topology.publishers + run->topology.readers, started = 0;
	int error = 0;

	atomic_init(&run->running, n);
	pthread_mutex_init(&run->start, NULL);
	pthread_mutex_lock(&run->start);
	while (started < n && error == 0) {
		error = thread_start(run, started);
		if (error == 0)
			started++;
	}
	if (error != 0) {
		/* Relaxed: the mutex orders it. */
		atomic_store_explicit(&run->stop, true, memory_order_relaxed);
	}
	pthread_mutex_unlock(&run->start);
	if (error != 0)
		threads_join(run, started);
	return -error;
}

/* Or gets. */
static uint64_t count_deliveries(const struct sb_run *run)
{
	uint64_t sum = 0;

	if (run->topology.readers > 0) {
		for (unsigned i = 0; i < run->topology.readers; i++)
			sum += sb_reader_count(&run->readers[i]);
		return sum;
	}
	for (unsigned i = 0; i < run->topology.subscribers; i++)
		sum += sb_subscriber_count(&run->subscribers[i]);
	return sum;
}

static uint64_t count_published(const struct sb_run *run)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < run->topology.publishers; i++)
		sum += run->publishers[i].sequence;
	return sum;
}

static bool all_ended(const struct sb_run *run)
{
	/* A1: what they have counted; pairs with R1 in publisher_main() and reader_main(). */
	return atomic_load_explicit(&run->running, memory_order_acquire) == 0;
}

/* Waits until everything is delivered; false when that takes too long. */
static bool await_deliveries(const struct sb_run *run, uint64_t deadline)
{
	unsigned behind = 0;
	uint64_t published;

	while (!all_ended(run)) {
		if (sb_now() > deadline)
			return false;
		sb_sleep(POLL_NS);
	}
	published = count_published(run);
	while (behind < run->topology.subscribers) {
		if (sb_subscriber_count(&run->subscribers[behind]) >= published) {
			behind++;
			continue;
		}
		if (sb_now() > deadline)
			return false;
		sb_sleep(POLL_NS);
	}
	return true;
}

static long preemptions(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nivcsw;
}

static double limit_of(const struct sb_run *run)
{
	if (run->engine->may_stall)
		return LIMIT_MAY_STALL_S;
	return run->setup.limit_s > 0 ? run->setup.limit_s : LIMIT_S;
}

/* From the start of the publishers to their end. */
static void measure(struct sb_run *run, struct sb_sample *sample)
{
	uint64_t span = (uint64_t)(run->setup.seconds * 1e9);
	double limit_s = limit_of(run);
	uint64_t begin = sb_now(), start, end, first;

	sb_sleep((uint64_t)((double)span * WARM_UP));
	sample->preemptions = -preemptions();
	sample->cpu_ns = -sb_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	start = sb_now();
	first = count_deliveries(run);
	sb_sleep_until(start + span);
	/* Relaxed, both: as in sb_run_aborted(). */
	atomic_store_explicit(&run->stop, true, memory_order_relaxed);
	if (!await_deliveries(run, start + span + (uint64_t)(limit_s * 1e9))) {
		sample->outcome = SB_OUTCOME_STALLED;
		snprintf(sample->text, sizeof(sample->text),
			 "not everything was delivered %.1f s after the last chunk was begun",
			 limit_s);
	}
	end = sb_now();
	sample->cpu_ns += sb_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	sample->preemptions += preemptions();
	atomic_store_explicit(&run->abort, true, memory_order_relaxed);
	threads_join(run, run->topology.publishers + run->topology.readers);
	sample->deliveries = count_deliveries(run) - first;
	sample->seconds = (double)(end - start) / 1e9;
	sample->rate = (double)sample->deliveries / sample->seconds;
	/* With the warm-up: nobody looks at that number in between. */
	if (run->topology.readers > 0)
		sample->updates = (double)(count_published(run) - run->filled) * 1e9 /
				  (double)(end - begin);
}

/* While the engine is open. */
static void verify_cache(struct sb_run *run, struct sb_sample *sample)
{
	bool failed = sb_cache_failed(run, sample->text, sizeof(sample->text));

	for (unsigned i = 0; i < run->topology.readers && !failed; i++) {
		failed = run->readers[i].text[0] != '\0';
		if (failed)
			memcpy(sample->text, run->readers[i].text, sizeof(run->readers[i].text));
	}
	if (failed)
		sample->outcome = SB_OUTCOME_FAILED;
}

/* After everything has ended. */
static void verify(const struct sb_run *run, struct sb_sample *sample)
{
	uint64_t published = count_published(run);
	uint64_t refused = 0;
	bool failed = false;

	for (unsigned i = 0; i < run->topology.publishers; i++)
		refused += run->publishers[i].refused;
	if (refused > 0) {
		failed = true;
		snprintf(sample->text, sizeof(sample->text),
			 "%llu publishes failed or did not reach every subscriber",
			 (unsigned long long)refused);
	}
	for (unsigned i = 0; i < run->topology.subscribers && !failed; i++)
		failed = sb_subscriber_failed(&run->subscribers[i], published, sample->text,
					      sizeof(sample->text));
	if (failed) {
		sample->outcome = SB_OUTCOME_FAILED;
	} else if (sample->outcome == SB_OUTCOME_OK &&
		   (sample->deliveries == 0 ||
		    (run->engine->may_stall && sample->rate < RATE_MAY_STALL))) {
		sample->outcome = SB_OUTCOME_STALLED;
		snprintf(sample->text, sizeof(sample->text), "%.0f deliveries a second",
			 sample->rate);
	}
}

static void fail(struct sb_sample *sample, const char *what, int error)
{
	char text[64];

	sample->outcome = SB_OUTCOME_FAILED;
	sample->error = -error;
	snprintf(sample->text, sizeof(sample->text), "%s: %s", what,
		 strerror_r(error, text, sizeof(text)));
}

void sb_run_once(const struct sb_engine *engine, const struct sb_topology *topology,
		 const struct sb_setup *setup, struct sb_sample *sample)
{
	struct sb_run *run = run_new(engine, topology, setup);
	int error;

	memset(sample, 0, sizeof(*sample));
	if (run == NULL) {
		fail(sample, "setting up", ENOMEM);
		return;
	}
	sample->trip_before_ns = sb_round_trip_ns();
	error = engine->open(run);
	sb_cpu_free();
	if (error < 0) {
		fail(sample, "opening", -error);
		run_free(run);
		return;
	}
	if (topology->readers > 0)
		error = sb_cache_fill(run);
	run->filled = count_published(run);
	if (error == 0)
		error = threads_start(run);
	if (error == 0) {
		measure(run, sample);
		if (topology->ids > 0)
			verify_cache(run, sample);
	}
	engine->close(run);
	sample->trip_after_ns = sb_round_trip_ns();
	sample->placement = sb_placement_of(sample->trip_before_ns, sample->trip_after_ns);
	if (error < 0)
		fail(sample, "starting", -error);
	else
		verify(run, sample);
	run_free(run);
}
