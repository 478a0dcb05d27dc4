/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cache_memory.c — what is kept and what is let go of; and every allocation fails once, in
 * turn: what could not be cached is reported, and the entry and its chain are as they were */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "cache/cache.h"
#include "cache_fixture.h"
#include "faulty.h"
#include "probe.h"
#include "sync/rcu.h"

/* --- letting go --- */

static int n_released;

static void release(void *data)
{
	__atomic_fetch_add(&n_released, 1, __ATOMIC_RELAXED);
	free(data);
}

/* Counts when it is freed. */
static struct stasis_message *counted_message(const char *id, uint64_t version)
{
	struct snap *snap = calloc(1, sizeof(*snap));

	snprintf(snap->id, sizeof(snap->id), "%s", id);
	snap->version = version;
	return stasis_message_create_foreign(snap_type(), snap, release);
}

static int released(void)
{
	let_go();
	return __atomic_load_n(&n_released, __ATOMIC_RELAXED);
}

Test(cache_memory, what_is_cleared_is_let_go_of)
{
	struct world world = world_open();
	struct stasis_message *snapshot = counted_message("a", 1);

	stasis_publish(world.topic, snapshot);
	cr_assert_eq(released(), 0);
	stasis_publish_take(world.topic, stasis_cache_clear_create(snapshot));
	stasis_object_unref(snapshot);
	cr_assert_eq(released(), 1);
	world_close(&world);
}

Test(cache_memory, keeps_the_last_update_and_lets_go_of_what_that_replaced)
{
	struct world world = world_open();

	stasis_publish_take(world.topic, counted_message("a", 1));
	stasis_publish_take(world.topic, counted_message("a", 2));
	cr_assert_eq(released(), 0, "both are in the last update, %d let go of", n_released);
	stasis_publish_take(world.topic, counted_message("a", 3));
	cr_assert_eq(released(), 1, "one replaced, %d let go of", n_released);
	world_close(&world);
	cr_assert_eq(released(), 3);
}

Test(cache_memory, the_end_of_a_cache_lets_go_of_everything)
{
	struct world world = world_open();
	char id[SNAP_ID];

	for (uint64_t i = 1; i <= 3000; i++) {
		snprintf(id, sizeof(id), "%llu", (unsigned long long)i % 1000);
		stasis_publish_take(world.topic, counted_message(id, i));
	}
	world_close(&world);
	cr_assert_eq(released(), 3000, "%d", n_released);
}

Test(cache_memory, updates_keep_their_snapshots)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);

	for (uint64_t i = 1; i <= 3; i++)
		stasis_publish_take(world.topic, counted_message("a", i));
	world_clear(&world, snap_type(), "a");
	cr_assert_eq(released(), 0);
	world_leave(&world, sub);
	diary_expect(&diary, "a:->1 a:1>2 a:2>3 a:3>- F");
	cr_assert_eq(released(), 3);
	world_close(&world);
}

/* --- no memory --- */

/* Entries there are, also those without a snapshot. */
static size_t count_entries(const struct stasis_cache *cache)
{
	struct sti_map_walk walk;
	size_t n = 0;

	sti_rcu_read_lock();
	for (struct sti_map_entry *entry = sti_map_first(&cache->map, &walk); entry != NULL;
	     entry = sti_map_next(&cache->map, &walk))
		n++;
	sti_rcu_read_unlock();
	return n;
}

/* n updates are on their way to be let go of; then the clear's nth allocation finds no memory.
 * True: that has been tried. */
static bool clear_without_memory(unsigned n_updates, uint64_t nth)
{
	struct world world = world_open();
	struct stasis_message *snapshot = snap_message(snap_type(), "a", 1);
	struct stasis_message *message = stasis_cache_clear_create(snapshot);
	bool failed;
	int result;

	cr_assert_eq(stasis_publish(world.topic, snapshot), 0);
	let_go();
	/* They stay where they are gathered. */
	sti_rcu_read_lock();
	for (uint64_t i = 1; i <= n_updates + 1; i++)
		stasis_publish_take(world.topic, snap_message(snap_type(), "b", i));
	faulty_arm(nth, false);
	result = stasis_publish_take(world.topic, message);
	failed = faulty_disarm();
	sti_rcu_read_unlock();
	cr_assert_eq(count_entries(world.cache), (size_t)result + 1, "%u updates, allocation %lu",
		     n_updates, (unsigned long)nth);
	cr_assert_eq(version_in(world.cache, snap_type(), "a"), (uint64_t)result);
	stasis_object_unref(snapshot);
	world_close(&world);
	return failed;
}

Test(cache_memory, a_clear_takes_the_entry_out_or_changes_nothing)
{
	faulty_install();
	/* A batch is full somewhere here. */
	for (unsigned n = 50; n < 65; n++) {
		for (uint64_t nth = 0; clear_without_memory(n, nth); nth++)
			cr_assert_lt(nth, 100);
	}
}

#define N_IDS 3u

struct scenario {
	struct world world;
	struct diary diaries[3];
	struct stasis_subscription *subs[3];
	uint64_t model[N_IDS]; /* versions */
	uint64_t version;
	size_t n_changes, n_failures;
};

static const char *const ids[N_IDS] = { "a", "b", "c" };

static void put(struct scenario *it, unsigned id)
{
	struct stasis_message *snapshot = snap_message(snap_type(), ids[id], ++it->version);
	uint64_t now;
	int result;

	if (snapshot == NULL)
		return;
	result = stasis_publish_take(it->world.topic, snapshot);
	now = version_in(it->world.cache, snap_type(), ids[id]);
	cr_assert(result == 0 || result == 1, "%d", result);
	cr_assert_eq(now, result == 0 ? it->version : it->model[id], "%s: %llu after %d", ids[id],
		     (unsigned long long)now, result);
	it->model[id] = now;
	it->n_changes += result == 0;
	it->n_failures += result == 1;
	world_run(&it->world);
}

static void clear(struct scenario *it, unsigned id)
{
	struct stasis_message *snapshot = snap_message(snap_type(), ids[id], 1), *message;
	uint64_t now;
	int result;

	if (snapshot == NULL)
		return;
	message = stasis_cache_clear_create(snapshot);
	if (message == NULL)
		cr_assert_eq(errno, ENOMEM);
	stasis_object_unref(snapshot);
	if (message == NULL)
		return;
	result = stasis_publish_take(it->world.topic, message);
	now = version_in(it->world.cache, snap_type(), ids[id]);
	cr_assert(result == 0 || (result == 1 && it->model[id] != 0), "%d", result);
	cr_assert_eq(now, result == 0 ? 0 : it->model[id]);
	it->n_changes += it->model[id] != now;
	it->n_failures += result == 1;
	it->model[id] = now;
	world_run(&it->world);
}

static size_t n_present(const struct scenario *it)
{
	size_t n = 0;

	for (unsigned i = 0; i < N_IDS; i++)
		n += it->model[i] != 0;
	return n;
}

static void dump(struct scenario *it)
{
	size_t n = 99;
	struct stasis_message **dump = stasis_cache_dump(it->world.cache, NULL, &n);

	if (dump == NULL)
		cr_assert_eq(errno, ENOMEM);
	cr_assert_eq(n, dump != NULL ? n_present(it) : 0);
	stasis_cache_dump_free(dump, n);
}

static void join_with_state(struct scenario *it)
{
	struct diary *diary = &it->diaries[2];
	size_t size;

	errno = 0;
	it->subs[2] = stasis_caching_subscribe_with_state(
		it->world.caching, diary_write, diary,
		&(struct stasis_subscribe_options){ .executor = it->world.executor });
	if (it->subs[2] == NULL)
		cr_assert_eq(errno, ENOMEM, "%s", strerror(errno));
	world_run(&it->world);
	size = strlen(diary->text);
	if (it->subs[2] != NULL)
		cr_assert_eq(diary->n_updates, n_present(it), "%s", diary->text);
	else if (size > 0)
		cr_assert_eq(diary->text[size - 1], 'F', "%s", diary->text);
	cr_assert_eq(diary->n_gaps, 0);
}

static void one_more_caching(struct scenario *it)
{
	struct stasis_topic *topic = stasis_topic_create("more");
	struct stasis_cache *cache = stasis_cache_create(snap_id);
	struct stasis_caching_topic *caching = NULL;

	if (cache == NULL)
		cr_assert_eq(errno, ENOMEM);
	if (topic != NULL && cache != NULL) {
		errno = 0;
		caching = stasis_caching_topic_create(topic, cache);
		if (caching == NULL)
			cr_assert_eq(errno, ENOMEM, "%s", strerror(errno));
		cr_assert_eq(stasis_topic_wants(topic, snap_type()), caching != NULL);
	}
	stasis_caching_unsubscribe(caching);
	stasis_object_unref(cache);
	stasis_object_unref(topic);
}

static void use(struct scenario *it)
{
	for (unsigned i = 0; i < N_IDS; i++)
		put(it, i);
	put(it, 0);
	clear(it, 1);
	dump(it);
	join_with_state(it);
	put(it, 0);
	clear(it, 0);
	put(it, 0);
	put(it, 1);
	clear(it, 2);
	one_more_caching(it);
}

static void finish(struct scenario *it)
{
	/* There is memory again: everything goes on from where it was. */
	for (unsigned i = 0; i < N_IDS; i++) {
		put(it, i);
		cr_assert_eq(it->model[i], it->version);
		clear(it, i);
		cr_assert_eq(it->model[i], 0);
	}
	if (it->subs[2] != NULL)
		world_leave(&it->world, it->subs[2]);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(it->diaries[i].n_updates, it->n_changes, "%s", it->diaries[i].text);
		world_leave(&it->world, it->subs[i]);
	}
	for (int i = 0; i < 3; i++)
		cr_assert_eq(it->diaries[i].n_gaps, 0, "%s", it->diaries[i].text);
	world_close(&it->world);
	let_go();
}

/* With allocation n failing. Returns whether there were so many. */
static bool run_round(uint64_t n, bool forever)
{
	int64_t before = faulty_outstanding();
	struct scenario it = { .world = world_open() };
	bool failed;

	for (int i = 0; i < 2; i++)
		it.subs[i] = world_watch(&it.world, &it.diaries[i]);
	faulty_arm(n, forever);
	use(&it);
	failed = faulty_disarm();
	finish(&it);
	if (failed)
		cr_assert_leq(faulty_outstanding(), before,
			      "allocation %lu failed: %ld blocks left over", (unsigned long)n,
			      (long)(faulty_outstanding() - before));
	return failed;
}

static void run_rounds(bool forever)
{
	uint64_t n = 0;

	faulty_install();
	for (int i = 0; i < 3; i++)
		run_round(UINT32_MAX, false);
	while (run_round(n, forever)) {
		n++;
		cr_assert_lt(n, 10000);
	}
	cr_assert_gt(n, 20, "the library allocates, and through the seam");
}

Test(cache_memory, one_allocation_fails)
{
	run_rounds(false);
}

Test(cache_memory, one_allocation_and_all_after_it_fail)
{
	run_rounds(true);
}

Test(cache_memory, everything_is_given_back)
{
	int64_t before = 0;

	faulty_install();
	for (int i = 0; i < 6; i++) {
		if (i == 2) {
			let_go();
			before = faulty_outstanding();
		}
		run_round(UINT32_MAX, false);
	}
	let_go();
	cr_assert_leq(faulty_outstanding(), before);
}

/* --- no memory for the state, and the subscription has left meanwhile --- */

static struct {
	pthread_t thread; /* its allocations wait, and fail */
	_Atomic bool armed, left;
} late;

static void *late_alloc(size_t align, size_t size)
{
	if (!atomic_load(&late.armed) || !pthread_equal(pthread_self(), late.thread))
		return sti_alloc_system.alloc(align, size);
	while (!atomic_load(&late.left))
		sched_yield();
	return NULL;
}

static void late_free(void *ptr)
{
	sti_alloc_system.free(ptr);
}

static const struct sti_alloc_ops late_ops = { .alloc = late_alloc, .free = late_free };

struct leaver {
	struct stasis_subscription *sub; /* two references */
	size_t n_finals;
};

static void leave(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		  struct stasis_message *message)
{
	struct leaver *leaver = data;

	leaver->n_finals += stasis_subscription_final_message(sub, message) == 1;
	if (leaver->sub != NULL)
		return;
	leaver->sub = stasis_object_ref(stasis_object_ref(sub));
	/* The reference of whoever subscribes. From now on he is out of memory. */
	atomic_store(&late.armed, true);
	stasis_unsubscribe(sub);
	atomic_store(&late.left, true);
}

Test(cache_memory, a_subscription_that_has_left_is_not_unsubscribed_again)
{
	struct world world;
	struct leaver leaver = { 0 };
	struct stasis_executor *executor;
	struct stasis_subscription *sub;
	char id[SNAP_ID];

	sti_alloc_set_ops(&late_ops);
	late.thread = pthread_self();
	world = world_open();
	executor = executor_with(1);
	/* So many that the callback comes before the last of them is told. */
	for (uint64_t i = 1; i <= 20000; i++) {
		snprintf(id, sizeof(id), "%llu", (unsigned long long)i);
		world_put(&world, snap_type(), id, i);
	}
	let_go();
	sub = stasis_caching_subscribe_with_state(
		world.caching, leave, &leaver,
		&(struct stasis_subscribe_options){ .executor = executor });
	while (!atomic_load(&late.left))
		sched_yield();
	atomic_store(&late.armed, false);
	/* With or without the state told: there is nothing more for anybody to unsubscribe. */
	if (sub == NULL)
		cr_assert_eq(errno, ENOMEM);
	cr_assert_eq(stasis_subscription_join(leaver.sub), 0);
	let_go();
	cr_assert_eq(leaver.n_finals, 1);
	cr_assert_eq(stasis_object_refs(leaver.sub), 2, "%u", stasis_object_refs(leaver.sub));
	stasis_object_unref(leaver.sub);
	stasis_object_unref(leaver.sub);
	stasis_executor_shutdown(executor);
	world_close(&world);
}
