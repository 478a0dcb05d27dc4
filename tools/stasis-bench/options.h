/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_OPTIONS_H
#define SB_OPTIONS_H

/* options.h — the command line */

#include <stdbool.h>

#include "harness.h"
#include "workload.h"

/* Exit statuses. */
enum {
	SB_EXIT_OK = 0,
	SB_EXIT_FAILED = 1, /* a workload failed */
	SB_EXIT_USAGE = 2,  /* wrong options, or a file that cannot be written */
};

struct sb_options {
	bool selected[SB_WORKLOADS_MAX];
	struct sb_setup setup;
	unsigned publishers; /* of the workload "topology" */
	unsigned subscribers;
	unsigned ids; /* of the cache workloads with several */
	unsigned repeat;
	unsigned rate;	  /* messages per second, latency */
	const char *json; /* file; NULL: none */
	bool baselines;
	bool quick;
};

/* Exits by itself when the options are wrong or ask for no more than information. */
void sb_options_parse(struct sb_options *options, int argc, char **argv);

#endif
