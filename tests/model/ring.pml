/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.pml - the chain of rings: push, growth, close, consumption, retirement
 *
 * Models lib/ring/ring.[ch]:
 *   producer   sti_mpsc_push, any number of threads
 *   closer     sti_mpsc_close, which queues the final message
 *   consumer   sti_mpsc_take, and the part of sti_mpsc_rest that goes to the next ring; one thread
 *   counter    sti_mpsc_pushed, with COUNTED
 * The rest of sti_mpsc_rest, by which the owner gives an empty ring up, is in handover.pml; here
 * the consumer simply waits. It also waits at a hole, a slot reserved by a producer that has stopped
 * before filling it; that it may take it over is in takeover.pml. sti_mpsc_push takes fewer looks than sti_mpsc_push_n, and nothing
 * else, so only the long way is modelled, for one item.
 *
 * Spin explores every interleaving of sequentially consistent steps. One statement or atomic block
 * below holds at most one access to a word that another thread writes, or several of which the
 * others cannot tell the order. Here every operation counts as seq_cst; that release and acquire
 * are enough where the code says so is argued in the table of edges in protocol.h.
 *
 * Words of one ring, capacity C a power of two
 *   tail        position << 2 | FINAL << 1 | CLOSED. Producers CAS it one position on; a full ring
 *               is closed by OR of CLOSED; the closer sets both bits with one CAS.
 *   slot[i]     item << 1 | parity of the lap. Position p is filled iff the parity of slot[p % C]
 *               is ((p / C) & 1) ^ 1, so the consumer never writes a slot.
 *   head        the consumer's position, published after each batch: licence to reuse the slots.
 *   head_cache  a producer's last look at head, shared by all producers without any order: it may
 *               go back, and a producer may compare it with a tail it read long ago.
 *   next        the ring that follows, a larger one; linked before CLOSED is set.
 * One word of the queue
 *   tail_ring   where a push begins to look. It may lag behind the ring in use, but moves only
 *               forward, and only past closed rings; whoever goes to the next ring moves it along.
 *
 * Full. The distance from head_cache to a tail read some time ago is unsigned: if others have gone
 * on meanwhile and head is past that tail, the ring looks full too. So it counts as full only if
 * tail, read again after head, is still the same.
 *
 * Life of a ring
 *   open  --full: link next, set CLOSED-->  closed  --all consumed-->  left, then freed through RCU
 *   open  --CLOSED|FINAL---------------->   final   --all consumed-->  final message, the end
 * Which of the two happens is decided in the one word tail. FINAL is set only on an open ring. OR
 * of CLOSED on a final ring changes nothing, and the producer who did it looks again: a ring that
 * he linked stays empty and is freed with the queue.
 *
 * RCU. Pushing and closing are read sections. A ring may be freed once everybody has left who was
 * in a section when it was retired; the model forbids any other touch of a retired ring. So before
 * retiring a ring the consumer must see to it that tail_ring does not lead there any more.
 *
 * Invariants (the name is printed by a violation)
 *   duplicated      an item is delivered once, and only if its push reserved a slot
 *   lost            nothing is outstanding when the final message is delivered
 *   reordered       an item is delivered after all items whose push had returned before its own
 *                   push began, whichever producers they are from
 *   overwritten     no slot is stored to while it holds an item not yet consumed
 *   late_store      no slot of a ring is stored to after the consumer left the ring
 *   after_final     no slot is reserved after the final message
 *   late_accept     a push that begins after close returned is refused
 *   wrong_refusal   a push is refused only once a close has begun
 *   spurious_full   a ring is called full only if it was
 *   two_closes      of several closes one succeeds
 *   unlinked        a closed ring that is not final has a next one
 *   miscounted      a count is at least the pushes that had returned when it began, at most those
 *                   that have reserved a slot when it ends
 *   use_after_free  see RCU
 *   invalid end state: the final message is not delivered, or somebody waits for ever
 *
 * Configurations
 *   (none)   rings of 2 and 4, producers with 3 and 2 items
 *   CHAIN    rings of 1, 2 and 4, 2 and 2 items: growers that are several rings late
 *   CAPPED   one ring of 2 that may not grow: a full ring refuses the item (no_room), 3 and 2 items
 *   CLOSERS  rings of 1 and 2, 2 and 1 items, two closers
 *   COUNTED  rings of 1 and 2, 1 and 1 items, a thread that counts
 * Events that a configuration cannot reach (see check.h)
 *   NEVER default  no_room
 *   NEVER CHAIN    no_room
 *   NEVER CLOSERS  no_room
 *   NEVER COUNTED  no_room link_lost closed_twice third_lap
 *   NEVER COUNTED  old_tail_looked_full tail_older_than_head head_cache_goes_back
 *   NEVER CAPPED   walked closer_walked tail_ring_moved_by_another use_of_retired_ring
 *   NEVER CAPPED   consumer_moves_tail_ring final_with_unused_ring
 *
 * Variants that must fail, and how
 *   BROKEN_FULL  overwritten
 *       no test for a full ring: a slot is filled again before it is consumed
 *   BROKEN_STALE_TAIL  spurious_full
 *       tail is not read again: a ring with room grows, or refuses
 *   BROKEN_PARITY  duplicated
 *       slots marked as filled without regard to the lap: the consumer takes the last lap again
 *   BROKEN_GROW_ORDER  reordered lost
 *       the producer whose link came second leaves closing to the first, and pushes into the next
 *       ring while the old one is still open: his following item goes into the old ring, and a
 *       close finds the old ring open and makes it the final one
 *   BROKEN_CLOSE_BEFORE_LINK  unlinked
 *       CLOSED is set before next is: others find a closed ring without a next one
 *   BROKEN_FINAL_BLIND  lost
 *       the closer ORs CLOSED|FINAL and goes on if the ring was closed already: FINAL stays behind
 *       on a ring that has a successor, and what is in there is never delivered
 *   BROKEN_GROWER_IGNORES_FINAL  lost late_accept after_final
 *       the grower does not look at what his OR of CLOSED returned, and pushes behind the final
 *       ring
 *   BROKEN_LEAVE_EARLY  late_store lost
 *       the consumer leaves a closed ring without comparing positions, before a hole is filled
 *   BROKEN_CLOSE_STORE  two_closes
 *       (CLOSERS) the closer stores what it has made of the tail it read, instead of a CAS
 *   BROKEN_CLOSED_REFUSES  wrong_refusal
 *       a producer takes CLOSED for the end of the queue
 *   BROKEN_COUNT_BASE  miscounted
 *       (COUNTED) the base is kept beside the consumer's ring pointer and not in the ring: between
 *       the stores of the two the counter finds the new base and, before and after, the old ring
 *   BROKEN_RETIRE_PUBLISHED  use_after_free
 *       the consumer retires a ring to which tail_ring still leads, because the grower has not
 *       moved it yet: a push that begins now is not waited for
 *   BROKEN_CLOSER_UNPROTECTED  use_after_free
 *       the closer walks the chain outside a read section
 */
#include "check.h"

#if defined(CHAIN)
#define RINGS 3
#define FIRST 1 /* capacity of the first ring */
#define SLOTS 7 /* of all rings together */
#define ITEMS 2 /* of producer 0 */
#define FEWER 0 /* of producer 1: so many less */
#elif defined(CAPPED)
#define RINGS 1
#define FIRST 2
#define SLOTS 2
#define ITEMS 3
#define FEWER 1
#elif defined(COUNTED)
#define RINGS 2
#define FIRST 1
#define SLOTS 3
#define ITEMS 1
#define FEWER 0
#elif defined(CLOSERS)
#define RINGS 2
#define FIRST 1
#define SLOTS 3
#define ITEMS 2
#define FEWER 1
#else
#define RINGS 2
#define FIRST 2
#define SLOTS 6
#define ITEMS 3
#define FEWER 1
#endif
#define MAX_ITEM 5
#define BATCH 2

#define NONE 255
#define CAP(r) (FIRST << (r))
#define INDEX(r, pos) (CAP(r) - FIRST + (pos) % CAP(r))
#ifdef BROKEN_PARITY
#define PARITY(r, pos) 1
#else
#define PARITY(r, pos) ((((pos) / CAP(r)) & 1) ^ 1)
#endif
#define FILLED(r, pos) ((slot[INDEX(r, pos)] & 1) == PARITY(r, pos))

#define CLOSED 1
#define FINAL 2
#define ONE 4 /* one position */
#define POS(t) ((t) >> 2)

/* Positions are free-running, and their difference is unsigned: a position behind head looks full.
 *  */
#if defined(BROKEN_FULL)
#define FULL(r, t, seen) (false)
#else
#define FULL(r, t, seen) (((POS(t) - (seen)) & 255) >= CAP(r))
#endif

/* The queue. Ring r + 1 is the one linked to ring r: the ring of a producer who came second with
 * his link was never visible to anybody. */
byte tail_ring;
byte tail[RINGS];
byte head_cache[RINGS];
byte head[RINGS];
byte next[RINGS] = NONE;
byte slot[SLOTS];

/* The consumer's ring, for those who count, and the positions in the rings before it. */
#ifdef BROKEN_COUNT_BASE
byte head_ring, head_base;
#elif defined(COUNTED)
byte head_ring, base[RINGS];
#endif

/* Ghosts: what the model remembers, and the code does not. Sets of items, sets of threads. */
byte outstanding;        /* reserved, not delivered */
byte returned;           /* push has returned, not delivered */
byte before[6];          /* of an item: `returned` when its push began, less what is delivered */
bool close_begun, close_returned, final_delivered;
byte closes;
byte in_section;         /* threads in a read section */
byte retired;            /* set of rings */
byte grace[RINGS];       /* threads that the freeing of this ring waits for */

#ifdef COUNTED
byte total_reserved, total_returned;
#define COUNT(what) what++
#else
#define COUNT(what) skip
#endif

hidden byte duplicated, lost, reordered, overwritten, late_store, after_final, late_accept;
hidden byte miscounted;
hidden byte wrong_refusal, spurious_full, two_closes, unlinked, use_after_free;

#define TOUCH(r) CHECK(use_after_free, !(retired & BIT(r)) || (grace[r] & BIT(_pid)))

inline enter_section()
{
	in_section = in_section | BIT(_pid)
}

inline leave_section()
{
	in_section = in_section & ~BIT(_pid);
	grace[0] = grace[0] & ~BIT(_pid);
#if RINGS > 1
	grace[1] = grace[1] & ~BIT(_pid);
#endif
#if RINGS > 2
	grace[2] = grace[2] & ~BIT(_pid)
#endif
}

/* To the ring after a closed one, and tail_ring with it if it is still here. */
inline follow()
{
	if
	:: tail_ring == ring -> tail_ring = next[ring]
	:: else -> SEE(tail_ring_moved_by_another, true)
	fi;
	ring = next[ring]
}

/* Items are numbered from 1, so that a slot without its parity is 0 iff nothing is in it. */
#define ITEM (_pid * ITEMS + k)

inline forget()
{
	ring = 0;
	t = 0;
	seen = 0;
	late = false
}

active [2] proctype producer()
{
	byte k;    /* items begun */
	byte ring, t, seen;
	bool late; /* ghost: this push began after a close returned */

push:
	if
	:: k == ITEMS - _pid * FEWER -> goto done
	:: else
	fi;
	d_step {
		k++;
		before[ITEM] = returned;
		late = close_returned;
		enter_section();
		ring = tail_ring
	}
again:
	atomic {
		TOUCH(ring);
		SEE(use_of_retired_ring, retired & BIT(ring));
		t = tail[ring];
		if
#ifdef BROKEN_CLOSED_REFUSES
		:: t & CLOSED -> goto refused
#endif
		:: t & FINAL -> goto refused
		:: (t & CLOSED) && !(t & FINAL) -> goto walk
		:: else
		fi
	}
	atomic {
		TOUCH(ring);
		seen = head_cache[ring];
		SEE(tail_older_than_head, POS(t) < seen);
		if
		:: FULL(ring, t, seen)
		:: else -> goto reserve
		fi
	}
	d_step {
		TOUCH(ring);
		seen = head[ring]
	}
	atomic {
		TOUCH(ring);
		SEE(head_cache_goes_back, head_cache[ring] > seen);
		head_cache[ring] = seen;
		if
		:: FULL(ring, t, seen)
		:: else -> goto reserve
		fi
	}
	atomic { /* full, if tail has not moved while head was looked at */
		TOUCH(ring);
#ifndef BROKEN_STALE_TAIL
		if
		:: tail[ring] == t
		:: else ->
			SEE(old_tail_looked_full, POS(t) - seen < CAP(ring));
			t = 0;
			seen = 0;
			goto again
		fi;
#endif
		CHECK(spurious_full, POS(t) - seen >= CAP(ring));
		seen = 0;
		if
		:: ring == RINGS - 1 -> goto no_room
		:: else -> goto grow
		fi
	}
reserve: /* the linearization point of an accepted push */
	atomic {
		TOUCH(ring);
		seen = 0;
		if
		:: tail[ring] == t ->
			tail[ring] = t + ONE;
			CHECK(late_accept, !late);
			CHECK(after_final, !final_delivered);
			outstanding = outstanding | BIT(ITEM);
			COUNT(total_reserved);
			goto fill
		:: else ->
			SEE(reservation_lost, true);
			t = 0;
			goto again
		fi
	}
fill:
	atomic {
		TOUCH(ring);
		CHECK(overwritten, slot[INDEX(ring, POS(t))] >> 1 == 0);
		CHECK(late_store, !(retired & BIT(ring)));
		SEE(second_lap, POS(t) / CAP(ring) == 1);
		SEE(third_lap, POS(t) / CAP(ring) == 2);
		slot[INDEX(ring, POS(t))] = (ITEM << 1) | PARITY(ring, POS(t));
		returned = returned | BIT(ITEM);
		COUNT(total_returned);
		leave_section();
		forget();
		goto push
	}

#if RINGS > 1
grow:
#ifdef BROKEN_CLOSE_BEFORE_LINK
	tail[ring] = tail[ring] | CLOSED;
#endif
	atomic {
		TOUCH(ring);
		t = 0;
		if
		:: next[ring] == NONE -> next[ring] = ring + 1
		:: else ->
			SEE(link_lost, true);
#ifdef BROKEN_GROW_ORDER
			ring = ring + 1;
			goto again
#endif
		fi
	}
	atomic {
		TOUCH(ring);
		SEE(grower_meets_final, tail[ring] & FINAL);
		SEE(closed_twice, (tail[ring] & CLOSED) && !(tail[ring] & FINAL));
		tail[ring] = tail[ring] | CLOSED;
#ifdef BROKEN_GROWER_IGNORES_FINAL
		goto walk
#else
		goto again
#endif
	}
#else
grow:
	assert(false);
#endif

walk:
	atomic {
		TOUCH(ring);
		CHECK(unlinked, next[ring] != NONE);
		SEE(walked, true);
		t = 0
	}
	atomic {
		follow();
		goto again
	}
refused:
	atomic {
		CHECK(wrong_refusal, close_begun);
		SEE(refused, true);
		leave_section();
		forget();
		goto push
	}
no_room:
	atomic {
		SEE(no_room, true);
		leave_section();
		forget();
		goto push
	}
done:
	skip
}

#ifdef CLOSERS
active [2] proctype closer()
#else
active proctype closer()
#endif
{
	byte ring, t;

	d_step {
		close_begun = true;
#ifndef BROKEN_CLOSER_UNPROTECTED
		enter_section();
#endif
		ring = tail_ring
	}
again:
#ifdef BROKEN_FINAL_BLIND
	atomic {
		TOUCH(ring);
		t = tail[ring];
		tail[ring] = t | CLOSED | FINAL;
		if
		:: t & FINAL -> goto done
		:: (t & CLOSED) && !(t & FINAL) -> goto walk
		:: else -> closes++; goto done
		fi
	}
#endif
	atomic {
		TOUCH(ring);
		t = tail[ring];
		if
		:: t & FINAL -> goto done
		:: (t & CLOSED) && !(t & FINAL) -> goto walk
		:: else
		fi
	}
	atomic {
		TOUCH(ring);
		if
#ifdef BROKEN_CLOSE_STORE
		:: true ->
#else
		:: tail[ring] == t -> /* the linearization point of the close */
#endif
			tail[ring] = t | CLOSED | FINAL;
			closes++;
			CHECK(two_closes, closes == 1);
			goto done
#ifndef BROKEN_CLOSE_STORE
		:: else ->
			SEE(close_retried, true);
			goto again
#endif
		fi
	}
walk:
	atomic {
		TOUCH(ring);
		CHECK(unlinked, next[ring] != NONE);
		SEE(closer_walked, true);
		t = 0
	}
	atomic {
		follow();
		goto again
	}
done:
	atomic {
		leave_section();
		close_returned = true;
		ring = 0;
		t = 0
	}
}

active proctype consumer()
{
	byte ring, h, n, t, item, i;

look:
	atomic {
		if
		:: n < BATCH && FILLED(ring, h) -> goto take
		:: n > 0 && !(n < BATCH && FILLED(ring, h)) -> goto publish
		:: n == 0 && !FILLED(ring, h)
		fi
	}
	atomic {
		t = tail[ring];
#ifdef BROKEN_LEAVE_EARLY
		if
		:: (t & CLOSED) && !(t & FINAL) -> goto leave
		:: else
		fi;
#endif
		if
		:: POS(t) == h && (t & FINAL) -> goto final
		:: POS(t) == h && (t & CLOSED) && !(t & FINAL) -> goto leave
		:: else -> SEE(hole, POS(t) > h)
		fi
	}
	/* Nothing to do: looking again is of use only after one of these has changed. */
	atomic {
		(FILLED(ring, h) || tail[ring] != t) -> t = 0;
		goto look
	}
take: /* the slot that was seen filled: its word does not change until head does */
	atomic {
		item = slot[INDEX(ring, h)] >> 1;
		CHECK(duplicated, outstanding & BIT(item));
		CHECK(reordered, before[item] == 0);
		outstanding = outstanding & ~BIT(item);
		returned = returned & ~BIT(item);
		i = 0;
		do
		:: i <= MAX_ITEM -> before[i] = before[i] & ~BIT(item); i++
		:: else -> break
		od;
		slot[INDEX(ring, h)] = slot[INDEX(ring, h)] & 1; /* ghost: consumed */
		item = 0;
		i = 0;
		h++;
		n++;
		goto look
	}
publish:
	atomic {
		head[ring] = h;
		n = 0;
		goto look
	}
leave:
#ifndef BROKEN_RETIRE_PUBLISHED
	atomic {
		if
		:: tail_ring == ring ->
			SEE(consumer_moves_tail_ring, true);
			tail_ring = ring + 1
		:: else
		fi
	}
#endif
#if defined(BROKEN_COUNT_BASE)
	head_base = head_base + h;
	head_ring = next[ring];
#elif defined(COUNTED)
	atomic { /* nobody looks at the base of that ring before head_ring says so */
		base[next[ring]] = base[ring] + h;
		head_ring = next[ring]
	}
#endif
	atomic {
		CHECK(unlinked, next[ring] != NONE);
		retired = retired | BIT(ring);
		grace[ring] = in_section;
		ring = next[ring];
		h = 0;
		t = 0;
		goto look
	}
final:
	atomic {
		CHECK(lost, outstanding == 0);
		SEE(final_on_last_ring, ring == RINGS - 1);
		SEE(final_with_unused_ring, next[ring] != NONE);
		final_delivered = true;
		h = 0;
		t = 0
	}
}

#ifdef COUNTED
active proctype counter()
{
	byte ring, sum, low, first;

	atomic {
		low = total_returned;
		enter_section();
		ring = head_ring;
		first = ring;
#ifdef BROKEN_COUNT_BASE
	}
	sum = head_base;
#else
		sum = base[ring]
	}
#endif
again:
	atomic {
		TOUCH(ring);
		sum = sum + POS(tail[ring])
	}
	atomic {
		TOUCH(ring);
		if
		:: next[ring] != NONE -> ring = next[ring]; goto again
		:: else
		fi
	}
	atomic {
#ifdef BROKEN_COUNT_BASE
		if
		:: head_ring == first
		:: else -> goto given_up
		fi;
#endif
		SEE(counted_from_retired_ring, retired & BIT(first));
		SEE(counted_from_second_ring, first == 1);
		CHECK(miscounted, low <= sum && sum <= total_reserved)
	}
given_up:
	leave_section()
}
#endif
