/* SPDX-License-Identifier: BSD-2-Clause */
/* shapes.c — the topologies there are. See net.h. */

#include <string.h>

#include "net.h"

#define PUBLISHER [SS_ROLE_PUBLISHER]
#define VISITOR [SS_ROLE_VISITOR]
#define JOINER [SS_ROLE_JOINER]
#define SYNC [SS_ROLE_SYNC]
#define FORWARDER [SS_ROLE_FORWARDER]
#define FILTERER [SS_ROLE_FILTERER]
#define EXECUTIVE [SS_ROLE_EXECUTIVE]
#define WRITER [SS_ROLE_WRITER]
#define READER [SS_ROLE_READER]
#define STATIST [SS_ROLE_STATIST]

const struct ss_shape ss_shapes[] = {
	{
		.name = "star",
		.doc = "one topic, many publishers, subscriptions coming and going",
		.topics_min = 1,
		.topics_max = 1,
		.stations_max = 4,
		.with = SS_WITH_EXECUTORS,
		.weights = { PUBLISHER = 8, VISITOR = 4, JOINER = 2 },
	},
	{
		.name = "policies",
		.doc = "every overflow policy, small queues",
		.topics_min = 1,
		.topics_max = 2,
		.stations_max = 15,
		.with = SS_WITH_POLICIES | SS_WITH_EXECUTORS,
		.weights = { PUBLISHER = 10, VISITOR = 3, JOINER = 1 },
	},
	{
		.name = "chain",
		.doc = "forwards in a row, others made and cancelled beside them",
		.topics_min = 3,
		.topics_max = 12,
		.stations_max = 1,
		.graph = SS_GRAPH_CHAIN,
		.weights = { PUBLISHER = 8, VISITOR = 3, FORWARDER = 4, SYNC = 1 },
	},
	{
		.name = "diamond",
		.doc = "several paths to one topic, subscriptions that want nothing twice",
		.topics_min = 4,
		.topics_max = 7,
		.stations_max = 2,
		.graph = SS_GRAPH_DIAMOND,
		.with = SS_WITH_POLICIES,
		.weights = { PUBLISHER = 8, VISITOR = 4, FORWARDER = 3 },
	},
	{
		.name = "tree",
		.doc = "many topics that lead to one, callbacks that publish",
		.topics_min = 4,
		.topics_max = 12,
		.stations_max = 1,
		.graph = SS_GRAPH_TREE,
		.with = SS_WITH_ECHOES | SS_WITH_EXECUTORS,
		.weights = { PUBLISHER = 8, VISITOR = 2, FORWARDER = 2, SYNC = 1 },
	},
	{
		.name = "filters",
		.doc = "routers and selective subscriptions, whose routes and filters change",
		.topics_min = 2,
		.topics_max = 4,
		.stations_max = 5,
		.graph = SS_GRAPH_CHAIN,
		.with = SS_WITH_ROUTERS | SS_WITH_FILTERS,
		.weights = { PUBLISHER = 8, VISITOR = 2, FILTERER = 4 },
	},
	{
		.name = "sync",
		.doc = "synchronous publishes from threads and inside callbacks",
		.topics_min = 2,
		.topics_max = 4,
		.stations_max = 3,
		.graph = SS_GRAPH_NONE,
		.with = SS_WITH_SYNC | SS_WITH_ECHOES | SS_WITH_EXECUTORS,
		.weights = { PUBLISHER = 4, SYNC = 6, VISITOR = 2, JOINER = 1 },
	},
	{
		.name = "executors",
		.doc = "executors of every kind made, drained and shut down",
		.topics_min = 2,
		.topics_max = 3,
		.stations_max = 4,
		.graph = SS_GRAPH_CHAIN,
		.with = SS_WITH_EXECUTORS | SS_WITH_POLICIES,
		.weights = { PUBLISHER = 8, EXECUTIVE = 5, VISITOR = 2 },
	},
	{
		.name = "cache",
		.doc = "caching topics: written, cleared, read, and subscribed to with their state",
		.topics_min = 1,
		.topics_max = 2,
		.stations_max = 1,
		.with = SS_WITH_CACHE,
		.weights = { PUBLISHER = 2, WRITER = 7, READER = 3, STATIST = 4 },
	},
	{
		.name = "random",
		.doc = "everything at once on a random graph",
		.topics_min = 3,
		.topics_max = 10,
		.stations_max = 3,
		.graph = SS_GRAPH_RANDOM,
		.with = SS_WITH_POLICIES | SS_WITH_ROUTERS | SS_WITH_FILTERS | SS_WITH_ECHOES |
			SS_WITH_SYNC | SS_WITH_CACHE | SS_WITH_EXECUTORS,
		.weights = { PUBLISHER = 8, VISITOR = 3, JOINER = 1, SYNC = 2, FORWARDER = 2,
			     FILTERER = 1, EXECUTIVE = 2, WRITER = 3, READER = 1, STATIST = 2 },
	},
};

const unsigned ss_n_shapes = sizeof(ss_shapes) / sizeof(ss_shapes[0]);

const struct ss_shape *ss_shape_find(const char *name)
{
	for (unsigned i = 0; i < ss_n_shapes; i++) {
		if (strcmp(ss_shapes[i].name, name) == 0)
			return &ss_shapes[i];
	}
	return NULL;
}
