/* SPDX-License-Identifier: BSD-2-Clause */
/* stress_cache_read.c — threads that get and dump, and threads that subscribe and leave */

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "stress_cache.h"

/* --- readers --- */

static void note_read(struct reader *reader, const struct stasis_message *snapshot)
{
	const struct snap *snap = stasis_message_data(snapshot);

	reader->seen[snap->store][snap->number] = true;
	if (reader->n < READS)
		reader->reads[reader->n++] = (struct read){ snap_key(snapshot), snap->store,
							    snap->number };
}

static void read_one(struct stress_thread *self, struct reader *reader, uint32_t s)
{
	uint32_t number = (uint32_t)stress_below(self, cache_run.stores[s].n_ids);
	struct stasis_message *snapshot = snap_get(s, number);

	if (snapshot != NULL)
		note_read(reader, snapshot);
	else
		stress_check(!snap_is_permanent(number) || !reader->seen[s][number],
			     "store %u, id %u is gone", s, number);
	stasis_object_unref(snapshot);
}

static void read_all(struct reader *reader, uint32_t s, bool *found)
{
	const struct store *store = &cache_run.stores[s];
	size_t n;
	struct stasis_message **dump = stasis_cache_dump(store->cache,
							 s == 0 ? NULL : cache_run.type, &n);

	if (dump == NULL)
		stress_die("no memory for a dump");
	memset(found, 0, store->n_ids * sizeof(*found));
	for (size_t i = 0; i < n; i++) {
		const struct snap *snap = stasis_message_data(dump[i]);

		stress_check(!found[snap->number], "store %u, id %u: twice in a dump", s,
			     snap->number);
		found[snap->number] = true;
	}
	for (uint32_t i = 0; i < store->n_ids; i++)
		stress_check(found[i] || !snap_is_permanent(i) || !reader->seen[s][i],
			     "store %u, id %u is missing in a dump", s, i);
	for (size_t i = 0; i < n; i++)
		note_read(reader, dump[i]);
	stasis_cache_dump_free(dump, n);
}

void reader_thread(struct stress_thread *self)
{
	struct reader *reader = &cache_run.readers[self->index];
	bool *found = stress_alloc(N_MANY * sizeof(*found));

	while (!stress_stopping(self->stress)) {
		for (int i = 0; i < 64; i++)
			read_one(self, reader, (uint32_t)stress_below(self, N_STORES));
		read_all(reader, stress_below(self, 64) == 0, found);
		/* Publishers need some CPU, too. */
		sched_yield();
	}
	free(found);
}

/* --- those who come and go --- */

static struct stasis_subscription *come(struct stress_thread *self, struct watcher *watcher,
					uint32_t s)
{
	struct store *store = &cache_run.stores[s];
	bool bounded = stress_below(self, 8) == 0;
	struct stasis_subscribe_options options = {
		.executor = stress_below(self, 8) == 0 ? cache_run.inline_executor :
							 cache_run.visitors,
		.capacity = bounded ? 8 : 0,
		.overflow = bounded ? (enum stasis_overflow)stress_below(self, 5) : 0,
	};

	if (options.overflow >= STASIS_OVERFLOW_DROP_NEWEST)
		watcher->kind = WATCH_LOSSY;
	watcher->leaves = stress_below(self, 16) == 0;
	if (watcher->kind == WATCH_PLAIN)
		return stasis_subscribe_with(stasis_caching_get_topic(store->caching),
					     watcher_watch, watcher, &options);
	return stasis_caching_subscribe_with_state(store->caching, watcher_watch, watcher,
						   &options);
}

static void visit(struct stress_thread *self)
{
	uint32_t s = (uint32_t)stress_below(self, N_STORES), there[8], n_there = 0;
	struct watcher watcher = { .kind = stress_below(self, 4) ? WATCH_STATE : WATCH_PLAIN };
	struct view *view = &watcher.views[s];
	struct stasis_subscription *sub;
	bool left;

	view_open(view, cache_run.stores[s].n_ids);
	for (int i = 0; i < 8; i++) {
		uint32_t number = (uint32_t)stress_below(self, cache_run.stores[s].n_ids);

		struct stasis_message *snapshot = snap_get(s, number);

		if (snap_is_permanent(number) && snapshot != NULL)
			there[n_there++] = number;
		stasis_object_unref(snapshot);
	}
	sub = come(self, &watcher, s);
	if (sub == NULL)
		stress_die("cannot subscribe");
	for (uint64_t spins = stress_below(self, 50); spins > 0; spins--)
		sched_yield();
	left = !stasis_subscription_is_subscribed(sub);
	stasis_unsubscribe_and_join(sub);
	stress_check(watcher.n_finals == 1, "%llu final messages",
		     (unsigned long long)watcher.n_finals);
	for (uint32_t i = 0; i < n_there && watcher.kind == WATCH_STATE && !left; i++)
		stress_check(view->known[there[i]], "store %u, id %u was not told of", s, there[i]);
	if (watcher.kind == WATCH_STATE)
		atomic_fetch_add_explicit(&cache_run.n_stated, 1, memory_order_relaxed);
	watcher_close(&watcher);
}

void visitor_thread(struct stress_thread *self)
{
	while (!stress_stopping(self->stress))
		visit(self);
}
