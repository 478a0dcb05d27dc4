/* SPDX-License-Identifier: BSD-2-Clause */
/* measure.c — see measure.h */

#include "measure.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the harness says is taken over as it is. */
static_assert((int)SP_OUTCOME_OK == (int)SB_OUTCOME_OK, "the same");
static_assert((int)SP_OUTCOME_STALLED == (int)SB_OUTCOME_STALLED, "the same");
static_assert((int)SP_OUTCOME_FAILED == (int)SB_OUTCOME_FAILED, "the same");

void sp_result_fail(struct sp_result *result, const char *what, int error)
{
	char text[64];

	if (error == ENOTSUP) {
		result->outcome = SP_OUTCOME_UNSUPPORTED;
		snprintf(result->text, sizeof(result->text), "it has nothing like it");
		return;
	}
	result->outcome = SP_OUTCOME_FAILED;
	snprintf(result->text, sizeof(result->text), "%s: %s", what,
		 strerror_r(error, text, sizeof(text)));
}

void sp_result_deinit(struct sp_result *result)
{
	free(result->samples);
	result->samples = NULL;
	result->n_samples = 0;
}

void sp_measure(const struct sb_peer *peer, const struct sp_workload *workload,
		const struct sp_setup *setup, struct sp_result *result)
{
	switch (workload->kind) {
	case SP_KIND_THROUGHPUT:
		sp_measure_throughput(peer, workload, setup, result);
		break;
	case SP_KIND_LATENCY:
		sp_measure_latency(peer, workload, setup, result);
		break;
	case SP_KIND_CALL:
		sp_measure_call(peer->call, setup, result);
		break;
	case SP_KIND_CHURN:
		sp_measure_churn(peer->churn, workload->subscribers, setup, result);
		break;
	case SP_KIND_MEMORY:
		sp_measure_memory(peer, workload->subscribers, setup, result);
		break;
	case SP_KIND_IDLE:
		sp_measure_idle(peer->stock, workload->subscribers, setup, result);
		break;
	case SP_KINDS:
		break;
	}
}
