/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * congestion.pml - telling that a queue has become too long, and that it is short again
 *
 * Models lib/exec/limits.[ch], the word of three bits, over a queue of two positions:
 *   publisher  a push, sti_mailbox_has_crossed, which only looks, and some time later
 *              sti_mailbox_tell_congestion; with FORGET, there may be no memory to note a crossing,
 *              and it is left to the next push
 *   consumer   sti_mpsc_take_one, then sti_limits_taken; it may stop for ever after any item, as in
 *              a callback that does not return
 * A load of the word and the CAS that succeeds are one step: a CAS that fails is none. The depth is
 * two loads, as in sti_mpsc_depth: of tail, then of head.
 *
 *   WANT   the queue is too long: set by who finds it HIGH, cleared by who finds it LOW
 *   SHOWN  what the last call said
 *   BUSY   somebody calls, or is about to
 *
 *   Publisher                                   Consumer
 *     P1  tail + 1                                C1  head + 1
 *     P2  load the word: WANT: done               C2  load the word: not WANT: done
 *     P3  depth < HIGH: done                      C3  depth > LOW: done
 *     P4  CAS: WANT, and BUSY if it is            C4  CAS: not WANT, and BUSY if it is free and
 *         free and SHOWN differs                      SHOWN differs
 *     P5  depth > LOW: to P8                      C5  depth < HIGH: to C7
 *     P6  CAS as in C4                            C6  CAS as in P4; depth <= LOW: from C4
 *     P7  depth >= HIGH: from P4                  C7  if it has BUSY: calls
 *     P8  if it has BUSY: calls
 *   Calls (T)
 *     T1  WANT and SHOWN differ: call, change SHOWN, and again
 *     T2  CAS: not BUSY, unless WANT has changed since it was read: then from T1
 *
 *   C1 before P5   the publisher sees the short queue, and clears what he has set
 *   P5 before C1   then P4 before C2: the consumer sees WANT
 *   P1 before C5   the consumer sees the long queue, and sets what it has cleared
 *   C5 before P1   then C4 before P2: the publisher sees that WANT is clear
 *
 * Spin explores sequentially consistent steps. The consumer's C1 is a store, C2 a load of another
 * word: the store goes into a buffer here, which the process `memory` empties some time, and C2
 * waits until it is empty, as a sequentially consistent load does. The others' stores are
 * read-modify-writes, P1, P4, P6, C4, and the loads P2, P5, P7, C5 must stay behind them.
 *
 * Invariants (the name is printed by a violation)
 *   overlap    no call begins while another has not returned
 *   repeated   calls say true, false, true, and so on
 *   busy_left  when nobody can go on, nobody has BUSY
 *   untold     and SHOWN is WANT, and is what the last call said
 *   congested  and a short queue is not congested
 *   unseen     and a long one is, unless the last push found no memory to note it
 *
 * Configurations
 *   (none)   two publishers with 3 and 2 items; HIGH is 2, LOW is 0
 *   NARROW   the same, LOW is 1
 *   FORGET   as the first, with crossings that cannot be noted
 *
 * Variants that must fail, and how
 *   BROKEN_LOOK_ONCE  congested
 *       the publisher does not look at the depth again once he has set WANT
 *   BROKEN_HEAD_EARLY  congested
 *       he does, at a head that he loaded before
 *   BROKEN_LOOK_FIRST  congested
 *       the consumer looks at the word and lowers the depth then
 *   BROKEN_BUFFERED  congested
 *       its store of head may still be on its way when it looks at the word
 *   BROKEN_DEPTH_FIRST  unseen
 *       the publisher looks at the depth and pushes then
 *   BROKEN_WORD_FIRST  unseen
 *       he looks at the word and pushes then
 *   BROKEN_PUBLISHER_ONCE  unseen
 *       the publisher who clears WANT again does not look at the depth after that
 *   BROKEN_CONSUMER_ONCE  unseen
 *       nor does the consumer who clears it
 *   BROKEN_TAIL_EARLY  unseen
 *       he does, at a tail that he loaded before
 *   BROKEN_BLIND_RELEASE  untold
 *       BUSY is given back without another look at WANT
 *   BROKEN_TELL_LOST  busy_left
 *       that the first CAS took BUSY is forgotten when the second does not
 *   BROKEN_NOT_BUSY  overlap
 *       whoever makes WANT and SHOWN differ calls
 *   BROKEN_NOT_SHOWN  repeated
 *       whoever changes WANT takes BUSY, and calls until it has said what WANT is: a crossing there
 *       and back before the first call makes it say what was said last
 *   BROKEN_SET_FIRST  busy_left untold
 *       (FORGET) a publisher sets WANT, and BUSY, before he knows whether he can note that
 */
#include "check.h"

#define HIGH 2
#ifdef NARROW
#define LOW 1
#else
#define LOW 0
#endif
#define ITEMS 3 /* of publisher 0; the other has one less */

#define WANT 1
#define SHOWN 2
#define BUSY 4

/* The queue, as it is in memory; the word. */
byte head, tail;
byte word;

/* The consumer's store buffer: position + 1 for head. */
byte stored;

/* Ghosts. */
byte taken;               /* what head is for the consumer */
bool calling, last;
bool lost;                /* the last push found no memory */

hidden byte overlap, repeated, busy_left, untold, congested, unseen;

#define DIFFERS(w) (((w) & WANT) != (((w) & SHOWN) >> 1))
#ifdef BROKEN_NOT_SHOWN
#define NOTHING 2
#define TO_TELL(old, new) (((old) & WANT) != ((new) & WANT))
#define STILL_TO_TELL ((word & WANT) != said)
#else
#define TO_TELL(old, new) DIFFERS(new)
#define STILL_TO_TELL DIFFERS(word)
#endif
#ifdef BROKEN_NOT_BUSY
#define IS_FREE(w) true
#else
#define IS_FREE(w) (!((w) & BUSY))
#endif

/* congestion_set. Uses new, adds to tell. */
inline set(want)
{
	atomic {
		new = (word & ~WANT) | want;
		SEE(changed_while_busy, (word & BUSY) && new != word);
		SEE(cleared_late, new != word && want == 0 && tail - taken >= HIGH);
#ifdef BROKEN_TELL_LOST
		tell = false;
#endif
		if
		:: IS_FREE(new) && TO_TELL(word, new) ->
			new = new | BUSY;
			tell = true
		:: else
		fi;
		word = new;
		new = 0
	}
}

inline begin_call()
{
	CHECK(overlap, !calling);
	CHECK(repeated, (word & WANT) != last);
	calling = true;
	last = word & WANT;
#ifdef BROKEN_NOT_SHOWN
	said = last
#endif
}

/* sti_mailbox_tell_congestion. A call begins in the step that loads what leads to it. */
inline tell_all()
{
	do
	:: atomic {
		STILL_TO_TELL ->
		begin_call()
	   };
	   do
	   :: atomic { /* T1 */
		calling = false;
		word = word ^ SHOWN;
		if
		:: STILL_TO_TELL -> SEE(calls_again, true); begin_call()
		:: else -> break
		fi
	   }
	   od
#ifdef BROKEN_BLIND_RELEASE
	:: !STILL_TO_TELL ->
	   word = word & ~BUSY;
	   break
#else
	:: atomic { /* T2 */
		!STILL_TO_TELL ->
		word = word & ~BUSY;
		break
	   }
#endif
	od
}

/* Of the queue, behind t = tail: none if head has gone further since. */
#define LENGTH (t > head -> t - head : 0)

active [2] proctype publisher()
{
	byte k, t, new;
	bool tell;
#ifdef BROKEN_WORD_FIRST
	bool wanted;
#endif
#ifdef BROKEN_NOT_SHOWN
	byte said = NOTHING;
#endif
#ifdef BROKEN_HEAD_EARLY
	byte h;
#endif

push:
	atomic {
		tell = false;
#ifdef BROKEN_NOT_SHOWN
		said = NOTHING;
#endif
		t = 0;
		if
		:: k == ITEMS - _pid -> goto done
		:: else -> k++
		fi
	}
#ifdef BROKEN_WORD_FIRST
	wanted = word & WANT;
#endif
#ifndef BROKEN_DEPTH_FIRST
	atomic { /* P1 */
		tail++;
		lost = false
	}
#endif
	atomic { /* P2 */
		if
#ifdef BROKEN_WORD_FIRST
		:: wanted -> wanted = false; goto pushed
#else
		:: word & WANT -> goto pushed
#endif
		:: else
		fi
	}
	t = tail;
	atomic { /* P3 */
		if
		:: LENGTH < HIGH -> t = 0; goto pushed
		:: else -> t = 0
		fi
	}
#ifdef FORGET
	if
	:: true ->
#ifdef BROKEN_SET_FIRST
		set(WANT);
#endif
		lost = true;
		goto pushed
	:: true
	fi;
#endif
#ifdef BROKEN_HEAD_EARLY
	h = head;
#endif
follow:
	set(WANT); /* P4 */
#ifndef BROKEN_LOOK_ONCE
	t = tail;
	atomic { /* P5 */
#ifdef BROKEN_HEAD_EARLY
		t = t - h;
		h = 0;
#else
		t = LENGTH;
#endif
		if
		:: t > LOW -> t = 0; goto call
		:: else -> SEE(second_look, true); t = 0
		fi
	}
	set(0); /* P6 */
#ifndef BROKEN_PUBLISHER_ONCE
	t = tail;
	atomic { /* P7 */
		if
		:: LENGTH >= HIGH -> SEE(third_look, true); t = 0; goto follow
		:: else -> t = 0
		fi
	}
#endif
call:
#endif
	if
	:: tell -> tell_all() /* P8 */
	:: else
	fi;
pushed:
#ifdef BROKEN_DEPTH_FIRST
	tail++;
#endif
	goto push;
done:
	skip
}

active proctype memory()
{
end:
	do
	:: atomic {
		stored > 0 ->
		head = stored - 1;
		stored = 0
	}
	od
}

#define BUFFER_EMPTY (stored == 0)

active proctype consumer()
{
	byte t, new;
	bool tell, wanted;
#ifdef BROKEN_NOT_SHOWN
	byte said = NOTHING;
#endif

take:
end_take:
	atomic {
		if
		:: tail > taken
		:: tail > taken -> SEE(stops_behind, true); goto done
		fi;
		tell = false;
#ifdef BROKEN_NOT_SHOWN
		said = NOTHING;
#endif
		BUFFER_EMPTY
	}
#ifdef BROKEN_LOOK_FIRST
	wanted = word & WANT;
#endif
	atomic { /* C1 */
		BUFFER_EMPTY;
		taken++;
		stored = taken + 1
	}
#ifndef BROKEN_BUFFERED
	BUFFER_EMPTY;
#endif
#ifndef BROKEN_LOOK_FIRST
	wanted = word & WANT; /* C2 */
#endif
	atomic {
		if
		:: !wanted -> goto take
		:: else -> wanted = false
		fi
	}
	atomic {
		if
		:: tail - taken > LOW -> goto take /* C3 */
		:: else
		fi
	}
clear:
#ifdef BROKEN_TAIL_EARLY
	t = tail;
#endif
	set(0); /* C4 */
#ifndef BROKEN_CONSUMER_ONCE
#ifndef BROKEN_TAIL_EARLY
	t = tail;
#endif
	atomic { /* C5 */
		if
		:: t - taken < HIGH -> t = 0; goto call
		:: else -> SEE(consumer_looks, true); t = 0
		fi
	}
	set(WANT); /* C6 */
	atomic {
		if
		:: tail - taken <= LOW -> goto clear /* never: it alone takes */
		:: else
		fi
	}
call:
#endif
	if
	:: tell -> SEE(consumer_calls, true); tell_all() /* C7 */
	:: else
	fi;
	goto take;
done:
	skip
}

/* Runs when nobody else can. */
active proctype monitor()
{
	timeout;
	CHECK(busy_left, !(word & BUSY));
	CHECK(untold, !DIFFERS(word) && ((word & SHOWN) != 0) == last);
	CHECK(congested, tail - taken > LOW || !(word & (WANT | SHOWN)));
#ifdef FORGET
	SEE(left_to_next_push, tail - taken >= HIGH && !(word & WANT));
#endif
	CHECK(unseen, tail - taken < HIGH || (word & WANT) || lost)
}
