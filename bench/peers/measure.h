/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_MEASURE_H
#define SP_MEASURE_H

/* measure.h — one run of one peer on one workload */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peer.h"
#include "workloads.h"

struct sp_setup {
	struct sb_setup harness;
	double settle; /* IDLE: seconds to wait before */
	bool lose;     /* a message on purpose, to show that it is found; CALL: a wrong reply;
			* CHURN: who comes counts as gone */
};

enum sp_outcome {
	SP_OUTCOME_OK,
	SP_OUTCOME_STALLED,
	SP_OUTCOME_FAILED,
	SP_OUTCOME_UNSUPPORTED,
	SP_OUTCOMES,
};

struct sp_result {
	enum sp_outcome outcome;
	char text[160]; /* why, if not OK */
	/* THROUGHPUT, CALL, CHURN: deliveries, calls, cycles */
	double rate; /* per second */
	double seconds;
	uint64_t deliveries;
	uint64_t cpu_ns; /* of the process in that time; IDLE too */
	uint64_t window; /* THROUGHPUT: messages outstanding at most */
	double updates;	 /* per second beside the readers of a cache */
	long preemptions;
	const char
		*pinning; /* CALL, CHURN: how the threads were placed; NULL: as the harness does */
	/* LATENCY: all samples, sorted */
	uint64_t *samples;
	size_t n_samples;
	double consumer_share; /* CPUs used by all threads but the publisher's */
	/* MEMORY */
	double heap_per_subscriber; /* as the allocator counts; 0: it does not */
	double resident_per_subscriber;
	double heap_per_message; /* queued; 0: not known */
	double resident_per_message;
	/* IDLE */
	double switches_per_s;
	/* all but MEMORY and IDLE */
	double trip_before_ns, trip_after_ns;
	enum sb_placement placement;
};

/* The peer has something of that kind. result: all zero before; sp_result_deinit() is due. */
void sp_measure(const struct sb_peer *peer, const struct sp_workload *workload,
		const struct sp_setup *setup, struct sp_result *result);

void sp_result_deinit(struct sp_result *result);

/* --- for the files that measure --------------------------------------------------------------- */

void sp_measure_throughput(const struct sb_peer *peer, const struct sp_workload *workload,
			   const struct sp_setup *setup, struct sp_result *result);
void sp_measure_latency(const struct sb_peer *peer, const struct sp_workload *workload,
			const struct sp_setup *setup, struct sp_result *result);
void sp_measure_call(const struct sb_call *call, const struct sp_setup *setup,
		     struct sp_result *result);
void sp_measure_churn(const struct sb_churn *churn, unsigned others, const struct sp_setup *setup,
		      struct sp_result *result);
void sp_measure_memory(const struct sb_peer *peer, unsigned subscribers,
		       const struct sp_setup *setup, struct sp_result *result);
void sp_measure_idle(const struct sb_stock *stock, unsigned subscribers,
		     const struct sp_setup *setup, struct sp_result *result);

/* It has not run. error: errno; ENOTSUP: it has nothing like it. */
void sp_result_fail(struct sp_result *result, const char *what, int error);

#endif
