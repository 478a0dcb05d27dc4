/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * room.pml - publishers that wait for room in a bounded queue, and what makes room
 *
 * Models, of a queue that neither evicts nor grows by itself:
 *   publisher  sti_mpsc_push; when that finds the queue full, he counts himself as waiting, pushes
 *              again and sleeps on an event count until something has changed
 *   consumer   sti_mpsc_take_one, and the part of sti_mpsc_rest that goes to the next ring; after
 *              either he looks whether somebody waits
 *   closer     sti_mpsc_close, then wakes those who wait
 *   forcer     with FORCED, sti_mpsc_push_n with STI_MPSC_FORCE, once, into the full first ring
 * Slots and their laps are in ring.pml, who runs the queue is in handover.pml; a consumer who finds
 * nothing waits here.
 *
 * Spin explores sequentially consistent steps, which is more order than the consumer has: his store
 * of head and his load of the count of those who wait go to two words, and on many machines a store
 * waits in a buffer while a later load is carried out. So the consumer's stores to head and limit
 * go into a buffer here, of one word, which the process `memory` empties some time. A store is
 * sequentially consistent if the load after it waits until the buffer is empty. The publisher's
 * side is a read-modify-write, then loads: that has no buffer.
 *
 *   Publisher                                   Consumer
 *     W1  waiters + 1                             P1  head + 1, or the limit of the ring entered
 *     W2  value of the event count                P2  load waiters: not 0: signal
 *     W3  push: room, or ended: waiters - 1     Closer
 *         full: sleep while the value is as       Q1  set FINAL
 *         in W2, then from W2                     Q2  load waiters: not 0: signal
 *
 *   P1 before W3   the publisher finds room
 *   W3 before P1   then W1 before P2: the consumer signals, after W2: the sleep ends
 *   and with Q1 and Q2 likewise. A waiting publisher finds the room that he was woken for taken by
 *   another: then the next take comes after that one's push.
 *
 * A forced push links a second ring with a limit of 0, so that ordinary pushes find it full until
 * the consumer has emptied the first ring. He makes room then without taking anything, and must
 * wake: the forcer may be stopped before he has pushed.
 *
 * Invariants (the name is printed by a violation)
 *   too_long   an ordinary push never makes the queue longer than its capacity
 *   asleep     when nobody can go on, no publisher sleeps
 *
 * Configurations
 *   (none)   capacity 1, two publishers with 2 items each
 *   FORCED   the same, 1 item each, and a forced push
 *   BUSY     the consumer may stop for ever once he has taken an item, as in a callback that does
 *            not return; the closer wakes the publishers nevertheless
 *   LATE     the closer waits until the publishers are through: it is not he who wakes them
 *   LATE and FORCED  both, and the forcer may be stopped before he pushes
 * Events that a configuration cannot reach (see check.h)
 *   NEVER LATE         ended_while_waiting
 *   NEVER LATE+FORCED  ended_while_waiting
 *
 * Variants that must fail, and how
 *   BROKEN_COUNT_LATE  asleep
 *       (LATE) the publisher counts himself only after the last try
 *   BROKEN_VALUE_LATE  asleep
 *       (LATE) he reads the event count only after the last try: a signal in between is not noticed
 *   BROKEN_BUFFERED  asleep
 *       (LATE) the consumer's store of head may still be on its way when he looks who waits
 *   BROKEN_LOOK_FIRST  asleep
 *       (LATE) the consumer looks who waits and publishes head then
 *   BROKEN_CLOSE_SILENT  asleep
 *       (BUSY) the closer wakes nobody
 *   BROKEN_ENTER_SILENT  asleep
 *       (LATE and FORCED) the consumer does not wake when he enters a ring
 *   BROKEN_LIMIT_OPEN  too_long
 *       (FORCED) the second ring has its limit from the start
 */
#include "check.h"

#define CAP 1
#ifdef FORCED
#define RINGS 2
#define ITEMS 1
#else
#define RINGS 1
#define ITEMS 2
#endif

#define CLOSED 1
#define FINAL 2
#define ONE 4 /* one position */
#define POS(t) ((t) >> 2)

/* The queue, as it is in memory. A reserved slot is filled at once. */
byte tail_ring;
byte tail[RINGS];
byte head[RINGS];
#ifdef BROKEN_LIMIT_OPEN
byte limit[RINGS] = CAP;
#elif defined(FORCED)
byte limit[RINGS] = { CAP, 0 };
#else
byte limit[RINGS] = CAP;
#endif

/* Those who wait. */
byte waiters, count;

/* The consumer's store buffer: position + 1 for head of a ring, or its limit. */
byte stored_head, stored_ring;
bool stored_limit;

/* Ghosts. */
byte length; /* of the whole queue: pushed and not taken */
byte through;

hidden byte too_long, asleep;

#define BUFFER_EMPTY (stored_head == 0 && !stored_limit)

active proctype memory()
{
end:
	do
	:: atomic {
		stored_head > 0 ->
		head[stored_ring] = stored_head - 1;
		stored_head = 0;
		stored_ring = 0
	}
#ifdef FORCED
	:: atomic {
		stored_limit ->
		limit[1] = CAP;
		stored_limit = false
	}
#endif
	od
}

/* One try. */
#define TRY(in_after, ended_after, full_after)                             \
	atomic { ring = tail_ring };                                       \
	do                                                                 \
	:: atomic {                                                        \
		t = tail[ring];                                            \
		if                                                         \
		:: t & FINAL -> t = 0; ring = 0; goto ended_after          \
		:: (t & CLOSED) && !(t & FINAL) ->                         \
			tail_ring = ring + 1;                              \
			ring++;                                            \
			t = 0                                              \
		:: else -> break                                           \
		fi                                                         \
	}                                                                  \
	od;                                                                \
	bound = limit[ring];                                               \
	atomic {                                                           \
		bound = (((POS(t) - head[ring]) & 255) < bound -> 1 : 0)   \
	};                                                                 \
	atomic { /* full, if tail has not moved meanwhile */               \
		if                                                         \
		:: tail[ring] == t && bound == 0 ->                        \
			t = 0; ring = 0;                                   \
			goto full_after                                    \
		:: tail[ring] == t && bound > 0 ->                         \
			tail[ring] = t + ONE;                              \
			length++;                                          \
			CHECK(too_long, length <= CAP);                    \
			t = 0; bound = 0; ring = 0;                        \
			goto in_after                                      \
		:: else -> t = 0; bound = 0; goto again                    \
		fi                                                         \
	}

active [2] proctype publisher()
{
	byte k, ring, t, bound, value;
	bool waiting;

push:
	atomic {
		if
		:: k == ITEMS -> goto done
		:: else -> k++
		fi
	}
again:
	TRY(got_in, ended, no_room);
no_room:
	atomic {
		if
		:: waiting -> goto wait
		:: else
		fi
	}
#ifndef BROKEN_COUNT_LATE
	atomic { /* W1 */
		waiters++;
		waiting = true
	}
value_again:
#ifndef BROKEN_VALUE_LATE
	value = count; /* W2 */
#endif
	goto again; /* W3 */
wait:
#ifdef BROKEN_VALUE_LATE
	value = count;
#endif
#else
value_again:
	value = count;
	waiting = true;
	goto again;
wait:
	waiters++;
#endif
	SEE(sleeps, true);
end_sleep:
	count != value;
	atomic {
		SEE(woken, true);
#ifdef BROKEN_COUNT_LATE
		waiters--;
#endif
		value = 0;
		goto value_again
	}
got_in:
	atomic {
		SEE(got_in_after_waiting, waiting);
		goto settle
	}
ended:
	atomic {
		SEE(ended_while_waiting, waiting);
		goto settle
	}
settle:
	atomic {
#ifndef BROKEN_COUNT_LATE
		if
		:: waiting -> waiters--
		:: else
		fi;
#endif
		waiting = false;
		value = 0;
		goto push
	}
done:
	through++
}

#define SIGNAL_IF_SOMEBODY_WAITS                                           \
	atomic {                                                           \
		w = waiters                                                \
	};                                                                 \
	atomic {                                                           \
		if                                                         \
		:: w > 0 -> count++                                        \
		:: else                                                    \
		fi;                                                        \
		w = 0                                                      \
	}

active proctype closer()
{
	byte ring, t, w;

#ifdef LATE
	through == 2;
#endif
again:
	atomic { /* Q1; the walk to the last ring is in ring.pml */
		if
		:: !(tail[ring] & CLOSED) ->
			tail[ring] = tail[ring] | CLOSED | FINAL
		:: else -> ring++; goto again
		fi
	}
#ifndef BROKEN_CLOSE_SILENT
	SIGNAL_IF_SOMEBODY_WAITS /* Q2 */
#endif
}

#ifdef FORCED
active proctype forcer()
{
	byte t;

	atomic { /* finds the first ring full, by its real size: here, at any time */
		if
		:: !(tail[0] & CLOSED) -> tail[0] = tail[0] | CLOSED
		:: else -> goto done
		fi
	}
#ifdef LATE
	if
	:: true -> SEE(forcer_stopped, true); goto done
	:: true
	fi;
#endif
	atomic {
		if
		:: !(tail[1] & FINAL) ->
			tail[1] = tail[1] + ONE;
			length++
		:: else
		fi
	}
done:
	skip
}
#endif

active proctype consumer()
{
	byte ring, h, w;

look:
end_look:
	atomic {
		if
		:: POS(tail[ring]) > h -> goto take
		:: POS(tail[ring]) == h && (tail[ring] & FINAL) -> goto done
#ifdef FORCED
		:: POS(tail[ring]) == h && (tail[ring] & CLOSED) &&
			!(tail[ring] & FINAL) -> goto enter
#endif
		fi
	}
take:
#ifdef BROKEN_LOOK_FIRST
	w = waiters;
#endif
	atomic { /* P1 */
		BUFFER_EMPTY;
		h++;
		length--;
		stored_head = h + 1;
		stored_ring = ring
	}
#ifndef BROKEN_BUFFERED
	BUFFER_EMPTY;
#endif
#ifdef BUSY
	if
	:: true -> SEE(consumer_stopped, true); goto done
	:: true
	fi;
#endif
#ifdef FORCED
	goto wake;
enter:
	atomic { /* P1 */
		BUFFER_EMPTY;
		SEE(entered, true);
		ring++;
		h = 0;
		stored_limit = true
	}
	BUFFER_EMPTY;
#ifdef BROKEN_ENTER_SILENT
	goto look;
#endif
wake:
#endif
#ifndef BROKEN_LOOK_FIRST
	w = waiters; /* P2 */
#endif
	atomic {
		if
		:: w > 0 -> count++
		:: else
		fi;
		w = 0;
		goto look
	}
done:
	skip
}

/* Runs when nobody else can. */
active proctype monitor()
{
	timeout;
	CHECK(asleep, through == 2)
}
