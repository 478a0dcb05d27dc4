/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_FAULTS_H
#define SS_FAULTS_H

/* faults.h — what goes wrong on purpose while threads run
 *
 * A fault is drawn from the seed (its arguments, and when), written down, and injected by the
 * thread that controls the round, or, when a recorded schedule is replayed, read and injected. What
 * an argument means is said at each fault. A fault that is in force is released at the end of the
 * round.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../net.h"
#include "../role.h"

#define SS_FAULT_ARGS 3
#define SS_FAULT_THREADS_MAX 2048u /* those of ss_fault_threads() */

struct ss_fault {
	const char *name, *doc;
	const char *unfit;     /* why it is not in this build; NULL: it is */
	uint64_t interval_us;  /* between two, about; 0: it is not injected but a trait of rounds */
	void (*init)(void);    /* once; may be NULL, as the next two */
	void (*release)(void); /* at the end of a round */
	uint64_t args_max[SS_FAULT_ARGS];
	void (*draw)(uint64_t *random, uint64_t *args);
	void (*inject)(struct ss_net *net, const uint64_t *args);
	uint64_t (*count)(void); /* instead of how many were injected; NULL: that */
};

enum {
	SS_FAULT_ALLOC,
	SS_FAULT_STOP,
	SS_FAULT_STARVE,
	SS_FAULT_EXIT,
	SS_FAULT_FORK,
	SS_FAULT_SIGNAL,
	SS_FAULT_CALLBACK,
	SS_FAULT_LIMITS,
	SS_FAULT_CLOCK,
	SS_FAULTS_N,
};

extern const struct ss_fault ss_fault_alloc, ss_fault_stop, ss_fault_starve, ss_fault_exit,
	ss_fault_fork, ss_fault_signal, ss_fault_callback, ss_fault_limits, ss_fault_clock;

const struct ss_fault *ss_fault(unsigned index);

/* SS_FAULTS_N: there is no such. */
unsigned ss_fault_find(const char *name);

/* Bits of all that are in this build. */
unsigned ss_faults_fit(void);

void ss_faults_init(unsigned faults);
void ss_faults_release(unsigned faults);

/* Counts it, too. */
void ss_fault_inject(unsigned index, struct ss_net *net, const uint64_t *args);

/* A round has begun: counts what is a trait of it. */
void ss_faults_count_round(unsigned faults);

/* How often it was injected, or was a trait of a round, or has taken effect. */
uint64_t ss_fault_count(unsigned index);

/* A list with commas of names; "none" if it is empty. size: of the buffer. */
const char *ss_faults_text(unsigned faults, char *text, unsigned size);

/* Kernel's ids of the threads that faults may be done to: those of roles and the library's workers,
 * as of a moment ago. Returns how many. */
unsigned ss_fault_threads(const int **tidsp);

/* How long the longest wait of a message was while threads were stopped; faults/stop.c. */
uint64_t ss_fault_stop_longest_ns(void);

#endif
