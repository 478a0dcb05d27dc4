/* SPDX-License-Identifier: BSD-2-Clause */
/* test_congestion.c — being told when a queue has become too long, and when it is short again */

#include <pthread.h>
#include <stdlib.h>

#include "bus_fixture.h"
#include "sync/rcu.h"

#define N_CALLS 64

struct road {
	struct stasis_executor *loop;
	struct stasis_topic *topic;
	struct stasis_subscription *sub;
	size_t publish_inside; /* data to publish in the next call */
	bool calls[N_CALLS];
	size_t n_calls, n_data;
	_Atomic int inside;
	_Atomic unsigned overlaps, repeated;
	bool last;
};

/* For other threads than the test's own, where nothing may be asserted. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

static void count(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		  struct stasis_message *message)
{
	struct road *road = data;

	road->n_data += stasis_message_type(message) == datum_type();
}

static void tell(void *data, struct stasis_subscription *sub, bool congested)
{
	struct road *road = data;
	size_t n = road->publish_inside;

	/* Relaxed: it must order nothing. */
	if (atomic_exchange_explicit(&road->inside, 1, memory_order_relaxed) != 0)
		atomic_fetch_add_explicit(&road->overlaps, 1, memory_order_relaxed);
	if (road->last == congested)
		atomic_fetch_add_explicit(&road->repeated, 1, memory_order_relaxed);
	road->last = congested;
	if (road->n_calls < N_CALLS)
		road->calls[road->n_calls] = congested;
	road->n_calls++;
	road->publish_inside = 0;
	must(publish_data(road->topic, 0, 0, n) >= 0);
	atomic_store_explicit(&road->inside, 0, memory_order_relaxed);
}

static void road_open(struct road *road, const struct stasis_subscribe_options *given)
{
	struct stasis_subscribe_options options = *given;

	*road = (struct road){
		.loop = stasis_executor_create(
			&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL }),
		.topic = stasis_topic_create("road"),
	};
	options.executor = road->loop;
	options.on_congestion = tell;
	road->sub = stasis_subscribe_with(road->topic, count, road, &options);
	cr_assert_not_null(road->sub, "%s", strerror(errno));
	cr_assert_eq(stasis_executor_run(road->loop, SIZE_MAX), 1);
}

static void road_close(struct road *road)
{
	stasis_unsubscribe_and_join(road->sub);
	cr_assert_eq(road->overlaps, 0);
	cr_assert_eq(road->repeated, 0);
	cr_assert(!road->last);
	stasis_executor_shutdown(road->loop);
	sti_rcu_barrier();
	cr_assert_eq(stasis_object_refs(road->topic), 1);
	stasis_object_unref(road->topic);
}

static uint64_t congested(const struct road *road)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(road->sub, &stats), 0);
	return stats.congested;
}

static void run_crossings(const struct stasis_subscribe_options *options)
{
	struct road road;

	road_open(&road, options);
	for (size_t round = 0; round < 10; round++) {
		cr_assert_eq(publish_data(road.topic, 0, 0, 5), 0);
		cr_assert_eq(road.n_calls, 2 * round);
		cr_assert_eq(congested(&road), 0);
		cr_assert_eq(publish_data(road.topic, 0, 0, 1), 0);
		cr_assert_eq(road.n_calls, 2 * round + 1);
		cr_assert_eq(congested(&road), 1);
		cr_assert_eq(publish_data(road.topic, 0, 0, 2), 0);
		/* 8 queued; between the marks nothing is said, there and back. */
		cr_assert_eq(stasis_executor_run(road.loop, 5), 5);
		cr_assert_eq(publish_data(road.topic, 0, 0, 4), 0);
		cr_assert_eq(stasis_executor_run(road.loop, 4), 4);
		cr_assert_eq(road.n_calls, 2 * round + 1);
		cr_assert_eq(stasis_executor_run(road.loop, 1), 1);
		cr_assert_eq(road.n_calls, 2 * round + 2);
		cr_assert_eq(congested(&road), 0);
		cr_assert_eq(publish_data(road.topic, 0, 0, 3), 0);
		cr_assert_eq(stasis_executor_run(road.loop, SIZE_MAX), 5);
		cr_assert_eq(road.n_calls, 2 * round + 2);
	}
	for (size_t i = 0; i < road.n_calls; i++)
		cr_assert_eq(road.calls[i], i % 2 == 0);
	cr_assert_eq(road.n_data, 150);
	road_close(&road);
}

Test(congestion, is_told_once_per_crossing)
{
	for (int overflow = STASIS_OVERFLOW_GROW; overflow <= STASIS_OVERFLOW_REJECT; overflow++) {
		struct stasis_subscribe_options options = {
			.overflow = (enum stasis_overflow)overflow, .low_water = 2, .high_water = 6
		};

		run_crossings(&options);
		options.capacity = 8;
		run_crossings(&options);
	}
}

Test(congestion, is_told_of_a_full_queue)
{
	for (int overflow = STASIS_OVERFLOW_BLOCK; overflow <= STASIS_OVERFLOW_REJECT; overflow++) {
		struct road road;

		road_open(&road, &(struct stasis_subscribe_options){
					 .overflow = (enum stasis_overflow)overflow,
					 .capacity = 4,
					 .high_water = 4 });
		publish_data(road.topic, 0, 0, 20);
		cr_assert_eq(road.n_calls, 1);
		cr_assert(road.calls[0]);
		cr_assert_gt(stasis_executor_run(road.loop, 3), 0);
		cr_assert_eq(road.n_calls, 1);
		cr_assert_gt(stasis_executor_run(road.loop, SIZE_MAX), 0);
		cr_assert_eq(road.n_calls, 2);
		road_close(&road);
	}
}

Test(congestion, is_told_to_whoever_publishes_synchronously)
{
	struct stasis_message *message = datum_message(0, 0);
	struct road road;

	road_open(&road, &(struct stasis_subscribe_options){ .high_water = 1 });
	for (size_t i = 1; i <= 20; i++) {
		cr_assert_eq(stasis_publish_sync(road.sub, message), 0);
		cr_assert_eq(road.n_data, i);
		cr_assert_eq(road.n_calls, 2 * i, "%zu", road.n_calls);
	}
	stasis_object_unref(message);
	road_close(&road);
}

Test(congestion, callback_may_publish)
{
	struct road road;

	road_open(&road, &(struct stasis_subscribe_options){ .low_water = 1, .high_water = 4 });
	road.publish_inside = 10;
	cr_assert_eq(publish_data(road.topic, 0, 0, 4), 0);
	cr_assert_eq(road.n_calls, 1);
	/* The call that says it is short makes it long again: told after it. */
	road.publish_inside = 10;
	cr_assert_eq(stasis_executor_run(road.loop, 13), 13);
	cr_assert_eq(road.n_calls, 3);
	cr_assert(road.calls[2]);
	cr_assert_eq(stasis_executor_run(road.loop, SIZE_MAX), 11);
	cr_assert_eq(road.n_calls, 4);
	road_close(&road);
}

Test(congestion, ends_with_the_subscription)
{
	struct road road;

	road_open(&road, &(struct stasis_subscribe_options){ .low_water = 1, .high_water = 4 });
	cr_assert_eq(publish_data(road.topic, 0, 0, 10), 0);
	stasis_unsubscribe(stasis_object_ref(road.sub));
	cr_assert_eq(road.n_calls, 1);
	cr_assert_eq(stasis_executor_run(road.loop, SIZE_MAX), 11);
	cr_assert_eq(road.n_calls, 2);
	road_close(&road);
}

struct driver {
	struct stasis_topic *topic;
};

static void *drive(void *arg)
{
	struct driver *driver = arg;

	for (int i = 0; i < 2000; i++)
		must(publish_data(driver->topic, 0, 0, 1) >= 0);
	return NULL;
}

Test(congestion, calls_alternate_and_do_not_overlap)
{
	for (int overflow = STASIS_OVERFLOW_GROW; overflow <= STASIS_OVERFLOW_REJECT; overflow++) {
		struct stasis_executor *pool = executor_with(2);
		struct road road = { .topic = stasis_topic_create("road") };
		struct driver drivers[4] = { { road.topic }, { road.topic }, { road.topic },
					     { road.topic } };

		road.sub = stasis_subscribe_with(
			road.topic, count, &road,
			&(struct stasis_subscribe_options){
				.executor = pool,
				.capacity = 8,
				.overflow = (enum stasis_overflow)overflow,
				.low_water = 2,
				.high_water = 4,
				.on_congestion = tell });
		run_threads(4, drive, drivers, sizeof(drivers[0]));
		cr_assert_eq(stasis_executor_drain(pool), 0);
		/* A publisher may be about to say the last thing: it has been joined. */
		cr_assert_eq(congested(&road), 0);
		stasis_unsubscribe_and_join(road.sub);
		stasis_executor_shutdown(pool);
		cr_assert_eq(road.overlaps, 0);
		cr_assert_eq(road.repeated, 0);
		cr_assert(!road.last);
		stasis_object_unref(road.topic);
	}
}

Test(congestion, wrong_watermarks_are_refused)
{
	struct stasis_topic *topic = stasis_topic_create("road");
	const struct stasis_subscribe_options wrong[] = {
		{ .low_water = 1, .on_congestion = tell },
		{ .high_water = 4 },
		{ .low_water = 4, .high_water = 4, .on_congestion = tell },
		{ .low_water = 5, .high_water = 4, .on_congestion = tell },
		{ .capacity = 5, .high_water = 9, .overflow = STASIS_OVERFLOW_REJECT,
		  .on_congestion = tell },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		cr_assert_null(stasis_subscribe_with(topic, count, NULL, &wrong[i]));
		cr_assert_eq(errno, EINVAL, "%zu", i);
	}
	cr_assert_eq(stasis_topic_subscribers(topic), 0);
	stasis_object_unref(topic);
}
