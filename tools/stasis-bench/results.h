/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_RESULTS_H
#define SB_RESULTS_H

/* results.h — everything that was measured, for the table and for the JSON file */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness.h"
#include "workload.h"

#define SB_ENGINES_MAX 4u

/* The runs of one engine on one workload. */
struct sb_series {
	const struct sb_engine *engine;
	struct sb_sample *samples;
	unsigned n;
	unsigned retried; /* runs dropped because the placement changed meanwhile */
};

struct sb_throughput {
	const struct sb_workload *workload;
	struct sb_topology topology;
	uint64_t window;
	struct sb_series series[SB_ENGINES_MAX]; /* the library first */
	unsigned n_series;
};

/* One run, publish to callback, from the intended time of sending. */
struct sb_latency_sample {
	enum sb_outcome outcome;
	size_t n; /* messages */
	uint64_t p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
	double trip_before_ns, trip_after_ns;
	/* CPU time of all threads but the publisher's, which busy-waits, by the time that it
	 * published */
	double consumer_share;
	enum sb_placement placement;
	char text[160];
};

struct sb_latency {
	const char *name;
	const char *text;
	struct sb_latency_sample *samples;
	unsigned n;
};

struct sb_idle {
	bool measured;
	int error;
	unsigned subscriptions;
	double seconds;
	double cpu_ns_per_s;   /* of the whole process */
	double switches_per_s; /* voluntary and involuntary, of the whole process */
};

struct sb_memory {
	bool measured;
	bool counted; /* false: the allocator does not count, and there are no figures */
	int error;
	const char *source;
	size_t n; /* of each */
	double topic, subscription, message, queued;
};

#define SB_LATENCIES_MAX 8u

struct sb_results {
	struct sb_throughput throughput[SB_WORKLOADS_MAX];
	size_t n_throughput;
	struct sb_latency latency[SB_LATENCIES_MAX];
	size_t n_latency;
	struct sb_idle idle;
	struct sb_memory memory;
};

/* What the runs of one series in one placement come to. */
struct sb_summary {
	unsigned n;
	double median, min, max; /* deliveries per second; with readers: gets */
	double updates;		 /* median; 0: there are no readers */
	double trip_ns;		 /* median */
};

void sb_summarize(const struct sb_series *series, enum sb_placement placement,
		  struct sb_summary *summary);

/* The first run that failed or stalled; NULL: none. */
const struct sb_sample *sb_series_bad(const struct sb_series *series);

/* Likewise for several runs of the latency: medians of their percentiles, the largest maximum. */
struct sb_latency_summary {
	unsigned n;
	double p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
	double trip_ns;
};

void sb_latency_summarize(const struct sb_latency *latency, enum sb_placement placement,
			  struct sb_latency_summary *summary);

const struct sb_latency_sample *sb_latency_bad(const struct sb_latency *latency);

/* Did anything of the library or of the baselines break its promises? A baseline that stalls does
 * not count. */
bool sb_results_failed(const struct sb_results *results);

void sb_results_free(struct sb_results *results);

#endif
