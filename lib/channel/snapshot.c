/* SPDX-License-Identifier: BSD-2-Clause */
/* channel/snapshot.c — states of channels, and snapshots
 *
 * A snapshot is one block: the structure, and its strings behind it. It is written to by whoever
 * makes it, and shared by messages, the cache and the channel itself afterwards; only the fields
 * that queue it for its first publishing change, under the channel's lock.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <stasis/message.h>
#include <stasis/object.h>

#include "base/json.h"
#include "channel/channel.h"

#define N_OF(array) (sizeof(array) / sizeof(*(array)))

static const char *const state_names[] = {
	[STASIS_CHANNEL_DOWN] = "Down",
	[STASIS_CHANNEL_RESERVED] = "Rsrvd",
	[STASIS_CHANNEL_OFFHOOK] = "OffHook",
	[STASIS_CHANNEL_DIALING] = "Dialing",
	[STASIS_CHANNEL_RING] = "Ring",
	[STASIS_CHANNEL_RINGING] = "Ringing",
	[STASIS_CHANNEL_UP] = "Up",
	[STASIS_CHANNEL_BUSY] = "Busy",
	[STASIS_CHANNEL_DIALING_OFFHOOK] = "Dialing Offhook",
	[STASIS_CHANNEL_PRERING] = "Pre-ring",
};

const char *stasis_channel_state_name(enum stasis_channel_state state)
{
	if ((size_t)state >= N_OF(state_names)) {
		errno = EINVAL;
		return NULL;
	}
	return state_names[state];
}

int stasis_channel_state_from_name(const char *name, enum stasis_channel_state *statep)
{
	if (name == NULL || statep == NULL)
		return -EINVAL;
	for (size_t i = 0; i < N_OF(state_names); i++) {
		if (strcmp(name, state_names[i]) == 0) {
			*statep = (enum stasis_channel_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* --- snapshots --- */

#define STRING(member) offsetof(struct stasis_channel_snapshot, member)

/* Where the strings are. */
static const size_t strings[] = {
	STRING(uniqueid),	STRING(name),	     STRING(caller_name), STRING(caller_number),
	STRING(connected_name), STRING(connected_number), STRING(accountcode), STRING(language),
	STRING(context),	STRING(exten),
};

static const char *string_get(const struct stasis_channel_snapshot *values, size_t i)
{
	return *(const char *const *)((const char *)values + strings[i]);
}

static void string_set(struct stasis_channel_snapshot *values, size_t i, const char *s)
{
	*(const char **)((char *)values + strings[i]) = s;
}

struct sti_snapshot *sti_snapshot_new(const struct stasis_channel_snapshot *values)
{
	size_t size = sizeof(struct sti_snapshot);
	struct sti_snapshot *snapshot;
	char *end;

	for (size_t i = 0; i < N_OF(strings); i++)
		size += strlen(string_get(values, i)) + 1;
	snapshot = stasis_object_alloc(size, NULL);
	if (snapshot == NULL)
		return NULL;
	snapshot->values = *values;
	end = (char *)(snapshot + 1);
	for (size_t i = 0; i < N_OF(strings); i++) {
		const char *s = string_get(values, i);
		size_t n = strlen(s) + 1;

		string_set(&snapshot->values, i, memcpy(end, s, n));
		end += n;
	}
	return snapshot;
}

bool sti_snapshot_equal(const struct stasis_channel_snapshot *a,
			const struct stasis_channel_snapshot *b)
{
	for (size_t i = 0; i < N_OF(strings); i++) {
		if (strcmp(string_get(a, i), string_get(b, i)) != 0)
			return false;
	}
	return a->state == b->state && a->priority == b->priority &&
	       a->hangupcause == b->hangupcause &&
	       a->creationtime.tv_sec == b->creationtime.tv_sec &&
	       a->creationtime.tv_usec == b->creationtime.tv_usec;
}

/* --- JSON --- */

static json_t *party_to_json(const char *name, const char *number)
{
	return json_pack("{s:o, s:o}", "name", sti_json_string(name), "number",
			 sti_json_string(number));
}

static json_t *position_to_json(const struct stasis_channel_snapshot *snapshot)
{
	return json_pack("{s:o, s:o, s:i}", "context", sti_json_string(snapshot->context), "exten",
			 sti_json_string(snapshot->exten), "priority", snapshot->priority);
}

struct json_t *stasis_channel_snapshot_to_json(const struct stasis_channel_snapshot *snapshot)
{
	json_t *value;

	if (snapshot == NULL) {
		errno = EINVAL;
		return NULL;
	}
	value = json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "id",
		sti_json_string(snapshot->uniqueid), "name", sti_json_string(snapshot->name),
		"state", sti_json_string(stasis_channel_state_name(snapshot->state)), "caller",
		party_to_json(snapshot->caller_name, snapshot->caller_number), "connected",
		party_to_json(snapshot->connected_name, snapshot->connected_number), "accountcode",
		sti_json_string(snapshot->accountcode), "language",
		sti_json_string(snapshot->language), "dialplan", position_to_json(snapshot),
		"creationtime", sti_json_time(&snapshot->creationtime), "hangupcause",
		snapshot->hangupcause);
	if (value == NULL)
		errno = ENOMEM;
	return value;
}

struct json_t *sti_snapshot_message_to_json(const struct stasis_message *message)
{
	const char *name = stasis_message_type_name(stasis_message_type(message));

	return json_pack("{s:o, s:o, s:o}", "type", sti_json_string(name), "timestamp",
			 sti_json_time(stasis_message_timestamp(message)), "channel",
			 stasis_channel_snapshot_to_json(stasis_message_data(message)));
}
