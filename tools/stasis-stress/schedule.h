/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_SCHEDULE_H
#define SS_SCHEDULE_H

/* schedule.h — what the controlling thread does and when, drawn from the seed or read from a file
 *
 * A record is text:
 *
 *   stasis-stress schedule 1             the version of this form
 *   seed N
 *   threads N
 *   plant NAME
 *   round N TOPOLOGY SEED MICROSECONDS FAULTS      the seed of the net and of the threads; how long
 *                                                  the round lasts; faults, with commas, or none
 *   op MICROSECONDS FAULT A B C          since the beginning of the round; arguments: faults/...
 *   # anything                           a comment; so is an empty line
 *
 * An operation is of its round's time and faults, and its arguments are such as are drawn; anything
 * else is refused. A round that is late (main.c) has all its operations here, done or not.
 *
 * A round's seed decides the topics, the forwards, the stations and what every thread does in
 * which order. Replaying it does the same operations at the same times. What the scheduler of the
 * system did cannot be replayed: who was faster, where a thread was when it was stopped.
 *
 * Threads: the controlling one.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "faults/faults.h"
#include "net.h"
#include "options.h"

#define SS_SCHEDULE_VERSION 1
#define SS_RECORD_NAME_MAX 4096

struct ss_round {
	uint64_t number;
	const struct ss_shape *shape;
	uint64_t seed;
	uint64_t us;
	unsigned faults; /* bits */
};

struct ss_op {
	uint64_t at_us;
	unsigned fault;
	uint64_t args[SS_FAULT_ARGS];
};

struct ss_schedule {
	const struct ss_options *options;
	FILE *record; /* always: removed when it was not asked for and is not needed */
	FILE *replay; /* NULL: drawn */
	unsigned line;
	uint64_t random; /* of the round's operations */
	uint64_t at_us;
	struct ss_round round;
	uint64_t n_steps;
};

/* Opens the files; with a replay, puts what it says into options. Exits when it cannot. */
void ss_schedule_open(struct ss_schedule *schedule, struct ss_options *options);

/* The next round. False: there is none. elapsed: seconds since the beginning. */
bool ss_schedule_round(struct ss_schedule *schedule, double elapsed);

/* The next operation of the round. False: there is none. */
bool ss_schedule_op(struct ss_schedule *schedule, struct ss_op *op);

/* Notes that it is about to be done. */
void ss_schedule_note(struct ss_schedule *schedule, const struct ss_op *op);

/* The record's name, while there is one. */
const char *ss_schedule_name(void);

/* Closes the files. keep: the record is needed. Returns its name; NULL: there is none. */
const char *ss_schedule_close(struct ss_schedule *schedule, bool keep);

#endif
