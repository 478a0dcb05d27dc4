/* SPDX-License-Identifier: BSD-2-Clause */
/* idle.c — see footprint.h */

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <stasis/stasis.h>

#include "clock.h"
#include "footprint.h"

#define SUBSCRIPTIONS 100u

static void ignore(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
}

static double switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_nvcsw + (double)usage.ru_nivcsw;
}

static void measure(double settle, double seconds, struct sb_idle *idle)
{
	uint64_t start, cpu;
	double before;

	sb_sleep((uint64_t)(settle * 1e9));
	before = switches();
	cpu = sb_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	start = sb_now();
	sb_sleep((uint64_t)(seconds * 1e9));
	idle->seconds = (double)(sb_now() - start) / 1e9;
	idle->cpu_ns_per_s = (double)(sb_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / idle->seconds;
	idle->switches_per_s = (switches() - before) / idle->seconds;
}

void sb_idle_measure(unsigned threads, double settle, double seconds, struct sb_idle *idle)
{
	struct stasis_executor_options options = { .size = sizeof(options), .threads = threads };
	struct stasis_executor *executor = stasis_executor_create(&options);
	struct stasis_topic *topic = stasis_topic_create("idle");
	struct stasis_subscribe_options subscribe = { .size = sizeof(subscribe),
						      .executor = executor };
	struct stasis_subscription *subscriptions[SUBSCRIPTIONS] = { NULL };

	idle->measured = true;
	idle->subscriptions = SUBSCRIPTIONS;
	for (unsigned i = 0; i < SUBSCRIPTIONS && idle->error == 0; i++) {
		if (executor != NULL && topic != NULL)
			subscriptions[i] = stasis_subscribe_with(topic, ignore, NULL, &subscribe);
		if (subscriptions[i] == NULL)
			idle->error = errno;
	}
	if (idle->error == 0)
		measure(settle, seconds, idle);
	for (unsigned i = 0; i < SUBSCRIPTIONS; i++) {
		if (subscriptions[i] != NULL)
			stasis_unsubscribe(subscriptions[i]);
	}
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}
