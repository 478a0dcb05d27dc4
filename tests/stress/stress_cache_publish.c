/* SPDX-License-Identifier: BSD-2-Clause */
/* stress_cache_publish.c — threads that put snapshots and clear them */

#include <sched.h>

#include "stress_cache.h"

/* Not further ahead than the lossless subscriptions can keep in memory. */
static void keep_pace(const struct stress_thread *self, const struct store *store)
{
	for (;;) {
		uint64_t n = atomic_load_explicit(&store->n_changes, memory_order_relaxed);
		bool ahead = false;

		for (unsigned i = FIRST; i <= STATED; i++)
			ahead |= (int64_t)(n - atomic_load_explicit(&store->watchers[i].progress,
								    memory_order_relaxed)) >
				 (int64_t)BEHIND_MAX;
		if (!ahead || stress_stopping(self->stress))
			return;
		sched_yield();
	}
}

static void clear_one(struct stress_thread *self, uint32_t s)
{
	struct store *store = &cache_run.stores[s];
	uint32_t number = (uint32_t)stress_below(self, store->n_ids) & ~1u;
	struct stasis_message *snapshot = snap_message(s, number, self->index, 0);
	int result = stasis_publish_take(store->topic, stasis_cache_clear_create(snapshot));

	stress_check(result >= 0, "clear: %d", result);
	stasis_object_unref(snapshot);
}

/* What has been published is in the cache, or something later. */
static void check_get(uint32_t s, uint32_t number, uint32_t publisher, uint64_t seq)
{
	struct stasis_message *snapshot = snap_get(s, number);

	if (snapshot == NULL) {
		stress_check(!snap_is_permanent(number), "store %u, id %u is gone", s, number);
		return;
	}
	if (((struct snap *)stasis_message_data(snapshot))->publisher == publisher)
		stress_check(((struct snap *)stasis_message_data(snapshot))->seq >= seq,
			     "store %u, id %u is older than what was published", s, number);
	stasis_object_unref(snapshot);
}

static void put_some(struct stress_thread *self, uint32_t s, uint64_t *seqs)
{
	struct store *store = &cache_run.stores[s];
	struct stasis_topic *topic = stress_below(self, 4) == 0 ? store->far : store->topic;
	size_t n = 1 + stress_below(self, stress_below(self, 8) == 0 ? BATCH_MAX : 1);
	struct stasis_message *messages[BATCH_MAX];
	uint32_t number = 0;
	int result;

	for (size_t i = 0; i < n; i++) {
		number = (uint32_t)stress_below(self, store->n_ids);
		messages[i] = snap_message(s, number, self->index, ++seqs[s]);
	}
	if (n > 1) {
		result = stasis_publish_batch(topic, messages, n);
	} else if (stress_below(self, 2) == 0) {
		result = stasis_publish_take(topic, messages[0]);
	} else {
		result = stasis_publish(topic, messages[0]);
		stasis_object_unref(messages[0]);
	}
	stress_check(result >= 0, "publish: %d", result);
	atomic_fetch_add_explicit(&store->n_changes, n, memory_order_relaxed);
	self->n_ops += n;
	check_get(s, number, self->index, seqs[s]);
}

void publisher_thread(struct stress_thread *self)
{
	uint64_t seqs[N_STORES] = { 0 };

	while (!stress_stopping(self->stress)) {
		uint32_t s = (uint32_t)stress_below(self, N_STORES);

		keep_pace(self, &cache_run.stores[s]);
		if (stress_below(self, 8) == 0)
			clear_one(self, s);
		else
			put_some(self, s, seqs);
	}
}
