/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_THREADS_H
#define SP_THREADS_H

/* threads.h — a thread for each of n things, for peers that have none of their own */

#include <pthread.h>
#include <stddef.h>

struct sp_threads {
	pthread_t *ids;
	unsigned n; /* started */
};

/* Starts main(things), main(things + size), ... n times. 0 or -errno, after which those that were
 * started are to be stopped and joined all the same. */
int sp_threads_start(struct sp_threads *threads, unsigned n, void *(*main)(void *arg), void *things,
		     size_t size);

/* Returns when they have all ended. */
void sp_threads_join(struct sp_threads *threads);

#endif
