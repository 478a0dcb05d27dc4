/* SPDX-License-Identifier: BSD-2-Clause */
/* gate.c — see gate.h */

#include "gate.h"

#include <stdio.h>
#include <stdlib.h>

void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

void gate_pass(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->n_arrived++;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

void gate_await(struct gate *gate, size_t n)
{
	pthread_mutex_lock(&gate->lock);
	while (gate->n_arrived < n)
		pthread_cond_wait(&gate->changed, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

/* A thousand of them fit into 32 bits of address. */
#define STACK_SIZE ((size_t)1 << 20)

void run_threads(size_t n, void *(*start)(void *arg), void *args, size_t size)
{
	pthread_t *threads = calloc(n, sizeof(*threads));
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (size_t i = 0; i < n; i++) {
		void *arg = size > 0 ? (char *)args + i * size : args;

		if (threads == NULL || pthread_create(&threads[i], &attr, start, arg) != 0) {
			fprintf(stderr, "cannot start thread %zu\n", i);
			abort();
		}
	}
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pthread_attr_destroy(&attr);
	free(threads);
}
