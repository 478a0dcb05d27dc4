/* SPDX-License-Identifier: BSD-2-Clause */
/* plant.c — see plant.h */

#include "plant.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const struct {
	const char *name, *doc;
	uint64_t after; /* how many chances are let go by */
} plants[SS_PLANT_N] = {
	[SS_PLANT_NONE] = { "none", "nothing", 0 },
	[SS_PLANT_ORDER] = { "order", "two messages of a publisher change places", 500 },
	[SS_PLANT_LOSS] = { "loss", "a delivery is overlooked", 500 },
	[SS_PLANT_OVERLAP] = { "overlap", "a callback begins inside another", 100 },
	[SS_PLANT_FINAL] = { "final", "a final message is seen twice", 2 },
	[SS_PLANT_JOIN] = { "join", "a callback comes after a join", 2 },
	[SS_PLANT_LEAK] = { "leak", "a reference to a message is kept", 100 },
	[SS_PLANT_TOPIC] = { "topic", "a reference to a topic is kept", 0 },
	[SS_PLANT_CHAIN] = { "chain", "a cache update is overlooked", 100 },
	[SS_PLANT_STATS] = { "stats", "a statistic is read wrongly", 2 },
	[SS_PLANT_DRAIN] = { "drain", "what came before a drain is overlooked", 0 },
	[SS_PLANT_SYNC] = { "sync", "a callback that was waited for is overlooked", 10 },
	[SS_PLANT_LATE] = { "late", "a round has taken too long", 2 },
	[SS_PLANT_HANG] = { "hang", "a thread does not come to its end", 0 },
};

static enum ss_plant planted;
static _Atomic uint64_t chances;

const char *ss_plant_name(enum ss_plant plant)
{
	return plant < SS_PLANT_N ? plants[plant].name : NULL;
}

const char *ss_plant_doc(enum ss_plant plant)
{
	return plant < SS_PLANT_N ? plants[plant].doc : NULL;
}

enum ss_plant ss_plant_find(const char *name)
{
	int i = 0;

	while (i < SS_PLANT_N && strcmp(plants[i].name, name) != 0)
		i++;
	return (enum ss_plant)i;
}

void ss_plant_set(enum ss_plant plant)
{
	planted = plant;
}

bool ss_plant_now(enum ss_plant plant)
{
	/* Relaxed: a count. */
	return planted == plant &&
	       atomic_fetch_add_explicit(&chances, 1, memory_order_relaxed) == plants[plant].after;
}
