/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evict.pml - the bounded queue whose oldest item makes room: two ends that take from one place
 *
 * Models lib/ring/ring.[ch] and bounded.c for a queue that evicts:
 *   producer   sti_mpsc_push; when that finds the queue full, sti_mpsc_evict and sti_mpsc_push
 *              again, until the item is in, or is given up at a hole
 *   closer     sti_mpsc_close
 *   worker     sti_mpsc_take_one and sti_mpsc_rest
 *   counter    sti_mpsc_depth, with COUNTED
 * Such a queue is a single ring for ever; chains are in ring.pml. The producers' copy of head is
 * left out: it is never ahead of head, and a queue is full only if head itself says so (ring.pml).
 * Who runs the mailbox is decided as in handover.pml, with one difference: the position at which
 * the worker rests is not his own, for producers move head as well.
 *
 * Spin explores every interleaving of sequentially consistent steps. One statement or atomic block
 * below holds at most one access to a word that another thread writes, or several of which the
 * others cannot tell the order.
 *
 *   take, evict   h = head; the slot's parity tells whether position h is filled; its item is
 *                 read; CAS head from h to h + 1: the winner has the item
 *   evict         also looks at tail, between the load of head and the CAS: was the queue full
 *                 then, and head has not moved since, so it is full at the CAS
 *   rest          h = head; idle_at = h; load tail
 *                   position == h and open: done. head was h then, for it is never past tail.
 *                   else CAS idle_at from h to NONE; won: still the worker, and look again
 *
 * A slot that is read before the CAS may be one of a later lap: head has moved then, and the CAS
 * fails. head may move between the load of head and the store of idle_at: what is in the queue is
 * at or behind head, so all the more at or behind idle_at, and each of its producers may claim.
 *
 * Invariants (the name is printed by a violation)
 *   duplicated         an item is delivered or evicted once, and only if it was pushed
 *   lost               nothing is in the queue when the final message is delivered
 *   reordered          of one producer's items, those delivered are in the order of their pushes
 *   overwritten        no slot is stored to while its item is in the queue
 *   too_deep           never more in the queue than its capacity
 *   evicted_with_room  an item is evicted from a full queue only
 *   double_schedule    who takes the mailbox finds it in nobody's hands
 *   stuck              when nobody can go on, every producer is through, and the final message has
 *                      been delivered; with STOPPED, or the oldest item is the stopped producer's
 *   miscounted         a depth is no more than the capacity
 *
 * Configurations
 *   (none)   capacity 2 in a ring of 2, producers with 2 and 2 items
 *   SMALL    capacity 1 in a ring of 2: less than the smallest ring has; 2 and 2 items
 *   STOPPED  capacity 1 in a ring of 2; producer 0 may stop for ever once it has reserved a slot,
 *            before each further step that changes a shared word; 2 and 2 items
 *   COUNTED  capacity 1 in a ring of 2, 1 and 1 items, a thread that counts
 * Events that a configuration cannot reach (see check.h)
 *   NEVER COUNTED  evicted_own second_lap
 *
 * Variants that must fail, and how
 *   BROKEN_TAKE_STORE  duplicated reordered
 *       the worker stores head, as in a queue from which he alone takes
 *   BROKEN_BLIND  duplicated lost
 *       who evicts does not look at the parity: he takes what the slot held a lap ago, and what is
 *       filled in later is never delivered
 *   BROKEN_SLOT_LATE  duplicated overwritten
 *       who evicts reads the slot after the CAS, when it may be filled anew
 *   BROKEN_ANY  evicted_with_room
 *       who evicts does not look at tail again: the worker may have made room meanwhile
 *   BROKEN_OWN_ROOM  too_deep
 *       who has evicted takes the room for his own, and reserves without another look
 *   BROKEN_REST_STALE  stuck
 *       (SMALL) the worker rests at the position behind what he himself has taken: head is elsewhere, so he
 *       never finds the queue empty
 *   BROKEN_REST_BLIND  stuck
 *       (SMALL) the worker looks at tail before he stores idle_at
 *   BROKEN_REST_STORE  double_schedule
 *       the worker takes the mailbox back with a store, though a producer has claimed it
 *   BROKEN_FULL_SILENT  stuck
 *       (STOPPED) who finds the queue full does not claim, and those who filled it have stopped
 *   BROKEN_DEPTH_ORDER  miscounted
 *       (COUNTED) head is read before tail: pushes in between are counted, and takes are not
 */
#include "check.h"

#if defined(SMALL) || defined(STOPPED) || defined(COUNTED)
#define CAP 1
#else
#define CAP 2
#endif
#define SLOTS 2
#ifndef ITEMS
#ifdef COUNTED
#define ITEMS 1 /* of each producer */
#else
#define ITEMS 2
#endif
#endif

#define NONE 255
#define NOBODY 255
#define FINAL 1
#define ONE 2 /* one position */
#define POS(t) ((t) >> 1)
#define PARITY(pos) ((((pos) / SLOTS) & 1) ^ 1)
#define FILLED(pos) ((slot[(pos) % SLOTS] & 1) == PARITY(pos))
#define FULL(t, h) (((POS(t) - (h)) & 255) >= CAP)

/* The queue. */
byte tail, head, idle_at = NONE;
byte slot[SLOTS]; /* item << 1 | parity; the ghost of a consumed one is its parity alone */

/* The run queue: how often the mailbox is in it. */
byte queued = 1;

/* Ghosts. */
byte owner = NOBODY;
byte outstanding; /* set of items: reserved, neither delivered nor evicted */
byte last[2];     /* of each producer, delivered */
byte through;     /* producers that have nothing left to do */
bool final_delivered, somebody_stopped;

hidden byte duplicated, lost, reordered, overwritten, too_deep, evicted_with_room;
hidden byte double_schedule, stuck, miscounted;

/* Items are numbered from 1. */
#define ITEM (_pid * ITEMS + k)
#define PRODUCER_OF(item) (((item) - 1) / ITEMS)

#define FREE_TO_TAKE                                                       \
	CHECK(double_schedule, owner == NOBODY && queued == 0 && !final_delivered)

/* head goes on by one, and the item is the caller's. */
#define REMOVE(item)                                                       \
	CHECK(duplicated, outstanding & BIT(item));                        \
	outstanding = outstanding & ~BIT(item);                            \
	slot[h % SLOTS] = slot[h % SLOTS] & 1;                             \
	head = h + 1

/* Takes the mailbox if it rests at or before pos, and puts it into the run queue. */
#define CLAIM(pos, may_stop, after)                                        \
	atomic {                                                           \
		v = idle_at;                                               \
		if                                                         \
		:: v <= pos                                                \
		:: else -> v = 0; goto after                               \
		fi                                                         \
	};                                                                 \
	atomic {                                                           \
		may_stop;                                                  \
		if                                                         \
		:: idle_at == v ->                                         \
			SEE(claimed_for_another, v < pos);                 \
			FREE_TO_TAKE;                                      \
			idle_at = NONE;                                    \
			queued++                                           \
		:: else ->                                                 \
			SEE(claim_lost, true)                              \
		fi;                                                        \
		v = 0;                                                     \
		goto after                                                 \
	}

#ifdef STOPPED
#define MAY_STOP(where)                                                    \
	if                                                                 \
	:: _pid == 0 -> SEE(where, true); goto stop                        \
	:: true                                                            \
	fi
#else
#define MAY_STOP(where) skip
#endif

active [2] proctype producer()
{
	byte k, t, h, w, v;

push:
	atomic {
		t = 0;
		h = 0;
		if
		:: k == ITEMS -> goto done
		:: else -> k++
		fi
	}
again:
	atomic {
		t = tail;
		h = 0;
		if
		:: t & FINAL -> SEE(refused, true); goto push
		:: else
		fi
	}
	atomic {
		h = head;
		if
		:: FULL(t, h)
		:: else -> goto reserve
		fi
	}
	atomic { /* full, if tail has not moved while head was looked at */
		h = 0;
		if
		:: tail == t
		:: else -> goto again
		fi
	}
#ifndef BROKEN_FULL_SILENT
	CLAIM(POS(t), skip, evict);
#endif
evict:
	atomic {
		t = 0;
		h = head
	}
	atomic {
		t = tail;
		if
		:: t & FINAL -> SEE(ended_while_evicting, true); goto push
#ifndef BROKEN_ANY
		:: !(t & FINAL) && !FULL(t, h) -> SEE(room_meanwhile, true); goto again
#endif
		:: else
		fi
	}
	atomic {
		w = slot[h % SLOTS];
#ifndef BROKEN_BLIND
		if
		:: (w & 1) == PARITY(h)
		:: else -> w = 0; goto unfilled
		fi
#endif
	}
	atomic {
		if
		:: head == h ->
			CHECK(evicted_with_room, POS(tail) - head >= CAP);
#ifdef BROKEN_SLOT_LATE
			head = h + 1;
			goto late
#else
			SEE(evicted_own, PRODUCER_OF(w >> 1) == _pid);
			SEE(evicted_from_ended, tail & FINAL);
			REMOVE(w >> 1);
			w = 0;
#ifdef BROKEN_OWN_ROOM
			goto own
#else
			goto again
#endif
#endif
		:: else -> SEE(evict_lost, true); w = 0; goto evict
		fi
	}
#ifdef BROKEN_OWN_ROOM
own:
	t = tail;
	goto reserve;
#endif
#ifdef BROKEN_SLOT_LATE
late:
	atomic {
		w = slot[h % SLOTS] >> 1;
		CHECK(duplicated, outstanding & BIT(w));
		outstanding = outstanding & ~BIT(w);
		slot[h % SLOTS] = slot[h % SLOTS] & 1;
		w = 0;
		goto again
	}
#endif
unfilled:
	atomic {
		if
		:: head == h -> SEE(given_up_at_hole, true); goto push
		:: else -> SEE(hole_of_another_lap, true); goto evict
		fi
	}
reserve:
	atomic {
		h = 0;
		if
		:: tail == t ->
			tail = t + ONE;
			outstanding = outstanding | BIT(ITEM);
			CHECK(too_deep, POS(tail) - head <= CAP)
		:: else ->
			SEE(reservation_lost, true);
			goto again
		fi
	}
	atomic {
		MAY_STOP(stopped_at_hole);
		CHECK(overwritten, slot[POS(t) % SLOTS] >> 1 == 0);
		SEE(second_lap, POS(t) / SLOTS == 1);
		slot[POS(t) % SLOTS] = (ITEM << 1) | PARITY(POS(t))
	}
	CLAIM(POS(t), MAY_STOP(stopped_unclaimed), push);
#ifdef STOPPED
stop:
	atomic {
		somebody_stopped = true;
		v = 0;
		t = 0
	}
#endif
done:
	through++
}

active proctype closer()
{
	byte t, v;

again:
	t = tail;
	atomic {
		if
		:: tail == t -> tail = t | FINAL
		:: else -> goto again
		fi
	}
	CLAIM(POS(t), skip, done);
done:
	skip
}

active proctype worker()
{
	byte h, t, w;
#ifdef BROKEN_REST_STALE
	byte mine;
#endif

end_wait:
	atomic {
		queued > 0 -> queued--;
		CHECK(double_schedule, owner == NOBODY && queued == 0);
		owner = _pid
	}
look:
	h = head;
	atomic {
		w = slot[h % SLOTS];
		if
		:: (w & 1) == PARITY(h)
		:: else -> w = 0; goto rest
		fi
	}
	atomic {
		if
#ifdef BROKEN_TAKE_STORE
		:: true ->
#else
		:: head == h ->
#endif
			w = w >> 1;
			REMOVE(w);
			CHECK(reordered, last[PRODUCER_OF(w)] < w);
			last[PRODUCER_OF(w)] = w
#ifdef BROKEN_REST_STALE
			;
			mine++
#endif
#ifndef BROKEN_TAKE_STORE
		:: else -> SEE(take_lost, true)
#endif
		fi;
		w = 0;
		h = 0;
		goto look
	}
rest:
#ifdef BROKEN_REST_STALE
	atomic {
		w = h;
		h = mine
	}
#else
	h = head;
#endif
#ifdef BROKEN_REST_BLIND
	t = tail;
#endif
	atomic { /* from here on the mailbox may be in other hands */
		SEE(rest_behind_head, h < head);
		idle_at = h;
		owner = NOBODY
	}
	atomic {
#ifndef BROKEN_REST_BLIND
		t = tail;
#endif
		if
		:: POS(t) == h && !(t & FINAL) -> goto gone
		:: else
		fi
	}
	atomic {
		if
#ifdef BROKEN_REST_STORE
		:: true ->
#else
		:: idle_at == h ->
#endif
			idle_at = NONE;
			FREE_TO_TAKE;
			owner = _pid
#ifndef BROKEN_REST_STORE
		:: else -> SEE(rest_lost, true); goto gone
#endif
		fi;
		if
		:: POS(t) == h -> goto final
		:: else
		fi
	}
#ifdef BROKEN_REST_STALE
	h = w; /* where the take had looked */
	w = 0;
#endif
end_hole: /* Looking again is of use only after one of these has changed. */
	atomic {
		(head != h || tail != t || FILLED(head)) ->
		t = 0;
		h = 0;
		goto look
	}
final:
	atomic {
		CHECK(lost, outstanding == 0);
		final_delivered = true
	}
gone:
	atomic {
		if
		:: owner == _pid -> owner = NOBODY
		:: else
		fi;
		h = 0;
		t = 0;
		w = 0;
		goto end_wait
	}
}

#ifdef COUNTED
active proctype counter()
{
	byte t, h;

#ifdef BROKEN_DEPTH_ORDER
	h = head;
	t = tail;
#else
	t = tail;
	h = head;
#endif
	atomic {
		SEE(counted_behind, h > POS(t));
		CHECK(miscounted, h > POS(t) || POS(t) - h <= CAP)
	}
}
#endif

/* Runs when nobody else can. */
active proctype monitor()
{
	timeout ->
	CHECK(stuck, through == 2);
	if
	:: final_delivered -> skip
	:: else ->
		CHECK(stuck, somebody_stopped && POS(tail) > head && !FILLED(head))
	fi
}
