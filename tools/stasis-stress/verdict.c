/* SPDX-License-Identifier: BSD-2-Clause */
/* verdict.c — see verdict.h */

#include "verdict.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "crash.h"
#include "fail.h"
#include "faults/faults.h"
#include "ledger.h"
#include "watch.h"

static void print_text(const struct ss_schedule *schedule, const struct ss_tally *tally,
		       const char *record, bool passed)
{
	printf("%s%s: %" PRIu64 " messages verified, %" PRIu64 " published, %" PRIu64
	       " refused, %" PRIu64 " rounds in %.1f s; faults:",
	       passed ? "PASSED" : "FAILED", ss_interrupted() ? " (interrupted)" : "",
	       atomic_load(&ss_n_verified), tally->n_published, tally->n_refused, tally->n_rounds,
	       tally->seconds);
	if (schedule->options->faults == 0)
		printf(" none");
	for (unsigned i = 0; i < SS_FAULTS_N; i++) {
		if (ss_fault_count(i) > 0)
			printf(" %s %" PRIu64, ss_fault(i)->name, ss_fault_count(i));
	}
	if (ss_fault_stop_longest_ns() > 0)
		printf("; the longest wait while a thread was stopped: %.1f ms",
		       (double)ss_fault_stop_longest_ns() / 1e6);
	printf("\n");
	if (passed)
		return;
	printf("  %" PRIu64 " violations, the first: %s\n", ss_violations(), ss_violation_first());
	ss_watch_tell_how(stdout, schedule, record);
}

/* Text from outside, such as a path, may be anything; JSON is UTF-8. */
static json_t *json_text(const char *text)
{
	json_t *json = text != NULL ? json_string(text) : json_null();
	char ascii[SS_RECORD_NAME_MAX];

	if (json != NULL)
		return json;
	snprintf(ascii, sizeof(ascii), "%s", text);
	for (char *c = ascii; *c != '\0'; c++) {
		if ((unsigned char)*c > 0x7f)
			*c = '?';
	}
	return json_string(ascii);
}

static void print_json(const struct ss_schedule *schedule, const struct ss_tally *tally,
		       const char *record, const char *hangs, bool passed)
{
	json_t *faults = json_object();
	json_t *verdict;
	/* JSON's whole numbers have a sign. */
	char seed[24];

	snprintf(seed, sizeof(seed), "%" PRIu64, schedule->options->seed);
	for (unsigned i = 0; i < SS_FAULTS_N; i++)
		json_object_set_new(faults, ss_fault(i)->name,
				    json_integer((json_int_t)ss_fault_count(i)));
	verdict = json_pack(
		"{s:b, s:b, s:s?, s:I, s:I, s:I, s:I, s:f, s:I, s:o, s:I, s:o, s:s, s:i, s:o}",
		"passed", passed, "interrupted", ss_interrupted(), "hangs", hangs, "verified",
		(json_int_t)atomic_load(&ss_n_verified), "published",
		(json_int_t)tally->n_published, "refused", (json_int_t)tally->n_refused, "rounds",
		(json_int_t)tally->n_rounds, "seconds", tally->seconds, "violations",
		(json_int_t)ss_violations(), "faults", faults, "stop_longest_wait_ns",
		(json_int_t)ss_fault_stop_longest_ns(), "first_violation",
		json_text(ss_violation_first()), "seed", seed, "threads",
		(int)schedule->options->threads, "record", json_text(record));
	if (verdict == NULL || json_dumpf(verdict, stdout, JSON_INDENT(2)) != 0)
		ss_die("cannot write the verdict");
	printf("\n");
	json_decref(verdict);
}

void ss_verdict_print(const struct ss_schedule *schedule, const struct ss_tally *tally,
		      const char *record, const char *hangs)
{
	bool passed = ss_violations() == 0 && hangs == NULL;

	if (schedule->options->json)
		print_json(schedule, tally, record, hangs, passed);
	else if (hangs == NULL)
		print_text(schedule, tally, record, passed);
	if (fflush(stdout) != 0)
		ss_die("cannot write the verdict");
}
