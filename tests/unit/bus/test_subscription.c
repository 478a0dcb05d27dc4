/* SPDX-License-Identifier: BSD-2-Clause */
/* test_subscription.c — subscribing: changes, options, names, errors */

#include <stdlib.h>

#include "bus_fixture.h"
#include "faulty.h"

Test(subscription, quiet_topic_gives_exactly_two_messages)
{
	struct bus bus = bus_open(2);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_null(stasis_unsubscribe_and_join(sub));
	cr_assert_eq(probe.n_calls, 2);
	cr_assert_eq(probe.log[0].kind, PROBE_SUBSCRIBE);
	cr_assert_eq(probe.log[1].kind, PROBE_FINAL);
	check_ended(&probe, 0);
	bus_close(&bus);
	cr_assert_eq(probe.n_calls, 2);
}

Test(subscription, own_changes_name_the_subscription_and_the_topic)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	char id[PROBE_ID];

	snprintf(id, sizeof(id), "%s", stasis_subscription_uniqueid(sub));
	stasis_unsubscribe_and_join(sub);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(probe.log[i].topic, bus.topic, "entry %d", i);
		cr_assert_eq(probe.log[i].change_topic, bus.topic, "entry %d", i);
		cr_assert_str_eq(probe.log[i].uniqueid, id, "entry %d", i);
	}
	bus_close(&bus);
}

static void check_final_change(struct probe *probe, struct stasis_subscription *sub,
			       struct stasis_topic *topic, struct stasis_message *message)
{
	struct stasis_subscription_change *change = stasis_message_data(message);
	bool *seen = probe->user;

	if (!stasis_subscription_final_message(sub, message))
		return;
	*seen = stasis_message_type(message) == stasis_subscription_change_type() &&
		strcmp(change->description, "Unsubscribe") == 0 && change->topic == topic &&
		strcmp(change->uniqueid, stasis_subscription_uniqueid(sub)) == 0 &&
		stasis_message_timestamp(message)->tv_sec > 0;
}

Test(subscription, final_message_is_an_unsubscribe_of_its_own)
{
	struct bus bus = bus_open(1);
	bool seen = false;
	struct probe probe = { .on_any = check_final_change, .user = &seen };

	stasis_unsubscribe_and_join(bus_subscribe(&bus, &probe));
	cr_assert(seen);
	bus_close(&bus);
}

Test(subscription, others_see_who_came_and_went)
{
	struct bus bus = bus_open(2);
	struct probe first = { 0 }, second = { 0 };
	struct stasis_subscription *one = bus_subscribe(&bus, &first);
	struct stasis_subscription *two = bus_subscribe(&bus, &second);
	char id[PROBE_ID];

	snprintf(id, sizeof(id), "%s", stasis_subscription_uniqueid(two));
	stasis_unsubscribe_and_join(two);
	stasis_unsubscribe_and_join(one);
	cr_assert_eq(first.n_calls, 4);
	cr_assert_eq(first.log[1].kind, PROBE_SUBSCRIBE);
	cr_assert_str_eq(first.log[1].uniqueid, id);
	cr_assert_eq(first.log[1].change_topic, bus.topic);
	cr_assert_eq(first.log[2].kind, PROBE_UNSUBSCRIBE);
	cr_assert_str_eq(first.log[2].uniqueid, id);
	cr_assert_eq(first.log[2].change_topic, bus.topic);
	cr_assert_eq(first.log[3].kind, PROBE_FINAL);
	cr_assert_eq(second.n_calls, 2, "its own two only");
	bus_close(&bus);
}

Test(subscription, other_topics_see_nothing)
{
	struct bus bus = bus_open(2);
	struct stasis_topic *other = stasis_topic_create("other");
	struct probe here = { 0 }, there = { 0 };
	struct stasis_subscription *one = bus_subscribe(&bus, &here);
	struct stasis_subscription *two = subscribe_on(other, &there, bus.executor);

	cr_assert_eq(publish_data(other, 0, 0, 10), 0);
	stasis_unsubscribe_and_join(two);
	stasis_unsubscribe_and_join(one);
	check_ended(&here, 0);
	check_ended(&there, 10);
	cr_assert_eq(here.n_calls, 2);
	cr_assert_eq(there.n_calls, 12);
	stasis_object_unref(other);
	bus_close(&bus);
}

Test(subscription, nothing_published_before_it_arrives)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	cr_assert_eq(publish_data(bus.topic, 0, 1000, 5), 0);
	sub = bus_subscribe(&bus, &probe);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 5), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 5);
	bus_close(&bus);
}

Test(subscription, nothing_published_after_unsubscribe_arrives)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 3), 0);
	stasis_unsubscribe(stasis_object_ref(sub));
	cr_assert_eq(publish_data(bus.topic, 0, 3, 3), 0);
	gate_open(&hold);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	check_ended(&probe, 3);
	stasis_object_unref(sub);
	bus_close(&bus);
}

Test(subscription, same_callback_and_data_may_subscribe_twice)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *one = bus_subscribe(&bus, &probe);
	struct stasis_subscription *two = bus_subscribe(&bus, &probe);

	/* One worker: the two take turns, and the probe may count for both. */
	cr_assert_neq(one, two);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	bus_drain(&bus);
	cr_assert_eq(probe.n_data, 2);
	stasis_unsubscribe_and_join(one);
	stasis_unsubscribe_and_join(two);
	cr_assert_eq(probe.n_finals, 2);
	bus_close(&bus);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

Test(subscription, uniqueids_are_unique)
{
	enum {
		N = 3000
	};
	struct bus bus = bus_open(1);
	struct stasis_topic *other = stasis_topic_create("topic");
	static char *ids[N];
	struct probe *probes = calloc(N, sizeof(*probes));

	for (size_t i = 0; i < N; i++) {
		struct stasis_topic *topic = i % 2 ? bus.topic : other;
		struct stasis_subscription *sub = subscribe_on(topic, &probes[i], bus.executor);

		ids[i] = strdup(stasis_subscription_uniqueid(sub));
		cr_assert_neq(ids[i][0], '\0');
		stasis_unsubscribe(sub);
	}
	qsort(ids, N, sizeof(ids[0]), compare_strings);
	for (size_t i = 1; i < N; i++)
		cr_assert_str_neq(ids[i - 1], ids[i]);
	for (size_t i = 0; i < N; i++)
		free(ids[i]);
	stasis_object_unref(other);
	bus_close(&bus);
	free(probes);
}

Test(subscription, topic_and_callback_are_required)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct probe probe = { 0 };

	errno = 0;
	cr_assert_null(stasis_subscribe(NULL, probe_callback, &probe));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_subscribe(topic, NULL, &probe));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_subscribe_with(NULL, probe_callback, &probe, NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_subscribe_with(topic, NULL, &probe, NULL));
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(stasis_topic_subscribers(topic), 0);
	cr_assert_eq(stasis_object_refs(topic), 1);
	stasis_object_unref(topic);
}

static void refuse(struct stasis_topic *topic, const struct stasis_subscribe_options *options,
		   int error)
{
	struct probe probe = { 0 };

	errno = 0;
	cr_assert_null(stasis_subscribe_with(topic, probe_callback, &probe, options));
	cr_assert_eq(errno, error, "%s instead of %s", strerror(errno), strerror(error));
	cr_assert_eq(stasis_topic_subscribers(topic), 0);
	cr_assert_eq(stasis_object_refs(topic), 1);
}

Test(subscription, options_out_of_range_are_refused)
{
	struct bus bus = bus_open(1);

	refuse(bus.topic,
	       &(struct stasis_subscribe_options){ .executor = bus.executor,
						   .capacity = STASIS_CAPACITY_MAX + 1 },
	       EINVAL);
	refuse(bus.topic,
	       &(struct stasis_subscribe_options){ .executor = bus.executor, .capacity = SIZE_MAX },
	       EINVAL);
	refuse(bus.topic,
	       &(struct stasis_subscribe_options){ .executor = bus.executor,
						   .batch = STASIS_BATCH_MAX + 1 },
	       EINVAL);
	refuse(bus.topic,
	       &(struct stasis_subscribe_options){ .executor = bus.executor,
						   .overflow = (enum stasis_overflow)99 },
	       EINVAL);
	bus_close(&bus);
}

/* What a later version of the header might look like. */
struct newer_options {
	struct stasis_subscribe_options known;
	uint64_t unknown;
};

Test(subscription, newer_options_are_refused_only_when_they_matter)
{
	struct bus bus = bus_open(1);
	struct newer_options options = {
		.known = { .size = sizeof(options), .executor = bus.executor },
		.unknown = 1,
	};
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	refuse(bus.topic, &options.known, E2BIG);
	options.unknown = 0;
	sub = stasis_subscribe_with(bus.topic, probe_callback, &probe, &options.known);
	cr_assert_not_null(sub);
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
}

static void accept(struct stasis_topic *topic, const struct stasis_subscribe_options *options)
{
	struct probe probe = { 0 };
	struct stasis_subscription *sub = stasis_subscribe_with(topic, probe_callback, &probe,
								options);

	cr_assert_not_null(sub, "%s", strerror(errno));
	cr_assert_eq(publish_data(topic, 0, 0, 1000), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 1000);
}

Test(subscription, options_at_their_limits_work)
{
	struct bus bus = bus_open(2);
	struct stasis_subscribe_options options = { .executor = bus.executor };
	static const size_t capacities[] = { 0, 1, 7, 8, 9, 1000, 1024, 1025, 65536 };

	accept(bus.topic, &options);
	options.size = sizeof(options);
	accept(bus.topic, &options);
	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		options.capacity = capacities[i];
		accept(bus.topic, &options);
	}
	options.capacity = 0;
	options.batch = 1;
	accept(bus.topic, &options);
	options.batch = STASIS_BATCH_MAX;
	accept(bus.topic, &options);
	options.name = "a name of its own";
	accept(bus.topic, &options);
	bus_close(&bus);
}

Test(subscription, largest_capacity_is_accepted)
{
	struct bus bus = bus_open(1);

	accept(bus.topic, &(struct stasis_subscribe_options){ .executor = bus.executor,
							      .capacity = STASIS_CAPACITY_MAX });
	bus_close(&bus);
}

Test(subscription, capacity_is_room_that_needs_no_memory)
{
	struct bus bus;
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscribe_options options = { .capacity = 1000 };
	struct stasis_subscription *sub;
	struct stasis_message *message;
	size_t n_taken = 0;

	faulty_install();
	bus = bus_open(1);
	options.executor = bus.executor;
	sub = stasis_subscribe_with(bus.topic, probe_callback, &probe, &options);
	message = datum_message(0, 0);
	bus_drain(&bus);
	/* Rounded up to 1,024. */
	faulty_arm(0, true);
	while (n_taken < 1024 && stasis_publish(bus.topic, message) == 0)
		n_taken++;
	cr_assert_not(faulty_disarm());
	cr_assert_eq(n_taken, 1024);
	/* And it is not a limit. */
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(stasis_publish(bus.topic, message), 0);
	gate_open(&hold);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_data, 2024);
	stasis_object_unref(message);
	bus_close(&bus);
}

Test(subscription, questions_about_null_are_answered)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *message = datum_message(0, 0);

	cr_assert_eq(stasis_subscription_is_done(NULL), -EINVAL);
	cr_assert_eq(stasis_subscription_is_subscribed(NULL), -EINVAL);
	cr_assert_eq(stasis_subscription_join(NULL), -EINVAL);
	cr_assert_eq(stasis_subscription_final_message(NULL, message), -EINVAL);
	cr_assert_eq(stasis_subscription_final_message(sub, NULL), -EINVAL);
	cr_assert_eq(stasis_subscription_final_message(NULL, NULL), -EINVAL);
	cr_assert_eq(stasis_subscription_final_message(sub, message), 0);
	errno = 0;
	cr_assert_null(stasis_subscription_uniqueid(NULL));
	cr_assert_eq(errno, EINVAL);
	stasis_object_unref(message);
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
}

Test(subscription, change_type_is_one_and_lasts)
{
	struct stasis_message_type *type = stasis_subscription_change_type();

	cr_assert_not_null(type);
	cr_assert_eq(stasis_subscription_change_type(), type);
	cr_assert_not_null(stasis_message_type_name(type));
	stasis_object_ref(type);
	stasis_object_unref(type);
	cr_assert_eq(stasis_subscription_change_type(), type);
}
