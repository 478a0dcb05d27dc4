/* SPDX-License-Identifier: BSD-2-Clause */
/* ck_queue.c — see ck_queue.h */

#include "ck_queue.h"

#include <ck_ring.h>
#include <stdlib.h>

struct ck_queue {
	ck_ring_t ring;
	ck_ring_buffer_t *slots;
};

struct ck_queue *ck_queue_new(unsigned order)
{
	unsigned size = 1u << order;
	struct ck_queue *queue = aligned_alloc(64, (sizeof(*queue) + 63) / 64 * 64);

	if (queue == NULL)
		return NULL;
	queue->slots = calloc(size, sizeof(queue->slots[0]));
	if (queue->slots == NULL) {
		free(queue);
		return NULL;
	}
	ck_ring_init(&queue->ring, size);
	return queue;
}

struct ck_queue *ck_queue_free(struct ck_queue *queue)
{
	if (queue != NULL)
		free(queue->slots);
	free(queue);
	return NULL;
}

bool ck_queue_push(struct ck_queue *queue, void *item)
{
	return ck_ring_enqueue_mpsc(&queue->ring, queue->slots, item);
}

size_t ck_queue_take(struct ck_queue *queue, void **items, size_t max)
{
	size_t n = 0;

	while (n < max && ck_ring_dequeue_mpsc(&queue->ring, queue->slots, &items[n]))
		n++;
	return n;
}
