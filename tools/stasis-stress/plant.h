/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_PLANT_H
#define SS_PLANT_H

/* plant.h — errors on purpose, by which the checkers show that they can fail
 *
 * What the tool observes is falsified, not the library: a delivery is overlooked, a callback made
 * twice, a reference kept. There is one at least for each word that a violation begins with, save
 * "exit" and "fork" (faults/), which are about threads and processes and not about messages, and
 * "void" (main.c), which needs none; not one for every single check.
 */

#include <stdbool.h>

enum ss_plant {
	SS_PLANT_NONE,
	SS_PLANT_ORDER,	      /* two messages of a publisher change places */
	SS_PLANT_LOSS,	      /* a delivery is overlooked */
	SS_PLANT_OVERLAP,     /* a callback begins inside another of its subscription */
	SS_PLANT_FINAL,	      /* a final message is seen twice */
	SS_PLANT_JOIN,	      /* a callback after a join */
	SS_PLANT_LEAK,	      /* a reference to a message is kept */
	SS_PLANT_TOPIC,	      /* a reference to a topic is kept */
	SS_PLANT_CHAIN,	      /* a cache update is overlooked */
	SS_PLANT_STATS,	      /* a statistic is read wrongly */
	SS_PLANT_DRAIN,	      /* what came before a drain is overlooked */
	SS_PLANT_SYNC,	      /* a callback that was waited for is overlooked */
	SS_PLANT_STRAY,	      /* a message of a topic that leads nowhere */
	SS_PLANT_FILTER,      /* a change that was not asked for */
	SS_PLANT_ROUTE,	      /* a message by another route */
	SS_PLANT_CONGESTION,  /* told of the same twice */
	SS_PLANT_MEMORY,      /* a message's data has changed */
	SS_PLANT_WANTS,	      /* a topic is thought not to want anything */
	SS_PLANT_SUBSCRIBERS, /* a topic is thought to have no subscribers */
	SS_PLANT_ERROR,	      /* a publish fails */
	SS_PLANT_TOLD,	      /* a refusal that no subscription counts */
	SS_PLANT_PUBLISHED,   /* a publish that no topic counts */
	SS_PLANT_GET,	      /* another entry of a cache is got */
	SS_PLANT_DUMP,	      /* an entry is twice in a dump */
	SS_PLANT_FORWARD,     /* a cycle of forwards is not refused */
	SS_PLANT_LATE,	      /* a round has taken too long: no violation */
	SS_PLANT_CRASH,	      /* a thread aborts */
	SS_PLANT_HANG,	      /* a thread does not come to its end */
	SS_PLANT_N,
};

/* NULL: there is no such. */
const char *ss_plant_name(enum ss_plant plant);

/* SS_PLANT_N: there is no such. */
enum ss_plant ss_plant_find(const char *name);

void ss_plant_set(enum ss_plant plant);

/* Is it time for this one? Once in a run, after it has been asked a number of times. */
bool ss_plant_now(enum ss_plant plant);

#endif
