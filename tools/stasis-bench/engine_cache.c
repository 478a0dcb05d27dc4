/* SPDX-License-Identifier: BSD-2-Clause */
/* engine_cache.c — the library's cache, used as an application would
 *
 * Snapshots are published on an original topic; a caching topic keeps the last of each id, and its
 * topic of updates has one subscription, or none.
 *
 * The old snapshot of every update must be the very message that was the new one in the update of
 * that id before. Comparing addresses is enough: what is still to come in the chain holds a
 * reference to its old snapshot, so no other message can have got that address meanwhile.
 */

#include <errno.h>
#include <stdlib.h>

#include <stasis/stasis.h>

#include "cpu.h"
#include "engine.h"
#include "ids.h"
#include "messages.h"

struct cached {
	struct stasis_executor *executor;
	struct stasis_message_type *type;
	struct stasis_topic *original;
	struct stasis_cache *cache;
	struct stasis_caching_topic *caching;
	struct stasis_subscription *subscription; /* NULL: none is asked for */
	struct stasis_message **last;		  /* new snapshot, by id; only compared */
};

/* Nothing but snapshots is published on the original topic. */
static const char *id_of(struct stasis_message *message)
{
	return sb_ids[sb_stamp_id(stasis_message_data(message))];
}

static void on_update(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		      struct stasis_message *message)
{
	struct sb_subscriber *subscriber = data;
	struct cached *cached = subscriber->data;
	const struct stasis_cache_update *update;
	const struct sb_stamp *stamp;
	uint32_t id;

	/* Subscription changes come here too. */
	if (stasis_message_type(message) != stasis_cache_update_type())
		return;
	update = stasis_message_data(message);
	stamp = stasis_message_data(update->new_snapshot);
	id = sb_stamp_id(stamp);
	if (sti_unlikely(update->old_snapshot != cached->last[id]))
		sb_subscriber_fault(subscriber, SB_FAULT_CHAIN, 0, id);
	cached->last[id] = update->new_snapshot;
	sb_deliver(subscriber, stamp);
}

static void cached_free(struct cached *cached)
{
	if (cached->caching != NULL)
		stasis_caching_unsubscribe_and_join(cached->caching);
	if (cached->subscription != NULL)
		stasis_unsubscribe_and_join(cached->subscription);
	stasis_executor_shutdown(cached->executor);
	stasis_object_unref(cached->original);
	stasis_object_unref(cached->cache);
	stasis_object_unref(cached->type);
	free(cached->last);
	free(cached);
}

static int cached_subscribe(struct cached *cached, struct sb_run *run)
{
	struct stasis_subscribe_options options = {
		.size = sizeof(options),
		.executor = cached->executor,
	};

	if (run->topology.subscribers == 0)
		return 0;
	run->subscribers[0].data = cached;
	cached->subscription = stasis_subscribe_with(stasis_caching_get_topic(cached->caching),
						     on_update, &run->subscribers[0], &options);
	return cached->subscription != NULL ? stasis_executor_drain(cached->executor) : -errno;
}

static int cached_open(struct sb_run *run)
{
	struct stasis_executor_options options = {
		.size = sizeof(options),
		.threads = run->setup.threads,
		.name = "bench",
	};
	struct cached *cached = calloc(1, sizeof(*cached));
	int error = sb_ids_make(run->topology.ids);

	if (cached == NULL)
		return -ENOMEM;
	cached->last = calloc(run->topology.ids, sizeof(cached->last[0]));
	sb_cpu_consumers(run->topology.publishers == 1, run->setup.threads);
	errno = ENOMEM;
	if (error < 0 || cached->last == NULL ||
	    (cached->executor = stasis_executor_create(&options)) == NULL ||
	    (cached->type = stasis_message_type_create("bench")) == NULL ||
	    (cached->original = stasis_topic_create("bench")) == NULL ||
	    (cached->cache = stasis_cache_create(id_of)) == NULL ||
	    (cached->caching = stasis_caching_topic_create(cached->original, cached->cache)) ==
		    NULL)
		error = -errno;
	else
		error = cached_subscribe(cached, run);
	if (error < 0)
		cached_free(cached);
	else
		run->data = cached;
	return error;
}

static size_t cached_publish(struct sb_publisher *publisher, size_t n)
{
	const struct cached *cached = publisher->run->data;
	uint32_t n_ids = publisher->run->topology.ids;
	uint32_t id = (uint32_t)(publisher->sequence % n_ids);

	for (size_t i = 0; i < n; i++) {
		struct stasis_message *message;

		sb_stamp_set_id(publisher->payload, id);
		message = sb_next_message(publisher, cached->type);
		if (sti_unlikely(message == NULL)) {
			publisher->refused++;
			return i;
		}
		if (sti_unlikely(stasis_publish_take(cached->original, message) != 0))
			publisher->refused++;
		publisher->sequence++;
		if (++id == n_ids)
			id = 0;
	}
	return n;
}

static bool cached_get(struct sb_run *run, uint32_t id, struct sb_stamp *stamp)
{
	const struct cached *cached = run->data;
	struct stasis_message *snapshot = stasis_cache_get(cached->cache, cached->type, sb_ids[id]);

	if (snapshot == NULL)
		return false;
	*stamp = *(const struct sb_stamp *)stasis_message_data(snapshot);
	stasis_object_unref(snapshot);
	return true;
}

static void cached_close(struct sb_run *run)
{
	struct cached *cached = run->data;

	stasis_executor_drain(cached->executor);
	cached_free(cached);
	run->data = NULL;
}

const struct sb_engine sb_engine_cache = {
	.name = "stasis",
	.text = "this library: stasis_publish_take() on a topic with a caching topic, "
		"stasis_cache_get()",
	.open = cached_open,
	.publish = cached_publish,
	.get = cached_get,
	.close = cached_close,
};
