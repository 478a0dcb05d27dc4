/* SPDX-License-Identifier: BSD-2-Clause */
/* results.c — see results.h */

#include "results.h"

#include <stdlib.h>
#include <string.h>

#include "stats.h"

/* The median of one member of those samples that have the placement. */
#define MEDIAN(series, values, placement_, expression)                                             \
	({                                                                                         \
		size_t n_ = 0;                                                                     \
		for (unsigned i = 0; i < (series)->n; i++) {                                       \
			__typeof__((series)->samples) s = &(series)->samples[i];                   \
			if (s->outcome == SB_OUTCOME_OK && s->placement == (placement_))           \
				(values)[n_++] = (double)(expression);                             \
		}                                                                                  \
		sb_median((values), n_);                                                           \
	})

void sb_summarize(const struct sb_series *series, enum sb_placement placement,
		  struct sb_summary *summary)
{
	double *values = calloc(series->n + 1, sizeof(values[0]));

	memset(summary, 0, sizeof(*summary));
	for (unsigned i = 0; i < series->n && values != NULL; i++) {
		const struct sb_sample *sample = &series->samples[i];

		if (sample->outcome != SB_OUTCOME_OK || sample->placement != placement)
			continue;
		if (summary->n == 0 || sample->rate < summary->min)
			summary->min = sample->rate;
		if (summary->n == 0 || sample->rate > summary->max)
			summary->max = sample->rate;
		summary->n++;
	}
	if (summary->n > 0) {
		summary->median = MEDIAN(series, values, placement, s->rate);
		summary->updates = MEDIAN(series, values, placement, s->updates);
		summary->trip_ns = MEDIAN(series, values, placement,
					  (s->trip_before_ns + s->trip_after_ns) / 2);
	}
	free(values);
}

const struct sb_sample *sb_series_bad(const struct sb_series *series)
{
	for (unsigned i = 0; i < series->n; i++) {
		if (series->samples[i].outcome != SB_OUTCOME_OK)
			return &series->samples[i];
	}
	return NULL;
}

void sb_latency_summarize(const struct sb_latency *latency, enum sb_placement placement,
			  struct sb_latency_summary *summary)
{
	double *values = calloc(latency->n + 1, sizeof(values[0]));

	memset(summary, 0, sizeof(*summary));
	for (unsigned i = 0; i < latency->n && values != NULL; i++) {
		const struct sb_latency_sample *sample = &latency->samples[i];

		if (sample->outcome != SB_OUTCOME_OK || sample->placement != placement)
			continue;
		if ((double)sample->max_ns > summary->max_ns)
			summary->max_ns = (double)sample->max_ns;
		summary->n++;
	}
	if (summary->n > 0) {
		summary->p50_ns = MEDIAN(latency, values, placement, s->p50_ns);
		summary->p90_ns = MEDIAN(latency, values, placement, s->p90_ns);
		summary->p99_ns = MEDIAN(latency, values, placement, s->p99_ns);
		summary->p999_ns = MEDIAN(latency, values, placement, s->p999_ns);
		summary->trip_ns = MEDIAN(latency, values, placement,
					  (s->trip_before_ns + s->trip_after_ns) / 2);
	}
	free(values);
}

const struct sb_latency_sample *sb_latency_bad(const struct sb_latency *latency)
{
	for (unsigned i = 0; i < latency->n; i++) {
		if (latency->samples[i].outcome != SB_OUTCOME_OK)
			return &latency->samples[i];
	}
	return NULL;
}

static bool throughput_failed(const struct sb_throughput *row)
{
	for (unsigned i = 0; i < row->n_series; i++) {
		const struct sb_sample *bad = sb_series_bad(&row->series[i]);

		if (bad == NULL)
			continue;
		if (bad->outcome == SB_OUTCOME_FAILED || !row->series[i].engine->may_stall)
			return true;
	}
	return false;
}

bool sb_results_failed(const struct sb_results *results)
{
	for (size_t i = 0; i < results->n_throughput; i++) {
		if (throughput_failed(&results->throughput[i]))
			return true;
	}
	for (size_t i = 0; i < results->n_latency; i++) {
		if (sb_latency_bad(&results->latency[i]) != NULL)
			return true;
	}
	return (results->idle.measured && results->idle.error != 0) ||
	       (results->memory.measured && results->memory.error != 0);
}

void sb_results_free(struct sb_results *results)
{
	for (size_t i = 0; i < results->n_throughput; i++) {
		for (unsigned j = 0; j < results->throughput[i].n_series; j++)
			free(results->throughput[i].series[j].samples);
	}
	for (size_t i = 0; i < results->n_latency; i++)
		free(results->latency[i].samples);
	memset(results, 0, sizeof(*results));
}
