/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_glib.c — GLib: a GAsyncQueue per subscriber, and a thread that pops
 *
 * Messages are boxes with a count of references, one for each queue that a message is pushed to. A
 * queue cannot hold NULL; a box of the address of stop is what ends a thread.
 */

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cpu.h"
#include "peers.h"

struct server {
	GAsyncQueue *queue;
	GThread *thread;
	void (*take)(void *data, void *box);
	void *data;
};

struct pool {
	struct server *servers;
	unsigned n;
};

static char stop;

static void *server_main(void *arg)
{
	struct server *server = arg;
	void *box;

	while ((box = g_async_queue_pop(server->queue)) != &stop) {
		server->take(server->data, box);
		g_atomic_rc_box_release(box);
	}
	return NULL;
}

/* 0 or -errno. */
static int server_start(struct server *server, void (*take)(void *data, void *box), void *data)
{
	GError *error = NULL;

	server->take = take;
	server->data = data;
	server->queue = g_async_queue_new();
	server->thread = g_thread_try_new("subscriber", server_main, server, &error);
	if (server->thread != NULL)
		return 0;
	g_error_free(error);
	g_async_queue_unref(server->queue);
	return -EAGAIN;
}

/* Returns when everything has been taken. */
static void server_stop(struct server *server)
{
	g_async_queue_push(server->queue, &stop);
	g_thread_join(server->thread);
	g_async_queue_unref(server->queue);
}

static void pool_free(struct pool *pool)
{
	while (pool->n > 0)
		server_stop(&pool->servers[--pool->n]);
	g_free(pool->servers);
	g_free(pool);
}

/* n servers, number i with data + i * size. NULL with errno. */
static struct pool *pool_new(unsigned n, void (*take)(void *data, void *box), void *data,
			     size_t size)
{
	struct pool *pool = g_new0(struct pool, 1);

	pool->servers = g_new0(struct server, n + 1);
	while (pool->n < n) {
		int error = server_start(&pool->servers[pool->n], take,
					 (char *)data + pool->n * size);

		if (error < 0) {
			pool_free(pool);
			errno = -error;
			return NULL;
		}
		pool->n++;
	}
	return pool;
}

/* To all queues. Takes the reference. */
static void pool_push(const struct pool *pool, void *box)
{
	for (unsigned i = 1; i < pool->n; i++)
		g_async_queue_push(pool->servers[i].queue, g_atomic_rc_box_acquire(box));
	g_async_queue_push(pool->servers[0].queue, box);
}

/* --- throughput ------------------------------------------------------------------------------- */

static void deliver(void *data, void *box)
{
	sb_deliver(data, box);
}

static int pool_open(struct sb_run *run)
{
	unsigned n = run->topology.subscribers;
	struct pool *pool;

	if (run->topology.ids > 0 || run->topology.upstream > 0)
		return -ENOTSUP;
	sb_cpu_consumers(run->topology.publishers == 1, n);
	pool = pool_new(n, deliver, run->subscribers, sizeof(run->subscribers[0]));
	if (pool == NULL)
		return -errno;
	run->data = pool;
	return 0;
}

static size_t republish(struct sb_publisher *publisher, const struct pool *pool, size_t n)
{
	void *box = g_atomic_rc_box_dup(publisher->run->setup.payload, publisher->payload);

	for (size_t i = 0; i < n; i++) {
		pool_push(pool, g_atomic_rc_box_acquire(box));
		publisher->sequence++;
	}
	g_atomic_rc_box_release(box);
	return n;
}

static size_t pool_publish(struct sb_publisher *publisher, size_t n)
{
	const struct pool *pool = publisher->run->data;

	if (publisher->run->topology.mode == SB_MODE_REPUBLISH)
		return republish(publisher, pool, n);
	for (size_t i = 0; i < n; i++) {
		publisher->payload->sequence = publisher->sequence++;
		pool_push(pool,
			  g_atomic_rc_box_dup(publisher->run->setup.payload, publisher->payload));
	}
	return n;
}

static void pool_close(struct sb_run *run)
{
	pool_free(run->data);
	run->data = NULL;
}

static const struct sb_engine engine = {
	.name = "glib",
	.open = pool_open,
	.publish = pool_publish,
	.close = pool_close,
};

/* --- latency ---------------------------------------------------------------------------------- */

static void paced_take(void *data, void *box)
{
	uint64_t now = sb_now();

	sb_paced_receive(data, box, now);
}

static int paced_open(struct sb_paced *paced, int option)
{
	paced->data = pool_new(1, paced_take, paced, 0);
	return paced->data != NULL ? 0 : -errno;
}

static int paced_send(struct sb_paced *paced, uint64_t sequence)
{
	struct sb_stamp stamp = { .sequence = sequence };

	pool_push(paced->data, g_atomic_rc_box_dup(sizeof(stamp), &stamp));
	return 0;
}

static void paced_close(struct sb_paced *paced)
{
	pool_free(paced->data);
	paced->data = NULL;
}

static const struct sb_paced_subject paced_subject = {
	.name = "glib",
	.open = paced_open,
	.send = paced_send,
	.close = paced_close,
};

/* --- calls: a queue to the server and one back ------------------------------------------------ */

struct office {
	struct pool *pool;
	GAsyncQueue *replies;
};

static void answer(void *data, void *box)
{
	struct office *office = data;

	++*(uint64_t *)box;
	g_async_queue_push(office->replies, g_atomic_rc_box_acquire(box));
}

static void call_close(void *state)
{
	struct office *office = state;

	if (office->pool != NULL)
		pool_free(office->pool);
	g_async_queue_unref(office->replies);
	g_free(office);
}

static int call_open(void **state)
{
	struct office *office = g_new0(struct office, 1);
	int error;

	office->replies = g_async_queue_new();
	office->pool = pool_new(1, answer, office, 0);
	if (office->pool == NULL) {
		error = -errno;
		call_close(office);
		return error;
	}
	*state = office;
	return 0;
}

static int call_call(void *state, uint64_t request, uint64_t *reply)
{
	struct office *office = state;
	uint64_t *box;

	pool_push(office->pool, g_atomic_rc_box_dup(sizeof(request), &request));
	box = g_async_queue_pop(office->replies);
	*reply = *box;
	g_atomic_rc_box_release(box);
	return 0;
}

static const struct sb_call call = {
	.open = call_open,
	.call = call_call,
	.close = call_close,
};

/* --- coming and going, doing nothing ---------------------------------------------------------- */

/* A topic: publishers would read its subscribers. */
struct topic {
	GRWLock lock;
	GPtrArray *subscribers; /* of servers; lock */
	struct pool *others;
};

static void ignore(void *data, void *box)
{
}

static void churn_close(void *state)
{
	struct topic *topic = state;

	if (topic->others != NULL)
		pool_free(topic->others);
	g_ptr_array_unref(topic->subscribers);
	g_rw_lock_clear(&topic->lock);
	g_free(topic);
}

static int churn_open(unsigned others, void **state)
{
	struct topic *topic = g_new0(struct topic, 1);
	int error;

	g_rw_lock_init(&topic->lock);
	topic->subscribers = g_ptr_array_new();
	topic->others = pool_new(others, ignore, NULL, 0);
	if (topic->others == NULL) {
		error = -errno;
		churn_close(topic);
		return error;
	}
	for (unsigned i = 0; i < others; i++)
		g_ptr_array_add(topic->subscribers, &topic->others->servers[i]);
	*state = topic;
	return 0;
}

static void visit(void *data, void *box)
{
	sb_guest_call(data);
}

static void topic_publish(struct topic *topic)
{
	uint64_t number = 0;
	void *box = g_atomic_rc_box_dup(sizeof(number), &number);

	g_rw_lock_reader_lock(&topic->lock);
	for (guint i = 0; i < topic->subscribers->len; i++) {
		struct server *server = g_ptr_array_index(topic->subscribers, i);

		g_async_queue_push(server->queue, g_atomic_rc_box_acquire(box));
	}
	g_rw_lock_reader_unlock(&topic->lock);
	g_atomic_rc_box_release(box);
}

static int churn_cycle(void *state, struct sb_guest *guest)
{
	struct topic *topic = state;
	struct server server = { 0 };
	int error = server_start(&server, guest != NULL ? visit : ignore, guest);

	if (error < 0)
		return error;
	g_rw_lock_writer_lock(&topic->lock);
	g_ptr_array_add(topic->subscribers, &server);
	g_rw_lock_writer_unlock(&topic->lock);
	if (guest != NULL)
		topic_publish(topic);
	g_rw_lock_writer_lock(&topic->lock);
	g_ptr_array_remove_fast(topic->subscribers, &server);
	g_rw_lock_writer_unlock(&topic->lock);
	server_stop(&server);
	return 0;
}

static int stock_open(unsigned n, void **state)
{
	*state = pool_new(n, ignore, NULL, 0);
	return *state != NULL ? 0 : -errno;
}

static void stock_close(void *state)
{
	pool_free(state);
}

static const struct sb_churn churn = {
	.open = churn_open,
	.cycle = churn_cycle,
	.close = churn_close,
};

static const struct sb_stock stock = {
	.open = stock_open,
	.close = stock_close,
};

/* --- the row ---------------------------------------------------------------------------------- */

static const char *version(void)
{
	static char text[32];

	g_snprintf(text, sizeof(text), "%u.%u.%u", glib_major_version, glib_minor_version,
		   glib_micro_version);
	return text;
}

const struct sb_peer sb_peer_glib = {
	.name = "glib",
	.title = "GLib GAsyncQueue and threads",
	.version = version,
	.settings = "a GAsyncQueue and a GThread per subscriber, in g_async_queue_pop(), as the "
		    "queue's reference shows; messages are reference-counted boxes "
		    "(g_atomic_rc_box_dup()); calls: one queue to the server and one back",
	.throughput = &engine,
	.paced = &paced_subject,
	.call = &call,
	.churn = &churn,
	.stock = &stock,
};
