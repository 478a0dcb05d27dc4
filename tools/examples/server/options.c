/* SPDX-License-Identifier: BSD-2-Clause */
/* server/options.c — see options.h */

#include "options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stasis/stasis.h>

#include "protocol.h"

enum {
	KEY_BUFFER = 256,
	KEY_CAPACITY,
	KEY_POLICY,
	KEY_THREADS,
};

/* clang-format off */
#define COMMON_OPTIONS                                                                             \
	{ "port", 'p', "PORT", 0, "Listen on this port of 127.0.0.1; 0: any that is free (0)", 1 },\
	{ "connections", 'c', "N", 0, "Connections at most, for each thread (10000)", 1 },         \
	{ "policy", KEY_POLICY, "NAME", 0, "What a connection that reads too slowly gets: "        \
	  "drop-oldest, drop-newest (messages are dropped, the client is told how many) or "       \
	  "disconnect (drop-oldest)", 2 },                                                         \
	{ "capacity", KEY_CAPACITY, "N", 0, "Messages queued for a subscription at most (1024)",   \
	  2 },                                                                                     \
	{ "buffer", KEY_BUFFER, "BYTES", 0, "Messages buffered for a connection at most (65536)",  \
	  2 }

static const struct argp_option plain_options[] = {
	COMMON_OPTIONS,
	{ 0 },
};

static const struct argp_option threaded_options[] = {
	COMMON_OPTIONS,
	{ "threads", KEY_THREADS, "N", 0, "Threads, each with a loop of its own (1)", 1 },
	{ 0 },
};
/* clang-format on */

/* Follows the options in --help. */
static const char protocol_doc[] =
	"Lines that a client sends:\n"
	"  SUB topic        subscribe\n"
	"  UNSUB topic      end the subscription\n"
	"  PUB topic text   publish to everybody who has subscribed\n"
	"  QUIT             close the connection\n"
	"Lines that it gets:\n"
	"  OK               answers a line\n"
	"  ERR reason       answers a line\n"
	"  MSG topic text   has been published\n"
	"  LOST n           so many messages have been dropped, because the client reads too "
	"slowly\n\n"
	"A line is at most 4096 bytes long, a topic 64 visible characters of ASCII. SIGINT and "
	"SIGTERM end the server.";

static size_t parse_number(struct argp_state *state, const char *name, const char *arg, size_t min,
			   size_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(arg, &end, 10);
	if (end == arg || *end != '\0' || errno != 0 || strchr(arg, '-') != NULL)
		argp_error(state, "--%s: \"%s\" is not a number", name, arg);
	if (value < min || value > max)
		argp_error(state, "--%s: %s is not between %zu and %zu", name, arg, min, max);
	return (size_t)value;
}

static enum server_policy parse_policy(struct argp_state *state, const char *arg)
{
	static const char *const names[] = {
		[SERVER_DROP_OLDEST] = "drop-oldest",
		[SERVER_DROP_NEWEST] = "drop-newest",
		[SERVER_DISCONNECT] = "disconnect",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(arg, names[i]) == 0)
			return (enum server_policy)i;
	}
	argp_error(state, "--policy: there is no policy \"%s\"", arg);
	return SERVER_DROP_OLDEST;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct server_options *options = state->input;

	switch (key) {
	case 'p':
		options->port = (unsigned)parse_number(state, "port", arg, 0, 65535);
		break;
	case 'c':
		options->connections = (unsigned)parse_number(state, "connections", arg, 1,
							      1000000);
		break;
	case KEY_THREADS:
		options->threads = (unsigned)parse_number(state, "threads", arg, 1,
							  SERVER_THREADS_MAX);
		break;
	case KEY_CAPACITY:
		options->capacity = parse_number(state, "capacity", arg, 1, STASIS_CAPACITY_MAX);
		break;
	case KEY_BUFFER:
		options->buffer = parse_number(state, "buffer", arg, 2 * PROTOCOL_LINE_MAX,
					       1u << 30);
		break;
	case KEY_POLICY:
		options->policy = parse_policy(state, arg);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is not an option", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void server_options_parse(struct server_options *options, int argc, char **argv, const char *doc,
			  bool threaded)
{
	char text[sizeof(protocol_doc) + 512];
	struct argp argp = {
		.options = threaded ? threaded_options : plain_options,
		.parser = parse_option,
		.doc = text,
	};

	*options = (struct server_options){
		.threads = 1,
		.connections = 10000,
		.capacity = 1024,
		.buffer = 65536,
	};
	/* argp shows what is before "\v" in front of the options, the rest behind them. */
	snprintf(text, sizeof(text), "%s\v%s", doc, protocol_doc);
	argp_err_exit_status = SERVER_EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, options);
}
