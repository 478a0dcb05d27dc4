/* SPDX-License-Identifier: BSD-2-Clause */
/* channel/topics.c — what there is one of per process, made on first use and never freed
 *
 * All is made together, under one lock: channels that exist before somebody asks for the cache have
 * to be in it. What has been made when memory runs out is kept for the next try, so that nothing is
 * made twice.
 *
 * Edges
 *   R1  store-release ready -> A1  the structure is complete
 *   A1  load-acquire  ready <- R1
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include <stasis/cache.h>
#include <stasis/message.h>
#include <stasis/topic.h>

#include "channel/channel.h"

static pthread_mutex_t channels_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sti_channels channels; /* under channels_lock until ready, const afterwards */
static atomic_bool channels_ready;

/* Called for what is published on the topic of all channels, which nobody has before ready. */
static const char *snapshot_id(struct stasis_message *message)
{
	const struct stasis_channel_snapshot *snapshot;

	if (stasis_message_type(message) != channels.type)
		return NULL;
	snapshot = stasis_message_data(message);
	return snapshot->uniqueid;
}

/* Makes what is missing. Each step needs those before it. */
static bool complete_locked(void)
{
	static const struct stasis_message_vtable vtable = {
		.size = sizeof(vtable),
		.to_json = sti_snapshot_message_to_json,
	};

	if (channels.type == NULL)
		channels.type =
			stasis_message_type_create_with("stasis_channel_snapshot", &vtable);
	if (channels.type != NULL && channels.all == NULL)
		channels.all = stasis_topic_create("stasis_channel_topic_all");
	if (channels.all != NULL && channels.cache == NULL)
		channels.cache = stasis_cache_create(snapshot_id);
	if (channels.cache != NULL && channels.cached == NULL)
		channels.cached = stasis_caching_topic_create(channels.all, channels.cache);
	return channels.cached != NULL;
}

const struct sti_channels *sti_channels_get(void)
{
	bool complete;

	/* A1: pairs with R1 below. */
	if (sti_likely(atomic_load_explicit(&channels_ready, memory_order_acquire)))
		return &channels;
	pthread_mutex_lock(&channels_lock);
	complete = complete_locked();
	/* R1: whoever sees it finds all of it. */
	atomic_store_explicit(&channels_ready, complete, memory_order_release);
	pthread_mutex_unlock(&channels_lock);
	return complete ? &channels : NULL;
}

struct stasis_message_type *stasis_channel_snapshot_type(void)
{
	const struct sti_channels *all = sti_channels_get();

	return all != NULL ? all->type : NULL;
}

struct stasis_topic *stasis_channel_topic_all(void)
{
	const struct sti_channels *all = sti_channels_get();

	return all != NULL ? all->all : NULL;
}

struct stasis_caching_topic *stasis_channel_topic_all_cached(void)
{
	const struct sti_channels *all = sti_channels_get();

	return all != NULL ? all->cached : NULL;
}

struct stasis_cache *stasis_channel_cache(void)
{
	const struct sti_channels *all = sti_channels_get();

	return all != NULL ? all->cache : NULL;
}
