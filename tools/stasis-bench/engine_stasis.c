/* SPDX-License-Identifier: BSD-2-Clause */
/* engine_stasis.c — the library, used as an application would */

#include <errno.h>
#include <stdlib.h>

#include <stasis/stasis.h>

#include "cpu.h"
#include "engine.h"
#include "messages.h"

struct bus {
	struct stasis_executor *executor;
	struct stasis_message_type *type;
	struct stasis_topic *topic;
	struct stasis_subscription **subscriptions;
	/* where messages are published: topics that forward to that one, or just it */
	struct stasis_topic **targets;
	unsigned n_targets;
};

static void on_message(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		       struct stasis_message *message)
{
	struct sb_subscriber *subscriber = data;

	/* Subscription changes, the final message among them, come here too. */
	if (stasis_message_type(message) == subscriber->data)
		sb_deliver(subscriber, stasis_message_data(message));
}

static void bus_free(struct bus *bus, const struct sb_run *run)
{
	if (bus == NULL)
		return;
	for (unsigned i = 0; bus->subscriptions != NULL && i < run->topology.subscribers; i++) {
		if (bus->subscriptions[i] != NULL)
			stasis_unsubscribe(stasis_object_ref(bus->subscriptions[i]));
	}
	for (unsigned i = 0; bus->subscriptions != NULL && i < run->topology.subscribers; i++) {
		if (bus->subscriptions[i] != NULL)
			stasis_unsubscribe_and_join(bus->subscriptions[i]);
	}
	stasis_executor_shutdown(bus->executor);
	/* Forwards end with the topics that they lead from. */
	for (unsigned i = 0; i < bus->n_targets; i++)
		stasis_object_unref(bus->targets[i]);
	free(bus->targets);
	stasis_object_unref(bus->topic);
	stasis_object_unref(bus->type);
	free(bus->subscriptions);
	free(bus);
}

static int bus_subscribe(struct bus *bus, struct sb_run *run)
{
	struct stasis_subscribe_options options = {
		.size = sizeof(options),
		.executor = bus->executor,
	};

	for (unsigned i = 0; i < run->topology.subscribers; i++) {
		struct sb_subscriber *subscriber = &run->subscribers[i];

		subscriber->data = bus->type;
		bus->subscriptions[i] = stasis_subscribe_with(bus->topic, on_message, subscriber,
							      &options);
		if (bus->subscriptions[i] == NULL)
			return -errno;
	}
	/* The subscription changes are none of our messages. */
	return stasis_executor_drain(bus->executor);
}

/* The topics to publish to. 0 or -errno. */
static int bus_forward(struct bus *bus, unsigned upstream)
{
	bus->targets = calloc(upstream + 1, sizeof(bus->targets[0]));
	if (bus->targets == NULL)
		return -ENOMEM;
	if (upstream == 0)
		bus->targets[bus->n_targets++] = stasis_object_ref(bus->topic);
	while (bus->n_targets < upstream) {
		struct stasis_topic *topic = stasis_topic_create("upstream");
		struct stasis_forward *forward;

		if (topic == NULL)
			return -errno;
		bus->targets[bus->n_targets++] = topic;
		forward = stasis_forward_all(topic, bus->topic);
		if (forward == NULL)
			return -errno;
		stasis_object_unref(forward);
	}
	return 0;
}

static int bus_open(struct sb_run *run)
{
	struct stasis_executor_options options = {
		.size = sizeof(options),
		.threads = run->setup.threads,
		.name = "bench",
		.wait = (enum stasis_wait)run->setup.wait,
	};
	struct bus *bus = calloc(1, sizeof(*bus));
	int error = -ENOMEM;

	if (bus == NULL)
		return -ENOMEM;
	bus->subscriptions = calloc(run->topology.subscribers, sizeof(bus->subscriptions[0]));
	sb_cpu_consumers(run->topology.publishers == 1, run->setup.threads);
	errno = ENOMEM;
	if (bus->subscriptions == NULL ||
	    (bus->executor = stasis_executor_create(&options)) == NULL ||
	    (bus->type = stasis_message_type_create("bench")) == NULL ||
	    (bus->topic = stasis_topic_create("bench")) == NULL)
		error = -errno;
	else
		error = bus_subscribe(bus, run);
	if (error == 0)
		error = bus_forward(bus, run->topology.upstream);
	if (error == 0)
		error = sb_repeated_messages_new(run, bus->type);
	if (error < 0) {
		bus_free(bus, run);
		return error;
	}
	run->data = bus;
	return 0;
}

static void bus_close(struct sb_run *run)
{
	struct bus *bus = run->data;

	stasis_executor_drain(bus->executor);
	sb_repeated_messages_free(run);
	bus_free(bus, run);
	run->data = NULL;
}

static size_t publish_take(struct sb_publisher *publisher, const struct bus *bus, size_t n)
{
	size_t target = publisher->sequence % bus->n_targets;

	for (size_t i = 0; i < n; i++) {
		struct stasis_message *message = sb_next_message(publisher, bus->type);

		if (sti_unlikely(message == NULL)) {
			publisher->refused++;
			return i;
		}
		if (sti_unlikely(stasis_publish_take(bus->targets[target], message) != 0))
			publisher->refused++;
		publisher->sequence++;
		if (++target == bus->n_targets)
			target = 0;
	}
	return n;
}

static size_t publish_batch(struct sb_publisher *publisher, const struct bus *bus, size_t n)
{
	struct stasis_message *messages[SB_BATCH];

	for (size_t sent = 0; sent < n; sent += SB_BATCH) {
		for (size_t i = 0; i < SB_BATCH; i++) {
			messages[i] = sb_next_message(publisher, bus->type);
			if (sti_unlikely(messages[i] == NULL)) {
				publisher->refused++;
				publisher->sequence -= i;
				while (i > 0)
					stasis_object_unref(messages[--i]);
				return sent;
			}
			publisher->sequence++;
		}
		if (sti_unlikely(stasis_publish_batch(bus->topic, messages, SB_BATCH) != 0))
			publisher->refused++;
	}
	return n;
}

static size_t republish(struct sb_publisher *publisher, const struct bus *bus, size_t n)
{
	struct stasis_message *message = publisher->data;

	for (size_t i = 0; i < n; i++) {
		if (sti_unlikely(stasis_publish(bus->topic, message) != 0))
			publisher->refused++;
		publisher->sequence++;
	}
	return n;
}

static size_t bus_publish(struct sb_publisher *publisher, size_t n)
{
	struct bus *bus = publisher->run->data;

	switch (publisher->run->topology.mode) {
	case SB_MODE_TAKE:
		return publish_take(publisher, bus, n);
	case SB_MODE_BATCH:
		return publish_batch(publisher, bus, n);
	case SB_MODE_REPUBLISH:
		break;
	}
	return republish(publisher, bus, n);
}

const struct sb_engine sb_engine_stasis = {
	.name = "stasis",
	.text = "this library: stasis_publish_take(), stasis_publish() or stasis_publish_batch()",
	.open = bus_open,
	.publish = bus_publish,
	.close = bus_close,
};
