/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c — stasis-stress: tortures the library, and sees that it survives
 *
 * Round by round: a net is drawn (net.h) and threads let loose on it (role.h); this thread, the
 * controlling one, makes things go wrong when the schedule says so (schedule.h, faults/); then all
 * is taken down, checked (ledger.h, store.h) and counted (memory.h).
 */

#include <inttypes.h>
#include <stdio.h>

#include "crash.h"
#include "fail.h"
#include "faults/faults.h"
#include "memory.h"
#include "options.h"
#include "plant.h"
#include "random.h"
#include "role.h"
#include "schedule.h"
#include "verdict.h"
#include "watch.h"

#define STEP_US 2000u
#define WARM_UP_US 20000u
/* In a round that takes so many times its time nothing goes wrong on purpose any more: there is too
 * little CPU for it. What would have is written down all the same: a seed has one record. */
#define LATE_ROUNDS 4u

static char where[160];

/* Has something gone wrong, or does somebody want it to end? */
static bool over(void)
{
	return ss_violations() > 0 || ss_interrupted();
}

/* Waits until a time, or until it is over. */
static void wait_until(uint64_t ns)
{
	uint64_t now;

	while ((now = ss_now_ns()) < ns && !over()) {
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
	while (!over() && ss_schedule_op(schedule, &op)) {
		wait_until(began + op.at_us * 1000);
		if (over())
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

static void play(struct ss_schedule *schedule, struct ss_tally *tally)
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
	ss_crash_prepare(schedule);
	ss_faults_count_round(round->faults);
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
	struct ss_net *net;

	ss_violation_where("warming up");
	ss_watch_phase("warming up", WARM_UP_US);
	net = ss_net_open(ss_shape_find("random"), options->seed, 4, false, false);
	ss_roles_start(net);
	ss_sleep_us(WARM_UP_US);
	atomic_store(&net->stop, true);
	ss_roles_join();
	ss_net_close(net);
	ss_roles_free();
	ss_memory_mark();
	atomic_store(&ss_n_verified, 0);
}

int main(int argc, char **argv)
{
	static struct ss_schedule schedule;
	static struct ss_options options;
	static struct ss_tally tally;
	const char *record;

	ss_options_parse(&options, argc, argv);
	ss_schedule_open(&schedule, &options);
	ss_plant_set(SS_PLANT_NONE);
	/* A third: the dog, too, loses its patience. */
	ss_memory_init(options.patience / 3);
	ss_crash_init();
	ss_crash_prepare(&schedule);
	ss_watch_start(&schedule, &tally);
	warm_up(&options);
	ss_plant_set(options.plant);
	ss_faults_init(options.replay != NULL ? ss_faults_fit() : options.faults);
	tally.began_ns = ss_now_ns();
	while (!over() &&
	       ss_schedule_round(&schedule, (double)(ss_now_ns() - tally.began_ns) / 1e9))
		play(&schedule, &tally);
	ss_watch_stop();
	ss_violation_where("the whole run");
	ss_check(tally.n_published > 0, "void: nothing was published, and so nothing verified");
	tally.seconds = (double)(ss_now_ns() - tally.began_ns) / 1e9;
	record = ss_schedule_close(&schedule, ss_violations() > 0);
	ss_verdict_print(&schedule, &tally, record, NULL);
	return ss_violations() == 0 ? SS_EXIT_PASSED : SS_EXIT_FAILED;
}
