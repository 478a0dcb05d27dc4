/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor/channels.c — see channels.h
 *
 * Whatever is changed on a channel, the library publishes a new snapshot of it on the channel's
 * topic, caches it, and publishes the change on that of the cache: nothing of this is done here.
 */

#include "channels.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stasis/stasis.h>

struct item {
	const char *id; /* in a key: somebody else's */
	struct stasis_channel *channel;
	char id_bytes[];
};

static int compare_items(const void *a, const void *b)
{
	const struct item *left = a, *right = b;

	return strcmp(left->id, right->id);
}

static void item_free(void *data)
{
	struct item *item = data;

	/* The last reference: the channel ends, and its snapshot leaves the cache. */
	stasis_object_unref(item->channel);
	free(item);
}

static int unfit(char reason[EVENT_REASON_MAX], const char *what)
{
	snprintf(reason, EVENT_REASON_MAX, "%s", what);
	return CHANNELS_UNFIT;
}

static int create(struct channels *channels, const struct event *event)
{
	size_t size = strlen(event->id) + 1;
	struct item *item = malloc(sizeof(*item) + size);
	int error;

	if (item == NULL)
		return -ENOMEM;
	item->id = memcpy(item->id_bytes, event->id, size);
	item->channel = stasis_channel_create(event->id, event->name);
	if (item->channel == NULL) {
		error = -errno;
		free(item);
		return error;
	}
	if (tsearch(item, &channels->tree, compare_items) == NULL) {
		item_free(item);
		return -ENOMEM;
	}
	channels->created++;
	return CHANNELS_DONE;
}

static int publish_variable(struct channels *channels, struct stasis_channel *channel,
			    const struct event *event)
{
	json_t *blob = json_pack("{s:s, s:s, s:s}", "type", "variable", "name", event->name,
				 "value", event->text);
	struct stasis_message *message;

	if (blob == NULL)
		return -ENOMEM;
	message = stasis_channel_blob_create(channel, channels->variable_type, blob);
	json_decref(blob);
	if (message == NULL)
		return -ENOMEM;
	/* Queues that grow take all there is memory for. */
	return stasis_publish_take(stasis_channel_topic(channel), message) == 0 ? 0 : -ENOMEM;
}

static int hang_up(struct channels *channels, struct item *item, int cause)
{
	int error = stasis_channel_set_hangup_cause(item->channel, cause);

	if (error != 0)
		return error;
	tdelete(item, &channels->tree, compare_items);
	item_free(item);
	channels->hung_up++;
	return 0;
}

static int change(struct channels *channels, struct item *item, const struct event *event)
{
	struct stasis_channel *channel = item->channel;

	switch (event->kind) {
	case EVENT_STATE:
		return stasis_channel_set_state(channel, event->state);
	case EVENT_CALLERID:
		return stasis_channel_set_caller(channel, event->name, event->text);
	case EVENT_CONNECTED:
		return stasis_channel_set_connected(channel, event->name, event->text);
	case EVENT_ACCOUNT:
		return stasis_channel_set_account(channel, event->text);
	case EVENT_LANGUAGE:
		return stasis_channel_set_language(channel, event->text);
	case EVENT_DIALPLAN:
		return stasis_channel_set_position(channel, event->context, event->exten,
						   event->number);
	case EVENT_VARIABLE:
		return publish_variable(channels, channel, event);
	case EVENT_HANGUP:
		return hang_up(channels, item, event->number);
	default:
		return -EINVAL;
	}
}

int channels_apply(struct channels *channels, const struct event *event,
		   char reason[EVENT_REASON_MAX])
{
	const struct item key = { .id = event->id };
	struct item **found = tfind(&key, &channels->tree, compare_items);

	if (event->kind == EVENT_CREATE)
		return found == NULL ? create(channels, event) :
				       unfit(reason, "a channel of this id exists");
	if (found == NULL)
		return unfit(reason, "no channel of this id");
	return change(channels, *found, event);
}

int channels_init(struct channels *channels)
{
	*channels = (struct channels){ 0 };
	channels->variable_type = stasis_channel_blob_type_create("variable");
	return channels->variable_type != NULL ? 0 : -errno;
}

void channels_deinit(struct channels *channels)
{
	tdestroy(channels->tree, item_free);
	stasis_object_unref(channels->variable_type);
	*channels = (struct channels){ 0 };
}
