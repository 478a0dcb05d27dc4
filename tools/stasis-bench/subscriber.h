/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_SUBSCRIBER_H
#define SB_SUBSCRIBER_H

/* subscriber.h — what every callback does: checks the message and counts it
 *
 * The payload of every message begins with a stamp. Each subscriber expects from each publisher the
 * stamps 0, 1, 2, ... without exception, so a loss, a repetition or a change of order is found at
 * once; a mark that is set during the callback finds callbacks that overlap.
 *
 * Threads: sb_deliver() and the private fields are for the thread that runs the callback; which one
 *          that is may change if the engine orders the callbacks, which is its duty. Publishers
 *          read acked, the main thread count; the rest is read when everything has ended.
 */

#include <assert.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* The beginning of every payload. */
struct sb_stamp {
	uint32_t publisher;
	uint32_t flags; /* SB_STAMP_* */
	uint64_t sequence;
};

/* The same message again and again: only to be counted. */
#define SB_STAMP_REPEATED 1u
/* The bits from there on: the id, see ids.h. */
#define SB_STAMP_ID_SHIFT 8

#define SB_PAYLOAD_MIN sizeof(struct sb_stamp)

enum sb_fault {
	SB_FAULT_NONE,
	SB_FAULT_SEQUENCE,
	SB_FAULT_PUBLISHER,
	SB_FAULT_OVERLAP,
	SB_FAULT_CHAIN,
};

#define SB_PUBLISHERS_FEW 3u

/* All that a callback needs, where few publish, is in one line. */
struct sb_subscriber {
	/* callback only; count: any thread may read */
	alignas(STI_CACHELINE) _Atomic uint64_t count;
	_Atomic uint32_t busy;
	/* const after init */
	uint32_t n_publishers;
	uint64_t ack_mask;
	void *data;	/* the engine's */
	uint64_t *next; /* by publisher; what it points to: callback only */
	uint64_t next_few[SB_PUBLISHERS_FEW];

	/* callback writes, now and then; publishers read */
	alignas(STI_CACHELINE) _Atomic uint64_t acked;
	/* callback only, when something is wrong */
	enum sb_fault fault; /* the first */
	uint64_t expected;   /* what was expected there, and what came */
	uint64_t got;
	/* const after init */
	uint32_t index;
	/* who holds it, before the first message; then callback only */
	bool held;
	sem_t let_go;
};

static_assert(sizeof(void *) != 8 || offsetof(struct sb_subscriber, acked) == STI_CACHELINE,
	      "a callback's line");

/* acked follows count in steps of ack, a power of two. 0 or -ENOMEM. */
int sb_subscriber_init(struct sb_subscriber *sub, unsigned index, unsigned n_publishers,
		       uint64_t ack);
void sb_subscriber_deinit(struct sb_subscriber *sub);

/* Before the first message is published: the first callback will wait until it is let go, and what
 * is published meanwhile stays in the engine's queue. */
void sb_subscriber_hold(struct sb_subscriber *sub);
void sb_subscriber_let_go(struct sb_subscriber *sub);

/* Says in text what is wrong, given that so many messages were published; false: nothing is. */
bool sb_subscriber_failed(const struct sb_subscriber *sub, uint64_t published, char *text,
			  size_t size);

void sb_subscriber_fault(struct sb_subscriber *sub, enum sb_fault fault, uint64_t expected,
			 uint64_t got);

/* The rest of sb_deliver(), for a message that is not the one expected. */
void sb_deliver_wrong(struct sb_subscriber *sub, const struct sb_stamp *stamp);
/* All of it, when busy was set: by another callback, or because the subscriber is held. */
void sb_deliver_busy(struct sb_subscriber *sub, const struct sb_stamp *stamp);

/* Relaxed, all, here and in the next: one thread at a time writes; others take a hint from what
 * they read, or look when it has ended. */
static inline void sb_delivered(struct sb_subscriber *sub)
{
	uint64_t count = atomic_load_explicit(&sub->count, memory_order_relaxed) + 1;

	atomic_store_explicit(&sub->count, count, memory_order_relaxed);
	if ((count & sub->ack_mask) == 0)
		atomic_store_explicit(&sub->acked, count, memory_order_relaxed);
	atomic_store_explicit(&sub->busy, 0, memory_order_relaxed);
}

/* Checking must cost next to nothing: plain loads and stores, and calls only where nothing follows
 * them, so that a callback need not save registers. */
static inline void sb_deliver(struct sb_subscriber *sub, const struct sb_stamp *stamp)
{
	if (sti_unlikely(atomic_load_explicit(&sub->busy, memory_order_relaxed) != 0)) {
		sb_deliver_busy(sub, stamp);
		return;
	}
	atomic_store_explicit(&sub->busy, 1, memory_order_relaxed);
	if (sti_unlikely(stamp->publisher >= sub->n_publishers)) {
		sb_deliver_wrong(sub, stamp);
		return;
	}
	if (!(stamp->flags & SB_STAMP_REPEATED)) {
		if (sti_unlikely(stamp->sequence != sub->next[stamp->publisher])) {
			sb_deliver_wrong(sub, stamp);
			return;
		}
		sub->next[stamp->publisher] = stamp->sequence + 1;
	}
	sb_delivered(sub);
}

static inline uint64_t sb_subscriber_count(const struct sb_subscriber *sub)
{
	/* Relaxed: see sb_deliver(). */
	return atomic_load_explicit(&sub->count, memory_order_relaxed);
}

#endif
