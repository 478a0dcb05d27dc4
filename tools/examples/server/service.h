/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_SERVER_SERVICE_H
#define EXAMPLES_SERVER_SERVICE_H

/* server/service.h — what an event loop needs to serve sessions
 *
 * A service belongs to one loop, and everything here and in session.h is called by the thread of
 * that loop alone. It has a STASIS_WAIT_MANUAL executor for the subscriptions of its sessions. So
 * their callbacks run inside service_turn() and nowhere else, whoever has published, and nothing
 * here needs a lock or an atomic operation.
 *
 * What a loop does, over and over:
 *
 *   wait    for its sockets and service_fd(), or not at all while service_is_busy()
 *   read    into session_input_space(), as far as session_wants_input()
 *   turn    service_turn()
 *   attend  for each session that service_attend() names: send its output, close it when it is over
 *
 * A turn is bounded, so that no client waits long for what others cause. In it messages come first:
 * while more are queued than it may deliver, the lines that clients have sent stay where they are,
 * and their sockets fill up in the end. Who publishes faster than the loop delivers is held back
 * that way; who only reads too slowly is not waited for.
 */

#include <stdbool.h>
#include <sys/queue.h>

struct server_options;
struct session;
struct stasis_executor;
struct stasis_message_type;
struct topics;

TAILQ_HEAD(session_list, session);

struct service {
	/* Shared by all services of a server, const. */
	const struct server_options *options;
	struct topics *topics;
	struct stasis_message_type *line_type;

	struct stasis_executor *executor;
	struct session_list waiting;   /* have lines to be handled */
	struct session_list attention; /* have output, or have changed otherwise */
	unsigned n_sessions;
};

/* What all services of a server share is filled in. Returns 0 or -errno. */
int service_init(struct service *service, const struct server_options *options,
		 struct topics *topics, struct stasis_message_type *line_type);

/* All sessions must have been freed. Delivers what is queued: the final messages at the least. */
void service_deinit(struct service *service);

/* Readable when there is something to do for service_turn(). */
int service_fd(const struct service *service);

/* Delivers messages and handles lines, not too many. */
void service_turn(struct service *service);

/* The next session whose loop has to look after it; NULL when there is none. */
struct session *service_attend(struct service *service);

/* Is there something to do for service_turn() of which service_fd() does not tell? To be asked at
 * the end of a round: sending makes room, and so may give lines their turn. */
bool service_is_busy(const struct service *service);

#endif
