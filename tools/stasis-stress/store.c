/* SPDX-License-Identifier: BSD-2-Clause */
/* store.c — see store.h */

#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "memory.h"
#include "net.h"
#include "plant.h"
#include "random.h"

#define IDS_FEW 4u
#define IDS_MANY 1000u
#define BEHIND_MAX 2000u /* updates a writer may be ahead of a watcher */
#define KEY_SHIFT 40
#define PUT_MAX 6u

/* The data of a snapshot. */
struct snap {
	char id[16];
	uint32_t number;
	uint32_t author;
	uint64_t seq; /* 1, 2, 3, ... of the author */
};

struct watcher {
	struct ss_store *store;
	char name[24];
	bool lossy;  /* drops */
	bool stated; /* began with the state */
	bool stays;  /* to the end: what it has seen last is compared with the cache */
	struct stasis_subscription *sub;
	_Atomic int refs;
	_Atomic int inside; /* relaxed: must order nothing */
	_Atomic bool closed;
	_Atomic uint64_t progress; /* relaxed: updates seen */
	/* the callbacks' own */
	uint64_t n_calls, n_updates, n_finals, n_breaks;
	uint64_t *last; /* per id: the key of its last snapshot; 0: none */
	bool *known;	/* per id: it has been told of */
};

enum {
	FIRST,
	INLINE,
	BLOCKING,
	OLDEST,
	NEWEST,
	STATED,
	ALL,
	N_WATCHERS
};

struct ss_store {
	struct ss_net *net;
	uint32_t n_ids;
	struct stasis_topic *far, *things, *all;
	struct stasis_cache *cache;
	struct stasis_caching_topic *caching;
	struct stasis_forward *to_things, *to_all;
	struct watcher *watchers[N_WATCHERS];
	uint64_t *seqs; /* per author: the author's own */
	_Atomic uint64_t n_written;
	/* Watchers whose subscribing failed half-way; under the lock. */
	pthread_mutex_t lock;
	struct watcher *failed[1024];
	unsigned n_failed;
};

static struct stasis_message_type *snap_type;
static pthread_once_t snap_once = PTHREAD_ONCE_INIT;

static void make_type(void)
{
	snap_type = stasis_message_type_create("snapshot");
	if (snap_type == NULL)
		ss_die("no memory for a type");
}

/* --- snapshots --- */

static void snap_release(void *data)
{
	ss_free(data);
	ss_memory_data_freed();
}

static const char *snap_id(struct stasis_message *message)
{
	if (stasis_message_type(message) != snap_type)
		return NULL;
	return ((const struct snap *)stasis_message_data(message))->id;
}

static struct stasis_message *snap_message(struct ss_store *store, uint32_t number, unsigned author)
{
	struct snap *snap = ss_alloc(sizeof(*snap));
	struct stasis_message *message;

	*snap = (struct snap){ .number = number, .author = author, .seq = ++store->seqs[author] };
	snprintf(snap->id, sizeof(snap->id), "%u", number);
	ss_memory_data_made();
	message = stasis_message_create_foreign(snap_type, snap, snap_release);
	if (message == NULL)
		snap_release(snap);
	return message;
}

static uint64_t key_of(const struct stasis_message *snapshot)
{
	const struct snap *snap;

	if (snapshot == NULL)
		return 0;
	snap = stasis_message_data(snapshot);
	return (uint64_t)(snap->author + 1) << KEY_SHIFT | snap->seq;
}

/* --- watchers --- */

static struct watcher *watcher_new(struct ss_store *store, const char *name)
{
	struct watcher *watcher = ss_alloc(sizeof(*watcher));

	watcher->store = store;
	snprintf(watcher->name, sizeof(watcher->name), "updates, %s", name);
	watcher->last = ss_alloc(store->n_ids * sizeof(*watcher->last));
	watcher->known = ss_alloc(store->n_ids * sizeof(*watcher->known));
	atomic_init(&watcher->refs, 1);
	return watcher;
}

static void watcher_free(struct watcher *watcher)
{
	ss_free(watcher->last);
	ss_free(watcher->known);
	ss_free(watcher);
}

static void see_update(struct watcher *watcher, const struct stasis_cache_update *update)
{
	const struct stasis_message *new = update->new_snapshot;
	const struct snap *snap = stasis_message_data(new != NULL ? new : update->old_snapshot);
	uint64_t old_key = key_of(update->old_snapshot);
	bool known = watcher->known[snap->number];

	ss_check(update->type == snap_type, "stray: %s: an update of another type", watcher->name);
	watcher->n_updates++;
	if (known && watcher->stays && !watcher->lossy && ss_plant_now(SS_PLANT_CHAIN))
		return;
	if ((known || watcher->stated) && old_key != watcher->last[snap->number]) {
		watcher->n_breaks++;
		ss_check(watcher->lossy || watcher->store->net->starved,
			 "chain: %s: id %u: the old snapshot is %llx, expected %llx", watcher->name,
			 snap->number, (unsigned long long)old_key,
			 (unsigned long long)watcher->last[snap->number]);
	}
	watcher->known[snap->number] = true;
	watcher->last[snap->number] = key_of(new);
	/* Relaxed: a figure. */
	atomic_fetch_add_explicit(&ss_n_verified, 1, memory_order_relaxed);
}

static void watch(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		  struct stasis_message *message)
{
	struct watcher *watcher = data;

	/* Relaxed, here and below: it must order nothing. */
	if (atomic_exchange_explicit(&watcher->inside, 1, memory_order_relaxed) != 0)
		ss_violation("overlap: %s: two callbacks at once", watcher->name);
	ss_check(!atomic_load_explicit(&watcher->closed, memory_order_relaxed),
		 "join: %s: a callback after a join", watcher->name);
	ss_check(watcher->n_finals == 0, "final: %s: a message after the final one", watcher->name);
	if (stasis_message_type(message) == stasis_cache_update_type())
		see_update(watcher, stasis_message_data(message));
	else
		ss_check(stasis_message_type(message) == stasis_subscription_change_type(),
			 "stray: %s: neither update nor change", watcher->name);
	watcher->n_calls++;
	watcher->n_finals += stasis_subscription_final_message(sub, message) == 1;
	atomic_store_explicit(&watcher->progress, watcher->n_updates, memory_order_relaxed);
	atomic_store_explicit(&watcher->inside, 0, memory_order_relaxed);
}

/* Its subscription is done. */
static void watcher_check(struct watcher *watcher, struct stasis_subscription *sub)
{
	struct stasis_stats stats;

	atomic_store_explicit(&watcher->closed, true, memory_order_relaxed);
	/* Changes are dropped, too, and nothing here adds up with publishers' results. */
	ss_net_account(watcher->store->net, sub, false, &stats);
	ss_check(watcher->n_finals == 1, "final: %s: %llu final messages", watcher->name,
		 (unsigned long long)watcher->n_finals);
	/* One that two publishers have queued, one helping the other, counts twice. */
	ss_check(stats.delivered >= watcher->n_calls, "stats: %s: %llu delivered, %llu calls seen",
		 watcher->name, (unsigned long long)stats.delivered,
		 (unsigned long long)watcher->n_calls);
	ss_check(watcher->n_breaks <= stats.dropped, "chain: %s: %llu breaks, %llu dropped",
		 watcher->name, (unsigned long long)watcher->n_breaks,
		 (unsigned long long)stats.dropped);
	ss_check(watcher->lossy || watcher->store->net->starved || stats.dropped == 0,
		 "loss: %s: %llu dropped", watcher->name, (unsigned long long)stats.dropped);
}

static void watcher_open(struct ss_store *store, int which)
{
	static const struct {
		const char *name;
		enum stasis_overflow overflow;
	} kinds[N_WATCHERS] = {
		[FIRST] = { "first", STASIS_OVERFLOW_GROW },
		[INLINE] = { "inline", STASIS_OVERFLOW_GROW },
		[BLOCKING] = { "block", STASIS_OVERFLOW_BLOCK },
		[OLDEST] = { "oldest", STASIS_OVERFLOW_DROP_OLDEST },
		[NEWEST] = { "newest", STASIS_OVERFLOW_DROP_NEWEST },
		[STATED] = { "stated", STASIS_OVERFLOW_GROW },
		[ALL] = { "all", STASIS_OVERFLOW_GROW },
	};
	struct watcher *watcher = watcher_new(store, kinds[which].name);
	struct stasis_message_type *types[] = { stasis_cache_update_type() };
	struct stasis_subscribe_options options = {
		.executor = store->net->executors[which == INLINE ? STASIS_WAIT_INLINE :
								    STASIS_WAIT_SPIN_PARK],
		.overflow = kinds[which].overflow,
		.capacity = kinds[which].overflow == STASIS_OVERFLOW_GROW ? 0 :
			    store->net->scarce				  ? 2 :
									    16,
		.types = types,
		.n_types = 1,
	};
	struct stasis_topic *topic = which == ALL ? store->all :
						    stasis_caching_get_topic(store->caching);

	watcher->lossy = options.overflow >= STASIS_OVERFLOW_DROP_NEWEST;
	watcher->stays = true;
	watcher->stated = which == STATED;
	watcher->sub = which == STATED ? stasis_caching_subscribe_with_state(store->caching, watch,
									     watcher, &options) :
					 stasis_subscribe_with(topic, watch, watcher, &options);
	if (watcher->sub == NULL)
		ss_die("cannot subscribe: %s", strerror(errno));
	store->watchers[which] = watcher;
}

/* --- what threads do --- */

/* The publish was refused by some, for want of room or memory: that is counted elsewhere. */
static void check_result(const char *what, int result)
{
	ss_check(result >= 0, "error: %s: %s", what, strerror(-result));
}

static void keep_pace(struct ss_store *store)
{
	/* Relaxed: figures. A clear of nothing makes no update, so that writers are let go on when
	 * nothing moves. */
	uint64_t last = 0;

	for (unsigned i = 0; i < 64 && !ss_net_stopping(store->net); i++) {
		uint64_t seen = atomic_load_explicit(&store->watchers[ALL]->progress,
						     memory_order_relaxed);
		uint64_t written = atomic_load_explicit(&store->n_written, memory_order_relaxed);

		if (written < seen + BEHIND_MAX)
			return;
		if (seen == last && i > 32)
			break;
		last = seen;
		ss_sleep_us(100);
	}
	atomic_store_explicit(&store->n_written,
			      atomic_load_explicit(&store->watchers[ALL]->progress,
						   memory_order_relaxed),
			      memory_order_relaxed);
}

static void clear_one(struct ss_store *store, unsigned author, uint64_t *random)
{
	struct stasis_message *snapshot, *clear;

	snapshot = snap_message(store, (uint32_t)random_below(random, store->n_ids), author);
	clear = snapshot != NULL ? stasis_cache_clear_create(snapshot) : NULL;
	if (clear == NULL)
		ss_net_excused(store->net, "a clear", errno);
	else
		check_result("a clear", stasis_publish_take(store->things, clear));
	stasis_object_unref(snapshot);
}

/* What an author has put is there, or something later, unless others clear. */
static void check_get(struct ss_store *store, const char *id, unsigned author, uint64_t seq)
{
	struct stasis_message *snapshot = stasis_cache_get(store->cache, snap_type, id);
	const struct snap *snap;

	if (snapshot == NULL)
		return;
	snap = stasis_message_data(snapshot);
	ss_check(strcmp(snap->id, id) == 0 && !ss_plant_now(SS_PLANT_GET),
		 "cache: id %s is got for %s", snap->id, id);
	ss_check(snap->author != author || snap->seq >= seq,
		 "cache: id %s is older than what was put", id);
	stasis_object_unref(snapshot);
}

void ss_store_write(struct ss_store *store, unsigned author, uint64_t *random)
{
	struct stasis_topic *topic = random_below(random, 4) == 0 ? store->far : store->things;
	size_t wanted = 1 + random_below(random, random_below(random, 8) == 0 ? PUT_MAX : 1);
	struct stasis_message *messages[PUT_MAX];
	uint32_t number = 0;
	uint64_t seq = 0;
	size_t n = 0;
	char id[16];
	int result;

	keep_pace(store);
	if (random_below(random, 8) == 0) {
		clear_one(store, author, random);
		return;
	}
	for (; n < wanted; n++) {
		number = (uint32_t)random_below(random, store->n_ids);
		messages[n] = snap_message(store, number, author);
		if (messages[n] == NULL) {
			ss_net_excused(store->net, "a snapshot", errno);
			break;
		}
		seq = store->seqs[author];
		snprintf(id, sizeof(id), "%u", number);
	}
	if (n == 0)
		return;
	result = n > 1 ? stasis_publish_batch(topic, messages, n) :
			 stasis_publish_take(topic, messages[0]);
	check_result("a snapshot", result);
	atomic_fetch_add_explicit(&store->n_written, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&store->net->n_published, n, memory_order_relaxed);
	/* One that was refused may not have been cached. */
	if (result == 0)
		check_get(store, id, author, seq);
}

void ss_store_read(struct ss_store *store, unsigned author, uint64_t *random)
{
	bool *found;
	struct stasis_message **dump;
	char id[16];
	size_t n;

	for (int i = 0; i < 64; i++) {
		snprintf(id, sizeof(id), "%u", (unsigned)random_below(random, store->n_ids));
		/* Nobody puts anything in a reader's name: only the id is looked at. */
		check_get(store, id, author, 0);
	}
	dump = stasis_cache_dump(store->cache, random_below(random, 2) == 0 ? snap_type : NULL, &n);
	if (dump == NULL) {
		ss_net_excused(store->net, "a dump", errno);
		return;
	}
	found = ss_alloc(store->n_ids * sizeof(*found));
	for (size_t i = 0; i < n; i++) {
		const struct snap *snap = stasis_message_data(dump[i]);

		ss_check(!found[snap->number] && !ss_plant_now(SS_PLANT_DUMP),
			 "cache: id %u is twice in a dump", snap->number);
		found[snap->number] = true;
	}
	ss_free(found);
	stasis_cache_dump_free(dump, n);
	/* Writers need some CPU, too. */
	sched_yield();
}

static void keep_failed(struct ss_store *store, struct watcher *watcher)
{
	/* What it was given comes before its final message: it may not be freed before the end. */
	pthread_mutex_lock(&store->lock);
	if (store->n_failed < sizeof(store->failed) / sizeof(store->failed[0]))
		store->failed[store->n_failed++] = watcher;
	pthread_mutex_unlock(&store->lock);
}

void ss_store_visit(struct ss_store *store, uint64_t *random)
{
	struct watcher *watcher = watcher_new(store, "visitor");
	struct stasis_subscribe_options options = {
		.executor =
			store->net->executors[random_below(random, 4) == 0 ? STASIS_WAIT_INLINE :
									     STASIS_WAIT_SPIN_PARK],
	};

	watcher->stated = random_below(random, 4) > 0;
	if (watcher->stated)
		watcher->sub = stasis_caching_subscribe_with_state(store->caching, watch, watcher,
								   &options);
	else
		watcher->sub = stasis_subscribe_with(stasis_caching_get_topic(store->caching),
						     watch, watcher, &options);
	if (watcher->sub == NULL) {
		ss_net_excused(store->net, "subscribing to updates", errno);
		keep_failed(store, watcher);
		return;
	}
	ss_sleep_us(random_below(random, 3000));
	stasis_unsubscribe_and_join(stasis_object_ref(watcher->sub));
	watcher_check(watcher, watcher->sub);
	stasis_object_unref(watcher->sub);
	watcher_free(watcher);
}

uint64_t ss_store_updates(const struct ss_store *store)
{
	return atomic_load_explicit(&store->watchers[ALL]->progress, memory_order_relaxed);
}

/* --- beginning and end --- */

struct ss_store *ss_store_open(struct ss_net *net, uint64_t *random)
{
	struct ss_store *store = ss_alloc(sizeof(*store));

	pthread_once(&snap_once, make_type);
	store->net = net;
	store->n_ids = random_below(random, 2) == 0 ? IDS_FEW : IDS_MANY;
	store->seqs = ss_alloc(net->n_authors * sizeof(*store->seqs));
	pthread_mutex_init(&store->lock, NULL);
	store->far = stasis_topic_create("far");
	store->things = stasis_topic_create("things");
	store->all = stasis_topic_create("all");
	store->cache = stasis_cache_create(snap_id);
	store->caching = stasis_caching_topic_create(store->things, store->cache);
	if (store->far == NULL || store->all == NULL || store->caching == NULL)
		ss_die("cannot make a cache: %s", strerror(errno));
	store->to_things = stasis_forward_all(store->far, store->things);
	store->to_all = stasis_forward_all(stasis_caching_get_topic(store->caching), store->all);
	if (store->to_things == NULL || store->to_all == NULL)
		ss_die("cannot forward: %s", strerror(errno));
	for (int i = 0; i < N_WATCHERS; i++)
		watcher_open(store, i);
	return store;
}

void ss_store_end(struct ss_store *store)
{
	for (int i = 0; i < N_WATCHERS; i++)
		stasis_unsubscribe_and_join(stasis_object_ref(store->watchers[i]->sub));
}

/* What a watcher has seen last is what the cache has. */
static void check_last(struct ss_store *store, const struct watcher *watcher)
{
	size_t n, n_there = 0;
	struct stasis_message **dump = stasis_cache_dump(store->cache, NULL, &n);

	if (dump == NULL)
		ss_die("no memory for a dump");
	for (uint32_t i = 0; i < store->n_ids; i++)
		n_there += watcher->last[i] != 0;
	ss_check(n_there == n, "chain: %s: %zu snapshots, the cache has %zu", watcher->name,
		 n_there, n);
	for (size_t i = 0; i < n; i++) {
		const struct snap *snap = stasis_message_data(dump[i]);

		ss_check(watcher->last[snap->number] == key_of(dump[i]),
			 "chain: %s: id %u is not what the cache has", watcher->name, snap->number);
	}
	stasis_cache_dump_free(dump, n);
}

static void check_watchers(struct ss_store *store)
{
	uint64_t n_updates = store->watchers[FIRST]->n_updates;

	for (int i = 0; i < N_WATCHERS; i++) {
		struct watcher *watcher = store->watchers[i];
		struct stasis_stats stats = { 0 };

		watcher_check(watcher, watcher->sub);
		stasis_stats_read(watcher->sub, &stats);
		if (!store->net->starved)
			ss_check(watcher->n_updates + stats.dropped == n_updates,
				 "stats: %s: %llu updates and %llu dropped of %llu", watcher->name,
				 (unsigned long long)watcher->n_updates,
				 (unsigned long long)stats.dropped, (unsigned long long)n_updates);
		if (stats.dropped == 0)
			check_last(store, watcher);
	}
}

void ss_store_close(struct ss_store *store)
{
	check_watchers(store);
	for (int i = 0; i < N_WATCHERS; i++) {
		stasis_object_unref(store->watchers[i]->sub);
		watcher_free(store->watchers[i]);
	}
	for (unsigned i = 0; i < store->n_failed; i++)
		watcher_free(store->failed[i]);
	stasis_caching_unsubscribe_and_join(store->caching);
	stasis_forward_cancel(store->to_things);
	stasis_forward_cancel(store->to_all);
	stasis_object_unref(store->cache);
	stasis_object_unref(store->far);
	stasis_object_unref(store->things);
	stasis_object_unref(store->all);
	pthread_mutex_destroy(&store->lock);
	ss_free(store->seqs);
	ss_free(store);
}
