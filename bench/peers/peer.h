/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_PEER_H
#define SB_PEER_H

/* peer.h — what could be used instead of the library, as far as it is measured
 *
 * Peer    One library in one configuration. It says what it can do by the members that are not
 *         NULL; each stands for a kind of workload. All of a peer's measurements are the library's
 *         too, made and checked by the same code.
 * Rules   A subscriber's messages are consumed one at a time, and every subscriber gets every
 *         message of every publisher in that publisher's order. A message is allocated by its
 *         publish, and the payload copied into it once. Nothing is dropped: the harness's window
 *         is the only back pressure, and limits of the peer's own are lifted. A peer that cannot
 *         keep a promise fails the harness's checks, and is shown as failed.
 * Threads Consuming threads are started under sb_cpu_consumers(), see cpu.h.
 */

#include <stdint.h>

#include "harness.h"
#include "paced.h"

/* Request and reply between two threads: one server, one client. */
struct sb_call {
	/* Makes the server side, and the client that calls. 0 or -errno. */
	int (*open)(void **state);
	/* One request at a time, always on one thread. The reply is request + 1, made by the
	 * server; who calls checks it. 0 or -errno. */
	int (*call)(void *state, uint64_t request, uint64_t *reply);
	void (*close)(void *state);
};

/* Who comes to a topic, is published to, and goes. Relaxed throughout: these are counts and a mark,
 * looked at when nothing runs any more. */
struct sb_guest {
	_Atomic bool gone; /* no callback may run */
	_Atomic unsigned calls, late;
};

/* By its callbacks. */
static inline void sb_guest_call(struct sb_guest *guest)
{
	atomic_fetch_add_explicit(&guest->calls, 1, memory_order_relaxed);
	if (atomic_load_explicit(&guest->gone, memory_order_relaxed))
		atomic_fetch_add_explicit(&guest->late, 1, memory_order_relaxed);
}

/* Coming and going on a topic. */
struct sb_churn {
	/* A topic with so many subscribers that stay. 0 or -errno. */
	int (*open)(unsigned others, void **state);
	/* Subscribes, unsubscribes, and returns when no callback of it runs or will run. With a
	 * guest, which is then the subscriber, one message is published to the topic in between,
	 * and is under way when it goes: delivered to it or not, as the library has it, but to
	 * the others in any case. Always on one thread. 0 or -errno. */
	int (*cycle)(void *state, struct sb_guest *guest);
	void (*close)(void *state);
};

/* Subscribers that have nothing to do, for memory and idle CPU time. */
struct sb_stock {
	/* n of them, on a topic or an endpoint each. 0 or -errno. */
	int (*open)(unsigned n, void **state);
	void (*close)(void *state);
};

struct sb_peer {
	const char *name;	      /* for options: "zeromq-pubsub" */
	const char *title;	      /* for people: "ZeroMQ inproc PUB/SUB" */
	const char *(*version)(void); /* of the library that is loaded */
	const char *settings;	      /* how it is configured, and whose advice that is */
	/* NULL: it has nothing like it */
	const struct sb_engine *throughput;
	const struct sb_paced_subject *paced;
	const struct sb_call *call;
	const struct sb_churn *churn;
	const struct sb_stock *stock;
};

#endif
