/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c — see footprint.h */

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include <stasis/stasis.h>

#include "footprint.h"
#include "heap.h"
#include "sync/rcu.h"

#define DRAIN_EVERY 64

struct bus {
	size_t n;
	size_t payload;
	struct stasis_executor *executor;
	struct stasis_message_type *type;
	struct stasis_topic **topics;
	struct stasis_subscription **subscriptions;
	struct stasis_message **messages;
	void *bytes; /* a payload */
	sem_t release;
};

static void ignore(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
}

/* Does not return from the first message of the bus's type until it is let go. */
static void hold(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		 struct stasis_message *message)
{
	struct bus *bus = data;

	if (bus->type == stasis_message_type(message) && message == bus->messages[0])
		sem_wait(&bus->release);
}

static double per_item(const struct bus *bus, uint64_t before)
{
	return ((double)sb_heap_allocated() - (double)before) / (double)bus->n;
}

static int measure_topics(struct bus *bus, struct sb_memory *memory)
{
	uint64_t before = sb_heap_allocated();

	for (size_t i = 0; i < bus->n; i++) {
		bus->topics[i] = stasis_topic_create("memory");
		if (bus->topics[i] == NULL)
			return errno;
	}
	memory->topic = per_item(bus, before);
	return 0;
}

static int measure_subscriptions(struct bus *bus, struct sb_memory *memory)
{
	struct stasis_subscribe_options options = { .size = sizeof(options),
						    .executor = bus->executor };
	uint64_t before = sb_heap_allocated();

	for (size_t i = 0; i < bus->n; i++) {
		bus->subscriptions[i] = stasis_subscribe_with(bus->topics[i], ignore, NULL,
							      &options);
		if (bus->subscriptions[i] == NULL)
			return errno;
		/* Else the changes that wait to be delivered would be counted too. */
		if (i % DRAIN_EVERY == 0)
			stasis_executor_drain(bus->executor);
	}
	stasis_executor_drain(bus->executor);
	/* What waits for a grace period is not the subscription's. */
	sti_rcu_barrier();
	memory->subscription = per_item(bus, before);
	return 0;
}

static int measure_queue(struct bus *bus, struct sb_memory *memory, struct stasis_topic *topic)
{
	uint64_t before = sb_heap_allocated();

	for (size_t i = 0; i < bus->n; i++) {
		bus->messages[i] = stasis_message_create_inline(bus->type, bus->bytes,
								bus->payload);
		if (bus->messages[i] == NULL)
			return errno;
	}
	memory->message = per_item(bus, before);
	for (size_t i = 0; i < bus->n; i++) {
		if (stasis_publish(topic, bus->messages[i]) != 0)
			return ENOMEM;
	}
	memory->queued = per_item(bus, before);
	return 0;
}

static int measure_messages(struct bus *bus, struct sb_memory *memory)
{
	struct stasis_subscribe_options options = { .size = sizeof(options),
						    .executor = bus->executor };
	struct stasis_topic *topic = stasis_topic_create("memory");
	struct stasis_subscription *subscription = NULL;
	int error;

	if (topic != NULL)
		subscription = stasis_subscribe_with(topic, hold, bus, &options);
	if (subscription == NULL) {
		error = errno;
	} else {
		stasis_executor_drain(bus->executor);
		error = measure_queue(bus, memory, topic);
		sem_post(&bus->release);
		stasis_unsubscribe_and_join(subscription);
	}
	stasis_object_unref(topic);
	return error;
}

static int measure(struct bus *bus, struct sb_memory *memory)
{
	struct stasis_executor_options options = { .size = sizeof(options), .threads = 1 };
	int error;

	bus->topics = calloc(bus->n, sizeof(bus->topics[0]));
	bus->subscriptions = calloc(bus->n, sizeof(bus->subscriptions[0]));
	bus->messages = calloc(bus->n, sizeof(bus->messages[0]));
	bus->bytes = calloc(1, bus->payload);
	if (bus->topics == NULL || bus->subscriptions == NULL || bus->messages == NULL ||
	    bus->bytes == NULL)
		return ENOMEM;
	bus->executor = stasis_executor_create(&options);
	bus->type = stasis_message_type_create("memory");
	if (bus->executor == NULL || bus->type == NULL)
		return errno;
	error = measure_topics(bus, memory);
	if (error == 0)
		error = measure_subscriptions(bus, memory);
	return error != 0 ? error : measure_messages(bus, memory);
}

static void release(struct bus *bus)
{
	for (size_t i = 0; bus->messages != NULL && i < bus->n; i++)
		stasis_object_unref(bus->messages[i]);
	for (size_t i = 0; bus->subscriptions != NULL && i < bus->n; i++) {
		if (bus->subscriptions[i] != NULL)
			stasis_unsubscribe(bus->subscriptions[i]);
	}
	stasis_executor_shutdown(bus->executor);
	for (size_t i = 0; bus->topics != NULL && i < bus->n; i++)
		stasis_object_unref(bus->topics[i]);
	stasis_object_unref(bus->type);
	free(bus->bytes);
	free(bus->messages);
	free(bus->subscriptions);
	free(bus->topics);
}

void sb_memory_measure(size_t payload, size_t n, struct sb_memory *memory)
{
	struct bus bus = { .n = n, .payload = payload };

	memory->measured = true;
	memory->counted = sb_heap_allocated() > 0;
	if (!memory->counted)
		return;
	sem_init(&bus.release, 0, 0);
	memory->source = sb_heap_name();
	memory->n = n;
	memory->error = measure(&bus, memory);
	release(&bus);
	sem_destroy(&bus.release);
}
