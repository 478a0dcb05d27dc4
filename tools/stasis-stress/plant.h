/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_PLANT_H
#define SS_PLANT_H

/* plant.h — errors on purpose, by which each checker shows that it can fail
 *
 * What the tool observes is falsified, not the library: a delivery is overlooked, a callback made
 * twice, a reference kept.
 */

#include <stdbool.h>

enum ss_plant {
	SS_PLANT_NONE,
	SS_PLANT_ORDER,	  /* two messages of a publisher change places */
	SS_PLANT_LOSS,	  /* a delivery is overlooked */
	SS_PLANT_OVERLAP, /* a callback begins inside another of its subscription */
	SS_PLANT_FINAL,	  /* a final message is seen twice */
	SS_PLANT_JOIN,	  /* a callback after a join */
	SS_PLANT_LEAK,	  /* a reference to a message is kept */
	SS_PLANT_TOPIC,	  /* a reference to a topic is kept */
	SS_PLANT_CHAIN,	  /* a cache update is overlooked */
	SS_PLANT_STATS,	  /* a statistic is read wrongly */
	SS_PLANT_DRAIN,	  /* what came before a drain is overlooked */
	SS_PLANT_SYNC,	  /* a callback that was waited for is overlooked */
	SS_PLANT_LATE,	  /* a round has taken too long: no violation */
	SS_PLANT_CRASH,	  /* a thread aborts */
	SS_PLANT_HANG,	  /* a thread does not come to its end */
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
