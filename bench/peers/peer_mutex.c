/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_mutex.c — what one writes without a library: a mutex, a condition variable and a vector per
 * subscriber, and a thread
 *
 * The throughput is that of the baseline in tools/stasis-bench; here is the rest of it.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine.h"
#include "mutex_queue.h"
#include "peers.h"

/* A queue and the thread that serves it. */
struct server {
	struct mutex_queue *queue;
	void (*serve)(void *data, void *item);
	void *data;
	pthread_t thread;
};

static void *server_main(void *arg)
{
	struct server *server = arg;
	void **items;
	size_t n;

	while ((n = mutex_queue_take(server->queue, &items, true)) > 0) {
		for (size_t i = 0; i < n; i++)
			server->serve(server->data, items[i]);
	}
	return NULL;
}

/* 0 or -errno. */
static int server_start(struct server *server, void (*serve)(void *data, void *item), void *data)
{
	int error;

	server->serve = serve;
	server->data = data;
	server->queue = mutex_queue_new();
	if (server->queue == NULL)
		return -ENOMEM;
	error = pthread_create(&server->thread, NULL, server_main, server);
	if (error != 0)
		mutex_queue_free(server->queue);
	return -error;
}

/* Returns when everything has been served. */
static void server_stop(struct server *server)
{
	mutex_queue_close(server->queue);
	pthread_join(server->thread, NULL);
	mutex_queue_free(server->queue);
}

static int server_put(struct server *server, void *item)
{
	return mutex_queue_put(server->queue, &item, 1) == MUTEX_QUEUE_NOMEM ? -ENOMEM : 0;
}

/* --- latency ---------------------------------------------------------------------------------- */

static void paced_serve(void *data, void *item)
{
	uint64_t now = sb_now();

	sb_paced_receive(data, item, now);
	free(item);
}

static int paced_open(struct sb_paced *paced, int option)
{
	struct server *server = malloc(sizeof(*server));
	int error;

	if (server == NULL)
		return -ENOMEM;
	error = server_start(server, paced_serve, paced);
	if (error < 0)
		free(server);
	else
		paced->data = server;
	return error;
}

static int paced_send(struct sb_paced *paced, uint64_t sequence)
{
	struct sb_stamp *stamp = malloc(sizeof(*stamp));
	int error;

	if (stamp == NULL)
		return -ENOMEM;
	*stamp = (struct sb_stamp){ .sequence = sequence };
	error = server_put(paced->data, stamp);
	if (error < 0)
		free(stamp);
	return error;
}

static void paced_close(struct sb_paced *paced)
{
	server_stop(paced->data);
	free(paced->data);
	paced->data = NULL;
}

static const struct sb_paced_subject paced_subject = {
	.name = "mutex",
	.open = paced_open,
	.send = paced_send,
	.close = paced_close,
};

/* --- calls: a queue to the server and one back ------------------------------------------------ */

struct request {
	uint64_t number;
	uint64_t reply;
};

struct office {
	struct server server;
	struct mutex_queue *replies;
};

static void call_serve(void *data, void *item)
{
	struct office *office = data;
	struct request *request = item;

	request->reply = request->number + 1;
	/* Without memory no reply would come: it takes what it has had for the first. */
	(void)mutex_queue_put(office->replies, &item, 1);
}

static int call_open(void **state)
{
	struct office *office = malloc(sizeof(*office));
	int error = -ENOMEM;

	if (office == NULL)
		return -ENOMEM;
	office->replies = mutex_queue_new();
	if (office->replies != NULL)
		error = server_start(&office->server, call_serve, office);
	if (error < 0) {
		mutex_queue_free(office->replies);
		free(office);
	} else {
		*state = office;
	}
	return error;
}

static int call_call(void *state, uint64_t number, uint64_t *reply)
{
	struct office *office = state;
	struct request *request = malloc(sizeof(*request));
	void **items;
	int error;

	if (request == NULL)
		return -ENOMEM;
	request->number = number;
	error = server_put(&office->server, request);
	if (error == 0) {
		mutex_queue_take(office->replies, &items, true);
		*reply = request->reply;
	}
	free(request);
	return error;
}

static void call_close(void *state)
{
	struct office *office = state;

	server_stop(&office->server);
	mutex_queue_free(office->replies);
	free(office);
}

static const struct sb_call call = {
	.open = call_open,
	.call = call_call,
	.close = call_close,
};

/* --- doing nothing: a queue each, and one thread ---------------------------------------------- */

struct stock {
	struct server server; /* at the queue of those that have something */
	struct mutex_queue **queues;
	unsigned n;
};

static void ignore(void *data, void *item)
{
}

static void stock_close(void *state)
{
	struct stock *stock = state;

	server_stop(&stock->server);
	while (stock->n > 0)
		mutex_queue_free(stock->queues[--stock->n]);
	free(stock->queues);
	free(stock);
}

static int stock_open(unsigned n, void **state)
{
	struct stock *stock = calloc(1, sizeof(*stock));
	int error;

	if (stock == NULL)
		return -ENOMEM;
	error = server_start(&stock->server, ignore, NULL);
	if (error < 0) {
		free(stock);
		return error;
	}
	stock->queues = calloc(n, sizeof(stock->queues[0]));
	while (stock->queues != NULL && stock->n < n &&
	       (stock->queues[stock->n] = mutex_queue_new()) != NULL)
		stock->n++;
	if (stock->n < n) {
		stock_close(stock);
		return -ENOMEM;
	}
	*state = stock;
	return 0;
}

static const struct sb_stock stock = {
	.open = stock_open,
	.close = stock_close,
};

/* --- the row ---------------------------------------------------------------------------------- */

static const char *version(void)
{
	return "part of this source tree";
}

const struct sb_peer sb_peer_mutex = {
	.name = "mutex",
	.title = "mutex, condition variable, vector",
	.version = version,
	.settings = "a queue per subscriber, swapped as a whole by one consuming thread; messages "
		    "from malloc()",
	.throughput = &sb_engine_mutex,
	.paced = &paced_subject,
	.call = &call,
	.stock = &stock,
};

/* The same queue behind a cache. */
const struct sb_peer sb_peer_rwlock = {
	.name = "rwlock",
	.title = "hash table under a read-write lock",
	.version = version,
	.settings = "updates are put into the queue of \"mutex\" under the lock; snapshots and "
		    "updates from malloc()",
	.throughput = &sb_engine_rwlock,
};

/* No peer, but the control of the latency. */
const struct sb_peer sb_peer_futex = {
	.name = "futex",
	.title = "bare futex wake (control)",
	.version = version,
	.settings =
		"a number stored, FUTEX_WAKE, a thread asleep in FUTEX_WAIT reads it: no queue, "
		"no memory",
	.paced = &sb_paced_futex,
};
