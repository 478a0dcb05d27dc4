/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-cache.c — many threads change few things, and many; others look on, come and go
 *
 * There are two stores, each a topic, a cache and a caching topic: one of a few ids, where all
 * publishers meet, and one of very many. Publishers put snapshots and clear what may be cleared.
 * Threads are stopped at random, by a signal handler that sleeps. Checked exactly: at every
 * lossless subscription the updates of each id form an unbroken chain, and each publisher's numbers
 * are seen without a gap, whatever their ids; a subscription with the state begins with nothing and
 * misses nothing; of each lossy one, what was delivered and what was dropped adds up; what a reader
 * gets of an id never goes back in that id's chain; the last state is what the cache has; and every
 * snapshot is freed.
 */

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "stress_cache.h"

#define STOP_MS_MAX 20u

struct cache_run cache_run;

static void cache_thread(struct stress_thread *self)
{
	if (self->index < cache_run.n_publishers) {
		publisher_thread(self);
	} else if (self->index % 2 == 0) {
		reader_thread(self);
	} else {
		visitor_thread(self);
	}
}

/* --- stopping threads --- */

static void on_stop(int number)
{
	static _Atomic uint32_t turn;
	uint32_t ms = 1 + atomic_fetch_add(&turn, 7) % STOP_MS_MAX;

	nanosleep(&(struct timespec){ .tv_nsec = (long)ms * 1000000 }, NULL);
}

static void cache_control(struct stress *stress)
{
	uint64_t random = stress_seed(stress, 5000);
	double end = stress_now() + stress->seconds;

	while (stress_now() < end) {
		struct timespec time = { .tv_nsec = 2000000 };
		const struct stress_thread *victim =
			&stress->threads[stress_random(&random) % stress->n_threads];

		if (pthread_kill(victim->thread, SIGUSR1) != 0)
			stress_die("cannot signal a thread");
		nanosleep(&time, NULL);
	}
}

/* --- setup and check --- */

static void watcher_open(struct watcher *watcher, const struct store *store, int which)
{
	static const enum stasis_overflow overflow[N_WATCHERS] = {
		[BLOCKING] = STASIS_OVERFLOW_BLOCK,
		[OLDEST] = STASIS_OVERFLOW_DROP_OLDEST,
		[NEWEST] = STASIS_OVERFLOW_DROP_NEWEST,
		[REJECTING] = STASIS_OVERFLOW_REJECT,
	};
	struct stasis_message_type *types[] = { stasis_cache_update_type() };
	bool lossy = which >= OLDEST;
	struct stasis_subscribe_options options = {
		.executor = which == INLINE ? cache_run.inline_executor : cache_run.executor,
		.capacity = overflow[which] != STASIS_OVERFLOW_GROW ? 16 : 0,
		.overflow = overflow[which],
		/* So that nothing is lost but updates. */
		.types = lossy ? types : NULL,
		.n_types = lossy,
	};

	watcher->kind = lossy ? WATCH_LOSSY : which == STATED ? WATCH_STATE : WATCH_PLAIN;
	watcher->writes_places = which == FIRST;
	for (uint32_t s = 0; s < N_STORES; s++)
		view_open(&watcher->views[s], s == 0 ? N_FEW_MAX : N_MANY);
	watcher->sub = which == STATED ?
			       stasis_caching_subscribe_with_state(store->caching, watcher_watch,
								   watcher, &options) :
			       stasis_subscribe_with(stasis_caching_get_topic(store->caching),
						     watcher_watch, watcher, &options);
	if (watcher->sub == NULL)
		stress_die("cannot subscribe");
}

static void store_open(struct store *store, uint32_t n_ids)
{
	store->n_ids = n_ids;
	store->far = stasis_topic_create("far");
	store->topic = stasis_topic_create("things");
	store->cache = stasis_cache_create(snap_id);
	store->caching = stasis_caching_topic_create(store->topic, store->cache);
	if (store->caching == NULL)
		stress_die("cannot cache");
	store->forwards[0] = stasis_forward_all(store->far, store->topic);
	store->forwards[1] = stasis_forward_all(stasis_caching_get_topic(store->caching),
						cache_run.all);
	store->places = stress_alloc(cache_run.n_publishers * PLACES * sizeof(*store->places));
	for (int i = 0; i < N_WATCHERS; i++)
		watcher_open(&store->watchers[i], store, i);
}

static void cache_setup(struct stress *stress)
{
	struct sigaction action = { .sa_handler = on_stop, .sa_flags = SA_RESTART };

	cache_run.n_publishers = stress->n_threads * 5 / 8;
	cache_run.type = stasis_message_type_create("snap");
	cache_run.executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2 });
	cache_run.visitors = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2 });
	cache_run.inline_executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 1, .wait = STASIS_WAIT_INLINE });
	cache_run.all = stasis_topic_create("all");
	cache_run.readers = stress_alloc(stress->n_threads * sizeof(*cache_run.readers));
	for (unsigned i = cache_run.n_publishers; i < stress->n_threads; i++) {
		cache_run.readers[i].reads = stress_alloc(READS * sizeof(struct read));
		for (uint32_t s = 0; s < N_STORES; s++)
			cache_run.readers[i].seen[s] = stress_alloc(N_MANY * sizeof(bool));
	}
	for (uint32_t s = 0; s < N_STORES; s++)
		view_open(&cache_run.watcher.views[s], N_MANY);
	cache_run.watcher.sub = stasis_subscribe_with(
		cache_run.all, watcher_watch, &cache_run.watcher,
		&(struct stasis_subscribe_options){ .executor = cache_run.executor });
	store_open(&cache_run.stores[0], 1 + (uint32_t)(stress->seed % N_FEW_MAX));
	store_open(&cache_run.stores[1], N_MANY);
	sigaction(SIGUSR1, &action, NULL);
}

static void store_close(struct store *store)
{
	stasis_forward_cancel(store->forwards[0]);
	stasis_forward_cancel(store->forwards[1]);
	for (int i = 0; i < N_WATCHERS; i++) {
		stasis_object_unref(store->watchers[i].sub);
		watcher_close(&store->watchers[i]);
	}
	stasis_caching_unsubscribe(store->caching);
	stasis_object_unref(store->cache);
	stasis_object_unref(store->far);
	stasis_object_unref(store->topic);
	free(store->places);
}

static void cache_check(struct stress *stress)
{
	double end = stress_now() + 60;

	for (uint32_t s = 0; s < N_STORES; s++) {
		for (int i = 0; i < N_WATCHERS; i++)
			stasis_unsubscribe_and_join(
				stasis_object_ref(cache_run.stores[s].watchers[i].sub));
	}
	stasis_unsubscribe_and_join(cache_run.watcher.sub);
	stress_check(cache_run.watcher.n_updates ==
			     cache_run.stores[0].watchers[FIRST].n_updates +
				     cache_run.stores[1].watchers[FIRST].n_updates,
		     "all: %llu updates", (unsigned long long)cache_run.watcher.n_updates);
	for (uint32_t s = 0; s < N_STORES; s++)
		store_check(s);
	for (unsigned i = cache_run.n_publishers; i < stress->n_threads; i++) {
		reader_check(&cache_run.readers[i]);
		free(cache_run.readers[i].reads);
		for (uint32_t s = 0; s < N_STORES; s++)
			free(cache_run.readers[i].seen[s]);
	}
	stress_check(atomic_load(&cache_run.n_stated) > 0, "nobody came with the state");
	printf("%llu updates\n", (unsigned long long)cache_run.watcher.n_updates);
	for (uint32_t s = 0; s < N_STORES; s++)
		store_close(&cache_run.stores[s]);
	watcher_close(&cache_run.watcher);
	free(cache_run.readers);
	stasis_executor_shutdown(cache_run.executor);
	stasis_executor_shutdown(cache_run.inline_executor);
	stasis_executor_shutdown(cache_run.visitors);
	stasis_object_unref(cache_run.all);
	stasis_object_unref(cache_run.type);
	while (atomic_load(&cache_run.snapshots.freed) < atomic_load(&cache_run.snapshots.made) &&
	       stress_now() < end)
		sched_yield();
	stress_balance_check(&cache_run.snapshots, "snapshots");
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Puts, clears and reads snapshots of few things and of many.",
		.ops = "snapshots published",
		.threads_min = 8,
		.setup = cache_setup,
		.thread = cache_thread,
		.control = cache_control,
		.check = cache_check,
	};

	return stress_main(argc, argv, &program);
}
