/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_BENCH_QUEUES_H
#define STASIS_BENCH_QUEUES_H

/* queues.h — the library's ring and its baselines under one interface
 *
 * In C, because the ring's header uses C's atomics. Every call goes through a pointer, the same for
 * all of them.
 */

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_queue_ops {
	const char *name;
	/* NULL when there is no memory. */
	void *(*create)(void);
	/* Nobody uses the queue any more. */
	void (*destroy)(void *queue);
	/* Any thread. False: full, or no memory. */
	bool (*push)(void *queue, void *item);
	/* One thread. How many; may be 0. */
	size_t (*take)(void *queue, void **items, size_t max);
};

/* Room in those that have a limit. */
#define BENCH_QUEUE_ORDER 16

extern const struct bench_queue_ops bench_queue_ring;
extern const struct bench_queue_ops bench_queue_ck;
extern const struct bench_queue_ops bench_queue_mutex;

#ifdef __cplusplus
}
#endif

#endif
