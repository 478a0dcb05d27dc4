/* SPDX-License-Identifier: BSD-2-Clause */
/* stress_cache_check.c — what must hold when all is over */

#include <stdlib.h>

#include "stress_cache.h"

/* What a subscription has seen last is what the cache has. */
static void check_final(const struct watcher *watcher, uint32_t s)
{
	const struct store *store = &cache_run.stores[s];
	const struct view *view = &watcher->views[s];
	uint64_t n_there = 0;
	size_t n;
	struct stasis_message **dump = stasis_cache_dump(store->cache, NULL, &n);

	for (uint32_t i = 0; i < store->n_ids; i++)
		n_there += view->last[i] != 0;
	stress_check(n_there == n, "store %u: %llu snapshots, the cache has %zu", s,
		     (unsigned long long)n_there, n);
	for (size_t i = 0; i < n; i++) {
		const struct snap *snap = stasis_message_data(dump[i]);

		stress_check(view->last[snap->number] == snap_key(dump[i]),
			     "store %u, id %u is not what the cache has", s, snap->number);
	}
	stasis_cache_dump_free(dump, n);
}

void store_check(uint32_t s)
{
	const struct store *store = &cache_run.stores[s];
	uint64_t n_updates = store->watchers[FIRST].n_updates;

	for (int i = 0; i < N_WATCHERS; i++) {
		const struct watcher *watcher = &store->watchers[i];
		struct stasis_stats stats = { 0 };

		stasis_stats_read(watcher->sub, &stats);
		stress_check(watcher->n_finals == 1, "%llu final messages",
			     (unsigned long long)watcher->n_finals);
		stress_check(watcher->n_updates + stats.dropped == n_updates,
			     "store %u, watcher %d: %llu updates and %llu dropped of %llu", s, i,
			     (unsigned long long)watcher->n_updates,
			     (unsigned long long)stats.dropped, (unsigned long long)n_updates);
		if (watcher->kind != WATCH_LOSSY) {
			stress_check(stats.dropped == 0, "watcher %d: dropped", i);
			check_final(watcher, s);
		}
	}
	check_final(&cache_run.watcher, s);
}

void reader_check(const struct reader *reader)
{
	uint32_t *latest[N_STORES];

	for (uint32_t s = 0; s < N_STORES; s++)
		latest[s] = stress_alloc(N_MANY * sizeof(*latest[s]));
	for (size_t i = 0; i < reader->n; i++) {
		const struct read *read = &reader->reads[i];
		const uint32_t *place = snap_place(read->store, read->key);

		if (place == NULL)
			continue;
		stress_check(*place > 0, "store %u, id %u: a snapshot that was in no update",
			     read->store, read->number);
		stress_check(*place >= latest[read->store][read->number],
			     "store %u, id %u: a reader went back", read->store, read->number);
		latest[read->store][read->number] = *place;
	}
	for (uint32_t s = 0; s < N_STORES; s++)
		free(latest[s]);
}
