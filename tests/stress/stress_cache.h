/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_STRESS_CACHE_H
#define STASIS_TESTS_STRESS_CACHE_H

/* stress_cache.h — what the files of stress-cache share; what it does is said in stress-cache.c */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stasis/cache.h>

#include "stress_bus.h"

#define N_STORES 2u
#define N_MANY 4000u
#define N_FEW_MAX 4u
#define BEHIND_MAX 2000u /* updates that publishers may be ahead of subscriptions */
#define BATCH_MAX 6u
#define PLACES ((uint64_t)1 << 20) /* of a publisher's snapshots in their chains, remembered */
#define READS ((size_t)1 << 18)	   /* of a reader's, remembered */

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

extern struct cache_run {
	struct stasis_message_type *type;
	struct stasis_executor *executor, *inline_executor;
	struct stasis_executor *visitors; /* for those who come and go */
	struct stasis_topic *all;	  /* updates of both stores */
	struct watcher watcher;		  /* of all */
	struct store stores[N_STORES];
	struct reader *readers; /* per thread */
	uint32_t n_publishers;
	struct stress_balance snapshots;
	_Atomic uint64_t n_stated;
} cache_run;

/* --- snapshots: stress_cache_snap.c --- */

/* What caches ask: the id, or NULL. */
const char *snap_id(struct stasis_message *message);

struct stasis_message *snap_message(uint32_t store, uint32_t number, uint32_t publisher,
				    uint64_t seq);

/* Different for each snapshot that is put; 0: none. */
uint64_t snap_key(const struct stasis_message *snapshot);

/* Where its place in its chain is remembered. NULL: it is not. */
uint32_t *snap_place(uint32_t store, uint64_t key);

/* Ids that are never cleared. */
bool snap_is_permanent(uint32_t number);

/* What the cache has of an id: a reference, or NULL. */
struct stasis_message *snap_get(uint32_t s, uint32_t number);

/* --- those who are told: stress_cache_watch.c --- */

void view_open(struct view *view, uint32_t n_ids);

void watcher_close(struct watcher *watcher);

/* The callback; data is a struct watcher. */
void watcher_watch(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message);

/* --- what threads do: stress_cache_publish.c, stress_cache_read.c --- */

void publisher_thread(struct stress_thread *self);
void reader_thread(struct stress_thread *self);

/* Comes and goes, all the time. */
void visitor_thread(struct stress_thread *self);

/* --- what must hold in the end: stress_cache_check.c --- */

void store_check(uint32_t s);
void reader_check(const struct reader *reader);

#endif
