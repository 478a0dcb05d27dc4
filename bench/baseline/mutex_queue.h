/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_BENCH_MUTEX_QUEUE_H
#define STASIS_BENCH_MUTEX_QUEUE_H

/* mutex_queue.h — baseline: the queue that every C programmer has written once
 *
 * A mutex, a condition variable and a vector that grows by doubling. The consumer swaps the whole
 * vector for its empty one, so it takes the lock once for all that has gathered; a producer signals
 * only when the consumer waits.
 */

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mutex_queue;

/* NULL when there is no memory. */
struct mutex_queue *mutex_queue_new(void);
struct mutex_queue *mutex_queue_free(struct mutex_queue *queue);

enum mutex_queue_put {
	MUTEX_QUEUE_PUT,   /* there was something in it before */
	MUTEX_QUEUE_FIRST, /* it was empty */
	MUTEX_QUEUE_NOMEM,
};

/* Any thread. All n items or none. */
enum mutex_queue_put mutex_queue_put(struct mutex_queue *queue, void *const *items, size_t n);

/* One thread at a time: everything that is queued, in *itemsp, good until the next take. With wait,
 * returns 0 only when the queue is closed and empty. */
size_t mutex_queue_take(struct mutex_queue *queue, void ***itemsp, bool wait);

/* Lets a waiting consumer go. */
void mutex_queue_close(struct mutex_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
