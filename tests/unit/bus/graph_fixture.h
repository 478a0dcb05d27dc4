/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_GRAPH_FIXTURE_H
#define STASIS_TESTS_GRAPH_FIXTURE_H

/* graph_fixture.h — topics, what leads from one to another, and who selects what */

#include "bus_fixture.h"

#define UNTOUCHED 12345 /* an errno that nobody sets */

static inline void topics_make(struct stasis_topic **topics, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		topics[i] = stasis_topic_create("node");
		cr_assert_not_null(topics[i]);
	}
}

static inline void topics_drop(struct stasis_topic **topics, size_t n)
{
	for (size_t i = 0; i < n; i++)
		topics[i] = stasis_object_unref(topics[i]);
}

static inline struct stasis_forward *lead(struct stasis_topic *from, struct stasis_topic *to)
{
	struct stasis_forward *forward;

	errno = UNTOUCHED;
	forward = stasis_forward_all(from, to);
	cr_assert_not_null(forward, "%s", strerror(errno));
	return forward;
}

/* A forward that nobody will cancel: it ends with its source. */
static inline void lead_for_good(struct stasis_topic *from, struct stasis_topic *to)
{
	stasis_object_unref(lead(from, to));
}

static inline void expect_loop(struct stasis_topic *from, struct stasis_topic *to)
{
	errno = 0;
	cr_assert_null(stasis_forward_all(from, to));
	cr_assert_eq(errno, ELOOP, "%s", strerror(errno));
}

static inline void cancel(struct stasis_forward *forward)
{
	errno = UNTOUCHED;
	cr_assert_null(stasis_forward_cancel(forward));
	cr_assert_eq(errno, UNTOUCHED, "%s", strerror(errno));
}

static inline struct stasis_subscription *listen_with(struct bus *bus, struct stasis_topic *topic,
						      struct probe *probe,
						      struct stasis_subscribe_options options)
{
	struct stasis_subscription *sub;

	options.executor = bus->executor;
	sub = stasis_subscribe_with(topic, probe_callback, probe, &options);
	cr_assert_not_null(sub, "%s", strerror(errno));
	return sub;
}

static inline struct stasis_subscription *listen(struct bus *bus, struct stasis_topic *topic,
						 struct probe *probe)
{
	return listen_with(bus, topic, probe, (struct stasis_subscribe_options){ 0 });
}

static inline struct stasis_subscription *listen_distinct(struct bus *bus,
							  struct stasis_topic *topic,
							  struct probe *probe)
{
	return listen_with(bus, topic, probe,
			   (struct stasis_subscribe_options){ .distinct = true });
}

/* A datum of another type than the usual. */
static inline struct stasis_message *typed_message(struct stasis_message_type *type,
						   uint64_t publisher, uint64_t seq)
{
	struct datum datum = { .publisher = publisher, .seq = seq };
	struct stasis_message *message = stasis_message_create_inline(type, &datum, sizeof(datum));

	cr_assert_not_null(message);
	return message;
}

static inline void types_make(struct stasis_message_type **types, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		types[i] = stasis_message_type_create("kind");
		cr_assert_not_null(types[i]);
	}
}

static inline void types_drop(struct stasis_message_type **types, size_t n)
{
	for (size_t i = 0; i < n; i++)
		types[i] = stasis_object_unref(types[i]);
}

/* A subscription of the bus's topic with these types accepted. */
static inline struct stasis_subscription *listen_to(struct bus *bus, struct probe *probe,
						    struct stasis_message_type **types, size_t n)
{
	return listen_with(bus, bus->topic, probe,
			   (struct stasis_subscribe_options){ .types = types, .n_types = n });
}

/* One of each type; the first ones' numbers are their publishers'. */
static inline void publish_each(struct stasis_topic *topic, struct stasis_message_type **types,
				size_t n, uint64_t seq)
{
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(stasis_publish_take(topic, typed_message(types[i],
								      i % PROBE_PUBLISHERS, seq)),
			     0);
}

/* A selective subscription that has ended: data in order, and the final message. */
static inline void check_selective(const struct probe *probe, size_t n_data)
{
	cr_assert_eq(probe->n_data, n_data, "%zu instead of %zu", probe->n_data, n_data);
	cr_assert_eq(probe->n_finals, 1);
	cr_assert_eq(probe->n_after_final, 0);
	cr_assert_eq(probe->overlaps, 0);
}

#endif
