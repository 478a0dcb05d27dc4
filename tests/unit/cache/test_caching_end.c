/* SPDX-License-Identifier: BSD-2-Clause */
/* test_caching_end.c — how the caching of a topic ends, in every order */

#include "cache_fixture.h"

Test(caching_end, entries_stay_and_updates_stop)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	world_put(&world, snap_type(), "a", 1);
	errno = 0;
	world.caching = stasis_caching_unsubscribe(world.caching);
	cr_assert_eq(errno, 0);
	cr_assert_eq(world_put(&world, snap_type(), "a", 2), 0);
	cr_assert_eq(world_put(&world, snap_type(), "b", 3), 0);
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 1);
	cr_assert_eq(version_in(world.cache, snap_type(), "b"), 0);
	cr_assert_eq(stasis_subscription_is_subscribed(sub), 1);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 F");
	world_close(&world);
}

Test(caching_end, twice_is_already)
{
	struct world world = world_open();

	for (int join = 0; join < 2; join++) {
		struct stasis_topic *topic = stasis_topic_create("t");
		struct stasis_caching_topic *caching =
			stasis_caching_topic_create(topic, world.cache);

		stasis_object_ref(caching);
		errno = 0;
		cr_assert_null(join ? stasis_caching_unsubscribe_and_join(caching) :
				      stasis_caching_unsubscribe(caching));
		cr_assert_eq(errno, 0);
		cr_assert_not_null(stasis_caching_get_topic(caching));
		cr_assert_null(join ? stasis_caching_unsubscribe_and_join(caching) :
				      stasis_caching_unsubscribe(caching));
		cr_assert_eq(errno, EALREADY);
		stasis_object_unref(topic);
	}
	world_close(&world);
}

Test(caching_end, may_be_begun_again)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub;

	world_put(&world, snap_type(), "a", 1);
	stasis_caching_unsubscribe_and_join(world.caching);
	world_put(&world, snap_type(), "a", 2);
	world.caching = stasis_caching_topic_create(world.topic, world.cache);
	sub = world_watch(&world, &diary);
	world_put(&world, snap_type(), "a", 3);
	world_leave(&world, sub);
	diary_expect(&diary, "a:1>3 F");
	world_close(&world);
}

Test(caching_end, a_dropped_handle_ends_nothing)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	world.caching = stasis_object_unref(world.caching);
	let_go();
	world_put(&world, snap_type(), "a", 1);
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 1);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 F");
	/* The topic's end is its end: the cache is let go of. */
	cr_assert_gt(stasis_object_refs(world.cache), 1);
	world.topic = stasis_object_unref(world.topic);
	let_go();
	cr_assert_eq(stasis_object_refs(world.cache), 1);
	world.executor = stasis_executor_shutdown(world.executor);
	stasis_object_unref(world.cache);
}

Test(caching_end, the_original_topic_may_go_first)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	world_put(&world, snap_type(), "a", 1);
	world.topic = stasis_object_unref(world.topic);
	let_go();
	cr_assert_str_eq(stasis_topic_name(stasis_caching_get_topic(world.caching)),
			 "things-cached");
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 1);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 F");
	world.caching = stasis_caching_unsubscribe(world.caching);
	let_go();
	cr_assert_eq(stasis_object_refs(world.cache), 1);
	world_close(&world);
}

Test(caching_end, the_cache_s_handle_may_go_first)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	world.cache = stasis_object_unref(world.cache);
	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "a", 2);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 a:1>2 F");
	world_close(&world);
}

Test(caching_end, subscriptions_outlive_everything)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "a", 2);
	world.caching = stasis_caching_unsubscribe(world.caching);
	world.cache = stasis_object_unref(world.cache);
	world.topic = stasis_object_unref(world.topic);
	let_go();
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 a:1>2 F");
	world_close(&world);
}

/* All orders of six ends, the subscriptions' among them. */
enum { END_CACHING, END_CACHE, END_TOPIC, END_FIRST, END_SECOND, END_STATE, N_ENDS };

static void end_one(struct world *world, struct stasis_subscription **subs, int what)
{
	switch (what) {
	case END_CACHING:
		world->caching = stasis_caching_unsubscribe(world->caching);
		break;
	case END_CACHE:
		world->cache = stasis_object_unref(world->cache);
		break;
	case END_TOPIC:
		world->topic = stasis_object_unref(world->topic);
		break;
	default:
		subs[what - END_FIRST] = stasis_unsubscribe(subs[what - END_FIRST]);
		break;
	}
	if (world->topic != NULL)
		world_put(world, snap_type(), "a", 10 + (uint64_t)what);
}

static void run_order(const int *order)
{
	struct world world = world_open();
	struct diary diaries[3] = { 0 };
	struct stasis_subscription *subs[3];

	subs[0] = world_watch(&world, &diaries[0]);
	world_put(&world, snap_type(), "a", 1);
	subs[1] = world_watch(&world, &diaries[1]);
	subs[2] = world_watch_state(&world, &diaries[2]);
	for (int i = 0; i < N_ENDS; i++)
		end_one(&world, subs, order[i]);
	world_run(&world);
	for (int i = 0; i < 3; i++) {
		size_t size = strlen(diaries[i].text);

		cr_assert_eq(diaries[i].n_gaps, 0);
		cr_assert_eq(diaries[i].text[size - 1], 'F', "%s", diaries[i].text);
	}
	world_close(&world);
}

static void run_orders(int *order, int n)
{
	for (int i = n; i < N_ENDS; i++) {
		int chosen = order[i];

		order[i] = order[n];
		order[n] = chosen;
		run_orders(order, n + 1);
		order[n] = order[i];
		order[i] = chosen;
	}
	if (n == N_ENDS)
		run_order(order);
}

Test(caching_end, happens_in_any_order)
{
	int order[N_ENDS];

	for (int i = 0; i < N_ENDS; i++)
		order[i] = i;
	run_orders(order, 0);
}

/* --- from callbacks --- */

static void end_all_here(struct diary *diary, struct stasis_subscription *sub,
			 struct stasis_message *message)
{
	struct world *world = diary->user;

	if (stasis_message_type(message) != stasis_cache_update_type() || world->caching == NULL)
		return;
	stasis_unsubscribe(stasis_object_ref(sub));
	world->caching = stasis_caching_unsubscribe(world->caching);
	world->cache = stasis_object_unref(world->cache);
	world->topic = stasis_object_unref(world->topic);
}

Test(caching_end, happens_in_a_callback)
{
	struct world world = world_open();
	struct diary diary = { .hook = end_all_here, .user = &world };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "a", 2);
	world_run(&world);
	diary_expect(&diary, "a:->1 a:1>2 F");
	stasis_object_unref(sub);
	world_close(&world);
}

static void join_here(struct diary *diary, struct stasis_subscription *sub,
		      struct stasis_message *message)
{
	struct world *world = diary->user;

	world->caching = stasis_caching_unsubscribe_and_join(world->caching);
}

Test(caching_end, is_waited_for_in_a_callback)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	diary.hook = join_here;
	diary.user = &world;
	world_put(&world, snap_type(), "a", 1);
	world_run(&world);
	cr_assert_null(world.caching);
	diary.hook = NULL;
	world_put(&world, snap_type(), "a", 2);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 F");
	world_close(&world);
}

/* A publisher that is in the function that tells ids when the caching of its topic ends. */
static struct stasis_caching_topic *to_be_ended;

static const char *id_and_end(struct stasis_message *message)
{
	if (to_be_ended != NULL)
		to_be_ended = stasis_caching_unsubscribe(to_be_ended);
	return snap_id(message);
}

Test(caching_end, leaves_what_is_under_way)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_cache *cache = stasis_cache_create(id_and_end);

	to_be_ended = stasis_caching_topic_create(topic, cache);
	stasis_publish_take(topic, snap_message(snap_type(), "a", 1));
	cr_assert_null(to_be_ended);
	cr_assert_eq(version_in(cache, snap_type(), "a"), 1);
	stasis_publish_take(topic, snap_message(snap_type(), "a", 2));
	cr_assert_eq(version_in(cache, snap_type(), "a"), 1);
	stasis_object_unref(topic);
	stasis_object_unref(cache);
}
