/* SPDX-License-Identifier: BSD-2-Clause */
/* zeromq_calls.c — ZeroMQ's request and reply: REQ to REP */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "threads.h"
#include "zeromq.h"

enum {
	SERVER,
	CLIENT,
	SOCKETS
};

struct office {
	void *context;
	void *sockets[SOCKETS];
	struct sp_threads threads;
};

/* False: there is none, or not of that size. */
static bool receive_number(void *socket, uint64_t *number)
{
	zmq_msg_t message;
	bool good;

	zmq_msg_init(&message);
	good = sp_zeromq_receive(socket, &message, 0) == 0 &&
	       zmq_msg_size(&message) == sizeof(*number);
	if (good)
		memcpy(number, zmq_msg_data(&message), sizeof(*number));
	zmq_msg_close(&message);
	return good;
}

static void *server_main(void *arg)
{
	struct office *office = arg;
	uint64_t number;

	while (receive_number(office->sockets[SERVER], &number)) {
		number++;
		if (sp_zeromq_send(office->sockets[SERVER], &number, sizeof(number)) < 0)
			break;
	}
	return NULL;
}

static int office_open(struct office *office)
{
	static const int types[SOCKETS] = { [SERVER] = ZMQ_REP, [CLIENT] = ZMQ_REQ };
	int error;

	office->context = sp_zeromq_context();
	if (office->context == NULL)
		return -errno;
	for (unsigned i = 0; i < SOCKETS; i++) {
		office->sockets[i] = sp_zeromq_socket(office->context, types[i]);
		if (office->sockets[i] == NULL)
			return -errno;
	}
	error = sp_zeromq_bind(office->sockets[SERVER], "server", 0);
	if (error == 0)
		error = sp_zeromq_connect(office->sockets[CLIENT], "server", 0);
	if (error == 0)
		error = sp_threads_start(&office->threads, 1, server_main, office, 0);
	return error;
}

static void call_close(void *state)
{
	struct office *office = state;

	/* An empty request ends the server, if there is one. */
	if (office->threads.n > 0)
		(void)sp_zeromq_send(office->sockets[CLIENT], "", 0);
	sp_threads_join(&office->threads);
	sp_zeromq_end(office->context, office->sockets, SOCKETS);
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
	int error = sp_zeromq_send(office->sockets[CLIENT], &request, sizeof(request));

	if (error == 0 && !receive_number(office->sockets[CLIENT], reply))
		error = -EIO;
	return error;
}

const struct sb_call sp_zeromq_call = {
	.open = call_open,
	.call = call_call,
	.close = call_close,
};
