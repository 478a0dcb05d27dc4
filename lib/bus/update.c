/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/update.c — the type of cache updates, which everything above the bus may dispatch by */

#include <stasis/cache.h>

#include "base/json.h"
#include "base/object.h"
#include "bus/message.h"

/* NULL: there is a snapshot, and no memory for its form. */
static json_t *snapshot_to_json(const struct stasis_message *snapshot)
{
	if (snapshot == NULL || snapshot->type->vtable.to_json == NULL)
		return json_null();
	return stasis_message_to_json(snapshot);
}

static json_t *update_to_json(const struct stasis_message *message)
{
	const struct stasis_cache_update *update = message->data;
	json_t *json = json_object();

	if (json == NULL)
		return NULL;
	if (sti_json_set(json, "type", sti_json_string("stasis_cache_update")) != 0 ||
	    sti_json_set(json, "timestamp", sti_json_time(&message->timestamp)) != 0 ||
	    sti_json_set(json, "snapshot_type", sti_json_string(update->type->name)) != 0 ||
	    sti_json_set(json, "old", snapshot_to_json(update->old_snapshot)) != 0 ||
	    sti_json_set(json, "new", snapshot_to_json(update->new_snapshot)) != 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static struct sti_own_type update_type =
	STI_OWN_TYPE("stasis_cache_update", STI_TYPE_ID_CACHE_UPDATE, update_to_json);

struct stasis_message_type *stasis_cache_update_type(void)
{
	return &update_type.type;
}
