/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_zeromq.c — ZeroMQ's throughput and latency: PUB to SUB, and PUSH to PULL
 *
 * A PUB of each publisher's, a SUB of each subscriber's connected to them all. A PUSH takes turns
 * between the PULLs connected to it, so there each publisher has a PUSH for each subscriber and
 * sends every message, made once, to all of them.
 *
 * A thread for each subscriber waits in zmq_msg_recv(); or one thread for all goes round and waits
 * in zmq_poll() when there was nothing anywhere, as the guide advises for many sockets.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "peers.h"
#include "threads.h"
#include "zeromq.h"

/* Messages of one socket before the poller looks at the next. */
#define BATCH 64u

struct receiver {
	struct net *net;
	struct sb_subscriber *subscriber;
	void *socket;
	unsigned ended; /* senders of which no more will come */
};

struct net {
	/* const after init */
	unsigned n_senders; /* to one receiver */
	unsigned n_receivers;
	unsigned n_lanes; /* sockets of a sender */
	void *context;
	void **sockets; /* the senders' lanes, then the receivers' */
	struct receiver *receivers;
	struct sp_threads threads;
};

/* The lanes of sender i. */
static void **lanes_of(const struct net *net, unsigned i)
{
	return &net->sockets[i * net->n_lanes];
}

/* --- receiving -------------------------------------------------------------------------------- */

/* One message, in callback's hands. False: it was a sender's last. */
static inline bool take(struct receiver *receiver, zmq_msg_t *message)
{
	if (sti_likely(zmq_msg_size(message) > 0)) {
		sb_deliver(receiver->subscriber, zmq_msg_data(message));
		return true;
	}
	receiver->ended++;
	return false;
}

static void *serve_one(void *arg)
{
	struct receiver *receiver = arg;
	zmq_msg_t message;

	zmq_msg_init(&message);
	while (receiver->ended < receiver->net->n_senders) {
		if (sp_zeromq_receive(receiver->socket, &message, 0) < 0)
			break;
		take(receiver, &message);
	}
	zmq_msg_close(&message);
	return NULL;
}

/* What a socket has, up to a batch. Returns how many messages. */
static unsigned drain(struct receiver *receiver, zmq_msg_t *message, unsigned *ended)
{
	unsigned n = 0;

	while (n < BATCH && sp_zeromq_receive(receiver->socket, message, ZMQ_DONTWAIT) == 0) {
		n++;
		if (!take(receiver, message) && receiver->ended == receiver->net->n_senders)
			++*ended;
	}
	return n;
}

static void *serve_all(void *arg)
{
	struct net *net = arg;
	zmq_pollitem_t *items = calloc(net->n_receivers, sizeof(items[0]));
	unsigned ended = 0;
	zmq_msg_t message;

	/* Without memory nothing is delivered, and the run is seen to stall. */
	if (items == NULL)
		return NULL;
	for (unsigned i = 0; i < net->n_receivers; i++)
		items[i] = (zmq_pollitem_t){ .socket = net->receivers[i].socket,
					     .events = ZMQ_POLLIN };
	zmq_msg_init(&message);
	while (ended < net->n_receivers) {
		unsigned n = 0;

		for (unsigned i = 0; i < net->n_receivers; i++)
			n += drain(&net->receivers[i], &message, &ended);
		if (n == 0 && zmq_poll(items, (int)net->n_receivers, -1) < 0 && errno != EINTR)
			break;
	}
	zmq_msg_close(&message);
	free(items);
	return NULL;
}

/* --- the sockets ------------------------------------------------------------------------------ */

static void net_free(struct net *net)
{
	unsigned n_sockets = net->n_senders * net->n_lanes + net->n_receivers;

	sp_zeromq_end(net->context, net->sockets, n_sockets);
	free(net->receivers);
	free(net->sockets);
	free(net);
}

/* Whoever binds does so before the other connects. 0 or -errno. */
static int net_connect(struct net *net, bool pubsub)
{
	void **ends = lanes_of(net, net->n_senders);

	for (unsigned i = 0; i < net->n_receivers; i++)
		net->receivers[i] = (struct receiver){ .net = net, .socket = ends[i] };
	for (unsigned s = 0; s < net->n_senders; s++) {
		int error = pubsub ? sp_zeromq_bind(lanes_of(net, s)[0], "sender", s) : 0;

		for (unsigned r = 0; r < net->n_receivers && error == 0; r++) {
			if (pubsub)
				error = sp_zeromq_connect(ends[r], "sender", s);
			else
				error = sp_zeromq_connect(lanes_of(net, s)[r], "receiver", r);
		}
		if (error < 0)
			return error;
		/* Else the first messages could come before the subscriptions. */
		if (pubsub)
			sp_zeromq_notice(lanes_of(net, s)[0]);
	}
	return 0;
}

static int net_sockets(struct net *net, bool pubsub)
{
	unsigned n_lanes = net->n_senders * net->n_lanes;
	int send = pubsub ? ZMQ_PUB : ZMQ_PUSH, receive = pubsub ? ZMQ_SUB : ZMQ_PULL;

	for (unsigned i = 0; i < n_lanes + net->n_receivers; i++) {
		net->sockets[i] = sp_zeromq_socket(net->context, i < n_lanes ? send : receive);
		if (net->sockets[i] == NULL)
			return -errno;
		if (!pubsub && i >= n_lanes) {
			int error = sp_zeromq_bind(net->sockets[i], "receiver", i - n_lanes);

			if (error < 0)
				return error;
		}
	}
	return 0;
}

/* NULL with errno. */
static struct net *net_new(unsigned n_senders, unsigned n_receivers, bool pubsub)
{
	struct net *net = calloc(1, sizeof(*net));
	int error = -ENOMEM;

	if (net == NULL)
		return NULL;
	net->n_senders = n_senders;
	net->n_receivers = n_receivers;
	net->n_lanes = pubsub ? 1 : n_receivers;
	net->sockets = calloc(n_senders * net->n_lanes + n_receivers, sizeof(net->sockets[0]));
	net->receivers = calloc(n_receivers, sizeof(net->receivers[0]));
	net->context = sp_zeromq_context();
	if (net->sockets != NULL && net->receivers != NULL && net->context != NULL)
		error = net_sockets(net, pubsub);
	if (error == 0)
		error = net_connect(net, pubsub);
	if (error < 0) {
		net_free(net);
		errno = -error;
		return NULL;
	}
	return net;
}

/* Returns when the receivers have taken everything. Nobody sends any more. */
static void net_stop(struct net *net)
{
	for (unsigned i = 0; i < net->n_senders * net->n_lanes; i++)
		(void)sp_zeromq_send(net->sockets[i], "", 0);
	sp_threads_join(&net->threads);
}

/* --- throughput ------------------------------------------------------------------------------- */

static int net_open(struct sb_run *run, bool pubsub, bool poll)
{
	unsigned n = run->topology.subscribers;
	struct net *net;
	int error;

	if (run->topology.ids > 0 || run->topology.upstream > 0)
		return -ENOTSUP;
	net = net_new(run->topology.publishers, n, pubsub);
	if (net == NULL)
		return -errno;
	for (unsigned i = 0; i < n; i++)
		net->receivers[i].subscriber = &run->subscribers[i];
	sb_cpu_consumers(run->topology.publishers == 1, poll ? 1 : n);
	if (poll)
		error = sp_threads_start(&net->threads, 1, serve_all, net, 0);
	else
		error = sp_threads_start(&net->threads, n, serve_one, net->receivers,
					 sizeof(net->receivers[0]));
	if (error < 0) {
		net_stop(net);
		net_free(net);
		return error;
	}
	run->data = net;
	return 0;
}

static int pubsub_open(struct sb_run *run)
{
	return net_open(run, true, false);
}

static int pubsub_poll_open(struct sb_run *run)
{
	return net_open(run, true, true);
}

static int pushpull_open(struct sb_run *run)
{
	return net_open(run, false, false);
}

static int pushpull_poll_open(struct sb_run *run)
{
	return net_open(run, false, true);
}

/* One message, made once, to all lanes. 0 or -errno. */
static int send_to_all(void **lanes, unsigned n, const void *payload, size_t size)
{
	zmq_msg_t message, copy;
	int error = 0;

	if (n == 1)
		return sp_zeromq_send(lanes[0], payload, size);
	if (zmq_msg_init_size(&message, size) < 0)
		return -errno;
	memcpy(zmq_msg_data(&message), payload, size);
	for (unsigned i = 0; i < n && error == 0; i++) {
		zmq_msg_init(&copy);
		if (zmq_msg_copy(&copy, &message) < 0 || zmq_msg_send(&copy, lanes[i], 0) < 0) {
			error = -errno;
			zmq_msg_close(&copy);
		}
	}
	zmq_msg_close(&message);
	return error;
}

static size_t net_publish(struct sb_publisher *publisher, size_t n)
{
	const struct net *net = publisher->run->data;
	void **lanes = lanes_of(net, (unsigned)(publisher - publisher->run->publishers));

	for (size_t i = 0; i < n; i++) {
		publisher->payload->sequence = publisher->sequence;
		if (sti_unlikely(send_to_all(lanes, net->n_lanes, publisher->payload,
					     publisher->run->setup.payload) < 0)) {
			publisher->refused++;
			return i;
		}
		publisher->sequence++;
	}
	return n;
}

static void net_close(struct sb_run *run)
{
	net_stop(run->data);
	net_free(run->data);
	run->data = NULL;
}

#define ENGINE(name_, open_)                                                                       \
	{                                                                                          \
		.name = (name_), .open = (open_), .publish = net_publish, .close = net_close       \
	}

static const struct sb_engine pubsub = ENGINE("zeromq-pubsub", pubsub_open);
static const struct sb_engine pubsub_poll = ENGINE("zeromq-pubsub-poll", pubsub_poll_open);
static const struct sb_engine pushpull = ENGINE("zeromq-pushpull", pushpull_open);
static const struct sb_engine pushpull_poll = ENGINE("zeromq-pushpull-poll", pushpull_poll_open);

/* --- latency ---------------------------------------------------------------------------------- */

static void *paced_main(void *arg)
{
	struct sb_paced *paced = arg;
	struct net *net = paced->data;
	zmq_msg_t message;

	zmq_msg_init(&message);
	while (sp_zeromq_receive(net->receivers[0].socket, &message, 0) == 0 &&
	       zmq_msg_size(&message) > 0) {
		uint64_t now = sb_now();

		sb_paced_receive(paced, zmq_msg_data(&message), now);
	}
	zmq_msg_close(&message);
	return NULL;
}

static int paced_open(struct sb_paced *paced, bool is_pubsub)
{
	struct net *net = net_new(1, 1, is_pubsub);
	int error;

	if (net == NULL)
		return -errno;
	paced->data = net;
	error = sp_threads_start(&net->threads, 1, paced_main, paced, 0);
	if (error < 0) {
		net_stop(net);
		net_free(net);
	}
	return error;
}

static int pubsub_paced_open(struct sb_paced *paced, int option)
{
	return paced_open(paced, true);
}

static int pushpull_paced_open(struct sb_paced *paced, int option)
{
	return paced_open(paced, false);
}

static int paced_send(struct sb_paced *paced, uint64_t sequence)
{
	const struct net *net = paced->data;
	struct sb_stamp stamp = { .sequence = sequence };

	return sp_zeromq_send(net->sockets[0], &stamp, sizeof(stamp));
}

static void paced_close(struct sb_paced *paced)
{
	net_stop(paced->data);
	net_free(paced->data);
	paced->data = NULL;
}

static const struct sb_paced_subject pubsub_paced = {
	.name = "zeromq-pubsub",
	.open = pubsub_paced_open,
	.send = paced_send,
	.close = paced_close,
};

static const struct sb_paced_subject pushpull_paced = {
	.name = "zeromq-pushpull",
	.open = pushpull_paced_open,
	.send = paced_send,
	.close = paced_close,
};

/* --- the rows --------------------------------------------------------------------------------- */

#define COMMON                                                                                     \
	"inproc; ZMQ_IO_THREADS 0, as zmq_ctx_set(3) advises for inproc alone; ZMQ_SNDHWM and "    \
	"ZMQ_RCVHWM 0: nothing is dropped; "

const struct sb_peer sb_peer_zeromq_pubsub = {
	.name = "zeromq-pubsub",
	.title = "ZeroMQ PUB/SUB",
	.version = sp_zeromq_version,
	.settings = COMMON "a thread per subscriber in zmq_msg_recv()",
	.throughput = &pubsub,
	.paced = &pubsub_paced,
	.churn = &sp_zeromq_churn,
	.stock = &sp_zeromq_stock,
};

const struct sb_peer sb_peer_zeromq_pubsub_poll = {
	.name = "zeromq-pubsub-poll",
	.title = "ZeroMQ PUB/SUB, one poller",
	.version = sp_zeromq_version,
	.settings = COMMON
	"one thread takes from all sockets in turn without waiting, and waits in "
	"zmq_poll(), as the guide shows for many sockets",
	.throughput = &pubsub_poll,
	.stock = &sp_zeromq_stock_poll,
};

const struct sb_peer sb_peer_zeromq_pushpull = {
	.name = "zeromq-pushpull",
	.title = "ZeroMQ PUSH/PULL",
	.version = sp_zeromq_version,
	.settings = COMMON "a PUSH per publisher and subscriber, a thread per subscriber in "
			   "zmq_msg_recv()",
	.throughput = &pushpull,
	.paced = &pushpull_paced,
};

const struct sb_peer sb_peer_zeromq_pushpull_poll = {
	.name = "zeromq-pushpull-poll",
	.title = "ZeroMQ PUSH/PULL, one poller",
	.version = sp_zeromq_version,
	.settings = COMMON "a PUSH per publisher and subscriber; one thread takes from all sockets "
			   "in turn without waiting, and waits in zmq_poll()",
	.throughput = &pushpull_poll,
};

const struct sb_peer sb_peer_zeromq_reqrep = {
	.name = "zeromq-reqrep",
	.title = "ZeroMQ REQ/REP",
	.version = sp_zeromq_version,
	.settings = COMMON "a REQ and a REP, a thread in zmq_msg_recv()",
	.call = &sp_zeromq_call,
};
