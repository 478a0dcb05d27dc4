/* SPDX-License-Identifier: BSD-2-Clause */
/* test_channels.c — channels, blobs and JSON by their older names */

#include "asterisk.h"

#include <errno.h>
#include <string.h>

#include "asterisk/astobj2.h"
#include "asterisk/json.h"
#include "asterisk/module.h"
#include "asterisk/stasis.h"
#include "asterisk/stasis_channels.h"
#include "asterisk/stasis_message_router.h"

#include "check.h"
#include "tally.h"

ASTERISK_FILE_VERSION(__FILE__, "$Revision$")

static struct stasis_message_type *var_set_type;

/* --- what is published --- */

static void publish_var_set(struct ast_channel *chan, const char *name, const char *value)
{
	RAII_VAR(struct ast_json *, blob, NULL, ast_json_unref);
	RAII_VAR(struct stasis_message *, msg, NULL, ao2_cleanup);

	blob = ast_json_pack("{s: s, s: s, s: s}", "type", "varset", "variable", name, "value",
			     value);
	CHECK(blob != NULL);
	msg = ast_channel_blob_create(chan, var_set_type, blob);
	CHECK(msg != NULL);
	stasis_publish(ast_channel_topic(chan), msg);
}

static void var_set(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct ast_channel_blob *obj = stasis_message_data(message);
	struct ast_json *value = ast_json_object_get(obj->blob, "value");

	(void)data;
	(void)sub;
	CHECK(topic == ast_channel_topic_all());
	CHECK(strcmp(ast_channel_blob_json_type(obj), "varset") == 0);
	CHECK(strcmp(ast_json_string_get(value), "42") == 0);
	CHECK(strcmp(obj->snapshot->uniqueid, "1.1") == 0);
	CHECK(obj->snapshot->state == AST_STATE_UP);
	tally_add(BAR_WHATEVER);
}

static void updated(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct stasis_cache_update *update = stasis_message_data(message);
	struct ast_channel_snapshot *snapshot;

	(void)data;
	(void)sub;
	(void)topic;
	if (update->new_snapshot != NULL) {
		CHECK(stasis_message_type(update->new_snapshot) == ast_channel_snapshot_type());
		snapshot = stasis_message_data(update->new_snapshot);
		CHECK(strcmp(snapshot->name, "SIP/alice-1") == 0);
		tally_add(BAR_FOO);
	} else {
		snapshot = stasis_message_data(update->old_snapshot);
		CHECK(strcmp(ast_state2str(snapshot->state), "Up") == 0);
		tally_add(FOO_DESTROYED);
	}
}

static void test_channels(void)
{
	struct stasis_message_router *all = stasis_message_router_create(ast_channel_topic_all());
	struct stasis_message_router *cached = stasis_message_router_create(
		stasis_caching_get_topic(ast_channel_topic_all_cached()));
	struct ast_channel *chan;

	CHECK(all != NULL && cached != NULL);
	CHECK(stasis_message_router_add(all, var_set_type, var_set, NULL) == 0);
	CHECK(stasis_message_router_add_cache_update(cached, ast_channel_snapshot_type(), updated,
						     NULL) == 0);
	chan = stasis_channel_create("1.1", "SIP/alice-1");
	CHECK(chan != NULL);
	ast_channel_stage_snapshot(chan);
	CHECK(stasis_channel_set_state(chan, AST_STATE_UP) == 0);
	CHECK(stasis_channel_set_caller(chan, "Alice", "100") == 0);
	ast_channel_stage_snapshot_done(chan);
	ast_channel_publish_snapshot(chan);
	publish_var_set(chan, "ANSWER", "42");
	ao2_cleanup(chan);
	stasis_message_router_unsubscribe_and_join(all);
	stasis_message_router_unsubscribe_and_join(cached);
	CHECK(tally_get(BAR_WHATEVER) == 1);
	CHECK(tally_get(BAR_FOO) == 3);
	CHECK(tally_get(FOO_DESTROYED) == 1);
}

static void test_snapshot(void)
{
	RAII_VAR(struct ast_channel *, chan, stasis_channel_create("2.1", "n"), ao2_cleanup);
	RAII_VAR(struct ast_channel_snapshot *, snapshot, NULL, ao2_cleanup);
	RAII_VAR(struct stasis_message *, msg, NULL, ao2_cleanup);
	RAII_VAR(struct ast_json *, json, NULL, ast_json_unref);
	enum ast_channel_state state = AST_STATE_RINGING;

	CHECK(stasis_channel_set_state(chan, state) == 0);
	snapshot = ast_channel_snapshot_create(chan);
	CHECK(snapshot != NULL && snapshot->state == AST_STATE_RINGING);
	msg = stasis_message_create(ast_channel_snapshot_type(), snapshot);
	CHECK(msg != NULL && stasis_message_data(msg) == snapshot);
	json = ast_channel_snapshot_to_json(snapshot);
	CHECK(strcmp(ast_json_string_get(ast_json_object_get(json, "state")), "Ringing") == 0);
	CHECK(strcmp(ast_state2str((enum ast_channel_state)99), "Unknown") == 0);
}

static void test_multi_channel_blob(void)
{
	RAII_VAR(struct ast_channel *, chan, stasis_channel_create("3.1", "n"), ao2_cleanup);
	RAII_VAR(struct ast_channel_snapshot *, snapshot, ast_channel_snapshot_create(chan),
		 ao2_cleanup);
	RAII_VAR(struct ast_json *, blob, ast_json_pack("{s: s}", "dialstatus", "BUSY"),
		 ast_json_unref);
	RAII_VAR(struct ast_multi_channel_blob *, payload, NULL, ao2_cleanup);

	payload = ast_multi_channel_blob_create(blob);
	CHECK(payload != NULL);
	ast_multi_channel_blob_add_channel(payload, "caller", snapshot);
	CHECK(ast_multi_channel_blob_get_channel(payload, "caller") == snapshot);
	CHECK(ast_multi_channel_blob_get_channel(payload, "peer") == NULL);
	CHECK(ast_json_equal(ast_multi_channel_blob_get_json(payload), blob));
}

/* --- JSON --- */

static void test_json_values(void)
{
	struct ast_json *object = ast_json_object_create(), *array = ast_json_array_create();
	struct ast_json *string = ast_json_string_create("text");

	CHECK(ast_json_typeof(object) == AST_JSON_OBJECT);
	CHECK(ast_json_object_set(object, "string", ast_json_ref(string)) == 0);
	CHECK(ast_json_object_set(object, "integer", ast_json_integer_create(-5)) == 0);
	CHECK(ast_json_object_set(object, "none", NULL) == -1);
	CHECK(ast_json_object_size(object) == 2);
	CHECK(ast_json_object_get(object, "string") == string);
	CHECK(ast_json_string_set(string, "changed") == 0);
	CHECK(strcmp(ast_json_string_get(string), "changed") == 0);
	CHECK(ast_json_string_get(object) == NULL);
	CHECK(ast_json_integer_get(ast_json_object_get(object, "integer")) == -5);
	CHECK(ast_json_integer_set(ast_json_object_get(object, "integer"), 6) == 0);
	CHECK(ast_json_integer_get(ast_json_object_get(object, "integer")) == 6);
	CHECK(ast_json_object_del(object, "integer") == 0);
	CHECK(ast_json_object_get(object, "integer") == NULL);
	CHECK(ast_json_array_append(array, ast_json_true()) == 0);
	CHECK(ast_json_array_append(array, ast_json_null()) == 0);
	CHECK(ast_json_array_insert(array, 0, ast_json_boolean(0)) == 0);
	CHECK(ast_json_array_set(array, 2, ast_json_false()) == 0);
	CHECK(ast_json_array_size(array) == 3);
	CHECK(ast_json_is_false(ast_json_array_get(array, 0)));
	CHECK(ast_json_is_true(ast_json_array_get(array, 1)));
	CHECK(!ast_json_is_null(ast_json_array_get(array, 2)));
	CHECK(ast_json_array_remove(array, 0) == 0);
	CHECK(ast_json_array_get(array, 2) == NULL);
	CHECK(ast_json_object_update(object, array) == -1);
	ast_json_unref(string);
	ast_json_unref(object);
	ast_json_unref(array);
	ast_json_unref(NULL);
	CHECK(ast_json_ref(NULL) == NULL);
}

static void test_json_texts(void)
{
	struct ast_json_error error;
	struct ast_json *value = ast_json_load_string("{\"a\": [1, 2.5, null]}", &error), *copy;
	struct ast_json *formatted = ast_json_stringf("%s-%d", "x", 7);
	char *text = ast_json_dump_string(value);

	CHECK(value != NULL && text != NULL);
	CHECK(strcmp(text, "{\"a\":[1,2.5,null]}") == 0);
	ast_json_free(text);
	CHECK(strcmp(ast_json_string_get(formatted), "x-7") == 0);
	text = ast_json_dump_string_format(formatted, AST_JSON_PRETTY);
	CHECK(strcmp(text, "\"x-7\"") == 0);
	ast_json_free(text);
	ast_json_free(NULL);
	CHECK(ast_json_load_string("{\n]", &error) == NULL && error.line == 2);
	CHECK(ast_json_load_buf("[]x", 3, NULL) == NULL);
	copy = ast_json_load_buf("[]x", 2, &error);
	CHECK(ast_json_typeof(copy) == AST_JSON_ARRAY);
	ast_json_unref(copy);
	copy = ast_json_deep_copy(value);
	CHECK(copy != value && ast_json_equal(copy, value));
	CHECK(ast_json_real_get(ast_json_array_get(ast_json_object_get(copy, "a"), 1)) > 2.0);
	ast_json_object_set(copy, "b", ast_json_real_create(1));
	CHECK(!ast_json_equal(copy, value));
	ast_json_unref(copy);
	CHECK(ast_json_string_create("\xff") == NULL);
	CHECK(ast_json_pack("{s: o}", "key", NULL) == NULL);
	ast_json_unref(formatted);
	ast_json_unref(value);
}

/* --- the module --- */

static int load_module(void)
{
	var_set_type = stasis_channel_blob_type_create("ast_channel_varset");
	return var_set_type != NULL ? AST_MODULE_LOAD_SUCCESS : AST_MODULE_LOAD_FAILURE;
}

static int unload_module(void)
{
	ao2_cleanup(var_set_type);
	var_set_type = NULL;
	return 0;
}

AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_DEFAULT, "Variables of channels",
		.load = load_module, .unload = unload_module);

int main(void)
{
	CHECK(ast_modules_load() == 0);
	test_channels();
	test_snapshot();
	test_multi_channel_blob();
	test_json_values();
	test_json_texts();
	CHECK(ast_modules_unload() == 0);
	return 0;
}
