/* SPDX-License-Identifier: BSD-2-Clause */
/* uv-server.c — publish and subscribe over TCP, on libuv
 *
 * The same server as epoll-server.c with one loop, and libuv's. How libstasis is used is in
 * server/session.c and server/service.h; this file is what a libuv program has around it:
 *
 *   uv_poll_t     on service_fd(), so that the loop wakes when there is work
 *   uv_prepare_t  does the turn, in each iteration, before the loop waits
 *   uv_idle_t     active while the last turn has left something to do: then the loop does not wait
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <stasis/stasis.h>

#include "server/net.h"
#include "server/options.h"
#include "server/session.h"
#include "server/topics.h"

struct server {
	struct server_options options;
	struct topics *topics;
	struct stasis_message_type *line_type;
	struct service service;
	uv_loop_t loop;
	uv_tcp_t listener;
	uv_poll_t work;
	uv_prepare_t prepare;
	uv_idle_t idle;
	uv_signal_t interrupt, terminate;
	bool is_accepting; /* somebody waits for memory */
};

struct connection {
	uv_tcp_t tcp; /* its data is this connection */
	struct session *session;
	bool is_reading;
	bool is_writing;
	bool is_finishing; /* all is sent, which the peer is being told */
	uv_write_t write;
	size_t write_size; /* of the write under way */
	uv_shutdown_t shutdown;
};

/* --- connections ------------------------------------------------------------------------------ */

static void connection_attend(struct connection *connection);
static void connection_watch(struct connection *connection);

static void connection_free(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	/* The last moment: until now libuv may have been writing from its output. */
	session_free(connection->session);
	free(connection);
}

static void connection_close(struct connection *connection)
{
	if (!uv_is_closing((uv_handle_t *)&connection->tcp))
		uv_close((uv_handle_t *)&connection->tcp, connection_free);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
	connection_close(request->handle->data);
}

/* Closes a connection of which all has been sent, or nothing can be. In the first case it sends the
 * end, in order behind the rest. When there is input that nobody has read, uv_close() alone would
 * send a reset instead. */
static void connection_finish(struct connection *connection)
{
	if (connection->session->state == SESSION_OVER) {
		connection_close(connection);
		return;
	}
	connection->is_finishing = true;
	if (uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->tcp, on_shutdown) != 0)
		connection_close(connection);
}

static void on_written(uv_write_t *request, int status)
{
	struct connection *connection = request->handle->data;

	connection->is_writing = false;
	if (status == 0)
		session_output_sent(connection->session, connection->write_size);
	else
		session_abort(connection->session);
	connection_attend(connection);
}

/* Has libuv write all that there is to send. While it does, the next is gathered. */
static void connection_write(struct connection *connection)
{
	struct iovec parts[2];
	uv_buf_t buffers[2];
	int n = session_output_parts(connection->session, parts);

	if (n == 0 || connection->is_writing)
		return;
	connection->write_size = 0;
	for (int i = 0; i < n; i++) {
		buffers[i] = uv_buf_init(parts[i].iov_base, (unsigned)parts[i].iov_len);
		connection->write_size += parts[i].iov_len;
	}
	if (uv_write(&connection->write, (uv_stream_t *)&connection->tcp, buffers, (unsigned)n,
		     on_written) == 0)
		connection->is_writing = true;
	else
		session_abort(connection->session);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct connection *connection = handle->data;
	size_t size;
	char *space = session_input_space(connection->session, &size);

	*buffer = uv_buf_init(space, (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
	struct connection *connection = stream->data;

	if (n == UV_EOF)
		session_input_end(connection->session);
	else if (n < 0)
		session_abort(connection->session);
	else if (n > 0)
		session_input_add(connection->session, (size_t)n);
	connection_watch(connection);
}

/* Starts to read, or stops: libuv must find space for what it reads. */
static void connection_watch(struct connection *connection)
{
	uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
	bool wanted = session_wants_input(connection->session);

	if (wanted == connection->is_reading)
		return;
	connection->is_reading = wanted;
	if (!wanted)
		uv_read_stop(stream);
	else if (uv_read_start(stream, on_alloc, on_read) != 0)
		session_abort(connection->session);
}

/* Does what is to be done for a connection after something has happened. */
static void connection_attend(struct connection *connection)
{
	struct session *session = connection->session;
	uv_os_fd_t fd;

	if (uv_is_closing((uv_handle_t *)&connection->tcp) || connection->is_finishing)
		return;
	connection_write(connection);
	connection_watch(connection);
	if (session_is_over(session)) {
		connection_finish(connection);
		return;
	}
	if (session->state == SESSION_ENDING &&
	    uv_fileno((uv_handle_t *)&connection->tcp, &fd) == 0)
		net_limit_linger(fd);
}

/* --- the loop --------------------------------------------------------------------------------- */

/* libuv holds back further connections until this one has been accepted. */
static void server_accept(struct server *server)
{
	static char refusal[] = "ERR too many connections\n";
	uv_buf_t buffer = uv_buf_init(refusal, sizeof(refusal) - 1);
	struct connection *connection = calloc(1, sizeof(*connection));

	server->is_accepting = connection == NULL;
	if (connection == NULL)
		return;
	uv_tcp_init(&server->loop, &connection->tcp);
	connection->tcp.data = connection;
	if (uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&connection->tcp) == 0)
		connection->session = session_create(&server->service, connection);
	if (connection->session == NULL) {
		uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
		connection_close(connection);
		return;
	}
	connection_attend(connection);
}

static void on_connection(uv_stream_t *listener, int status)
{
	/* When libuv has run out of descriptors, it has closed the connection: nothing to do. */
	if (status == 0)
		server_accept(listener->loop->data);
}

static void on_idle(uv_idle_t *idle)
{
}

/* The executor has work. It has waked the loop, and the next turn runs it. */
static void on_work(uv_poll_t *work, int status, int events)
{
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct server *server = prepare->loop->data;
	struct session *session;

	/* Memory had run out. */
	if (server->is_accepting)
		server_accept(server);
	service_turn(&server->service);
	while ((session = service_attend(&server->service)) != NULL)
		connection_attend(session->user);
	if (service_is_busy(&server->service))
		uv_idle_start(&server->idle, on_idle);
	else
		uv_idle_stop(&server->idle);
}

static void close_handle(uv_handle_t *handle, void *data)
{
	struct server *server = data;

	if (handle->type == UV_TCP && handle != (uv_handle_t *)&server->listener)
		connection_close(handle->data);
	else if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Closes everything, upon which uv_run() returns. */
static void on_signal(uv_signal_t *handle, int number)
{
	struct server *server = handle->loop->data;

	uv_walk(&server->loop, close_handle, server);
}

/* --- the server ------------------------------------------------------------------------------- */

static int server_listen(struct server *server)
{
	int fd = net_listen(server->options.port);
	int error;

	if (fd < 0)
		return fd;
	error = uv_tcp_open(&server->listener, fd);
	if (error != 0) {
		close(fd);
		return error;
	}
	return uv_listen((uv_stream_t *)&server->listener, SOMAXCONN, on_connection);
}

/* Of handles that are initialised; starting them can fail. libuv's errors are negative errnos. */
static int server_start(struct server *server)
{
	uv_loop_t *loop = &server->loop;
	int error = uv_poll_init(loop, &server->work, service_fd(&server->service));

	if (error == 0)
		error = uv_poll_start(&server->work, UV_READABLE, on_work);
	if (error == 0)
		error = uv_tcp_init(loop, &server->listener);
	if (error == 0)
		error = uv_signal_init(loop, &server->interrupt);
	if (error == 0)
		error = uv_signal_start(&server->interrupt, on_signal, SIGINT);
	if (error == 0)
		error = uv_signal_init(loop, &server->terminate);
	if (error == 0)
		error = uv_signal_start(&server->terminate, on_signal, SIGTERM);
	uv_idle_init(loop, &server->idle);
	uv_prepare_init(loop, &server->prepare);
	uv_prepare_start(&server->prepare, on_prepare);
	return error == 0 ? server_listen(server) : error;
}

static int server_run(struct server *server)
{
	int error = uv_loop_init(&server->loop);

	if (error != 0)
		return error;
	server->loop.data = server;
	error = service_init(&server->service, &server->options, server->topics, server->line_type);
	if (error == 0)
		error = server_start(server);
	if (error != 0)
		uv_walk(&server->loop, close_handle, server);
	uv_run(&server->loop, UV_RUN_DEFAULT);
	/* Now that the loop no longer watches its descriptor. */
	service_deinit(&server->service);
	uv_loop_close(&server->loop);
	return error;
}

int main(int argc, char **argv)
{
	static struct server server;
	int error = -ENOMEM;

	server_options_parse(&server.options, argc, argv,
			     "Publish and subscribe over TCP: libstasis on libuv.", false);
	net_prepare();
	server.topics = topics_create();
	server.line_type = stasis_message_type_create("line");
	if (server.topics != NULL && server.line_type != NULL)
		error = server_run(&server);
	stasis_object_unref(server.line_type);
	topics_free(server.topics);
	if (error != 0)
		fprintf(stderr, "uv-server: %s\n", uv_strerror(error));
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
