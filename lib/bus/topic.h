/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_TOPIC_H
#define STI_BUS_TOPIC_H

/* bus/topic.h — what is inside a topic
 *
 * Held by the application's handles and by one reference of each subscription, until that is freed.
 * Publishers need a handle, so nobody walks the array of a topic that is freed.
 */

#include <pthread.h>
#include <stdalign.h>

#include <stasis/topic.h>

#include "base/object.h"
#include "bus/subscribers.h"
#include "stats/counter.h"

struct sti_delivery;
struct sti_pending;

/* What a topic leads to besides subscriptions and forwards: a function that is given what is
 * published. The topic has no subscribers then, and nobody else has a handle of it. */
struct sti_tap {
	/* Inside the publisher's read section; the caller holds a reference to the message. */
	void (*take)(struct sti_tap *tap, struct stasis_message *message,
		     struct sti_delivery *delivery);
	/* The topic is gone: nothing is taken any more. */
	void (*release)(struct sti_tap *tap);
};

struct stasis_topic {
	/* RCU: published under lock */
	sti_subscribers_ptr subscribers;
	/* any thread: atomic; rarely written */
	struct sti_counter published;
	/* const after init */
	const char *name;
	struct sti_tap *tap; /* NULL: none */
	unsigned char pad[8];

	/* written by every publish */
	struct sti_counter_own published_own;
	/* serializes changes of the array: one copy long */
	pthread_mutex_t lock;

	/* the forwards' lock; see bus/forward.c */
	struct stasis_forward *out; /* those that lead from here */
	struct stasis_forward *in;  /* those that lead here */
	uint64_t mark;		    /* the last walk that has been here */
	uint32_t height;	    /* forwards on the longest path from here */
};

/* tap: taken over, also on failure (NULL with errno). */
struct stasis_topic *sti_topic_new(const char *name, struct sti_tap *tap);

/* Counts n messages that were given to it. */
STI_INLINE void sti_topic_count(struct stasis_topic *topic, size_t n)
{
	sti_counter_add(&topic->published, &topic->published_own, sti_thread_self(), n);
}

/* Ends the forwards from a topic that is about to be freed. */
void sti_topic_unforward(struct stasis_topic *topic);

/* Subscriptions of all topics that this one leads to, each counted once. */
size_t sti_topic_reach(struct stasis_topic *topic);

#define STI_PUBLISH_GIVEN 1u /* the caller gives a reference per message */
#define STI_PUBLISH_FORCE 2u /* never waits for room: the queue grows */

/* What a publish of the library's own differs in. */
struct sti_publish_how {
	unsigned flags;
	const struct stasis_subscription *but; /* not to this one */
	uint64_t deadline_ns; /* waits for room no longer; of sti_clock_monotonic_ns(), 0: none */
	struct sti_pending *later; /* empty: the caller settles it; NULL: settled at once */
};

/* Hands n messages to all subscriptions. As stasis_publish_batch() otherwise; nothing is counted
 * for the topic. */
int sti_topic_publish(struct stasis_topic *topic, struct stasis_message *const *messages, size_t n,
		      const struct sti_publish_how *how);

#endif
