/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_STATION_H
#define SS_STATION_H

/* station.h — subscriptions and routers that are there all the time. See net.h. */

#include "net.h"

/* Draws what station index is, of its topic, and subscribes. */
void ss_station_open(struct ss_net *net, unsigned index, unsigned topic, uint64_t *random);

/* Begins to end it: unsubscribes. */
void ss_station_end(struct ss_station *station);

/* When its callbacks are over: checks it, and lets everything go. */
void ss_station_close(struct ss_station *station);

/* Lets a filter or routes of a station that is filtered change. */
void ss_station_refilter(struct ss_station *station, uint64_t *random);

/* How many messages wait there. */
uint64_t ss_station_depth(struct ss_station *station);

/* Lets the next callback do something. */
void ss_station_disturb(struct ss_station *station, enum ss_mischief mischief, uint64_t us);

#endif
