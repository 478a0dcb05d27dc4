/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_SERVER_SESSION_H
#define EXAMPLES_SERVER_SESSION_H

/* server/session.h — one client: its lines, its subscriptions, its output
 *
 * Knows bytes in and bytes out, and nothing of sockets: what carries them is the loop's affair.
 * Each buffer has a fixed size. When that for output has no room for an answer, the client's lines
 * wait; when it has none for a message, the message is dropped for this client and counted, or the
 * client is disconnected. So one that does not read costs its two buffers, and nobody waits for it.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "output.h"
#include "protocol.h"
#include "service.h"

/* Subscriptions of a session at most. */
#define SESSION_TOPICS_MAX 64u

enum session_state {
	SESSION_OPEN,
	SESSION_ENDING, /* only its output is left */
	SESSION_OVER,
};

struct session {
	struct service *service;
	void *user; /* the loop's */
	enum session_state state;

	TAILQ_ENTRY(session) waiting_link;
	TAILQ_ENTRY(session) attention_link;
	bool is_waiting;
	bool needs_attention;

	LIST_HEAD(, session_topic) topics;
	unsigned n_topics;

	struct output output;
	uint64_t lost; /* messages; the client has not been told yet */

	bool input_ended;
	size_t input_size;
	char input[PROTOCOL_LINE_MAX];
};

/* NULL with errno ENOMEM, or EUSERS when there are as many as the options allow. */
struct session *session_create(struct service *service, void *user);

/* Ends its subscriptions. Takes NULL, returns NULL. */
struct session *session_free(struct session *session);

/* Where to read to, and how many bytes. */
char *session_input_space(struct session *session, size_t *sizep);
bool session_wants_input(const struct session *session);

/* So many bytes have been read. */
void session_input_add(struct session *session, size_t size);

/* The client sends no more. */
void session_input_end(struct session *session);

/* What is to be sent: fills in up to two parts, which stay where they are, returns how many. */
int session_output_parts(const struct session *session, struct iovec parts[2]);

/* So many bytes have been sent. */
void session_output_sent(struct session *session, size_t size);

/* Has service_attend() name it, as soon as the loop can send again for instance. */
void session_touch(struct session *session);

/* The connection is broken. */
void session_abort(struct session *session);

/* Is there nothing left to do but close the connection? */
bool session_is_over(const struct session *session);

/* For service_turn(): of a session that waits, handles this many lines at most. */
void session_handle_lines(struct session *session, size_t max);

#endif
