/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_CHANNEL_FIXTURE_H
#define STASIS_TESTS_CHANNEL_FIXTURE_H

/* channel_fixture.h — watches keep what is published on a topic; snapshots are compared as text */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <stasis/stasis.h>

#define WATCH_MAX 64
#define DESCRIPTION_MAX 512

/* A subscription that is run by whoever looks what it has got. */
struct watch {
	struct stasis_executor *executor;
	struct stasis_subscription *sub;
	struct stasis_message *messages[WATCH_MAX]; /* with a reference each, but no changes */
	size_t n;
};

static inline void watch_callback(void *data, struct stasis_subscription *sub,
				  struct stasis_topic *topic, struct stasis_message *message)
{
	struct watch *watch = data;

	(void)sub;
	(void)topic;
	if (stasis_message_type(message) == stasis_subscription_change_type())
		return;
	if (watch->n < WATCH_MAX)
		watch->messages[watch->n] = stasis_object_ref(message);
	watch->n++;
}

static inline void watch_open(struct watch *watch, struct stasis_topic *topic)
{
	struct stasis_subscribe_options options = { 0 };

	*watch = (struct watch){ .executor = stasis_executor_create(
					 &(struct stasis_executor_options){
						 .wait = STASIS_WAIT_MANUAL }) };
	cr_assert_not_null(watch->executor);
	options.executor = watch->executor;
	watch->sub = stasis_subscribe_with(topic, watch_callback, watch, &options);
	cr_assert_not_null(watch->sub);
}

/* How many messages have come. */
static inline size_t seen(struct watch *watch)
{
	cr_assert_eq(stasis_executor_drain(watch->executor), 0);
	return watch->n;
}

static inline void watch_close(struct watch *watch)
{
	stasis_unsubscribe_and_join(watch->sub);
	stasis_executor_shutdown(watch->executor);
	cr_assert_leq(watch->n, WATCH_MAX);
	for (size_t i = 0; i < watch->n; i++)
		stasis_object_unref(watch->messages[i]);
}

static inline const struct stasis_channel_snapshot *snapshot_of(struct stasis_message *message)
{
	cr_assert_not_null(message);
	cr_assert_eq(stasis_message_type(message), stasis_channel_snapshot_type());
	return stasis_message_data(message);
}

static inline const struct stasis_channel_snapshot *watch_snapshot(struct watch *watch, size_t i)
{
	cr_assert_lt(i, seen(watch), "only %zu messages", watch->n);
	return snapshot_of(watch->messages[i]);
}

/* All of a snapshot, save for the time. */
static inline const char *describe(const struct stasis_channel_snapshot *s, char *text)
{
	snprintf(text, DESCRIPTION_MAX, "%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%d|%d", s->uniqueid,
		 s->name, stasis_channel_state_name(s->state), s->caller_name, s->caller_number,
		 s->connected_name, s->connected_number, s->accountcode, s->language, s->context,
		 s->exten, s->priority, s->hangupcause);
	return text;
}

static inline void check_snapshot(const struct stasis_channel_snapshot *snapshot,
				  const char *expected)
{
	char text[DESCRIPTION_MAX];

	cr_assert_str_eq(describe(snapshot, text), expected, "%s", text);
}

/* What the channel is like now. */
static inline void check_channel(struct stasis_channel *chan, const char *expected)
{
	struct stasis_channel_snapshot *snapshot = stasis_channel_snapshot_create(chan);

	cr_assert_not_null(snapshot);
	check_snapshot(snapshot, expected);
	stasis_object_unref(snapshot);
}

/* The cached snapshot, or NULL; the caller gets a reference to the message. */
static inline struct stasis_message *cached(const char *uniqueid)
{
	return stasis_cache_get(stasis_channel_cache(), stasis_channel_snapshot_type(), uniqueid);
}

static inline void check_cached(const char *uniqueid, const char *expected)
{
	struct stasis_message *message = cached(uniqueid);

	check_snapshot(snapshot_of(message), expected);
	stasis_object_unref(message);
}

/* Compares a value, which is consumed, with a text. */
static inline void check_json(json_t *value, const char *expected)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	cr_assert_not_null(text);
	cr_assert_str_eq(text, expected, "%s", text);
	free(text);
	json_decref(value);
}

#endif
