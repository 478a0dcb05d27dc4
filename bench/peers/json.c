/* SPDX-License-Identifier: BSD-2-Clause */
/* json.c — see json.h
 *
 * jansson's functions that take references accept NULL and pass the failure on; only the last is
 * looked at.
 */

#include "json.h"

#include <math.h>

#include "heap.h"
#include "machine.h"
#include "stats.h"

/* Of the curve: so many for each tenfold of what lies beyond, from 1 down to 1/100,000. */
#define CURVE_PER_DECADE 12
#define CURVE_POINTS 60

static const char *const outcomes[SP_OUTCOMES] = {
	[SP_OUTCOME_OK] = "ok",
	[SP_OUTCOME_STALLED] = "stalled",
	[SP_OUTCOME_FAILED] = "failed",
	[SP_OUTCOME_UNSUPPORTED] = "unsupported",
};

/* --- one run ---------------------------------------------------------------------------------- */

static json_t *percentiles(const struct sp_result *result)
{
	static const double wanted[] = { 50, 90, 99, 99.9, 99.99, 100 };
	json_t *array = json_array();

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		uint64_t ns = sb_percentile(result->samples, result->n_samples, wanted[i] / 100);

		json_array_append_new(array, json_pack("[f, I]", wanted[i], (json_int_t)ns));
	}
	return array;
}

/* From the fastest to the slowest, as far as there are samples to tell two points apart. */
static json_t *curve(const struct sp_result *result)
{
	json_t *array = json_array();

	for (int i = 0; i < CURVE_POINTS; i++) {
		double beyond = pow(10, -(double)i / CURVE_PER_DECADE);
		uint64_t ns = sb_percentile(result->samples, result->n_samples, 1 - beyond);

		if (beyond * (double)result->n_samples < 1)
			break;
		json_array_append_new(array, json_pack("[f, I]", 1 - beyond, (json_int_t)ns));
	}
	json_array_append_new(array, json_pack("[f, I]", 1.0,
					       (json_int_t)result->samples[result->n_samples - 1]));
	return array;
}

static json_t *rate_json(const struct sp_result *result)
{
	json_t *json = json_pack("{s:f, s:f, s:I, s:f, s:I}", "rate_per_s", result->rate, "seconds",
				 result->seconds, "deliveries", (json_int_t)result->deliveries,
				 "cpu_ns_per_delivery",
				 (double)result->cpu_ns / (double)result->deliveries, "preemptions",
				 (json_int_t)result->preemptions);

	if (result->window > 0)
		json_object_set_new(json, "window", json_integer((json_int_t)result->window));
	if (result->pinning != NULL)
		json_object_set_new(json, "pinning", json_string(result->pinning));
	if (result->updates > 0)
		json_object_set_new(json, "updates_per_s", json_real(result->updates));
	return json;
}

static json_t *latency_json(const struct sp_result *result)
{
	return json_pack("{s:I, s:f, s:o, s:o}", "messages", (json_int_t)result->n_samples,
			 "consumer_percent", 100 * result->consumer_share, "percentiles",
			 percentiles(result), "curve", curve(result));
}

/* As the allocator counts, which is exact; but it sees no stacks, and nothing that a library maps
 * by itself. Where the process has grown by more than twice as much, that is what counts. */
static void set_bytes(json_t *json, const char *key, const char *by_key, double heap, double pages)
{
	bool by_pages = pages > 2 * heap;

	if (heap <= 0 && pages <= 0)
		return;
	json_object_set_new(json, key, json_real(by_pages ? pages : heap));
	json_object_set_new(json, by_key, json_string(by_pages ? "resident set" : "allocator"));
}

static json_t *memory_json(const struct sp_result *result)
{
	json_t *json = json_pack("{s:f, s:f}", "heap_bytes_per_subscriber",
				 result->heap_per_subscriber, "resident_bytes_per_subscriber",
				 result->resident_per_subscriber);

	set_bytes(json, "bytes_per_subscriber", "subscribers_counted_by",
		  result->heap_per_subscriber, result->resident_per_subscriber);
	set_bytes(json, "bytes_per_queued_message", "messages_counted_by", result->heap_per_message,
		  result->resident_per_message);
	return json;
}

static json_t *figures(enum sp_kind kind, const struct sp_result *result)
{
	switch (kind) {
	case SP_KIND_THROUGHPUT:
	case SP_KIND_CALL:
	case SP_KIND_CHURN:
		return rate_json(result);
	case SP_KIND_LATENCY:
		return latency_json(result);
	case SP_KIND_MEMORY:
		return memory_json(result);
	case SP_KIND_IDLE:
		return json_pack("{s:f, s:f, s:f}", "seconds", result->seconds, "cpu_us_per_s",
				 (double)result->cpu_ns / 1e3 / result->seconds,
				 "context_switches_per_s", result->switches_per_s);
	case SP_KINDS:
		break;
	}
	return NULL;
}

json_t *sp_json_result(const struct sp_options *options, const struct sp_result *result)
{
	enum sp_kind kind = options->workload->kind;
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s}", "engine",
				 options->entry->name, "workload", options->workload->name, "kind",
				 sp_kind_name(kind), "outcome", outcomes[result->outcome], "text",
				 result->text, "payload_bytes", (int)options->setup.harness.payload,
				 "allocator", sb_heap_name());
	json_t *more;

	if (result->outcome != SP_OUTCOME_OK)
		return json;
	more = figures(kind, result);
	if (kind != SP_KIND_MEMORY && kind != SP_KIND_IDLE) {
		json_object_set_new(json, "round_trip_ns",
				    json_pack("[f, f]", result->trip_before_ns,
					      result->trip_after_ns));
		json_object_set_new(json, "placement",
				    json_string(sb_placement_name(result->placement)));
	}
	if (json_object_update(json, more) < 0) {
		json_decref(json);
		json = NULL;
	}
	json_decref(more);
	return json;
}

/* --- the list --------------------------------------------------------------------------------- */

static json_t *engine_json(const struct sp_entry *entry)
{
	const struct sb_peer *peer = entry->peer;
	json_t *workloads = json_array();

	for (size_t i = 0; i < sp_n_workloads; i++) {
		if (sp_entry_fits(entry, &sp_workloads[i]))
			json_array_append_new(workloads, json_string(sp_workloads[i].name));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", entry->name, "title", peer->title,
			 "version", peer->version(), "settings", peer->settings, "workloads",
			 workloads);
}

static json_t *machine_json(void)
{
	struct sb_machine machine;

	sb_machine_get(&machine);
	return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s, s:s*}", "cpu", machine.cpu, "cpus",
			 (int)machine.n_cpus, "cpus_used", (int)machine.n_cpus_used, "kernel",
			 machine.system.release, "architecture", machine.system.machine, "compiler",
			 machine.compiler, "caveat", machine.caveat);
}

json_t *sp_json_list(void)
{
	json_t *engines = json_array(), *missing = json_array(), *workloads = json_array();

	for (size_t i = 0; i < sp_n_entries; i++) {
		const struct sp_entry *entry = &sp_entries[i];

		if (entry->peer != NULL)
			json_array_append_new(engines, engine_json(entry));
		else
			json_array_append_new(missing, json_pack("{s:s, s:s}", "name", entry->name,
								 "package", entry->package));
	}
	for (size_t i = 0; i < sp_n_workloads; i++) {
		const struct sp_workload *workload = &sp_workloads[i];

		json_array_append_new(workloads,
				      json_pack("{s:s, s:s, s:s, s:i}", "name", workload->name,
						"title", workload->title, "kind",
						sp_kind_name(workload->kind), "payload_bytes",
						(int)workload->payload));
	}
	return json_pack("{s:o, s:o, s:o, s:o}", "engines", engines, "missing", missing,
			 "workloads", workloads, "machine", machine_json());
}
