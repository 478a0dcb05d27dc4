/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_MONITOR_UPDATES_H
#define EXAMPLES_MONITOR_UPDATES_H

/* monitor/updates.h — sees how channels change: counts it, and prints it if that is asked for
 *
 * A router does the work, on a thread of its own. Its queue grows with every change, so that
 * whoever makes them has to call updates_flush() now and then.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <stasis/stasis.h>

#include "options.h"

/* What is different in a new snapshot. Several things may be. */
enum change {
	CHANGE_CREATED, /* there was none before */
	CHANGE_STATE,
	CHANGE_CALLER,
	CHANGE_CONNECTED,
	CHANGE_ACCOUNT,
	CHANGE_LANGUAGE,
	CHANGE_DIALPLAN,
	CHANGE_HANGUP, /* the cause */
	CHANGE_GONE,   /* there is none now */
	N_CHANGES,
};

struct updates {
	/* const after updates_open() */
	const struct options *options;
	int stop; /* eventfd: written to when the output fails */
	struct stasis_executor *executor;
	struct stasis_topic *topic; /* where all the rest comes together, in order */
	struct stasis_forward *cached, *all;
	struct stasis_message_router *router;

	/* any thread: atomic */
	atomic_int error; /* errno of the output, the first time it has failed */

	/* the router's callbacks; when it has ended, anybody */
	uint64_t seen; /* updates */
	uint64_t changes[N_CHANGES];
	uint64_t variables;
	time_t second;	/* that clock is about */
	char clock[16]; /* HH:MM:SS */
};

const char *change_name(enum change change);

/* 0 or -errno; to be followed by updates_close(), also when it has failed. Variables are blobs of
 * this type. */
int updates_open(struct updates *updates, const struct options *options, int stop,
		 struct stasis_message_type *variable_type);

/* Returns when all there is has been seen and given to the system. 0 or -errno: not the output's,
 * which is in error. */
int updates_flush(struct updates *updates);

/* Returns when all there is has been seen, and nothing more will be. May be repeated. */
void updates_close(struct updates *updates);

/* Notes that the output has failed, for the reason in errno. Any thread. */
void updates_failed(struct updates *updates);

#endif
