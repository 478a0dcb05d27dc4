/* SPDX-License-Identifier: BSD-2-Clause */
/* test_state.c — subscribing to updates, beginning with what there is */

#include "cache_fixture.h"
#include "sync/rcu.h"

Test(state, comes_after_its_own_beginning_and_before_what_follows)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub;

	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "a", 2);
	sub = world_watch_state(&world, &diary);
	world_put(&world, snap_type(), "a", 3);
	world_put(&world, snap_type(), "b", 4);
	world_clear(&world, snap_type(), "a");
	world_leave(&world, sub);
	diary_expect(&diary, "S a:->2 a:2>3 b:->4 a:3>- F");
	world_close(&world);
}

Test(state, of_an_empty_cache_is_nothing)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch_state(&world, &diary);

	world_put(&world, snap_type(), "a", 1);
	world_leave(&world, sub);
	diary_expect(&diary, "S a:->1 F");
	world_close(&world);
}

Test(state, has_no_place_for_what_was_cleared)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub;

	world_put(&world, snap_type(), "a", 1);
	world_put(&world, snap_type(), "b", 2);
	world_clear(&world, snap_type(), "a");
	sub = world_watch_state(&world, &diary);
	world_put(&world, snap_type(), "a", 3);
	world_leave(&world, sub);
	diary_expect(&diary, "S b:->2 a:->3 F");
	world_close(&world);
}

Test(state, is_told_to_nobody_else)
{
	struct world world = world_open();
	struct diary diaries[3] = { 0 };
	struct stasis_subscription *subs[3];

	subs[0] = world_watch(&world, &diaries[0]);
	world_put(&world, snap_type(), "a", 1);
	subs[1] = world_watch_state(&world, &diaries[1]);
	world_put(&world, snap_type(), "a", 2);
	subs[2] = world_watch_state(&world, &diaries[2]);
	world_put(&world, snap_type(), "a", 3);
	for (int i = 0; i < 3; i++)
		world_leave(&world, subs[i]);
	diary_expect(&diaries[0], "a:->1 s a:1>2 s a:2>3 F");
	diary_expect(&diaries[1], "S a:->1 a:1>2 s a:2>3 u F");
	diary_expect(&diaries[2], "S a:->2 a:2>3 u u F");
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 3);
	world_close(&world);
}

Test(state, has_every_entry_once)
{
	enum { N = 500 };
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub;
	char id[SNAP_ID];

	for (uint64_t i = 1; i <= N; i++) {
		snprintf(id, sizeof(id), "%llu", (unsigned long long)i);
		world_put(&world, i % 2 ? snap_type() : other_type(), id, i);
	}
	sub = world_watch_state(&world, &diary);
	world_run(&world);
	cr_assert_eq(diary.n_updates, N);
	cr_assert_eq(diary.n_gaps, 0);
	world_leave(&world, sub);
	cr_assert_eq(diary.n_updates, N);
	world_close(&world);
}

Test(state, is_of_the_whole_cache)
{
	struct world world = world_open();
	struct stasis_topic *second = stasis_topic_create("more");
	struct stasis_caching_topic *caching = stasis_caching_topic_create(second, world.cache);
	struct diary diary = { 0 };
	struct stasis_subscription *sub;

	stasis_publish_take(second, snap_message(snap_type(), "a", 1));
	sub = world_watch_state(&world, &diary);
	world_put(&world, snap_type(), "a", 2);
	world_leave(&world, sub);
	diary_expect(&diary, "S a:->1 a:1>2 F");
	stasis_caching_unsubscribe(caching);
	stasis_object_unref(second);
	world_close(&world);
}

Test(state, is_told_when_caching_has_ended)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_caching_topic *caching = stasis_object_ref(world.caching);
	struct stasis_subscription *sub;

	world_put(&world, snap_type(), "a", 1);
	world.caching = stasis_caching_unsubscribe(world.caching);
	world.topic = stasis_object_unref(world.topic);
	sub = stasis_caching_subscribe_with_state(
		caching, diary_write, &diary,
		&(struct stasis_subscribe_options){ .executor = world.executor });
	cr_assert_not_null(sub);
	world_leave(&world, sub);
	diary_expect(&diary, "S a:->1 F");
	stasis_object_unref(caching);
	world_close(&world);
}

Test(state, goes_through_the_filter)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_message_type *accepted[] = { stasis_cache_update_type(), noise_type() };
	struct stasis_subscription *sub;

	world_put(&world, snap_type(), "a", 1);
	for (int i = 0; i < 2; i++) {
		sub = stasis_caching_subscribe_with_state(
			world.caching, diary_write, &diary,
			&(struct stasis_subscribe_options){
				.executor = world.executor, .types = &accepted[i], .n_types = 1 });
		cr_assert_not_null(sub);
		world_put(&world, snap_type(), "a", i == 0 ? 2 : 1);
		world_leave(&world, sub);
		diary_expect(&diary, i == 0 ? "a:->1 a:1>2 F" : "F");
	}
	world_close(&world);
}

Test(state, that_does_not_fit_is_lost_and_counted)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub;
	struct stasis_stats stats = { 0 };
	char id[SNAP_ID];

	for (uint64_t i = 1; i <= 20; i++) {
		snprintf(id, sizeof(id), "%llu", (unsigned long long)i);
		world_put(&world, snap_type(), id, i);
	}
	sub = stasis_caching_subscribe_with_state(
		world.caching, diary_write, &diary,
		&(struct stasis_subscribe_options){ .executor = world.executor,
						    .capacity = 8,
						    .overflow = STASIS_OVERFLOW_DROP_NEWEST });
	cr_assert_not_null(sub);
	world_run(&world);
	cr_assert_eq(stasis_stats_read(sub, &stats), 0);
	cr_assert_eq(diary.n_updates, 7);
	cr_assert_eq(stats.dropped, 13);
	world_leave(&world, sub);
	world_close(&world);
}

/* --- on inline executors: a worker sees the beginning, then callbacks run inside calls --- */

struct inline_world {
	struct world world;
	struct stasis_executor *executor;
};

static struct inline_world inline_open(void)
{
	struct inline_world it = {
		.world = world_open(),
		.executor = stasis_executor_create(&(struct stasis_executor_options){
			.threads = 1, .wait = STASIS_WAIT_INLINE }),
	};

	cr_assert_not_null(it.executor);
	return it;
}

static void inline_close(struct inline_world *it)
{
	stasis_executor_shutdown(it->executor);
	world_close(&it->world);
}

static void inline_settle(struct inline_world *it)
{
	cr_assert_eq(stasis_executor_drain(it->executor), 0);
}

static struct stasis_subscription *inline_watch_state(struct inline_world *it, struct diary *diary)
{
	return stasis_caching_subscribe_with_state(
		it->world.caching, diary_write, diary,
		&(struct stasis_subscribe_options){ .executor = it->executor });
}

Test(state, may_be_told_by_an_inline_executor)
{
	struct inline_world it = inline_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub;

	world_put(&it.world, snap_type(), "a", 1);
	sub = inline_watch_state(&it, &diary);
	cr_assert_not_null(sub);
	inline_settle(&it);
	diary_expect(&diary, "S a:->1");
	world_put(&it.world, snap_type(), "a", 2);
	diary_expect(&diary, "a:1>2");
	stasis_unsubscribe_and_join(sub);
	diary_expect(&diary, "F");
	inline_close(&it);
}

struct another {
	struct inline_world *it;
	struct diary *diary;
	struct stasis_subscription *sub;
	int error;
};

static void subscribe_too(struct diary *diary, struct stasis_subscription *sub,
			  struct stasis_message *message)
{
	struct another *another = diary->user;
	const struct stasis_subscription_change *change = stasis_message_data(message);

	if (stasis_message_type(message) != stasis_subscription_change_type() ||
	    strcmp(change->uniqueid, stasis_subscription_uniqueid(sub)) == 0)
		return;
	diary->hook = NULL;
	errno = 0;
	another->sub = inline_watch_state(another->it, another->diary);
	another->error = errno;
}

Test(state, is_told_inside_another_such_call)
{
	struct inline_world it = inline_open();
	struct diary diaries[3] = { 0 };
	struct another another = { .it = &it, .diary = &diaries[2] };
	struct stasis_subscription *subs[2];

	world_put(&it.world, snap_type(), "a", 1);
	diaries[0].hook = subscribe_too;
	diaries[0].user = &another;
	subs[0] = inline_watch_state(&it, &diaries[0]);
	inline_settle(&it);
	subs[1] = inline_watch_state(&it, &diaries[1]);
	cr_assert_not_null(subs[1]);
	inline_settle(&it);
	cr_assert_not_null(another.sub, "%s", strerror(another.error));
	diary_expect(&diaries[1], "S a:->1 s");
	diary_expect(&diaries[2], "S a:->1");
	stasis_unsubscribe_and_join(subs[0]);
	stasis_unsubscribe_and_join(subs[1]);
	stasis_unsubscribe_and_join(another.sub);
	inline_close(&it);
}

static void subscribe_on_update(struct diary *diary, struct stasis_subscription *sub,
				struct stasis_message *message)
{
	struct another *another = diary->user;

	if (stasis_message_type(message) != stasis_cache_update_type())
		return;
	diary->hook = NULL;
	another->sub = inline_watch_state(another->it, another->diary);
}

Test(state, may_be_asked_for_in_a_callback_that_is_told_of_it)
{
	struct inline_world it = inline_open();
	struct diary diaries[2] = { 0 };
	struct another another = { .it = &it, .diary = &diaries[1] };
	struct stasis_subscription *sub;

	world_put(&it.world, snap_type(), "a", 1);
	diaries[0].hook = subscribe_on_update;
	diaries[0].user = &another;
	sub = inline_watch_state(&it, &diaries[0]);
	cr_assert_not_null(sub);
	inline_settle(&it);
	cr_assert_not_null(another.sub);
	diary_expect(&diaries[0], "S a:->1 s");
	diary_expect(&diaries[1], "S a:->1");
	stasis_unsubscribe_and_join(sub);
	stasis_unsubscribe_and_join(another.sub);
	inline_close(&it);
}

/* A callback may unsubscribe what it is called for: that is the caller's reference. */
static void leave_at_once(struct diary *diary, struct stasis_subscription *sub,
			  struct stasis_message *message)
{
	diary->hook = NULL;
	stasis_unsubscribe(sub);
}

Test(state, comes_before_the_end_of_a_subscription_that_leaves_at_once)
{
	struct inline_world it = inline_open();
	struct diary diary = { .hook = leave_at_once };

	world_put(&it.world, snap_type(), "a", 1);
	inline_watch_state(&it, &diary);
	inline_settle(&it);
	diary_expect(&diary, "S a:->1 F");
	inline_close(&it);
}
