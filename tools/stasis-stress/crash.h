/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_CRASH_H
#define SS_CRASH_H

/* crash.h — signals that end the run
 *
 * SIGINT and SIGTERM end the round and the run, which is then judged as far as it came; a second
 * one ends the process at once. A crash (SIGSEGV, SIGBUS, SIGFPE, SIGABRT: a failed assertion, too)
 * says how to run it again before it ends the process as it would have.
 */

#include <stdbool.h>

#include "schedule.h"

/* Takes the signals from now on. */
void ss_crash_init(void);

/* Prepares what a crash is to say, as memory and stdio are not to be trusted then: a round is about
 * to begin, or the first has not. The controlling thread, while no other runs. */
void ss_crash_prepare(const struct ss_schedule *schedule);

/* Has SIGINT or SIGTERM come? Any thread. */
bool ss_interrupted(void);

#endif
