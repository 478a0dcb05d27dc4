/* SPDX-License-Identifier: BSD-2-Clause */
/* server/session.c — see session.h */

#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stasis/stasis.h>

#include "options.h"
#include "topics.h"

/* Of the output, what messages leave to answers. */
#define OUTPUT_FOR_REPLIES (16 * PROTOCOL_REPLY_MAX)

/* The data of a message: the line that subscribers are sent. Only the bytes used are copied. */
struct line {
	uint32_t size;
	char bytes[PROTOCOL_LINE_MAX];
};

/* A subscription of a session. It lives until its final message, and the session may be gone by
 * then: what the two know of each other is cut when the session unsubscribes. */
struct session_topic {
	LIST_ENTRY(session_topic) link;
	struct session *session; /* NULL: unsubscribed */
	struct stasis_topic *topic;
	struct stasis_subscription *sub;
	uint64_t dropped; /* by the subscription's queue, as far as accounted for */
};

/* --- the lists that a session may be in ------------------------------------------------------- */

void session_touch(struct session *session)
{
	if (!session->needs_attention) {
		TAILQ_INSERT_TAIL(&session->service->attention, session, attention_link);
		session->needs_attention = true;
	}
}

static bool has_line(const struct session *session)
{
	return memchr(session->input, '\n', session->input_size) != NULL;
}

/* Puts a session that has something to handle, and room for the answer, into the list of those that
 * wait for their turn; takes any other out. */
static void session_queue(struct session *session)
{
	bool waits = session->state == SESSION_OPEN &&
		     output_room(&session->output) >= PROTOCOL_REPLY_MAX &&
		     (session->input_ended || session->input_size == PROTOCOL_LINE_MAX ||
		      has_line(session));

	if (session->is_waiting)
		TAILQ_REMOVE(&session->service->waiting, session, waiting_link);
	if (waits)
		TAILQ_INSERT_TAIL(&session->service->waiting, session, waiting_link);
	session->is_waiting = waits;
}

/* --- output ----------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void session_reply(struct session *session,
								const char *format, ...)
{
	char reply[PROTOCOL_REPLY_MAX];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(reply, sizeof(reply), format, args);
	va_end(args);
	output_append(&session->output, reply, (size_t)size);
	session_touch(session);
}

/* Says how many messages have been lost, once there is enough room to expect that this was all. */
static void session_tell_losses(struct session *session)
{
	if (session->lost > 0 && session->output.used <= session->service->options->buffer / 2) {
		session_reply(session, "LOST %" PRIu64 "\n", session->lost);
		session->lost = 0;
	}
}

static void session_end(struct session *session, enum session_state state);

static void session_lose(struct session *session, uint64_t n)
{
	session->lost += n;
	if (session->service->options->policy == SERVER_DISCONNECT)
		session_end(session, SESSION_OVER);
}

static void session_deliver(struct session *session, const struct line *line)
{
	session_tell_losses(session);
	if (session->lost > 0 ||
	    session->output.used + line->size > session->service->options->buffer) {
		session_lose(session, 1);
		return;
	}
	output_append(&session->output, line->bytes, line->size);
	session_touch(session);
}

int session_output_parts(const struct session *session, struct iovec parts[2])
{
	return output_parts(&session->output, parts);
}

void session_output_sent(struct session *session, size_t size)
{
	output_consume(&session->output, size);
	session_tell_losses(session);
	session_queue(session);
}

/* --- subscriptions ---------------------------------------------------------------------------- */

/* What the queue has dropped since the last look. A message that is queued behind a gap is on its
 * way here, so that looking at each message finds every gap. */
static void note_drops(struct session_topic *joined, struct stasis_subscription *sub)
{
	struct stasis_stats stats = { .size = sizeof(stats) };
	uint64_t n;

	stasis_stats_read(sub, &stats);
	n = stats.dropped - joined->dropped;
	joined->dropped = stats.dropped;
	if (n > 0)
		session_lose(joined->session, n);
}

/* Runs inside service_turn(), on the loop's thread: it may do what all functions here may. */
static void on_message(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		       struct stasis_message *message)
{
	struct session_topic *joined = data;

	if (stasis_subscription_final_message(sub, message)) {
		free(joined);
		return;
	}
	/* What was still queued when the client unsubscribed or left. */
	if (joined->session == NULL)
		return;
	if (stasis_message_type(message) != joined->session->service->line_type)
		return;
	note_drops(joined, sub);
	if (joined->session != NULL)
		session_deliver(joined->session, stasis_message_data(message));
}

static struct session_topic *find_topic(struct session *session, const char *name)
{
	struct session_topic *joined;

	LIST_FOREACH(joined, &session->topics, link)
	{
		if (strcmp(stasis_topic_name(joined->topic), name) == 0)
			return joined;
	}
	return NULL;
}

static struct stasis_subscription *subscribe(struct session_topic *joined, struct service *service)
{
	const struct server_options *options = service->options;
	/* Only lines: to be told who else comes and goes would cost all the others a message each
	 * time. */
	struct stasis_subscribe_options subscribe_options = {
		.size = sizeof(subscribe_options),
		.executor = service->executor,
		.capacity = options->capacity,
		.overflow = options->policy == SERVER_DROP_OLDEST ? STASIS_OVERFLOW_DROP_OLDEST :
								    STASIS_OVERFLOW_DROP_NEWEST,
		.types = &service->line_type,
		.n_types = 1,
	};

	return stasis_subscribe_with(joined->topic, on_message, joined, &subscribe_options);
}

static const char *session_join(struct session *session, const char *name)
{
	struct topics *topics = session->service->topics;
	struct session_topic *joined;

	if (find_topic(session, name) != NULL)
		return "subscribed already";
	if (session->n_topics == SESSION_TOPICS_MAX)
		return "too many subscriptions";
	joined = calloc(1, sizeof(*joined));
	if (joined == NULL)
		return "out of memory";
	joined->session = session;
	joined->topic = topics_join(topics, name);
	if (joined->topic == NULL)
		goto no_topic;
	joined->sub = subscribe(joined, session->service);
	if (joined->sub == NULL)
		goto no_sub;
	LIST_INSERT_HEAD(&session->topics, joined, link);
	session->n_topics++;
	return NULL;

no_sub:
	topics_leave(topics, joined->topic);
no_topic:
	free(joined);
	return "out of memory";
}

static void session_leave(struct session_topic *joined)
{
	struct session *session = joined->session;
	struct stasis_topic *topic = joined->topic;

	LIST_REMOVE(joined, link);
	session->n_topics--;
	joined->session = NULL;
	/* Takes the reference, and sends the final message, which frees joined. */
	stasis_unsubscribe(joined->sub);
	topics_leave(session->service->topics, topic);
}

/* --- lines ------------------------------------------------------------------------------------ */

static const char *publish(struct service *service, const struct protocol_command *command)
{
	struct stasis_topic *topic = topics_get(service->topics, command->topic);
	struct stasis_message *message;
	struct line line;
	int head;

	if (topic == NULL)
		return NULL;
	/* No longer than the line that it came in. */
	head = snprintf(line.bytes, sizeof(line.bytes), "MSG %s ", command->topic);
	memcpy(line.bytes + head, command->text, command->text_size);
	line.size = (uint32_t)head + (uint32_t)command->text_size;
	line.bytes[line.size++] = '\n';
	message = stasis_message_create_inline(service->line_type, &line,
					       offsetof(struct line, bytes) + line.size);
	/* Whom it does not reach, because a queue is full, is told so by LOST. */
	if (message != NULL)
		stasis_publish_take(topic, message);
	stasis_object_unref(topic);
	return message != NULL ? NULL : "out of memory";
}

static void handle_line(struct session *session, const char *line, size_t size)
{
	struct protocol_command command;
	struct session_topic *joined;
	const char *wrong = protocol_parse(&command, line, size);

	if (wrong == NULL) {
		switch (command.verb) {
		case PROTOCOL_SUB:
			wrong = session_join(session, command.topic);
			break;
		case PROTOCOL_UNSUB:
			joined = find_topic(session, command.topic);
			if (joined != NULL)
				session_leave(joined);
			else
				wrong = "not subscribed";
			break;
		case PROTOCOL_PUB:
			wrong = publish(session->service, &command);
			break;
		case PROTOCOL_QUIT:
			session_end(session, SESSION_ENDING);
			break;
		}
	}
	if (wrong == NULL)
		session_reply(session, "OK\n");
	else
		session_reply(session, "ERR %s\n", wrong);
}

void session_handle_lines(struct session *session, size_t max)
{
	const char *begin = session->input, *end = begin + session->input_size, *newline = begin;

	while (max-- > 0 && session->state == SESSION_OPEN &&
	       output_room(&session->output) >= PROTOCOL_REPLY_MAX) {
		newline = memchr(begin, '\n', (size_t)(end - begin));
		if (newline == NULL)
			break;
		handle_line(session, begin, (size_t)(newline - begin));
		begin = newline + 1;
	}
	session->input_size = (size_t)(end - begin);
	memmove(session->input, begin, session->input_size);
	if (newline == NULL && session->input_ended) {
		/* The client has sent all it had; what is left is not a line. */
		session_end(session, SESSION_ENDING);
	} else if (newline == NULL && session->input_size == PROTOCOL_LINE_MAX) {
		session_reply(session, "ERR line too long\n");
		session_end(session, SESSION_ENDING);
	}
	session_queue(session);
	session_touch(session);
}

char *session_input_space(struct session *session, size_t *sizep)
{
	*sizep = sizeof(session->input) - session->input_size;
	return session->input + session->input_size;
}

bool session_wants_input(const struct session *session)
{
	return session->state == SESSION_OPEN && !session->input_ended &&
	       session->input_size < sizeof(session->input);
}

void session_input_add(struct session *session, size_t size)
{
	session->input_size += size;
	session_queue(session);
	session_touch(session);
}

void session_input_end(struct session *session)
{
	session->input_ended = true;
	session_queue(session);
	session_touch(session);
}

/* --- life ------------------------------------------------------------------------------------- */

static void session_end(struct session *session, enum session_state state)
{
	if (session->state < state)
		session->state = state;
	while (!LIST_EMPTY(&session->topics))
		session_leave(LIST_FIRST(&session->topics));
	if (session->state == SESSION_ENDING)
		session_tell_losses(session);
	session_queue(session);
	session_touch(session);
}

void session_abort(struct session *session)
{
	session_end(session, SESSION_OVER);
}

bool session_is_over(const struct session *session)
{
	return session->state == SESSION_OVER ||
	       (session->state == SESSION_ENDING && session->output.used == 0);
}

struct session *session_create(struct service *service, void *user)
{
	struct session *session;

	if (service->n_sessions == service->options->connections) {
		errno = EUSERS;
		return NULL;
	}
	session = calloc(1, sizeof(*session));
	if (session == NULL)
		return NULL;
	if (!output_init(&session->output, service->options->buffer + OUTPUT_FOR_REPLIES)) {
		free(session);
		return NULL;
	}
	session->service = service;
	session->user = user;
	LIST_INIT(&session->topics);
	service->n_sessions++;
	return session;
}

struct session *session_free(struct session *session)
{
	if (session != NULL) {
		session_end(session, SESSION_OVER);
		if (session->needs_attention)
			TAILQ_REMOVE(&session->service->attention, session, attention_link);
		session->service->n_sessions--;
		output_deinit(&session->output);
		free(session);
	}
	return NULL;
}
