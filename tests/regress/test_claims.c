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
