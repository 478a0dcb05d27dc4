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

struct stasis_topic {
	/* RCU: published under lock */
	sti_subscribers_ptr subscribers;
	/* any thread: atomic; rarely written */
	struct sti_counter published;
	/* const after init */
	const char *name;
	unsigned char pad[16];

	/* written by every publish */
	struct sti_counter_own published_own;
	/* serializes changes of the array: one copy long */
	pthread_mutex_t lock;
};

/* Hands n messages to all subscriptions but one (NULL: to all). Takes n references per message, of
 * which the caller gives one each if given is true. As stasis_publish_batch() otherwise; nothing is
 * counted for the topic. */
int sti_topic_publish(struct stasis_topic *topic, struct stasis_message *const *messages, size_t n,
		      bool given, const struct stasis_subscription *but);

#endif
