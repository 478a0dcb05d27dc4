/* SPDX-License-Identifier: BSD-2-Clause */
/* throughput.c — deliveries, or gets out of a cache, by the harness; see measure.h */

#include <errno.h>
#include <string.h>

#include "measure.h"

/* With a loss on purpose: the engine that does the work, and what the harness gets in its place. */
static const struct sb_engine *whole;

static size_t publish_all_but_one(struct sb_publisher *publisher, size_t n)
{
	if (publisher->sequence == 0)
		publisher->sequence = 1;
	return whole->publish(publisher, n);
}

static struct sb_engine losing(const struct sb_engine *engine)
{
	struct sb_engine result = *engine;

	whole = engine;
	result.publish = publish_all_but_one;
	return result;
}

void sp_measure_throughput(const struct sb_peer *peer, const struct sp_workload *workload,
			   const struct sp_setup *setup, struct sp_result *result)
{
	struct sb_engine engine = setup->lose ? losing(peer->throughput) : *peer->throughput;
	struct sb_sample sample;

	sb_run_once(&engine, &workload->topology, &setup->harness, &sample);
	if (sample.error != 0) {
		sp_result_fail(result, "opening", -sample.error);
		return;
	}
	result->outcome = (enum sp_outcome)sample.outcome;
	memcpy(result->text, sample.text, sizeof(result->text));
	result->rate = sample.rate;
	result->seconds = sample.seconds;
	result->deliveries = sample.deliveries;
	result->cpu_ns = sample.cpu_ns;
	result->window = sb_window(&workload->topology, &setup->harness);
	if (engine.room > 0 && result->window > engine.room)
		result->window = engine.room;
	result->updates = sample.updates;
	result->preemptions = sample.preemptions;
	result->trip_before_ns = sample.trip_before_ns;
	result->trip_after_ns = sample.trip_after_ns;
	result->placement = sample.placement;
}
