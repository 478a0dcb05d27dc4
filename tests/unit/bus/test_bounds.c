/* SPDX-License-Identifier: BSD-2-Clause */
/* test_bounds.c — names, counts and sizes from outside: of any length, near the end of size_t */

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>

#include "bus_fixture.h"

/* What a careless library would take for a format, and what is no UTF-8. */
#define FORMAT "%s%n%999999d\xff\xfe"

/* Of n bytes. */
static char *long_name(size_t n)
{
	char *name = malloc(n + 1);

	cr_assert_not_null(name);
	memset(name, 'n', n);
	name[n] = '\0';
	return name;
}

static const size_t lengths[] = { 1, 65535, 65536, 65537, (size_t)1 << 24 };

#define N_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

Test(bounds, names_may_have_any_length)
{
	struct bus bus = bus_open(1);

	for (size_t i = 0; i < N_LENGTHS; i++) {
		char *name = long_name(lengths[i]);
		struct stasis_topic *topic = stasis_topic_create(name);
		struct stasis_message_type *type = stasis_message_type_create(name);
		struct stasis_stats stats = { 0 };
		struct stasis_subscription *sub;
		struct probe probe = { 0 };

		cr_assert_str_eq(stasis_topic_name(topic), name);
		cr_assert_str_eq(stasis_message_type_name(type), name);
		sub = stasis_subscribe_with(topic, probe_callback, &probe,
					    &(struct stasis_subscribe_options){
						    .executor = bus.executor, .name = name });
		cr_assert_eq(stasis_stats_read(sub, &stats), 0);
		cr_assert_str_eq(stats.name, name);
		stasis_unsubscribe_and_join(sub);
		stasis_object_unref(type);
		stasis_object_unref(topic);
		free(name);
	}
	bus_close(&bus);
}

Test(bounds, names_are_never_formats)
{
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .name = FORMAT, .threads = 1 });
	struct stasis_topic *topic = stasis_topic_create(FORMAT);
	struct stasis_message_type *type = stasis_message_type_create(FORMAT);
	struct stasis_stats stats = { 0 };

	cr_assert_str_eq(stasis_topic_name(topic), FORMAT);
	cr_assert_str_eq(stasis_message_type_name(type), FORMAT);
	cr_assert_eq(stasis_stats_read(executor, &stats), 0);
	/* As much of it as there is room for. */
	cr_assert_eq(strncmp(stats.name, FORMAT, strlen(stats.name)), 0);
	cr_assert_gt(strlen(stats.name), 4);
	stasis_executor_shutdown(executor);
	stasis_object_unref(type);
	stasis_object_unref(topic);
}

static void keep(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		 struct stasis_message *message)
{
	*(json_t **)data = stasis_message_to_json(message);
}

Test(bounds, a_name_that_is_no_utf8_has_a_json_form_all_the_same)
{
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
	struct stasis_topic *topic = stasis_topic_create(FORMAT);
	struct stasis_subscription *sub;
	json_t *json = NULL;

	sub = stasis_subscribe_with(topic, keep, &json,
				    &(struct stasis_subscribe_options){ .executor = executor });
	cr_assert_eq(stasis_executor_run(executor, 1), 1);
	cr_assert_not_null(json);
	cr_assert_str_eq(json_string_value(json_object_get(json, "topic")),
			 "%s%n%999999d\xef\xbf\xbd\xef\xbf\xbd");
	json_decref(json);
	stasis_unsubscribe_and_join(sub);
	json_decref(json);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

Test(bounds, counts_near_the_end_are_refused_without_a_look)
{
	static const size_t counts[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX / 8,
					 SIZE_MAX / 16 + 1 };
	static struct stasis_message_type *const nothing[1];
	struct bus bus = bus_open(1);

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct stasis_subscribe_options options = { .executor = bus.executor,
							    .types = nothing,
							    .n_types = counts[i] };
		struct stasis_executor_options cpus = { .n_affinity = counts[i] };

		cr_assert_eq(stasis_publish_batch(bus.topic, NULL, counts[i]), -EINVAL);
		errno = 0;
		cr_assert_null(stasis_subscribe_with(bus.topic, probe_callback, &bus, &options));
		cr_assert_eq(errno, EINVAL);
		options.types = NULL;
		errno = 0;
		cr_assert_null(stasis_subscribe_with(bus.topic, probe_callback, &bus, &options));
		cr_assert_eq(errno, EINVAL);
		errno = 0;
		cr_assert_null(stasis_executor_create(&cpus));
		cr_assert_eq(errno, EINVAL);
	}
	bus_close(&bus);
}

Test(bounds, waters_near_the_end_are_as_good_as_never)
{
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_subscribe_options options = {
		.executor = executor,
		.low_water = SIZE_MAX - 1,
		.high_water = SIZE_MAX,
		/* Not called: it would not be callable. */
		.on_congestion = (stasis_congestion_cb)(uintptr_t)1,
	};
	struct stasis_subscription *sub;
	struct probe probe = { 0 };

	sub = stasis_subscribe_with(topic, probe_callback, &probe, &options);
	cr_assert_not_null(sub);
	cr_assert_eq(publish_data(topic, 0, 0, 100), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_data, 100);
	options.overflow = STASIS_OVERFLOW_BLOCK;
	options.capacity = STASIS_CAPACITY_MAX;
	errno = 0;
	cr_assert_null(stasis_subscribe_with(topic, probe_callback, &probe, &options));
	cr_assert_eq(errno, EINVAL);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

Test(bounds, enumerations_out_of_range_are_refused)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	for (unsigned i = 0; i < 3; i++) {
		static const unsigned values[] = { 99, 1u << 31, UINT_MAX };
		const unsigned value = values[i];
		struct stasis_subscribe_options options = {
			.executor = bus.executor, .overflow = (enum stasis_overflow)value
		};
		struct stasis_executor_options wait = { .wait = (enum stasis_wait)value };

		cr_assert_eq(stasis_subscription_set_filter(
				     sub, (enum stasis_subscription_filter)value), -EINVAL);
		errno = 0;
		cr_assert_null(stasis_subscribe_with(bus.topic, probe_callback, &bus, &options));
		cr_assert_eq(errno, EINVAL);
		errno = 0;
		cr_assert_null(stasis_executor_create(&wait));
		cr_assert_eq(errno, EINVAL);
	}
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
}
