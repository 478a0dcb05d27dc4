/* SPDX-License-Identifier: BSD-2-Clause */
/* test_json.c — the JSON form of subscription changes */

#include <jansson.h>
#include <stdlib.h>

#include "bus_fixture.h"

struct forms {
	json_t *values[4];
	json_t *changes[4]; /* what they should be */
	size_t n;
};

static void keep_form(struct probe *probe, struct stasis_subscription *sub,
		      struct stasis_topic *topic, struct stasis_message *message)
{
	const struct stasis_subscription_change *change = stasis_message_data(message);
	struct forms *forms = probe->user;

	if (forms->n == 4)
		return;
	forms->changes[forms->n] =
		json_pack("{s:s, s:s, s:s, s:s}", "type", "stasis_subscription_change", "topic",
			  "a topic", "uniqueid", change->uniqueid, "description",
			  change->description);
	forms->values[forms->n++] = stasis_message_to_json(message);
}

/* Takes a member of an object out of it. */
static json_t *take(json_t *object, const char *key)
{
	json_t *value = json_incref(json_object_get(object, key));

	cr_assert_not_null(value, "%s", key);
	cr_assert_eq(json_object_del(object, key), 0);
	return value;
}

Test(bus_json, changes_name_the_topic_and_the_subscription)
{
	static const char *const descriptions[] = { "Subscribe", "Subscribe", "Unsubscribe",
						    "Unsubscribe" };
	struct forms forms = { .n = 0 };
	struct probe probe = { .on_any = keep_form, .user = &forms }, other = { 0 };
	struct stasis_topic *topic = stasis_topic_create("a topic");
	struct stasis_executor *executor = executor_with(1);
	struct stasis_subscription *sub = subscribe_on(topic, &probe, executor);
	struct stasis_subscription *another = subscribe_on(topic, &other, executor);
	char first[PROBE_ID];

	cr_assert_not_null(sub);
	cr_assert_not_null(another);
	snprintf(first, sizeof(first), "%s", stasis_subscription_uniqueid(sub));
	stasis_unsubscribe_and_join(another);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(forms.n, 4);
	for (size_t i = 0; i < 4; i++) {
		json_t *form = forms.values[i], *time;
		const char *id;

		cr_assert_not_null(form);
		cr_assert_str_eq(json_string_value(json_object_get(form, "description")),
				 descriptions[i]);
		id = json_string_value(json_object_get(form, "uniqueid"));
		cr_assert_eq(strcmp(id, first) == 0, i == 0 || i == 3);
		time = take(form, "timestamp");
		cr_assert_eq(json_string_length(time), strlen("2013-04-05T06:07:08.091+00:00"));
		cr_assert(json_equal(form, forms.changes[i]));
		json_decref(time);
		json_decref(form);
		json_decref(forms.changes[i]);
	}
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

static void keep_one(struct probe *probe, struct stasis_subscription *sub,
		     struct stasis_topic *topic, struct stasis_message *message)
{
	if (probe->n_calls == 1)
		probe->user = stasis_message_to_json(message);
}

Test(bus_json, a_topic_may_have_any_name)
{
	struct probe probe = { .on_any = keep_one };
	struct stasis_topic *topic = stasis_topic_create("\xff\"\n");
	struct stasis_executor *executor = executor_with(1);

	stasis_unsubscribe_and_join(subscribe_on(topic, &probe, executor));
	cr_assert_not_null(probe.user);
	cr_assert_str_eq(json_string_value(json_object_get(probe.user, "topic")),
			 "\xef\xbf\xbd\"\n");
	json_decref(probe.user);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

Test(bus_json, a_type_without_a_form_has_none)
{
	struct stasis_message *message = datum_message(0, 0);

	errno = 0;
	cr_assert_null(stasis_message_to_json(message));
	cr_assert_eq(errno, 0);
	stasis_object_unref(message);
	cr_assert_null(stasis_message_to_json(NULL));
	cr_assert_eq(errno, EINVAL);
}
