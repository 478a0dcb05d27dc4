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
 * Bounded queues
 *   A ring is full at its limit: for a queue without bounds that is its size, for a bounded one the
 *   capacity, which may be less. A bounded queue does not grow by itself: a push into a full one
 *   claims, for those who filled it may have stopped before they did, and is refused.
 *
 *   A forced push goes by the ring's size, and when that is used up links a further ring of the
 *   same order. Its limit is 0, so ordinary pushes find it full, until the consumer enters it:
 *   everything before it has been taken then, and the limit becomes the capacity. So an ordinary
 *   push never makes the whole queue longer than the capacity.
 *
 *   Whoever waits for room does: count himself as waiting, sequentially consistent; push once more;
 *   sleep on an event count whose value he read before that push. Room comes in two ways:
 *   sti_mpsc_take_one(), and a sti_mpsc_rest() that says MORE, for it may have entered a ring.
 *   After either the consumer looks, sequentially consistent, whether somebody waits.
 *
 *   A queue that evicts is a single ring for ever, and a full one makes room by giving up its
 *   oldest item: producers take from the consumer's end. So everybody takes by CAS on head, after
 *   reading the slot: if that was a slot of a later lap, head has moved, and the CAS fails. head
 *   never passes tail, for nobody takes from a slot that is not filled. The consumer rests at the
 *   head that he loads then. If head moves before idle_at is there, idle_at is behind head: all who
 *   have pushed what is in the queue may claim, being at or behind it; and tail equals idle_at only
 *   if head does.
 *
 * If this thread stops
 *   after reserving            a hole, see below. Who would evict is told, and refuses his message
 *   after filling              any later push claims, and so does one that finds the queue full
 *   after linking a ring       whoever finds the old ring full closes it; an ordinary push finds it
 *                              at its limit and is refused, as before
 *   after closing a ring       whoever follows claims and moves the queue's ring pointer
 *   after storing head_cache   nothing: it may go back, see ring_room()
 *   before a CAS on head       nothing: it fails if others have gone on
 *   after a CAS on head        it has one item, which it delivers or gives up late
 *   after publishing head      whoever waits for room sleeps, unless another push finds it first:
 *                              the consumer is stopped, and the queue with it
 *   after entering a ring,     ordinary pushes are refused: likewise
 *   before setting its limit
 *
 * A producer that stops between reserve and fill leaves a hole: the consumer cannot pass it, other
 * producers and other queues are not concerned. A producer that stops between fill and claim delays
 * nothing once another has pushed: any producer may claim for an earlier position.
 *
 * Threads: any number of threads push, evict and close, inside an RCU read section; take and rest
 *          are for the one consumer (who that is passes from thread to thread by claims); rest
 *          inside an RCU read section.
 *
 * Edges
 *   R1  store-release slot          push     -> A1  the item's contents
 *   A1  load-acquire slot           take     <- R1
 *   R2  store-release ring->head    take     -> A2  the slots below head are read and may be reused
 *   A2  load ring->head (S7)        push     <- R2, S5 (passed on between producers by R5 and A5)
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
 *   A7  load-acquire tail           pushed, depth, is_closed: pushes that happened before count
 *   A8  load-acquire ring->head     depth: what has been taken is below; after A7
 *                                   evict, take_one, rest <- S5: where a queue that evicts begins
 *   S4  CAS idle_at to NONE         claim, rest: one winner. It passes the consumer's private state
 *                                   from the one who rested (S3 releases) to the one who claimed.
 *   S5  store / CAS ring->head      take_one, evict: the slot is read before it may be reused (A2),
 *                                   and room is published (S7)
 *   S6  store limit                 take     -> S7
 *   S7  load ring->head, limit      push: sequentially consistent, so that one who has counted
 *                                   himself as waiting finds the room made at S5 or S6, or is found
 *                                   by the consumer, who looks after it
 * Linearization: push at S1; a take stops at the first slot not yet filled. A push that finds the
 *           queue full: at S7, since tail is the same before and after. evict: at S5, and the queue
 *           is full then, since head is as it was before tail was loaded.
 * Progress: push is lock-free (a failed CAS means that another push succeeded); take and rest are
 *           wait-free. evict, and take_one of a queue that evicts, are lock-free: a failed CAS
 *           means that another has taken the item.
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
	uint32_t capacity; /* 0: not bounded */
	/* atomic: set once, by the consumer, in a ring that a forced push has linked */
	_Atomic uint64_t limit;
	/* const after init */
	bool evicts;

	/* consumer only; producers read it once a lap, and take from a queue that evicts */
	alignas(STI_CACHELINE) _Atomic uint64_t head;
	uint64_t base; /* pushes into the rings before this one; set before it becomes head->ring */
	uint64_t take_mask;
	uint32_t take_order;
	bool embedded;	  /* part of something else: freed with it, not here */
	bool take_evicts; /* head may move without the consumer */
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
	uint64_t pos; /* next position to take in ring; of a queue that evicts: not used */
};

/* What a push left to do and what became of it; bits. */
enum sti_push {
	STI_PUSH_OK = 0,
	STI_PUSH_WAKE = 1,  /* the caller must schedule the consumer */
	STI_PUSH_ENDED = 2, /* refused: the queue has been closed */
	STI_PUSH_NOMEM = 4, /* refused: full, and no memory to grow */
	STI_PUSH_FULL = 8,  /* refused: bounded and full */
};

/* What a push into a bounded queue does if there is not room for all items. One without bounds
 * grows, whatever is asked for. */
enum sti_mpsc_how {
	STI_MPSC_FIT,	/* takes as many as there is room for */
	STI_MPSC_WHOLE, /* takes none */
	STI_MPSC_FORCE, /* grows: the queue gets longer than its capacity. Not if it evicts */
};

enum sti_evict {
	STI_EVICT_TAKEN, /* the oldest item is the caller's */
	STI_EVICT_ROOM,	 /* the queue is not full any more */
	STI_EVICT_HOLE,	 /* the oldest is reserved but not filled yet, and cannot be taken */
	STI_EVICT_ENDED, /* the queue has been closed: there is nothing to make room for */
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

/* Likewise for a queue that holds no more than capacity items, a power of two from 1 to 2^24: a
 * push into a full one is refused with STI_PUSH_FULL. evicts: sti_mpsc_evict() may be used, and
 * items are taken by sti_mpsc_take_one() alone. embedded, or NULL, serves for capacities up to the
 * size of the smallest ring; for a larger one memory is allocated. */
int sti_mpsc_init_bounded(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, uint64_t capacity,
			  bool evicts, void *embedded);

/* As if somebody had claimed the consumer already: no push says STI_PUSH_WAKE until he has rested.
 * Before anybody else knows the queue. */
void sti_mpsc_start_claimed(struct sti_mpsc_tail *tail);

/* For tests: a new queue's positions count from about pos, below it by less than two laps. Before
 * anybody else knows the queue. */
void sti_mpsc_start_at(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, uint64_t pos);

/* Frees the rings, at once: nobody may be inside a push. Items left in them are not looked at. */
void sti_mpsc_deinit(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head);

/* Pushes n items in order; *pushedp says how many went in before a refusal. */
enum sti_push sti_mpsc_push_n(struct sti_mpsc_tail *tail, void *const *items, size_t n,
			      enum sti_mpsc_how how, size_t *pushedp);

/* Ends the queue: what is pushed later is refused. STI_PUSH_WAKE, STI_PUSH_ENDED (was closed
 * before) or STI_PUSH_OK. */
enum sti_push sti_mpsc_close(struct sti_mpsc_tail *tail);

/* Takes one item from a bounded queue. False: nothing is there, or not yet, as sti_mpsc_rest() will
 * tell. The room is published in the order of all that is sequentially consistent: before a load
 * of that kind by which the consumer looks who waits for it. */
bool sti_mpsc_take_one(struct sti_mpsc_head *head, void **itemp);

/* Makes room in a queue that evicts, if it is full. Inside an RCU read section. Says nothing about
 * the consumer: the push that found the queue full did. */
enum sti_evict sti_mpsc_evict(struct sti_mpsc_tail *tail, void **itemp);

/* Lets go of an empty queue, or says why not. */
enum sti_rest sti_mpsc_rest(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head);

/* Items ever pushed; any thread, inside an RCU read section. Every push that happens before the
 * call is counted. */
uint64_t sti_mpsc_pushed(const struct sti_mpsc_head *head);

/* Items queued now: pushed, and neither taken nor evicted. Any thread, inside an RCU read section.
 * Exact while nobody pushes or takes; else what is taken during the call may be missing, so it is
 * never more than a capacity that no forced push has exceeded. */
uint64_t sti_mpsc_depth(const struct sti_mpsc_head *head);

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

/* Does position pos hold the item of its lap, by the word in its slot? */
static inline bool sti_ring_is_filled(uint32_t order, uint64_t pos, uintptr_t word)
{
	return ((word ^ sti_ring_parity(order, pos)) & 1) == 0;
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
		/* A5: slots below head_cache have been read by the consumer; pairs with R5. The
		 * limit relaxed: an old one is 0, and then sti_mpsc_push_n() looks. */
		if (sti_unlikely((word & STI_RING_CLOSED) ||
				 pos - atomic_load_explicit(&ring->head_cache,
							    memory_order_acquire) >=
					 atomic_load_explicit(&ring->limit, memory_order_relaxed)))
			return sti_mpsc_push_n(tail, &item, 1, STI_MPSC_FIT, &pushed);
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
