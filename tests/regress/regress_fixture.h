/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_REGRESS_FIXTURE_H
#define STASIS_TESTS_REGRESS_FIXTURE_H

/* regress_fixture.h — executors of all kinds, and looks at what is counted */

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <stasis/stasis.h>

#include "gate.h"
#include "probe.h"

/* For other threads than the test's own, where nothing may be asserted. */
static inline void must(bool ok)
{
	if (!ok)
		abort();
}

static inline struct stasis_executor *executor_that(enum stasis_wait wait, unsigned threads)
{
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = wait, .threads = threads });

	cr_assert_not_null(executor);
	return executor;
}

static inline struct stasis_topic *topic_new(void)
{
	struct stasis_topic *topic = stasis_topic_create("topic");

	cr_assert_not_null(topic);
	return topic;
}

static inline struct stasis_subscription *
subscribe_probe(struct stasis_topic *topic, struct probe *probe,
		const struct stasis_subscribe_options *options)
{
	struct stasis_subscription *sub = stasis_subscribe_with(topic, probe_callback, probe,
								options);

	cr_assert_not_null(sub);
	return sub;
}

static inline void drain(struct stasis_executor *executor)
{
	cr_assert_eq(stasis_executor_drain(executor), 0);
}

static inline struct stasis_stats stats_of(const void *handle)
{
	struct stasis_stats stats = { 0 };

	must(stasis_stats_read(handle, &stats) == 0);
	return stats;
}

static inline int sync_datum(struct stasis_subscription *sub, uint64_t publisher, uint64_t seq,
			     const struct timespec *timeout)
{
	struct stasis_message *message = datum_message(publisher, seq);
	int result = timeout != NULL ? stasis_publish_sync_timed(sub, message, timeout) :
				       stasis_publish_sync(sub, message);

	stasis_object_unref(message);
	return result;
}

static inline uint64_t datum_seq(struct stasis_message *message)
{
	const struct datum *datum = stasis_message_data(message);

	return datum->seq;
}

static inline void start(pthread_t *thread, void *(*routine)(void *arg), void *arg)
{
	cr_assert_eq(pthread_create(thread, NULL, routine, arg), 0);
}

#endif
