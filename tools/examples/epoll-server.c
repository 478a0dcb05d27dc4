/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll-server.c — publish and subscribe over TCP, with an epoll loop of its own
 *
 * The protocol is in server/protocol.h and in --help. How libstasis is used is in server/session.c
 * and server/service.h; this file is the loop around it: sockets, and the four steps that
 * service.h names.
 *
 * There are as many loops as --threads says, each on a thread of its own, with its own connections
 * and its own executor. A connection stays with its loop, so loops share nothing but the table of
 * topics, and have no locks for one another. What a client of one loop publishes, libstasis takes
 * to the subscribers on the others: it queues the message and makes their executor's descriptor
 * readable. The first loop accepts, and hands connections round in the same way: each loop has a
 * topic for those that are to be its own.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stasis/stasis.h>

#include "server/net.h"
#include "server/options.h"
#include "server/session.h"
#include "server/topics.h"

#define EVENTS_PER_TURN 64
#define ACCEPTS_PER_TURN 16

struct loop;

/* Something that epoll watches. */
struct source {
	void (*ready)(struct source *source, uint32_t events);
	struct loop *loop;
	int fd;
};

struct connection {
	struct source source; /* first: the one is the other */
	LIST_ENTRY(connection) link;
	struct session *session;
	uint32_t interest; /* what epoll has been told */
};

struct loop {
	struct server *server;
	pthread_t thread;
	int epoll;
	bool stopping;
	int error;
	struct source stop, work;
	struct source listener, signals; /* the first loop's */
	struct service service;
	struct stasis_topic *arrivals; /* descriptors of connections for this loop */
	struct stasis_subscription *arriving;
	LIST_HEAD(, connection) connections;
};

struct server {
	struct server_options options;
	struct topics *topics;
	struct stasis_message_type *line_type;
	struct stasis_message_type *arrival_type; /* its data is an int */
	int listener;
	int signals; /* signalfd */
	int stop;    /* eventfd: all loops are to stop */
	int spare;   /* a descriptor to give away when there is no other */
	struct loop *loops;
	unsigned next; /* loop to get a connection */
};

/* --- connections ------------------------------------------------------------------------------ */

static void connection_read(struct connection *connection)
{
	struct session *session = connection->session;
	size_t size;
	char *space = session_input_space(session, &size);
	ssize_t n;

	if (!session_wants_input(session))
		return;
	/* Once: there is more from others, and epoll tells again what is left. */
	n = recv(connection->source.fd, space, size, 0);
	if (n > 0)
		session_input_add(session, (size_t)n);
	else if (n == 0)
		session_input_end(session);
	else if (errno != EAGAIN && errno != EINTR)
		session_abort(session);
}

static void connection_write(struct connection *connection)
{
	struct session *session = connection->session;
	struct iovec parts[2];
	struct msghdr header = { .msg_iov = parts };
	ssize_t n;

	while ((header.msg_iovlen = (size_t)session_output_parts(session, parts)) > 0) {
		n = sendmsg(connection->source.fd, &header, MSG_NOSIGNAL);
		if (n >= 0) {
			session_output_sent(session, (size_t)n);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			session_abort(session);
			return;
		}
	}
}

static void connection_ready(struct source *source, uint32_t events)
{
	struct connection *connection = (struct connection *)source;

	/* Both directions are closed, or worse. Who has only ended his own is read to the end. */
	if (events & (EPOLLERR | EPOLLHUP)) {
		session_abort(connection->session);
		return;
	}
	if (events & EPOLLOUT)
		session_touch(connection->session);
	if (events & EPOLLIN)
		connection_read(connection);
}

static void connection_close(struct connection *connection)
{
	int fd = connection->source.fd;

	/* The end, in order behind what was sent. When there is input that nobody has read, close()
	 * alone would send a reset instead. */
	shutdown(fd, SHUT_WR);
	LIST_REMOVE(connection, link);
	session_free(connection->session);
	close(fd);
	free(connection);
}

/* Does what is to be done for a connection after something has happened. May free it. */
static void connection_attend(struct connection *connection)
{
	struct session *session = connection->session;
	struct epoll_event event = { .data.ptr = &connection->source };
	struct iovec parts[2];

	connection_write(connection);
	if (session_is_over(session)) {
		connection_close(connection);
		return;
	}
	if (session->state == SESSION_ENDING)
		net_limit_linger(connection->source.fd);
	if (session_wants_input(session))
		event.events |= EPOLLIN;
	if (session_output_parts(session, parts) > 0)
		event.events |= EPOLLOUT;
	if (event.events == connection->interest)
		return;
	if (epoll_ctl(connection->source.loop->epoll, EPOLL_CTL_MOD, connection->source.fd,
		      &event) != 0) {
		session_abort(session);
		return;
	}
	connection->interest = event.events;
}

/* Takes the descriptor over. */
static void connection_open(struct loop *loop, int fd)
{
	static const char refusal[] = "ERR too many connections\n";
	struct connection *connection = calloc(1, sizeof(*connection));
	struct epoll_event event = { .events = EPOLLIN };

	if (connection == NULL)
		goto failed;
	connection->source = (struct source){ connection_ready, loop, fd };
	connection->interest = event.events;
	connection->session = session_create(&loop->service, connection);
	if (connection->session == NULL)
		goto failed;
	event.data.ptr = &connection->source;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		goto failed;
	LIST_INSERT_HEAD(&loop->connections, connection, link);
	return;

failed:
	send(fd, refusal, sizeof(refusal) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (connection != NULL)
		session_free(connection->session);
	free(connection);
	close(fd);
}

/* --- what else a loop watches ----------------------------------------------------------------- */

/* There is no descriptor left, and as long as somebody waits to be accepted, epoll would return at
 * once, for ever. So one is accepted and closed, with the spare one. */
static void refuse_one(struct server *server)
{
	int fd;

	if (server->spare >= 0)
		close(server->spare);
	fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Hands a descriptor to the loop whose turn it is. */
static void pass_on(struct server *server, int fd)
{
	struct loop *loop = &server->loops[server->next++ % server->options.threads];
	struct stasis_message *message = stasis_message_create_inline(server->arrival_type, &fd,
								      sizeof(fd));

	/* Not taken: that loop has stopped, or memory has run out. */
	if (stasis_publish_take(loop->arrivals, message) != 0)
		close(fd);
}

static void listener_ready(struct source *source, uint32_t events)
{
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			pass_on(source->loop->server, fd);
		} else if (errno == EMFILE || errno == ENFILE) {
			refuse_one(source->loop->server);
			return;
		} else if (errno == EAGAIN) {
			return;
		}
		/* Else it was this connection that failed, not the listener. */
	}
}

static void signals_ready(struct source *source, uint32_t events)
{
	struct signalfd_siginfo info;
	ssize_t n = read(source->fd, &info, sizeof(info));

	if (n == (ssize_t)sizeof(info))
		eventfd_write(source->loop->server->stop, 1);
}

static void stop_ready(struct source *source, uint32_t events)
{
	/* Not read: it is for all loops. */
	source->loop->stopping = true;
}

/* Called in a turn of the loop that the connection is for. */
static void on_arrival(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		       struct stasis_message *message)
{
	struct loop *loop = data;
	int fd;

	if (stasis_message_type(message) != loop->server->arrival_type)
		return;
	fd = *(const int *)stasis_message_data(message);
	if (loop->stopping)
		close(fd);
	else
		connection_open(loop, fd);
}

/* The executor has work. It has waked the loop, and every turn runs it. */
static void work_ready(struct source *source, uint32_t events)
{
}

/* --- loops ------------------------------------------------------------------------------------ */

static void loop_turn(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_TURN];
	struct session *session;
	int n;

	service_turn(&loop->service);
	while ((session = service_attend(&loop->service)) != NULL)
		connection_attend(session->user);
	n = epoll_wait(loop->epoll, events, EVENTS_PER_TURN,
		       service_is_busy(&loop->service) ? 0 : -1);
	if (n < 0 && errno != EINTR) {
		loop->error = errno;
		loop->stopping = true;
	}
	/* No connection is closed here, for another of these events may be its. */
	for (int i = 0; i < n; i++) {
		struct source *source = events[i].data.ptr;

		source->ready(source, events[i].events);
	}
}

static void *loop_run(void *data)
{
	struct loop *loop = data;

	while (!loop->stopping)
		loop_turn(loop);
	while (!LIST_EMPTY(&loop->connections)) {
		connection_write(LIST_FIRST(&loop->connections));
		connection_close(LIST_FIRST(&loop->connections));
	}
	/* Nobody else runs this executor: what is queued has to be delivered here, the final
	 * messages of all these connections' subscriptions above all. From here on arrivals are not
	 * taken. */
	service_deinit(&loop->service);
	/* When it was an error, the others are to stop as well. */
	eventfd_write(loop->server->stop, 1);
	return NULL;
}

static int loop_watch(struct loop *loop, struct source *source, int fd,
		      void (*ready)(struct source *source, uint32_t events))
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	*source = (struct source){ ready, loop, fd };
	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static void loop_deinit(struct loop *loop)
{
	/* A loop that has run has done it. */
	service_deinit(&loop->service);
	/* Not before all loops have stopped: nobody would be told that an arrival is not taken when
	 * there is no subscription any more. */
	stasis_unsubscribe(loop->arriving);
	stasis_object_unref(loop->arrivals);
	if (loop->epoll >= 0)
		close(loop->epoll);
}

/* To be followed by loop_deinit(), also when it has failed. */
static int loop_init(struct loop *loop, struct server *server)
{
	struct stasis_subscribe_options options = { .size = sizeof(options) };
	int error;

	loop->server = server;
	LIST_INIT(&loop->connections);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		return -errno;
	error = service_init(&loop->service, &server->options, server->topics, server->line_type);
	if (error != 0)
		return error;
	loop->arrivals = stasis_topic_create("arrivals");
	if (loop->arrivals == NULL)
		return -errno;
	options.executor = loop->service.executor;
	loop->arriving = stasis_subscribe_with(loop->arrivals, on_arrival, loop, &options);
	if (loop->arriving == NULL)
		return -errno;
	error = loop_watch(loop, &loop->work, service_fd(&loop->service), work_ready);
	return error == 0 ? loop_watch(loop, &loop->stop, server->stop, stop_ready) : error;
}

/* --- the server ------------------------------------------------------------------------------- */

static int server_init(struct server *server)
{
	sigset_t mask;

	server->listener = server->signals = server->stop = server->spare = -1;
	server->topics = topics_create();
	server->line_type = stasis_message_type_create("line");
	server->arrival_type = stasis_message_type_create("arrival");
	server->loops = calloc(server->options.threads, sizeof(*server->loops));
	if (server->topics == NULL || server->line_type == NULL || server->arrival_type == NULL ||
	    server->loops == NULL)
		return -ENOMEM;
	/* Before there are threads, which inherit the mask. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) != 0)
		return -errno;
	server->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	server->stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (server->signals < 0 || server->stop < 0 || server->spare < 0)
		return -errno;
	server->listener = net_listen(server->options.port);
	return server->listener < 0 ? server->listener : 0;
}

static void server_deinit(struct server *server)
{
	const int fds[] = { server->listener, server->signals, server->stop, server->spare };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	free(server->loops);
	stasis_object_unref(server->line_type);
	stasis_object_unref(server->arrival_type);
	topics_free(server->topics);
}

/* The first loop, on this thread, also accepts and takes the signals; the others have threads of
 * their own. */
static int server_start(struct server *server, unsigned *n_threadsp)
{
	struct loop *first = &server->loops[0];
	int error = loop_watch(first, &first->listener, server->listener, listener_ready);

	if (error == 0)
		error = loop_watch(first, &first->signals, server->signals, signals_ready);
	while (error == 0 && *n_threadsp + 1 < server->options.threads) {
		struct loop *loop = &server->loops[*n_threadsp + 1];

		error = -pthread_create(&loop->thread, NULL, loop_run, loop);
		if (error == 0)
			++*n_threadsp;
	}
	return error;
}

static int server_run(struct server *server)
{
	unsigned n_loops = 0, n_threads = 0;
	int error = 0;

	while (error == 0 && n_loops < server->options.threads)
		error = loop_init(&server->loops[n_loops++], server);
	if (error == 0)
		error = server_start(server, &n_threads);
	if (error == 0)
		loop_run(&server->loops[0]);
	else
		eventfd_write(server->stop, 1);
	for (unsigned i = 1; i <= n_threads; i++)
		pthread_join(server->loops[i].thread, NULL);
	for (unsigned i = 0; i < n_loops; i++) {
		if (error == 0)
			error = -server->loops[i].error;
		loop_deinit(&server->loops[i]);
	}
	return error;
}

int main(int argc, char **argv)
{
	static struct server server;
	int error;

	server_options_parse(&server.options, argc, argv,
			     "Publish and subscribe over TCP: libstasis in an epoll loop.", true);
	net_prepare();
	error = server_init(&server);
	if (error == 0)
		error = server_run(&server);
	server_deinit(&server);
	if (error != 0)
		fprintf(stderr, "epoll-server: %s\n", strerror(-error));
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
