/* SPDX-License-Identifier: BSD-2-Clause */
/* test_policies.c — defects of limits, policies and paths that have been found and mended */

#include "regress_fixture.h"

/* --- what was evicted meanwhile was taken off the depth too often, and it wrapped round --- */

static _Atomic int quit;

static void *publish_until_quit(void *arg)
{
	/* One that finds another in the middle of its push is refused. */
	while (!atomic_load(&quit))
		must(publish_data(arg, 0, 0, 1) >= 0);
	return NULL;
}

static void ignore(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
}

Test(policies, depth_max_does_not_wrap_round_while_publishers_evict)
{
	struct stasis_executor *executor = executor_that(STASIS_WAIT_SPIN, 1);
	struct stasis_topic *topic = topic_new();
	struct stasis_subscription *sub;
	struct stasis_stats stats;
	pthread_t threads[3];

	sub = stasis_subscribe_with(topic, ignore, NULL,
				    &(struct stasis_subscribe_options){
					    .executor = executor,
					    .capacity = 1,
					    .batch = 1,
					    .overflow = STASIS_OVERFLOW_DROP_OLDEST });
	cr_assert_not_null(sub);
	atomic_store(&quit, 0);
	for (int i = 0; i < 3; i++)
		start(&threads[i], publish_until_quit, topic);
	do {
		sched_yield();
		stats = stats_of(sub);
	} while (stats.published < 1000000 && stats.depth_max <= 1000);
	atomic_store(&quit, 1);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	stasis_unsubscribe_and_join(sub);
	cr_assert_gt(stats.dropped, 0);
	cr_assert_leq(stats.depth_max, 1000, "%llu", (unsigned long long)stats.depth_max);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

/* --- a run of a second type found the room that the first one's was going to wait for --- */

#define N_OTHERS 100

Test(policies, a_batch_of_two_types_waits_for_room_in_its_order)
{
	struct stasis_executor *executor = executor_that(STASIS_WAIT_SPIN, 1);
	struct stasis_executor *manual = executor_that(STASIS_WAIT_MANUAL, 0);
	struct stasis_message_type *types[] = { datum_type(),
						stasis_message_type_create("another") };
	struct stasis_topic *topic = topic_new();
	struct stasis_subscription *others[N_OTHERS], *sub;
	struct probe probe = { 0 };

	/* Selective ones, which part the batch, and take a while between its parts. */
	for (int i = 0; i < N_OTHERS; i++) {
		others[i] =
			stasis_subscribe_with(topic, ignore, NULL,
					      &(struct stasis_subscribe_options){
						      .executor = manual,
						      .types = types,
						      .n_types = 1,
						      .capacity = 1,
						      .overflow = STASIS_OVERFLOW_DROP_NEWEST });
		cr_assert_not_null(others[i]);
	}
	sub = subscribe_probe(
		topic, &probe,
		&(struct stasis_subscribe_options){
			.executor = executor, .capacity = 1, .overflow = STASIS_OVERFLOW_BLOCK });
	for (uint64_t seq = 0; seq < 8 * 1000; seq += 8) {
		struct stasis_message *messages[8];

		for (uint64_t i = 0; i < 8; i++) {
			struct datum datum = { .publisher = 0, .seq = seq + i };

			messages[i] = stasis_message_create_inline(types[i / 4], &datum,
								   sizeof(datum));
		}
		cr_assert_geq(stasis_publish_batch(topic, messages, 8), 0);
		drain(executor);
		cr_assert_eq(probe.n_data, seq + 8);
		cr_assert_eq(probe.n_out_of_order, 0, "batch %llu", (unsigned long long)seq / 8);
	}
	stasis_unsubscribe_and_join(sub);
	for (int i = 0; i < N_OTHERS; i++)
		stasis_unsubscribe(others[i]);
	stasis_executor_shutdown(manual);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

/* --- a capacity below that of the smallest ring was exceeded within it, and not counted --- */

static void publish_six(struct probe *probe, struct stasis_subscription *sub,
			struct stasis_topic *topic, struct stasis_message *message)
{
	must(publish_data(probe->user, 0, 0, 6) == 0);
}

static void check_forced(size_t capacity)
{
	struct stasis_executor *loop = executor_that(STASIS_WAIT_MANUAL, 0);
	struct stasis_executor *other = executor_that(STASIS_WAIT_MANUAL, 0);
	struct stasis_topic *topic = topic_new(), *behind = topic_new();
	struct probe probe = { .on_data = publish_six, .user = behind };
	struct probe full = { 0 };
	struct stasis_subscription *sub, *blocking;
	struct stasis_stats stats;

	sub = subscribe_on(topic, &probe, loop);
	blocking = subscribe_probe(behind, &full,
				   &(struct stasis_subscribe_options){
					   .executor = other,
					   .capacity = capacity,
					   .overflow = STASIS_OVERFLOW_BLOCK });
	drain(loop);
	drain(other);
	cr_assert_eq(stats_of(blocking).grown, 0);
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	cr_assert_eq(stasis_executor_run(loop, 1), 1);
	drain(other);
	stats = stats_of(blocking);
	cr_assert_eq(full.n_data, 6);
	cr_assert_eq(full.n_out_of_order, 0);
	cr_assert_eq(stats.blocked, 0);
	cr_assert_eq(stats.dropped, 0);
	cr_assert_gt(stats.grown, 0, "capacity %zu", capacity);
	stasis_unsubscribe(sub);
	stasis_unsubscribe(blocking);
	stasis_executor_shutdown(loop);
	stasis_executor_shutdown(other);
	stasis_object_unref(topic);
	stasis_object_unref(behind);
}

Test(policies, growth_in_a_callback_is_counted_at_small_capacities)
{
	check_forced(1);
	check_forced(2);
	check_forced(4);
}

/* --- a long queue was not congested when publisher and worker looked at the same time --- */

static _Atomic int balance;

static void note_congestion(void *data, struct stasis_subscription *sub, bool congested)
{
	atomic_fetch_add(&balance, congested ? 1 : -1);
}

/* Varies when the second publish meets the worker's look. */
static void pass_time(int n)
{
	for (volatile int i = n; i > 0; i--)
		;
}

Test(policies, a_queue_that_is_too_long_at_rest_is_congested)
{
	struct stasis_executor *executor = executor_that(STASIS_WAIT_SPIN, 1);
	struct stasis_topic *topic = topic_new();
	struct probe probe = { 0 };
	struct stasis_subscription *sub;
	struct stasis_stats stats;

	atomic_store(&balance, 0);
	sub = subscribe_probe(
		topic, &probe,
		&(struct stasis_subscribe_options){
			.executor = executor, .high_water = 1, .on_congestion = note_congestion });
	drain(executor);
	for (int round = 0; round < 20000; round++) {
		struct gate hold = GATE_INIT;
		uint64_t seq = 2 * (uint64_t)round;
		struct stasis_message *second = datum_message(0, seq + 1);

		probe.hold = &hold;
		cr_assert_eq(publish_data(topic, 0, seq, 1), 0);
		pass_time(round % 400);
		cr_assert_eq(stasis_publish_take(topic, second), 0);
		gate_await(&hold, 1);
		/* The first is in its callback, the second is queued: nothing moves. */
		stats = stats_of(sub);
		cr_assert_geq(stats.depth, 1);
		cr_assert_eq(stats.congested, 1, "round %d", round);
		gate_open(&hold);
		drain(executor);
		cr_assert_eq(stats_of(sub).congested, 0, "round %d", round);
	}
	cr_assert_eq(probe.n_out_of_order, 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(atomic_load(&balance), 0);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

/* --- a batch was handed on path by path, all of it, instead of message by message --- */

Test(policies, a_batch_takes_a_diamond_one_message_after_the_other)
{
	struct stasis_executor *loop = executor_that(STASIS_WAIT_MANUAL, 0);
	struct stasis_topic *topics[4] = { topic_new(), topic_new(), topic_new(), topic_new() };
	static const int edges[4][2] = { { 0, 1 }, { 0, 2 }, { 1, 3 }, { 2, 3 } };
	struct stasis_message *messages[3];
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	for (int i = 0; i < 4; i++) {
		struct stasis_forward *forward = stasis_forward_all(topics[edges[i][0]],
								    topics[edges[i][1]]);

		cr_assert_not_null(forward);
		stasis_object_unref(forward);
	}
	sub = subscribe_on(topics[3], &probe, loop);
	for (uint64_t i = 0; i < 3; i++)
		messages[i] = datum_message(0, i);
	cr_assert_eq(stasis_publish_batch(topics[0], messages, 3), 0);
	drain(loop);
	cr_assert_eq(probe.n_calls, 7);
	for (size_t i = 0; i < 6; i++) {
		cr_assert_eq(probe.log[1 + i].kind, PROBE_DATUM);
		cr_assert_eq(probe.log[1 + i].datum.seq, i / 2, "copy %zu", i);
	}
	stasis_unsubscribe(sub);
	stasis_executor_shutdown(loop);
	for (int i = 0; i < 4; i++)
		stasis_object_unref(topics[i]);
}

/* --- with watermarks, the room asked for was forgotten --- */

static void check_reserved(size_t high_water)
{
	struct stasis_executor *loop = executor_that(STASIS_WAIT_MANUAL, 0);
	struct stasis_topic *topic = topic_new();
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	sub = subscribe_probe(topic, &probe,
			      &(struct stasis_subscribe_options){
				      .executor = loop,
				      .capacity = 1024,
				      .high_water = high_water,
				      .on_congestion = high_water > 0 ? note_congestion : NULL });
	cr_assert_eq(publish_data(topic, 0, 0, 1000), 0);
	drain(loop);
	cr_assert_eq(probe.n_data, 1000);
	cr_assert_eq(stats_of(sub).grown, 0, "high_water %zu", high_water);
	stasis_unsubscribe(sub);
	stasis_executor_shutdown(loop);
	stasis_object_unref(topic);
}

Test(policies, a_queue_that_grows_has_the_room_it_asked_for)
{
	check_reserved(0);
	check_reserved(900);
}
