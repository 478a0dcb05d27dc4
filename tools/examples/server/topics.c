/* SPDX-License-Identifier: BSD-2-Clause */
/* server/topics.c — see topics.h. The C library's balanced tree, under a lock. */

#include "topics.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <stasis/stasis.h>

struct topics {
	pthread_mutex_t lock;
	void *root; /* lock; of struct topics_entry, by name */
};

struct topics_entry {
	const char *name; /* the topic's own */
	struct stasis_topic *topic;
	size_t n_users;
};

static int entry_compare(const void *a, const void *b)
{
	return strcmp(((const struct topics_entry *)a)->name,
		      ((const struct topics_entry *)b)->name);
}

static struct topics_entry *entry_find_locked(struct topics *topics, const char *name)
{
	struct topics_entry key = { .name = name };
	void *node = tfind(&key, &topics->root, entry_compare);

	return node != NULL ? *(struct topics_entry **)node : NULL;
}

static struct topics_entry *entry_create_locked(struct topics *topics, const char *name)
{
	struct topics_entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	entry->topic = stasis_topic_create(name);
	if (entry->topic == NULL)
		goto failed;
	entry->name = stasis_topic_name(entry->topic);
	if (tsearch(entry, &topics->root, entry_compare) == NULL)
		goto failed;
	return entry;

failed:
	stasis_object_unref(entry->topic);
	free(entry);
	errno = ENOMEM;
	return NULL;
}

struct topics *topics_create(void)
{
	struct topics *topics = calloc(1, sizeof(*topics));
	int error;

	if (topics == NULL)
		return NULL;
	error = pthread_mutex_init(&topics->lock, NULL);
	if (error != 0) {
		free(topics);
		errno = error;
		return NULL;
	}
	return topics;
}

struct topics *topics_free(struct topics *topics)
{
	if (topics != NULL) {
		pthread_mutex_destroy(&topics->lock);
		free(topics);
	}
	return NULL;
}

struct stasis_topic *topics_join(struct topics *topics, const char *name)
{
	struct stasis_topic *topic = NULL;
	struct topics_entry *entry;

	pthread_mutex_lock(&topics->lock);
	entry = entry_find_locked(topics, name);
	if (entry == NULL)
		entry = entry_create_locked(topics, name);
	if (entry != NULL) {
		entry->n_users++;
		topic = entry->topic;
	}
	pthread_mutex_unlock(&topics->lock);
	return topic;
}

void topics_leave(struct topics *topics, struct stasis_topic *topic)
{
	struct topics_entry *entry;

	pthread_mutex_lock(&topics->lock);
	entry = entry_find_locked(topics, stasis_topic_name(topic));
	if (--entry->n_users == 0)
		tdelete(entry, &topics->root, entry_compare);
	else
		entry = NULL;
	pthread_mutex_unlock(&topics->lock);
	if (entry != NULL) {
		/* Subscriptions that have not ended yet hold the topic as long as they need it. */
		stasis_object_unref(entry->topic);
		free(entry);
	}
}

struct stasis_topic *topics_get(struct topics *topics, const char *name)
{
	struct stasis_topic *topic = NULL;
	struct topics_entry *entry;

	pthread_mutex_lock(&topics->lock);
	entry = entry_find_locked(topics, name);
	if (entry != NULL)
		topic = stasis_object_ref(entry->topic);
	pthread_mutex_unlock(&topics->lock);
	return topic;
}
