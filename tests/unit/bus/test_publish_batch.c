/* SPDX-License-Identifier: BSD-2-Clause */
/* test_publish_batch.c — publishing several at once */

#include <stdlib.h>

#include "bus_fixture.h"

static int n_released;

static void release(void *data)
{
	n_released++;
}

static struct stasis_message *foreign_message(void)
{
	static struct datum datum;

	return stasis_message_create_foreign(datum_type(), &datum, release);
}

Test(batch, arrives_in_order)
{
	struct bus bus = bus_open(2);
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];
	struct stasis_message *messages[100];

	for (int i = 0; i < 3; i++)
		subs[i] = bus_subscribe(&bus, &probes[i]);
	for (uint64_t i = 0; i < 100; i++)
		messages[i] = datum_message(0, i);
	cr_assert_eq(stasis_publish_batch(bus.topic, messages, 100), 0);
	cr_assert_eq(publish_data(bus.topic, 0, 100, 1), 0);
	for (int i = 0; i < 3; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		check_ended(&probes[i], 101);
	}
	bus_close(&bus);
}

Test(batch, larger_than_any_ring_arrives_in_order)
{
	enum {
		N = 10000
	};
	struct bus bus = bus_open(2);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message **messages = calloc(N, sizeof(struct stasis_message *));

	for (uint64_t round = 0; round < 5; round++) {
		for (uint64_t i = 0; i < N; i++)
			messages[i] = datum_message(0, round * N + i);
		cr_assert_eq(stasis_publish_batch(bus.topic, messages, N), 0);
	}
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, (size_t)5 * N);
	bus_close(&bus);
	free(messages);
}

Test(batch, consumes_a_reference_per_element)
{
	struct bus bus = bus_open(2);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *message = foreign_message();
	struct stasis_message *messages[30];

	for (int i = 0; i < 30; i++)
		messages[i] = i % 3 ? stasis_object_ref(message) : foreign_message();
	cr_assert_eq(stasis_publish_batch(bus.topic, messages, 30), 0);
	bus_drain(&bus);
	cr_assert_eq(n_released, 10);
	cr_assert_eq(stasis_object_refs(message), 1, "%u", stasis_object_refs(message));
	cr_assert_eq(probe.n_data, 30);
	stasis_object_unref(message);
	cr_assert_eq(n_released, 11);
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
}

Test(batch, without_subscribers_is_consumed)
{
	struct stasis_topic *topic = stasis_topic_create("empty");
	struct stasis_message *messages[10];

	for (int i = 0; i < 10; i++)
		messages[i] = foreign_message();
	cr_assert_eq(stasis_publish_batch(topic, messages, 10), 0);
	cr_assert_eq(n_released, 10);
	stasis_object_unref(topic);
}

Test(batch, of_none_is_allowed)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *messages[1] = { NULL };

	cr_assert_eq(stasis_publish_batch(bus.topic, NULL, 0), 0);
	cr_assert_eq(stasis_publish_batch(bus.topic, messages, 0), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_calls, 2);
	bus_close(&bus);
}

Test(batch, with_a_missing_element_publishes_nothing_and_consumes)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	for (int missing = 0; missing < 5; missing++) {
		struct stasis_message *messages[5];

		n_released = 0;
		for (int i = 0; i < 5; i++)
			messages[i] = i == missing ? NULL : foreign_message();
		cr_assert_eq(stasis_publish_batch(bus.topic, messages, 5), -EINVAL);
		cr_assert_eq(n_released, 4, "element %d missing: %d released", missing, n_released);
	}
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_calls, 2);
	bus_close(&bus);
}

Test(batch, without_topic_is_an_error_and_consumes)
{
	struct stasis_message *messages[] = { foreign_message(), foreign_message() };

	cr_assert_eq(stasis_publish_batch(NULL, messages, 2), -EINVAL);
	cr_assert_eq(n_released, 2);
	cr_assert_eq(stasis_publish_batch(NULL, NULL, 0), -EINVAL);
}

Test(batch, without_array_is_an_error)
{
	struct stasis_topic *topic = stasis_topic_create("t");

	cr_assert_eq(stasis_publish_batch(topic, NULL, 1), -EINVAL);
	cr_assert_eq(stasis_publish_batch(NULL, NULL, 1), -EINVAL);
	stasis_object_unref(topic);
}

struct publisher {
	struct stasis_topic *topic;
	uint64_t number;
	int result;
};

static void *publish_batches(void *arg)
{
	struct publisher *publisher = arg;
	uint64_t seq = 0;

	for (size_t n = 1; n < 150; n++) {
		struct stasis_message *messages[150];

		for (size_t i = 0; i < n; i++)
			messages[i] = datum_message(publisher->number, seq++);
		publisher->result |= stasis_publish_batch(publisher->topic, messages, n);
	}
	return NULL;
}

Test(batch, keeps_each_publishers_order)
{
	enum {
		P = 6,
		S = 4
	};
	struct bus bus = bus_open(2);
	struct publisher publishers[P];
	static struct probe probes[S];
	struct stasis_subscription *subs[S];

	for (int i = 0; i < S; i++)
		subs[i] = bus_subscribe(&bus, &probes[i]);
	for (uint64_t i = 0; i < P; i++)
		publishers[i] = (struct publisher){ .topic = bus.topic, .number = i };
	run_threads(P, publish_batches, publishers, sizeof(publishers[0]));
	for (int i = 0; i < P; i++)
		cr_assert_eq(publishers[i].result, 0);
	for (int i = 0; i < S; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		check_ended(&probes[i], (size_t)P * 149 * 150 / 2);
	}
	bus_close(&bus);
}

Test(batch, result_is_summed_over_messages_and_subscriptions)
{
	struct bus bus = bus_open(1);
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];
	struct stasis_message *messages[7];

	for (int i = 0; i < 3; i++)
		subs[i] = bus_subscribe(&bus, &probes[i]);
	stasis_executor_shutdown(bus.executor);
	for (int i = 0; i < 7; i++)
		messages[i] = foreign_message();
	cr_assert_eq(stasis_publish_batch(bus.topic, messages, 7), 21);
	cr_assert_eq(n_released, 7);
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe(subs[i]);
	stasis_object_unref(bus.topic);
}

#define SEVERAL 12

/* Several subscriptions on a loop of this thread's. */
struct several {
	struct stasis_executor *loop;
	struct stasis_topic *topic;
	struct stasis_subscription *subs[3];
	size_t n_data[3];
	struct stasis_message *kept; /* by the second, of the sixth message */
};

struct one_of {
	struct several *several;
	int number;
};

static void on_data(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	const struct one_of *one = data;
	struct several *several = one->several;

	if (stasis_message_type(message) != datum_type())
		return;
	if (one->number == 1 && several->n_data[1] == 5)
		several->kept = stasis_object_ref(message);
	several->n_data[one->number]++;
}

static struct one_of ones[3];

/* capacity: of the third. */
static void several_open(struct several *several, size_t capacity, enum stasis_overflow overflow)
{
	*several = (struct several){
		.loop = stasis_executor_create(
			&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL }),
		.topic = stasis_topic_create("several"),
	};
	for (int i = 0; i < 3; i++) {
		struct stasis_subscribe_options options = { .executor = several->loop };

		ones[i] = (struct one_of){ several, i };
		options.capacity = i == 2 ? capacity : 0;
		options.overflow = i == 2 ? overflow : STASIS_OVERFLOW_GROW;
		several->subs[i] = stasis_subscribe_with(several->topic, on_data, &ones[i],
							 &options);
		cr_assert_not_null(several->subs[i]);
	}
	cr_assert_eq(stasis_executor_drain(several->loop), 0);
	n_released = 0;
}

static int several_publish(struct several *several)
{
	struct stasis_message *messages[SEVERAL];

	for (int i = 0; i < SEVERAL; i++)
		messages[i] = foreign_message();
	return stasis_publish_batch(several->topic, messages, SEVERAL);
}

static void several_close(struct several *several)
{
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe_and_join(several->subs[i]);
	stasis_executor_shutdown(several->loop);
	stasis_object_unref(several->topic);
}

Test(batch, is_released_when_all_have_had_it)
{
	struct several several;

	several_open(&several, 0, STASIS_OVERFLOW_GROW);
	cr_assert_eq(several_publish(&several), 0);
	cr_assert_eq(stasis_executor_run(several.loop, 2 * SEVERAL), 2 * SEVERAL);
	cr_assert_eq(n_released, 0);
	cr_assert_eq(stasis_executor_drain(several.loop), 0);
	/* Each by itself. */
	cr_assert_eq(n_released, SEVERAL - 1);
	cr_assert_not_null(several.kept);
	cr_assert_eq(stasis_object_refs(several.kept), 1);
	stasis_object_unref(several.kept);
	cr_assert_eq(n_released, SEVERAL);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(several.n_data[i], SEVERAL);
	several_close(&several);
}

Test(batch, to_several_is_run_callback_by_callback)
{
	struct several several;

	several_open(&several, 0, STASIS_OVERFLOW_GROW);
	cr_assert_eq(several_publish(&several), 0);
	for (size_t done = 0; done < 3 * SEVERAL;) {
		int n = stasis_executor_run(several.loop, 5);

		done += (size_t)n;
		cr_assert_eq(n, done < 3 * SEVERAL ? 5 : 1);
		cr_assert_eq(several.n_data[0] + several.n_data[1] + several.n_data[2], done);
	}
	for (int i = 0; i < 3; i++) {
		struct stasis_stats stats = { 0 };

		cr_assert_eq(stasis_stats_read(several.subs[i], &stats), 0);
		cr_assert_eq(several.n_data[i], SEVERAL);
		cr_assert_eq(stats.depth, 0);
	}
	stasis_object_unref(several.kept);
	several_close(&several);
}

Test(batch, to_one_with_a_capacity_among_others)
{
	struct stasis_stats stats = { 0 };
	struct several several;

	several_open(&several, 4, STASIS_OVERFLOW_DROP_NEWEST);
	cr_assert_eq(several_publish(&several), SEVERAL - 4);
	cr_assert_eq(stasis_executor_drain(several.loop), 0);
	cr_assert_eq(several.n_data[0], SEVERAL);
	cr_assert_eq(several.n_data[2], 4);
	cr_assert_eq(stasis_stats_read(several.subs[2], &stats), 0);
	cr_assert_eq(stats.dropped, SEVERAL - 4);
	stasis_object_unref(several.kept);
	cr_assert_eq(n_released, SEVERAL);
	several_close(&several);
}
