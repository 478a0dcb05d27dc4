/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_OPTIONS_H
#define SP_OPTIONS_H

/* options.h — the command line */

#include "measure.h"
#include "peers.h"

enum {
	SP_EXIT_OK = 0,	   /* there is a result, whatever it says */
	SP_EXIT_USAGE = 2, /* wrong options, or no output possible */
};

struct sp_options {
	bool list;
	const struct sp_entry *entry;
	const struct sp_workload *workload;
	struct sp_setup setup;
};

/* Exits by itself when the options are wrong or ask for no more than information. */
void sp_options_parse(struct sp_options *options, int argc, char **argv);

#endif
