/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_SERVER_TOPICS_H
#define EXAMPLES_SERVER_TOPICS_H

/* server/topics.h — the topics of a server, by name
 *
 * A topic is there while somebody has joined it, so their number is bounded by that of the
 * subscriptions. The table has a lock, for threads that look up names; publishing, which comes
 * after that, has none. A server that knows its topics beforehand just keeps their handles.
 */

struct stasis_topic;
struct topics;

/* NULL with errno ENOMEM or EAGAIN. */
struct topics *topics_create(void);

/* Everybody must have left. Takes NULL, returns NULL. */
struct topics *topics_free(struct topics *topics);

/* The topic of this name, made if need be, to be left again. Borrowed until then. NULL with errno
 * ENOMEM. */
struct stasis_topic *topics_join(struct topics *topics, const char *name);
void topics_leave(struct topics *topics, struct stasis_topic *topic);

/* A reference to the topic of this name; NULL when nobody has joined it. */
struct stasis_topic *topics_get(struct topics *topics, const char *name);

#endif
