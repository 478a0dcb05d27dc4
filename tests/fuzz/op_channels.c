/* SPDX-License-Identifier: BSD-2-Clause */
/* op_channels.c — channels, and messages about them */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

static unsigned from(unsigned n)
{
	return input_below(world.input, n);
}

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* --- changes --- */

static void publish_last(struct w_channel *channel)
{
	const struct m_message *m = channel->last;

	channel->changed = false;
	m_publish(channel->topic, &m, 1);
}

/* The channel has these values now; a snapshot says so, at once or at the end of the stage. */
static void channel_change(struct w_channel *channel, const struct m_values *values, bool always)
{
	if (!always && memcmp(values, &channel->values, sizeof(*values)) == 0)
		return;
	channel->values = *values;
	channel->last = m_message_new(M_TYPE_SNAPSHOT);
	channel->last->values = *values;
	channel->changed = true;
	if (channel->n_stages == 0)
		publish_last(channel);
}

/* Two strings may be equal and not the same. */
static const char *same(const char *new, const char *old)
{
	new = or_empty(new);
	return strcmp(new, old) == 0 ? old : new;
}

static void op_channel_create(void)
{
	struct w_channel *channel = &world.channels[from(M_CHANNELS)];
	struct w_topic *topic = w_free_topic();
	const char *name = w_string();
	bool valid = name != NULL && name[0] != '\0';
	struct m_values values = { .uniqueid = channel->uniqueid, .name = name };

	if (channel->lib != NULL || topic == NULL)
		return;
	memset(channel, 0, sizeof(*channel));
	values.uniqueid = m_message_new(0)->text;
	snprintf((char *)(uintptr_t)values.uniqueid, 16, "chan-%u", world.n_channels++);
	errno = 0;
	channel->lib = stasis_channel_create(values.uniqueid, name);
	W_EQUAL(channel->lib != NULL, valid);
	W_EQUAL(errno, valid ? 0 : EINVAL);
	if (channel->lib == NULL)
		return;
	for (unsigned i = 0; i < 8; i++)
		values.texts[i] = "";
	*topic = (struct w_topic){ .held = true };
	topic->lib = stasis_object_ref(stasis_channel_topic(channel->lib));
	topic->m.used = true;
	topic->m.name = values.uniqueid;
	channel->topic = &topic->m;
	m_forward(&channel->forward, &topic->m, &world.topics[0].m, NULL);
	channel_change(channel, &values, true);
}

void w_channel_free(struct w_channel *channel)
{
	struct m_message *clear = m_message_new(M_TYPE_CLEAR);
	const struct m_message *m = clear;

	clear->old = channel->last;
	W_TRUE(stasis_object_unref(channel->lib) == NULL);
	m_publish(channel->topic, &m, 1);
	m_forward_end(&channel->forward);
	channel->lib = NULL;
}

static void op_channel_free(void)
{
	struct w_channel *channel = w_pick_channel();

	if (channel != NULL)
		w_channel_free(channel);
}

static int set(struct stasis_channel *lib, unsigned what, struct m_values *values)
{
	const char *first = w_string();
	const char *second = w_string();
	unsigned number = input_byte(world.input);

	switch (what) {
	case 0:
		values->state = number;
		return stasis_channel_set_state(lib, (enum stasis_channel_state)number);
	case 1:
		values->texts[0] = first;
		values->texts[1] = second;
		return stasis_channel_set_caller(lib, first, second);
	case 2:
		values->texts[2] = first;
		values->texts[3] = second;
		return stasis_channel_set_connected(lib, first, second);
	case 3:
		values->texts[4] = first;
		return stasis_channel_set_account(lib, first);
	case 4:
		values->texts[5] = first;
		return stasis_channel_set_language(lib, first);
	case 5:
		values->texts[6] = first;
		values->texts[7] = second;
		values->priority = (int)number - 100;
		return stasis_channel_set_position(lib, first, second, values->priority);
	case 6:
		values->hangupcause = (int)number;
		return stasis_channel_set_hangup_cause(lib, values->hangupcause);
	default:
		return stasis_channel_publish_snapshot(lib);
	}
}

static void op_channel_set(void)
{
	struct w_channel *channel = w_pick_channel();
	unsigned what = from(8);
	struct m_values values;
	int result;

	if (channel == NULL)
		return;
	values = channel->values;
	/* While it is staged nothing is published, so that nothing else can be lost. */
	if (channel->n_stages > 0)
		w_arm();
	result = set(channel->lib, what, &values);
	if (w_disarm() && result == -ENOMEM)
		return;
	if (what == 0 && values.state > STASIS_CHANNEL_PRERING) {
		W_EQUAL(result, -EINVAL);
		return;
	}
	W_EQUAL(result, 0);
	for (unsigned i = 0; i < 8; i++)
		values.texts[i] = same(values.texts[i], channel->values.texts[i]);
	channel_change(channel, &values, what == 7);
}

static void op_stage(void)
{
	struct w_channel *channel = w_pick_channel();

	if (channel == NULL)
		return;
	W_EQUAL(stasis_channel_stage_snapshot(channel->lib), 0);
	channel->n_stages++;
}

static void op_stage_done(void)
{
	struct w_channel *channel = w_pick_channel();
	int result;

	if (channel == NULL)
		return;
	result = stasis_channel_stage_snapshot_done(channel->lib);
	W_EQUAL(result, channel->n_stages > 0 ? 0 : -EINVAL);
	if (channel->n_stages > 0 && --channel->n_stages == 0 && channel->changed)
		publish_last(channel);
}

static void op_snapshot(void)
{
	struct w_channel *channel = w_pick_channel();
	struct stasis_channel_snapshot *snapshot;
	struct m_entry *entry;

	if (channel == NULL)
		return;
	snapshot = stasis_channel_snapshot_create(channel->lib);
	W_TRUE(snapshot != NULL);
	w_check_values(&channel->values, snapshot);
	stasis_object_unref(snapshot);
	entry = m_cache_find(&world.caches[0].m, M_TYPE_SNAPSHOT, channel->values.uniqueid);
	W_TRUE(entry != NULL);
}

/* --- blobs --- */

/* A value; *validp: is it one for a blob? *fitsp: is it an object that is not too deep? */
static json_t *make_json(bool *validp, bool *fitsp)
{
	unsigned deeper = 0;
	unsigned kind = from(8);
	json_t *json = json_object();
	json_t *deep = json_array();

	if (kind == 6)
		deeper = STASIS_JSON_DEPTH_MAX - 2;
	else if (kind == 7)
		deeper = STASIS_JSON_DEPTH_MAX - 1;
	*validp = kind >= 4 && kind < 7;
	*fitsp = kind >= 2 && kind < 7;
	switch (kind) {
	case 0:
		json_decref(json);
		json_decref(deep);
		return NULL;
	case 1:
		json_decref(json);
		return deep;
	case 2: /* no type */
		json_decref(deep);
		return json;
	case 3:
		json_object_set_new(json, "type", json_integer(1));
		break;
	default:
		json_object_set_new(json, "type", json_string("%s%n"));
		break;
	}
	for (; deeper > 0; deeper--) {
		json_t *outer = json_array();

		json_array_append_new(outer, deep);
		deep = outer;
	}
	json_object_set_new(json, "channel", deep);
	json_object_set_new(json, "timestamp", json_null());
	return json;
}

static void op_blob(void)
{
	struct w_channel *channel = w_pick_channel();
	struct stasis_message *lib;
	json_t *json, *form;
	bool valid, fits;

	if (w_free_message() == NULL)
		return;
	json = make_json(&valid, &fits);
	errno = 0;
	w_arm();
	lib = stasis_channel_blob_create(channel != NULL ? channel->lib : NULL,
					 w_types[M_TYPE_BLOB], json);
	if (w_disarm() && lib == NULL && valid) {
		W_EQUAL(errno, ENOMEM);
		json_decref(json);
		return;
	}
	W_EQUAL(lib != NULL, valid);
	W_EQUAL(errno, valid ? 0 : EINVAL);
	json_decref(json);
	if (lib == NULL)
		return;
	W_TRUE(strcmp(stasis_channel_blob_json_type(stasis_message_data(lib)), "%s%n") == 0);
	form = stasis_message_to_json(lib);
	W_TRUE(form != NULL);
	W_TRUE(strcmp(json_string_value(json_object_get(form, "type")), "%s%n") == 0);
	W_EQUAL(json_is_null(json_object_get(form, "channel")), channel == NULL);
	W_TRUE(json_is_string(json_object_get(form, "timestamp")));
	json_decref(form);
	w_message_of(lib, m_message_new(M_TYPE_BLOB));
}

static void add_channels(struct stasis_multi_channel_blob *blob, struct w_channel *channel)
{
	const char *const roles[] = { "", "a", "b" };
	size_t counts[3] = { 0 };

	for (unsigned i = from(6); i > 0; i--) {
		struct stasis_channel_snapshot *snapshot =
			stasis_channel_snapshot_create(channel->lib);
		unsigned role = from(3);

		W_EQUAL(stasis_multi_channel_blob_add_channel(blob, roles[role], snapshot), 0);
		stasis_object_unref(snapshot);
		counts[role]++;
	}
	for (unsigned i = 0; i < 3; i++) {
		struct stasis_channel_snapshot *found[3];
		size_t n = stasis_multi_channel_blob_get_channels(blob, roles[i], found, 3);

		W_EQUAL(n, counts[i]);
		for (size_t j = 0; j < n && j < 3; j++)
			w_check_values(&channel->values, found[j]);
		W_EQUAL(stasis_multi_channel_blob_get_channel(blob, roles[i]) != NULL, n > 0);
	}
}

static void op_multi(void)
{
	struct w_channel *channel = w_pick_channel();
	struct stasis_multi_channel_blob *blob;
	struct stasis_message *lib;
	bool valid, fits;
	json_t *json;

	if (w_free_message() == NULL)
		return;
	json = make_json(&valid, &fits);
	errno = 0;
	blob = stasis_multi_channel_blob_create(json);
	W_EQUAL(blob != NULL, fits);
	W_EQUAL(errno, fits ? 0 : EINVAL);
	json_decref(json);
	if (blob == NULL)
		return;
	if (channel != NULL)
		add_channels(blob, channel);
	w_arm();
	lib = stasis_message_create(w_types[M_TYPE_MULTI], blob);
	stasis_object_unref(blob);
	if (w_disarm() && lib == NULL)
		return;
	w_message_of(lib, m_message_new(M_TYPE_MULTI));
}

const w_operation op_channels[] = {
	op_channel_create, op_channel_free, op_channel_set, op_channel_set, op_stage,
	op_stage_done, op_snapshot, op_blob, op_multi,
};
const size_t n_op_channels = sizeof(op_channels) / sizeof(op_channels[0]);
