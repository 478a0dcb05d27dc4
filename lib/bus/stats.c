/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/stats.c — one snapshot of any handle. The counters are where the work is done. */

#include <errno.h>
#include <string.h>

#include <stasis/stats.h>

#include "base/object.h"
#include "base/options.h"
#include "bus/subscription.h"
#include "bus/topic.h"
#include "exec/executor.h"
#include "exec/manual.h"

/* All counters are relaxed: figures for people, each of its own instant. */
static uint64_t figure(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void topic_read(const struct stasis_topic *topic, struct stasis_stats *stats)
{
	stats->kind = STASIS_STATS_TOPIC;
	stats->name = topic->name;
	stats->subscriptions = stasis_topic_subscribers(topic);
	sti_rcu_read_lock();
	stats->forwards = sti_subscribers_count_forwards(sti_subscribers_get(&topic->subscribers));
	sti_rcu_read_unlock();
	stats->published = sti_counter_read(&topic->published, &topic->published_own);
}

static void limits_read(const struct sti_limits *limits, struct stasis_stats *stats)
{
	stats->dropped += figure(&limits->evicted);
	stats->grown += figure(&limits->forced);
	stats->blocked = figure(&limits->blocked);
	/* Relaxed: a figure. */
	stats->congested = !!(atomic_load_explicit(&limits->congestion, memory_order_relaxed) &
			      STI_CONGESTION_WANT);
}

static void subscription_read(const struct stasis_subscription *sub, struct stasis_stats *stats)
{
	const struct sti_mailbox *mailbox = &sub->mailbox;
	const struct stasis_topic *topic = sti_subscription_topic(sub);
	const char *name = sti_subscription_own_name(sub);
	uint64_t settled; /* delivered, or given up */

	stats->kind = STASIS_STATS_SUBSCRIPTION;
	stats->name = name != NULL ? name : topic->name;
	/* A1: first, and before the next: what is delivered has been published. */
	stats->delivered = atomic_load_explicit(&mailbox->delivered, memory_order_acquire);
	settled = stats->delivered;
	if (mailbox->limits != NULL)
		settled += figure(&mailbox->limits->evicted);
	sti_rcu_read_lock();
	/* Also first: a place that was taken over is not a message. */
	stats->taken_over = sti_mpsc_taken_over(&mailbox->head);
	stats->published = sti_mpsc_pushed(&mailbox->head) - stats->taken_over +
			   sti_mpsc_is_closed(&mailbox->tail);
	sti_rcu_read_unlock();
	stats->depth = stats->published - settled;
	stats->depth_max = figure(&mailbox->depth_max);
	stats->dropped = figure(&mailbox->dropped);
	stats->grown = figure(&mailbox->head.left);
	if (mailbox->limits != NULL)
		limits_read(mailbox->limits, stats);
}

static void executor_read(struct stasis_executor *executor, struct stasis_stats *stats)
{
	stats->kind = STASIS_STATS_EXECUTOR;
	stats->name = executor->name;
	stats->threads = executor->n_workers;
	pthread_mutex_lock(&executor->lock);
	stats->subscriptions = executor->n_members;
	stats->delivered = executor->detached_delivered;
	for (struct sti_mailbox *mailbox = executor->members; mailbox != NULL;
	     mailbox = mailbox->member_next)
		stats->delivered += figure(&mailbox->delivered);
	pthread_mutex_unlock(&executor->lock);
	if (executor->manual != NULL)
		stats->turns = figure(&executor->manual->turns);
	for (unsigned i = 0; i < executor->n_workers; i++) {
		const struct sti_worker *worker = &executor->workers[i];

		stats->turns += figure(&worker->turns);
		stats->parks += figure(&worker->parks);
		stats->wakes += figure(&worker->wakes);
		stats->steals += figure(&worker->steals);
	}
}

int stasis_stats_read(const void *handle, struct stasis_stats *stats)
{
	struct stasis_stats all = { 0 };
	size_t size;

	if (handle == NULL || stats == NULL)
		return -EINVAL;
	size = stats->size != 0 ? stats->size : sizeof(all);
	if (size < sizeof(all.size))
		return -EINVAL;
	switch (sti_object_kind(handle)) {
	case STI_KIND_TOPIC:
		topic_read(handle, &all);
		break;
	case STI_KIND_SUBSCRIPTION:
		subscription_read(handle, &all);
		break;
	case STI_KIND_EXECUTOR:
		executor_read((struct stasis_executor *)(uintptr_t)handle, &all);
		break;
	default:
		return -EINVAL;
	}
	all.size = size;
	memcpy(stats, &all, size < sizeof(all) ? size : sizeof(all));
	return 0;
}
