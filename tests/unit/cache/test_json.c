/* SPDX-License-Identifier: BSD-2-Clause */
/* test_json.c — an update as JSON */

#include <jansson.h>
#include <time.h>

#include "cache_fixture.h"

static struct json_t *value_to_json(const struct stasis_message *message)
{
	const struct snap *snap = stasis_message_data(message);

	if (snap->version == 99)
		return NULL;
	return json_pack("{s:s, s:I}", "id", snap->id, "version", (json_int_t)snap->version);
}

static struct stasis_message_type *value_type;

static const char *value_id(struct stasis_message *message)
{
	const struct stasis_message_type *type = stasis_message_type(message);

	if (type != value_type && type != snap_type())
		return NULL;
	return ((const struct snap *)stasis_message_data(message))->id;
}

struct forms {
	json_t *json[8];
	struct timeval times[8];
	size_t n;
};

static void take_form(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		      struct stasis_message *message)
{
	struct forms *forms = data;

	if (stasis_message_type(message) != stasis_cache_update_type())
		return;
	forms->times[forms->n] = *stasis_message_timestamp(message);
	forms->json[forms->n++] = stasis_message_to_json(message);
}

/* Publishes a value, another in its place, and a clear. */
static void publish_values(struct stasis_topic *topic, struct stasis_message_type *type,
			   uint64_t first, uint64_t second)
{
	struct stasis_message *snapshot = snap_message(type, "a", first);

	stasis_publish(topic, snapshot);
	stasis_publish_take(topic, snap_message(type, "a", second));
	stasis_publish_take(topic, stasis_cache_clear_create(snapshot));
	stasis_object_unref(snapshot);
}

static struct forms forms_of(struct stasis_message_type *type, uint64_t first, uint64_t second)
{
	struct stasis_topic *topic = stasis_topic_create("values");
	struct stasis_cache *cache = stasis_cache_create(value_id);
	struct stasis_caching_topic *caching = stasis_caching_topic_create(topic, cache);
	struct forms forms = { 0 };
	struct stasis_subscription *sub = stasis_subscribe(stasis_caching_get_topic(caching),
							   take_form, &forms);

	publish_values(topic, type, first, second);
	stasis_unsubscribe_and_join(sub);
	stasis_caching_unsubscribe(caching);
	stasis_object_unref(cache);
	stasis_object_unref(topic);
	cr_assert_eq(forms.n, 3);
	return forms;
}

static void expect_side(const json_t *json, const char *key, uint64_t version)
{
	const json_t *side = json_object_get(json, key);

	cr_assert_not_null(side, "no \"%s\"", key);
	if (version == 0) {
		cr_assert(json_is_null(side));
		return;
	}
	cr_assert_str_eq(json_string_value(json_object_get(side, "id")), "a");
	cr_assert_eq(json_integer_value(json_object_get(side, "version")), (json_int_t)version);
}

static void expect_form(const struct forms *forms, size_t i, const char *type, uint64_t old,
			uint64_t new)
{
	const json_t *json = forms->json[i];

	cr_assert_not_null(json);
	cr_assert(json_is_object(json));
	cr_assert_eq(json_object_size(json), 5);
	cr_assert_str_eq(json_string_value(json_object_get(json, "type")), "stasis_cache_update");
	cr_assert_str_eq(json_string_value(json_object_get(json, "snapshot_type")), type);
	cr_assert_not_null(json_object_get(json, "timestamp"));
	expect_side(json, "old", old);
	expect_side(json, "new", new);
}

static void forms_free(struct forms *forms)
{
	for (size_t i = 0; i < forms->n; i++)
		json_decref(forms->json[i]);
}

Test(json, of_an_update_has_type_time_and_both_snapshots)
{
	struct forms forms;

	value_type = stasis_message_type_create_with(
		"value", &(struct stasis_message_vtable){ .to_json = value_to_json });
	forms = forms_of(value_type, 1, 2);
	expect_form(&forms, 0, "value", 0, 1);
	expect_form(&forms, 1, "value", 1, 2);
	expect_form(&forms, 2, "value", 2, 0);
	forms_free(&forms);
	stasis_object_unref(value_type);
}

Test(json, of_snapshots_without_a_form_is_null)
{
	struct forms forms = forms_of(snap_type(), 1, 2);

	for (size_t i = 0; i < 3; i++)
		expect_form(&forms, i, "snap", 0, 0);
	forms_free(&forms);
}

Test(json, of_a_snapshot_that_fails_is_none)
{
	struct forms forms;

	value_type = stasis_message_type_create_with(
		"value", &(struct stasis_message_vtable){ .to_json = value_to_json });
	forms = forms_of(value_type, 99, 2);
	cr_assert_null(forms.json[0]);
	cr_assert_null(forms.json[1]);
	expect_form(&forms, 2, "value", 2, 0);
	forms_free(&forms);
	stasis_object_unref(value_type);
}

/* The same form of a time wherever there is one. */
Test(json, of_an_update_tells_its_time_as_other_messages_do)
{
	struct forms forms = forms_of(snap_type(), 1, 2);
	const json_t *time = json_object_get(forms.json[0], "timestamp");
	const char *text = json_string_value(time);
	char year[8];

	cr_assert_not_null(text);
	strftime(year, sizeof(year), "%Y-", localtime(&forms.times[0].tv_sec));
	cr_assert_eq(strncmp(text, year, 5), 0, "%s", text);
	cr_assert_not_null(strchr(text, 'T'));
	forms_free(&forms);
}
