/* SPDX-License-Identifier: BSD-2-Clause */
/* footprint.c — what subscribers cost while nothing happens; see measure.h */

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "cpu.h"
#include "heap.h"
#include "measure.h"

/* Messages queued; as many before them, so that the first of everything is not counted. */
#define QUEUED 4096u

/* For threads that are starting to get to their sleep. */
#define SETTLE_NS 50000000u

static double switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_nvcsw + (double)usage.ru_nivcsw;
}

void sp_measure_idle(const struct sb_stock *stock, unsigned subscribers,
		     const struct sp_setup *setup, struct sp_result *result)
{
	double before;
	uint64_t start;
	void *state;
	int error = stock->open(subscribers, &state);

	if (error < 0) {
		sp_result_fail(result, "opening", -error);
		return;
	}
	sb_sleep((uint64_t)(setup->settle * 1e9));
	before = switches();
	result->cpu_ns = -sb_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	start = sb_now();
	sb_sleep((uint64_t)(setup->harness.seconds * 1e9));
	result->seconds = (double)(sb_now() - start) / 1e9;
	result->cpu_ns += sb_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	result->switches_per_s = (switches() - before) / result->seconds;
	stock->close(state);
}

/* Bytes of the process that are in memory. */
static double resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* --- queued messages -------------------------------------------------------------------------- */

/* The engine whose queue is filled, and what came of it. */
static const struct sb_engine *whole;
static struct sp_result *filled;

/* In place of the first chunk: fills the queue while its subscriber is held, then gives up. */
static size_t fill(struct sb_publisher *publisher, size_t n)
{
	struct sb_subscriber *subscriber = &publisher->run->subscribers[0];
	double heap, pages;
	bool good;

	sb_subscriber_hold(subscriber);
	good = whole->publish(publisher, QUEUED) == QUEUED;
	sb_sleep(SETTLE_NS);
	heap = (double)sb_heap_allocated();
	pages = resident();
	good = good && whole->publish(publisher, QUEUED) == QUEUED;
	sb_sleep(SETTLE_NS);
	if (good && heap > 0)
		filled->heap_per_message = ((double)sb_heap_allocated() - heap) / QUEUED;
	if (good)
		filled->resident_per_message = (resident() - pages) / QUEUED;
	sb_subscriber_let_go(subscriber);
	return 0;
}

/* How the run went for the rest, the harness says; that nothing was measured before the time was up
 * is no failure here. */
static void measure_queue(const struct sb_engine *throughput, const struct sp_setup *setup,
			  struct sp_result *result)
{
	static const struct sb_topology topology = { .publishers = 1, .subscribers = 1 };
	struct sb_engine engine = *throughput;
	struct sb_sample sample;

	whole = throughput;
	filled = result;
	engine.publish = fill;
	sb_run_once(&engine, &topology, &setup->harness, &sample);
	if (sample.outcome == SB_OUTCOME_FAILED) {
		result->outcome = SP_OUTCOME_FAILED;
		memcpy(result->text, sample.text, sizeof(result->text));
	}
}

/* --- subscribers ------------------------------------------------------------------------------ */

void sp_measure_memory(const struct sb_peer *peer, unsigned subscribers,
		       const struct sp_setup *setup, struct sp_result *result)
{
	const struct sb_stock *stock = peer->stock;
	double heap = 0, pages = 0;
	void *state;
	int error = stock->open(1, &state);

	/* The first time, everybody allocates what is for all. */
	if (error == 0) {
		stock->close(state);
		sb_sleep(SETTLE_NS);
		heap = (double)sb_heap_allocated();
		pages = resident();
		error = stock->open(subscribers, &state);
	}
	if (error < 0) {
		sp_result_fail(result, "opening", -error);
		return;
	}
	sb_sleep(SETTLE_NS);
	result->heap_per_subscriber = ((double)sb_heap_allocated() - heap) / subscribers;
	result->resident_per_subscriber = (resident() - pages) / subscribers;
	stock->close(state);
	if (peer->throughput != NULL)
		measure_queue(peer->throughput, setup, result);
}
