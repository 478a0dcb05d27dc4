/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_GATE_H
#define STASIS_TESTS_GATE_H

/* gate.h — makes threads and callbacks wait for each other without sleeping
 *
 * A gate is closed at first. gate_pass() waits until it is open and says that somebody has come;
 * gate_await() waits until so many have come, whether or not the gate has let them through.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open;
	size_t n_arrived;
};

#define GATE_INIT                                                                                  \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER             \
	}

void gate_open(struct gate *gate);
void gate_pass(struct gate *gate);
void gate_await(struct gate *gate, size_t n);

/* Runs n threads, each with its own element of args (size bytes apart), and joins them. */
void run_threads(size_t n, void *(*start)(void *arg), void *args, size_t size);

#endif
