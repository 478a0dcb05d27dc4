/* SPDX-License-Identifier: BSD-2-Clause */
/* nng.c — see nng.h
 *
 * Edges
 *   R1  fetch-add connected  on_connected       -> A1  the connection stands
 *   A1  load connected       await_connections  <- R1
 */

#include "nng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>

#include "clock.h"

#define NAME_SIZE 48u
#define CONNECT_LIMIT_NS (UINT64_C(20) * SB_NS_PER_S)

int sp_nng_error(int error)
{
	switch (error) {
	case 0:
		return 0;
	case NNG_ENOMEM:
		return -ENOMEM;
	case NNG_ENOTSUP:
		return -EPROTO;
	case NNG_ETIMEDOUT:
		return -ETIMEDOUT;
	case NNG_ECLOSED:
		return -ESHUTDOWN;
	default:
		return error & NNG_ESYSERR ? -(error & ~NNG_ESYSERR) : -EIO;
	}
}

const char *sp_nng_version(void)
{
	return nng_version();
}

static void name_of(char name[NAME_SIZE], unsigned topic)
{
	snprintf(name, NAME_SIZE, "inproc://topic-%u", topic);
}

static void on_connected(nng_pipe pipe, nng_pipe_ev event, void *data)
{
	struct sp_nng *net = data;

	/* R1: it stands; pairs with A1 in await_connections(). */
	atomic_fetch_add_explicit(&net->connected, 1, memory_order_release);
}

static int await_connections(const struct sp_nng *net, unsigned n)
{
	uint64_t deadline = sb_now() + CONNECT_LIMIT_NS;

	/* A1: pairs with R1 in on_connected(). */
	while (atomic_load_explicit(&net->connected, memory_order_acquire) < n) {
		if (sb_now() > deadline)
			return -ETIMEDOUT;
		sb_sleep(100000);
	}
	return 0;
}

static int pub_open(struct sp_nng *net, unsigned topic)
{
	nng_socket *pub = &net->pubs[topic];
	char name[NAME_SIZE];
	int error = nng_pub0_open(pub);

	if (error != 0)
		return sp_nng_error(error);
	net->n_pubs++;
	name_of(name, topic);
	error = nng_pipe_notify(*pub, NNG_PIPE_EV_ADD_POST, on_connected, net);
	if (error == 0)
		error = nng_listen(*pub, name, NULL, 0);
	return sp_nng_error(error);
}

int sp_nng_subscribe(nng_socket *sub, unsigned topic)
{
	char name[NAME_SIZE];
	int error = nng_sub0_open(sub);

	if (error != 0)
		return sp_nng_error(error);
	name_of(name, topic);
	error = nng_setopt(*sub, NNG_OPT_SUB_SUBSCRIBE, "", 0);
	if (error == 0)
		error = nng_dial(*sub, name, NULL, 0);
	if (error != 0)
		nng_close(*sub);
	return sp_nng_error(error);
}

int sp_nng_open(struct sp_nng *net, unsigned n_topics, unsigned per_topic)
{
	unsigned n = n_topics * per_topic;
	int error = 0;

	memset(net, 0, sizeof(*net));
	net->pubs = calloc(n_topics, sizeof(net->pubs[0]));
	net->subs = calloc(n + 1, sizeof(net->subs[0]));
	if (net->pubs == NULL || net->subs == NULL)
		error = -ENOMEM;
	for (unsigned i = 0; i < n_topics && error == 0; i++)
		error = pub_open(net, i);
	for (unsigned i = 0; i < n && error == 0; i++) {
		error = sp_nng_subscribe(&net->subs[i], i / per_topic);
		if (error == 0)
			net->n_subs++;
	}
	if (error == 0)
		error = await_connections(net, n);
	if (error < 0)
		sp_nng_close(net);
	return error;
}

int sp_nng_enlarge(struct sp_nng *net)
{
	int error = 0;

	for (unsigned i = 0; i < net->n_pubs && error == 0; i++)
		error = nng_setopt_int(net->pubs[i], NNG_OPT_SENDBUF, SP_NNG_BUFFER);
	for (unsigned i = 0; i < net->n_subs && error == 0; i++)
		error = nng_setopt_int(net->subs[i], NNG_OPT_RECVBUF, SP_NNG_BUFFER);
	return sp_nng_error(error);
}

void sp_nng_close(struct sp_nng *net)
{
	for (unsigned i = 0; i < net->n_subs; i++)
		nng_close(net->subs[i]);
	sp_threads_join(&net->threads);
	for (unsigned i = 0; i < net->n_receivers; i++)
		nng_aio_free(net->receivers[i].aio);
	for (unsigned i = 0; i < net->n_pubs; i++)
		nng_close(net->pubs[i]);
	free(net->receivers);
	free(net->subs);
	free(net->pubs);
}

/* --- receiving -------------------------------------------------------------------------------- */

static void *receiver_main(void *arg)
{
	struct sp_nng_receiver *receiver = arg;
	nng_msg *message;

	while (nng_recvmsg(receiver->socket, &message, 0) == 0)
		receiver->take(receiver->data, message);
	return NULL;
}

static void on_received(void *arg)
{
	struct sp_nng_receiver *receiver = arg;

	/* Closed. */
	if (nng_aio_result(receiver->aio) != 0)
		return;
	receiver->take(receiver->data, nng_aio_get_msg(receiver->aio));
	nng_recv_aio(receiver->socket, receiver->aio);
}

int sp_nng_receive(struct sp_nng *net, bool aio, void (*take)(void *data, nng_msg *message),
		   void *data, size_t size)
{
	net->receivers = calloc(net->n_subs + 1, sizeof(net->receivers[0]));
	if (net->receivers == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < net->n_subs; i++) {
		struct sp_nng_receiver *receiver = &net->receivers[i];
		int error;

		*receiver = (struct sp_nng_receiver){
			.socket = net->subs[i],
			.take = take,
			.data = (char *)data + i * size,
		};
		net->n_receivers++;
		if (!aio)
			continue;
		error = nng_aio_alloc(&receiver->aio, on_received, receiver);
		if (error != 0)
			return sp_nng_error(error);
		nng_recv_aio(receiver->socket, receiver->aio);
	}
	if (aio)
		return 0;
	return sp_threads_start(&net->threads, net->n_receivers, receiver_main, net->receivers,
				sizeof(net->receivers[0]));
}

int sp_nng_send(nng_socket socket, const void *bytes, size_t size)
{
	nng_msg *message;
	int error = nng_msg_alloc(&message, size);

	if (error != 0)
		return sp_nng_error(error);
	memcpy(nng_msg_body(message), bytes, size);
	error = nng_sendmsg(socket, message, 0);
	if (error != 0)
		nng_msg_free(message);
	return sp_nng_error(error);
}
