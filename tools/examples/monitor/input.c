/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor/input.c — see input.h
 *
 * One loop on poll(), which also knows files: those are always readable. Before it sleeps, it lets
 * everything be shown that has come in so far.
 */

#include "input.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../server/net.h"
#include "lines.h"

#define CONNECTIONS_MAX 64u

/* In front of the sources, among what is polled. */
enum {
	POLL_STOP,
	POLL_LISTENER,
	POLL_SOURCES,
};

/* A file, or a connection. */
struct source {
	int fd;
	bool is_connection;
	bool is_over;
	struct lines lines;
	char name[]; /* for people */
};

struct input {
	struct monitor *monitor;
	int listener; /* -1: there is none */
	struct source *sources[CONNECTIONS_MAX];
	unsigned n_sources;
	bool failed;
};

static void input_failed(struct input *input, const char *what, int error)
{
	fprintf(stderr, "channel-monitor: %s: %s\n", what, strerror(error));
	input->failed = true;
}

/* --- sources ---------------------------------------------------------------------------------- */

static struct source *source_free(struct source *source)
{
	if (source != NULL) {
		/* Standard input is not ours. */
		if (source->fd != STDIN_FILENO)
			close(source->fd);
		lines_deinit(&source->lines);
		free(source);
	}
	return NULL;
}

/* Takes the descriptor over. False when memory has run out. */
static bool source_add(struct input *input, int fd, const char *name, bool is_connection)
{
	size_t size = strlen(name) + 1;
	struct source *source = calloc(1, sizeof(*source) + size);

	if (source == NULL) {
		close(fd);
		return false;
	}
	source->fd = fd;
	source->is_connection = is_connection;
	memcpy(source->name, name, size);
	if (!lines_init(&source->lines)) {
		source_free(source);
		return false;
	}
	input->sources[input->n_sources++] = source;
	return true;
}

/* Gives the monitor what lines there are. */
static void source_take_lines(struct input *input, struct source *source)
{
	struct lines *lines = &source->lines;
	enum lines_result result;
	const char *line;
	size_t size;
	int error;

	while ((result = lines_next(lines, &line, &size)) != LINES_NONE) {
		if (result == LINES_TOO_LONG) {
			monitor_bad(input->monitor, source->name, lines->number, "line too long");
			continue;
		}
		error = monitor_line(input->monitor, source->name, lines->number, line, size);
		if (error != 0) {
			input_failed(input, source->name, -error);
			return;
		}
	}
}

static void source_broke(struct input *input, struct source *source, int error)
{
	source->is_over = true;
	if (source->is_connection)
		/* It takes only what it was in the middle of along. */
		monitor_bad(input->monitor, source->name, source->lines.number + 1,
			    strerror(error));
	else
		input_failed(input, source->name, error);
}

static void source_read(struct input *input, struct source *source)
{
	size_t size;
	char *space = lines_space(&source->lines, &size);
	ssize_t n = read(source->fd, space, size);

	if (n < 0) {
		if (errno != EINTR && errno != EAGAIN)
			source_broke(input, source, errno);
		return;
	}
	if (n == 0) {
		source->is_over = true;
		lines_end(&source->lines);
	}
	lines_add(&source->lines, (size_t)n);
	source_take_lines(input, source);
}

/* --- where they come from --------------------------------------------------------------------- */

static bool open_file(struct input *input, const char *path)
{
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;

	if (fd < 0) {
		input_failed(input, path, errno);
		return false;
	}
	if (source_add(input, fd, path != NULL ? path : "stdin", false))
		return true;
	input_failed(input, "input", ENOMEM);
	return false;
}

static bool open_listener(struct input *input, unsigned port)
{
	input->listener = net_listen(port);
	if (input->listener >= 0)
		return true;
	input_failed(input, "listening", -input->listener);
	return false;
}

static void stop_listening(struct input *input)
{
	if (input->listener >= 0)
		close(input->listener);
	input->listener = -1;
}

static void listener_accept(struct input *input)
{
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int fd = accept4(input->listener, (struct sockaddr *)&peer, &size,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);
	char name[INET_ADDRSTRLEN + 8], address[INET_ADDRSTRLEN];

	if (fd < 0) {
		/* Else it was that connection that failed. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			input_failed(input, "accepting", errno);
		return;
	}
	inet_ntop(AF_INET, &peer.sin_addr, address, sizeof(address));
	snprintf(name, sizeof(name), "%s:%u", address, ntohs(peer.sin_port));
	if (!source_add(input, fd, name, true))
		input_failed(input, name, ENOMEM);
	else if (input->monitor->options.once)
		stop_listening(input);
}

/* --- the loop --------------------------------------------------------------------------------- */

static unsigned fill(const struct input *input, struct pollfd *polled)
{
	bool is_full = input->n_sources == CONNECTIONS_MAX;

	/* Those with a negative descriptor are passed over. */
	polled[POLL_STOP] = (struct pollfd){ .fd = input->monitor->stop, .events = POLLIN };
	polled[POLL_LISTENER] = (struct pollfd){
		.fd = is_full ? -1 : input->listener,
		.events = POLLIN,
	};
	for (unsigned i = 0; i < input->n_sources; i++)
		polled[POLL_SOURCES + i] = (struct pollfd){
			.fd = input->sources[i]->fd,
			.events = POLLIN,
		};
	return POLL_SOURCES + input->n_sources;
}

/* Returns when there is something to do, or after a signal. */
static void wait_for_input(struct input *input, struct pollfd *polled, unsigned n)
{
	int ready = poll(polled, n, 0), error;

	if (ready == 0) {
		error = monitor_idle(input->monitor);
		if (error != 0) {
			input_failed(input, "updates", -error);
			return;
		}
		ready = poll(polled, n, -1);
	}
	if (ready < 0 && errno != EINTR)
		input_failed(input, "poll", errno);
	if (ready < 0) {
		/* Nothing is said about any of them. */
		for (unsigned i = 0; i < n; i++)
			polled[i].revents = 0;
	}
}

static void remove_sources_over(struct input *input)
{
	unsigned left = 0;

	for (unsigned i = 0; i < input->n_sources; i++) {
		struct source *source = input->sources[i];

		if (source->is_over)
			source_free(source);
		else
			input->sources[left++] = source;
	}
	input->n_sources = left;
}

static void input_loop(struct input *input)
{
	struct pollfd polled[POLL_SOURCES + CONNECTIONS_MAX];
	unsigned n;

	while (!input->failed && (input->n_sources > 0 || input->listener >= 0)) {
		n = fill(input, polled);
		wait_for_input(input, polled, n);
		if (input->failed || polled[POLL_STOP].revents != 0)
			return;
		for (unsigned i = POLL_SOURCES; i < n && !input->failed; i++) {
			if (polled[i].revents != 0)
				source_read(input, input->sources[i - POLL_SOURCES]);
		}
		remove_sources_over(input);
		if (polled[POLL_LISTENER].revents != 0)
			listener_accept(input);
	}
}

bool input_run(struct monitor *monitor)
{
	const struct options *options = &monitor->options;
	struct input input = { .monitor = monitor, .listener = -1 };

	if (options->listen ? open_listener(&input, options->port) :
			      open_file(&input, options->file))
		input_loop(&input);
	stop_listening(&input);
	while (input.n_sources > 0)
		source_free(input.sources[--input.n_sources]);
	return !input.failed;
}
