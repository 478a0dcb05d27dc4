/* SPDX-License-Identifier: BSD-2-Clause */
/* mutex_queue.c — see mutex_queue.h */

#include "mutex_queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct vector {
	void **items;
	size_t n;
	size_t max;
};

struct mutex_queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	/* lock */
	struct vector in;
	bool waiting;
	bool closed;
	/* consumer only */
	struct vector out;
};

struct mutex_queue *mutex_queue_new(void)
{
	/* Whole lines: queues in a row must not disturb each other. */
	size_t size = (sizeof(struct mutex_queue) + 63) / 64 * 64;
	struct mutex_queue *queue = aligned_alloc(64, size);

	if (queue == NULL)
		return NULL;
	memset(queue, 0, size);
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->filled, NULL);
	return queue;
}

struct mutex_queue *mutex_queue_free(struct mutex_queue *queue)
{
	if (queue == NULL)
		return NULL;
	pthread_cond_destroy(&queue->filled);
	pthread_mutex_destroy(&queue->lock);
	free(queue->in.items);
	free(queue->out.items);
	free(queue);
	return NULL;
}

static bool vector_reserve(struct vector *vector, size_t n)
{
	size_t max = vector->max > 0 ? vector->max : 16;
	void **items;

	if (n <= vector->max)
		return true;
	while (max < n)
		max *= 2;
	items = realloc(vector->items, max * sizeof(items[0]));
	if (items == NULL)
		return false;
	vector->items = items;
	vector->max = max;
	return true;
}

enum mutex_queue_put mutex_queue_put(struct mutex_queue *queue, void *const *items, size_t n)
{
	enum mutex_queue_put result = MUTEX_QUEUE_NOMEM;
	bool wake = false;

	pthread_mutex_lock(&queue->lock);
	if (vector_reserve(&queue->in, queue->in.n + n)) {
		result = queue->in.n == 0 ? MUTEX_QUEUE_FIRST : MUTEX_QUEUE_PUT;
		memcpy(&queue->in.items[queue->in.n], items, n * sizeof(items[0]));
		queue->in.n += n;
		wake = queue->waiting;
		queue->waiting = false;
	}
	pthread_mutex_unlock(&queue->lock);
	if (wake)
		pthread_cond_signal(&queue->filled);
	return result;
}

size_t mutex_queue_take(struct mutex_queue *queue, void ***itemsp, bool wait)
{
	struct vector taken;

	pthread_mutex_lock(&queue->lock);
	while (wait && queue->in.n == 0 && !queue->closed) {
		queue->waiting = true;
		pthread_cond_wait(&queue->filled, &queue->lock);
	}
	taken = queue->in;
	queue->in = queue->out;
	queue->in.n = 0;
	queue->out = taken;
	pthread_mutex_unlock(&queue->lock);
	*itemsp = taken.items;
	return taken.n;
}

void mutex_queue_close(struct mutex_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_mutex_unlock(&queue->lock);
	pthread_cond_signal(&queue->filled);
}
