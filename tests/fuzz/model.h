/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_FUZZ_MODEL_H
#define STASIS_FUZZ_MODEL_H

/* model.h — what the bus is to do, said once more, for one thread and by plain lists
 *
 * Written after the public headers, not after the library: no rings, no arrays that are replaced,
 * no reference counts, no memory that runs out. A subscription is a list of what it is to be given;
 * a publish appends to lists; a delivery takes the first of one. Nothing here calls the library.
 *
 * Where the headers leave a choice the model leaves it too: who of several gets his turn first (it
 * is told what was delivered, and says whether that may be), the order of ids when a subscription
 * begins with the state of a cache (group), and what is lost when memory runs out (maybe, n_lost).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Types: those of the target's own, then the library's. */
enum {
	M_TYPES_OWN = 4,
	M_TYPE_BLOB = M_TYPES_OWN,
	M_TYPE_MULTI,
	M_TYPE_CHANGE,
	M_TYPE_UPDATE,
	M_TYPE_CLEAR,
	M_TYPE_SNAPSHOT,
	M_TYPES
};

#define M_TOPICS 24u
#define M_SUBS 24u
#define M_CACHINGS 8u
#define M_CHANNELS 4u
#define M_FORWARDS 24u
#define M_CACHES 4u
#define M_EXECUTORS 4u
/* Longer ids are not cached. */
#define M_ID_MAX ((size_t)1 << 20)

/* The values of a channel. Strings are the target's, and last. */
struct m_values {
	const char *uniqueid, *name;
	unsigned state;
	const char *texts[8]; /* caller's, connected one's name and number; account ... exten */
	int priority, hangupcause;
};

struct m_topic;

struct m_message {
	unsigned type;
	const void *handle; /* the library's; NULL: it made it by itself */
	const char *id;	    /* of a snapshot; NULL: none */
	/* M_TYPE_CHANGE */
	const struct m_topic *topic;
	const char *uniqueid;
	bool leaves;
	/* M_TYPE_UPDATE: type of the snapshots; a clear: what it clears, in old */
	unsigned inner;
	const struct m_message *old, *new;
	/* M_TYPE_SNAPSHOT */
	struct m_values values;
	char text[24];		 /* room for a name that is to last */
	struct m_message *chain; /* all there are */
};

struct m_item {
	const struct m_message *message;
	unsigned group; /* not 0: neighbours of one group come in any order */
	bool sync;	/* somebody waits for it */
	bool maybe;	/* it may be lost */
};

enum m_policy { M_GROW, M_BLOCK, M_NEWEST, M_OLDEST, M_REJECT };

struct m_executor {
	bool used, closed;
	uint64_t delivered; /* a router's deliveries without a route are not known here */
	unsigned n_subs;    /* that are not done; of those with routers it is not known */
	bool routed;	    /* a router is or was its */
};

struct m_route {
	bool set;
	unsigned number;
};

struct m_sub {
	/* const after subscribing */
	bool used;
	struct m_topic *topic;
	struct m_executor *executor;
	enum m_policy policy;
	size_t capacity; /* 0: none that limits */
	size_t batch;
	size_t low, high;
	bool distinct;
	bool router;
	const char *uniqueid;
	/* what it accepts, by type */
	bool selective;
	bool accepts[M_TYPES];
	/* life */
	bool ended, done;
	struct m_item *items;
	size_t first, n, room;
	size_t depth;	   /* of items those that are there for sure, without the final one */
	uint64_t n_lost;   /* of those marked so many are not there */
	uint64_t pushed, delivered, refused, evicted;
	bool congested;
	uint64_t n_crossed; /* calls of on_congestion there must have been */
	/* router */
	struct m_route own[M_TYPES], updates[M_TYPES], fallback;
};

struct m_caching;

/* From a topic to another, or into a cache. */
struct m_forward {
	struct m_topic *from; /* NULL: it has ended */
	struct m_topic *to;
	struct m_caching *tap;
};

struct m_topic {
	bool used;
	const char *name;
	struct m_sub *subs[M_SUBS];
	size_t n_subs;
	struct m_forward *forwards[M_FORWARDS + M_CACHINGS + M_CHANNELS];
	size_t n_forwards;
	uint64_t published;
	bool was_distinct;
	unsigned mark;
};

struct m_entry {
	unsigned type;
	const char *id;
	const struct m_message *snapshot;
};

#define M_ENTRIES 64u

struct m_cache {
	bool channels; /* the library's own; else the target's ids */
	struct m_entry entries[M_ENTRIES];
	size_t n;
};

struct m_caching {
	bool used;
	struct m_cache *cache;
	struct m_topic *topic;
	struct m_forward forward;
};

/* A message of the model's, all zero; it lives until m_reset(). */
struct m_message *m_message_new(unsigned type);
void m_reset(void);

/* The place of a subscription that is to be has been filled in; its list is empty. Tells the
 * others. */
void m_subscribe(struct m_sub *sub);
/* Then, when it begins with what is in a cache. */
void m_state(struct m_sub *sub, const struct m_cache *cache);
void m_unsubscribe(struct m_sub *sub);
void m_sub_free(struct m_sub *sub);

/* All of them at once. The result of the publish. */
size_t m_publish(struct m_topic *topic, const struct m_message *const *messages, size_t n);
/* The message of a synchronous publish: to the subscription first. *ownp: has it taken it? */
size_t m_publish_sync(struct m_sub *sub, const struct m_message *message, bool *ownp);

/* While set, caches take nothing: memory has run out there. */
extern bool m_puts_fail;
/* While set, what is queued may be lost. */
extern bool m_may_lose;
/* Of those that somebody waits for, how many have made room for others. */
extern size_t m_sync_evicted;

bool m_wants(struct m_topic *topic, unsigned type);
size_t m_reach(struct m_topic *topic);
/* How many ways lead from a topic into caches; *tapp: the last of them. */
size_t m_taps(struct m_topic *topic, struct m_caching **tapp);
/* What such a cache would be given: the id, or NULL. */
const char *m_id(const struct m_cache *cache, const struct m_message *message, unsigned *typep);

/* Would a forward close a circle? */
bool m_leads_to(struct m_topic *from, const struct m_topic *to);
void m_forward(struct m_forward *forward, struct m_topic *from, struct m_topic *to,
	       struct m_caching *tap);
void m_forward_end(struct m_forward *forward);

/* The entry of a snapshot; NULL. */
struct m_entry *m_cache_find(struct m_cache *cache, unsigned type, const char *id);

/* Takes the first that a subscription is to be given, which the caller has compared. */
struct m_item m_take(struct m_sub *sub);
/* The route that a message takes; NULL: none. */
const struct m_route *m_route_of(const struct m_sub *sub, const struct m_message *message);

#endif
