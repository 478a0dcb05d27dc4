/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c — see options.h */

#include "options.h"

#include <argp.h>
#include <stdlib.h>

#include "../../tools/number.h"
#include "version.h"

enum {
	KEY_LIMIT = 256,
	KEY_LOSE,
	KEY_PAYLOAD,
	KEY_SETTLE,
	KEY_WINDOW,
};

const char *argp_program_version = "stasis-peer " VERSION_TEXT;

/* clang-format off */
static const struct argp_option argp_options[] = {
	{ "list", 'l', NULL, 0, "What there is to measure, as JSON, and no run", 1 },
	{ "engine", 'e', "NAME", 0, "What to run", 2 },
	{ "workload", 'w', "NAME", 0, "On what", 2 },
	{ "seconds", 'S', "S", 0, "Seconds to measure (0.25)", 3 },
	{ "payload", KEY_PAYLOAD, "BYTES", 0, "Payload of every message, instead of the "
	  "workload's", 3 },
	{ "window", KEY_WINDOW, "N", 0, "Deliveries outstanding at most (65536)", 3 },
	{ "limit", KEY_LIMIT, "S", 0, "Seconds to wait for the last deliveries before the run "
	  "counts as stalled (10)", 3 },
	{ "settle", KEY_SETTLE, "S", 0, "Seconds to wait before the workload \"idle\" is measured "
	  "(3)", 3 },
	{ "lose", KEY_LOSE, NULL, OPTION_HIDDEN, "Lose a message, or return a wrong reply", 4 },
	{ 0 },
};
/* clang-format on */

struct parse {
	struct sp_options *options;
	size_t payload; /* 0: not said */
};

static void parse_end(struct parse *parse, struct argp_state *state)
{
	struct sp_options *options = parse->options;

	if (options->list)
		return;
	if (options->entry == NULL || options->workload == NULL)
		argp_error(state, "--engine and --workload, or --list");
	options->setup.harness.payload = parse->payload > 0 ? parse->payload :
							      options->workload->payload;
}

static void parse_names(struct sp_options *options, int key, const char *arg,
			struct argp_state *state)
{
	if (key == 'e') {
		options->entry = sp_entry_find(arg);
		if (options->entry == NULL)
			argp_error(state, "there is no engine \"%s\"; try --list", arg);
		if (options->entry->peer == NULL)
			argp_error(state,
				   "the engine \"%s\" needs the package %s, which was not "
				   "there when this was built",
				   arg, options->entry->package);
	} else {
		options->workload = sp_workload_find(arg);
		if (options->workload == NULL)
			argp_error(state, "there is no workload \"%s\"; try --list", arg);
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parse *parse = state->input;
	struct sp_setup *setup = &parse->options->setup;

	switch (key) {
	case 'l':
		parse->options->list = true;
		break;
	case 'e':
	case 'w':
		parse_names(parse->options, key, arg, state);
		break;
	case 'S':
		setup->harness.seconds = parse_number(state, "seconds", arg, 0.01, 3600, false);
		break;
	case KEY_PAYLOAD:
		parse->payload = (size_t)parse_number(state, "payload", arg, SB_PAYLOAD_MIN, 65536,
						      true);
		break;
	case KEY_WINDOW:
		setup->harness.window = (size_t)parse_number(state, "window", arg, SB_WINDOW_MIN,
							     1u << 20, true);
		break;
	case KEY_LIMIT:
		setup->harness.limit_s = parse_number(state, "limit", arg, 0.1, 3600, false);
		break;
	case KEY_SETTLE:
		setup->settle = parse_number(state, "settle", arg, 0, 3600, false);
		break;
	case KEY_LOSE:
		setup->lose = true;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is not an option", arg);
		break;
	case ARGP_KEY_END:
		parse_end(parse, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void sp_options_parse(struct sp_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.doc = "Measures one engine on one workload, once, and prints the result as JSON: "
		       "libstasis, or something that could be used instead.\v"
		       "Every message is checked for loss, repetition and order, every callback "
		       "for overlap, every reply. The allocator is the C library's, or what is "
		       "preloaded. Exit status: 0 when a result is printed, whatever it says; 2 "
		       "for "
		       "wrong options.",
	};
	struct parse parse = { .options = options };

	*options = (struct sp_options){
		.setup = { .harness = { .seconds = 0.25,
					.window = SB_WINDOW,
					.threads = 1,
					.limit_s = 10 },
			   .settle = 3 },
	};
	argp_err_exit_status = SP_EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &parse);
}
