/* SPDX-License-Identifier: BSD-2-Clause */
/* baseline_mutex.c — publish/subscribe with a mutex, a condition variable and a vector
 *
 * A queue per subscriber and one consuming thread. With one subscriber the thread waits at its
 * queue. With several it waits at one more queue, of the subscribers that have something: who puts
 * the first message into an empty queue puts the subscriber there. Messages come from malloc() and
 * carry a count of references, set once to the number of subscribers; they are not time-stamped.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "engine.h"
#include "mutex_queue.h"

struct message {
	_Atomic unsigned refs;
	alignas(16) struct sb_stamp stamp; /* and what more the payload has */
};

struct pool {
	/* const after init */
	struct sb_run *run;
	struct mutex_queue **queues; /* by subscriber */
	struct mutex_queue *ready;   /* of subscribers */
	pthread_t thread;
};

static void message_unref(struct message *message)
{
	/* Acquire and release: uses of the message are over, for the one who frees it. */
	if (atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) == 1)
		free(message);
}

static void deliver(struct sb_subscriber *subscriber, void **items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct message *message = items[i];

		sb_deliver(subscriber, &message->stamp);
		message_unref(message);
	}
}

static void *serve_one(void *arg)
{
	struct pool *pool = arg;
	void **items;
	size_t n;

	while ((n = mutex_queue_take(pool->queues[0], &items, true)) > 0)
		deliver(&pool->run->subscribers[0], items, n);
	return NULL;
}

static void *serve_many(void *arg)
{
	struct pool *pool = arg;
	void **ready, **items;
	size_t n;

	while ((n = mutex_queue_take(pool->ready, &ready, true)) > 0) {
		for (size_t i = 0; i < n; i++) {
			struct sb_subscriber *subscriber = ready[i];
			size_t n_items = mutex_queue_take(pool->queues[subscriber->index], &items,
							  false);

			deliver(subscriber, items, n_items);
		}
	}
	return NULL;
}

static void pool_free(struct pool *pool, unsigned n_queues)
{
	for (unsigned i = 0; pool->queues != NULL && i < n_queues; i++)
		mutex_queue_free(pool->queues[i]);
	mutex_queue_free(pool->ready);
	free(pool->queues);
	free(pool);
}

static bool pool_init(struct pool *pool, unsigned n_queues)
{
	pool->ready = mutex_queue_new();
	pool->queues = calloc(n_queues, sizeof(pool->queues[0]));
	if (pool->ready == NULL || pool->queues == NULL)
		return false;
	for (unsigned i = 0; i < n_queues; i++) {
		pool->queues[i] = mutex_queue_new();
		if (pool->queues[i] == NULL)
			return false;
	}
	return true;
}

static int pool_open(struct sb_run *run)
{
	unsigned n = run->topology.subscribers;
	struct pool *pool = calloc(1, sizeof(*pool));
	int error = -ENOMEM;

	if (pool == NULL)
		return -ENOMEM;
	pool->run = run;
	if (pool_init(pool, n)) {
		sb_cpu_consumers(run->topology.publishers == 1, 1);
		error = -pthread_create(&pool->thread, NULL, n == 1 ? serve_one : serve_many, pool);
	}
	if (error < 0) {
		pool_free(pool, n);
		return error;
	}
	run->data = pool;
	return 0;
}

static struct message *message_new(struct sb_publisher *publisher)
{
	size_t payload = publisher->run->setup.payload;
	struct message *message = malloc(offsetof(struct message, stamp) + payload);

	if (message == NULL)
		return NULL;
	publisher->payload->sequence = publisher->sequence;
	atomic_init(&message->refs, publisher->run->topology.subscribers);
	memcpy(&message->stamp, publisher->payload, payload);
	return message;
}

/* Puts the n messages into every subscriber's queue. */
static void post(struct sb_publisher *publisher, struct pool *pool, void **messages, size_t n)
{
	unsigned n_subscribers = publisher->run->topology.subscribers;

	for (unsigned i = 0; i < n_subscribers; i++) {
		void *subscriber = &publisher->run->subscribers[i];
		enum mutex_queue_put put = mutex_queue_put(pool->queues[i], messages, n);

		if (put == MUTEX_QUEUE_FIRST && n_subscribers > 1)
			put = mutex_queue_put(pool->ready, &subscriber, 1);
		if (sti_unlikely(put == MUTEX_QUEUE_NOMEM))
			publisher->refused++;
	}
}

static size_t pool_publish(struct sb_publisher *publisher, size_t n)
{
	struct pool *pool = publisher->run->data;
	size_t batch = publisher->run->topology.mode == SB_MODE_BATCH ? SB_BATCH : 1;
	void *messages[SB_BATCH];

	for (size_t sent = 0; sent < n; sent += batch) {
		for (size_t i = 0; i < batch; i++) {
			messages[i] = message_new(publisher);
			if (sti_unlikely(messages[i] == NULL)) {
				publisher->refused++;
				return sent;
			}
			publisher->sequence++;
		}
		post(publisher, pool, messages, batch);
	}
	return n;
}

static void pool_close(struct sb_run *run)
{
	struct pool *pool = run->data;
	unsigned n = run->topology.subscribers;

	mutex_queue_close(n == 1 ? pool->queues[0] : pool->ready);
	pthread_join(pool->thread, NULL);
	pool_free(pool, n);
	run->data = NULL;
}

const struct sb_engine sb_engine_mutex = {
	.name = "mutex",
	.text = "mutex, condition variable and vector swap per subscriber, messages from malloc(), "
		"one thread",
	.open = pool_open,
	.publish = pool_publish,
	.close = pool_close,
};
