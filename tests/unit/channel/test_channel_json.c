/* SPDX-License-Identifier: BSD-2-Clause */
/* test_channel_json.c — the JSON forms of snapshots and blobs, field by field */

#include <stdlib.h>
#include <time.h>

#include "channel_fixture.h"

#define FFFD "\xef\xbf\xbd"

/* Takes a time out of an object, and looks what it looks like; that it is this one, unless NULL. */
static void take_time(json_t *object, const char *key, const struct timeval *time)
{
	const char *text = json_string_value(json_object_get(object, key));
	char expected[64];
	struct tm tm;

	cr_assert_not_null(text, "%s", key);
	cr_assert_eq(strlen(text), strlen("2013-04-05T06:07:08.091+00:00"), "%s", text);
	gmtime_r(&time->tv_sec, &tm);
	strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &tm);
	cr_assert_eq(strncmp(text, expected, strlen(expected)), 0, "%s, %s", text, expected);
	snprintf(expected, sizeof(expected), ".%03d+00:00", (int)(time->tv_usec / 1000));
	cr_assert_str_eq(text + strlen("2013-04-05T06:07:08"), expected);
	cr_assert_eq(json_object_del(object, key), 0);
}

static struct stasis_channel *full_channel(void)
{
	struct stasis_channel *chan = stasis_channel_create("1700.1", "SIP/a-1");

	cr_assert_not_null(chan);
	stasis_channel_set_state(chan, STASIS_CHANNEL_DIALING_OFFHOOK);
	stasis_channel_set_caller(chan, "J\xc3\xbcrgen", "100");
	stasis_channel_set_connected(chan, "B\"ob", "200");
	stasis_channel_set_account(chan, "acc");
	stasis_channel_set_language(chan, "de");
	stasis_channel_set_position(chan, "default", "s", 3);
	stasis_channel_set_hangup_cause(chan, 16);
	return chan;
}

#define FULL_CHANNEL                                                                               \
	"{\"accountcode\":\"acc\",\"caller\":{\"name\":\"J\xc3\xbcrgen\",\"number\":\"100\"},"     \
	"\"connected\":{\"name\":\"B\\\"ob\",\"number\":\"200\"},"                                 \
	"\"dialplan\":{\"context\":\"default\",\"exten\":\"s\",\"priority\":3},"                   \
	"\"hangupcause\":16,\"id\":\"1700.1\",\"language\":\"de\",\"name\":\"SIP/a-1\","           \
	"\"state\":\"Dialing Offhook\"}"

Test(channel_json, snapshot)
{
	struct stasis_channel *chan = full_channel();
	struct stasis_channel_snapshot *snapshot = stasis_channel_snapshot_create(chan);
	json_t *json = stasis_channel_snapshot_to_json(snapshot);

	take_time(json, "creationtime", &snapshot->creationtime);
	check_json(json, FULL_CHANNEL);
	stasis_object_unref(snapshot);
	stasis_object_unref(chan);
	errno = 0;
	cr_assert_null(stasis_channel_snapshot_to_json(NULL));
	cr_assert_eq(errno, EINVAL);
}

Test(channel_json, what_is_not_set_is_empty)
{
	struct stasis_channel *chan = stasis_channel_create("1", "n");
	struct stasis_channel_snapshot *snapshot = stasis_channel_snapshot_create(chan);
	json_t *json = stasis_channel_snapshot_to_json(snapshot);

	take_time(json, "creationtime", &snapshot->creationtime);
	check_json(json, "{\"accountcode\":\"\",\"caller\":{\"name\":\"\",\"number\":\"\"},"
			 "\"connected\":{\"name\":\"\",\"number\":\"\"},"
			 "\"dialplan\":{\"context\":\"\",\"exten\":\"\",\"priority\":0},"
			 "\"hangupcause\":0,\"id\":\"1\",\"language\":\"\",\"name\":\"n\","
			 "\"state\":\"Down\"}");
	stasis_object_unref(snapshot);
	stasis_object_unref(chan);
}

Test(channel_json, message_of_a_snapshot)
{
	struct stasis_channel *chan = full_channel();
	struct stasis_message *message = cached("1700.1");
	json_t *json = stasis_message_to_json(message);

	take_time(json, "timestamp", stasis_message_timestamp(message));
	take_time(json_object_get(json, "channel"), "creationtime",
		  &snapshot_of(message)->creationtime);
	check_json(json, "{\"channel\":" FULL_CHANNEL ",\"type\":\"stasis_channel_snapshot\"}");
	stasis_object_unref(message);
	stasis_object_unref(chan);
}

Test(channel_json, cache_update)
{
	struct stasis_channel *chan;
	struct watch updates;
	json_t *json;

	watch_open(&updates, stasis_caching_get_topic(stasis_channel_topic_all_cached()));
	chan = stasis_channel_create("1", "n");
	cr_assert_eq(seen(&updates), 1);
	json = stasis_message_to_json(updates.messages[0]);
	cr_assert(json_is_null(json_object_get(json, "old")));
	cr_assert_str_eq(json_string_value(json_object_get(
				 json_object_get(json_object_get(json, "new"), "channel"), "id")),
			 "1");
	json_decref(json);
	watch_close(&updates);
	stasis_object_unref(chan);
}

Test(channel_json, bytes_that_are_no_utf8_are_replaced)
{
	struct stasis_channel *chan = stasis_channel_create("\xff", "a\xc3");
	struct stasis_channel_snapshot *snapshot;
	json_t *json;

	stasis_channel_set_caller(chan, "\xed\xa0\x80", "\xc0\x80");
	stasis_channel_set_connected(chan, "\xf4\x90\x80\x80", "\xe2\x82");
	stasis_channel_set_account(chan, "\x80");
	stasis_channel_set_language(chan, "d\xfe" "e");
	stasis_channel_set_position(chan, "\xe2\x82\xac\xff", "\xf0\x9f\x98\x80", 1);
	snapshot = stasis_channel_snapshot_create(chan);
	json = stasis_channel_snapshot_to_json(snapshot);
	cr_assert_eq(json_object_del(json, "creationtime"), 0);
	check_json(json,
		   "{\"accountcode\":\"" FFFD "\",\"caller\":{\"name\":\"" FFFD FFFD FFFD
		   "\",\"number\":\"" FFFD FFFD "\"},\"connected\":{\"name\":\"" FFFD FFFD FFFD FFFD
		   "\",\"number\":\"" FFFD FFFD "\"},\"dialplan\":{\"context\":\"\xe2\x82\xac" FFFD
		   "\",\"exten\":\"\xf0\x9f\x98\x80\",\"priority\":1},\"hangupcause\":0,"
		   "\"id\":\"" FFFD "\",\"language\":\"d" FFFD "e\",\"name\":\"a" FFFD
		   "\",\"state\":\"Down\"}");
	stasis_object_unref(snapshot);
	stasis_object_unref(chan);
	cr_assert_null(cached("\xff"));
}

/* --- blobs --- */

static json_t *blob_to_json(struct stasis_channel *chan, const char *text,
			    struct stasis_message **messagep)
{
	struct stasis_message_type *type = stasis_channel_blob_type_create("var");
	json_t *blob = json_loads(text, 0, NULL), *json;

	*messagep = stasis_channel_blob_create(chan, type, blob);
	cr_assert_not_null(*messagep);
	json = stasis_message_to_json(*messagep);
	cr_assert_not_null(json);
	stasis_object_unref(type);
	json_decref(blob);
	return json;
}

Test(channel_json, blob)
{
	struct stasis_channel *chan = full_channel();
	struct stasis_message *message;
	json_t *json = blob_to_json(chan, "{\"type\":\"set\",\"list\":[1,{\"a\":null}]}", &message);
	const struct stasis_channel_blob *blob = stasis_message_data(message);

	take_time(json, "timestamp", stasis_message_timestamp(message));
	take_time(json_object_get(json, "channel"), "creationtime", &blob->snapshot->creationtime);
	json_object_set_new(json_array_get(json_object_get(json, "list"), 1), "a", json_true());
	check_json(json, "{\"channel\":" FULL_CHANNEL ",\"list\":[1,{\"a\":true}],"
			 "\"type\":\"set\"}");
	/* The form is the caller's, and the message as it was. */
	check_json(json_deep_copy(blob->blob), "{\"list\":[1,{\"a\":null}],\"type\":\"set\"}");
	stasis_object_unref(message);
	stasis_object_unref(chan);
}

Test(channel_json, blob_of_no_channel)
{
	struct stasis_message *message;
	json_t *json = blob_to_json(NULL, "{\"type\":\"set\"}", &message);

	take_time(json, "timestamp", stasis_message_timestamp(message));
	check_json(json, "{\"channel\":null,\"type\":\"set\"}");
	stasis_object_unref(message);
}

Test(channel_json, members_of_a_blob_with_reserved_names_give_way)
{
	struct stasis_message *message;
	json_t *json = blob_to_json(NULL, "{\"type\":\"set\",\"channel\":1,\"timestamp\":2}",
				    &message);

	take_time(json, "timestamp", stasis_message_timestamp(message));
	check_json(json, "{\"channel\":null,\"type\":\"set\"}");
	stasis_object_unref(message);
}

/* --- several channels --- */

static struct stasis_message *multi_message(const char *text, const char *const *roles, size_t n)
{
	struct stasis_message_type *type = stasis_multi_channel_blob_type_create("di\xff" "al");
	json_t *json = json_loads(text, 0, NULL);
	struct stasis_multi_channel_blob *blob = stasis_multi_channel_blob_create(json);
	struct stasis_message *message;

	cr_assert_not_null(blob);
	for (size_t i = 0; i < n; i++) {
		char uniqueid[] = { (char)('1' + i), '\0' };
		struct stasis_channel *chan = stasis_channel_create(uniqueid, "n");
		struct stasis_channel_snapshot *snapshot = stasis_channel_snapshot_create(chan);

		cr_assert_eq(stasis_multi_channel_blob_add_channel(blob, roles[i], snapshot), 0);
		stasis_object_unref(snapshot);
		stasis_object_unref(chan);
	}
	message = stasis_message_create(type, blob);
	stasis_object_unref(blob);
	json_decref(json);
	stasis_object_unref(type);
	return message;
}

static const char *id_at(json_t *json, const char *role, size_t i)
{
	json_t *array = json_object_get(json_object_get(json, "channels"), role);

	return json_string_value(json_object_get(json_array_get(array, i), "id"));
}

Test(channel_json, multi_channel_blob)
{
	static const char *const roles[] = { "peer", "caller", "peer", "\xff" };
	struct stasis_message *message = multi_message("{\"status\":\"BUSY\"}", roles, 4);
	json_t *json = stasis_message_to_json(message), *peer;

	take_time(json, "timestamp", stasis_message_timestamp(message));
	cr_assert_str_eq(id_at(json, "peer", 0), "1");
	cr_assert_str_eq(id_at(json, "caller", 0), "2");
	cr_assert_str_eq(id_at(json, "peer", 1), "3");
	cr_assert_str_eq(id_at(json, FFFD, 0), "4");
	peer = json_object_get(json_object_get(json, "channels"), "peer");
	cr_assert_eq(json_array_size(peer), 2);
	cr_assert_eq(json_object_size(json_array_get(peer, 0)), 10);
	cr_assert_eq(json_object_size(json_object_get(json, "channels")), 3);
	cr_assert_eq(json_object_del(json, "channels"), 0);
	check_json(json, "{\"status\":\"BUSY\",\"type\":\"di" FFFD "al\"}");
	stasis_object_unref(message);
}

Test(channel_json, multi_channel_blob_with_a_type_of_its_own_and_reserved_names)
{
	struct stasis_message *message = multi_message(
		"{\"type\":\"mine\",\"channels\":1,\"timestamp\":2}", NULL, 0);
	json_t *json = stasis_message_to_json(message);

	take_time(json, "timestamp", stasis_message_timestamp(message));
	check_json(json, "{\"channels\":{},\"type\":\"mine\"}");
	stasis_object_unref(message);
}
