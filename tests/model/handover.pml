/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.pml - who runs a mailbox: going idle and being woken without a flag per push
 *
 * Models the end of lib/ring/ring.[ch] that faces the executor:
 *   producer   the part of sti_mpsc_push behind the reservation, then sti_executor_schedule if the
 *              push says so
 *   carrier    with CARRY, producers begin with sti_mpsc_carry, and push if that cannot be
 *   closer     sti_mpsc_close, likewise
 *   worker     takes the mailbox from the run queue and owns it: sti_mailbox_run, that is
 *              sti_mpsc_take and the callback; gives it up with sti_mpsc_rest
 * The contents of rings, their capacity and wrap-around are in ring.pml. Here positions do not
 * wrap, a slot is one bit, and the first ring may be found full at any push: that is more than the
 * code can do, and includes a grower who decided long ago. Parking is in park.pml: a mailbox in the
 * run queue is taken by some worker.
 *
 * Spin explores every interleaving of sequentially consistent steps. The argument below needs that
 * order of T, I1, I2 and C: two threads each write one word and then read the other's. So these
 * four are seq_cst in the code, and so are the two other writes of tail that a claim follows, the
 * CAS of the closer and the OR of CLOSED. The store to the slot needs only release.
 *
 * The word idle_at, one per ring, is NONE while the mailbox is in somebody's hands: in a worker's,
 * in the run queue's, or in those of a thread about to put it there. Otherwise it holds the
 * position at which the mailbox rests, and whoever changes it back to NONE by CAS has the mailbox
 * in his hands.
 *
 *   Producer                              Worker that finds nothing at position h
 *     T   CAS tail, reserving t             I1  idle_at = h
 *         store the slot                    I2  load tail
 *     C   load idle_at                          position == h and open: done, it is not mine now
 *         idle_at <= t: CAS it to NONE          else CAS idle_at from h to NONE
 *           won: schedule the mailbox             won: still mine; lost: somebody has scheduled it
 *
 *   T before I2   the worker sees the reservation and takes the mailbox back, or finds it taken
 *   I2 before T   then I1 before C: the producer sees that the mailbox rests, and at most at t
 *
 * A carrier claims before it has pushed: it loads idle_at and tail, and if the mailbox rests at tail,
 * which is open, it changes idle_at to NONE by CAS. Its item goes to the callback before what is in
 * the queue by then; the mailbox goes on from there as from a batch that has been delivered. (In the
 * code idle_at is CARRYING until the item has been counted, which is NONE to all but who counts; and
 * a carrier looks at tail again when he has claimed, and if it has moved pushes the item, which the
 * explorer covers. Here he carries it all the same, which is more than the code does.)
 *
 * Claiming is the three lines from C on. It is done
 *   - by each producer after filling its slot; with <=, not ==, so that the mailbox is scheduled
 *     even if the producer of slot idle_at is stopped before it has filled it;
 *   - by the closer, after setting FINAL, with the position found in tail;
 *   - by whoever goes on from a closed ring to the next, the one who has closed it included, before
 *     it moves tail_ring. The message goes to the next ring, but the mailbox may rest at this one.
 *     After a claim that follows CLOSED nobody rests here again (I2), so those who begin at the
 *     next ring need not look.
 *
 * Having stored idle_at the worker may touch nothing of the mailbox any more, and the ring only
 * because it is in an RCU read section that it entered before: another worker may have come,
 * consumed the ring and retired it, or even delivered the final message. The worker may lose the
 * CAS; and it may win it although the mailbox has been in other hands in between, if it came to
 * rest at the same place again. Both are right: the word says where the mailbox is, not who put it
 * there.
 *
 * Invariants (the name is printed by a violation)
 *   two_owners       whoever takes the mailbox (pop, claim, or CAS back) finds it without an owner
 *   double_schedule  and not in the run queue; so callbacks never overlap
 *   not_owner        nobody touches the owner's fields without owning the mailbox
 *   moved            who takes the mailbox back finds the owner's fields as he left them
 *   use_after_free   nobody uses a retired ring but in a section begun before it was retired
 *   after_final      no callback and no scheduling after the final message
 *   overtaken        an item is carried only when nothing that its producer has pushed is in the
 *                    queue
 *   lost_wakeup      when nobody can go on, the final message has been delivered and nothing is
 *                    outstanding; with STOPPED, or the owner waits at the hole of the stopped
 *                    thread
 *
 * Configurations
 *   (none)   two producers with two items each, a closer, two workers
 *   CARRY    the same with carriers, of whom the second has one item. The claim and the callback
 *            are two steps
 *   STOPPED  producer 0 has one item, and may stop for ever once it has reserved a slot or closed a
 *            ring, before each further step that changes a shared word. One place is left out:
 *            between winning a claim and scheduling, which is one step here. A thread stopped there
 *            has the mailbox in its hands, and delays it until it runs again.
 * Events that a configuration cannot reach (see check.h)
 *   NEVER default  stopped_at_hole
 *   NEVER CARRY    stopped_at_hole
 *
 * Variants that must fail, and how; the last two in the configuration STOPPED, BROKEN_CARRY_ in CARRY
 *   BROKEN_LATE_IDLE  lost_wakeup
 *       tail is read before idle_at is stored: a push in between is seen by nobody
 *   BROKEN_CLAIM_STORE  double_schedule after_final
 *       the claim is a store: two who saw the mailbox rest both schedule it
 *   BROKEN_REST_STORE  two_owners not_owner moved
 *       the worker takes the mailbox back with a store, though a producer has claimed it
 *   BROKEN_CLOSED_RESTS  lost_wakeup
 *       the worker gives up at a closed ring: the claim of the closer or grower has gone by
 *   BROKEN_CLOSER_SILENT  lost_wakeup
 *       the closer does not claim: nobody comes to deliver the final message
 *   BROKEN_WALKER_SILENT  lost_wakeup
 *       those who go on from a closed ring do not claim: the mailbox rests there, while the
 *       messages go to the next
 *   BROKEN_REST_UNPROTECTED  use_after_free
 *       the worker looks at tail outside a read section, after somebody else has run the mailbox
 *   BROKEN_CARRY_BLIND  overtaken
 *       a carrier does not look at tail: what it has pushed may be there, and nobody be at it yet
 *   BROKEN_CARRY_STORE  two_owners double_schedule
 *       it takes the mailbox with a store
 *   BROKEN_EXACT  lost_wakeup
 *       == in place of <=: only the producer of the slot claims, and that one is stopped
 *   BROKEN_MOVE_FIRST  lost_wakeup
 *       tail_ring is moved before the claim, by a producer that is stopped then: the others begin
 *       at the next ring
 */
#include "check.h"

#define NONE 255
#define NOBODY 255
#ifndef ITEMS
#define ITEMS 2 /* of each producer */
#endif
#ifdef STOPPED
#define MINE (_pid == 0 -> 1 : ITEMS) /* it is enough to stop in the first push */
#elif defined(CARRY)
#define MINE (_pid == 0 -> ITEMS : 1)
#else
#define MINE ITEMS
#endif
#define RINGS 2

#define CLOSED 1
#define FINAL 2
#define ONE 4 /* one position */
#define POS(t) ((t) >> 2)

#ifdef BROKEN_EXACT
#define RESTS_FOR(v, pos) ((v) == (pos))
#else
#define RESTS_FOR(v, pos) ((v) <= (pos))
#endif

/* The queue. */
byte tail_ring;
byte tail[RINGS];
byte idle_at[RINGS] = NONE;
byte filled[RINGS]; /* set of positions */

/* The mailbox: fields that only its owner may touch, handed on with it. */
byte box_ring, box_head;

/* The run queue: how often the mailbox is in it. To begin with it is: the worker who comes finds
 * nothing and lets it rest, or finds something. */
byte queued = 1;

/* Ghosts. */
byte owner = NOBODY;
byte outstanding;        /* reserved, not delivered */
byte retired;            /* set of rings */
bool final_delivered, somebody_stopped, first_began;
bool again_at_hole;      /* At a hole the mailbox goes round; once per hole is enough. */
bool first_waits = true; /* The workers are alike: if both wait, it is enough to try the first. */
#define FIRST_WORKER 3

hidden byte two_owners, double_schedule, not_owner, moved, use_after_free, after_final;
hidden byte lost_wakeup, overtaken;

#ifdef CARRY
byte of_1[RINGS];    /* set of positions that producer 1 has reserved */
byte in_queue[2];    /* of each producer */
#define NOTE_PUSH                                                          \
	in_queue[_pid]++;                                                  \
	of_1[ring] = of_1[ring] | (_pid == 1 -> BIT(POS(t)) : 0)
#define NOTE_TAKEN in_queue[(of_1[box_ring] & BIT(box_head) -> 1 : 0)]--
#define BEGIN_PUSH goto carry
#else
#define NOTE_PUSH skip
#define NOTE_TAKEN skip
#define BEGIN_PUSH skip
#endif

#ifdef BROKEN_CARRY_BLIND
#define CARRIES(v, t) ((v) != NONE)
#else
#define CARRIES(v, t) ((v) == POS(t) && !((t) & CLOSED))
#endif
#ifdef BROKEN_CARRY_STORE
#define CARRIER_WINS true
#else
#define CARRIER_WINS (idle_at[ring] == v)
#endif

#define OWNED CHECK(not_owner, owner == _pid)

/* Whoever takes the mailbox finds it in nobody's hands. */
#define FREE_TO_TAKE                                                       \
	CHECK(two_owners, owner == NOBODY);                                \
	CHECK(double_schedule, queued == 0);                               \
	CHECK(after_final, !final_delivered)

/* A section that begins at a ring not yet retired protects it and all that follow. */
#define ENTER_AT(r) CHECK(use_after_free, !(retired & BIT(r)))

#ifdef BROKEN_REST_UNPROTECTED
#define TOUCH_RESTING(r) CHECK(use_after_free, !(retired & BIT(r)))
#else
#define TOUCH_RESTING(r) skip
#endif

#ifdef BROKEN_CLOSED_RESTS
#define MAY_REST(t) true
#else
#define MAY_REST(t) (!((t) & CLOSED))
#endif
#define LOOK_AT_TAIL                                                       \
	if                                                                 \
	:: POS(tail[ring]) > h -> seen = HOLE                              \
	:: POS(tail[ring]) == h && MAY_REST(tail[ring]) -> seen = 0        \
	:: else -> seen = (tail[ring] & FINAL -> THE_END : NEXT)           \
	fi

#ifdef STOPPED
#define FIRST_COMES_FIRST skip
#define MAY_STOP(where)                                                    \
	if                                                                 \
	:: _pid == 0 -> SEE(where, true); goto stop                        \
	:: true                                                            \
	fi
#elif defined(CARRY)
#define FIRST_COMES_FIRST skip
#define MAY_STOP(where) skip
#else
/* The producers are alike: it is enough to let the first begin. */
#define FIRST_COMES_FIRST (first_began || _pid == 0); first_began = true
#define MAY_STOP(where) skip
#endif

#ifdef BROKEN_CLAIM_STORE
#define CLAIM_SUCCEEDS true
#else
#define CLAIM_SUCCEEDS (idle_at[ring] == v)
#endif

/* Takes the mailbox if it rests at `ring`, at or before `pos`, and puts it into the run queue.
 * Winning and queueing are one step here: what happens between them could as well happen after. */
#define CLAIM(pos, found, may_stop, cleanup, after)                        \
	atomic { /* C */                                                   \
		v = idle_at[ring];                                         \
		if                                                         \
		:: RESTS_FOR(v, pos) -> SEE(found, true)                   \
		:: else -> v = 0; cleanup; goto after                      \
		fi                                                         \
	};                                                                 \
	atomic {                                                           \
		may_stop;                                                  \
		if                                                         \
		:: CLAIM_SUCCEEDS ->                                       \
			SEE(claimed_for_another, v < pos);                 \
			FREE_TO_TAKE;                                      \
			idle_at[ring] = NONE;                              \
			queued++                                           \
		:: else ->                                                 \
			SEE(claim_lost, true)                              \
		fi;                                                        \
		v = 0;                                                     \
		cleanup;                                                   \
		goto after                                                 \
	}

inline forget()
{
	ring = 0;
	t = 0
}

inline follow_next()
{
	tail_ring = 1; /* unless it is already */
	ring = 1;
	t = 0
}

active [2] proctype producer()
{
	byte k, ring, t, v;

push:
	/* Once it has had the final message, the topic does not list the subscription any more. */
	atomic {
		FIRST_COMES_FIRST;
		if
		:: k == MINE || final_delivered -> goto end_done
		:: else
		fi;
		k++;
		ring = tail_ring;
		ENTER_AT(ring);
		BEGIN_PUSH
	}
#ifdef CARRY
carry:
	v = idle_at[ring];
	atomic {
		if
		:: CARRIES(v, tail[ring])
		:: else -> v = 0; goto again
		fi
	};
	atomic {
		if
		:: CARRIER_WINS
		:: else -> SEE(carry_lost, true); v = 0; goto again
		fi;
		SEE(carried, true);
		SEE(carried_before_a_push, POS(tail[ring]) != v);
		SEE(carried_into_closed, tail[ring] & CLOSED);
		v = 0;
		FREE_TO_TAKE;
		CHECK(overtaken, in_queue[_pid] == 0);
		idle_at[ring] = NONE;
		owner = _pid;
		forget()
	};
	atomic {
		OWNED;
		CHECK(after_final, !final_delivered);
		owner = NOBODY;
		queued++;
		goto push
	};
#endif
again:
	/* A load of tail and the CAS that succeeds are one step, since tail has not changed in
	 * between; a CAS that fails is none. Any producer may find ring 0 full, whatever has become
	 * of it since. */
	atomic { /* T */
		t = tail[ring];
		if
		:: !(t & CLOSED) ->
			tail[ring] = t + ONE;
			NOTE_PUSH;
			outstanding++
		:: (t & CLOSED) && !(t & FINAL) ->
			goto walk
		:: t & FINAL ->
			SEE(refused, true);
			forget();
			goto push
		:: ring == 0 -> /* grow */
			SEE(grower_meets_final, t & FINAL);
			tail[ring] = t | CLOSED;
			t = 0;
			goto again
		fi
	}
	atomic {
		MAY_STOP(stopped_before_fill);
		filled[ring] = filled[ring] | BIT(POS(t))
	}
	CLAIM(POS(t), producer_finds_idle, MAY_STOP(stopped_before_claim), forget(), push);
walk:
#ifdef BROKEN_MOVE_FIRST
	tail_ring = 1;
#endif
#ifndef BROKEN_WALKER_SILENT
	CLAIM(POS(t), walker_finds_idle, MAY_STOP(stopped_before_claim_at_walk), skip, follow);
#endif
follow:
	atomic {
		MAY_STOP(stopped_before_follow);
		follow_next();
		goto again
	}
#ifdef STOPPED
stop:
	atomic {
		somebody_stopped = true;
		v = 0;
		forget()
	}
#endif
end_done:
	false
}

active proctype closer()
{
	byte ring, t, v;

	atomic {
		ring = tail_ring;
		ENTER_AT(ring)
	}
again:
	atomic { /* T */
		t = tail[ring];
		if
		:: t & CLOSED -> goto walk
		:: else -> tail[ring] = t | CLOSED | FINAL
		fi
	}
#ifndef BROKEN_CLOSER_SILENT
	CLAIM(POS(t), closer_finds_idle, skip, forget(), end_done);
#else
	goto end_done;
#endif
walk:
#ifndef BROKEN_WALKER_SILENT
	CLAIM(POS(t), closer_finds_idle_at_walk, skip, skip, follow);
#endif
follow:
	atomic {
		follow_next();
		goto again
	}
end_done:
	false
}

/* What a worker at rest has seen in tail. */
#define HOLE 1     /* a slot reserved and not filled, or filled in the meantime */
#define THE_END 2  /* all consumed, and FINAL */
#define NEXT 3     /* all consumed, and CLOSED */

inline wait_again()
{
	ring = 0;
	h = 0;
	seen = 0;
	first_waits = first_waits || _pid == FIRST_WORKER
}

/* The callback, and then the next look or, at the end of a batch, the back of the run queue: from
 * there any worker may take the mailbox. */
#define DELIVER                                                            \
	OWNED;                                                             \
	CHECK(after_final, !final_delivered);                              \
	outstanding--;                                                     \
	NOTE_TAKEN;                                                        \
	again_at_hole = false;                                             \
	box_head++;                                                        \
	if                                                                 \
	:: goto look                                                       \
	:: owner = NOBODY; queued++; wait_again(); goto end_wait           \
	fi

active [2] proctype worker()
{
	byte ring, h, seen; /* what it still knows while the mailbox rests */

end_wait:
	atomic {
		queued > 0 && (_pid == FIRST_WORKER || !first_waits);
		queued--;
		FREE_TO_TAKE;
		owner = _pid;
		first_waits = first_waits && _pid != FIRST_WORKER
	}
look:
	atomic {
		OWNED;
		if
		:: filled[box_ring] & BIT(box_head) -> DELIVER
		:: else
		fi
	}
#ifdef BROKEN_LATE_IDLE
	atomic {
		ring = box_ring;
		h = box_head;
		LOOK_AT_TAIL
	}
#endif
	atomic { /* I1: from here on it may be in other hands */
		OWNED;
		ring = box_ring;
		h = box_head;
		idle_at[ring] = h;
		owner = NOBODY
	}
	atomic { /* I2 */
		TOUCH_RESTING(ring);
		SEE(rest_at_retired_ring, retired & BIT(ring));
#ifndef BROKEN_LATE_IDLE
		LOOK_AT_TAIL;
#endif
		if
		:: seen == 0 -> wait_again(); goto end_wait
		:: else
		fi
	}
	atomic {
		TOUCH_RESTING(ring);
#ifndef BROKEN_REST_STORE
		if
		:: idle_at[ring] == h
		:: else -> SEE(rest_lost, true); wait_again(); goto end_wait
		fi;
#endif
		idle_at[ring] = NONE;
		FREE_TO_TAKE;
		CHECK(moved, box_ring == ring && box_head == h);
		owner = _pid;
		ring = 0;
		h = 0;
		if
		:: seen == HOLE ->
			seen = 0;
			SEE(hole, !(filled[box_ring] & BIT(box_head)));
			if
			:: !again_at_hole -> /* the back of the run queue */
				again_at_hole = true;
				owner = NOBODY;
				queued++;
				wait_again();
				goto end_wait
			:: true
			fi
		:: seen == NEXT -> seen = 0; goto next
		:: seen == THE_END ->
			SEE(final_in_second_ring, box_ring == 1);
			final_delivered = true;
			owner = NOBODY;
			retired = retired | BIT(box_ring);
			wait_again();
			goto end_wait
		fi
	}
end_hole: /* The position is reserved: wait for the slot. */
	atomic {
		filled[box_ring] & BIT(box_head);
		DELIVER
	}
next:
	atomic {
		OWNED;
		SEE(next_ring, true);
		tail_ring = 1; /* no lag behind a retired ring, see ring.pml */
		retired = retired | BIT(box_ring);
		box_ring++;
		box_head = 0;
		goto look
	}
}

/* Runs when nobody else can. */
active proctype monitor()
{
	timeout ->
	if
	:: final_delivered ->
		CHECK(lost_wakeup, outstanding == 0)
	:: else ->
		SEE(stopped_at_hole, somebody_stopped);
		CHECK(lost_wakeup, somebody_stopped && owner != NOBODY &&
			POS(tail[box_ring]) > box_head && !(filled[box_ring] & BIT(box_head)))
	fi
}
