/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c — stasis-stress: tortures the library, and sees that it survives
 *
 * Round by round: a net is drawn (net.h) and threads let loose on it (role.h); this thread, the
 * controlling one, makes things go wrong when the schedule says so (schedule.h, faults/); then all
 * is taken down, checked (ledger.h, store.h) and counted (memory.h).
 */

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "faults/faults.h"
#include "memory.h"
#include "options.h"
#include "plant.h"
#include "random.h"
#include "role.h"
#include "schedule.h"
#include "station.h"
#include "watch.h"

#define STEP_US 2000u
/* In a round that takes so many times its time nothing goes wrong on purpose any more: there is too
 * little CPU for it. What would have is written down all the same: a seed has one record. */
#define LATE_ROUNDS 4u

struct tally {
	uint64_t n_rounds, n_published, n_refused;
	double seconds;
};

static char where[160];

/* Waits until a time, or until something has gone wrong. */
static void wait_until(uint64_t ns)
{
	uint64_t now;

	while ((now = ss_now_ns()) < ns && ss_violations() == 0) {
		uint64_t us = (ns - now) / 1000 + 1;

		ss_sleep_us(us < STEP_US ? us : STEP_US);
	}
}

static void control(struct ss_net *net, struct ss_schedule *schedule, uint64_t began)
{
	uint64_t end = began + schedule->round.us * 1000;
	bool late = false;
	struct ss_op op;

	ss_watch_phase("running", schedule->round.us);
	while (ss_violations() == 0 && ss_schedule_op(schedule, &op)) {
		wait_until(began + op.at_us * 1000);
		if (ss_violations() > 0)
			break;
		late |= ss_now_ns() > end + (end - began) * LATE_ROUNDS ||
			ss_plant_now(SS_PLANT_LATE);
		ss_watch_phase("running", schedule->round.us);
		ss_schedule_note(schedule, &op);
		if (!late)
			ss_fault_inject(op.fault, net, op.args);
	}
	wait_until(end);
}

static void play(struct ss_schedule *schedule, struct tally *tally)
{
	const struct ss_options *options = schedule->options;
	const struct ss_round *round = &schedule->round;
	bool starved = round->faults & (1u << SS_FAULT_ALLOC);
	bool scarce = round->faults & (1u << SS_FAULT_LIMITS);
	uint64_t began = ss_now_ns();
	struct ss_net *net;

	snprintf(where, sizeof(where), "round %" PRIu64 ", topology %s", round->number,
		 round->shape->name);
	ss_violation_where(where);
	ss_watch_phase("building", 0);
	net = ss_net_open(round->shape, round->seed, options->threads, scarce, starved);
	ss_watch_round(net, round);
	ss_roles_start(net);
	control(net, schedule, began);
	ss_watch_phase("threads ending", 0);
	ss_faults_release(round->faults);
	atomic_store(&net->stop, true);
	ss_roles_join();
	ss_watch_phase("taking down", 0);
	tally->n_rounds++;
	tally->n_published += atomic_load(&net->n_published);
	tally->n_refused += atomic_load(&net->n_refused);
	ss_watch_round(NULL, round);
	ss_net_close(net);
	ss_watch_phase("counting", 0);
	ss_roles_free();
	ss_memory_check();
}

/* What the library and its threads keep for good is made once, in a round that is not looked at. */
static void warm_up(const struct ss_options *options)
{
	struct ss_net *net = ss_net_open(ss_shape_find("random"), options->seed, 4, false, false);

	ss_violation_where("warming up");
	ss_roles_start(net);
	ss_sleep_us(20000);
	atomic_store(&net->stop, true);
	ss_roles_join();
	ss_net_close(net);
	ss_roles_free();
	ss_memory_mark();
}

static void print_text(const struct ss_schedule *schedule, const struct tally *tally,
		       const char *record)
{
	bool passed = ss_violations() == 0;

	printf("%s: %" PRIu64 " messages verified, %" PRIu64 " published, %" PRIu64
	       " refused, %" PRIu64 " rounds in %.1f s; faults:",
	       passed ? "PASSED" : "FAILED", atomic_load(&ss_n_verified), tally->n_published,
	       tally->n_refused, tally->n_rounds, tally->seconds);
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

static void print_json(const struct ss_schedule *schedule, const struct tally *tally,
		       const char *record)
{
	json_t *faults = json_object();
	json_t *verdict;

	for (unsigned i = 0; i < SS_FAULTS_N; i++)
		json_object_set_new(faults, ss_fault(i)->name,
				    json_integer((json_int_t)ss_fault_count(i)));
	verdict = json_pack("{s:b, s:I, s:I, s:I, s:I, s:f, s:I, s:o, s:I, s:s, s:I, s:i, s:s?}",
			    "passed", ss_violations() == 0, "verified",
			    (json_int_t)atomic_load(&ss_n_verified), "published",
			    (json_int_t)tally->n_published, "refused", (json_int_t)tally->n_refused,
			    "rounds", (json_int_t)tally->n_rounds, "seconds", tally->seconds,
			    "violations", (json_int_t)ss_violations(), "faults", faults,
			    "stop_longest_wait_ns", (json_int_t)ss_fault_stop_longest_ns(),
			    "first_violation", ss_violation_first(), "seed",
			    (json_int_t)schedule->options->seed, "threads",
			    (int)schedule->options->threads, "record", record);
	if (verdict == NULL || json_dumpf(verdict, stdout, JSON_INDENT(2)) != 0)
		ss_die("cannot write the verdict");
	printf("\n");
	json_decref(verdict);
}

int main(int argc, char **argv)
{
	static struct ss_schedule schedule;
	static struct ss_options options;
	struct tally tally = { 0 };
	const char *record;
	uint64_t began;

	ss_options_parse(&options, argc, argv);
	ss_schedule_open(&schedule, &options);
	ss_plant_set(SS_PLANT_NONE);
	/* A third: the dog, too, loses its patience. */
	ss_memory_init(options.patience / 3);
	warm_up(&options);
	ss_plant_set(options.plant);
	ss_faults_init(options.replay != NULL ? ss_faults_fit() : options.faults);
	began = ss_now_ns();
	ss_watch_start(&schedule);
	while (ss_violations() == 0 &&
	       ss_schedule_round(&schedule, (double)(ss_now_ns() - began) / 1e9))
		play(&schedule, &tally);
	ss_watch_stop();
	tally.seconds = (double)(ss_now_ns() - began) / 1e9;
	record = ss_schedule_close(&schedule, ss_violations() > 0);
	if (options.json)
		print_json(&schedule, &tally, record);
	else
		print_text(&schedule, &tally, record);
	if (fflush(stdout) != 0)
		ss_die("cannot write the verdict");
	return ss_violations() == 0 ? SS_EXIT_PASSED : SS_EXIT_FAILED;
}
