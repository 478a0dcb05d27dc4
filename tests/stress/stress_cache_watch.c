/* SPDX-License-Identifier: BSD-2-Clause */
/* stress_cache_watch.c — subscriptions, and what each update must be after the last */

#include <stdlib.h>

#include "stress_cache.h"

void view_open(struct view *view, uint32_t n_ids)
{
	view->last = stress_alloc(n_ids * sizeof(*view->last));
	view->place = stress_alloc(n_ids * sizeof(*view->place));
	view->known = stress_alloc(n_ids * sizeof(*view->known));
	view->next = stress_alloc(cache_run.n_publishers * sizeof(*view->next));
}

void watcher_close(struct watcher *watcher)
{
	for (struct view *view = watcher->views; view < watcher->views + N_STORES; view++) {
		free(view->last);
		free(view->place);
		free(view->known);
		free(view->next);
	}
}

static void check_seq(struct view *view, const struct snap *snap)
{
	uint64_t *next = &view->next[snap->publisher];

	stress_check(*next == 0 || snap->seq == *next, "publisher %u: %llu, expected %llu",
		     snap->publisher, (unsigned long long)snap->seq, (unsigned long long)*next);
	*next = snap->seq + 1;
}

static void watch_update(struct watcher *watcher, const struct stasis_cache_update *update)
{
	const struct stasis_message *new = update->new_snapshot;
	const struct snap *snap = stasis_message_data(new != NULL ? new : update->old_snapshot);
	uint64_t old_key = snap_key(update->old_snapshot), new_key = snap_key(new);
	struct view *view = &watcher->views[snap->store];
	bool known = view->known[snap->number];

	stress_check(update->type == cache_run.type, "an update of another type");
	watcher->n_updates++;
	if (watcher->kind != WATCH_LOSSY && (known || watcher->kind == WATCH_STATE))
		stress_check(old_key == view->last[snap->number],
			     "store %u, id %u: the old snapshot is %llx, expected %llx",
			     snap->store, snap->number, (unsigned long long)old_key,
			     (unsigned long long)view->last[snap->number]);
	/* What is told as the state comes in any order. */
	if (watcher->kind == WATCH_PLAIN && new != NULL)
		check_seq(view, snap);
	view->known[snap->number] = true;
	view->last[snap->number] = new_key;
	view->place[snap->number]++;
	if (watcher->writes_places && new != NULL && snap_place(snap->store, new_key) != NULL)
		*snap_place(snap->store, new_key) = view->place[snap->number];
}

void watcher_watch(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
	struct watcher *watcher = data;
	bool final = stasis_subscription_final_message(sub, message);

	if (atomic_exchange_explicit(&watcher->inside, 1, memory_order_relaxed) != 0)
		stress_violation("two callbacks of one subscription at once");
	stress_check(watcher->n_finals == 0, "a message after the final message");
	if (stasis_message_type(message) == stasis_cache_update_type()) {
		stress_check(watcher->n_calls > 0 || watcher->kind == WATCH_LOSSY,
			     "an update before its own Subscribe");
		watch_update(watcher, stasis_message_data(message));
	}
	watcher->n_calls++;
	watcher->n_finals += final;
	atomic_store_explicit(&watcher->progress, watcher->n_updates, memory_order_relaxed);
	atomic_store_explicit(&watcher->inside, 0, memory_order_relaxed);
	if (watcher->leaves && !final) {
		watcher->leaves = false;
		stasis_unsubscribe(stasis_object_ref(sub));
	}
}
