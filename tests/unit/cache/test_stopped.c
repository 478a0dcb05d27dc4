/* SPDX-License-Identifier: BSD-2-Clause */
/* test_stopped.c — a publisher stands still between the change of the state and its delivery
 *
 * Its first allocation after the change, for a queue that is full, waits at a gate. Others go on,
 * and see to it that what he has changed comes before what they change.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "cache_fixture.h"
#include "gate.h"

#define N_SUBS 3u
#define PUTS_MAX 100u

/* Standing in for whoever is stopped; all but the thread's own fields are read by the allocator. */
static struct stopped {
	struct gate gate;
	struct world world;
	pthread_t thread;
	bool clears;
	_Atomic bool armed;
	_Atomic uint64_t version; /* what it is about to publish; 0: a clear */
	int result;

	struct diary diaries[N_SUBS];
	struct stasis_subscription *subs[N_SUBS];
} it = { .gate = GATE_INIT };

static __thread bool inside;

static void *stopping_alloc(size_t align, size_t size)
{
	if (!inside && atomic_load(&it.armed) && pthread_equal(pthread_self(), it.thread)) {
		inside = true;
		if (version_in(it.world.cache, snap_type(), "a") == atomic_load(&it.version)) {
			atomic_store(&it.armed, false);
			gate_pass(&it.gate);
		}
		inside = false;
	}
	return sti_alloc_system.alloc(align, size);
}

static void stopping_free(void *ptr)
{
	sti_alloc_system.free(ptr);
}

static const struct sti_alloc_ops stopping_ops = { .alloc = stopping_alloc, .free = stopping_free };

static void *publish_until_stopped(void *arg)
{
	it.thread = pthread_self();
	for (uint64_t i = 1; i <= PUTS_MAX; i++) {
		/* A queue of 8 has no room for the ninth: that is a clear. */
		bool clear = it.clears && i > 1 && i % 2 != 0;

		atomic_store(&it.version, clear ? 0 : i);
		atomic_store(&it.armed, !it.clears || clear);
		it.result = clear ? world_clear(&it.world, snap_type(), "a") :
				    world_put(&it.world, snap_type(), "a", i);
		if (it.gate.open)
			break;
		atomic_store(&it.armed, false);
	}
	return NULL;
}

static void watch(unsigned i, struct stasis_subscribe_options options)
{
	it.subs[i] = world_watch_with(&it.world, &it.diaries[i], options);
}

static void begin(pthread_t *thread, bool clears)
{
	it.clears = clears;
	cr_assert_eq(pthread_create(thread, NULL, publish_until_stopped, NULL), 0);
	gate_await(&it.gate, 1);
	cr_assert_eq(version_in(it.world.cache, snap_type(), "a"), atomic_load(&it.version));
}

static void go_on(pthread_t thread)
{
	gate_open(&it.gate);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(it.result, 0);
}

static void open_world(void)
{
	sti_alloc_set_ops(&stopping_ops);
	/* Made now: the allocator asks for it. */
	cr_assert_not_null(snap_type());
	it.world = world_open();
}

/* Ends with these updates, after any number of others, in an unbroken chain. */
static void expect_last(unsigned i, const char *text)
{
	const char *all = it.diaries[i].text;

	cr_assert_eq(it.diaries[i].n_gaps, 0, "%s", all);
	cr_assert_geq(strlen(all), strlen(text));
	cr_assert_str_eq(all + strlen(all) - strlen(text), text, "\"%s\" does not end in \"%s\"",
			 all, text);
}

Test(stopped, others_deliver_what_he_has_changed)
{
	pthread_t thread;
	unsigned long long version;
	char text[64];

	open_world();
	for (unsigned i = 0; i < N_SUBS; i++)
		watch(i, (struct stasis_subscribe_options){ 0 });
	begin(&thread, false);
	version = atomic_load(&it.version);
	cr_assert_eq(world_put(&it.world, snap_type(), "a", 1000), 0);
	cr_assert_eq(world_put(&it.world, snap_type(), "a", 1001), 0);
	world_run(&it.world);
	snprintf(text, sizeof(text), "a:%llu>%llu a:%llu>1000 a:1000>1001", version - 1, version,
		 version);
	for (unsigned i = 0; i < N_SUBS; i++)
		expect_last(i, text);
	go_on(thread);
	/* His own pushes are passed over. */
	for (unsigned i = 0; i < N_SUBS; i++)
		world_leave(&it.world, it.subs[i]);
	snprintf(text, sizeof(text), "a:%llu>1000 a:1000>1001%s", version, " u u F");
	expect_last(2, text);
	for (unsigned i = 0; i < N_SUBS; i++)
		cr_assert_eq(it.diaries[i].n_updates, version + 2);
	world_close(&it.world);
}

Test(stopped, a_clear_is_followed_by_what_comes_next)
{
	pthread_t thread;
	char text[64];

	open_world();
	watch(0, (struct stasis_subscribe_options){ 0 });
	watch(1, (struct stasis_subscribe_options){ 0 });
	diary_expect(&it.diaries[0], "s");
	begin(&thread, true);
	cr_assert_eq(world_clear(&it.world, snap_type(), "a"), 0);
	cr_assert_eq(world_put(&it.world, snap_type(), "a", 1000), 0);
	world_run(&it.world);
	snprintf(text, sizeof(text), ">- a:->1000");
	expect_last(0, text);
	expect_last(1, text);
	go_on(thread);
	world_put(&it.world, snap_type(), "a", 1001);
	world_leave(&it.world, it.subs[1]);
	world_leave(&it.world, it.subs[0]);
	expect_last(0, ">- a:->1000 a:1000>1001 u F");
	expect_last(1, ">- a:->1000 a:1000>1001 F");
	world_close(&it.world);
}

/* A clear that finds nothing has seen his, and what follows from that comes later. */
Test(stopped, a_clear_that_does_nothing_delivers_what_it_has_seen)
{
	pthread_t thread;
	size_t n;

	open_world();
	watch(0, (struct stasis_subscribe_options){ 0 });
	begin(&thread, true);
	world_run(&it.world);
	n = it.diaries[0].n_updates;
	cr_assert_eq(world_clear(&it.world, snap_type(), "a"), 0);
	world_run(&it.world);
	cr_assert_eq(it.diaries[0].n_updates, n + 1);
	expect_last(0, ">-");
	go_on(thread);
	world_leave(&it.world, it.subs[0]);
	cr_assert_eq(it.diaries[0].n_updates, n + 1);
	world_close(&it.world);
}

Test(stopped, a_subscription_with_the_state_gets_all_of_it)
{
	struct diary diary = { 0 };
	struct stasis_subscription *sub;
	pthread_t thread;
	char text[64];

	open_world();
	watch(0, (struct stasis_subscribe_options){ 0 });
	begin(&thread, false);
	sub = world_watch_state(&it.world, &diary);
	world_put(&it.world, snap_type(), "a", 1000);
	world_run(&it.world);
	snprintf(text, sizeof(text), "S a:->%llu a:%llu>1000",
		 (unsigned long long)atomic_load(&it.version),
		 (unsigned long long)atomic_load(&it.version));
	diary_expect(&diary, text);
	go_on(thread);
	world_leave(&it.world, sub);
	diary_expect(&diary, "F");
	world_leave(&it.world, it.subs[0]);
	cr_assert_eq(it.diaries[0].n_gaps, 0);
	world_close(&it.world);
}

Test(stopped, a_subscription_that_leaves_is_not_waited_for)
{
	pthread_t thread;

	open_world();
	for (unsigned i = 0; i < N_SUBS; i++)
		watch(i, (struct stasis_subscribe_options){ 0 });
	begin(&thread, false);
	world_leave(&it.world, it.subs[0]);
	world_leave(&it.world, it.subs[2]);
	cr_assert_eq(world_put(&it.world, snap_type(), "a", 1000), 0);
	world_leave(&it.world, it.subs[1]);
	expect_last(1, ">1000 F");
	go_on(thread);
	let_go();
	world_close(&it.world);
}

/* What is refused for him by another is refused, and counted once. */
Test(stopped, lossy_subscriptions_keep_their_books)
{
	struct stasis_stats stats;
	pthread_t thread;
	uint64_t n;

	open_world();
	/* The first is where he stops. */
	watch(0, (struct stasis_subscribe_options){ 0 });
	for (unsigned i = 1; i < N_SUBS; i++)
		watch(i, (struct stasis_subscribe_options){
				 .capacity = 2,
				 .overflow = i == 1 ? STASIS_OVERFLOW_DROP_OLDEST :
						      STASIS_OVERFLOW_DROP_NEWEST });
	begin(&thread, false);
	world_put(&it.world, snap_type(), "a", 1000);
	world_run(&it.world);
	world_put(&it.world, snap_type(), "a", 1001);
	n = atomic_load(&it.version) + 2;
	gate_open(&it.gate);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	world_run(&it.world);
	for (unsigned i = 0; i < N_SUBS; i++) {
		stats = (struct stasis_stats){ 0 };
		cr_assert_eq(stasis_stats_read(it.subs[i], &stats), 0);
		/* Those after the first were dropped when they were changes, too. */
		cr_assert_eq(it.diaries[i].n_updates + stats.dropped, n, "%u: %zu and %llu of %llu",
			     i, it.diaries[i].n_updates, (unsigned long long)stats.dropped,
			     (unsigned long long)n);
	}
	for (unsigned i = N_SUBS; i > 0; i--)
		world_leave(&it.world, it.subs[i - 1]);
	world_close(&it.world);
}
