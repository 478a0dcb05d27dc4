/* SPDX-License-Identifier: BSD-2-Clause */
/* paced.c — see paced.h */

#include "paced.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "stats.h"

#define WARM_UP 0.2	 /* of the messages; not in the figures */
#define LEAD_NS 1000000u /* from the decision to start to the first message */
#define LIMIT_S 30.0	 /* for the last message */

static void wait_until(uint64_t due)
{
	if (sb_cpu_first() == sb_cpu_second())
		sb_sleep_until(due);
	else
		sb_spin_until(due);
}

static void fail(struct sb_latency_sample *sample, const char *what, int error)
{
	char text[64];

	sample->outcome = SB_OUTCOME_FAILED;
	snprintf(sample->text, sizeof(sample->text), "%s: %s", what,
		 strerror_r(error, text, sizeof(text)));
}

/* False: everything ends early, and sample says why. */
static bool send_all(const struct sb_paced_subject *subject, struct sb_paced *paced,
		     struct sb_latency_sample *sample)
{
	paced->start = sb_now() + LEAD_NS;
	for (uint64_t i = 0; i < paced->n; i++) {
		int error;

		wait_until(paced->start + i * paced->interval);
		error = subject->send(paced, i);
		if (error != 0) {
			fail(sample, "sending", -error);
			return false;
		}
	}
	return true;
}

/* CPU time of the other threads. The two clocks are read one after the other. */
static double others_ns(void)
{
	return (double)sb_clock_ns(CLOCK_PROCESS_CPUTIME_ID) -
	       (double)sb_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void await_all(const struct sb_paced *paced)
{
	uint64_t deadline = sb_now() + (uint64_t)(LIMIT_S * 1e9);

	while (sb_subscriber_count(&paced->subscriber) < paced->n && sb_now() < deadline)
		sb_sleep(100000);
}

static void evaluate(struct sb_paced *paced, struct sb_latency_sample *sample)
{
	size_t skip = (size_t)((double)paced->n * WARM_UP);
	uint64_t *samples = paced->samples;
	size_t n = paced->n - skip;

	memmove(samples, samples + skip, n * sizeof(samples[0]));
	sb_sort(samples, n);
	sample->n = n;
	sample->p50_ns = sb_percentile(samples, n, 0.5);
	sample->p90_ns = sb_percentile(samples, n, 0.9);
	sample->p99_ns = sb_percentile(samples, n, 0.99);
	sample->p999_ns = sb_percentile(samples, n, 0.999);
	sample->max_ns = samples[n - 1];
}

static void run(const struct sb_paced_subject *subject, int option, struct sb_paced *paced,
		struct sb_latency_sample *sample)
{
	uint64_t began;
	double others;
	bool sent;
	int error;

	sample->trip_before_ns = sb_round_trip_ns();
	sb_cpu_consumers(true, 1);
	error = subject->open(paced, option);
	if (error < 0) {
		sb_cpu_free();
		fail(sample, "opening", -error);
		return;
	}
	sb_cpu_publisher(true);
	began = sb_now();
	others = others_ns();
	sent = send_all(subject, paced, sample);
	others = others_ns() - others;
	sample->consumer_share = others > 0 ? others / (double)(sb_now() - began) : 0;
	sb_cpu_free();
	if (sent)
		await_all(paced);
	subject->close(paced);
	sample->trip_after_ns = sb_round_trip_ns();
	sample->placement = sb_placement_of(sample->trip_before_ns, sample->trip_after_ns);
	if (!sent)
		return;
	if (sb_subscriber_failed(&paced->subscriber, paced->n, sample->text, sizeof(sample->text)))
		sample->outcome = SB_OUTCOME_FAILED;
	else
		evaluate(paced, sample);
}

uint64_t *sb_paced_samples(const struct sb_paced_subject *subject, int option, unsigned rate,
			   double seconds, struct sb_latency_sample *sample)
{
	struct sb_paced *paced = aligned_alloc(STI_CACHELINE, sizeof(*paced));
	size_t n = (size_t)(seconds * (1 + WARM_UP) * rate) + 1;
	uint64_t *samples = NULL;

	memset(sample, 0, sizeof(*sample));
	if (paced == NULL) {
		fail(sample, "setting up", ENOMEM);
		return NULL;
	}
	memset(paced, 0, sizeof(*paced));
	paced->interval = SB_NS_PER_S / rate;
	paced->n = n;
	paced->samples = calloc(n, sizeof(paced->samples[0]));
	if (paced->samples == NULL || sb_subscriber_init(&paced->subscriber, 0, 1, 1) < 0)
		fail(sample, "setting up", ENOMEM);
	else
		run(subject, option, paced, sample);
	if (sample->outcome == SB_OUTCOME_OK) {
		samples = paced->samples;
		paced->samples = NULL;
	}
	free(paced->samples);
	free(paced);
	return samples;
}

void sb_paced_run(const struct sb_paced_subject *subject, int option, unsigned rate, double seconds,
		  struct sb_latency_sample *sample)
{
	free(sb_paced_samples(subject, option, rate, seconds, sample));
}
