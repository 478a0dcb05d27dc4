/* SPDX-License-Identifier: BSD-2-Clause */
/* queues.c — see queues.h */

#include "queues.h"

#include <stdlib.h>
#include <string.h>

#include "ck_queue.h"
#include "mutex_queue.h"
#include "ring/ring.h"

/* --- the library's ring, a push in a read section as in a publish ----------------------------- */

struct ring_queue {
	alignas(STI_CACHELINE) struct sti_mpsc_tail tail;
	alignas(STI_CACHELINE) struct sti_mpsc_head head;
};

static void *ring_create(void)
{
	struct ring_queue *queue = aligned_alloc(STI_CACHELINE, sizeof(*queue));

	if (queue == NULL)
		return NULL;
	if (sti_mpsc_init(&queue->tail, &queue->head, BENCH_QUEUE_ORDER, NULL) < 0) {
		free(queue);
		return NULL;
	}
	return queue;
}

static void ring_destroy(void *data)
{
	struct ring_queue *queue = data;

	sti_mpsc_deinit(&queue->tail, &queue->head);
	free(queue);
}

static bool ring_push(void *data, void *item)
{
	struct ring_queue *queue = data;
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_push(&queue->tail, item);
	sti_rcu_read_unlock();
	/* STI_PUSH_WAKE comes once, with the first push: the consumer polls and needs no waking. */
	return (result & (STI_PUSH_ENDED | STI_PUSH_NOMEM)) == 0;
}

static size_t ring_take(void *data, void **items, size_t max)
{
	struct ring_queue *queue = data;

	return sti_mpsc_take(&queue->head, items, max);
}

const struct bench_queue_ops bench_queue_ring = {
	.name = "ring",
	.create = ring_create,
	.destroy = ring_destroy,
	.push = ring_push,
	.take = ring_take,
};

/* --- Concurrency Kit's ring ------------------------------------------------------------------- */

static void *ck_create(void)
{
	return ck_queue_new(BENCH_QUEUE_ORDER);
}

static void ck_destroy(void *data)
{
	ck_queue_free(data);
}

static bool ck_push(void *data, void *item)
{
	return ck_queue_push(data, item);
}

static size_t ck_take(void *data, void **items, size_t max)
{
	return ck_queue_take(data, items, max);
}

const struct bench_queue_ops bench_queue_ck = {
	.name = "ck_ring",
	.create = ck_create,
	.destroy = ck_destroy,
	.push = ck_push,
	.take = ck_take,
};

/* --- a mutex and a vector --------------------------------------------------------------------- */

struct swap_queue {
	struct mutex_queue *queue;
	/* consumer only: what was swapped out and not yet taken */
	void **items;
	size_t n;
};

static void *swap_create(void)
{
	struct swap_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return NULL;
	queue->queue = mutex_queue_new();
	if (queue->queue == NULL) {
		free(queue);
		return NULL;
	}
	return queue;
}

static void swap_destroy(void *data)
{
	struct swap_queue *queue = data;

	mutex_queue_free(queue->queue);
	free(queue);
}

static bool swap_push(void *data, void *item)
{
	struct swap_queue *queue = data;

	return mutex_queue_put(queue->queue, &item, 1) != MUTEX_QUEUE_NOMEM;
}

static size_t swap_take(void *data, void **items, size_t max)
{
	struct swap_queue *queue = data;
	size_t n;

	if (queue->n == 0)
		queue->n = mutex_queue_take(queue->queue, &queue->items, false);
	n = queue->n < max ? queue->n : max;
	if (n == 0)
		return 0;
	memcpy(items, queue->items, n * sizeof(items[0]));
	queue->items += n;
	queue->n -= n;
	return n;
}

const struct bench_queue_ops bench_queue_mutex = {
	.name = "mutex",
	.create = swap_create,
	.destroy = swap_destroy,
	.push = swap_push,
	.take = swap_take,
};
