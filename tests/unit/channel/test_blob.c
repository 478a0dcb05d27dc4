/* SPDX-License-Identifier: BSD-2-Clause */
/* test_blob.c — JSON objects with a channel's snapshot, or with those of several */

#include "channel_fixture.h"

static json_t *made(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	cr_assert_not_null(value);
	return value;
}

Test(channel_blob, has_the_snapshot_of_its_moment_and_a_copy_of_the_json)
{
	struct stasis_message_type *type = stasis_channel_blob_type_create("var");
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	json_t *json = made("{\"type\":\"set\",\"deep\":[{\"a\":1}]}");
	const struct stasis_channel_blob *blob;
	struct stasis_message *message;

	message = stasis_channel_blob_create(chan, type, json);
	cr_assert_not_null(message);
	cr_assert_eq(stasis_message_type(message), type);
	cr_assert_eq(json->refcount, 1);
	stasis_channel_set_hangup_cause(chan, 1);
	json_object_set_new(json, "type", json_string("changed"));
	json_object_set_new(json_array_get(json_object_get(json, "deep"), 0), "a", json_true());
	json_decref(json);
	stasis_object_unref(chan);
	blob = stasis_message_data(message);
	check_snapshot(blob->snapshot, "7|n|Down|||||||||0|0");
	cr_assert_str_eq(stasis_channel_blob_json_type(blob), "set");
	check_json(json_deep_copy(blob->blob), "{\"deep\":[{\"a\":1}],\"type\":\"set\"}");
	stasis_object_unref(message);
	stasis_object_unref(type);
}

Test(channel_blob, is_published_like_any_message_and_not_cached)
{
	struct stasis_message_type *type = stasis_message_type_create("any type will do");
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	json_t *json = made("{\"type\":\"set\"}");
	struct stasis_message *message = stasis_channel_blob_create(chan, type, json);
	struct stasis_message *before = cached("7"), *after;
	struct watch all;

	watch_open(&all, stasis_channel_topic_all());
	cr_assert_eq(stasis_publish(stasis_channel_topic(chan), message), 0);
	cr_assert_eq(seen(&all), 1);
	cr_assert_eq(all.messages[0], message);
	after = cached("7");
	cr_assert_eq(after, before);
	stasis_object_unref(after);
	stasis_object_unref(before);
	stasis_object_unref(message);
	watch_close(&all);
	stasis_object_unref(chan);
	json_decref(json);
	stasis_object_unref(type);
}

Test(channel_blob, may_be_of_no_channel)
{
	struct stasis_message_type *type = stasis_channel_blob_type_create("var");
	json_t *json = made("{\"type\":\"\"}");
	struct stasis_message *message = stasis_channel_blob_create(NULL, type, json);
	const struct stasis_channel_blob *blob = stasis_message_data(message);

	cr_assert_not_null(blob);
	cr_assert_null(blob->snapshot);
	cr_assert_str_eq(stasis_channel_blob_json_type(blob), "");
	stasis_object_unref(message);
	json_decref(json);
	stasis_object_unref(type);
}

Test(channel_blob, needs_a_type_and_an_object_that_names_one)
{
	static const char *const wrong[] = {
		"{}", "{\"type\":1}", "{\"type\":null}", "[]", "\"type\"", "{\"Type\":\"x\"}",
	};
	struct stasis_message_type *type = stasis_message_type_create("var");
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	json_t *json;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json = made(wrong[i]);
		errno = 0;
		cr_assert_null(stasis_channel_blob_create(chan, type, json), "%s", wrong[i]);
		cr_assert_eq(errno, EINVAL);
		json_decref(json);
	}
	errno = 0;
	cr_assert_null(stasis_channel_blob_create(chan, type, NULL));
	cr_assert_eq(errno, EINVAL);
	json = made("{\"type\":\"x\"}");
	errno = 0;
	cr_assert_null(stasis_channel_blob_create(chan, NULL, json));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_channel_blob_json_type(NULL));
	cr_assert_eq(errno, EINVAL);
	json_decref(json);
	stasis_object_unref(chan);
	stasis_object_unref(type);
}

Test(channel_blob, types_need_a_name)
{
	errno = 0;
	cr_assert_null(stasis_channel_blob_type_create(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_multi_channel_blob_type_create(""));
	cr_assert_eq(errno, EINVAL);
}

/* --- several channels --- */

Test(multi_channel_blob, finds_channels_by_their_roles)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct stasis_channel_snapshot *a = stasis_channel_snapshot_create(chan), *b, *c;
	struct stasis_channel_snapshot *found[3] = { NULL, NULL, NULL };
	struct stasis_multi_channel_blob *blob;
	json_t *json = made("{\"status\":\"ANSWER\"}");
	char role[] = "peer";

	stasis_channel_set_hangup_cause(chan, 1);
	b = stasis_channel_snapshot_create(chan);
	stasis_channel_set_hangup_cause(chan, 2);
	c = stasis_channel_snapshot_create(chan);
	stasis_object_unref(chan);
	blob = stasis_multi_channel_blob_create(json);
	cr_assert_not_null(blob);
	cr_assert_eq(json->refcount, 1);
	json_object_clear(json);
	cr_assert_null(stasis_multi_channel_blob_get_channel(blob, "peer"));
	cr_assert_eq(stasis_multi_channel_blob_get_channels(blob, "peer", NULL, 0), 0);
	cr_assert_eq(stasis_multi_channel_blob_add_channel(blob, role, a), 0);
	role[0] = '?'; /* it has been copied */
	cr_assert_eq(stasis_multi_channel_blob_add_channel(blob, "", b), 0);
	cr_assert_eq(stasis_multi_channel_blob_add_channel(blob, "peer", c), 0);
	cr_assert_eq(stasis_multi_channel_blob_get_channel(blob, "peer"), a);
	cr_assert_eq(stasis_multi_channel_blob_get_channel(blob, ""), b);
	errno = 0;
	cr_assert_null(stasis_multi_channel_blob_get_channel(blob, "caller"));
	cr_assert_eq(errno, 0);
	cr_assert_eq(stasis_multi_channel_blob_get_channels(blob, "peer", NULL, 0), 2);
	cr_assert_eq(stasis_multi_channel_blob_get_channels(blob, "peer", found, 1), 2);
	cr_assert_eq(found[0], a);
	cr_assert_null(found[1]);
	cr_assert_eq(stasis_multi_channel_blob_get_channels(blob, "peer", found, 3), 2);
	cr_assert_eq(found[0], a);
	cr_assert_eq(found[1], c);
	cr_assert_null(found[2]);
	check_json(json_deep_copy(stasis_multi_channel_blob_get_json(blob)),
		   "{\"status\":\"ANSWER\"}");
	stasis_object_unref(a);
	stasis_object_unref(b);
	stasis_object_unref(c);
	check_snapshot(stasis_multi_channel_blob_get_channel(blob, "peer"),
		       "7|n|Down|||||||||0|0");
	stasis_object_unref(blob);
	json_decref(json);
}

Test(multi_channel_blob, has_references_of_its_own)
{
	/* Not of a channel, whose cache may have more. */
	struct stasis_channel_snapshot *snapshot = stasis_object_alloc(sizeof(*snapshot), NULL);
	json_t *json = made("{}");
	struct stasis_multi_channel_blob *blob = stasis_multi_channel_blob_create(json);

	cr_assert_eq(stasis_multi_channel_blob_add_channel(blob, "a", snapshot), 0);
	cr_assert_eq(stasis_multi_channel_blob_add_channel(blob, "b", snapshot), 0);
	cr_assert_eq(stasis_object_refs(snapshot), 3);
	stasis_object_unref(blob);
	cr_assert_eq(stasis_object_refs(snapshot), 1);
	stasis_object_unref(snapshot);
	json_decref(json);
}

Test(multi_channel_blob, is_the_data_of_a_message)
{
	struct stasis_message_type *type = stasis_multi_channel_blob_type_create("dial");
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct stasis_channel_snapshot *snapshot = stasis_channel_snapshot_create(chan);
	json_t *json = made("{}");
	struct stasis_multi_channel_blob *blob = stasis_multi_channel_blob_create(json);
	struct stasis_message *message;
	struct watch all;

	cr_assert_eq(stasis_multi_channel_blob_add_channel(blob, "peer", snapshot), 0);
	message = stasis_message_create(type, blob);
	stasis_object_unref(blob);
	watch_open(&all, stasis_channel_topic_all());
	cr_assert_eq(stasis_publish_take(stasis_channel_topic(chan), message), 0);
	cr_assert_eq(seen(&all), 1);
	blob = stasis_message_data(all.messages[0]);
	cr_assert_eq(stasis_multi_channel_blob_get_channel(blob, "peer"), snapshot);
	watch_close(&all);
	stasis_object_unref(snapshot);
	stasis_object_unref(chan);
	json_decref(json);
	stasis_object_unref(type);
}

Test(multi_channel_blob, wrong_arguments_are_refused)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct stasis_channel_snapshot *snapshot = stasis_channel_snapshot_create(chan);
	json_t *json = made("{}"), *array = made("[]");
	struct stasis_multi_channel_blob *blob = stasis_multi_channel_blob_create(json);

	errno = 0;
	cr_assert_null(stasis_multi_channel_blob_create(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_multi_channel_blob_create(array));
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(stasis_multi_channel_blob_add_channel(NULL, "r", snapshot), -EINVAL);
	cr_assert_eq(stasis_multi_channel_blob_add_channel(blob, NULL, snapshot), -EINVAL);
	cr_assert_eq(stasis_multi_channel_blob_add_channel(blob, "r", NULL), -EINVAL);
	errno = 0;
	cr_assert_null(stasis_multi_channel_blob_get_channel(NULL, "r"));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_multi_channel_blob_get_channel(blob, NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_eq(stasis_multi_channel_blob_get_channels(blob, "r", NULL, 1), 0);
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_eq(stasis_multi_channel_blob_get_channels(NULL, "r", NULL, 0), 0);
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_multi_channel_blob_get_json(NULL));
	cr_assert_eq(errno, EINVAL);
	stasis_object_unref(blob);
	stasis_object_unref(snapshot);
	stasis_object_unref(chan);
	json_decref(json);
	json_decref(array);
}

/* --- depth: what recursion is made of --- */

/* An object that is so many arrays and objects deep. */
static json_t *deep(unsigned depth)
{
	json_t *value = json_array(), *object = json_object();

	for (; depth > 2; depth--) {
		json_t *outer = json_array();

		json_array_append_new(outer, value);
		value = outer;
	}
	json_object_set_new(object, "type", json_string("deep"));
	json_object_set_new(object, "value", value);
	return object;
}

static void check_depth(json_t *json, bool taken)
{
	struct stasis_message_type *type = stasis_channel_blob_type_create("deep");
	struct stasis_multi_channel_blob *multi;
	struct stasis_message *message;

	errno = 0;
	message = stasis_channel_blob_create(NULL, type, json);
	cr_assert_eq(message != NULL, taken);
	cr_assert_eq(errno, taken ? 0 : EINVAL);
	if (taken)
		json_decref(stasis_message_to_json(message));
	errno = 0;
	multi = stasis_multi_channel_blob_create(json);
	cr_assert_eq(multi != NULL, taken);
	cr_assert_eq(errno, taken ? 0 : EINVAL);
	stasis_object_unref(multi);
	stasis_object_unref(message);
	stasis_object_unref(type);
}

Test(channel_blob, takes_what_is_as_deep_as_the_limit_and_no_deeper)
{
	static const unsigned depths[] = { 2, 2047, 2048, 2049, 20000 };

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		json_t *json = deep(depths[i]);

		check_depth(json, depths[i] <= STASIS_JSON_DEPTH_MAX);
		json_decref(json);
	}
}

Test(channel_blob, that_contains_itself_is_refused)
{
	json_t *outer = made("{\"type\":\"deep\"}"), *inner = made("{\"a\":1}");

	json_object_set(outer, "in", inner);
	json_object_set(inner, "out", outer);
	json_object_set(inner, "again", outer);
	check_depth(outer, false);
	json_object_clear(inner);
	json_decref(inner);
	json_decref(outer);
}
