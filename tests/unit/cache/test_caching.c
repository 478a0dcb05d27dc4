/* SPDX-License-Identifier: BSD-2-Clause */
/* test_caching.c — caching topics: what leads to them, what leads on, and every form of publish */

#include "cache_fixture.h"

Test(caching, topic_has_a_name_of_its_own)
{
	struct world world = world_open();
	struct stasis_topic *topic = stasis_caching_get_topic(world.caching);

	cr_assert_not_null(topic);
	cr_assert_eq(stasis_caching_get_topic(world.caching), topic);
	cr_assert_str_eq(stasis_topic_name(topic), "things-cached");
	world_close(&world);
}

Test(caching, topic_wants_everything_while_it_is_cached)
{
	struct world world = world_open();
	struct stasis_topic *updates = stasis_object_ref(stasis_caching_get_topic(world.caching));

	cr_assert_eq(stasis_topic_wants(world.topic, snap_type()), 1);
	cr_assert_eq(stasis_topic_subscribers(world.topic), 0);
	cr_assert_eq(stasis_topic_wants(updates, stasis_cache_update_type()), 0);
	world.caching = stasis_caching_unsubscribe(world.caching);
	cr_assert_eq(stasis_topic_wants(world.topic, snap_type()), 0);
	stasis_object_unref(updates);
	world_close(&world);
}

Test(caching, topic_reached_by_forwards_is_wanted_and_cached)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);
	struct stasis_topic *far = stasis_topic_create("far"), *near = stasis_topic_create("near");
	struct stasis_forward *first = stasis_forward_all(far, near);
	struct stasis_forward *second = stasis_forward_all(near, world.topic);

	cr_assert_eq(stasis_topic_wants(far, snap_type()), 1);
	cr_assert_eq(stasis_publish_take(far, snap_message(snap_type(), "a", 1)), 0);
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 1);
	cr_assert_eq(stasis_publish_take(near, snap_message(snap_type(), "a", 2)), 0);
	stasis_forward_cancel(second);
	cr_assert_eq(stasis_topic_wants(far, snap_type()), 0);
	cr_assert_eq(stasis_publish_take(far, snap_message(snap_type(), "a", 3)), 0);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 a:1>2 F");
	stasis_forward_cancel(first);
	stasis_object_unref(far);
	stasis_object_unref(near);
	world_close(&world);
}

/* As for any subscription of the original topic: once for each path. */
Test(caching, topic_reached_twice_is_given_everything_twice)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);
	struct stasis_topic *far = stasis_topic_create("far"), *near = stasis_topic_create("near");
	struct stasis_forward *forwards[] = {
		stasis_forward_all(far, near),
		stasis_forward_all(near, world.topic),
		stasis_forward_all(far, world.topic),
	};
	struct stasis_message *both[] = {
		snap_message(snap_type(), "a", 2),
		snap_message(snap_type(), "a", 3),
	};

	cr_assert_eq(stasis_publish_take(far, snap_message(snap_type(), "a", 1)), 0);
	cr_assert_eq(stasis_publish_batch(far, both, 2), 0);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 a:1>1 a:1>2 a:2>2 a:2>3 a:3>3 F");
	for (int i = 0; i < 3; i++)
		stasis_forward_cancel(forwards[i]);
	stasis_object_unref(far);
	stasis_object_unref(near);
	world_close(&world);
}

Test(caching, updates_are_forwarded)
{
	struct world world = world_open();
	struct diary here = { 0 }, there = { 0 };
	struct stasis_topic *updates = stasis_caching_get_topic(world.caching);
	struct stasis_topic *all = stasis_topic_create("all");
	struct stasis_subscription *subs[2] = { world_watch(&world, &here) };
	struct stasis_forward *forward = stasis_forward_all(updates, all);

	cr_assert_eq(stasis_topic_wants(updates, stasis_cache_update_type()), 1);
	subs[1] = stasis_subscribe_with(
		all, diary_write, &there,
		&(struct stasis_subscribe_options){ .executor = world.executor });
	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "a", 2);
	stasis_forward_cancel(forward);
	world_put(&world, snap_type(), "a", 3);
	world_leave(&world, subs[0]);
	world_leave(&world, subs[1]);
	diary_expect(&here, "a:->1 a:1>2 a:2>3 F");
	diary_expect(&there, "S a:->1 a:1>2 F");
	stasis_object_unref(all);
	world_close(&world);
}

Test(caching, updates_come_once_for_each_path_unless_distinct)
{
	struct world world = world_open();
	struct diary twice = { 0 }, once = { 0 };
	struct stasis_topic *updates = stasis_caching_get_topic(world.caching);
	struct stasis_topic *all = stasis_topic_create("all"), *way = stasis_topic_create("way");
	struct stasis_forward *forwards[] = {
		stasis_forward_all(updates, all),
		stasis_forward_all(updates, way),
		stasis_forward_all(way, all),
	};
	struct stasis_subscription *subs[2];

	subs[0] = stasis_subscribe_with(
		all, diary_write, &twice,
		&(struct stasis_subscribe_options){ .executor = world.executor });
	subs[1] = stasis_subscribe_with(all, diary_write, &once,
					&(struct stasis_subscribe_options){
						.executor = world.executor, .distinct = true });
	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "a", 2);
	world_leave(&world, subs[1]);
	world_leave(&world, subs[0]);
	diary_expect(&twice, "S s a:->1 a:->1 a:1>2 a:1>2 u F");
	diary_expect(&once, "S a:->1 a:1>2 F");
	for (int i = 0; i < 3; i++)
		stasis_forward_cancel(forwards[i]);
	stasis_object_unref(all);
	stasis_object_unref(way);
	world_close(&world);
}

/* More segments than a walk gathers at once, and more cells than one. */
Test(caching, updates_reach_very_many)
{
	enum { N = 150 };
	struct world world = world_open();
	struct stasis_topic *updates = stasis_caching_get_topic(world.caching);
	static struct diary diaries[N];
	struct stasis_subscription *subs[N];
	struct stasis_forward *forwards[N];

	for (int i = 0; i < N; i++) {
		struct stasis_topic *leaf = stasis_topic_create("leaf");

		forwards[i] = stasis_forward_all(updates, leaf);
		subs[i] = stasis_subscribe_with(
			leaf, diary_write, &diaries[i],
			&(struct stasis_subscribe_options){ .executor = world.executor });
		cr_assert_not_null(forwards[i]);
		cr_assert_not_null(subs[i]);
		stasis_object_unref(leaf);
	}
	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "a", 2);
	world_clear(&world, snap_type(), "a");
	for (int i = 0; i < N; i++) {
		world_leave(&world, subs[i]);
		diary_expect(&diaries[i], "S a:->1 a:1>2 a:2>- F");
		stasis_forward_cancel(forwards[i]);
	}
	world_close(&world);
}

Test(caching, filters_say_who_is_given_updates)
{
	struct world world = world_open();
	struct diary yes = { 0 }, no = { 0 };
	struct stasis_topic *updates = stasis_caching_get_topic(world.caching);
	struct stasis_message_type *accepted[] = { stasis_cache_update_type(), noise_type() };
	struct stasis_subscription *subs[2];

	for (int i = 0; i < 2; i++) {
		subs[i] = stasis_subscribe_with(updates, diary_write, i == 0 ? &yes : &no,
						&(struct stasis_subscribe_options){
							.executor = world.executor,
							.types = &accepted[i],
							.n_types = 1 });
		cr_assert_not_null(subs[i]);
	}
	world_put(&world, snap_type(), "a", 1);
	stasis_subscription_decline_message_type(subs[0], accepted[0]);
	world_put(&world, snap_type(), "a", 2);
	stasis_subscription_accept_message_type(subs[1], accepted[0]);
	world_put(&world, snap_type(), "a", 3);
	for (int i = 0; i < 2; i++)
		world_leave(&world, subs[i]);
	diary_expect(&yes, "a:->1 F");
	diary_expect(&no, "a:2>3 F");
	world_close(&world);
}

Test(caching, topics_may_share_a_cache)
{
	struct world world = world_open();
	struct stasis_topic *second = stasis_topic_create("more");
	struct stasis_caching_topic *caching = stasis_caching_topic_create(second, world.cache);
	struct diary diaries[2] = { 0 };
	struct stasis_subscription *subs[2];

	subs[0] = world_watch(&world, &diaries[0]);
	subs[1] = stasis_subscribe_with(
		stasis_caching_get_topic(caching), diary_write, &diaries[1],
		&(struct stasis_subscribe_options){ .executor = world.executor });
	world_put(&world, snap_type(), "a", 1);
	cr_assert_eq(stasis_publish_take(second, snap_message(snap_type(), "a", 2)), 0);
	cr_assert_eq(stasis_publish_take(second, snap_message(snap_type(), "b", 3)), 0);
	world_put(&world, snap_type(), "a", 4);
	world_clear(&world, snap_type(), "b");
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 4);
	world_leave(&world, subs[0]);
	world_leave(&world, subs[1]);
	diary_expect(&diaries[0], "a:->1 a:2>4 b:3>- F");
	diary_expect(&diaries[1], "S a:1>2 b:->3 F");
	stasis_caching_unsubscribe(caching);
	stasis_object_unref(second);
	world_close(&world);
}

Test(caching, one_topic_may_have_several_caches)
{
	struct world world = world_open();
	struct stasis_cache *cache = stasis_cache_create(snap_id);
	struct stasis_caching_topic *caching = stasis_caching_topic_create(world.topic, cache);

	world_put(&world, snap_type(), "a", 1);
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 1);
	cr_assert_eq(version_in(cache, snap_type(), "a"), 1);
	stasis_caching_unsubscribe(caching);
	world_put(&world, snap_type(), "a", 2);
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 2);
	cr_assert_eq(version_in(cache, snap_type(), "a"), 1);
	stasis_object_unref(cache);
	world_close(&world);
}

Test(caching, a_batch_is_cached_in_order)
{
	struct world world = world_open();
	struct diary updates = { 0 }, original = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &updates), *plain;
	struct stasis_message *first = snap_message(snap_type(), "a", 1);
	struct stasis_message *batch[] = {
		first,
		snap_message(snap_type(), "a", 2),
		snap_message(noise_type(), "a", 3),
		snap_message(other_type(), "a", 4),
		stasis_cache_clear_create(first),
		snap_message(snap_type(), "a", 5),
	};

	plain = stasis_subscribe_with(
		world.topic, diary_write, &original,
		&(struct stasis_subscribe_options){ .executor = world.executor });
	cr_assert_eq(stasis_publish_batch(world.topic, batch, 6), 0);
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 5);
	world_leave(&world, sub);
	world_leave(&world, plain);
	diary_expect(&updates, "a:->1 a:1>2 other/a:->4 a:2>- a:->5 F");
	diary_expect(&original, "S x x x x x x F");
	world_close(&world);
}

Test(caching, publish_leaves_references_as_they_were)
{
	struct world world = world_open();
	struct stasis_message *snapshot = snap_message(snap_type(), "a", 1);
	struct stasis_message *noise = snap_message(noise_type(), "a", 1);

	stasis_publish(world.topic, noise);
	cr_assert_eq(stasis_object_refs(noise), 1);
	stasis_object_ref(noise);
	stasis_publish_take(world.topic, noise);
	cr_assert_eq(stasis_object_refs(noise), 1);
	stasis_publish(world.topic, snapshot);
	cr_assert_gt(stasis_object_refs(snapshot), 1);
	world_clear(&world, snap_type(), "a");
	let_go();
	cr_assert_eq(stasis_object_refs(snapshot), 1);
	stasis_object_unref(snapshot);
	stasis_object_unref(noise);
	world_close(&world);
}

struct waiting {
	struct stasis_cache *cache;
	uint64_t seen_in_cache;
};

static void look_into_the_cache(void *data, struct stasis_subscription *sub,
				struct stasis_topic *topic, struct stasis_message *message)
{
	struct waiting *waiting = data;

	if (stasis_message_type(message) == snap_type())
		waiting->seen_in_cache = version_in(waiting->cache, snap_type(), "a");
}

Test(caching, a_synchronous_publish_is_cached_before_it_is_handled)
{
	struct world world = world_open();
	struct waiting waiting = { .cache = world.cache };
	struct diary diary = { 0 };
	struct stasis_subscription *updates = world_watch(&world, &diary);
	struct stasis_subscription *sub = stasis_subscribe(world.topic, look_into_the_cache,
							   &waiting);
	struct stasis_message *snapshot = snap_message(snap_type(), "a", 1);

	cr_assert_eq(stasis_publish_sync(sub, snapshot), 0);
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 1);
	stasis_unsubscribe_and_join(sub);
	world_leave(&world, updates);
	diary_expect(&diary, "a:->1 F");
	stasis_object_unref(snapshot);
	world_close(&world);
}

Test(caching, counts_its_updates)
{
	struct world world = world_open();
	struct stasis_stats stats = { 0 };

	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "a", 2);
	world_put(&world, noise_type(), "a", 3);
	world_clear(&world, snap_type(), "a");
	world_clear(&world, snap_type(), "a");
	cr_assert_eq(stasis_stats_read(stasis_caching_get_topic(world.caching), &stats), 0);
	cr_assert_eq(stats.published, 3);
	cr_assert_str_eq(stats.name, "things-cached");
	stats = (struct stasis_stats){ 0 };
	cr_assert_eq(stasis_stats_read(world.topic, &stats), 0);
	cr_assert_eq(stats.published, 5);
	world_close(&world);
}

Test(caching, wants_its_arguments)
{
	struct world world = world_open();

	errno = 0;
	cr_assert_null(stasis_caching_topic_create(NULL, world.cache));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_caching_topic_create(world.topic, NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_caching_get_topic(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_caching_unsubscribe(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_caching_unsubscribe_and_join(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_caching_subscribe_with_state(NULL, diary_write, NULL, NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_caching_subscribe_with_state(world.caching, NULL, NULL, NULL));
	cr_assert_eq(errno, EINVAL);
	world_close(&world);
}
