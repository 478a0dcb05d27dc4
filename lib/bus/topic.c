/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/topic.c — making a topic and asking it. Publishing is in publish.c. */

#include "bus/topic.h"

#include <errno.h>
#include <string.h>

static_assert(sizeof(void *) != 8 ||
		      (offsetof(struct stasis_topic, published_own) + sizeof(struct sti_object)) %
			      STI_CACHELINE == 0,
	      "what publishers read is not in the line they write");

static void topic_destroy(void *obj)
{
	struct stasis_topic *topic = obj;

	if (topic->tap != NULL)
		topic->tap->release(topic->tap);
	sti_topic_unforward(topic);
	sti_subscribers_deinit(&topic->subscribers);
	sti_counter_deinit(&topic->published);
	pthread_mutex_destroy(&topic->lock);
}

struct stasis_topic *sti_topic_new(const char *name, struct sti_tap *tap)
{
	size_t name_size = strlen(name) + 1;
	struct stasis_topic *topic;

	topic = sti_object_new(STI_KIND_TOPIC, STI_MEM_HEAP, STI_CACHELINE,
			       sizeof(*topic) + name_size, topic_destroy);
	if (topic == NULL) {
		if (tap != NULL)
			tap->release(tap);
		errno = ENOMEM;
		return NULL;
	}
	topic->name = memcpy(topic + 1, name, name_size);
	topic->tap = tap;
	sti_subscribers_init(&topic->subscribers);
	pthread_mutex_init(&topic->lock, NULL);
	return topic;
}

struct stasis_topic *stasis_topic_create(const char *name)
{
	if (name == NULL || name[0] == '\0') {
		errno = EINVAL;
		return NULL;
	}
	return sti_topic_new(name, NULL);
}

const char *stasis_topic_name(const struct stasis_topic *topic)
{
	if (topic == NULL) {
		errno = EINVAL;
		return NULL;
	}
	return topic->name;
}

size_t stasis_topic_subscribers(const struct stasis_topic *topic)
{
	const struct sti_subscribers *subs;
	bool forwards;
	size_t n;

	if (topic == NULL) {
		errno = EINVAL;
		return 0;
	}
	sti_rcu_read_lock();
	subs = sti_subscribers_get(&topic->subscribers);
	forwards = subs->n_forwards > 0;
	n = sti_subscribers_count(subs);
	sti_rcu_read_unlock();
	return forwards ? sti_topic_reach((struct stasis_topic *)(uintptr_t)topic) : n;
}
