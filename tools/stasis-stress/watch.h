/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_WATCH_H
#define SS_WATCH_H

/* watch.h — progress for people, and a dog that watches for a hang
 *
 * Both on a thread of their own, so that they work when nothing else does.
 */

#include <stdint.h>

#include "schedule.h"
#include "verdict.h"

/* Before anything that can hang; tally: what has been done so far, which the dog says, too. */
void ss_watch_start(const struct ss_schedule *schedule, const struct ss_tally *tally);
void ss_watch_stop(void);

/* A round has begun, on this net, or is over: NULL. */
void ss_watch_round(struct ss_net *net, const struct ss_round *round);

/* What is being done with it (a string that stays), from now until so many microseconds: it hangs
 * when nothing else is done for longer than that and the patience on top. */
void ss_watch_phase(const char *phase, uint64_t us);

/* Everything that is needed to run it again; record: NULL: there is none. */
void ss_watch_tell_how(FILE *file, const struct ss_schedule *schedule, const char *record);

#endif
