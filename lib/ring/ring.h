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
 *           claim:   if idle_at <= t, CAS idle_at to NONE; the winner must schedule the consumer.
 *                    If idle_at is TAKEN: settle, see "Take-over"
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
 *   A queue that evicts does not grow at all, and a full one makes room by giving up its
 *   oldest item: producers take from the consumer's end. So everybody takes by CAS on head, after
 *   reading the slot: if that was a slot of a later lap, head has moved, and the CAS fails. head
 *   never passes tail, for nobody takes from a slot that is not filled. The consumer rests at the
 *   head that he loads then. If head moves before idle_at is there, idle_at is behind head: all who
 *   have pushed what is in the queue may claim, being at or behind it; and tail equals idle_at only
 *   if head does.
 *
 * Take-over
 *   A producer that stops between reserve and fill leaves a hole, which the consumer cannot pass.
 *   When he has waited there for STI_RING_PATIENCE_NS he
 *     close    links a ring behind this one, unless there is one, and sets CLOSED: no slot of this
 *              ring is ever used again, so a late store does no harm, and tail stands still;
 *     publish  stores the address of the verdicts, one for each position from his own to tail, all
 *              UNDECIDED, and then TAKEN to idle_at;
 *     barrier  membarrier(2): each thread passes a full barrier;
 *     decide   looks at every slot, from the last to the first. If it is not filled, a CAS of the
 *              verdict from UNDECIDED to TAKEN decides that it never will be;
 *     go on    copies what is filled into a ring of his own, the remainder, which is closed (and
 *              FINAL, if this one was), takes that ring's place and leads to the next. The old ring
 *              is retired as if it had been emptied.
 *   A producer, having filled all the slots that he has reserved at once, looks at idle_at, as
 *   ever. TAKEN is less than anything that he compares it with, so finding out costs nothing more.
 *   Then, for each of his positions, from the first to the last, he sets the verdict from UNDECIDED
 *   to FILLED by a CAS, and when one is TAKEN he pushes that item, and those after it, once more.
 *   If the queue has ended or is full meanwhile, the push ends as a push does that comes then.
 *
 *   Either the consumer's look sees the slot filled, or the producer's load of idle_at sees TAKEN:
 *   the barrier was before the load, or after the store. So nobody leaves a slot behind that the
 *   other does not know of; where both know, the CAS has one winner.
 *
 *   What stays of a batch is its beginning. Let k come before m in it. If m is delivered because
 *   the consumer saw it filled, k was filled before it, and he looks at k later: k is delivered. If
 *   it is because the producer's CAS won at m, the producer had won at k, or k was seen filled.
 *
 *   An item that is pushed again is behind all that others have pushed meanwhile. Its own push has
 *   not returned, so nothing that its thread pushes later, and nothing that anybody pushes who
 *   knows of it, is ahead of it.
 *
 *   A bounded queue: the new ring's limit is the capacity less what is left before it, and grows
 *   with every item taken of that. A batch that goes in whole and was cut is forced in, for there
 *   was room for it. One that evicts: SHUT is set in head before the verdicts, and from then on the
 *   items of this ring are the consumer's alone; others evict from the new one. Until the remainder
 *   has been taken, that is not always the oldest, and if the remainder fills the capacity, or the
 *   consumer is just closing the ring, it is as at a hole.
 *
 *   Counting: positions count, whether items were delivered from them or not, so what has been
 *   pushed never goes back and has a meaning for who waits until the consumer is past it. How many
 *   of them were taken over is counted beside.
 *
 *   Without memory, or where the kernel has no membarrier or it is forbidden, the hole is waited
 *   for.
 *
 * If this thread stops
 *   after reserving            a hole: it holds up the consumer until he takes it over. Who would
 *                              evict is told, and refuses his message
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
 *   in a take-over             pushes go on, into the next ring; nobody takes
 *
 * A producer that stops between fill and claim delays nothing once another has pushed: any producer
 * may claim for an earlier position.
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
 *                                   and room is published (S7); take-over: after SHUT nobody evicts
 *   S6  store limit                 take, take-over -> S7
 *   S7  load ring->head, limit      push: sequentially consistent, so that one who has counted
 *                                   himself as waiting finds the room made at S5 or S6, or is found
 *                                   by the consumer, who looks after it
 *   R7  store-release takeover      take-over -> A9  the verdicts
 *   A9  load-acquire takeover       settle   <- R7, after it has seen TAKEN (S2, S3)
 *   S8  CAS a verdict               settle, take-over: one winner; what was filled before FILLED
 *                                   is seen by who finds it
 *   F1  slot (R1), then idle_at     fill     } for the compiler; for the processor F2 is there: one
 *   F2  TAKEN (S3), barrier, slots  take-over} of the two sees what the other stored
 * Linearization: push at S1, at its last one if it is pushed again; a take stops at the first slot
 *           not yet filled. A push that finds the queue full: at S7, since tail is the same before
 *           and after. evict: at S5, and the queue is full then, since head is as it was before
 *           tail was loaded; or it was when limit was loaded, where a remainder is left before.
 * Progress: push is lock-free (a failed CAS means that another push succeeded, and who pushes again
 *           does so because the consumer has gone on); take is wait-free, and so is rest, but for a
 *           take-over, whose CAS on tail fails when another push succeeds, which the ring's size
 *           bounds. evict, and take_one of a queue that evicts, are lock-free: a failed CAS
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

/* idle_at: where the consumer rests, plus 1; or one of these. */
#define STI_RING_IDLE_NONE UINT64_MAX
#define STI_RING_IDLE_TAKEN UINT64_C(0)

/* In head: no longer for those who evict. */
#define STI_RING_SHUT (UINT64_C(1) << 63)

#define STI_RING_ORDER_MIN 3u  /* 8 slots: one line */
#define STI_RING_ORDER_MAX 24u /* 128 MiB */
/* Growth multiplies by 4 up to this order; beyond it, further rings of the same size are linked. */
#define STI_RING_ORDER_GROW_MAX 18u

/* An unbounded queue goes on with no larger ring than that after a take-over: a larger one takes
 * too long to make. */
#define STI_RING_ORDER_BEHIND_MAX 12u

/* So long the consumer waits at a hole. A bounded queue needs a ring of its own size to go on, and
 * waits as long again for each 2^16 slots of it. */
#define STI_RING_PATIENCE_NS 50000u
#define STI_RING_PATIENCE_ORDER 16u

/* How many slots ahead of a push its line is fetched for writing. */
#define STI_RING_PREFETCH 24u

/* What became of the positions that were taken over at once. Made with CLOSED set, so that there
 * are no more of them; freed a grace period after the ring was left. */
struct sti_takeover {
	struct sti_rcu_head rcu;
	uint64_t first;
	uint64_t n;
	_Atomic uint8_t verdicts[];
};

/* A position is decided once, from UNDECIDED. */
enum sti_verdict {
	STI_VERDICT_UNDECIDED,
	STI_VERDICT_FILLED, /* by its producer: the consumer delivers it */
	STI_VERDICT_TAKEN,  /* by the consumer: the producer pushes it again */
};

struct sti_ring {
	/* any thread: atomic. The consumer comes here only to rest. */
	alignas(STI_CACHELINE) _Atomic uint64_t tail;
	_Atomic uint64_t head_cache; /* a head seen by some producer; never ahead of head */
	_Atomic uint64_t idle_at;
	_Atomic(struct sti_ring *) next;
	_Atomic(struct sti_takeover *) takeover; /* set before idle_at is TAKEN */
	/* const after init; once for each side: the consumer must not touch the producers' line */
	uint64_t mask;
	uint32_t order;
	uint32_t capacity; /* 0: not bounded */
	/* atomic: set by the consumer, in a ring that follows another */
	_Atomic uint64_t limit;

	/* consumer only; producers read it once a lap, and take from a queue that evicts */
	alignas(STI_CACHELINE) _Atomic uint64_t head;
	/* set before it becomes head->ring: pushes into the rings before this one, and how many of
	 * them were taken over */
	uint64_t base;
	uint64_t skipped;
	uint32_t skipping; /* of a remainder: taken over where it comes from, and not in skipped */
	uint8_t take_order;
	bool embedded; /* part of something else: freed with it, not here */
	bool evicts;   /* head may move without the consumer */
	bool lends;    /* a remainder of a bounded queue: room here is room in the next ring */
	uint64_t take_mask;
	union {
		/* the consumer's, while he is here: the hole that he waits at, and since when */
		struct {
			uint64_t hole;
			uint64_t hole_tick; /* 0: none */
		};
		/* afterwards: to free it */
		struct sti_rcu_head rcu;
	};

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
	uint64_t pos; /* next position to take in ring; of a ring that evicts: not used */
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

/* Pushes n items in order; *pushedp says how many went in before a refusal. Of a WHOLE batch that
 * is none, or all unless the queue ends or memory runs out in the middle of a take-over. */
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

/* Positions ever reserved: items pushed, and those whose place was taken over. Never goes back.
 * Every push that happens before the call is counted. This and the next: any thread, inside an RCU
 * read section. */
uint64_t sti_mpsc_pushed(const struct sti_mpsc_head *head);

/* Of these, how many the consumer has taken, or has gone past, or producers have evicted:
 * what was pushed before has been taken, too. Nothing beyond the ring he is at is counted. */
uint64_t sti_mpsc_taken(const struct sti_mpsc_head *head);

/* Of these, places taken over: all of them, and those among what sti_mpsc_taken() counts. */
uint64_t sti_mpsc_taken_over(const struct sti_mpsc_head *head);
uint64_t sti_mpsc_skipped(const struct sti_mpsc_head *head);

/* Items queued now: pushed, and neither taken nor evicted. Any thread, inside an RCU read section.
 * Exact while nobody pushes or takes; else what is taken during the call may be missing, so it is
 * never more than a capacity that no forced push has exceeded. */
uint64_t sti_mpsc_depth(const struct sti_mpsc_head *head);

/* So long consumers wait at a hole before they take it over, in nanoseconds; UINT64_MAX: for ever.
 * For tests. */
void sti_ring_set_patience(uint64_t ns);

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

/* Does the consumer rest, and is nothing in the ring, by these two words of it? */
static inline bool sti_ring_is_at_rest(uint64_t idle_at, uint64_t tail_word)
{
	return idle_at != STI_RING_IDLE_NONE && idle_at != STI_RING_IDLE_TAKEN &&
	       tail_word == (idle_at - 1) << STI_RING_POS_SHIFT;
}

enum sti_push sti_ring_claim(struct sti_ring *ring, uint64_t idle_at);

/* Becomes responsible for the consumer if it rests at or before pos. */
static inline enum sti_push sti_ring_wake(struct sti_ring *ring, uint64_t pos)
{
	/* S2: after the push (S1) in the single order; pairs with S3 in sti_mpsc_rest(). */
	uint64_t idle_at = atomic_load_explicit(&ring->idle_at, memory_order_seq_cst);

	return sti_likely(idle_at > pos + 1) ? STI_PUSH_OK : sti_ring_claim(ring, idle_at);
}

enum sti_push sti_ring_put_slow(struct sti_mpsc_tail *tail, struct sti_ring *ring, uint64_t pos,
				void *item, uint64_t idle_at);

/* The second half of a push: fills the position that has been reserved. */
static inline enum sti_push sti_ring_put(struct sti_mpsc_tail *tail, struct sti_ring *ring,
					 uint64_t pos, void *item)
{
	uint64_t idle_at;

	sti_ring_fill(ring, pos, item);
	if ((pos & 7) == 0)
		sti_prefetch_write(&ring->slots[(pos + STI_RING_PREFETCH) & ring->mask]);
	/* F1: the compiler, too, leaves the store before the load; for the processor the consumer
	 * sees to it, by F2 in sti_ring_take_over(). */
	atomic_signal_fence(memory_order_seq_cst);
	/* S2: as in sti_ring_wake(). */
	idle_at = atomic_load_explicit(&ring->idle_at, memory_order_seq_cst);
	return sti_likely(idle_at > pos + 1) ? STI_PUSH_OK :
					       sti_ring_put_slow(tail, ring, pos, item, idle_at);
}

/* The first half of a push, where nothing stands in its way. False: the ring is closed or looks
 * full. */
static inline bool sti_ring_reserve(struct sti_ring *ring, uint64_t *posp)
{
	for (;;) {
		/* Relaxed: only the CAS decides. */
		uint64_t word = atomic_load_explicit(&ring->tail, memory_order_relaxed);

		*posp = sti_ring_pos(word);
		/* A5: slots below head_cache have been read by the consumer; pairs with R5. The
		 * limit relaxed: an old one is less, and then sti_mpsc_push_n() looks. */
		if (sti_unlikely(
			    (word & STI_RING_CLOSED) ||
			    *posp - atomic_load_explicit(&ring->head_cache, memory_order_acquire) >=
				    atomic_load_explicit(&ring->limit, memory_order_relaxed)))
			return false;
		/* S1: pairs with S3 in sti_mpsc_rest(). */
		if (sti_likely(atomic_compare_exchange_weak_explicit(
			    &ring->tail, &word, word + STI_RING_ONE, memory_order_seq_cst,
			    memory_order_relaxed)))
			return true;
		sti_backoff();
	}
}

/* Pushes one item, whose address has bit 0 clear. Inside an RCU read section. */
static inline enum sti_push sti_mpsc_push(struct sti_mpsc_tail *tail, void *item)
{
	/* A4: the ring is initialized; pairs with R4 in sti_ring_follow() and sti_mpsc_init(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);
	uint64_t pos;
	size_t pushed;

	if (sti_unlikely(!sti_ring_reserve(ring, &pos)))
		return sti_mpsc_push_n(tail, &item, 1, STI_MPSC_FIT, &pushed);
	return sti_ring_put(tail, ring, pos, item);
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

/* --- between the files of this folder --- */

/* What the rings of a queue have in common. */
struct sti_ring_shape {
	unsigned order;
	uint32_t capacity; /* 0: not bounded */
	bool evicts;
};

/* NULL: no memory. */
struct sti_ring *sti_ring_new(const struct sti_ring_shape *shape, uint64_t limit);

/* At once, and once everybody has gone who may be looking at it. Not if it is embedded. */
void sti_ring_free(struct sti_ring *ring);
void sti_ring_retire(struct sti_ring *ring);

/* Links a fresh ring, unless there is one already. Returns the next ring. */
struct sti_ring *sti_ring_link(struct sti_ring *ring, struct sti_ring *fresh);

/* The ring after a closed one. Moves the queue's ring pointer along, if it is still here. */
struct sti_ring *sti_ring_follow(struct sti_mpsc_tail *tail, struct sti_ring *ring);

/* Room in the next ring of a bounded queue, if so many items are left before it. */
void sti_ring_lend(struct sti_ring *next, uint64_t left);

/* The consumer has found the position at which he is reserved and not filled. True: it was taken
 * over, he is at another ring, and there may be something to take. */
bool sti_ring_wait_at_hole(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head,
			   struct sti_ring *ring, uint64_t pos);

/* The producer's part of it: n positions have been filled, and idle_at is TAKEN. How many of them
 * stay; the others are to be pushed again. */
uint64_t sti_ring_settle(struct sti_ring *ring, uint64_t pos, uint64_t n);

#endif
