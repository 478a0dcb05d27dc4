/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ids.c — what an id may be */

#include <stdlib.h>

#include "cache_fixture.h"

static struct stasis_message *text_message(const char *id)
{
	return stasis_message_create_inline(text_type(), id, strlen(id) + 1);
}

static void put_text(struct world *world, const char *id)
{
	cr_assert_eq(stasis_publish_take(world->topic, text_message(id)), 0);
}

static bool has_text(struct world *world, const char *id)
{
	struct stasis_message *snapshot = stasis_cache_get(world->cache, text_type(), id);
	bool found = snapshot != NULL;

	if (found)
		cr_assert_str_eq(stasis_message_data(snapshot), id);
	stasis_object_unref(snapshot);
	return found;
}

static size_t count_all(struct world *world)
{
	size_t n;
	struct stasis_message **dump = stasis_cache_dump(world->cache, NULL, &n);

	cr_assert_not_null(dump);
	stasis_cache_dump_free(dump, n);
	return n;
}

Test(ids, may_be_any_bytes_but_nul)
{
	static const char *const ids[] = {
		"", " ", "a", "A", "aa", "\x01", "\xff\xff", "\n",
		"SIP/\xc3\xa4-0001", "a/b;c=\"d\"",
		"0123456789012345678901234567890123456789012345678901234567890123456789",
	};
	const size_t n = sizeof(ids) / sizeof(ids[0]);
	struct world world = world_open();

	for (size_t i = 0; i < n; i++) {
		cr_assert(!has_text(&world, ids[i]));
		put_text(&world, ids[i]);
		cr_assert(has_text(&world, ids[i]));
	}
	for (size_t i = 0; i < n; i++)
		cr_assert(has_text(&world, ids[i]));
	world_close(&world);
}

Test(ids, of_a_prefix_of_another_is_another)
{
	struct world world = world_open();

	put_text(&world, "channel");
	cr_assert(!has_text(&world, "channe"));
	cr_assert(!has_text(&world, "channels"));
	cr_assert(!has_text(&world, ""));
	world_close(&world);
}

static char *long_id(size_t size)
{
	char *id = malloc(size + 1);

	memset(id, 'x', size);
	id[size] = '\0';
	return id;
}

static void check_long(size_t size, bool cached)
{
	struct world world = world_open();
	char *id = long_id(size);

	put_text(&world, id);
	cr_assert_eq(has_text(&world, id), cached, "%zu bytes", size);
	/* It is the whole id that counts. */
	id[size - 1] = 'y';
	cr_assert(!has_text(&world, id));
	free(id);
	world_close(&world);
}

Test(ids, may_be_long)
{
	check_long(255, true);
	check_long(4096, true);
	check_long(65536, true);
	check_long(STASIS_CACHE_ID_MAX - 1, true);
	check_long(STASIS_CACHE_ID_MAX, true);
}

Test(ids, that_are_too_long_are_not_cached)
{
	check_long(STASIS_CACHE_ID_MAX + 1, false);
	check_long(2 * STASIS_CACHE_ID_MAX, false);
}

Test(ids, that_are_too_long_publish_nothing)
{
	struct world world = world_open();
	struct diary diary = { 0 };
	struct stasis_subscription *sub = world_watch(&world, &diary);
	char *id = long_id(STASIS_CACHE_ID_MAX + 1);
	struct stasis_message *snapshot = text_message(id);

	cr_assert_eq(stasis_publish(world.topic, snapshot), 0);
	cr_assert_eq(stasis_publish_take(world.topic, stasis_cache_clear_create(snapshot)), 0);
	world_leave(&world, sub);
	diary_expect(&diary, "F");
	stasis_object_unref(snapshot);
	free(id);
	world_close(&world);
}

/* A function may use one buffer for all, and wipe it at the next call. */
static const char *id_in_a_buffer(struct stasis_message *message)
{
	static char buffer[SNAP_ID];
	const struct snap *snap = stasis_message_data(message);

	memset(buffer, '#', sizeof(buffer) - 1);
	if (stasis_message_type(message) != snap_type())
		return NULL;
	snprintf(buffer, sizeof(buffer), "number %llu", (unsigned long long)(snap->version % 10));
	return buffer;
}

Test(ids, are_copied)
{
	struct world world = world_open();
	struct stasis_cache *cache = stasis_cache_create(id_in_a_buffer);
	struct stasis_caching_topic *caching = stasis_caching_topic_create(world.topic, cache);

	for (uint64_t i = 1; i <= 9; i++)
		world_put(&world, snap_type(), "same", i);
	cr_assert_eq(version_in(cache, snap_type(), "number 1"), 1);
	cr_assert_eq(version_in(cache, snap_type(), "number 9"), 9);
	world_put(&world, snap_type(), "same", 13);
	cr_assert_eq(version_in(cache, snap_type(), "number 3"), 13);
	world_put(&world, noise_type(), "same", 14);
	cr_assert_eq(version_in(cache, snap_type(), "number 3"), 13);
	cr_assert_eq(version_in(world.cache, snap_type(), "same"), 13);
	stasis_caching_unsubscribe(caching);
	stasis_object_unref(cache);
	world_close(&world);
}

Test(ids, are_looked_at_once_per_publish)
{
	struct world world = world_open();

	world_put(&world, snap_type(), "a", 1);
	cr_assert_eq(n_asked, 1);
	world_put(&world, snap_type(), "a", 2);
	cr_assert_eq(n_asked, 2);
	world_clear(&world, snap_type(), "a");
	cr_assert_eq(n_asked, 3);
	cr_assert_eq(count_all(&world), 0);
	world_close(&world);
}
