/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_MONITOR_MONITOR_H
#define EXAMPLES_MONITOR_MONITOR_H

/* monitor/monitor.h — what happens to the lines that come in */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channels.h"
#include "options.h"
#include "updates.h"

struct monitor {
	struct options options;
	int stop; /* eventfd: readable when the input is to end */
	struct channels channels;
	struct updates updates;
	uint64_t events, bad;
	unsigned unseen; /* events that the updates need not have caught up with */
};

/* 0 or -errno; to be followed by monitor_deinit(), also when it has failed. */
int monitor_init(struct monitor *monitor, const struct options *options, int stop);
void monitor_deinit(struct monitor *monitor);

/* A line, with the name of what it comes from. 0 or -errno: nothing more can be done. */
int monitor_line(struct monitor *monitor, const char *source, uint64_t number, const char *line,
		 size_t size);

/* A line that is none. */
void monitor_bad(struct monitor *monitor, const char *source, uint64_t number, const char *reason);

/* There is nothing to read just now: shows what has happened so far. 0 or -errno. */
int monitor_idle(struct monitor *monitor);

/* After the last line: prints what the options want to be printed at the end. 0 or -errno. */
int monitor_finish(struct monitor *monitor);

#endif
