/* SPDX-License-Identifier: BSD-2-Clause */
/* test_dump.c — all there is in a cache */

#include "cache_fixture.h"

/* Counts the snapshots of a dump by version, and frees it. */
static size_t dump_versions(struct stasis_cache *cache, struct stasis_message_type *type,
			    unsigned *counts, size_t n_counts)
{
	size_t n = 77;
	struct stasis_message **dump = stasis_cache_dump(cache, type, &n);

	cr_assert_not_null(dump);
	memset(counts, 0, n_counts * sizeof(*counts));
	for (size_t i = 0; i < n; i++) {
		const struct snap *snap = stasis_message_data(dump[i]);

		cr_assert_lt(snap->version, n_counts);
		if (type != NULL)
			cr_assert_eq(stasis_message_type(dump[i]), type);
		counts[snap->version]++;
	}
	cr_assert_null(stasis_cache_dump_free(dump, n));
	return n;
}

Test(dump, of_an_empty_cache_is_empty_and_no_error)
{
	struct world world = world_open();
	unsigned counts[1];

	cr_assert_eq(dump_versions(world.cache, NULL, counts, 1), 0);
	cr_assert_eq(dump_versions(world.cache, snap_type(), counts, 1), 0);
	world_put(&world, snap_type(), "a", 1);
	cr_assert_eq(dump_versions(world.cache, other_type(), counts, 1), 0);
	world_clear(&world, snap_type(), "a");
	cr_assert_eq(dump_versions(world.cache, NULL, counts, 1), 0);
	world_close(&world);
}

Test(dump, has_each_present_snapshot_once)
{
	enum { N = 1000 };
	struct world world = world_open();
	unsigned counts[3 * N + 1];
	char id[SNAP_ID];

	for (unsigned i = 1; i <= N; i++) {
		snprintf(id, sizeof(id), "%u", i);
		world_put(&world, snap_type(), id, i);
		world_put(&world, other_type(), id, N + i);
		if (i % 2 == 0)
			world_put(&world, snap_type(), id, 2 * N + i);
		if (i % 5 == 0)
			world_clear(&world, other_type(), id);
	}
	cr_assert_eq(dump_versions(world.cache, snap_type(), counts, 3 * N + 1), N);
	for (unsigned i = 1; i <= N; i++) {
		cr_assert_eq(counts[i], i % 2 != 0);
		cr_assert_eq(counts[2 * N + i], i % 2 == 0);
	}
	cr_assert_eq(dump_versions(world.cache, other_type(), counts, 3 * N + 1), N - N / 5);
	for (unsigned i = 1; i <= N; i++)
		cr_assert_eq(counts[N + i], i % 5 != 0);
	cr_assert_eq(dump_versions(world.cache, NULL, counts, 3 * N + 1), 2 * N - N / 5);
	world_close(&world);
}

Test(dump, holds_references)
{
	struct world world = world_open();
	struct stasis_message *snapshot = snap_message(snap_type(), "a", 1);
	struct stasis_message **dump, *kept;
	size_t n;

	stasis_publish(world.topic, snapshot);
	world_put(&world, snap_type(), "b", 2);
	dump = stasis_cache_dump(world.cache, NULL, &n);
	cr_assert_eq(n, 2);
	/* Here, in the dump, and two for the cache: of the update, and for the one to come. */
	cr_assert_eq(stasis_object_refs(snapshot), 4);
	world_clear(&world, snap_type(), "a");
	world_clear(&world, snap_type(), "b");
	let_go();
	cr_assert_eq(stasis_object_refs(snapshot), 2);
	/* What is taken out of the array is the caller's. */
	kept = dump[0] == snapshot ? dump[1] : dump[0];
	dump[dump[0] == snapshot ? 1 : 0] = NULL;
	stasis_cache_dump_free(dump, n);
	cr_assert_eq(stasis_object_refs(snapshot), 1);
	cr_assert_eq(((struct snap *)stasis_message_data(kept))->version, 2);
	cr_assert_eq(stasis_object_refs(kept), 1);
	stasis_object_unref(kept);
	stasis_object_unref(snapshot);
	world_close(&world);
}

Test(dump, wants_its_arguments)
{
	struct world world = world_open();
	size_t n = 7;

	errno = 0;
	cr_assert_null(stasis_cache_dump(NULL, NULL, &n));
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(n, 0);
	errno = 0;
	cr_assert_null(stasis_cache_dump(world.cache, NULL, NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_cache_dump(NULL, NULL, NULL));
	cr_assert_eq(errno, EINVAL);
	cr_assert_null(stasis_cache_dump_free(NULL, 0));
	cr_assert_null(stasis_cache_dump_free(NULL, 5));
	world_close(&world);
}
