/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c — see options.h */

#include "options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../number.h"
#include "fail.h"
#include "faults/faults.h"
#include "version.h"

#define ROUND_SECONDS 3.0
#define ROUND_SECONDS_MIN 0.2

enum {
	KEY_FAULTS = 256,
	KEY_JSON,
	KEY_LIST,
	KEY_PATIENCE,
	KEY_PLANT,
	KEY_RECORD,
	KEY_REPLAY,
	KEY_ROUND,
};

const char *argp_program_version = "stasis-stress " VERSION_TEXT;

/* clang-format off */
static const struct argp_option argp_options[] = {
	{ "seconds", 's', "S", 0, "How long to run (60); every topology is run at least once", 1 },
	{ "threads", 't', "N", 0, "Threads besides the library's own (64)", 1 },
	{ "seed", 'r', "N", 0, "Where the random numbers start (1)", 1 },
	{ "topology", 'T', "NAME,...", 0, "What to build; may be repeated (all)", 2 },
	{ "faults", KEY_FAULTS, "NAME,...", 0, "What is to go wrong; all, none, or names; may be "
	  "repeated. Default: all that are in this build", 2 },
	{ "round", KEY_ROUND, "S", 0, "Seconds until everything is taken down, counted, and built "
	  "anew (3)", 2 },
	{ "list", KEY_LIST, NULL, 0, "List topologies and faults", 2 },
	{ "record", KEY_RECORD, "FILE", 0, "Write down all that is done on purpose. Without it, "
	  "a file is left behind when the run fails, in this folder or in $TMPDIR", 3 },
	{ "replay", KEY_REPLAY, "FILE", 0, "Do what a record says, instead of drawing it", 3 },
	{ "patience", KEY_PATIENCE, "S", 0, "Seconds beyond its end after which a round hangs "
	  "(120)", 4 },
	{ "quiet", 'q', NULL, 0, "No progress on standard error", 4 },
	{ "json", KEY_JSON, NULL, 0, "The verdict as a JSON object", 4 },
	{ "plant", KEY_PLANT, "NAME", OPTION_HIDDEN, "Falsify what is observed: see plant.h", 5 },
	{ 0 },
};
/* clang-format on */

struct parse {
	struct ss_options *options;
	bool any_faults, round, drawn;
};

static uint64_t parse_whole(struct argp_state *state, const char *name, const char *arg,
			    uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(arg, &end, 0);
	if (end == arg || *end != '\0' || errno != 0 || strchr(arg, '-') != NULL)
		argp_error(state, "--%s: \"%s\" is not a whole number", name, arg);
	if (value < min || value > max)
		argp_error(state, "--%s: %s is not between %llu and %llu", name, arg,
			   (unsigned long long)min, (unsigned long long)max);
	return value;
}

static void add_shape(struct ss_options *options, const struct ss_shape *shape)
{
	for (unsigned i = 0; i < options->n_shapes; i++) {
		if (options->shapes[i] == shape)
			return;
	}
	if (options->n_shapes < SS_SHAPES_MAX)
		options->shapes[options->n_shapes++] = shape;
}

static void add_all_shapes(struct ss_options *options)
{
	for (unsigned i = 0; i < ss_n_shapes; i++)
		add_shape(options, &ss_shapes[i]);
}

static void parse_topologies(struct parse *parse, struct argp_state *state, char *list)
{
	char *save = NULL;

	if (*list == '\0')
		argp_error(state, "--topology: no name");
	for (char *name = strtok_r(list, ",", &save); name != NULL;
	     name = strtok_r(NULL, ",", &save)) {
		const struct ss_shape *shape = ss_shape_find(name);

		if (strcmp(name, "all") == 0)
			add_all_shapes(parse->options);
		else if (shape == NULL)
			argp_error(state, "there is no topology \"%s\"; try --list", name);
		else
			add_shape(parse->options, shape);
	}
}

static void parse_faults(struct parse *parse, struct argp_state *state, char *list)
{
	char *save = NULL;

	if (*list == '\0')
		argp_error(state, "--faults: no name");
	parse->any_faults = true;
	for (char *name = strtok_r(list, ",", &save); name != NULL;
	     name = strtok_r(NULL, ",", &save)) {
		unsigned fault = ss_fault_find(name);

		if (strcmp(name, "all") == 0)
			parse->options->faults |= ss_faults_fit();
		else if (strcmp(name, "none") == 0)
			parse->options->faults = 0;
		else if (fault == SS_FAULTS_N)
			argp_error(state, "there is no fault \"%s\"; try --list", name);
		else if (ss_fault(fault)->unfit != NULL)
			argp_error(state, "--faults: %s: not in this build: %s", name,
				   ss_fault(fault)->unfit);
		else
			parse->options->faults |= 1u << fault;
	}
}

static void list_all(void)
{
	printf("Topologies:\n");
	for (unsigned i = 0; i < ss_n_shapes; i++)
		printf("  %-10s %s\n", ss_shapes[i].name, ss_shapes[i].doc);
	printf("\nFaults:\n");
	for (unsigned i = 0; i < SS_FAULTS_N; i++) {
		const struct ss_fault *fault = ss_fault(i);

		printf("  %-10s %s\n", fault->name, fault->doc);
		if (fault->unfit != NULL)
			printf("  %-10s (not in this build: %s)\n", "", fault->unfit);
	}
}

static void parse_plant(struct parse *parse, struct argp_state *state, const char *name)
{
	parse->options->plant = ss_plant_find(name);
	if (parse->options->plant == SS_PLANT_N)
		argp_error(state, "there is no plant \"%s\"", name);
}

/* What depends on what else is given. */
static void parse_end(struct parse *parse, struct argp_state *state)
{
	struct ss_options *options = parse->options;
	double round;

	if (options->replay != NULL && parse->drawn)
		argp_error(state, "--replay: the file says what to run; no other option may");
	if (options->replay != NULL && options->record != NULL &&
	    strcmp(options->replay, options->record) == 0)
		argp_error(state, "--record: cannot write the file that is read");
	if (options->n_shapes == 0)
		add_all_shapes(options);
	if (!parse->any_faults)
		options->faults = ss_faults_fit();
	if (parse->round)
		return;
	round = fmin(ROUND_SECONDS, options->seconds / options->n_shapes);
	options->round_us = (uint64_t)(fmax(round, ROUND_SECONDS_MIN) * 1e6);
}

static error_t parse_file_or_flag(int key, char *arg, struct ss_options *options)
{
	switch (key) {
	case KEY_RECORD:
		options->record = arg;
		return 0;
	case KEY_REPLAY:
		options->replay = arg;
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	case KEY_LIST:
		list_all();
		exit(SS_EXIT_PASSED);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parse *parse = state->input;
	struct ss_options *options = parse->options;

	switch (key) {
	case 's':
		options->seconds = parse_number(state, "seconds", arg, 0.1, 1e7, false);
		break;
	case 't':
		options->threads = (unsigned)parse_whole(state, "threads", arg, 1, SS_THREADS_MAX);
		break;
	case 'r':
		options->seed = parse_whole(state, "seed", arg, 0, UINT64_MAX);
		break;
	case 'T':
		parse_topologies(parse, state, arg);
		break;
	case KEY_FAULTS:
		parse_faults(parse, state, arg);
		break;
	case KEY_ROUND:
		options->round_us = (uint64_t)(1e6 * parse_number(state, "round", arg, 0.05, 86400,
								  false));
		parse->round = true;
		break;
	case KEY_PATIENCE:
		options->patience = parse_number(state, "patience", arg, 1, 1e6, false);
		break;
	case KEY_PLANT:
		parse_plant(parse, state, arg);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is not an option", arg);
		break;
	case ARGP_KEY_END:
		parse_end(parse, state);
		break;
	default:
		return parse_file_or_flag(key, arg, options);
	}
	parse->drawn |= key == 's' || key == 't' || key == 'r' || key == 'T' || key == KEY_FAULTS ||
			key == KEY_ROUND;
	return 0;
}

void ss_options_parse(struct ss_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.doc = "Tortures libstasis: builds topologies at random, lets all kinds of threads "
		       "loose on them, makes things go wrong, and checks all the while that "
		       "nothing is lost, repeated, out of order or left behind.\v"
		       "A record (--record) is text: the seed, the number of threads, then the "
		       "rounds (topology, seed, microseconds, faults) and what was done in them "
		       "(microseconds since its beginning, fault, arguments). --replay does the "
		       "same operations again; what the system's scheduler did meanwhile cannot be "
		       "repeated.\n\n"
		       "SIGINT and SIGTERM end the run, which is judged as far as it came. A run "
		       "in which nothing was published has not passed.\n\n"
		       "Exit status: 0 passed; 1 an invariant was broken; 2 wrong options, or a "
		       "file that cannot be read or written; 3 the run hangs. A crash ends it by "
		       "its signal, and says before how to run it again.",
	};
	struct parse parse = { .options = options };

	*options = (struct ss_options){
		.seconds = 60,
		.threads = 64,
		.seed = 1,
		.patience = 120,
	};
	argp_err_exit_status = SS_EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &parse);
}
