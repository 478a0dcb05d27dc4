/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor/options.c — see options.h */

#include "options.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_DUMP = 256,
	KEY_ONCE,
};

/* clang-format off */
static const struct argp_option argp_options[] = {
	{ NULL, 0, NULL, 0, "Input:", 1 },
	{ "listen", 'l', "PORT", 0, "Read what connects to this port of 127.0.0.1, several at "
	  "once; 0: any that is free. The first line of output says which: \"listening on "
	  "127.0.0.1:PORT\"", 1 },
	{ "once", KEY_ONCE, NULL, 0, "With --listen: take one connection, and end with it", 1 },
	{ NULL, 0, NULL, 0, "Output:", 2 },
	{ "summary", 's', NULL, 0, "No updates; at the end, the number of channels by state, and "
	  "totals", 2 },
	{ "dump", KEY_DUMP, NULL, 0, "No updates; at the end, each channel that is left, as a "
	  "line of JSON. With --summary, in front of it", 2 },
	{ "json", 'j', NULL, 0, "Updates as a line of JSON each, the summary as another", 2 },
	{ 0 },
};

static const char doc[] =
	"Follows telephone channels: reads events, one JSON object a line, from FILE, "
	"from standard input (no FILE, or -) or from TCP connections, and prints how "
	"each channel changes.\v"
	"Events, and the members of each. Those marked N are integers, not negative; the "
	"others are strings. \"id\", and \"name\" of create and variable, are not empty. "
	"What is not listed is left aside.\n\n"
	"  {\"event\": \"create\", \"id\", \"name\"}              a new channel\n"
	"  {\"event\": \"state\", \"id\", \"state\"}              one of those below\n"
	"  {\"event\": \"callerid\", \"id\", \"name\", \"number\"}  who it is\n"
	"  {\"event\": \"connected\", \"id\", \"name\", \"number\"} whom it talks to\n"
	"  {\"event\": \"account\", \"id\", \"account\"}\n"
	"  {\"event\": \"language\", \"id\", \"language\"}\n"
	"  {\"event\": \"dialplan\", \"id\", \"context\", \"exten\", \"priority\": N}\n"
	"  {\"event\": \"variable\", \"id\", \"name\", \"value\"}   passed on, not kept\n"
	"  {\"event\": \"hangup\", \"id\", \"cause\": N}          the end of the channel\n\n"
	"States are Down, Rsrvd, OffHook, Dialing, Ring, Ringing, Up, Busy, Dialing "
	"Offhook and Pre-ring. A line is at most 65536 bytes of UTF-8, without NUL. For "
	"one that is not an event, or does not fit what went before (no such channel, or "
	"one with that id already), standard error says \"channel-monitor: FILE:LINE: "
	"reason\", it is counted, and reading goes on.\n\n"
	"With --listen, FILE is the address of the peer, and all connections share the "
	"channels; those of one that ends stay. At most 64 are open at once, others "
	"wait.\n\n"
	"An update says the time, the id and name of the channel, and what has changed; "
	"control characters in what is printed are escaped. With --json it is the "
	"message's JSON form, old and new snapshot in full.\n\n"
	"SIGINT and SIGTERM end the input; a second one ends the program on the spot.\n\n"
	"The exit status is 0; 1 if a line was bad or a connection broke off; 2 if the "
	"options are wrong, the input cannot be read or the output cannot be written.";
/* clang-format on */

static unsigned parse_port(struct argp_state *state, const char *arg)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(arg, &end, 10);
	if (end == arg || *end != '\0' || errno != 0 || strchr(arg, '-') != NULL || value > 65535)
		argp_error(state, "--listen: \"%s\" is not a port", arg);
	return (unsigned)value;
}

static void check_end(const struct options *options, struct argp_state *state)
{
	if (options->listen && options->file != NULL)
		argp_error(state, "--listen and \"%s\": one input, please", options->file);
	if (options->once && !options->listen)
		argp_error(state, "--once goes with --listen");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'l':
		options->port = parse_port(state, arg);
		options->listen = true;
		break;
	case KEY_ONCE:
		options->once = true;
		break;
	case 's':
		options->summary = true;
		break;
	case KEY_DUMP:
		options->dump = true;
		break;
	case 'j':
		options->json = true;
		break;
	case ARGP_KEY_ARG:
		if (options->file != NULL)
			argp_error(state, "\"%s\": one file, please", arg);
		options->file = arg;
		break;
	case ARGP_KEY_END:
		check_end(options, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void options_parse(struct options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.args_doc = "[FILE]",
		.doc = doc,
	};

	*options = (struct options){ 0 };
	argp_err_exit_status = EXIT_TROUBLE;
	argp_parse(&argp, argc, argv, 0, NULL, options);
	if (options->file != NULL && strcmp(options->file, "-") == 0)
		options->file = NULL;
}
