/* SPDX-License-Identifier: BSD-2-Clause */
/* throughput.c — see throughput.h */

#include "throughput.h"

#include <errno.h>
#include <stdlib.h>

#include "engine.h"
#include "progress.h"

/* Of one run; and of all runs of the program, so that it ends in time on a restless machine. */
#define RETRIES 2u
#define RETRIES_TOTAL 24u

static unsigned retries_left = RETRIES_TOTAL;

static void topology_of(const struct sb_options *options, const struct sb_workload *workload,
			struct sb_topology *topology)
{
	*topology = workload->topology;
	if (topology->publishers == 0) {
		topology->publishers = options->publishers;
		topology->subscribers = options->subscribers;
	}
	if (topology->ids > 1)
		topology->ids = options->ids;
}

static unsigned engines_of(const struct sb_options *options, const struct sb_workload *workload,
			   const struct sb_engine *engines[SB_ENGINES_MAX])
{
	struct sb_topology topology;
	unsigned n = 0;

	topology_of(options, workload, &topology);
	engines[n++] = topology.ids > 0 ? &sb_engine_cache : &sb_engine_stasis;
	if (!options->baselines)
		return n;
	if ((workload->baselines & SB_BASELINE_RING) && topology.subscribers == 1)
		engines[n++] = &sb_engine_ring;
	if ((workload->baselines & SB_BASELINE_CK) && topology.subscribers == 1)
		engines[n++] = &sb_engine_ck;
	if (workload->baselines & SB_BASELINE_MUTEX)
		engines[n++] = &sb_engine_mutex;
	if (workload->baselines & SB_BASELINE_RWLOCK)
		engines[n++] = &sb_engine_rwlock;
	return n;
}

unsigned sb_throughput_runs(const struct sb_options *options, const struct sb_workload *workload)
{
	const struct sb_engine *engines[SB_ENGINES_MAX];

	return engines_of(options, workload, engines) * options->repeat;
}

static void report_step(const struct sb_throughput *row, const struct sb_series *series,
			const struct sb_sample *sample)
{
	const char *workload = row->workload->name, *engine = series->engine->name;

	switch (sample->outcome) {
	case SB_OUTCOME_OK:
		sb_progress_step("%s, %s: %.2f M/s (%s, %.0f ns)", workload, engine,
				 sample->rate / 1e6, sb_placement_name(sample->placement),
				 (sample->trip_before_ns + sample->trip_after_ns) / 2);
		break;
	case SB_OUTCOME_STALLED:
		sb_progress_step("%s, %s: stalled", workload, engine);
		break;
	case SB_OUTCOME_FAILED:
		sb_progress_step("%s, %s: FAILED: %s", workload, engine, sample->text);
		break;
	}
}

/* Was it the machine? The placement changed, or others had all the CPU. */
static bool worth_a_retry(const struct sb_series *series, const struct sb_sample *sample)
{
	return (sample->outcome == SB_OUTCOME_OK && sample->placement == SB_PLACEMENT_MIXED) ||
	       (sample->outcome == SB_OUTCOME_STALLED && !series->engine->may_stall);
}

/* One run more of a series. False: no use to make another. */
static bool run_series(const struct sb_options *options, struct sb_throughput *row,
		       struct sb_series *series)
{
	struct sb_sample *sample = &series->samples[series->n];
	unsigned retries = RETRIES;

	for (;;) {
		sb_run_once(series->engine, &row->topology, &options->setup, sample);
		if (!worth_a_retry(series, sample) || retries == 0 || retries_left == 0)
			break;
		retries--;
		retries_left--;
		series->retried++;
	}
	series->n++;
	report_step(row, series, sample);
	return sample->outcome == SB_OUTCOME_OK;
}

int sb_throughput(const struct sb_options *options, const struct sb_workload *workload,
		  struct sb_results *results)
{
	struct sb_throughput *row = &results->throughput[results->n_throughput++];
	const struct sb_engine *engines[SB_ENGINES_MAX];
	bool given_up[SB_ENGINES_MAX] = { false };

	row->workload = workload;
	topology_of(options, workload, &row->topology);
	row->window = sb_window(&row->topology, &options->setup);
	row->n_series = engines_of(options, workload, engines);
	for (unsigned i = 0; i < row->n_series; i++) {
		row->series[i].engine = engines[i];
		row->series[i].samples = calloc(options->repeat, sizeof(struct sb_sample));
		if (row->series[i].samples == NULL)
			return -ENOMEM;
	}
	for (unsigned round = 0; round < options->repeat; round++) {
		for (unsigned i = 0; i < row->n_series; i++) {
			if (given_up[i])
				sb_progress_skip(1);
			else
				given_up[i] = !run_series(options, row, &row->series[i]);
		}
	}
	return 0;
}
