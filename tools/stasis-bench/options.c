/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c — see options.h */

#include "options.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stasis/stasis.h>

#include "../number.h"
#include "ids.h"
#include "version.h"

enum {
	KEY_BASELINES = 256,
	KEY_IDS,
	KEY_JSON,
	KEY_PAYLOAD,
	KEY_QUICK,
	KEY_RATE,
	KEY_WINDOW,
};

const char *argp_program_version = "stasis-bench " VERSION_TEXT;

/* clang-format off */
static const struct argp_option argp_options[] = {
	{ "workload", 'w', "NAME,...", 0, "What to measure; may be repeated. \"list\" lists what "
	  "there is. Default: all", 1 },
	{ "publishers", 'p', "N", 0, "Publishing threads of the workload \"topology\" (1)", 2 },
	{ "subscribers", 's', "N", 0, "Subscriptions of the workload \"topology\" (1)", 2 },
	{ "payload", KEY_PAYLOAD, "BYTES", 0, "Payload of every message (16)", 2 },
	{ "ids", KEY_IDS, "N", 0, "Ids of the workloads \"cache-update\" and \"cache-get\" "
	  "(10000)", 2 },
	{ "threads", 't', "N", 0, "The library's worker threads (1)", 2 },
	{ "window", KEY_WINDOW, "N", 0, "Deliveries outstanding at most (65536)", 2 },
	{ "rate", KEY_RATE, "N", 0, "Messages per second of the latency workloads (10000)", 2 },
	{ "seconds", 'S', "S", 0, "Seconds to measure in each run (0.4)", 3 },
	{ "repeat", 'n', "N", 0, "Runs of each engine and workload (3)", 3 },
	{ "quick", KEY_QUICK, NULL, 0, "0.1 seconds, one run, unless said otherwise", 3 },
	{ "no-baselines", KEY_BASELINES, NULL, 0, "Measure the library only", 3 },
	{ "json", KEY_JSON, "FILE", 0, "Write everything to FILE", 4 },
	{ 0 },
};
/* clang-format on */

/* What is set later depends on what else is given. */
struct parse {
	struct sb_options *options;
	bool any_workload;
	bool any_topology;
	bool seconds;
	bool repeat;
};

static unsigned parse_count(struct argp_state *state, const char *name, const char *arg,
			    unsigned min, unsigned max)
{
	return (unsigned)parse_number(state, name, arg, min, max, true);
}

static void parse_workloads(struct parse *parse, struct argp_state *state, char *list)
{
	char *save = NULL;

	if (*list == '\0')
		argp_error(state, "--workload: no name");
	for (char *name = strtok_r(list, ",", &save); name != NULL;
	     name = strtok_r(NULL, ",", &save)) {
		if (strcmp(name, "list") == 0) {
			sb_workload_list(stdout);
			exit(SB_EXIT_OK);
		}
		if (!sb_workload_select(parse->options->selected, name))
			argp_error(state, "there is no workload \"%s\"; try --workload list", name);
		parse->any_workload = true;
	}
}

static void parse_end(struct parse *parse)
{
	struct sb_options *options = parse->options;

	if (!parse->any_workload)
		sb_workload_select(options->selected, parse->any_topology ? "topology" : "all");
	if (options->quick) {
		options->setup.seconds = parse->seconds ? options->setup.seconds : 0.1;
		options->repeat = parse->repeat ? options->repeat : 1;
	}
}

static void parse_flag(int key, struct sb_options *options)
{
	switch (key) {
	case KEY_QUICK:
		options->quick = true;
		break;
	case KEY_BASELINES:
		options->baselines = false;
		break;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parse *parse = state->input;
	struct sb_options *options = parse->options;

	switch (key) {
	case 'w':
		parse_workloads(parse, state, arg);
		break;
	case 'p':
		options->publishers = parse_count(state, "publishers", arg, 1, 1000);
		parse->any_topology = true;
		break;
	case 's':
		options->subscribers = parse_count(state, "subscribers", arg, 1, 10000);
		parse->any_topology = true;
		break;
	case KEY_IDS:
		options->ids = parse_count(state, "ids", arg, 1, SB_IDS_MAX);
		break;
	case KEY_PAYLOAD:
		options->setup.payload = parse_count(state, "payload", arg, SB_PAYLOAD_MIN, 65536);
		break;
	case 't':
		options->setup.threads = parse_count(state, "threads", arg, 1, STASIS_THREADS_MAX);
		break;
	case KEY_WINDOW:
		options->setup.window = parse_count(state, "window", arg, SB_WINDOW_MIN, 1u << 20);
		break;
	case KEY_RATE:
		options->rate = parse_count(state, "rate", arg, 10, 100000);
		break;
	case 'S':
		options->setup.seconds = parse_number(state, "seconds", arg, 0.01, 3600, false);
		parse->seconds = true;
		break;
	case 'n':
		options->repeat = parse_count(state, "repeat", arg, 1, 1000);
		parse->repeat = true;
		break;
	case KEY_JSON:
		options->json = arg;
		break;
	case KEY_QUICK:
	case KEY_BASELINES:
		parse_flag(key, options);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is not an option", arg);
		break;
	case ARGP_KEY_END:
		parse_end(parse);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void sb_options_parse(struct sb_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.doc = "Measures libstasis beside its baselines: throughput, latency, idle CPU and "
		       "memory.\v"
		       "Every message is checked for loss, repetition and order, every callback "
		       "for "
		       "overlap. Exit status: 0; 1 when a workload failed; 2 for wrong options or "
		       "a "
		       "file that cannot be written.",
	};
	struct parse parse = { .options = options };

	*options = (struct sb_options){
		.setup = { .seconds = 0.4,
			   .payload = SB_PAYLOAD_MIN,
			   .window = SB_WINDOW,
			   .threads = 1 },
		.publishers = 1,
		.subscribers = 1,
		.ids = SB_IDS_DEFAULT,
		.repeat = 3,
		.rate = 10000,
		.baselines = true,
	};
	argp_err_exit_status = SB_EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &parse);
}
