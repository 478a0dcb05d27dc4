/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cache.c — snapshots go in, updates come out; what is no snapshot does neither */

#include "cache_fixture.h"

Test(cache, holds_the_snapshot_when_publish_has_returned)
{
	struct world world = world_open();
	struct stasis_message *first = snap_message(snap_type(), "a", 1);
	struct stasis_message *second = snap_message(snap_type(), "a", 2);
	struct stasis_message *got;

	errno = 0;
	cr_assert_null(stasis_cache_get(world.cache, snap_type(), "a"));
	cr_assert_eq(errno, 0);
	cr_assert_eq(stasis_publish(world.topic, first), 0);
	got = stasis_cache_get(world.cache, snap_type(), "a");
	cr_assert_eq(got, first);
	stasis_object_unref(got);
	cr_assert_eq(stasis_publish(world.topic, second), 0);
	got = stasis_cache_get(world.cache, snap_type(), "a");
	cr_assert_eq(got, second);
	stasis_object_unref(got);
	stasis_object_unref(first);
	stasis_object_unref(second);
	world_close(&world);
}

Test(cache, publishes_the_old_snapshot_and_the_new_one)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	cr_assert_eq(world_put(&world, snap_type(), "a", 1), 0);
	cr_assert_eq(world_put(&world, snap_type(), "a", 2), 0);
	world_run(&world);
	diary_expect(&diary, "a:->1 a:1>2");
	cr_assert_eq(world_put(&world, snap_type(), "a", 3), 0);
	world_leave(&world, sub);
	diary_expect(&diary, "a:2>3 F");
	world_close(&world);
}

Test(cache, keeps_a_chain_for_each_id_and_each_type)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "b", 2);
	world_put(&world, other_type(), "a", 3);
	world_put(&world, snap_type(), "a", 4);
	world_put(&world, other_type(), "a", 5);
	world_put(&world, snap_type(), "b", 6);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 b:->2 other/a:->3 a:1>4 other/a:3>5 b:2>6 F");
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 4);
	cr_assert_eq(version_in(world.cache, snap_type(), "b"), 6);
	cr_assert_eq(version_in(world.cache, other_type(), "a"), 5);
	cr_assert_eq(version_in(world.cache, other_type(), "b"), 0);
	world_close(&world);
}

Test(cache, takes_the_same_message_again)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);
	struct stasis_message *snapshot = snap_message(snap_type(), "a", 1);

	for (int i = 0; i < 3; i++)
		cr_assert_eq(stasis_publish(world.topic, snapshot), 0);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 a:1>1 a:1>1 F");
	stasis_object_unref(snapshot);
	world_close(&world);
}

Test(cache, does_not_pass_on_what_is_no_snapshot)
{
	struct world world = world_open();
	struct diary diary = { 0 }, original = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary), *plain;
	struct stasis_message **dump;
	size_t n;

	plain = stasis_subscribe_with(
		world.topic, diary_write, &original,
		&(struct stasis_subscribe_options){ .executor = world.executor });
	cr_assert_eq(world_put(&world, noise_type(), "a", 1), 0);
	world_put(&world, snap_type(), "a", 2);
	cr_assert_eq(world_put(&world, noise_type(), "a", 3), 0);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->2 F");
	world_leave(&world, plain);
	diary_expect(&original, "S x x x F");
	cr_assert_eq(n_asked, 3);
	dump = stasis_cache_dump(world.cache, NULL, &n);
	cr_assert_eq(n, 1);
	stasis_cache_dump_free(dump, n);
	world_close(&world);
}

/* "Subscribe" and "Unsubscribe" of the original topic, updates that are led back to it, and a clear
 * of any of them. */
Test(cache, does_not_ask_for_the_ids_of_the_library_s_own_messages)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_topic *updates = stasis_caching_get_topic(world.caching);
	struct stasis_forward *back = stasis_forward_all(updates, world.topic);
	struct stasis_subscription *sub = stasis_subscribe_with(
		world.topic, diary_write, &diary,
		&(struct stasis_subscribe_options){ .executor = world.executor });

	cr_assert_not_null(back);
	world_put(&world, snap_type(), "a", 1);
	world_clear(&world, snap_type(), "a");
	world_leave(&world, sub);
	diary_expect(&diary, "S a:->1 x a:1>- x F");
	cr_assert_gt(n_asked, 0);
	cr_assert_eq(n_asked_own, 0);
	stasis_forward_cancel(back);
	world_close(&world);
}

Test(cache, does_not_ask_for_the_id_of_a_clear_that_is_to_be_cleared)
{
	struct world world = world_open();
	struct stasis_message *snapshot = snap_message(snap_type(), "a", 1);
	struct stasis_message *clear = stasis_cache_clear_create(snapshot);
	struct stasis_message *twice = stasis_cache_clear_create(clear);

	/* Refusing to make it would do as well. */
	if (twice != NULL)
		cr_assert_eq(stasis_publish_take(world.topic, twice), 0);
	cr_assert_eq(n_asked_own, 0);
	stasis_object_unref(clear);
	stasis_object_unref(snapshot);
	world_close(&world);
}

Test(cache, loses_what_is_cleared)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "b", 2);
	cr_assert_eq(world_clear(&world, snap_type(), "a"), 0);
	errno = 0;
	cr_assert_null(stasis_cache_get(world.cache, snap_type(), "a"));
	cr_assert_eq(errno, 0);
	cr_assert_eq(version_in(world.cache, snap_type(), "b"), 2);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 b:->2 a:1>- F");
	world_close(&world);
}

Test(cache, publishes_nothing_when_there_is_nothing_to_clear)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);
	struct stasis_message *noise = snap_message(noise_type(), "a", 1);

	cr_assert_eq(world_clear(&world, snap_type(), "a"), 0);
	world_put(&world, snap_type(), "a", 1);
	cr_assert_eq(world_clear(&world, other_type(), "a"), 0);
	cr_assert_eq(world_clear(&world, snap_type(), "b"), 0);
	cr_assert_eq(stasis_publish_take(world.topic, stasis_cache_clear_create(noise)), 0);
	cr_assert_eq(world_clear(&world, snap_type(), "a"), 0);
	cr_assert_eq(world_clear(&world, snap_type(), "a"), 0);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 a:1>- F");
	stasis_object_unref(noise);
	world_close(&world);
}

Test(cache, begins_again_after_a_clear)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	for (uint64_t i = 1; i <= 3; i++) {
		world_put(&world, snap_type(), "a", 2 * i);
		world_put(&world, snap_type(), "a", 2 * i + 1);
		world_clear(&world, snap_type(), "a");
		cr_assert_eq(version_in(world.cache, snap_type(), "a"), 0);
	}
	world_leave(&world, sub);
	diary_expect(&diary, "a:->2 a:2>3 a:3>- a:->4 a:4>5 a:5>- a:->6 a:6>7 a:7>- F");
	cr_assert_eq(diary.n_gaps, 0);
	world_close(&world);
}

Test(cache, is_told_of_nothing_by_a_clear_s_snapshot_but_type_and_id)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub;
	struct stasis_message *snapshot = snap_message(snap_type(), "a", 1);
	struct stasis_message *clear;

	cr_assert_eq(stasis_publish(world.topic, snapshot), 0);
	world_put(&world, snap_type(), "a", 2);
	sub = world_watch(&world, &diary);
	clear = stasis_cache_clear_create(snapshot);
	cr_assert_eq(stasis_message_type(clear), stasis_cache_clear_type());
	cr_assert_eq(stasis_message_data(clear), snapshot);
	cr_assert_eq(stasis_publish(world.topic, clear), 0);
	cr_assert_eq(stasis_publish(world.topic, clear), 0);
	world_leave(&world, sub);
	diary_expect(&diary, "a:2>- F");
	stasis_object_unref(clear);
	stasis_object_unref(snapshot);
	world_close(&world);
}

Test(cache, holds_very_many)
{
	enum { N = 20000 };
	struct world world = world_open();
	char id[SNAP_ID];

	for (uint64_t i = 1; i <= N; i++) {
		snprintf(id, sizeof(id), "thing %llu", (unsigned long long)i);
		cr_assert_eq(world_put(&world, snap_type(), id, i), 0);
	}
	for (uint64_t i = 1; i <= N; i++) {
		snprintf(id, sizeof(id), "thing %llu", (unsigned long long)i);
		cr_assert_eq(version_in(world.cache, snap_type(), id), i);
		if (i % 2 == 0)
			world_clear(&world, snap_type(), id);
		cr_assert_eq(version_in(world.cache, snap_type(), id), i % 2 == 0 ? 0 : i);
	}
	world_close(&world);
}

Test(cache, types_are_the_library_s_and_have_names)
{
	struct stasis_message_type *type = stasis_cache_clear_type();

	cr_assert_not_null(type);
	cr_assert_eq(stasis_cache_clear_type(), type);
	cr_assert_neq(stasis_cache_update_type(), type);
	cr_assert_str_eq(stasis_message_type_name(type), "stasis_cache_clear");
	cr_assert_str_eq(stasis_message_type_name(stasis_cache_update_type()),
			 "stasis_cache_update");
	stasis_object_unref(stasis_object_ref(type));
	stasis_object_unref(type);
	cr_assert_str_eq(stasis_message_type_name(type), "stasis_cache_clear");
}

Test(cache, wants_its_arguments)
{
	struct world world = world_open();

	errno = 0;
	cr_assert_null(stasis_cache_create(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_cache_clear_create(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_cache_get(NULL, snap_type(), "a"));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_cache_get(world.cache, NULL, "a"));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_cache_get(world.cache, snap_type(), NULL));
	cr_assert_eq(errno, EINVAL);
	world_close(&world);
}
