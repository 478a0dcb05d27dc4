/* SPDX-License-Identifier: BSD-2-Clause */
/* plant.c — see plant.h */

#include "plant.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const struct {
	const char *name;
	uint64_t after; /* how many chances are let go by */
} plants[SS_PLANT_N] = {
	[SS_PLANT_NONE] = { "none", 0 },
	[SS_PLANT_ORDER] = { "order", 500 },
	[SS_PLANT_LOSS] = { "loss", 500 },
	[SS_PLANT_OVERLAP] = { "overlap", 100 },
	[SS_PLANT_FINAL] = { "final", 2 },
	[SS_PLANT_JOIN] = { "join", 2 },
	[SS_PLANT_LEAK] = { "leak", 100 },
	[SS_PLANT_TOPIC] = { "topic", 0 },
	[SS_PLANT_CHAIN] = { "chain", 100 },
	[SS_PLANT_STATS] = { "stats", 2 },
	[SS_PLANT_DRAIN] = { "drain", 0 },
	[SS_PLANT_SYNC] = { "sync", 10 },
	[SS_PLANT_STRAY] = { "stray", 200 },
	[SS_PLANT_FILTER] = { "filter", 20 },
	[SS_PLANT_ROUTE] = { "route", 100 },
	[SS_PLANT_CONGESTION] = { "congestion", 1 },
	[SS_PLANT_MEMORY] = { "memory", 200 },
	[SS_PLANT_WANTS] = { "wants", 1 },
	[SS_PLANT_SUBSCRIBERS] = { "subscribers", 1 },
	[SS_PLANT_ERROR] = { "error", 100 },
	[SS_PLANT_TOLD] = { "told", 0 },
	[SS_PLANT_PUBLISHED] = { "published", 0 },
	[SS_PLANT_GET] = { "get", 20 },
	[SS_PLANT_DUMP] = { "dump", 5 },
	[SS_PLANT_FORWARD] = { "forward", 1 },
	[SS_PLANT_LATE] = { "late", 2 },
	[SS_PLANT_CRASH] = { "crash", 20 },
	[SS_PLANT_HANG] = { "hang", 0 },
};

static enum ss_plant planted;
static _Atomic uint64_t chances;

const char *ss_plant_name(enum ss_plant plant)
{
	return plant < SS_PLANT_N ? plants[plant].name : NULL;
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
