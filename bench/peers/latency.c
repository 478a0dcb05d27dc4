/* SPDX-License-Identifier: BSD-2-Clause */
/* latency.c — publish to callback at a fixed rate, by the harness; see measure.h */

#include <string.h>

#include "measure.h"

/* With a loss on purpose: the subject that does the work, and which message is another's twin. */
static const struct sb_paced_subject *whole;
#define LOST 7u

static int send_all_but_one(struct sb_paced *paced, uint64_t sequence)
{
	return whole->send(paced, sequence == LOST ? LOST - 1 : sequence);
}

static struct sb_paced_subject losing(const struct sb_paced_subject *subject)
{
	struct sb_paced_subject result = *subject;

	whole = subject;
	result.send = send_all_but_one;
	return result;
}

void sp_measure_latency(const struct sb_peer *peer, const struct sp_workload *workload,
			const struct sp_setup *setup, struct sp_result *result)
{
	struct sb_paced_subject subject = setup->lose ? losing(peer->paced) : *peer->paced;
	struct sb_latency_sample sample;

	result->samples = sb_paced_samples(&subject, 0, workload->rate, setup->harness.seconds,
					   &sample);
	result->n_samples = sample.n;
	result->consumer_share = sample.consumer_share;
	result->outcome = (enum sp_outcome)sample.outcome;
	memcpy(result->text, sample.text, sizeof(result->text));
	result->trip_before_ns = sample.trip_before_ns;
	result->trip_after_ns = sample.trip_after_ns;
	result->placement = sample.placement;
}
