/* SPDX-License-Identifier: BSD-2-Clause */
/* server/service.c — see service.h */

#include "service.h"

#include <errno.h>

#include <stasis/stasis.h>

#include "session.h"

/* Callbacks in a turn, at most. One copies a line: all together well below a millisecond. */
#define MESSAGES_PER_TURN 1024u

/* Lines handled in a turn at most, and of one session until the next has its turn. Publishing no
 * more than this at a time, a loop alone never fills a queue of the default capacity. */
#define LINES_PER_TURN 256u
#define LINES_PER_SESSION 32u

int service_init(struct service *service, const struct server_options *options,
		 struct topics *topics, struct stasis_message_type *line_type)
{
	*service = (struct service){
		.options = options,
		.topics = topics,
		.line_type = line_type,
		.executor = stasis_executor_create(&(struct stasis_executor_options){
			.wait = STASIS_WAIT_MANUAL,
			.name = "service",
		}),
	};
	if (service->executor == NULL)
		return -errno;
	TAILQ_INIT(&service->waiting);
	TAILQ_INIT(&service->attention);
	return 0;
}

void service_deinit(struct service *service)
{
	if (service->executor != NULL)
		service->executor = stasis_executor_shutdown(service->executor);
}

int service_fd(const struct service *service)
{
	return stasis_executor_fd(service->executor);
}

void service_turn(struct service *service)
{
	size_t left = LINES_PER_TURN;

	if (stasis_executor_run(service->executor, MESSAGES_PER_TURN) == MESSAGES_PER_TURN)
		return;
	/* What these publish to sessions of this very loop makes service_fd() readable. */
	while (left > 0 && !TAILQ_EMPTY(&service->waiting)) {
		struct session *session = TAILQ_FIRST(&service->waiting);
		size_t lines = left < LINES_PER_SESSION ? left : LINES_PER_SESSION;

		session_handle_lines(session, lines);
		left -= lines;
	}
}

bool service_is_busy(const struct service *service)
{
	return !TAILQ_EMPTY(&service->waiting);
}

struct session *service_attend(struct service *service)
{
	struct session *session = TAILQ_FIRST(&service->attention);

	if (session != NULL) {
		TAILQ_REMOVE(&service->attention, session, attention_link);
		session->needs_attention = false;
	}
	return session;
}
