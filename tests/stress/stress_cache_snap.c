/* SPDX-License-Identifier: BSD-2-Clause */
/* stress_cache_snap.c — the snapshots, and where each is in its chain */

#include <stdio.h>
#include <stdlib.h>

#include "stress_cache.h"

static void snap_release(void *data)
{
	atomic_fetch_add_explicit(&cache_run.snapshots.freed, 1, memory_order_relaxed);
	free(data);
}

const char *snap_id(struct stasis_message *message)
{
	if (stasis_message_type(message) != cache_run.type)
		return NULL;
	return ((const struct snap *)stasis_message_data(message))->id;
}

struct stasis_message *snap_message(uint32_t store, uint32_t number, uint32_t publisher,
				    uint64_t seq)
{
	struct snap *snap = stress_alloc(sizeof(*snap));
	struct stasis_message *message;

	*snap = (struct snap){
		.store = store, .number = number, .publisher = publisher, .seq = seq
	};
	snprintf(snap->id, sizeof(snap->id), "%u", number);
	message = stasis_message_create_foreign(cache_run.type, snap, snap_release);
	if (message == NULL)
		stress_die("no memory for a message");
	atomic_fetch_add_explicit(&cache_run.snapshots.made, 1, memory_order_relaxed);
	return message;
}

uint64_t snap_key(const struct stasis_message *snapshot)
{
	const struct snap *snap;

	if (snapshot == NULL)
		return 0;
	snap = stasis_message_data(snapshot);
	return (uint64_t)(snap->publisher + 1) << 48 | snap->seq;
}

uint32_t *snap_place(uint32_t store, uint64_t key)
{
	uint64_t seq = key & (((uint64_t)1 << 48) - 1);

	if (seq >= PLACES)
		return NULL;
	return &cache_run.stores[store].places[((key >> 48) - 1) * PLACES + seq];
}

bool snap_is_permanent(uint32_t number)
{
	return number % 2 != 0;
}

struct stasis_message *snap_get(uint32_t s, uint32_t number)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", number);
	return stasis_cache_get(cache_run.stores[s].cache, cache_run.type, id);
}
