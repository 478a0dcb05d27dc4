/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_BENCH_CK_QUEUE_H
#define STASIS_BENCH_CK_QUEUE_H

/* ck_queue.h — baseline: Concurrency Kit's ring buffer, many producers and one consumer
 *
 * A producer that has reserved a slot waits, spinning, until all that reserved before it have
 * committed. With more threads than CPUs one of those is often not running, and the others burn
 * their time slices until it is.
 */

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ck_queue;

/* Room for 2^order - 1 items. NULL when there is no memory. */
struct ck_queue *ck_queue_new(unsigned order);
struct ck_queue *ck_queue_free(struct ck_queue *queue);

/* Any thread. False when the queue is full. */
bool ck_queue_push(struct ck_queue *queue, void *item);

/* One thread at a time. How many. */
size_t ck_queue_take(struct ck_queue *queue, void **items, size_t max);

#ifdef __cplusplus
}
#endif

#endif
