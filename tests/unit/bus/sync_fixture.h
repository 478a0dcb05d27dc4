/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_SYNC_FIXTURE_H
#define STASIS_TESTS_SYNC_FIXTURE_H

/* sync_fixture.h — synchronous publishes, here and on other threads */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bus_fixture.h"

/* For other threads than the test's own, where nothing may be asserted. */
static inline void must(bool ok)
{
	if (!ok)
		abort();
}

static inline int sync_datum(struct stasis_subscription *sub, uint64_t publisher, uint64_t seq,
		      const struct timespec *timeout)
{
	struct stasis_message *message = datum_message(publisher, seq);
	int result = stasis_publish_sync_timed(sub, message, timeout);

	stasis_object_unref(message);
	return result;
}

static inline uint64_t published(const void *handle)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(handle, &stats), 0);
	return stats.published;
}

/* Somebody else is about to push. */
static inline void await_published(const void *handle, uint64_t n)
{
	while (published(handle) < n)
		sched_yield();
}

/* A thread that publishes and waits. */
struct caller {
	struct stasis_subscription *sub;
	uint64_t publisher, seq;
	const struct timespec *timeout;
	int result;
	pthread_t thread;
};

static inline void *call(void *arg)
{
	struct caller *caller = arg;

	caller->result = sync_datum(caller->sub, caller->publisher, caller->seq, caller->timeout);
	return NULL;
}

static inline void caller_start(struct caller *caller)
{
	cr_assert_eq(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static inline int caller_join(struct caller *caller)
{
	pthread_join(caller->thread, NULL);
	return caller->result;
}

#endif
