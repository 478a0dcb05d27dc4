/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_RING_PROTOCOL_H
#define STI_RING_PROTOCOL_H

/* ring/protocol.h — how the multi-producer single-consumer queue works: a chain of ring buffers,
 * their words, and who does what with them. The operations are in ring.h.
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
 * Turns
 *   Two producers that push as fast as they can take the tail's line from each other at every push,
 *   and both wait for it more than they work. So a producer may mark, before he pushes, that it is
 *   his turn. Who finds another's mark looks away for some sti_backoff(), in which the other pushes
 *   on alone; then he marks the turn as his, whatever the other does. But only
 *     in a queue without bounds whose consumer is far behind: he has enough to do meanwhile;
 *     where he took his last turn, and no more than STI_TURN_FAR pushes ago: both push here, and
 *       all the time. Who comes now and then marks, and goes on;
 *     if it has not just been in vain: when the other has hardly pushed, the next STI_TURN_SKIPS of
 *       such marks are not waited for.
 *   Nothing depends on it: the mark is a hint, and a push looks away once. What is pushed meanwhile
 *   by the other comes first.
 *
 * Carry
 *   A producer that would find the consumer at rest, and run him, need not queue his item for that.
 *   If tail is where the consumer rests, and open, he claims without having pushed (S4), looks at
 *   tail once more, and hands the item over himself; it comes before all that is in the queue by
 *   then. It counts as pushed: base goes up by one. Until it has, idle_at says CARRYING: pushes
 *   behind the item may have returned already, and what has been delivered will count it before
 *   them. So who wants to wait until they have been delivered must not count then
 *   (sti_mpsc_mark()).
 *     Order: what had been pushed when he looked again is below tail, where the consumer rests: he
 *     had taken all of that. Pushes that reserve later (S1) look at idle_at after the claim (S2),
 *     and find CARRYING or what came after it; so does whoever knows of them.
 *     If tail has moved, others have pushed, and may have returned: the look was old, another was
 *     at it meanwhile, and was about to rest at the same place when this one claimed. The claim
 *     stands, and the item is pushed, behind theirs.
 *     Closed in between: likewise, and the push is refused; whoever runs the consumer finds the
 *     end. Closed afterwards: the closer finds no consumer at rest. The item comes before the end,
 *     and whoever runs the consumer finds that when he would rest.
 *
 * If this thread stops
 *   after reserving            a hole: it holds up the consumer until he takes it over. Who would
 *                              evict is told, and refuses his message
 *   after filling              any later push claims, and so does one that finds the queue full
 *   after linking a ring       whoever finds the old ring full closes it; an ordinary push finds it
 *                              at its limit and is refused, as before
 *   after closing a ring       whoever follows claims and moves the queue's ring pointer
 *   after storing head_cache   nothing: it may go back, see ring_room()
 *   after a claim              the queue waits for it: it is the consumer, or about to find one;
 *                              before it has counted what it carries, drains of what came before do
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
 *   S4  CAS idle_at to NONE, or     claim, carry, rest: one winner. Passes the consumer's private
 *       CARRYING                    state from the one who rested (S3 releases) to the one who
 *                                   claimed.
 *   S5  store / CAS ring->head      take_one, evict: the slot is read before it may be reused (A2),
 *                                   and room is published (S7); take-over: after SHUT nobody evicts
 *   S6  store limit                 take, take-over -> S7
 *   S7  load ring->head, limit      push: sequentially consistent, so that one who has counted
 *                                   himself as waiting finds the room made at S5 or S6, or is found
 *                                   by the consumer, who looks after it
 *   R7  store-release takeover      take-over -> A9  the verdicts
 *   A9  load-acquire takeover       settle   <- R7, after it has seen TAKEN (S2, S3)
 *   R8   store-release idle_at      carry    -> A10  what is carried is in base
 *   A10  load-acquire idle_at       mark     <- R8
 *   S8  CAS a verdict               settle, take-over: one winner; what was filled before FILLED
 *                                   is seen by who finds it
 *   S9  load tail, after S4         carry: sequentially consistent; a push that it does not see
 *                                   (S1) sees the claim at S2
 *   F1  slot (R1), then idle_at     fill     } for the compiler; for the processor F2 is there: one
 *   F2  TAKEN (S3), barrier, slots  take-over} of the two sees what the other stored
 * Linearization: push at S1, at its last one if it is pushed again; carry at its second look at
 *           tail (S9); a take stops at the first slot not yet filled. A push that finds the queue
 *           full: at S7, since tail is the same before and after. evict: at S5, and the queue is
 *           full then, since head is as it was before tail was loaded; or it was when limit was
 *           loaded, where a remainder is left before.
 * Progress: carry is wait-free: one CAS, and if that fails a push. Push is lock-free (a failed CAS
 *           means that another push succeeded, and who pushes again does so because the consumer
 *           has gone on); take is wait-free, and so is rest, but for a take-over, whose CAS on tail
 *           fails when another push succeeds, which the ring's size bounds. evict, and take_one of
 *           a queue that evicts, are lock-free: a failed CAS means that another has taken the item.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sync/rcu.h"

#define STI_RING_CLOSED UINT64_C(1)
#define STI_RING_FINAL UINT64_C(2)
#define STI_RING_ENDED (STI_RING_CLOSED | STI_RING_FINAL)
#define STI_RING_POS_SHIFT 2
#define STI_RING_ONE (UINT64_C(1) << STI_RING_POS_SHIFT)

/* idle_at: where the consumer rests, plus 1; or one of these. */
#define STI_RING_IDLE_NONE UINT64_MAX
#define STI_RING_IDLE_CARRYING (UINT64_MAX - 1) /* somebody's, as NONE */
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

/* When producers take turns, see there: a long queue's length; how long a turn is; fewer pushes in
 * it than these are not those of one who pushes all the time. */
#define STI_TURN_BACKLOG 2048u
#define STI_TURN_BACKOFFS 4u
#define STI_TURN_PUSHES 4u
#define STI_TURN_FAR 1024u
#define STI_TURN_SKIPS 64u

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
	uint16_t order;
	/* atomic: whose turn it was last, a thread's number plus 1; 0: nobody's yet */
	_Atomic uint16_t turn;
	uint32_t capacity; /* 0: not bounded */
	/* atomic: set by the consumer, in a ring that follows another */
	_Atomic uint64_t limit;

	/* consumer only; producers read it once a lap and where they take turns, and take from a
	 * queue that evicts */
	alignas(STI_CACHELINE) _Atomic uint64_t head;
	/* set before it becomes head->ring: pushes into the rings before this one, and how many of
	 * them were taken over. base goes up with what is carried, and is atomic */
	_Atomic uint64_t base;
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

#endif
