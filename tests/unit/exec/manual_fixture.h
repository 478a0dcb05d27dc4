/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_MANUAL_FIXTURE_H
#define STASIS_TESTS_MANUAL_FIXTURE_H

/* manual_fixture.h — an executor without threads, a topic, and others who run it too */

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include <stasis/stasis.h>

#include "gate.h"
#include "probe.h"

struct loop {
	struct stasis_executor *executor;
	struct stasis_topic *topic;
	int fd;
};

static inline struct loop loop_open(void)
{
	struct loop loop = {
		.executor = stasis_executor_create(
			&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL }),
		.topic = stasis_topic_create("t"),
	};

	cr_assert_not_null(loop.executor, "%s", strerror(errno));
	cr_assert_not_null(loop.topic);
	loop.fd = stasis_executor_fd(loop.executor);
	cr_assert_geq(loop.fd, 0);
	return loop;
}

static inline void loop_close(struct loop *loop)
{
	loop->executor = stasis_executor_shutdown(loop->executor);
	loop->topic = stasis_object_unref(loop->topic);
}

static inline bool readable(const struct loop *loop)
{
	struct pollfd poller = { .fd = loop->fd, .events = POLLIN };
	int n = poll(&poller, 1, 0);

	cr_assert(n == 0 || (n == 1 && poller.revents == POLLIN));
	return n == 1;
}

static inline int run_all(const struct loop *loop)
{
	return stasis_executor_run(loop->executor, SIZE_MAX);
}

/* A subscription that has seen its own beginning. */
static inline struct stasis_subscription *loop_subscribe(struct loop *loop, struct probe *probe)
{
	struct stasis_subscription *sub = subscribe_on(loop->topic, probe, loop->executor);

	cr_assert_not_null(sub);
	cr_assert_gt(run_all(loop), 0);
	return sub;
}

/* Ends it from the loop. */
static inline void loop_unsubscribe(struct loop *loop, struct stasis_subscription *sub)
{
	stasis_unsubscribe(stasis_object_ref(sub));
	cr_assert_gt(run_all(loop), 0);
	cr_assert_eq(stasis_subscription_is_done(sub), 1);
	stasis_object_unref(sub);
}

static inline int count_entries(const char *path)
{
	DIR *directory = opendir(path);
	int n = 0;

	cr_assert_not_null(directory);
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);
	return n;
}

/* What several threads have in common, and each of them. */
struct crowd {
	struct loop loop;
	_Atomic int made;
	int expected;
	struct gate start;
};

struct member {
	struct crowd *crowd;
	uint64_t number;
	int result;
	bool readable;
};

static inline void *run_once(void *arg)
{
	struct member *member = arg;

	member->result = run_all(&member->crowd->loop);
	member->readable = readable(&member->crowd->loop);
	return NULL;
}

#endif
