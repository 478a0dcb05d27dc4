/* SPDX-License-Identifier: BSD-2-Clause */
/* report.c — the table; see report.h */

#include "report.h"

#include <string.h>

static void print_machine(FILE *stream, const struct sb_options *options,
			  const struct sb_machine *machine)
{
	fprintf(stream, "stasis-bench %s, %s\n", machine->version, machine->date);
	fprintf(stream, "%s, %u CPUs (%u used), Linux %s, %s, %s\n", machine->cpu, machine->n_cpus,
		machine->n_cpus_used, machine->system.release, machine->compiler,
		machine->allocator);
	fprintf(stream, "payload %zu bytes, %u worker%s, %.3g s a run, %u run%s each\n",
		options->setup.payload, options->setup.threads,
		options->setup.threads == 1 ? "" : "s", options->setup.seconds, options->repeat,
		options->repeat == 1 ? "" : "s");
	if (machine->caveat != NULL)
		fprintf(stream, "These figures mean little: %s.\n", machine->caveat);
}

static void print_series(FILE *stream, const struct sb_series *series, enum sb_placement placement,
			 const struct sb_summary *ours)
{
	struct sb_summary summary;

	sb_summarize(series, placement, &summary);
	if (summary.n == 0)
		return;
	fprintf(stream, "  %-13s %-10s %-9s %6.0f %9.2f %9.2f %9.2f %4u", "", series->engine->name,
		sb_placement_name(placement), summary.trip_ns, summary.median / 1e6,
		summary.min / 1e6, summary.max / 1e6, summary.n);
	if (ours != NULL && ours->n > 0 && placement != SB_PLACEMENT_MIXED)
		fprintf(stream, " %6.2f", ours->median / summary.median);
	if (summary.updates > 0)
		fprintf(stream, "%*s updates %.2f", ours != NULL ? 0 : 7, "",
			summary.updates / 1e6);
	fputc('\n', stream);
}

/* In place of figures, or below them. */
static void print_bad(FILE *stream, const struct sb_series *series)
{
	const struct sb_sample *bad = sb_series_bad(series);

	if (bad == NULL)
		return;
	fprintf(stream, "  %-13s %-10s %s: %s\n", "", series->engine->name,
		bad->outcome == SB_OUTCOME_STALLED ? "stalled" : "FAILED", bad->text);
}

static void print_throughput(FILE *stream, const struct sb_throughput *row)
{
	fprintf(stream, "  %s: %s\n", row->workload->name, row->workload->text);
	for (int placement = 0; placement < SB_PLACEMENTS; placement++) {
		struct sb_summary ours;

		sb_summarize(&row->series[0], (enum sb_placement)placement, &ours);
		for (unsigned i = 0; i < row->n_series; i++) {
			/* What broke its promises once has no figures at all. */
			if (sb_series_bad(&row->series[i]) == NULL)
				print_series(stream, &row->series[i], (enum sb_placement)placement,
					     i > 0 && sb_series_bad(&row->series[0]) == NULL ?
						     &ours :
						     NULL);
		}
	}
	for (unsigned i = 0; i < row->n_series; i++)
		print_bad(stream, &row->series[i]);
}

static void print_all_throughput(FILE *stream, const struct sb_results *results)
{
	if (results->n_throughput == 0)
		return;
	fprintf(stream,
		"\nThroughput, million deliveries a second; of cache-get, gets. trip: a cache line "
		"from CPU to CPU and\nback, ns. "
		"ratio: stasis by this row, medians of runs in the same placement.\n\n");
	fprintf(stream, "  %-13s %-10s %-9s %6s %9s %9s %9s %4s %6s\n", "", "", "placement", "trip",
		"median", "min", "max", "runs", "ratio");
	for (size_t i = 0; i < results->n_throughput; i++)
		print_throughput(stream, &results->throughput[i]);
}

static void print_latency(FILE *stream, const struct sb_latency *latency)
{
	const struct sb_latency_sample *bad = sb_latency_bad(latency);

	if (bad != NULL) {
		fprintf(stream, "  %-18s FAILED: %s\n", latency->name, bad->text);
		return;
	}
	for (int placement = 0; placement < SB_PLACEMENTS; placement++) {
		struct sb_latency_summary summary;

		sb_latency_summarize(latency, (enum sb_placement)placement, &summary);
		if (summary.n > 0)
			fprintf(stream, "  %-18s %-9s %6.0f %9.2f %9.2f %9.2f %9.2f %9.2f %4u\n",
				latency->name, sb_placement_name((enum sb_placement)placement),
				summary.trip_ns, summary.p50_ns / 1e3, summary.p90_ns / 1e3,
				summary.p99_ns / 1e3, summary.p999_ns / 1e3, summary.max_ns / 1e3,
				summary.n);
	}
}

static void print_all_latency(FILE *stream, const struct sb_options *options,
			      const struct sb_results *results)
{
	if (results->n_latency == 0)
		return;
	fprintf(stream,
		"\nLatency at %u messages a second, us, from the moment each message was due to "
		"its "
		"callback, so\nthat a delay of the sender counts (coordinated omission is "
		"corrected). "
		"Exact percentiles, medians\nover the runs; the largest maximum. The sender "
		"%s.\nThe "
		"same for the control, \"futex\": a bare FUTEX_WAKE of a sleeping thread.\n\n",
		options->rate,
		results->latency[0].n > 0 &&
				results->latency[0].samples[0].placement == SB_PLACEMENT_ONE_CPU ?
			"sleeps until a message is due, on the one CPU" :
			"busy-waits on one CPU, the receiver has the other");
	fprintf(stream, "  %-18s %-9s %6s %9s %9s %9s %9s %9s %4s\n", "", "placement", "trip",
		"p50", "p90", "p99", "p99.9", "max", "runs");
	for (size_t i = 0; i < results->n_latency; i++)
		print_latency(stream, &results->latency[i]);
}

static void print_idle(FILE *stream, const struct sb_idle *idle)
{
	if (idle->error != 0)
		fprintf(stream, "\nIdle: FAILED: %s\n", strerror(idle->error));
	else
		fprintf(stream,
			"\nIdle, %u subscriptions, %.1f s: %.0f us of CPU time and %.1f context "
			"switches a second, the whole process\n",
			idle->subscriptions, idle->seconds, idle->cpu_ns_per_s / 1e3,
			idle->switches_per_s);
}

static void print_memory(FILE *stream, const struct sb_options *options,
			 const struct sb_memory *memory)
{
	if (memory->error != 0)
		fprintf(stream, "\nMemory: FAILED: %s\n", strerror(memory->error));
	else if (!memory->counted)
		fprintf(stream, "\nMemory: not counted by this allocator\n");
	else
		fprintf(stream,
			"\nMemory, bytes as %s counts them, over %zu of each: topic %.0f, idle "
			"subscription %.0f,\nmessage of %zu bytes %.0f, the same queued %.0f\n",
			memory->source, memory->n, memory->topic, memory->subscription,
			options->setup.payload, memory->message, memory->queued);
}

void sb_report_table(FILE *stream, const struct sb_options *options,
		     const struct sb_machine *machine, const struct sb_results *results)
{
	print_machine(stream, options, machine);
	print_all_throughput(stream, results);
	print_all_latency(stream, options, results);
	if (results->idle.measured)
		print_idle(stream, &results->idle);
	if (results->memory.measured)
		print_memory(stream, options, &results->memory);
}
