/* SPDX-License-Identifier: BSD-2-Clause */
/* zeromq_stock.c — ZeroMQ's subscribers that come and go, and those that only wait
 *
 * Subscribing is making a SUB, telling it what to take and connecting it; closing it ends that. The
 * PUB gets to know of both when it is used, which happens in every cycle here. Sockets that
 * are closed end on a thread of ZeroMQ's.
 */

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "threads.h"
#include "zeromq.h"

struct waiter {
	void *socket;
};

struct stock {
	void *context;
	void **sockets; /* PUBs, then SUBs */
	unsigned n_publishers, n_subscribers;
	struct waiter *waiters; /* as many as there are SUBs */
	struct sp_threads threads;
};

/* Waits for an empty message. */
static void *wait_one(void *arg)
{
	struct waiter *waiter = arg;
	zmq_msg_t message;

	zmq_msg_init(&message);
	while (sp_zeromq_receive(waiter->socket, &message, 0) == 0 && zmq_msg_size(&message) > 0)
		continue;
	zmq_msg_close(&message);
	return NULL;
}

/* Waits for anything on any. */
static void *wait_all(void *arg)
{
	struct stock *stock = arg;
	zmq_pollitem_t *items = calloc(stock->n_subscribers, sizeof(items[0]));

	if (items == NULL)
		return NULL;
	for (unsigned i = 0; i < stock->n_subscribers; i++)
		items[i] = (zmq_pollitem_t){ .socket = stock->waiters[i].socket,
					     .events = ZMQ_POLLIN };
	while (zmq_poll(items, (int)stock->n_subscribers, -1) < 0 && errno == EINTR)
		continue;
	free(items);
	return NULL;
}

static void stock_close(void *state)
{
	struct stock *stock = state;

	for (unsigned i = 0; i < stock->n_publishers && stock->threads.n > 0; i++)
		(void)sp_zeromq_send(stock->sockets[i], "", 0);
	sp_threads_join(&stock->threads);
	sp_zeromq_end(stock->context, stock->sockets, stock->n_publishers + stock->n_subscribers);
	free(stock->waiters);
	free(stock->sockets);
	free(stock);
}

/* SUB number i is connected to PUB number i, or to the only one. 0 or -errno. */
static int stock_connect(struct stock *stock)
{
	for (unsigned i = 0; i < stock->n_publishers + stock->n_subscribers; i++) {
		bool publisher = i < stock->n_publishers;
		unsigned number = publisher ? i : (i - stock->n_publishers) % stock->n_publishers;
		void *socket = sp_zeromq_socket(stock->context, publisher ? ZMQ_PUB : ZMQ_SUB);
		int error;

		if (socket == NULL)
			return -errno;
		stock->sockets[i] = socket;
		if (publisher)
			error = sp_zeromq_bind(socket, "topic", number);
		else
			error = sp_zeromq_connect(socket, "topic", number);
		if (error < 0)
			return error;
	}
	for (unsigned i = 0; i < stock->n_publishers; i++)
		sp_zeromq_notice(stock->sockets[i]);
	for (unsigned i = 0; i < stock->n_subscribers; i++)
		stock->waiters[i].socket = stock->sockets[stock->n_publishers + i];
	return 0;
}

static int stock_new(unsigned n_publishers, unsigned n_subscribers, void **state)
{
	struct stock *stock = calloc(1, sizeof(*stock));
	int error = -ENOMEM;

	if (stock == NULL)
		return -ENOMEM;
	stock->n_publishers = n_publishers;
	stock->n_subscribers = n_subscribers;
	stock->sockets = calloc(n_publishers + n_subscribers, sizeof(stock->sockets[0]));
	stock->waiters = calloc(n_subscribers + 1, sizeof(stock->waiters[0]));
	stock->context = sp_zeromq_context();
	if (stock->sockets != NULL && stock->waiters != NULL && stock->context != NULL)
		error = stock_connect(stock);
	if (error < 0)
		stock_close(stock);
	else
		*state = stock;
	return error;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static int stock_open(unsigned n, void **state)
{
	struct stock *stock;
	int error = stock_new(n, n, state);

	if (error < 0)
		return error;
	stock = *state;
	error = sp_threads_start(&stock->threads, n, wait_one, stock->waiters,
				 sizeof(stock->waiters[0]));
	if (error < 0)
		stock_close(stock);
	return error;
}

static int stock_poll_open(unsigned n, void **state)
{
	struct stock *stock;
	int error = stock_new(n, n, state);

	if (error < 0)
		return error;
	stock = *state;
	error = sp_threads_start(&stock->threads, 1, wait_all, stock, 0);
	if (error < 0)
		stock_close(stock);
	return error;
}

const struct sb_stock sp_zeromq_stock = {
	.open = stock_open,
	.close = stock_close,
};

const struct sb_stock sp_zeromq_stock_poll = {
	.open = stock_poll_open,
	.close = stock_close,
};

/* --- coming and going ------------------------------------------------------------------------- */

static int churn_open(unsigned others, void **state)
{
	return stock_new(1, others, state);
}

/* Takes what is there; how many that were, or -errno. */
static int take_all(void *socket)
{
	zmq_msg_t message;
	int n = 0, error;

	zmq_msg_init(&message);
	while ((error = sp_zeromq_receive(socket, &message, ZMQ_DONTWAIT)) == 0)
		n++;
	zmq_msg_close(&message);
	return error == -EAGAIN ? n : error;
}

/* The thread that publishes also takes: nobody else does. */
static int visit(struct stock *stock, void *socket, struct sb_guest *guest)
{
	int n = sp_zeromq_send(stock->sockets[0], "news", 4);

	if (n == 0)
		n = take_all(socket);
	for (int i = 0; i < n; i++)
		sb_guest_call(guest);
	for (unsigned i = 0; i < stock->n_subscribers && n >= 0; i++)
		n = take_all(stock->waiters[i].socket);
	return n < 0 ? n : 0;
}

static int churn_cycle(void *state, struct sb_guest *guest)
{
	struct stock *stock = state;
	void *socket;
	int error;

	/* All slots can be taken by sockets that have not yet ended. */
	while ((socket = sp_zeromq_socket(stock->context, ZMQ_SUB)) == NULL && errno == EMFILE)
		sched_yield();
	if (socket == NULL)
		return -errno;
	error = sp_zeromq_connect(socket, "topic", 0);
	sp_zeromq_notice(stock->sockets[0]);
	if (error == 0 && guest != NULL)
		error = visit(stock, socket, guest);
	zmq_close(socket);
	return error;
}

const struct sb_churn sp_zeromq_churn = {
	.open = churn_open,
	.cycle = churn_cycle,
	.close = stock_close,
};
