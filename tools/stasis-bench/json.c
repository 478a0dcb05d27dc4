/* SPDX-License-Identifier: BSD-2-Clause */
/* json.c — the JSON file; see report.h
 *
 * jansson's functions that take references accept NULL and pass the failure on: whatever lacks
 * memory makes the root NULL or the dump fail, and only that is looked at.
 */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

/* clang-format off: keys and values stay together. */

static const char *const outcomes[] = {
	[SB_OUTCOME_OK] = "ok",
	[SB_OUTCOME_STALLED] = "stalled",
	[SB_OUTCOME_FAILED] = "failed",
};

static const char *const modes[] = {
	[SB_MODE_TAKE] = "publish_take",
	[SB_MODE_REPUBLISH] = "publish",
	[SB_MODE_BATCH] = "publish_batch",
};

static json_t *machine_json(const struct sb_machine *machine)
{
	return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:s*}", "cpu", machine->cpu, "cpus",
			 (int)machine->n_cpus, "cpus_used", (int)machine->n_cpus_used, "kernel",
			 machine->system.release, "architecture", machine->system.machine,
			 "compiler", machine->compiler, "allocator", machine->allocator, "caveat",
			 machine->caveat);
}

static json_t *options_json(const struct sb_options *options)
{
	return json_pack("{s:f, s:i, s:i, s:i, s:i, s:i, s:b, s:b}", "seconds",
			 options->setup.seconds, "repeat", (int)options->repeat, "payload_bytes",
			 (int)options->setup.payload, "threads", (int)options->setup.threads,
			 "window", (int)options->setup.window, "rate", (int)options->rate,
			 "baselines", options->baselines, "quick", options->quick);
}

static json_t *sample_json(const struct sb_sample *sample)
{
	json_t *json;

	if (sample->outcome != SB_OUTCOME_OK)
		return json_pack("{s:s, s:s}", "outcome", outcomes[sample->outcome], "text",
				 sample->text);
	json = json_pack("{s:s, s:f, s:I, s:f, s:I, s:[f, f], s:s}", "outcome",
			 outcomes[sample->outcome],
			 sample->updates > 0 ? "gets_per_s" : "deliveries_per_s", sample->rate,
			 sample->updates > 0 ? "gets" : "deliveries",
			 (json_int_t)sample->deliveries, "seconds", sample->seconds, "preemptions",
			 (json_int_t)sample->preemptions, "round_trip_ns", sample->trip_before_ns,
			 sample->trip_after_ns, "placement", sb_placement_name(sample->placement));
	if (sample->updates > 0)
		json_object_set_new(json, "updates_per_s", json_real(sample->updates));
	return json;
}

static json_t *summaries_json(const struct sb_series *series, const struct sb_series *ours)
{
	json_t *all = json_object();

	for (int i = 0; i < SB_PLACEMENTS; i++) {
		struct sb_summary summary, base;
		json_t *json;

		sb_summarize(series, (enum sb_placement)i, &summary);
		if (summary.n == 0)
			continue;
		json = json_pack("{s:i, s:f, s:f, s:f, s:f}", "runs", (int)summary.n, "median",
				 summary.median, "min", summary.min, "max", summary.max,
				 "round_trip_ns", summary.trip_ns);
		if (summary.updates > 0)
			json_object_set_new(json, "updates_per_s", json_real(summary.updates));
		sb_summarize(ours, (enum sb_placement)i, &base);
		if (ours != series && base.n > 0 && i != SB_PLACEMENT_MIXED)
			json_object_set_new(json, "stasis_ratio",
					    json_real(base.median / summary.median));
		json_object_set_new(all, sb_placement_name((enum sb_placement)i), json);
	}
	return all;
}

static json_t *series_json(const struct sb_series *series, const struct sb_series *ours)
{
	json_t *runs = json_array();
	bool bad = sb_series_bad(series) != NULL || sb_series_bad(ours) != NULL;

	for (unsigned i = 0; i < series->n; i++)
		json_array_append_new(runs, sample_json(&series->samples[i]));
	return json_pack("{s:s, s:s, s:i, s:o, s:o*}", "engine", series->engine->name,
			 "description", series->engine->text, "dropped_runs", (int)series->retried,
			 "runs", runs, "summary", bad ? NULL : summaries_json(series, ours));
}

static json_t *throughput_json(const struct sb_throughput *row)
{
	json_t *engines = json_array();

	for (unsigned i = 0; i < row->n_series; i++)
		json_array_append_new(engines, series_json(&row->series[i], &row->series[0]));
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:s, s:I, s:o}", "workload",
			 row->workload->name, "description", row->workload->text, "publishers",
			 (int)row->topology.publishers, "subscribers",
			 (int)row->topology.subscribers, "upstream_topics",
			 (int)row->topology.upstream, "ids", (int)row->topology.ids, "readers",
			 (int)row->topology.readers, "mode", modes[row->topology.mode], "window",
			 (json_int_t)row->window, "engines", engines);
}

static json_t *latency_sample_json(const struct sb_latency_sample *sample)
{
	if (sample->outcome != SB_OUTCOME_OK)
		return json_pack("{s:s, s:s}", "outcome", outcomes[sample->outcome], "text",
				 sample->text);
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:[f, f], s:s}", "outcome",
			 outcomes[sample->outcome], "messages", (json_int_t)sample->n, "p50_ns",
			 (json_int_t)sample->p50_ns, "p90_ns", (json_int_t)sample->p90_ns, "p99_ns",
			 (json_int_t)sample->p99_ns, "p99.9_ns", (json_int_t)sample->p999_ns,
			 "max_ns", (json_int_t)sample->max_ns, "round_trip_ns",
			 sample->trip_before_ns, sample->trip_after_ns, "placement",
			 sb_placement_name(sample->placement));
}

static json_t *latency_json(const struct sb_latency *latency)
{
	json_t *runs = json_array();

	for (unsigned i = 0; i < latency->n; i++)
		json_array_append_new(runs, latency_sample_json(&latency->samples[i]));
	return json_pack("{s:s, s:s, s:o}", "workload", latency->name, "description", latency->text,
			 "runs", runs);
}

static json_t *idle_json(const struct sb_idle *idle)
{
	if (!idle->measured)
		return NULL;
	if (idle->error != 0)
		return json_pack("{s:s, s:s}", "outcome", "failed", "text", strerror(idle->error));
	return json_pack("{s:s, s:i, s:f, s:f, s:f}", "outcome", "ok", "subscriptions",
			 (int)idle->subscriptions, "seconds", idle->seconds, "cpu_ns_per_s",
			 idle->cpu_ns_per_s, "context_switches_per_s", idle->switches_per_s);
}

static json_t *memory_json(const struct sb_memory *memory)
{
	if (!memory->measured)
		return NULL;
	if (!memory->counted)
		return json_pack("{s:s}", "outcome", "not counted");
	if (memory->error != 0)
		return json_pack("{s:s, s:s}", "outcome", "failed", "text",
				 strerror(memory->error));
	return json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f}", "outcome", "ok", "counted_by",
			 memory->source, "items", (json_int_t)memory->n, "topic_bytes",
			 memory->topic, "subscription_bytes", memory->subscription, "message_bytes",
			 memory->message, "queued_message_bytes", memory->queued);
}

static json_t *results_json(const struct sb_options *options, const struct sb_machine *machine,
			    const struct sb_results *results)
{
	json_t *throughput = json_array(), *latency = json_array();

	for (size_t i = 0; i < results->n_throughput; i++)
		json_array_append_new(throughput, throughput_json(&results->throughput[i]));
	for (size_t i = 0; i < results->n_latency; i++)
		json_array_append_new(latency, latency_json(&results->latency[i]));
	return json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o*, s:o*}", "program",
			 "stasis-bench", "version", machine->version, "date", machine->date,
			 "passed", !sb_results_failed(results), "machine", machine_json(machine),
			 "options", options_json(options), "throughput", throughput, "latency",
			 latency, "idle", idle_json(&results->idle), "memory",
			 memory_json(&results->memory));
}

int sb_report_json_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	return fd < 0 ? -errno : fd;
}

int sb_report_json(int fd, const struct sb_options *options, const struct sb_machine *machine,
		   const struct sb_results *results)
{
	json_t *root = results_json(options, machine, results);
	int error = 0;

	errno = 0;
	if (root == NULL) {
		error = -ENOMEM;
	} else {
		/* A pipe or a terminal cannot be truncated and need not be. */
		(void)!ftruncate(fd, 0);
		errno = 0;
		if (json_dumpfd(root, fd, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) < 0 ||
		    write(fd, "\n", 1) < 0)
			error = errno != 0 ? -errno : -EIO;
	}
	json_decref(root);
	if (close(fd) < 0 && error == 0)
		error = -errno;
	return error;
}
