/* SPDX-License-Identifier: BSD-2-Clause */
/* channel/blob.c — a JSON object with the snapshot of one channel
 *
 * The blob has a deep copy of the JSON that it is made of. It could share it, but jansson's values
 * can be changed through any reference, and the caller keeps his; and whether jansson's reference
 * counts may be used by several threads depends on how it was built.
 */

#include <errno.h>

#include <stasis/message.h>
#include <stasis/object.h>

#include "base/json.h"
#include "channel/channel.h"

static void blob_destroy(void *obj)
{
	struct stasis_channel_blob *blob = obj;

	stasis_object_unref(blob->snapshot);
	json_decref(blob->blob);
}

static struct stasis_channel_blob *blob_new(struct stasis_channel *chan, const json_t *json)
{
	struct stasis_channel_blob *blob = stasis_object_alloc(sizeof(*blob), blob_destroy);

	if (blob == NULL)
		return NULL;
	blob->blob = json_deep_copy(json);
	if (blob->blob == NULL) {
		stasis_object_unref(blob);
		errno = ENOMEM;
		return NULL;
	}
	if (chan != NULL)
		blob->snapshot = stasis_channel_snapshot_create(chan);
	return blob;
}

struct stasis_message *stasis_channel_blob_create(struct stasis_channel *chan,
						  struct stasis_message_type *type,
						  struct json_t *json)
{
	struct stasis_channel_blob *blob;
	struct stasis_message *message;

	if (type == NULL || !json_is_string(json_object_get(json, "type")) ||
	    !sti_json_is_shallow(json, STASIS_JSON_DEPTH_MAX)) {
		errno = EINVAL;
		return NULL;
	}
	blob = blob_new(chan, json);
	if (blob == NULL)
		return NULL;
	message = stasis_message_create(type, blob);
	stasis_object_unref(blob);
	return message;
}

const char *stasis_channel_blob_json_type(const struct stasis_channel_blob *blob)
{
	if (blob == NULL) {
		errno = EINVAL;
		return NULL;
	}
	return json_string_value(json_object_get(blob->blob, "type"));
}

/* --- JSON --- */

json_t *sti_blob_json(const json_t *blob, const struct stasis_message *message)
{
	json_t *value = json_deep_copy(blob);

	if (value != NULL &&
	    json_object_set_new(value, "timestamp",
				sti_json_time(stasis_message_timestamp(message))) != 0) {
		json_decref(value);
		value = NULL;
	}
	return value;
}

static struct json_t *blob_to_json(const struct stasis_message *message)
{
	const struct stasis_channel_blob *blob = stasis_message_data(message);
	json_t *value = sti_blob_json(blob->blob, message);
	json_t *channel = NULL;

	if (value == NULL)
		return NULL;
	channel = blob->snapshot != NULL ? stasis_channel_snapshot_to_json(blob->snapshot) :
					   json_null();
	if (json_object_set_new(value, "channel", channel) != 0) {
		json_decref(value);
		return NULL;
	}
	return value;
}

struct stasis_message_type *stasis_channel_blob_type_create(const char *name)
{
	static const struct stasis_message_vtable vtable = {
		.size = sizeof(vtable),
		.to_json = blob_to_json,
	};

	return stasis_message_type_create_with(name, &vtable);
}
