/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_HARNESS_H
#define SB_HARNESS_H

/* harness.h — one run of one engine on one topology: publish, deliver, verify, time
 *
 * Engine     The thing measured: the library or a baseline. It makes its consuming threads in open,
 *            calls sb_deliver() once for every message and subscriber, and has delivered and freed
 *            everything when close returns.
 * Publisher  A thread that sends numbered messages in chunks.
 * Window     How many messages may be outstanding, that is, not yet delivered to every subscriber.
 *            A publisher reserves a chunk of positions in the run's sequence of messages and waits
 *            until all but a window of what lies before its end is delivered. It keeps what it has
 *            read of the subscribers' progress and looks again only when that is not enough.
 * Reader     A thread that gets snapshots out of a cache while publishers replace them, see
 *            reader.h. Where there are readers, their gets are counted, not deliveries.
 * Time       From a moment after the warm-up until everything that was published is delivered,
 *            counting deliveries.
 */

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "placement.h"
#include "subscriber.h"

/* Messages outstanding at most, all publishers together; less when there are many subscribers or
 * large payloads, see sb_window(). */
#define SB_WINDOW 65536u
#define SB_WINDOW_MIN 256u
#define SB_WINDOW_BYTES (UINT64_C(256) << 20)
#define SB_CHUNK_MAX 256u
#define SB_BATCH 64u

enum sb_mode {
	SB_MODE_TAKE,	   /* every message is made, published and given away */
	SB_MODE_REPUBLISH, /* one message again and again */
	SB_MODE_BATCH,	   /* as TAKE, SB_BATCH messages with one call */
};

struct sb_topology {
	unsigned publishers;
	unsigned subscribers;
	enum sb_mode mode;
	unsigned upstream; /* topics that forward to the one subscribed to; 0: publish to that */
	unsigned ids;	   /* published are snapshots with so many ids; 0: nothing is cached */
	unsigned readers;  /* of the cache; then there is one publisher */
};

/* Of all runs. */
struct sb_setup {
	double seconds; /* to measure */
	size_t payload;
	size_t window;
	unsigned threads; /* the library's workers */
	int wait;	  /* enum stasis_wait: what they do when they have nothing to do */
	double limit_s;	  /* for what is still to be delivered when the time is up; 0: 30 s */
};

struct sb_run;
struct sb_reader;

struct sb_publisher {
	/* publisher only; the rest when it has ended */
	alignas(STI_CACHELINE) uint64_t sequence; /* of the next message */
	uint64_t seen;	  /* delivered to every subscriber, as far as is known */
	uint64_t refused; /* publishes that did not reach every subscriber */
	/* const after init */
	struct sb_run *run;
	struct sb_stamp *payload; /* publisher only: what it points to */
	void *data;		  /* the engine's */
	pthread_t thread;
};

struct sb_engine {
	const char *name;
	const char *text; /* for people: what it is */
	bool may_stall;	  /* known not to get on when its threads outnumber the CPUs */
	uint32_t room;	  /* its queues take no more messages: a smaller window; 0: they grow */
	/* Makes what it needs; on failure it leaves nothing behind. 0 or -errno. */
	int (*open)(struct sb_run *run);
	/* Sends n messages (a multiple of SB_BATCH), each with payload->sequence counting on from
	 * publisher->sequence, which it advances; returns how many. Fewer than n: give up. */
	size_t (*publish)(struct sb_publisher *publisher, size_t n);
	/* Any thread; only engines with a cache: copies the stamp of an id's present snapshot.
	 * False: there is none. */
	bool (*get)(struct sb_run *run, uint32_t id, struct sb_stamp *stamp);
	/* The publishers have ended. */
	void (*close)(struct sb_run *run);
};

struct sb_run {
	/* const after init */
	const struct sb_engine *engine;
	struct sb_topology topology;
	struct sb_setup setup;
	uint64_t window;
	size_t chunk;
	struct sb_subscriber *subscribers;
	struct sb_publisher *publishers;
	struct sb_reader *readers;
	void *data;	 /* the engine's */
	uint64_t filled; /* published before the start, for readers */
	pthread_mutex_t start;

	/* any thread: atomic */
	alignas(STI_CACHELINE) _Atomic uint64_t granted; /* positions reserved */
	alignas(STI_CACHELINE) _Atomic bool stop;	 /* begin no further chunk */
	_Atomic bool abort;				 /* send nothing more at all */
	alignas(STI_CACHELINE) _Atomic unsigned running; /* publishers and readers */
};

enum sb_outcome {
	SB_OUTCOME_OK,
	SB_OUTCOME_STALLED, /* not everything was delivered in time */
	SB_OUTCOME_FAILED,  /* it could not run, or broke its promises: see text */
};

struct sb_sample {
	enum sb_outcome outcome;
	double rate; /* deliveries per second; with readers: gets */
	double seconds;
	uint64_t deliveries;
	double updates;	  /* published per second beside readers; 0: there are none */
	long preemptions; /* involuntary context switches of the process in that time */
	uint64_t cpu_ns;  /* its CPU time in that time */
	int error;	  /* -errno, if it could not run */
	double trip_before_ns, trip_after_ns;
	enum sb_placement placement;
	char text[160];
};

/* The window for a topology: setup->window deliveries queued in all, but room for SB_WINDOW_MIN
 * messages at least, and SB_WINDOW_BYTES of payload at most. */
uint64_t sb_window(const struct sb_topology *topology, const struct sb_setup *setup);

/* Always fills in sample. */
void sb_run_once(const struct sb_engine *engine, const struct sb_topology *topology,
		 const struct sb_setup *setup, struct sb_sample *sample);

static inline bool sb_run_aborted(const struct sb_run *run)
{
	/* Relaxed: a wish; nothing is read because of it. */
	return atomic_load_explicit(&run->abort, memory_order_relaxed);
}

#endif
