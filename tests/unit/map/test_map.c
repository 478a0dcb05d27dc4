/* SPDX-License-Identifier: BSD-2-Clause */
/* test_map.c — entries by type and id */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "gate.h"
#include "map/map.h"

struct item {
	struct sti_map_entry map; /* first */
	struct sti_rcu_head rcu;
	unsigned n_seen;
	char id[24];
};

static const char types[3];

static struct item *item_new(const void *type, const char *id)
{
	struct item *item = calloc(1, sizeof(*item));

	snprintf(item->id, sizeof(item->id), "%s", id);
	item->map.key = (struct sti_map_key){ type, item->id, strlen(item->id) };
	return item;
}

static void item_free(struct sti_rcu_head *rcu)
{
	free(sti_container_of(rcu, struct item, rcu));
}

static struct item *find(const struct sti_map *map, const void *type, const char *id)
{
	struct sti_map_entry *entry;

	sti_rcu_read_lock();
	entry = sti_map_find(map, &(struct sti_map_key){ type, id, strlen(id) });
	sti_rcu_read_unlock();
	return (struct item *)entry;
}

static struct item *add(struct sti_map *map, struct item *item)
{
	struct sti_map_entry *entry;

	sti_rcu_read_lock();
	entry = sti_map_add(map, &item->map);
	sti_rcu_read_unlock();
	return (struct item *)entry;
}

static bool remove_item(struct sti_map *map, struct item *item)
{
	bool removed;

	sti_rcu_read_lock();
	removed = sti_map_remove(map, &item->map);
	sti_rcu_read_unlock();
	return removed;
}

static size_t count(const struct sti_map *map)
{
	struct sti_map_walk walk;
	struct sti_map_entry *entry;
	size_t n = 0;

	sti_rcu_read_lock();
	for (entry = sti_map_first(map, &walk); entry != NULL; entry = sti_map_next(map, &walk)) {
		((struct item *)entry)->n_seen++;
		n++;
	}
	sti_rcu_read_unlock();
	return n;
}

Test(map, finds_what_was_added_until_it_is_removed)
{
	struct item *item = item_new(&types[0], "a");
	struct sti_map map;

	cr_assert_eq(sti_map_init(&map), 0);
	cr_assert_null(find(&map, &types[0], "a"));
	cr_assert_eq(count(&map), 0);
	cr_assert_eq(add(&map, item), item);
	cr_assert_eq(find(&map, &types[0], "a"), item);
	cr_assert_null(find(&map, &types[1], "a"));
	cr_assert_null(find(&map, &types[0], "b"));
	cr_assert_null(find(&map, &types[0], ""));
	cr_assert_eq(count(&map), 1);
	cr_assert(remove_item(&map, item));
	cr_assert(!remove_item(&map, item));
	cr_assert_null(find(&map, &types[0], "a"));
	cr_assert_eq(count(&map), 0);
	sti_map_deinit(&map);
	sti_rcu_synchronize();
	free(item);
}

Test(map, has_one_entry_for_a_key)
{
	struct item *first = item_new(&types[0], "a"), *second = item_new(&types[0], "a");
	struct item *other = item_new(&types[1], "a");
	struct sti_map map;

	cr_assert_eq(sti_map_init(&map), 0);
	cr_assert_eq(add(&map, first), first);
	cr_assert_eq(add(&map, second), first);
	cr_assert_eq(add(&map, other), other);
	cr_assert_eq(count(&map), 2);
	cr_assert(remove_item(&map, first));
	cr_assert_eq(add(&map, second), second);
	cr_assert_eq(find(&map, &types[0], "a"), second);
	cr_assert(remove_item(&map, second));
	cr_assert(remove_item(&map, other));
	sti_map_deinit(&map);
	sti_rcu_synchronize();
	free(first);
	free(second);
	free(other);
}

Test(map, compares_all_bytes)
{
	static const char *const ids[] = { "", "a", "aa", "ab", "\xff", "\x7f" };
	struct item *items[6];
	struct sti_map map;

	cr_assert_eq(sti_map_init(&map), 0);
	for (int i = 0; i < 6; i++) {
		items[i] = item_new(&types[0], ids[i]);
		cr_assert_eq(add(&map, items[i]), items[i]);
	}
	for (int i = 0; i < 6; i++)
		cr_assert_eq(find(&map, &types[0], ids[i]), items[i]);
	for (int i = 0; i < 6; i++)
		cr_assert(remove_item(&map, items[i]));
	sti_map_deinit(&map);
	sti_rcu_synchronize();
	for (int i = 0; i < 6; i++)
		free(items[i]);
}

Test(map, grows_and_shrinks)
{
	enum { N = 50000 };
	struct item **items = calloc(N, sizeof(*items));
	struct sti_map map;
	char id[24];

	cr_assert_eq(sti_map_init(&map), 0);
	for (int i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "%d", i);
		items[i] = item_new(&types[i % 3], id);
		cr_assert_eq(add(&map, items[i]), items[i]);
	}
	cr_assert_eq(count(&map), N);
	for (int i = 0; i < N; i++) {
		cr_assert_eq(items[i]->n_seen, 1);
		cr_assert_eq(find(&map, &types[i % 3], items[i]->id), items[i]);
	}
	for (int i = 0; i < N; i++)
		cr_assert(remove_item(&map, items[i]));
	cr_assert_eq(count(&map), 0);
	sti_map_deinit(&map);
	sti_rcu_synchronize();
	for (int i = 0; i < N; i++)
		free(items[i]);
	free(items);
}

/* --- many threads add and remove few keys: each entry is removed by one --- */

struct crowd {
	struct sti_map *map;
	unsigned number;
	size_t n_added, n_removed, n_wrong;
};

static void *add_and_remove(void *arg)
{
	struct crowd *crowd = arg;
	char id[24];

	for (unsigned i = 0; i < 20000; i++) {
		struct item *item, *found;

		snprintf(id, sizeof(id), "%u", (i * 7 + crowd->number) % 5);
		item = item_new(&types[0], id);
		sti_rcu_read_lock();
		found = (struct item *)sti_map_add(crowd->map, &item->map);
		crowd->n_wrong += strcmp(found->id, id) != 0;
		crowd->n_added += found == item;
		if (found != item)
			free(item);
		if (sti_map_remove(crowd->map, &found->map)) {
			crowd->n_removed++;
			sti_rcu_call(&found->rcu, item_free);
		}
		sti_rcu_read_unlock();
	}
	return NULL;
}

Test(map, is_for_many_threads_at_once)
{
	struct crowd crowds[8];
	struct sti_map map;
	size_t n_added = 0, n_removed = 0;

	cr_assert_eq(sti_map_init(&map), 0);
	for (unsigned i = 0; i < 8; i++)
		crowds[i] = (struct crowd){ .map = &map, .number = i };
	run_threads(8, add_and_remove, crowds, sizeof(crowds[0]));
	for (unsigned i = 0; i < 8; i++) {
		cr_assert_eq(crowds[i].n_wrong, 0);
		n_added += crowds[i].n_added;
		n_removed += crowds[i].n_removed;
	}
	cr_assert_eq(n_added, n_removed, "%zu added, %zu removed", n_added, n_removed);
	cr_assert_eq(count(&map), 0);
	sti_map_deinit(&map);
	sti_rcu_barrier();
}
