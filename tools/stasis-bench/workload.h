/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_WORKLOAD_H
#define SB_WORKLOAD_H

/* workload.h — the list of what can be measured, and the choice made from it */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <stasis/executor.h>

#include "harness.h"

enum sb_kind {
	SB_KIND_THROUGHPUT,
	SB_KIND_LATENCY,
	SB_KIND_IDLE,
	SB_KIND_MEMORY,
};

/* Baselines beside the library; bits. */
enum sb_baseline {
	SB_BASELINE_RING = 1,
	SB_BASELINE_CK = 2,
	SB_BASELINE_MUTEX = 4,
	SB_BASELINE_RWLOCK = 8,
};

struct sb_workload {
	const char *name;
	const char *group; /* NULL: none */
	const char *text;
	enum sb_kind kind;
	struct sb_topology topology; /* THROUGHPUT; 0 publishers, ids other than 0 and 1: as the
				      * options say */
	unsigned baselines;	     /* THROUGHPUT */
	enum stasis_wait wait;	     /* LATENCY, IDLE */
};

#define SB_WORKLOADS_MAX 32u

extern const struct sb_workload sb_workloads[];
extern const size_t sb_n_workloads;

/* Chooses by the name of a workload or a group, or "all", which is all but "topology". False: there
 * is no such. */
bool sb_workload_select(bool selected[SB_WORKLOADS_MAX], const char *name);

void sb_workload_list(FILE *stream);

#endif
