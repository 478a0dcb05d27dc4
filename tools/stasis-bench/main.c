/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c — stasis-bench: measures the library beside its baselines */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "footprint.h"
#include "latency.h"
#include "machine.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "throughput.h"

#define IDLE_SETTLE_S 3.0
#define IDLE_S 2.0
#define IDLE_SETTLE_QUICK_S 0.3
#define IDLE_QUICK_S 0.3
#define MEMORY_ITEMS 10000u

static void fatal(const char *what, int error)
{
	fprintf(stderr, "stasis-bench: %s: %s\n", what, strerror(error));
	exit(SB_EXIT_USAGE);
}

static unsigned count_steps(const struct sb_options *options)
{
	unsigned n = sb_latency_runs(options);

	for (size_t i = 0; i < sb_n_workloads; i++) {
		if (!options->selected[i])
			continue;
		if (sb_workloads[i].kind == SB_KIND_THROUGHPUT)
			n += sb_throughput_runs(options, &sb_workloads[i]);
		else if (sb_workloads[i].kind != SB_KIND_LATENCY)
			n++;
	}
	return n;
}

static int run_footprint(const struct sb_options *options, enum sb_kind kind,
			 struct sb_results *results)
{
	if (kind == SB_KIND_IDLE) {
		sb_idle_measure(options->setup.threads,
				options->quick ? IDLE_SETTLE_QUICK_S : IDLE_SETTLE_S,
				options->quick ? IDLE_QUICK_S : IDLE_S, &results->idle);
		sb_progress_step("idle: %.0f us/s", results->idle.cpu_ns_per_s / 1e3);
	} else {
		sb_memory_measure(options->setup.payload, MEMORY_ITEMS, &results->memory);
		sb_progress_step("memory");
	}
	return 0;
}

/* 0 or -errno. */
static int run_all(const struct sb_options *options, struct sb_results *results)
{
	int error = 0;

	for (size_t i = 0; i < sb_n_workloads && error == 0; i++) {
		enum sb_kind kind = sb_workloads[i].kind;

		if (!options->selected[i])
			continue;
		if (kind == SB_KIND_THROUGHPUT)
			error = sb_throughput(options, &sb_workloads[i], results);
		else if (kind != SB_KIND_LATENCY)
			error = run_footprint(options, kind, results);
		else if (results->n_latency == 0)
			error = sb_latency(options, results);
	}
	return error;
}

int main(int argc, char **argv)
{
	static struct sb_results results;
	struct sb_options options;
	struct sb_machine machine;
	int error, json = -1, status;

	sb_options_parse(&options, argc, argv);
	error = sb_cpu_init();
	if (error < 0)
		fatal("the process's CPUs", -error);
	if (options.json != NULL) {
		json = sb_report_json_open(options.json);
		if (json < 0)
			fatal(options.json, -json);
	}
	sb_machine_get(&machine);

	sb_progress_begin(count_steps(&options));
	error = run_all(&options, &results);
	sb_progress_end();
	if (error < 0)
		fatal("measuring", -error);

	status = sb_results_failed(&results) ? SB_EXIT_FAILED : SB_EXIT_OK;
	sb_report_table(stdout, &options, &machine, &results);
	if (fflush(stdout) != 0)
		fatal("standard output", EIO);
	if (json >= 0) {
		error = sb_report_json(json, &options, &machine, &results);
		if (error < 0)
			fatal(options.json, -error);
	}
	sb_results_free(&results);
	return status;
}
