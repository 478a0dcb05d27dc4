/* SPDX-License-Identifier: BSD-2-Clause */
/* zeromq.c — see zeromq.h */

#include "zeromq.h"

#include <errno.h>
#include <stdio.h>

#define SOCKETS_MAX 65000
#define NAME_SIZE 48u

void *sp_zeromq_context(void)
{
	void *context = zmq_ctx_new();

	if (context == NULL)
		return NULL;
	if (zmq_ctx_set(context, ZMQ_IO_THREADS, 0) < 0 ||
	    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX) < 0) {
		zmq_ctx_term(context);
		return NULL;
	}
	return context;
}

void *sp_zeromq_socket(void *context, int type)
{
	void *socket = zmq_socket(context, type);
	int none = 0;

	if (socket == NULL)
		return NULL;
	if (zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof(none)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof(none)) < 0 ||
	    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none)) < 0 ||
	    (type == ZMQ_SUB && zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0) < 0)) {
		zmq_close(socket);
		return NULL;
	}
	return socket;
}

int sp_zeromq_bind(void *socket, const char *prefix, unsigned number)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), "inproc://%s-%u", prefix, number);
	return zmq_bind(socket, name) < 0 ? -errno : 0;
}

int sp_zeromq_connect(void *socket, const char *prefix, unsigned number)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), "inproc://%s-%u", prefix, number);
	return zmq_connect(socket, name) < 0 ? -errno : 0;
}

void sp_zeromq_notice(void *socket)
{
	int events;
	size_t size = sizeof(events);

	/* Who asks for the events has the socket's commands processed, whatever the time. */
	(void)zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
}

int sp_zeromq_receive(void *socket, zmq_msg_t *message, int flags)
{
	while (zmq_msg_recv(message, socket, flags) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int sp_zeromq_send(void *socket, const void *bytes, size_t size)
{
	while (zmq_send(socket, bytes, size, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

void sp_zeromq_end(void *context, void **sockets, unsigned n)
{
	for (unsigned i = 0; sockets != NULL && i < n; i++) {
		if (sockets[i] != NULL)
			zmq_close(sockets[i]);
	}
	if (context != NULL)
		zmq_ctx_term(context);
}

const char *sp_zeromq_version(void)
{
	static char text[32];
	int major, minor, patch;

	zmq_version(&major, &minor, &patch);
	snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
	return text;
}
