/* SPDX-License-Identifier: BSD-2-Clause */
/* test_overflow.c — updates to queues that are full, and deliveries inside a publish */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "cache_fixture.h"

struct overflowing {
	struct world world;
	struct diary diary;
	struct stasis_subscription *sub;
};

static void overflowing_open(struct overflowing *it, enum stasis_overflow overflow)
{
	*it = (struct overflowing){ .world = world_open() };
	it->sub = world_watch_with(&it->world, &it->diary,
				   (struct stasis_subscribe_options){ .capacity = 2,
								      .overflow = overflow });
}

/* Publishes versions 1 to 5 and tells what each publish returned. */
static void put_five(struct overflowing *it, int *results)
{
	for (uint64_t i = 1; i <= 5; i++) {
		results[i - 1] = world_put(&it->world, snap_type(), "a", i);
		cr_assert_eq(version_in(it->world.cache, snap_type(), "a"), i);
	}
}

static struct stasis_stats stats_of(struct overflowing *it)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(it->sub, &stats), 0);
	return stats;
}

static void overflowing_close(struct overflowing *it, const char *text)
{
	world_leave(&it->world, it->sub);
	diary_expect(&it->diary, text);
	world_close(&it->world);
}

static void expect_results(const int *results, int first, int rest)
{
	for (int i = 0; i < 5; i++)
		cr_assert_eq(results[i], i < 2 ? first : rest, "publish %d: %d", i, results[i]);
}

Test(overflow, drop_newest_misses_links_and_tells_the_publisher)
{
	struct overflowing it;
	int results[5];

	overflowing_open(&it, STASIS_OVERFLOW_DROP_NEWEST);
	put_five(&it, results);
	expect_results(results, 0, 1);
	cr_assert_eq(stats_of(&it).dropped, 3);
	world_run(&it.world);
	cr_assert_eq(world_put(&it.world, snap_type(), "a", 6), 0);
	overflowing_close(&it, "a:->1 a:1>2 a:5>6 F");
}

Test(overflow, reject_misses_links_and_tells_the_publisher)
{
	struct overflowing it;
	int results[5];

	overflowing_open(&it, STASIS_OVERFLOW_REJECT);
	put_five(&it, results);
	expect_results(results, 0, 1);
	cr_assert_eq(stats_of(&it).dropped, 3);
	world_run(&it.world);
	cr_assert_eq(world_clear(&it.world, snap_type(), "a"), 0);
	overflowing_close(&it, "a:->1 a:1>2 a:5>- F");
}

Test(overflow, drop_oldest_misses_the_first_ones)
{
	struct overflowing it;
	int results[5];

	overflowing_open(&it, STASIS_OVERFLOW_DROP_OLDEST);
	put_five(&it, results);
	expect_results(results, 0, 0);
	cr_assert_eq(stats_of(&it).dropped, 3);
	overflowing_close(&it, "a:3>4 a:4>5 F");
}

struct blocked {
	struct overflowing it;
	int results[5];
	_Atomic int n_returned;
};

static void *put_five_and_count(void *arg)
{
	struct blocked *blocked = arg;

	for (uint64_t i = 1; i <= 5; i++) {
		blocked->results[i - 1] = world_put(&blocked->it.world, snap_type(), "a", i);
		atomic_fetch_add(&blocked->n_returned, 1);
	}
	return NULL;
}

/* Another thread publishes: for this one, which runs the executor, nobody could make room. */
Test(overflow, block_queues_at_once_and_waits_afterwards)
{
	struct blocked blocked = { 0 };
	struct overflowing *it = &blocked.it;
	pthread_t thread;

	overflowing_open(it, STASIS_OVERFLOW_BLOCK);
	cr_assert_eq(pthread_create(&thread, NULL, put_five_and_count, &blocked), 0);
	while (stats_of(it).blocked == 0)
		sched_yield();
	cr_assert_eq(atomic_load(&blocked.n_returned), 2);
	cr_assert_eq(version_in(it->world.cache, snap_type(), "a"), 3);
	cr_assert_eq(stats_of(it).depth, 3);
	while (atomic_load(&blocked.n_returned) < 5) {
		world_run(&it->world);
		sched_yield();
	}
	cr_assert_eq(pthread_join(thread, NULL), 0);
	expect_results(blocked.results, 0, 0);
	cr_assert_eq(stats_of(it).dropped, 0);
	overflowing_close(it, "a:->1 a:1>2 a:2>3 a:3>4 a:4>5 F");
}

Test(overflow, refused_updates_do_not_hold_up_a_batch)
{
	struct overflowing it;
	struct stasis_message *batch[5];

	overflowing_open(&it, STASIS_OVERFLOW_REJECT);
	for (uint64_t i = 0; i < 5; i++)
		batch[i] = snap_message(snap_type(), "a", i + 1);
	/* Each update is a message of its own: what fits is taken. */
	cr_assert_eq(stasis_publish_batch(it.world.topic, batch, 5), 3);
	cr_assert_eq(version_in(it.world.cache, snap_type(), "a"), 5);
	overflowing_close(&it, "a:->1 a:1>2 F");
}

/* --- inside a publish --- */

struct nested {
	struct world *world;
	uint64_t version, last;
};

static void publish_again(struct diary *diary, struct stasis_subscription *sub,
			  struct stasis_message *message)
{
	struct nested *nested = diary->user;

	if (stasis_message_type(message) != stasis_cache_update_type() ||
	    nested->version >= nested->last)
		return;
	nested->version++;
	cr_assert_eq(world_put(nested->world, snap_type(), "a", nested->version), 0);
	cr_assert_eq(version_in(nested->world->cache, snap_type(), "a"), nested->version);
}

Test(overflow, a_callback_inside_a_publish_may_publish_the_same_id)
{
	struct world world = world_open();
	struct nested nested = { .world = &world, .version = 1, .last = 20 };
	struct diary diaries[2] = { { .hook = publish_again, .user = &nested } };
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_INLINE, .threads = 1 });
	struct stasis_subscription *subs[2];

	for (int i = 0; i < 2; i++) {
		subs[i] = stasis_subscribe_with(
			stasis_caching_get_topic(world.caching), diary_write, &diaries[i],
			&(struct stasis_subscribe_options){ .executor = executor });
		cr_assert_not_null(subs[i]);
	}
	world_put(&world, snap_type(), "a", 1);
	/* The last ones by a worker: callbacks are not run inside each other without end. */
	while (version_in(world.cache, snap_type(), "a") < 20)
		sched_yield();
	for (int i = 0; i < 2; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		cr_assert_eq(diaries[i].n_updates, 20);
		cr_assert_eq(diaries[i].n_gaps, 0);
	}
	stasis_executor_shutdown(executor);
	world_close(&world);
}

Test(overflow, a_callback_in_a_loop_may_publish_the_same_id)
{
	struct world world = world_open();
	struct nested nested = { .world = &world, .version = 1, .last = 20 };
	struct diary diaries[2] = { { .hook = publish_again, .user = &nested } };
	struct stasis_subscription *subs[2];

	for (int i = 0; i < 2; i++)
		subs[i] = world_watch(&world, &diaries[i]);
	diaries[0].text[0] = '\0';
	world_put(&world, snap_type(), "a", 1);
	world_run(&world);
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), 20);
	for (int i = 0; i < 2; i++) {
		world_leave(&world, subs[i]);
		cr_assert_eq(diaries[i].n_updates, 20);
		cr_assert_eq(diaries[i].n_gaps, 0);
	}
	world_close(&world);
}
