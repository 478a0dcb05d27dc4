/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_WALK_H
#define STI_BUS_WALK_H

/* bus/walk.h — whom a publish reaches, where that is more than one plain array
 *
 * A walk goes from a topic along its forwards, every path of them, and hands on segments: runs of
 * neighbours in somebody's array, single selective subscriptions that accept the type, and taps
 * (bus/topic.h). They are gathered first, so that a message's references can be counted up once for
 * all of them.
 *
 * A subscription that wants no message twice belongs to one topic, so it is enough to remember the
 * topics with such subscriptions that the walk has been at.
 *
 * Stack: the last forward of a topic is followed in the same call, so a chain takes none; others
 * take one call each, no deeper than forwards can be in a row (bus/forward.c).
 *
 * Threads: a walk has one; all of it inside one RCU read section, in which the segments are valid.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/message.h"
#include "bus/subscribers.h"

#define STI_WALK_SEGMENTS 32u
#define STI_WALK_VISITED 32u

struct sti_segment {
	union {
		const _Atomic(struct stasis_subscription *) *subs;
		struct sti_tap *tap; /* when n is 0 */
	};
	uint32_t n;
};

struct sti_walk {
	/* const after init */
	const struct stasis_message_type *type;
	/* Hands on what has been gathered, total subscriptions of n_segments, when there is no room
	 * for more, and makes room. False: enough. */
	bool (*full)(struct sti_walk *walk);
	unsigned room; /* segments; STI_WALK_SEGMENTS unless set after init */
	bool once;     /* sees each topic once, whatever the paths; false unless set after init */

	size_t total;
	unsigned n_segments;
	struct sti_segment segments[STI_WALK_SEGMENTS];

	/* topics with subscriptions that want no message twice: a hash table, empty places NULL */
	const struct stasis_topic **visited;
	size_t n_visited;
	size_t visited_mask;
	const struct stasis_topic *visited_first[STI_WALK_VISITED];
};

/* What is gathered in the end is left to the caller. False: full() had enough. */
bool sti_walk(struct sti_walk *walk, const struct stasis_topic *topic,
	      const struct sti_subscribers *subs);

void sti_walk_init(struct sti_walk *walk, const struct stasis_message_type *type,
		   bool (*full)(struct sti_walk *walk));
void sti_walk_deinit(struct sti_walk *walk);

#endif
