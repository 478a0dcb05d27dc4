/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_MONITOR_OPTIONS_H
#define EXAMPLES_MONITOR_OPTIONS_H

/* monitor/options.h — the command line of channel-monitor */

#include <stdbool.h>

/* Exit statuses; 0 when all was well. */
#define EXIT_BAD_LINES 1
#define EXIT_TROUBLE 2

struct options {
	const char *file; /* NULL: standard input */
	bool listen;
	unsigned port; /* to listen on; 0: any */
	bool once;
	bool json;
	bool dump;    /* print the cache at the end */
	bool summary; /* print totals at the end */
};

/* Updates are printed as they come, unless something else is asked for. */
static inline bool options_want_updates(const struct options *options)
{
	return !options->dump && !options->summary;
}

/* Exits when the options are wrong, and for --help. */
void options_parse(struct options *options, int argc, char **argv);

#endif
