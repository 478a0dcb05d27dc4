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
#include <string.h>
#include <time.h>

#include <stasis/cache.h>

#include "stress_bus.h"

#define N_STORES 2u
#define N_MANY 4000u
#define N_FEW_MAX 4u
#define BEHIND_MAX 2000u /* updates that publishers may be ahead of subscriptions */
#define BATCH_MAX 6u
#define PLACES ((uint64_t)1 << 20) /* of a publisher's snapshots in their chains, remembered */
#define READS ((size_t)1 << 18)	   /* of a reader's, remembered */
#define STOP_MS_MAX 20u

/* The data of a snapshot. */
struct snap {
	char id[16];
	uint32_t store, number, publisher;
	uint64_t seq; /* 1, 2, 3, ... per publisher and store */
};

/* What a subscription has seen of a store. */
struct view {
	uint64_t *last;	 /* per id: the key of its last snapshot, 0: none */
	uint32_t *place; /* per id: in its chain */
	bool *known;	 /* per id: it has been told of */
	uint64_t *next;	 /* per publisher; 0: not seen yet */
};

enum watcher_kind { WATCH_PLAIN, WATCH_STATE, WATCH_LOSSY };

struct watcher {
	enum watcher_kind kind;
	bool writes_places; /* the one that says which place a snapshot has in its chain */
	bool leaves;	    /* unsubscribes when it comes */
	struct stasis_subscription *sub;
	struct view views[N_STORES];
	uint64_t n_updates, n_calls, n_finals;
	_Atomic int inside;	   /* relaxed: must order nothing */
	_Atomic uint64_t progress; /* relaxed: a figure */
};

enum { FIRST, INLINE, BLOCKING, STATED, OLDEST, NEWEST, REJECTING, N_WATCHERS };

struct store {
	uint32_t n_ids;
	struct stasis_topic *far; /* leads to the next */
	struct stasis_topic *topic;
	struct stasis_cache *cache;
	struct stasis_caching_topic *caching;
	struct stasis_forward *forwards[2];
	struct watcher watchers[N_WATCHERS];
	uint32_t *places;	    /* [publisher][seq]; written by the first watcher */
	_Atomic uint64_t n_changes; /* relaxed: a figure, about how many updates there are */
};

struct read {
	uint64_t key;
	uint32_t store, number;
};

struct reader {
	struct read *reads;
	size_t n;
	bool *seen[N_STORES];
};

static struct {
	struct stasis_message_type *type;
	struct stasis_executor *executor, *inline_executor;
	struct stasis_executor *visitors; /* for those who come and go */
	struct stasis_topic *all; /* updates of both stores */
	struct watcher watcher;	  /* of all */
	struct store stores[N_STORES];
	struct reader *readers; /* per thread */
	uint32_t n_publishers;
	struct stress_balance snapshots;
	_Atomic uint64_t n_stated;
} run;

/* --- snapshots --- */

static void snap_release(void *data)
{
	atomic_fetch_add_explicit(&run.snapshots.freed, 1, memory_order_relaxed);
	free(data);
}

static const char *snap_id(struct stasis_message *message)
{
	if (stasis_message_type(message) != run.type)
		return NULL;
	return ((const struct snap *)stasis_message_data(message))->id;
}

static struct stasis_message *snap_message(uint32_t store, uint32_t number, uint32_t publisher,
					   uint64_t seq)
{
	struct snap *snap = stress_alloc(sizeof(*snap));
	struct stasis_message *message;

	*snap = (struct snap){
		.store = store, .number = number, .publisher = publisher, .seq = seq
	};
	snprintf(snap->id, sizeof(snap->id), "%u", number);
	message = stasis_message_create_foreign(run.type, snap, snap_release);
	if (message == NULL)
		stress_die("no memory for a message");
	atomic_fetch_add_explicit(&run.snapshots.made, 1, memory_order_relaxed);
	return message;
}

static uint64_t key_of(const struct stasis_message *snapshot)
{
	const struct snap *snap;

	if (snapshot == NULL)
		return 0;
	snap = stasis_message_data(snapshot);
	return (uint64_t)(snap->publisher + 1) << 48 | snap->seq;
}

static uint32_t *place_of(uint32_t store, uint64_t key)
{
	uint64_t seq = key & (((uint64_t)1 << 48) - 1);

	if (seq >= PLACES)
		return NULL;
	return &run.stores[store].places[((key >> 48) - 1) * PLACES + seq];
}

/* Ids that are never cleared. */
static bool is_permanent(uint32_t number)
{
	return number % 2 != 0;
}

static struct stasis_message *get(uint32_t s, uint32_t number)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", number);
	return stasis_cache_get(run.stores[s].cache, run.type, id);
}

/* --- watchers --- */

static void view_open(struct view *view, uint32_t n_ids)
{
	view->last = stress_alloc(n_ids * sizeof(*view->last));
	view->place = stress_alloc(n_ids * sizeof(*view->place));
	view->known = stress_alloc(n_ids * sizeof(*view->known));
	view->next = stress_alloc(run.n_publishers * sizeof(*view->next));
}

static void watcher_close(struct watcher *watcher)
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
	uint64_t old_key = key_of(update->old_snapshot), new_key = key_of(new);
	struct view *view = &watcher->views[snap->store];
	bool known = view->known[snap->number];

	stress_check(update->type == run.type, "an update of another type");
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
	if (watcher->writes_places && new != NULL && place_of(snap->store, new_key) != NULL)
		*place_of(snap->store, new_key) = view->place[snap->number];
}

static void watch(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
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

/* --- publishers --- */

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
	struct store *store = &run.stores[s];
	uint32_t number = (uint32_t)stress_below(self, store->n_ids) & ~1u;
	struct stasis_message *snapshot = snap_message(s, number, self->index, 0);
	int result = stasis_publish_take(store->topic, stasis_cache_clear_create(snapshot));

	stress_check(result >= 0, "clear: %d", result);
	stasis_object_unref(snapshot);
}

/* What has been published is in the cache, or something later. */
static void check_get(uint32_t s, uint32_t number, uint32_t publisher, uint64_t seq)
{
	struct stasis_message *snapshot = get(s, number);

	if (snapshot == NULL) {
		stress_check(!is_permanent(number), "store %u, id %u is gone", s, number);
		return;
	}
	if (((struct snap *)stasis_message_data(snapshot))->publisher == publisher)
		stress_check(((struct snap *)stasis_message_data(snapshot))->seq >= seq,
			     "store %u, id %u is older than what was published", s, number);
	stasis_object_unref(snapshot);
}

static void put_some(struct stress_thread *self, uint32_t s, uint64_t *seqs)
{
	struct store *store = &run.stores[s];
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

static void publisher_thread(struct stress_thread *self)
{
	uint64_t seqs[N_STORES] = { 0 };

	while (!stress_stopping(self->stress)) {
		uint32_t s = (uint32_t)stress_below(self, N_STORES);

		keep_pace(self, &run.stores[s]);
		if (stress_below(self, 8) == 0)
			clear_one(self, s);
		else
			put_some(self, s, seqs);
	}
}

/* --- readers --- */

static void note_read(struct reader *reader, const struct stasis_message *snapshot)
{
	const struct snap *snap = stasis_message_data(snapshot);

	reader->seen[snap->store][snap->number] = true;
	if (reader->n < READS)
		reader->reads[reader->n++] =
			(struct read){ key_of(snapshot), snap->store, snap->number };
}

static void read_one(struct stress_thread *self, struct reader *reader, uint32_t s)
{
	uint32_t number = (uint32_t)stress_below(self, run.stores[s].n_ids);
	struct stasis_message *snapshot = get(s, number);

	if (snapshot != NULL)
		note_read(reader, snapshot);
	else
		stress_check(!is_permanent(number) || !reader->seen[s][number],
			     "store %u, id %u is gone", s, number);
	stasis_object_unref(snapshot);
}

static void read_all(struct reader *reader, uint32_t s, bool *found)
{
	const struct store *store = &run.stores[s];
	size_t n;
	struct stasis_message **dump = stasis_cache_dump(store->cache, s == 0 ? NULL : run.type,
							 &n);

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
		stress_check(found[i] || !is_permanent(i) || !reader->seen[s][i],
			     "store %u, id %u is missing in a dump", s, i);
	for (size_t i = 0; i < n; i++)
		note_read(reader, dump[i]);
	stasis_cache_dump_free(dump, n);
}

static void reader_thread(struct stress_thread *self)
{
	struct reader *reader = &run.readers[self->index];
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
	struct store *store = &run.stores[s];
	bool bounded = stress_below(self, 8) == 0;
	struct stasis_subscribe_options options = {
		.executor = stress_below(self, 8) == 0 ? run.inline_executor : run.visitors,
		.capacity = bounded ? 8 : 0,
		.overflow = bounded ? (enum stasis_overflow)stress_below(self, 5) : 0,
	};

	if (options.overflow >= STASIS_OVERFLOW_DROP_NEWEST)
		watcher->kind = WATCH_LOSSY;
	watcher->leaves = stress_below(self, 16) == 0;
	if (watcher->kind == WATCH_PLAIN)
		return stasis_subscribe_with(stasis_caching_get_topic(store->caching), watch,
					     watcher, &options);
	return stasis_caching_subscribe_with_state(store->caching, watch, watcher, &options);
}

static void visit(struct stress_thread *self)
{
	uint32_t s = (uint32_t)stress_below(self, N_STORES), there[8], n_there = 0;
	struct watcher watcher = { .kind = stress_below(self, 4) ? WATCH_STATE : WATCH_PLAIN };
	struct view *view = &watcher.views[s];
	struct stasis_subscription *sub;
	bool left;

	view_open(view, run.stores[s].n_ids);
	for (int i = 0; i < 8; i++) {
		uint32_t number = (uint32_t)stress_below(self, run.stores[s].n_ids);

		struct stasis_message *snapshot = get(s, number);

		if (is_permanent(number) && snapshot != NULL)
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
		atomic_fetch_add_explicit(&run.n_stated, 1, memory_order_relaxed);
	watcher_close(&watcher);
}

static void cache_thread(struct stress_thread *self)
{
	if (self->index < run.n_publishers) {
		publisher_thread(self);
	} else if (self->index % 2 == 0) {
		reader_thread(self);
	} else {
		while (!stress_stopping(self->stress))
			visit(self);
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
		.executor = which == INLINE ? run.inline_executor : run.executor,
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
			       stasis_caching_subscribe_with_state(store->caching, watch, watcher,
								   &options) :
			       stasis_subscribe_with(stasis_caching_get_topic(store->caching),
						     watch, watcher, &options);
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
	store->forwards[1] = stasis_forward_all(stasis_caching_get_topic(store->caching), run.all);
	store->places = stress_alloc(run.n_publishers * PLACES * sizeof(*store->places));
	for (int i = 0; i < N_WATCHERS; i++)
		watcher_open(&store->watchers[i], store, i);
}

static void cache_setup(struct stress *stress)
{
	struct sigaction action = { .sa_handler = on_stop, .sa_flags = SA_RESTART };

	run.n_publishers = stress->n_threads * 5 / 8;
	run.type = stasis_message_type_create("snap");
	run.executor = stasis_executor_create(&(struct stasis_executor_options){ .threads = 2 });
	run.visitors = stasis_executor_create(&(struct stasis_executor_options){ .threads = 2 });
	run.inline_executor = stasis_executor_create(&(struct stasis_executor_options){
		.threads = 1, .wait = STASIS_WAIT_INLINE });
	run.all = stasis_topic_create("all");
	run.readers = stress_alloc(stress->n_threads * sizeof(*run.readers));
	for (unsigned i = run.n_publishers; i < stress->n_threads; i++) {
		run.readers[i].reads = stress_alloc(READS * sizeof(struct read));
		for (uint32_t s = 0; s < N_STORES; s++)
			run.readers[i].seen[s] = stress_alloc(N_MANY * sizeof(bool));
	}
	for (uint32_t s = 0; s < N_STORES; s++)
		view_open(&run.watcher.views[s], N_MANY);
	run.watcher.sub = stasis_subscribe_with(
		run.all, watch, &run.watcher,
		&(struct stasis_subscribe_options){ .executor = run.executor });
	store_open(&run.stores[0], 1 + (uint32_t)(stress->seed % N_FEW_MAX));
	store_open(&run.stores[1], N_MANY);
	sigaction(SIGUSR1, &action, NULL);
}

/* What a subscription has seen last is what the cache has. */
static void check_final(const struct watcher *watcher, uint32_t s)
{
	const struct store *store = &run.stores[s];
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

		stress_check(view->last[snap->number] == key_of(dump[i]),
			     "store %u, id %u is not what the cache has", s, snap->number);
	}
	stasis_cache_dump_free(dump, n);
}

static void check_store(uint32_t s)
{
	const struct store *store = &run.stores[s];
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
	check_final(&run.watcher, s);
}

static void check_reader(const struct reader *reader)
{
	uint32_t *latest[N_STORES];

	for (uint32_t s = 0; s < N_STORES; s++)
		latest[s] = stress_alloc(N_MANY * sizeof(*latest[s]));
	for (size_t i = 0; i < reader->n; i++) {
		const struct read *read = &reader->reads[i];
		const uint32_t *place = place_of(read->store, read->key);

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
				stasis_object_ref(run.stores[s].watchers[i].sub));
	}
	stasis_unsubscribe_and_join(run.watcher.sub);
	stress_check(run.watcher.n_updates == run.stores[0].watchers[FIRST].n_updates +
						      run.stores[1].watchers[FIRST].n_updates,
		     "all: %llu updates", (unsigned long long)run.watcher.n_updates);
	for (uint32_t s = 0; s < N_STORES; s++)
		check_store(s);
	for (unsigned i = run.n_publishers; i < stress->n_threads; i++) {
		check_reader(&run.readers[i]);
		free(run.readers[i].reads);
		for (uint32_t s = 0; s < N_STORES; s++)
			free(run.readers[i].seen[s]);
	}
	stress_check(atomic_load(&run.n_stated) > 0, "nobody came with the state");
	printf("%llu updates\n", (unsigned long long)run.watcher.n_updates);
	for (uint32_t s = 0; s < N_STORES; s++)
		store_close(&run.stores[s]);
	watcher_close(&run.watcher);
	free(run.readers);
	stasis_executor_shutdown(run.executor);
	stasis_executor_shutdown(run.inline_executor);
	stasis_executor_shutdown(run.visitors);
	stasis_object_unref(run.all);
	stasis_object_unref(run.type);
	while (atomic_load(&run.snapshots.freed) < atomic_load(&run.snapshots.made) &&
	       stress_now() < end)
		sched_yield();
	stress_balance_check(&run.snapshots, "snapshots");
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
