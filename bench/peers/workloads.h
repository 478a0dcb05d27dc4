/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_WORKLOADS_H
#define SP_WORKLOADS_H

/* workloads.h — what stasis-peer can measure */

#include <stddef.h>

#include "harness.h"

enum sp_kind {
	SP_KIND_THROUGHPUT,
	SP_KIND_LATENCY,
	SP_KIND_CALL,
	SP_KIND_CHURN,
	SP_KIND_MEMORY,
	SP_KIND_IDLE,
	SP_KINDS,
};

struct sp_workload {
	const char *name;
	const char *title;
	enum sp_kind kind;
	struct sb_topology topology; /* THROUGHPUT */
	size_t payload;		     /* bytes, unless the options say otherwise */
	unsigned rate;		     /* LATENCY: messages per second */
	unsigned subscribers;	     /* CHURN: who stay; MEMORY, IDLE: how many */
};

extern const struct sp_workload sp_workloads[];
extern const size_t sp_n_workloads;

/* NULL: there is no such. */
const struct sp_workload *sp_workload_find(const char *name);

const char *sp_kind_name(enum sp_kind kind);

#endif
