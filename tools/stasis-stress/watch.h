/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_WATCH_H
#define SS_WATCH_H

/* watch.h — progress for people, and a dog that watches for a hang
 *
 * Both on a thread of their own, so that they work when nothing else does.
 */

#include <stdint.h>

#include "schedule.h"

void ss_watch_start(const struct ss_schedule *schedule);
void ss_watch_stop(void);

/* A round has begun, on this net, or is over: NULL. It must be over by then. */
void ss_watch_round(struct ss_net *net, const struct ss_round *round, uint64_t over_by_ns);

/* What is being done with it. A string that stays. */
void ss_watch_phase(const char *phase);

/* Everything that is needed to run it again. */
void ss_watch_tell_how(FILE *file, const struct ss_schedule *schedule, const char *record);

#endif
