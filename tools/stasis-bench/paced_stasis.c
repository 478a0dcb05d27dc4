/* SPDX-License-Identifier: BSD-2-Clause */
/* paced_stasis.c — publish to callback */

#include <errno.h>
#include <stdlib.h>

#include <stasis/stasis.h>

#include "paced.h"

struct bus {
	struct stasis_executor *executor;
	struct stasis_message_type *type;
	struct stasis_topic *topic;
	struct stasis_subscription *subscription;
};

static void on_message(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		       struct stasis_message *message)
{
	uint64_t now = sb_now();
	struct sb_paced *paced = data;
	struct bus *bus = paced->data;

	/* Subscription changes, the final message among them, come here too. */
	if (stasis_message_type(message) == bus->type)
		sb_paced_receive(paced, stasis_message_data(message), now);
}

static void bus_free(struct bus *bus)
{
	if (bus->subscription != NULL)
		stasis_unsubscribe_and_join(bus->subscription);
	if (bus->executor != NULL)
		stasis_executor_shutdown(bus->executor);
	stasis_object_unref(bus->topic);
	stasis_object_unref(bus->type);
	free(bus);
}

static int bus_open(struct sb_paced *paced, int option)
{
	struct stasis_executor_options executor_options = {
		.size = sizeof(executor_options),
		.threads = 1,
		.name = "bench",
		.wait = (enum stasis_wait)option,
	};
	struct stasis_subscribe_options options = { .size = sizeof(options) };
	struct bus *bus = calloc(1, sizeof(*bus));
	int error;

	if (bus == NULL)
		return -ENOMEM;
	paced->data = bus;
	bus->executor = options.executor = stasis_executor_create(&executor_options);
	if (bus->executor != NULL && (bus->type = stasis_message_type_create("bench")) != NULL &&
	    (bus->topic = stasis_topic_create("bench")) != NULL &&
	    (bus->subscription = stasis_subscribe_with(bus->topic, on_message, paced, &options)) !=
		    NULL)
		error = stasis_executor_drain(bus->executor);
	else
		error = -errno;
	if (error < 0)
		bus_free(bus);
	return error;
}

static int bus_send(struct sb_paced *paced, uint64_t sequence)
{
	struct bus *bus = paced->data;
	struct sb_stamp stamp = { .sequence = sequence };
	struct stasis_message *message = stasis_message_create_inline(bus->type, &stamp,
								      sizeof(stamp));

	if (message == NULL)
		return -errno;
	/* A message that was not taken is found by the check of the sequence. */
	return stasis_publish_take(bus->topic, message) < 0 ? -EINVAL : 0;
}

static void bus_close(struct sb_paced *paced)
{
	bus_free(paced->data);
	paced->data = NULL;
}

const struct sb_paced_subject sb_paced_stasis = {
	.name = "stasis",
	.text = "made, published with stasis_publish_take(), called back",
	.open = bus_open,
	.send = bus_send,
	.close = bus_close,
};
