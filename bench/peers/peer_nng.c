/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_nng.c — nng: pub0 to sub0, and req0 to rep0
 *
 * A topic is one pub0 socket, which all publishers share: nng's sockets may be used by any thread.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include "cpu.h"
#include "nng.h"
#include "peers.h"

/* --- throughput ------------------------------------------------------------------------------- */

static void deliver(void *data, nng_msg *message)
{
	sb_deliver(data, nng_msg_body(message));
	nng_msg_free(message);
}

static int net_open(struct sb_run *run, bool aio)
{
	unsigned n = run->topology.subscribers;
	struct sp_nng *net;
	int error;

	if (run->topology.ids > 0 || run->topology.upstream > 0)
		return -ENOTSUP;
	net = malloc(sizeof(*net));
	if (net == NULL)
		return -ENOMEM;
	/* nng's own threads start with its first socket. */
	sb_cpu_consumers(run->topology.publishers == 1, aio ? 1 : n);
	error = sp_nng_open(net, 1, n);
	if (error < 0) {
		free(net);
		return error;
	}
	error = sp_nng_enlarge(net);
	if (error == 0)
		error = sp_nng_receive(net, aio, deliver, run->subscribers,
				       sizeof(run->subscribers[0]));
	if (error < 0) {
		sp_nng_close(net);
		free(net);
		return error;
	}
	run->data = net;
	return 0;
}

static int threads_open(struct sb_run *run)
{
	return net_open(run, false);
}

static int aio_open(struct sb_run *run)
{
	return net_open(run, true);
}

static size_t net_publish(struct sb_publisher *publisher, size_t n)
{
	const struct sp_nng *net = publisher->run->data;

	for (size_t i = 0; i < n; i++) {
		publisher->payload->sequence = publisher->sequence;
		if (sti_unlikely(sp_nng_send(net->pubs[0], publisher->payload,
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
	sp_nng_close(run->data);
	free(run->data);
	run->data = NULL;
}

static const struct sb_engine threads_engine = {
	.name = "nng-pubsub",
	.room = SP_NNG_BUFFER,
	.open = threads_open,
	.publish = net_publish,
	.close = net_close,
};

static const struct sb_engine aio_engine = {
	.name = "nng-pubsub-aio",
	.room = SP_NNG_BUFFER,
	.open = aio_open,
	.publish = net_publish,
	.close = net_close,
};

/* --- latency ---------------------------------------------------------------------------------- */

static void paced_take(void *data, nng_msg *message)
{
	uint64_t now = sb_now();

	sb_paced_receive(data, nng_msg_body(message), now);
	nng_msg_free(message);
}

static int paced_open(struct sb_paced *paced, bool aio)
{
	struct sp_nng *net = malloc(sizeof(*net));
	int error;

	if (net == NULL)
		return -ENOMEM;
	error = sp_nng_open(net, 1, 1);
	if (error < 0) {
		free(net);
		return error;
	}
	paced->data = net;
	error = sp_nng_enlarge(net);
	if (error == 0)
		error = sp_nng_receive(net, aio, paced_take, paced, 0);
	if (error < 0) {
		sp_nng_close(net);
		free(net);
	}
	return error;
}

static int threads_paced_open(struct sb_paced *paced, int option)
{
	return paced_open(paced, false);
}

static int aio_paced_open(struct sb_paced *paced, int option)
{
	return paced_open(paced, true);
}

static int paced_send(struct sb_paced *paced, uint64_t sequence)
{
	const struct sp_nng *net = paced->data;
	struct sb_stamp stamp = { .sequence = sequence };

	return sp_nng_send(net->pubs[0], &stamp, sizeof(stamp));
}

static void paced_close(struct sb_paced *paced)
{
	sp_nng_close(paced->data);
	free(paced->data);
	paced->data = NULL;
}

static const struct sb_paced_subject threads_paced = {
	.name = "nng-pubsub",
	.open = threads_paced_open,
	.send = paced_send,
	.close = paced_close,
};

static const struct sb_paced_subject aio_paced = {
	.name = "nng-pubsub-aio",
	.open = aio_paced_open,
	.send = paced_send,
	.close = paced_close,
};

/* --- calls ------------------------------------------------------------------------------------ */

struct office {
	nng_socket server, client;
	struct sp_threads threads;
};

/* Until the socket is closed. */
static void *server_main(void *arg)
{
	struct office *office = arg;
	nng_msg *message;

	while (nng_recvmsg(office->server, &message, 0) == 0) {
		uint64_t number;

		memcpy(&number, nng_msg_body(message), sizeof(number));
		number++;
		memcpy(nng_msg_body(message), &number, sizeof(number));
		if (nng_sendmsg(office->server, message, 0) != 0)
			nng_msg_free(message);
	}
	return NULL;
}

/* Sockets that are not open have number 0, which none has. */
static int office_open(struct office *office)
{
	int error = nng_rep0_open(&office->server);

	if (error == 0)
		error = nng_req0_open(&office->client);
	if (error == 0)
		error = nng_listen(office->server, "inproc://server", NULL, 0);
	if (error == 0)
		error = nng_dial(office->client, "inproc://server", NULL, 0);
	if (error != 0)
		return sp_nng_error(error);
	return sp_threads_start(&office->threads, 1, server_main, office, 0);
}

static void call_close(void *state)
{
	struct office *office = state;

	/* One that is not open is refused. */
	nng_close(office->client);
	nng_close(office->server);
	sp_threads_join(&office->threads);
	free(office);
}

static int call_open(void **state)
{
	struct office *office = calloc(1, sizeof(*office));
	int error;

	if (office == NULL)
		return -ENOMEM;
	error = office_open(office);
	if (error < 0)
		call_close(office);
	else
		*state = office;
	return error;
}

static int call_call(void *state, uint64_t request, uint64_t *reply)
{
	struct office *office = state;
	int error = sp_nng_send(office->client, &request, sizeof(request));
	nng_msg *message;

	if (error < 0)
		return error;
	error = nng_recvmsg(office->client, &message, 0);
	if (error != 0)
		return sp_nng_error(error);
	memcpy(reply, nng_msg_body(message), sizeof(*reply));
	nng_msg_free(message);
	return 0;
}

static const struct sb_call call = {
	.open = call_open,
	.call = call_call,
	.close = call_close,
};

/* --- coming and going, doing nothing ---------------------------------------------------------- */

static void ignore(void *data, nng_msg *message)
{
	nng_msg_free(message);
}

static void state_close(void *state)
{
	sp_nng_close(state);
	free(state);
}

static int state_open(unsigned n_topics, unsigned per_topic, bool aio, void **state)
{
	struct sp_nng *net = malloc(sizeof(*net));
	int error;

	if (net == NULL)
		return -ENOMEM;
	error = sp_nng_open(net, n_topics, per_topic);
	if (error < 0) {
		free(net);
		return error;
	}
	error = sp_nng_receive(net, aio, ignore, NULL, 0);
	if (error < 0)
		state_close(net);
	else
		*state = net;
	return error;
}

static int churn_open(unsigned others, void **state)
{
	return state_open(1, others, true, state);
}

/* What has arrived is taken; what is on its way ends with the socket. */
static int visit(const struct sp_nng *net, nng_socket sub, struct sb_guest *guest)
{
	nng_msg *message;
	int error = sp_nng_send(net->pubs[0], "news", 4);

	while (error == 0 && nng_recvmsg(sub, &message, NNG_FLAG_NONBLOCK) == 0) {
		sb_guest_call(guest);
		nng_msg_free(message);
	}
	return error;
}

static int churn_cycle(void *state, struct sb_guest *guest)
{
	nng_socket sub;
	int error = sp_nng_subscribe(&sub, 0), closed;

	if (error < 0)
		return error;
	if (guest != NULL)
		error = visit(state, sub, guest);
	closed = sp_nng_error(nng_close(sub));
	return error < 0 ? error : closed;
}

static int stock_open(unsigned n, void **state)
{
	return state_open(n, 1, false, state);
}

static int stock_aio_open(unsigned n, void **state)
{
	return state_open(n, 1, true, state);
}

static const struct sb_churn churn = {
	.open = churn_open,
	.cycle = churn_cycle,
	.close = state_close,
};

static const struct sb_stock stock = {
	.open = stock_open,
	.close = state_close,
};

static const struct sb_stock stock_aio = {
	.open = stock_aio_open,
	.close = state_close,
};

/* --- the rows --------------------------------------------------------------------------------- */

#define COMMON                                                                                     \
	"inproc; NNG_OPT_SENDBUF and NNG_OPT_RECVBUF 8,192, the most that it takes, and no more "  \
	"messages outstanding, for it drops what it has no room for; one pub0 for all "            \
	"publishers; "

const struct sb_peer sb_peer_nng_pubsub = {
	.name = "nng-pubsub",
	.title = "nng pub0/sub0",
	.version = sp_nng_version,
	.settings = COMMON "a thread per subscriber in nng_recvmsg()",
	.throughput = &threads_engine,
	.paced = &threads_paced,
	.churn = &churn,
	.stock = &stock,
};

const struct sb_peer sb_peer_nng_pubsub_aio = {
	.name = "nng-pubsub-aio",
	.title = "nng pub0/sub0, asynchronous",
	.version = sp_nng_version,
	.settings = COMMON "a receive operation per subscriber, its callback on nng's threads, as "
			   "nng_aio(5) advises for many",
	.throughput = &aio_engine,
	.paced = &aio_paced,
	.stock = &stock_aio,
};

const struct sb_peer sb_peer_nng_reqrep = {
	.name = "nng-reqrep",
	.title = "nng req0/rep0",
	.version = sp_nng_version,
	.settings = "inproc; a thread in nng_recvmsg()",
	.call = &call,
};
