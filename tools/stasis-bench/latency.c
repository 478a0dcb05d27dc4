/* SPDX-License-Identifier: BSD-2-Clause */
/* latency.c — see latency.h */

#include "latency.h"

#include <errno.h>
#include <stdlib.h>

#include "paced.h"
#include "progress.h"

/* Of the time of a throughput run: p99.9 wants ten thousand messages. */
#define SECONDS_FACTOR 2.5
#define RETRIES 2u

struct entry {
	const char *name;
	const char *text;
	const struct sb_paced_subject *subject;
	int option;
};

static unsigned entries_of(const struct sb_options *options, struct entry entries[SB_LATENCIES_MAX])
{
	unsigned n = 0;

	for (size_t i = 0; i < sb_n_workloads; i++) {
		const struct sb_workload *workload = &sb_workloads[i];

		if (options->selected[i] && workload->kind == SB_KIND_LATENCY)
			entries[n++] = (struct entry){ workload->name, workload->text,
						       &sb_paced_stasis, (int)workload->wait };
	}
	if (n > 0 && options->baselines)
		entries[n++] = (struct entry){ "futex", sb_paced_futex.text, &sb_paced_futex, 0 };
	return n;
}

unsigned sb_latency_runs(const struct sb_options *options)
{
	struct entry entries[SB_LATENCIES_MAX];

	return entries_of(options, entries) * options->repeat;
}

static void run_entry(const struct sb_options *options, const struct entry *entry,
		      struct sb_latency *latency)
{
	struct sb_latency_sample *sample = &latency->samples[latency->n++];
	unsigned retries = RETRIES;

	do {
		sb_paced_run(entry->subject, entry->option, options->rate,
			     options->setup.seconds * SECONDS_FACTOR, sample);
	} while (sample->outcome == SB_OUTCOME_OK && sample->placement == SB_PLACEMENT_MIXED &&
		 retries-- > 0);
	if (sample->outcome == SB_OUTCOME_OK)
		sb_progress_step("%s: p50 %.2f us, p99 %.2f us (%s)", entry->name,
				 (double)sample->p50_ns / 1e3, (double)sample->p99_ns / 1e3,
				 sb_placement_name(sample->placement));
	else
		sb_progress_step("%s: FAILED: %s", entry->name, sample->text);
}

int sb_latency(const struct sb_options *options, struct sb_results *results)
{
	struct entry entries[SB_LATENCIES_MAX];
	unsigned n = entries_of(options, entries);

	for (unsigned i = 0; i < n; i++) {
		struct sb_latency *latency = &results->latency[results->n_latency++];

		latency->name = entries[i].name;
		latency->text = entries[i].text;
		latency->samples = calloc(options->repeat, sizeof(latency->samples[0]));
		if (latency->samples == NULL)
			return -ENOMEM;
	}
	for (unsigned round = 0; round < options->repeat; round++) {
		for (unsigned i = 0; i < n; i++)
			run_entry(options, &entries[i], &results->latency[i]);
	}
	return 0;
}
