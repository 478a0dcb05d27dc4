/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_STATS_H
#define STASIS_STATS_H

/* stasis/stats.h — what happened, read without stopping the bus
 *
 * Overview   One function fills in one structure for any topic, subscription or executor. Counters
 *            start at 0 with the handle and never go back, but for what taken_over says. They are
 *            kept where the work is done, by the thread that does it, so a reading taken while
 *            messages flow is a little behind and its fields are not of one instant; when nothing
 *            flows it is exact.
 * Threads    Any thread at any time, also inside callbacks.
 */

#include <stddef.h>
#include <stdint.h>

#include "api.h"

STASIS_BEGIN_DECLS

enum stasis_stats_kind {
	STASIS_STATS_TOPIC = 1,
	STASIS_STATS_SUBSCRIPTION,
	STASIS_STATS_EXECUTOR,
};

/* A field that has no meaning for a kind is 0. T, S, E: filled in for topic, subscription,
 * executor. */
struct stasis_stats {
	size_t size; /* in: sizeof(struct stasis_stats), or 0 for the same */

	enum stasis_stats_kind kind;
	uint32_t threads;	/*     E  workers */
	const char *name;	/* T S E  borrowed from the handle */
	uint64_t subscriptions; /* T   E  at this moment */
	uint64_t published;	/* T S    messages given to stasis_publish() and its kin for the
				 *        topic; queued to the subscription, subscription changes
				 *        and the final message included */
	uint64_t delivered;	/*   S E  callbacks that have returned; like published, a cache
				 *        update counts again when two publishers have queued it */
	uint64_t dropped;	/*   S    messages the subscription did not take, or gave up again
				 *        to make room (STASIS_OVERFLOW_DROP_OLDEST) */
	uint64_t depth;		/*   S    messages queued at this moment */
	uint64_t depth_max;	/*   S    the most that a worker has found queued at a look */
	uint64_t grown;		/*   S    times the queue has moved on to a further ring,
				 *        and messages it took beyond its capacity, where nobody
				 *        may wait */
	uint64_t turns;		/*     E  times a worker took up a subscription */
	uint64_t parks;		/*     E  times a worker went to sleep */
	uint64_t wakes;		/*     E  times a sleeping worker was woken for work */
	uint64_t steals;	/*     E  subscriptions taken over from another worker's queue */
	uint64_t blocked;	/*   S    times a publisher has waited for room */
	uint64_t congested;	/*   S    1 while the queue is too long for its watermarks */
	uint64_t forwards;	/* T      forwards that lead from it to others, at this moment */
	uint64_t taken_over;	/*   S    places in the queue that were taken from publishers who
				 *        had stopped just before they filled them: those queue
				 *        their messages once more when they go on, and until then
				 *        these do not count as published, though they may have */
};

/**
 * stasis_stats_read() - take a snapshot of a handle's counters
 * @handle:  a topic, subscription or executor
 * @stats:   filled in; its size field says how much of it the caller knows
 *
 * Ownership:  borrows @handle.
 * Threads:    any thread.
 * Progress:   lock-free for a subscription; for a topic as stasis_topic_subscribers(); takes a lock
 *             for an executor.
 * Return:     0; -EINVAL when an argument is NULL or @handle is something else.
 */
STASIS_API int stasis_stats_read(const void *handle, struct stasis_stats *stats);

STASIS_END_DECLS

#endif
