/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * takeover.pml - a hole is taken over, and its producer comes back late
 *
 * Models lib/ring/takeover.c and the part of a push in lib/ring/ring.[ch] that meets it:
 *   producers  sti_mpsc_push_n: reserve, fill, look at idle_at, settle, push again. Producer 0
 *              pushes two items with one reservation, then one more; producer 1 pushes one.
 *   closer     sti_mpsc_close
 *   consumer   takes; at a hole of the first ring it waits, or takes over: which is left open
 *   memory     stores what producers have buffered
 *   evictor    with EVICT: sti_mpsc_evict
 * Growth, laps and the consumer's rest are in ring.pml and handover.pml: the rings here are large
 * enough and the consumer is always at work, so idle_at is TAKEN or nothing.
 *
 * The producer stores its slot and then loads idle_at, with nothing to keep the processor from
 * letting the load go first. So here a producer's stores to slots go into a buffer, first in, first
 * out, that is emptied at any time: at the latest by its next CAS, or by the consumer's membarrier,
 * which waits until each buffer has been empty once. Everything else is sequentially consistent.
 *
 * Rings: 0, the first; 1, the next; 2, the remainder of 0 where that was the last.
 *
 * Invariants
 *   duplicated      an item is delivered, or evicted, once
 *   lost            what has been accepted has been delivered when the final message is
 *   reordered       an item is delivered after all items whose push had returned before its own push
 *                   began, and after those before it in its batch
 *   late_accept     a push that returns after the final message was refused, or its item delivered
 *   wrong_refusal   a push is refused only once a close has begun
 *   use_after_free  who touches a ring or its verdicts after the consumer has left it was in a read
 *                   section then
 *   invalid end state: the final message is not delivered, or somebody waits for ever
 *
 * Configurations
 *   (none)   as above
 *   TWO      producer 0 does not push the one more, producer 1 does
 *   EVICT    somebody evicts, and the consumer takes by CAS on head; producer 0 pushes
 *            its batch, producer 1 nothing
 *
 * Variants that must fail, and how
 *   BROKEN_NO_BARRIER  lost
 *       no membarrier: the store is still in the buffer when the consumer looks, and the load of
 *       idle_at was before TAKEN was there
 *   BROKEN_LOOK_FIRST  lost
 *       the consumer decides, and stores TAKEN then
 *   BROKEN_LOAD_FIRST  lost
 *       the producer loads idle_at before it fills its slot
 *   BROKEN_UPWARD  reordered
 *       the consumer decides from the first position to the last: it takes the first of a batch, and
 *       finds the second filled
 *   BROKEN_DOWNWARD  reordered
 *       the producer settles the last of its positions first
 *   BROKEN_STORE  lost
 *       the consumer stores its verdict where nothing is filled, instead of a CAS
 *   BROKEN_BLIND  duplicated
 *       a producer that sees TAKEN pushes again whatever the verdict
 *   BROKEN_PLAIN  duplicated
 *       the consumer goes on by the slots and not by the verdicts: a late store looks like an item
 *   BROKEN_OPEN  lost
 *       the ring is not closed
 *   BROKEN_AT_ONCE  use_after_free
 *       the verdicts and the ring are freed without a grace period
 *   BROKEN_PUBLISHED  use_after_free
 *       the ring is retired while pushes still begin there
 *   BROKEN_PAST_FINAL  late_accept
 *       who pushes again goes to the next ring, though this one was the last
 *   BROKEN_NOT_SHUT  duplicated
 *       (EVICT) who evicts is not kept out before the verdicts: it takes an item that was late
 */
#include "check.h"

#define SLOTS 5 /* of a ring */

#define CLOSED 1
#define FINAL 2
#define ONE 4
#define POS(t) ((t) >> 2)
#define SLOT(r, p) slot[(r) * SLOTS + (p)]

#define UNDECIDED 0
#define FILLED 1
#define TAKEN 2

byte tail_ring;
byte tail[3];
byte slot[11];          /* items, of rings 0 and 1; the consumer looks at one more */
bool idle_taken;        /* idle_at of ring 0 is TAKEN */
byte first;
byte verdict[SLOTS];
#ifdef EVICT
byte head;
bool shut;
#endif

/* A producer's buffer: so many stores of items in a row to slots in a row. */
byte buffered[2], to_ring[2], to_pos[2], what[2];

/* Ghosts. Sets of items and of threads. */
byte accepted, delivered, before[6];
bool close_begun, final_delivered, retired;
byte in_section, grace;

hidden byte duplicated, lost, reordered, late_accept, wrong_refusal, use_after_free;

#define TOUCH(r) CHECK(use_after_free, (r) != 0 || !retired || (grace & BIT(_pid)))

inline enter_section()
{
	in_section = in_section | BIT(_pid)
}

inline leave_section()
{
	in_section = in_section & ~BIT(_pid);
	grace = grace & ~BIT(_pid)
}

inline took(item)
{
	CHECK(duplicated, !(delivered & BIT(item)));
	delivered = delivered | BIT(item)
}

inline deliver(item)
{
	CHECK(reordered, !(before[item] & ~delivered));
	CHECK(reordered, item != 2 || (delivered & BIT(1)));
	before[item] = 0;
	took(item)
}

#define EMPTY_BUFFER (buffered[_pid] == 0)

active [2] proctype producer()
{
	byte item, n, ring, t, i;
	bool saw, late;

#ifdef EVICT
	if
	:: _pid == 1 -> goto done_all
	:: else
	fi;
#endif
	item = 1 + 3 * _pid;
	n = 2 - _pid;
push:
	atomic {
		before[item] = accepted & ~delivered;
		before[item + n - 1] = accepted & ~delivered;
		enter_section();
		ring = tail_ring
	}
again:
	atomic {
		TOUCH(ring);
		t = tail[ring];
		if
#ifdef BROKEN_PAST_FINAL
		:: late && ring == 0 -> ring = 1; t = 0; goto again
		:: (t & FINAL) && !(late && ring == 0) -> goto refused
#else
		:: t & FINAL -> goto refused
#endif
		:: (t & CLOSED) && !(t & FINAL) ->
			if
			:: tail_ring == 0 -> tail_ring = 1
			:: else
			fi;
			ring = 1;
			t = 0;
			goto again
		:: else
		fi
	}
	atomic { /* the linearization point of an accepted push */
		EMPTY_BUFFER;
		TOUCH(ring);
		if
		:: tail[ring] == t -> tail[ring] = t + n * ONE
		:: else -> t = 0; goto again
		fi
	}
#ifdef BROKEN_LOAD_FIRST
	saw = (ring == 0 && idle_taken);
#endif
	atomic { /* fill: n stores to slots, the first item first */
		buffered[_pid] = n;
		to_ring[_pid] = ring;
		to_pos[_pid] = POS(t);
		what[_pid] = item
	}
	atomic {
		TOUCH(ring);
#ifndef BROKEN_LOAD_FIRST
		saw = (ring == 0 && idle_taken);
#endif
		if
		:: saw -> saw = false; i = 0
		:: else -> goto done
		fi
	}
#ifdef BROKEN_DOWNWARD
	i = n;
settle:
	atomic {
		if
		:: i == 0 -> goto done
		:: else -> i--
		fi;
		EMPTY_BUFFER;
		TOUCH(ring);
		if
		:: verdict[POS(t) + i] == TAKEN -> goto settled
		:: else -> verdict[POS(t) + i] = FILLED; goto settle
		fi
	}
settled:
	atomic {
		if
		:: i > 0 && verdict[POS(t)] != TAKEN -> i = 1
		:: else -> i = 0
		fi
	}
#else
settle:
	atomic {
		if
		:: i == n ->
			goto done
		:: else
		fi;
		EMPTY_BUFFER;
		TOUCH(ring);
#ifndef BROKEN_BLIND
		if
		:: POS(t) + i < first -> SEE(taken_before, true); i++; goto settle
		:: POS(t) + i >= first && verdict[POS(t) + i] == UNDECIDED ->
			verdict[POS(t) + i] = FILLED;
			i++;
			goto settle
		:: POS(t) + i >= first && verdict[POS(t) + i] == TAKEN
		fi
#endif
	}
#endif
	atomic {
		SEE(part_of_a_batch, i > 0);
		SEE(all_of_a_batch, i == 0 && n == 2);
		item = item + i;
		n = n - i;
		i = 0;
		t = 0;
		late = true;
		goto again
	}
refused:
	atomic {
		CHECK(wrong_refusal, close_begun);
		SEE(refused_late, late);
		goto next
	}
done:
	atomic {
		SEE(pushed_again, late);
		CHECK(late_accept, !final_delivered || (delivered & BIT(item)));
		accepted = accepted | BIT(item) | BIT(item + n - 1);
		/* The part of a batch that stayed. */
		if
		:: item == 2 && n == 1 -> accepted = accepted | BIT(1)
		:: else
		fi
	}
next:
	atomic {
		leave_section();
		late = false;
		i = 0;
		t = 0;
		ring = 0;
		item = item + n;
		n = 1;
		if
#if defined(TWO)
		:: item == 5 -> goto push
		:: item != 5 -> item = 0; n = 0
#elif !defined(EVICT)
		:: item == 3 -> goto push
		:: item != 3 -> item = 0; n = 0
#else
		:: true -> item = 0; n = 0
#endif
		fi
	}
#ifdef EVICT
done_all:
	skip
#endif
}

active proctype closer()
{
	byte ring;

	atomic {
		close_begun = true;
		enter_section();
		ring = tail_ring
	}
	do
	:: atomic {
		TOUCH(ring);
		if
		:: tail[ring] & CLOSED -> ring = 1
		:: else -> tail[ring] = tail[ring] | CLOSED | FINAL; break
		fi
	   }
	od;
	atomic {
		SEE(closed_next, ring == 1);
		leave_section();
		ring = 0
	}
}

active proctype consumer()
{
	byte ring, h, t, i, item, end;
	byte keep[SLOTS];

look:
	atomic {
#ifdef EVICT
		if
		:: ring == 0 -> h = head
		:: else
		fi;
#endif
		if
		:: SLOT(ring, h) != 0 -> item = SLOT(ring, h); goto take
		:: else -> t = tail[ring]
		fi;
		if
		:: POS(t) == h && (t & FINAL) -> goto final
		:: POS(t) == h && (t & CLOSED) && !(t & FINAL) ->
			tail_ring = 1;
			retired = true;
			grace = in_section;
			ring = 1;
			h = 0;
			t = 0;
			goto look
		:: else
		fi
	}
	if
	:: atomic {
		SLOT(ring, h) != 0 || tail[ring] != t -> t = 0; goto look
	   }
#ifdef EVICT
	:: atomic { ring == 0 && head != h -> t = 0; goto look }
#endif
	:: atomic { ring == 0 && POS(t) > h -> t = 0 }
	fi;
	goto take_over
take:
	atomic {
#ifdef EVICT
		if
		:: ring == 0 && head != h -> item = 0; goto look
		:: ring == 0 && head == h -> head++
		:: ring != 0
		fi;
#endif
		deliver(item);
		item = 0;
		h++;
		goto look
	}

take_over:
	atomic {
		SEE(last_taken_over, tail[0] & FINAL);
#ifndef BROKEN_OPEN
		tail[0] = tail[0] | CLOSED;
#endif
		t = tail[0]
	}
	atomic {
#ifdef EVICT
		h = head;
#ifndef BROKEN_NOT_SHUT
		shut = true;
#endif
		SEE(evicted_all, h == POS(t));
#endif
		first = h;
		end = POS(t);
	}
#ifndef BROKEN_LOOK_FIRST
	idle_taken = true;
#ifndef BROKEN_NO_BARRIER
	buffered[0] == 0;
	buffered[1] == 0;
#endif
#endif
#ifdef BROKEN_UPWARD
	i = h;
#else
	i = end;
#endif
decide:
	atomic {
#ifdef BROKEN_UPWARD
		if
		:: i == end -> goto decided
		:: else -> i++
		fi;
#else
		if
		:: i == h -> goto decided
		:: else
		fi;
#endif
		/* position i - 1 */
		if
		:: SLOT(0, i - 1) != 0 ->
#ifndef BROKEN_PLAIN
			keep[i - 1] = SLOT(0, i - 1);
#endif
			SEE(filled_at_last, i - 1 == h);
#ifndef BROKEN_UPWARD
			i--;
#endif
			goto decide
		:: else
		fi
	}
	atomic {
#ifndef BROKEN_STORE
		if
		:: verdict[i - 1] == FILLED ->
			SEE(filled_first, true);
#ifndef BROKEN_PLAIN
			keep[i - 1] = SLOT(0, i - 1)
#endif
		:: else -> verdict[i - 1] = TAKEN
		fi;
#else
		verdict[i - 1] = TAKEN;
#endif
#ifndef BROKEN_UPWARD
		i--;
#endif
		goto decide
	}
decided:
#ifdef BROKEN_LOOK_FIRST
	idle_taken = true;
	buffered[0] == 0;
	buffered[1] == 0;
#endif
	atomic {
		if
		:: t & FINAL ->
			tail[2] = FINAL | CLOSED;
#ifndef BROKEN_PUBLISHED
			tail_ring = 2
#endif
		:: else ->
#ifndef BROKEN_PUBLISHED
			tail_ring = 1
#endif
		fi;
#ifndef BROKEN_PLAIN
		retired = true;
#ifndef BROKEN_AT_ONCE
		grace = in_section;
#endif
#endif
		i = h
	}
#ifdef BROKEN_PLAIN
remainder:
	atomic {
		if
		:: i == end -> goto left
		:: else
		fi;
		item = SLOT(0, i);
		i++;
		if
		:: item != 0 -> deliver(item); item = 0
		:: else
		fi;
		goto remainder
	}
left:
#endif
	atomic { /* nobody else sees the remainder */
		do
		:: i < end ->
			item = keep[i];
			keep[i] = 0;
			i++;
			if
			:: item != 0 -> deliver(item); item = 0
			:: else
			fi
		:: else -> break
		od;
		i = 0;
		if
		:: t & FINAL -> goto final
		:: else -> ring = 1; h = 0; t = 0; goto look
		fi
	}
final:
	atomic {
		CHECK(lost, !(accepted & ~delivered));
		final_delivered = true;
		h = 0;
		t = 0;
		ring = 0
	}
}

active proctype memory()
{
	byte p;

end_idle:
	atomic {
		if
		:: buffered[0] > 0 -> p = 0
		:: buffered[1] > 0 -> p = 1
		fi;
		SEE(late_store, retired && to_ring[p] == 0);
		SLOT(to_ring[p], to_pos[p]) = what[p];
		to_pos[p]++;
		what[p]++;
		buffered[p]--;
		if
		:: buffered[p] == 0 -> to_pos[p] = 0; what[p] = 0; to_ring[p] = 0
		:: else
		fi;
		p = 0;
		goto end_idle
	}
}

#ifdef EVICT
active proctype evictor()
{
	byte h, item;

	atomic {
		enter_section();
		if
		:: tail_ring == 0 -> h = head
		:: else -> goto done
		fi
	}
	atomic {
		TOUCH(0);
		if
		:: tail[0] & CLOSED -> SEE(evictor_walks, true); goto done
		:: else
		fi
	}
	atomic {
		TOUCH(0);
		item = SLOT(0, h);
		if
		:: item == 0 -> goto done
		:: else
		fi
	}
	atomic {
		TOUCH(0);
		SEE(shut_out, shut && head == h);
		if
		:: head == h && !shut ->
			head++;
			took(item);
			SEE(evicted, true)
		:: else -> SEE(evict_lost, true)
		fi
	}
done:
	atomic {
		leave_section();
		h = 0;
		item = 0
	}
}
#endif
