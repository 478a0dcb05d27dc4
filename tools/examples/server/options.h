/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_SERVER_OPTIONS_H
#define EXAMPLES_SERVER_OPTIONS_H

/* server/options.h — the command line of the example servers */

#include <stdbool.h>
#include <stddef.h>

#define SERVER_EXIT_USAGE 2

#define SERVER_THREADS_MAX 64u

/* What happens to a connection for which a message can neither be queued nor buffered. */
enum server_policy {
	SERVER_DROP_OLDEST, /* it loses messages and is told how many */
	SERVER_DROP_NEWEST, /* the same; of a full queue, what comes last */
	SERVER_DISCONNECT,
};

struct server_options {
	unsigned port;	      /* 0: any */
	unsigned threads;     /* loops */
	unsigned connections; /* at most, for each loop */
	size_t capacity;      /* messages queued for a subscription at most */
	size_t buffer;	      /* bytes of MSG lines buffered for a connection at most */
	enum server_policy policy;
};

/* Exits when the options are wrong, and for --help. doc says what the program is; threaded: whether
 * it knows --threads. */
void server_options_parse(struct server_options *options, int argc, char **argv, const char *doc,
			  bool threaded);

#endif
