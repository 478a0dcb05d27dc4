/* SPDX-License-Identifier: BSD-2-Clause */
/* test_claims.c — what publishers that deliver have claimed, and let go of */

#include "regress_fixture.h"

/* --- a request that was carried, then left to a loop, was not all that a run for one made --- */

struct run_inside {
	struct stasis_executor *manual;
	struct stasis_topic *busy;
	struct stasis_subscription *sub; /* NULL: that has been */
	int result;
};

static void run_one(struct probe *probe, struct stasis_subscription *sub,
		    struct stasis_topic *topic, struct stasis_message *message)
{
	struct run_inside *inside = probe->user;

	if (inside->sub == NULL)
		return;
	must(publish_data(inside->busy, 0, 0, 10) == 0);
	stasis_unsubscribe(inside->sub);
	inside->sub = NULL;
	inside->result = stasis_executor_run(inside->manual, 1);
}

Test(claims, a_run_for_one_makes_one_callback, .timeout = 60)
{
	struct stasis_executor *publishers = executor_that(STASIS_WAIT_INLINE, 1);
	struct run_inside inside = { .manual = executor_that(STASIS_WAIT_MANUAL, 1),
				     .busy = topic_new(),
				     .result = 12345 };
	struct stasis_subscribe_options options = { .executor = inside.manual };
	struct stasis_topic *topic = topic_new();
	struct probe own = { 0 }, busy = { 0 }, other = { .on_data = run_one, .user = &inside };
	struct stasis_subscription *sub = subscribe_probe(topic, &own, &options), *subs[2];

	subs[0] = subscribe_probe(inside.busy, &busy, &options);
	options.executor = publishers;
	subs[1] = subscribe_probe(topic, &other, &options);
	drain(publishers);
	drain(inside.manual);
	inside.sub = stasis_object_ref(sub);
	cr_assert_eq(sync_datum(sub, 0, 0, NULL), 0);
	cr_assert_eq(inside.result, 1);
	cr_assert_eq(own.n_data, 1);
	drain(inside.manual);
	cr_assert_eq(own.n_finals, 1);
	cr_assert_eq(busy.n_data, 10);
	stasis_object_unref(sub);
	for (int i = 0; i < 2; i++)
		stasis_unsubscribe_and_join(subs[i]);
	stasis_object_unref(topic);
	stasis_object_unref(inside.busy);
	stasis_executor_shutdown(publishers);
	stasis_executor_shutdown(inside.manual);
}

/* --- a shutdown waited for workers that waited for what its thread had claimed --- */

struct shutdown_inside {
	struct stasis_executor *closing;
	struct stasis_topic *busy;
	struct stasis_subscription *claimed;
	pthread_t other;
	int result;
};

/* What it publishes is behind itself, and more than its batch: a worker's. */
static void publish_behind(struct probe *probe, struct stasis_subscription *sub,
			   struct stasis_topic *topic, struct stasis_message *message)
{
	struct shutdown_inside *inside = probe->user;

	if (datum_seq(message) == 0)
		must(publish_data(topic, 0, 1, 1) == 0);
	else
		inside->result = sync_datum(inside->claimed, 1, 0, NULL);
}

static void *publish_busy(void *arg)
{
	struct shutdown_inside *inside = arg;

	must(publish_data(inside->busy, 0, 0, 1) == 0);
	return NULL;
}

static void shut_down_executor(struct probe *probe, struct stasis_subscription *sub,
			       struct stasis_topic *topic, struct stasis_message *message)
{
	struct shutdown_inside *inside = probe->user;
	const struct datum *datum = stasis_message_data(message);
	uint64_t published = stats_of(inside->claimed).published;

	if (datum->publisher != 0)
		return;
	must(pthread_create(&inside->other, NULL, publish_busy, inside) == 0);
	/* The worker's request is behind what this publish has for the subscription. */
	while (stats_of(inside->claimed).published == published)
		sched_yield();
	must(stasis_executor_shutdown(inside->closing) == NULL);
}

Test(claims, a_shutdown_waits_for_nobody_who_waits_for_them, .timeout = 60)
{
	struct stasis_executor *executor = executor_that(STASIS_WAIT_INLINE, 1);
	struct shutdown_inside inside = { .closing = executor_that(STASIS_WAIT_INLINE, 1),
					  .busy = topic_new(),
					  .result = 12345 };
	struct probe first = { .on_data = shut_down_executor, .user = &inside }, second = { 0 };
	struct probe busy = { .on_data = publish_behind, .user = &inside };
	struct stasis_subscribe_options options = { .executor = executor };
	struct stasis_topic *topic = topic_new();
	struct stasis_subscription *subs[2];

	subs[0] = subscribe_probe(topic, &first, &options);
	options.executor = inside.closing;
	inside.claimed = subscribe_probe(topic, &second, &options);
	options.batch = 1;
	subs[1] = subscribe_probe(inside.busy, &busy, &options);
	drain(executor);
	drain(inside.closing);
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	pthread_join(inside.other, NULL);
	cr_assert_eq(inside.result, 0);
	cr_assert_eq(busy.n_data, 2);
	/* The request was published to both. */
	cr_assert_eq(first.n_data, 2);
	cr_assert_eq(second.n_data, 2);
	stasis_unsubscribe_and_join(inside.claimed);
	for (int i = 0; i < 2; i++)
		stasis_unsubscribe_and_join(subs[i]);
	stasis_object_unref(topic);
	stasis_object_unref(inside.busy);
	stasis_executor_shutdown(executor);
}
