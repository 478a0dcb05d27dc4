/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_NET_H
#define SS_NET_H

/* net.h — what a round is played on: topics, forwards, executors and stations, drawn from a seed
 *
 * A shape says what there is to draw from; a net is one draw. What is here stays for the whole
 * round, and for that exact statements can be made about all of it (ledger.h). What comes and goes
 * meanwhile is the roles' business (role.h): their subscriptions come to these topics, and their
 * forwards lead from these topics to topics of their own, so that the number of paths between any
 * two of these is the same all the time.
 *
 * A station is a subscription, or a router, that is there before the first message and after the
 * last. Its callback may do mischief: sleep, publish, unsubscribe others' (station.h).
 *
 * Life: ss_net_open(), then threads, and when they have ended ss_net_close(), which checks all.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <stasis/stasis.h>

#include "ledger.h"

enum ss_role_kind {
	SS_ROLE_PUBLISHER,
	SS_ROLE_VISITOR, /* subscribes, unsubscribes, joins */
	SS_ROLE_JOINER,
	SS_ROLE_SYNC,
	SS_ROLE_FORWARDER,
	SS_ROLE_FILTERER,
	SS_ROLE_EXECUTIVE, /* makes executors, drains them and shuts them down */
	SS_ROLE_WRITER,	   /* of snapshots */
	SS_ROLE_READER,
	SS_ROLE_STATIST, /* subscribes with the state */
	SS_ROLE_N,
};

enum ss_graph {
	SS_GRAPH_NONE,
	SS_GRAPH_CHAIN,
	SS_GRAPH_DIAMOND,
	SS_GRAPH_TREE, /* all lead to the last */
	SS_GRAPH_RANDOM,
};

/* Bits of a shape: what its stations are. */
enum {
	SS_WITH_POLICIES = 1,
	SS_WITH_ROUTERS = 2,
	SS_WITH_FILTERS = 4,
	SS_WITH_ECHOES = 8, /* callbacks that publish */
	SS_WITH_SYNC = 16,  /* callbacks that publish synchronously */
	SS_WITH_CACHE = 32,
	SS_WITH_EXECUTORS = 64, /* of every kind */
};

struct ss_shape {
	const char *name, *doc;
	uint8_t topics_min, topics_max;
	uint8_t stations_max; /* per topic */
	enum ss_graph graph;
	unsigned with;
	uint8_t weights[SS_ROLE_N]; /* of the threads */
};

extern const struct ss_shape ss_shapes[];
extern const unsigned ss_n_shapes;
const struct ss_shape *ss_shape_find(const char *name);

#define SS_STATIONS_MAX 48u
#define SS_FORWARDS_MAX 128u
#define SS_SHARES 16u

enum {
	SS_EXECUTORS = STASIS_WAIT_INLINE + 1
};

struct ss_net;
struct ss_store;

/* Mischief that a callback is to do next. */
enum ss_mischief {
	SS_MISCHIEF_NONE,
	SS_MISCHIEF_SLEEP, /* for as many microseconds as say the bits above */
	SS_MISCHIEF_RECURSE,
	SS_MISCHIEF_SYNC,
	SS_MISCHIEF_COME_AND_GO,
};
#define SS_MISCHIEF_SHIFT 8

struct ss_route {
	struct ss_station *station;
	int kind; /* -1: any */
};

struct ss_station {
	struct ss_net *net;
	unsigned index;
	unsigned topic;
	struct ss_view *view;
	struct stasis_subscription *sub; /* NULL: it is a router */
	struct stasis_message_router *router;
	_Atomic(struct stasis_subscription *) seen; /* the router's, from its first callback */
	struct ss_route routes[SS_KINDS + 2];	    /* of a kind each, any, and the default */
	struct stasis_subscribe_options options;
	unsigned executor;
	bool echoes, syncs;
	bool filtered; /* somebody changes its filter, or its routes */
	unsigned author;
	uint64_t random; /* the callbacks' own */
	_Atomic uint64_t mischief;
	/* congestion: its calls only */
	_Atomic int telling;
	bool congested;
};

struct ss_ended {
	struct ss_ended *next;
	struct stasis_subscription *sub;
};

struct ss_net {
	/* const while threads run */
	const struct ss_shape *shape;
	uint64_t seed;
	unsigned n_threads;
	bool scarce;  /* small queues, small batches */
	bool starved; /* memory may fail */
	unsigned n_topics;
	struct stasis_topic *topics[SS_TOPICS_MAX];
	uint16_t paths[SS_TOPICS_MAX][SS_TOPICS_MAX]; /* [to][from] */
	unsigned n_forwards;
	struct stasis_forward *forwards[SS_FORWARDS_MAX];
	struct stasis_executor *executors[SS_EXECUTORS];
	unsigned n_stations;
	struct ss_station stations[SS_STATIONS_MAX];
	unsigned n_authors; /* threads, stations, and one who closes */
	struct ss_author *authors;
	struct ss_store *store; /* NULL: no cache */

	pthread_t loop; /* runs the MANUAL executor */
	_Atomic bool loop_stop;
	_Atomic bool stop; /* relaxed: the threads shall end */

	_Atomic uint64_t n_published; /* relaxed, all that follow: figures */
	_Atomic uint64_t n_refused;   /* what publishers were told */
	/* Subscriptions that have ended, kept until nobody publishes any more: a publisher counts
	 * what a subscription refused when that may be done already. */
	_Atomic(struct ss_ended *) ended;
	_Atomic unsigned n_manual;    /* executors that threads have made */
	_Atomic bool changes_dropped; /* by one that is not selective */
	_Atomic bool untold;	      /* a result was -ETIMEDOUT, and not how many refused */

	/* Subscriptions that joiners may join. */
	pthread_mutex_t share_lock;
	struct ss_share {
		struct stasis_subscription *sub;
		struct ss_view *view;
	} shares[SS_SHARES];
};

static inline bool ss_net_stopping(const struct ss_net *net)
{
	/* Relaxed: it orders nothing; whoever needs order joins. */
	return atomic_load_explicit(&net->stop, memory_order_relaxed);
}

struct ss_net *ss_net_open(const struct ss_shape *shape, uint64_t seed, unsigned n_threads,
			   bool scarce, bool starved);

/* Ends everything and checks it. */
void ss_net_close(struct ss_net *net);

/* Where a subscription to a topic stands. */
struct ss_place ss_net_place(const struct ss_net *net, unsigned topic);

/* May a subscription with this policy, and a capacity, drop anything while there is memory? */
bool ss_net_may_drop(const struct ss_net *net, enum stasis_overflow overflow);

/* Does anything reach a topic by several paths? */
bool ss_net_is_manifold(const struct ss_net *net, unsigned topic);

/* Publishes n messages, in one of the ways there are; depth: inside how many callbacks. n: 16 at
 * most. Returns how many were published. */
#define SS_BATCH_MAX 16u
unsigned ss_net_publish(struct ss_net *net, unsigned author, unsigned topic, unsigned n,
			unsigned depth, uint64_t *random);

/* Publishes synchronously to a station. */
void ss_net_publish_sync(struct ss_net *net, unsigned author, struct ss_station *station,
			 unsigned depth, uint64_t *random);

/* Reads what a subscription that is done has counted. counts: it drops nothing but messages, and so
 * is part of the sum of all that was refused. */
void ss_net_account(struct ss_net *net, struct stasis_subscription *sub, bool counts,
		    struct stasis_stats *stats);

/* What those have refused; nobody publishes any more. */
uint64_t ss_net_sum_refused(struct ss_net *net);

/* Was it for want of memory? Anything else is a violation. */
bool ss_net_excused(const struct ss_net *net, const char *what, int error);

#endif
