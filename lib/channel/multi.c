/* SPDX-License-Identifier: BSD-2-Clause */
/* channel/multi.c — a JSON object with the snapshots of several channels, each in a role
 *
 * A list: there are few. It is put together by one thread, and published then, after which nobody
 * changes it.
 */

#include <errno.h>
#include <string.h>

#include <stasis/message.h>
#include <stasis/object.h>

#include "base/alloc.h"
#include "base/json.h"
#include "channel/channel.h"

struct member {
	struct member *next;
	struct stasis_channel_snapshot *snapshot; /* referenced */
	char role[];
};

struct stasis_multi_channel_blob {
	json_t *json;
	struct member *first, *last;
};

static void multi_destroy(void *obj)
{
	struct stasis_multi_channel_blob *blob = obj;
	struct member *next;

	for (struct member *member = blob->first; member != NULL; member = next) {
		next = member->next;
		stasis_object_unref(member->snapshot);
		sti_free(member);
	}
	json_decref(blob->json);
}

struct stasis_multi_channel_blob *stasis_multi_channel_blob_create(struct json_t *json)
{
	struct stasis_multi_channel_blob *blob;

	if (!json_is_object(json) || !sti_json_is_shallow(json, STASIS_JSON_DEPTH_MAX)) {
		errno = EINVAL;
		return NULL;
	}
	blob = stasis_object_alloc(sizeof(*blob), multi_destroy);
	if (blob == NULL)
		return NULL;
	blob->json = json_deep_copy(json);
	if (blob->json == NULL) {
		stasis_object_unref(blob);
		errno = ENOMEM;
		return NULL;
	}
	return blob;
}

int stasis_multi_channel_blob_add_channel(struct stasis_multi_channel_blob *blob, const char *role,
					  struct stasis_channel_snapshot *snapshot)
{
	struct member *member;
	size_t role_size;

	if (blob == NULL || role == NULL || snapshot == NULL)
		return -EINVAL;
	role_size = strlen(role) + 1;
	member = sti_alloc(sizeof(*member) + role_size);
	if (member == NULL)
		return -ENOMEM;
	member->next = NULL;
	member->snapshot = stasis_object_ref(snapshot);
	memcpy(member->role, role, role_size);
	if (blob->last != NULL)
		blob->last->next = member;
	else
		blob->first = member;
	blob->last = member;
	return 0;
}

/* The first member in this role, from here on. */
static const struct member *member_find(const struct member *member, const char *role)
{
	while (member != NULL && strcmp(member->role, role) != 0)
		member = member->next;
	return member;
}

struct stasis_channel_snapshot *
stasis_multi_channel_blob_get_channel(const struct stasis_multi_channel_blob *blob,
				      const char *role)
{
	const struct member *member;

	if (blob == NULL || role == NULL) {
		errno = EINVAL;
		return NULL;
	}
	member = member_find(blob->first, role);
	return member != NULL ? member->snapshot : NULL;
}

size_t stasis_multi_channel_blob_get_channels(const struct stasis_multi_channel_blob *blob,
					      const char *role,
					      struct stasis_channel_snapshot **snapshots, size_t n)
{
	const struct member *member;
	size_t n_found = 0;

	if (blob == NULL || role == NULL || (snapshots == NULL && n > 0)) {
		errno = EINVAL;
		return 0;
	}
	for (member = member_find(blob->first, role); member != NULL;
	     member = member_find(member->next, role)) {
		if (n_found < n)
			snapshots[n_found] = member->snapshot;
		n_found++;
	}
	return n_found;
}

struct json_t *stasis_multi_channel_blob_get_json(const struct stasis_multi_channel_blob *blob)
{
	if (blob == NULL) {
		errno = EINVAL;
		return NULL;
	}
	return blob->json;
}

/* --- JSON --- */

/* Adds a snapshot to the array of its role, which is made if need be. 0 or -1. */
static int channels_add(json_t *channels, const struct member *member)
{
	json_t *role = sti_json_string(member->role);
	json_t *array = NULL;
	int result = -1;

	if (role == NULL)
		return -1;
	array = json_object_get(channels, json_string_value(role));
	if (array == NULL) {
		array = json_array();
		/* The object owns it now, or it is gone. */
		if (json_object_set_new(channels, json_string_value(role), array) != 0)
			array = NULL;
	}
	if (array != NULL)
		result = json_array_append_new(array,
					       stasis_channel_snapshot_to_json(member->snapshot));
	json_decref(role);
	return result;
}

static json_t *channels_to_json(const struct stasis_multi_channel_blob *blob)
{
	json_t *channels = json_object();

	for (const struct member *member = blob->first; member != NULL && channels != NULL;
	     member = member->next) {
		if (channels_add(channels, member) != 0) {
			json_decref(channels);
			channels = NULL;
		}
	}
	return channels;
}

static struct json_t *multi_to_json(const struct stasis_message *message)
{
	const struct stasis_multi_channel_blob *blob = stasis_message_data(message);
	const char *name = stasis_message_type_name(stasis_message_type(message));
	json_t *value = sti_blob_json(blob->json, message);
	int result;

	if (value == NULL)
		return NULL;
	result = json_object_set_new(value, "channels", channels_to_json(blob));
	if (result == 0 && json_object_get(value, "type") == NULL)
		result = json_object_set_new(value, "type", sti_json_string(name));
	if (result != 0) {
		json_decref(value);
		return NULL;
	}
	return value;
}

struct stasis_message_type *stasis_multi_channel_blob_type_create(const char *name)
{
	static const struct stasis_message_vtable vtable = {
		.size = sizeof(vtable),
		.to_json = multi_to_json,
	};

	return stasis_message_type_create_with(name, &vtable);
}
