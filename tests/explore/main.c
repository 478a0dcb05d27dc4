/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c — options, cases, figures. See explore.h. */

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"

/* Beyond that many preemptions and stale loads there are those of the case at once. */
#define DEEP 4u

struct options {
	const char *only;
	const char *expect;
	const char *schedule;
	unsigned preemptions, stale, both, stops; /* UINT_MAX: what the case says */
	uint64_t random;
	uint64_t seed;
	bool trace;
};

static const struct argp_option argp_options[] = {
	{ "case", 'c', "NAME", 0, "this case only", 0 },
	{ "preemptions", 'p', "N", 0, "up to N preemptions; 255: any number", 0 },
	{ "stale", 'o', "N", 0, "up to N loads of what is not the newest; 255: any number", 0 },
	{ "both", 'b', "N", 0, "up to N of those two together; 0: as many as of each", 0 },
	{ "stops", 'k', "N", 0, "up to N threads are stopped for ever", 0 },
	{ "random", 'r', "N", 0, "N schedules at random, in place of all", 0 },
	{ "seed", 's', "N", 0, "where the random numbers start (1)", 0 },
	{ "schedule", 'S', "STRING", 0, "this schedule only, as it was printed", 0 },
	{ "trace", 't', NULL, 0, "with --schedule: print what happens in any case", 0 },
	{ "expect", 'e', "TEXT", 0,
	  "an error has been planted: succeed if a violation is found, one that TEXT is part of",
	  0 },
	{ "list", 'l', NULL, 0, "the cases, and what they are about", 0 },
	{ 0 },
};

static void list_cases(void)
{
	for (size_t i = 0; i < explore_n_cases; i++)
		printf("%-24s %s\n", explore_cases[i].name, explore_cases[i].what);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;
	char *end = arg;

	switch (key) {
	case 'c':
		options->only = arg;
		return 0;
	case 'e':
		options->expect = arg;
		return 0;
	case 'S':
		options->schedule = arg;
		return 0;
	case 't':
		options->trace = true;
		return 0;
	case 'l':
		list_cases();
		exit(0);
	case 'p':
		options->preemptions = (unsigned)strtoul(arg, &end, 0);
		break;
	case 'o':
		options->stale = (unsigned)strtoul(arg, &end, 0);
		break;
	case 'b':
		options->both = (unsigned)strtoul(arg, &end, 0);
		break;
	case 'k':
		options->stops = (unsigned)strtoul(arg, &end, 0);
		break;
	case 'r':
		options->random = strtoull(arg, &end, 0);
		break;
	case 's':
		options->seed = strtoull(arg, &end, 0);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (*arg == '\0' || *end != '\0')
		argp_error(state, "not a number: %s", arg);
	return 0;
}

static uint8_t bound(unsigned given, uint8_t of_case)
{
	if (given == UINT32_MAX)
		return of_case;
	return given < EXPLORE_UNBOUNDED ? (uint8_t)given : EXPLORE_UNBOUNDED;
}

static struct ex_bounds case_bounds(const struct explore_case *test, const struct options *options)
{
	struct ex_bounds bounds = {
		.preemptions = bound(options->preemptions, test->preemptions),
		.stale = bound(options->stale, test->stale),
		.both = bound(options->both, test->both),
		.stops = bound(options->stops, test->stops),
	};
	unsigned sum = bounds.preemptions + bounds.stale;

	if (bounds.both == 0 || bounds.both > sum)
		bounds.both = sum < EXPLORE_UNBOUNDED ? (uint8_t)sum : EXPLORE_UNBOUNDED;
	return bounds;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void print_bound(const char *before, unsigned n, const char *what)
{
	if (n == EXPLORE_UNBOUNDED)
		printf("%sany number of %s", before, what);
	else
		printf("%s%u %s", before, n, what);
}

static void print_bounds(struct ex_bounds bounds)
{
	print_bound("", bounds.preemptions, "preemptions");
	print_bound(", ", bounds.stale, "stale loads");
	if (bounds.both != EXPLORE_UNBOUNDED && bounds.both < bounds.preemptions + bounds.stale)
		print_bound(" (", bounds.both, "of both)");
	print_bound(", ", bounds.stops, "stops");
}

/* Runs the schedule that is kept once more, and says what happens in it. */
static void report(struct ex_bounds bounds)
{
	ex->tracing = true;
	ex_replay(bounds);
	ex_trace_print();
	ex->tracing = false;
	if (ex->outcome == EX_VIOLATED)
		printf("VIOLATION of %s: %s\n", ex->test->name, ex->text);
	printf("again: --case %s --preemptions %u --stale %u --both %u --stops %u --schedule ",
	       ex->test->name, bounds.preemptions, bounds.stale, bounds.both, bounds.stops);
	ex_print_schedule();
	printf("\n");
}

static uint8_t least(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

/* The bounds of a case for no more than so many preemptions and stale loads. */
static struct ex_bounds bounds_within(struct ex_bounds max, uint8_t both)
{
	max.both = least(max.both, both);
	max.preemptions = least(max.preemptions, max.both);
	max.stale = least(max.stale, max.both);
	return max;
}

/* The next step towards what the case wants, unless nothing was left out. */
static bool deepen(struct ex_bounds *bounds, struct ex_bounds max)
{
	if (!ex->cut || bounds->both >= max.both)
		return false;
	*bounds = bounds_within(max, (uint8_t)(bounds->both < DEEP ? bounds->both + 1u :
								    EXPLORE_UNBOUNDED));
	return true;
}

static void print_figures(const struct explore_case *test, const struct options *options,
			  struct ex_bounds bounds, const struct ex_figures *figures, double seconds)
{
	bool violated = ex->outcome == EX_VIOLATED;

	printf("%s: ", test->name);
	if (options->random > 0)
		printf("at random, seed %llu: ", (unsigned long long)options->seed);
	printf("%llu schedules", (unsigned long long)figures->schedules);
	if (options->random == 0)
		printf(" (%llu cut short where they met others), %llu states",
		       (unsigned long long)figures->pruned, (unsigned long long)figures->states);
	printf(", the longest of %u steps; ", figures->longest);
	print_bounds(bounds);
	if (options->random == 0 && !violated)
		printf(ex->cut ? ": all of these" : ": all there are, no bound was met");
	printf("; %.1f s of CPU\n", seconds);
	fflush(stdout);
}

/* True: as it should be. */
static bool run_case(const struct explore_case *test, const struct options *options)
{
	struct ex_bounds max = case_bounds(test, options);
	struct ex_bounds bounds = bounds_within(max, 0);
	struct ex_figures figures = { 0 };
	double start = now();
	bool violated;

	ex->test = test;
	ex_model_forget();
	if (options->schedule != NULL) {
		if (!ex_read_schedule(options->schedule)) {
			fprintf(stderr, "not a schedule: %s\n", options->schedule);
			return false;
		}
		violated = ex_replay(max);
		if (violated || options->trace)
			report(max);
		return !violated;
	}
	if (options->random > 0) {
		bounds = max;
		violated = ex_random(bounds, options->random, options->seed, &figures);
	} else {
		do
			violated = ex_search(bounds, &figures);
		while (!violated && deepen(&bounds, max));
	}
	if (violated) {
		ex_keep_schedule();
		report(bounds);
	}
	print_figures(test, options, bounds, &figures, now() - start);
	if (options->expect == NULL)
		return !violated;
	if (violated && strstr(ex->text, options->expect) == NULL) {
		printf("another violation than was planted: %s\n", options->expect);
		return false;
	}
	return violated;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse,
		.doc = "Runs the library's own code under every schedule, within bounds.\v"
		       "Exit status: 0 if no schedule violates anything; with --expect, if one "
		       "does. 1 otherwise.",
	};
	struct options options = {
		.preemptions = UINT32_MAX,
		.stale = UINT32_MAX,
		.both = UINT32_MAX,
		.stops = UINT32_MAX,
		.seed = 1,
	};
	unsigned n_run = 0, n_good = 0;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	ex_init();
	for (size_t i = 0; i < explore_n_cases; i++) {
		if (options.only != NULL && strcmp(options.only, explore_cases[i].name) != 0)
			continue;
		n_run++;
		n_good += run_case(&explore_cases[i], &options);
	}
	if (n_run == 0) {
		fprintf(stderr, "no case of that name; --list has them\n");
		return 2;
	}
	if (options.expect != NULL) {
		printf(n_good > 0 ? "found: %s\n" : "NOT FOUND: %s\n", options.expect);
		return n_good > 0 ? 0 : 1;
	}
	return n_good == n_run ? 0 : 1;
}
