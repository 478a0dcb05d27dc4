/* SPDX-License-Identifier: BSD-2-Clause */
/* watch.c — see watch.h */

#include "watch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "role.h"
#include "station.h"
#include "store.h"

#define TICK_US 100000u
#define TERMINAL_NS UINT64_C(1000000000)
#define FILE_NS UINT64_C(10000000000)

static struct {
	pthread_t thread;
	_Atomic bool stop;
	bool terminal, quiet;
	const struct ss_schedule *schedule;
	const struct ss_tally *tally;
	uint64_t began_ns, told_ns, verified_then;
	_Atomic(const char *) phase;
	_Atomic uint64_t over_by_ns;
	/* under the lock: the net may not go while it is looked at */
	pthread_mutex_t lock;
	struct ss_net *net;
	struct ss_round round;
} watch = { .lock = PTHREAD_MUTEX_INITIALIZER, .phase = "starting" };

static uint64_t depth_of(struct ss_net *net)
{
	uint64_t depth = 0;

	for (unsigned i = 0; i < net->n_stations; i++)
		depth += ss_station_depth(&net->stations[i]);
	return depth;
}

static void tell_progress(uint64_t now)
{
	uint64_t verified = atomic_load(&ss_n_verified);
	uint64_t us = (now - watch.told_ns) / 1000, then = watch.verified_then;
	uint64_t number, n_faults = 0, depth = 0;
	const char *shape = "-";

	for (unsigned i = 0; i < SS_FAULTS_N; i++)
		n_faults += ss_fault_count(i);
	pthread_mutex_lock(&watch.lock);
	if (watch.net != NULL) {
		depth = depth_of(watch.net);
		shape = watch.round.shape->name;
	}
	number = watch.round.number;
	pthread_mutex_unlock(&watch.lock);
	fprintf(stderr,
		"%s[%5.0f s] round %" PRIu64 " %s, %s: %" PRIu64 " messages/s, %" PRIu64
		" queued, %" PRIu64 " verified, %" PRIu64 " faults, %" PRIu64 " violations%s",
		watch.terminal ? "\r\033[K" : "", (double)(now - watch.began_ns) / 1e9,
		number, shape, atomic_load(&watch.phase),
		us > 0 && verified > then ? (verified - then) * 1000000 / us : 0, depth, verified,
		n_faults, ss_violations(), watch.terminal ? "" : "\n");
	fflush(stderr);
	watch.told_ns = now;
	watch.verified_then = verified;
}

static void tell_verdict(void)
{
	struct ss_tally tally = *watch.tally;

	if (watch.net != NULL) {
		tally.n_published += atomic_load(&watch.net->n_published);
		tally.n_refused += atomic_load(&watch.net->n_refused);
	}
	if (tally.began_ns != 0)
		tally.seconds = (double)(ss_now_ns() - tally.began_ns) / 1e9;
	ss_verdict_print(watch.schedule, &tally, ss_schedule_name(), atomic_load(&watch.phase));
}

/* The run hangs: says what everybody is doing, and ends the process. */
static _Noreturn void bark(void)
{
	struct ss_net *net = watch.net;

	fprintf(stderr,
		"\nFAILED: the run hangs, %s (round %" PRIu64 ", topology %s, step %" PRIu64 ")\n",
		atomic_load(&watch.phase), watch.round.number,
		watch.round.shape != NULL ? watch.round.shape->name : "-", watch.schedule->n_steps);
	for (unsigned i = 0; i < ss_n_slots; i++) {
		struct ss_slot *slot = &ss_slots[i];

		fprintf(stderr, "  thread %u, %s: %s, %" PRIu64 " rounds done%s\n", i,
			ss_role_name(slot->role), atomic_load(&slot->doing),
			atomic_load(&slot->n_ops), atomic_load(&slot->gone) ? ", gone" : "");
	}
	for (unsigned i = 0; net != NULL && i < net->n_stations; i++) {
		const struct ss_station *station = &net->stations[i];

		fprintf(stderr,
			"  %s on topic %u, executor %u: %" PRIu64 " calls%s, %" PRIu64 " queued\n",
			station->view->name, station->topic, station->executor,
			atomic_load(&station->view->progress),
			atomic_load(&station->view->inside) ? ", one now" : "",
			ss_station_depth(&net->stations[i]));
	}
	fprintf(stderr, "  subscriptions begun: %" PRIu64 ", ended: %" PRIu64 "\n",
		atomic_load(&ss_views_begun), atomic_load(&ss_views_ended));
	ss_watch_tell_how(stderr, watch.schedule, ss_schedule_name());
	fflush(stderr);
	/* Last, as it needs memory, which may be what hangs. */
	tell_verdict();
	/* With this set there is a core, or a debugger, to look at. */
	if (getenv("STASIS_STRESS_ABORT") != NULL)
		abort();
	_exit(SS_EXIT_HANG);
}

static void *run(void *arg)
{
	uint64_t interval = watch.terminal ? TERMINAL_NS : FILE_NS;

	pthread_setname_np(pthread_self(), "watch");
	while (!atomic_load(&watch.stop)) {
		uint64_t now = ss_now_ns();
		uint64_t over_by = atomic_load(&watch.over_by_ns);

		if (over_by > 0 && now > over_by)
			bark();
		if (!watch.quiet && now - watch.told_ns >= interval)
			tell_progress(now);
		ss_sleep_us(TICK_US);
	}
	return NULL;
}

void ss_watch_start(const struct ss_schedule *schedule, const struct ss_tally *tally)
{
	watch.schedule = schedule;
	watch.tally = tally;
	watch.quiet = schedule->options->quiet;
	watch.terminal = isatty(STDERR_FILENO) == 1;
	watch.began_ns = watch.told_ns = ss_now_ns();
	if (pthread_create(&watch.thread, NULL, run, NULL) != 0)
		ss_die("cannot start a thread");
}

void ss_watch_stop(void)
{
	atomic_store(&watch.stop, true);
	pthread_join(watch.thread, NULL);
	if (watch.terminal && !watch.quiet)
		fputs("\r\033[K", stderr);
}

void ss_watch_round(struct ss_net *net, const struct ss_round *round)
{
	pthread_mutex_lock(&watch.lock);
	watch.net = net;
	watch.round = *round;
	pthread_mutex_unlock(&watch.lock);
}

void ss_watch_phase(const char *phase, uint64_t us)
{
	uint64_t patience_ns = (uint64_t)(watch.schedule->options->patience * 1e9);

	atomic_store(&watch.phase, phase);
	atomic_store(&watch.over_by_ns, ss_now_ns() + us * 1000 + patience_ns);
}

static void tell_options(FILE *file, const struct ss_options *options)
{
	char faults[128];

	fprintf(file,
		"  the same seed: stasis-stress --seed %" PRIu64
		" --threads %u --seconds %g --round %g"
		" --faults %s",
		options->seed, options->threads, options->seconds, (double)options->round_us / 1e6,
		ss_faults_text(options->faults, faults, sizeof(faults)));
	for (unsigned i = 0; i < options->n_shapes; i++)
		fprintf(file, "%s%s", i == 0 ? " --topology " : ",", options->shapes[i]->name);
	fprintf(file, "\n");
}

void ss_watch_tell_how(FILE *file, const struct ss_schedule *schedule, const char *record)
{
	const struct ss_options *options = schedule->options;
	const struct ss_round *round = &schedule->round;
	char faults[128];

	if (round->shape != NULL)
		fprintf(file,
			"  where: seed %" PRIu64 ", round %" PRIu64 ", topology %s (seed %" PRIu64
			"), faults %s, step %" PRIu64 "\n",
			options->seed, round->number, round->shape->name, round->seed,
			ss_faults_text(round->faults, faults, sizeof(faults)), schedule->n_steps);
	else
		fprintf(file, "  where: seed %" PRIu64 ", before the first round\n", options->seed);
	/* What is replayed need not be what any options draw. */
	if (options->replay == NULL)
		tell_options(file, options);
	if (record != NULL)
		fprintf(file, "  the same operations: stasis-stress --replay %s\n", record);
}
