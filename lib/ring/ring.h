/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_RING_RING_H
#define STI_RING_RING_H

/* ring/ring.h — the multi-producer single-consumer queue: a chain of ring buffers
 *
 * Shape
 *   A ring is an array of one-word slots, its size a power of two. Positions count up from 0 in
 *   every ring and are masked on access; at 4 per nanosecond they last a century. A slot holds the
 *   item's address and, in bit 0, the parity of the lap it was written in, so the consumer knows a
 *   filled slot from an old one without ever writing to it: slot lines travel one way only.
 *
 *   When a ring is full, a larger one is linked behind it and the old one is closed by a bit in its
 *   tail word. A closed ring never opens again, so what is in it was pushed before all that is in
 *   the next. The consumer empties it, moves on, and hands it to RCU.
 *
 * tail word
 *   bits 2..63  position of the next push
 *   bit 1       FINAL: the queue has ended with this ring; pushes are refused
 *   bit 0       CLOSED: nothing more is pushed into this ring. FINAL comes with CLOSED.
 *
 * Producer  reserve: CAS on tail, from position t to t + 1, while neither CLOSED nor full
 *           fill:    store the item in slot t
 *           claim:   if idle_at <= t, CAS idle_at to NONE; the winner must schedule the consumer
 *   full:     next is linked (CAS from NULL), then CLOSED is set, then the queue's ring pointer
 *             moves on. Every producer that finds the ring full does all three; no step waits.
 * Consumer  take:    read slots while their parity is this lap's; then publish head
 *           rest:    store idle_at = own position, look at tail again. If tail has not moved, the
 *                    consumer has let go: whoever pushes next becomes responsible. If it has, a
 *                    CAS on idle_at decides between the consumer and that producer.
 * Closer    set FINAL and CLOSED on the last ring, then claim as a producer does.
 *
 * A producer that stops between reserve and fill leaves a hole: the consumer cannot pass it, other
 * producers and other queues are not concerned. A producer that stops between fill and claim delays
 * nothing once another has pushed: any producer may claim for an earlier position.
 *
 * Threads: any number of threads push and close, inside an RCU read section; take and rest are for
 *          the one consumer (who that is passes from thread to thread by claims); rest inside an
 *          RCU read section.
 *
 * Edges
 *   R1  store-release slot          push     -> A1  the item's contents
 *   A1  load-acquire slot           take     <- R1
 *   R2  store-release ring->head    take     -> A2  the slots below head are read and may be reused
 *   A2  load-acquire ring->head     push     <- R2  (passed on between producers by R5 and A5)
 *   R3  CAS ring->next              grow     -> A3  the new ring is initialized
 *   A3  load-acquire ring->next     push, take <- R3
 *   R4  CAS queue->ring             grow, take -> A4
 *   A4  load-acquire queue->ring    push     <- R4
 *   R5  store-release head_cache    push     -> A5  what A2 saw
 *   A5  load-acquire head_cache     push     <- R5
 *   S1  CAS / fetch-or tail         push, close  } sequentially consistent: either S3 sees the new
 *   S2  load idle_at                claim        } tail or S2 sees idle_at; never neither. So no
 *   S3  store idle_at, load tail    rest         } push goes unnoticed.
 *   R6  store-release head->ring    take     -> A6
 *   A6  load-acquire head->ring     pushed   <- R6
 *   A7  load-acquire tail           pushed, is_closed: pushes that happened before are counted
 *   S4  CAS idle_at to NONE         claim, rest: one winner. It passes the consumer's private state
 *                                   from the one who rested (S3 releases) to the one who claimed.
 * Linearization: push at S1; a take stops at the first slot not yet filled.
 * Progress: push is lock-free (a failed CAS means that another push succeeded); take and rest are
 *           wait-free.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sync/backoff.h"
#include "sync/rcu.h"

#define STI_RING_CLOSED UINT64_C(1)
#define STI_RING_FINAL UINT64_C(2)
#define STI_RING_ENDED (STI_RING_CLOSED | STI_RING_FINAL)
#define STI_RING_POS_SHIFT 2
#define STI_RING_ONE (UINT64_C(1) << STI_RING_POS_SHIFT)

#define STI_RING_IDLE_NONE UINT64_MAX

#define STI_RING_ORDER_MIN 3u  /* 8 slots: one line */
#define STI_RING_ORDER_MAX 24u /* 128 MiB */
/* Growth multiplies by 4 up to this order; beyond it, further rings of the same size are linked. */
#define STI_RING_ORDER_GROW_MAX 18u

/* How many slots ahead of a push its line is fetched for writing. */
#define STI_RING_PREFETCH 24u

struct sti_ring {
	/* any thread: atomic. The consumer comes here only to rest. */
	alignas(STI_CACHELINE) _Atomic uint64_t tail;
	_Atomic uint64_t head_cache; /* a head seen by some producer; never ahead of head */
	_Atomic uint64_t idle_at;
	_Atomic(struct sti_ring *) next;
	/* const after init; once for each side: the consumer must not touch the producers' line */
	uint64_t mask;
	uint32_t order;

	/* consumer only; producers read it once a lap */
	alignas(STI_CACHELINE) _Atomic uint64_t head;
	uint64_t base; /* pushes into the rings before this one; set before it becomes head->ring */
	uint64_t take_mask;
	uint32_t take_order;
	uint32_t embedded; /* part of something else: freed with it, not here */
	struct sti_rcu_head rcu;

	alignas(STI_CACHELINE) _Atomic uintptr_t slots[];
};

/* The producers' end. Read by every push, written when the queue grows. */
struct sti_mpsc_tail {
	_Atomic(struct sti_ring *) ring;
};

/* The consumer's end. Only he writes; sti_mpsc_pushed() reads what is atomic. */
struct sti_mpsc_head {
	_Atomic(struct sti_ring *) ring;
	_Atomic uint64_t left; /* rings left behind: a figure */
	uint64_t pos;	       /* next position to take in ring */
};

/* What a push left to do and what became of it; bits. */
enum sti_push {
	STI_PUSH_OK = 0,
	STI_PUSH_WAKE = 1,   /* the caller must schedule the consumer */
	STI_PUSH_ENDED = 2,  /* refused: the queue has been closed */
	STI_PUSH_NOMEM = 4,  /* refused: full, and no memory to grow */
};

enum sti_rest {
	STI_REST_GONE,  /* let go; the caller is the consumer no longer and may touch nothing */
	STI_REST_MORE,  /* still the consumer: there is something to take */
	STI_REST_HOLE,  /* still the consumer: the next slot is reserved but not filled yet */
	STI_REST_FINAL, /* still the consumer: everything has been taken and the queue is closed */
};

/* The smallest ring, for embedding: it is not freed with the queue and must outlive it by a grace
 * period. */
#define STI_RING_MIN_SIZE (sizeof(struct sti_ring) + (sizeof(uintptr_t) << STI_RING_ORDER_MIN))

/* 0 or -ENOMEM. order is that of the first ring; embedded: memory for it, of
 * STI_RING_MIN_SIZE and aligned to a line, when order is the least; NULL: it is allocated. The
 * queue starts at rest: the first push says STI_PUSH_WAKE. */
int sti_mpsc_init(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, unsigned order,
		  void *embedded);

/* Frees the rings, at once: nobody may be inside a push. Items left in them are not looked at. */
void sti_mpsc_deinit(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head);

/* Pushes up to n items in order; *pushedp says how many went in before a refusal. */
enum sti_push sti_mpsc_push_n(struct sti_mpsc_tail *tail, void *const *items, size_t n,
			      size_t *pushedp);

/* Ends the queue: what is pushed later is refused. STI_PUSH_WAKE, STI_PUSH_ENDED (was closed
 * before) or STI_PUSH_OK. */
enum sti_push sti_mpsc_close(struct sti_mpsc_tail *tail);

/* Lets go of an empty queue, or says why not. */
enum sti_rest sti_mpsc_rest(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head);

/* Items ever pushed; any thread, inside an RCU read section. Every push that happens before the
 * call is counted. */
uint64_t sti_mpsc_pushed(const struct sti_mpsc_head *head);

/* Has the queue been ended? Any thread, inside an RCU read section. */
bool sti_mpsc_is_closed(const struct sti_mpsc_tail *tail);

static inline uint64_t sti_ring_pos(uint64_t tail_word)
{
	return tail_word >> STI_RING_POS_SHIFT;
}

/* The parity bit of position pos. The first lap's is 1: a zeroed slot is an empty one. */
static inline uintptr_t sti_ring_parity(uint32_t order, uint64_t pos)
{
	return (uintptr_t)((pos >> order) & 1) ^ 1;
}

static inline void sti_ring_fill(struct sti_ring *ring, uint64_t pos, void *item)
{
	/* R1: the item's contents before its address; pairs with A1 in sti_mpsc_take(). */
	atomic_store_explicit(&ring->slots[pos & ring->mask],
			      (uintptr_t)item | sti_ring_parity(ring->order, pos),
			      memory_order_release);
}

enum sti_push sti_ring_claim(struct sti_ring *ring, uint64_t idle_at);

/* Becomes responsible for the consumer if it rests at or before pos. */
static inline enum sti_push sti_ring_wake(struct sti_ring *ring, uint64_t pos)
{
	/* S2: after the push (S1) in the single order; pairs with S3 in sti_mpsc_rest(). */
	uint64_t idle_at = atomic_load_explicit(&ring->idle_at, memory_order_seq_cst);

	return sti_likely(idle_at > pos) ? STI_PUSH_OK : sti_ring_claim(ring, idle_at);
}

/* Pushes one item, whose address has bit 0 clear. Inside an RCU read section. */
static inline enum sti_push sti_mpsc_push(struct sti_mpsc_tail *tail, void *item)
{
	/* A4: the ring is initialized; pairs with R4 in sti_mpsc_grow() and sti_mpsc_init(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);
	uint64_t word, pos;
	size_t pushed;

	for (;;) {
		/* Relaxed: only the CAS decides. */
		word = atomic_load_explicit(&ring->tail, memory_order_relaxed);
		pos = sti_ring_pos(word);
		/* A5: slots below head_cache have been read by the consumer; pairs with R5. */
		if (sti_unlikely((word & STI_RING_CLOSED) ||
				 pos - atomic_load_explicit(&ring->head_cache,
							    memory_order_acquire) >
					 ring->mask))
			return sti_mpsc_push_n(tail, &item, 1, &pushed);
		/* S1: pairs with S3 in sti_mpsc_rest(). */
		if (sti_likely(atomic_compare_exchange_weak_explicit(
			    &ring->tail, &word, word + STI_RING_ONE, memory_order_seq_cst,
			    memory_order_relaxed)))
			break;
		sti_backoff();
	}

	sti_ring_fill(ring, pos, item);
	if ((pos & 7) == 0)
		sti_prefetch_write(&ring->slots[(pos + STI_RING_PREFETCH) & ring->mask]);
	return sti_ring_wake(ring, pos);
}

/* Takes up to max items that are filled and consecutive. */
static inline size_t sti_mpsc_take(struct sti_mpsc_head *head, void **items, size_t max)
{
	/* Relaxed: the consumer reads what he wrote; a claim (S4) ordered it when he changed. */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_relaxed);
	uint64_t mask = ring->take_mask;
	uint32_t order = ring->take_order;
	uint64_t pos = head->pos;
	size_t n = 0;

	while (n < max) {
		/* A1: the item's contents; pairs with R1 in sti_ring_fill(). */
		uintptr_t word = atomic_load_explicit(&ring->slots[pos & mask],
						      memory_order_acquire);

		if (((word ^ sti_ring_parity(order, pos)) & 1) != 0)
			break;
		items[n] = (void *)(word & ~(uintptr_t)1);
		sti_prefetch_read(items[n]);
		n++;
		pos++;
	}
	if (n > 0) {
		head->pos = pos;
		/* R2: the slots are read before they may be reused; pairs with A2 in push. */
		atomic_store_explicit(&ring->head, pos, memory_order_release);
	}
	return n;
}

#endif
