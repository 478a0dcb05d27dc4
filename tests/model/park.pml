/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * park.pml - workers that sleep on an event count, and being woken
 *
 * Models lib/exec/:
 *   scheduler  sti_executor_schedule by a publisher: a mailbox into a worker's inbox, then a wake
 *   worker     take a mailbox and run it; if there is none, park; with STEAL, from any inbox
 *   shutdown   stop flag, wake, join; then, more than the code needs, the rest is run
 * and the event count below it (lib/sync), with the futex that it stands on. Which mailbox it is
 * does not matter here, so an inbox is a count. That a mailbox is in one inbox at a time is in
 * handover.pml.
 *
 * Spin explores every interleaving of sequentially consistent steps. What the code needs of that
 * order: P and R, I and S of the table are seq_cst, and so are the store of stop and its load at R.
 *
 * Words
 *   inbox[w]  mailboxes waiting
 *   state[w]  AWAKE or PARKED. PARKED is an announcement: one more look, then sleep. Whoever
 *             changes it back to AWAKE by exchange, one and only one, owes the worker an increment
 *             of ec.
 *   ec[w]     event count: value << 1 | WAITERS. The waiter sets WAITERS by CAS before it goes to
 *             sleep; an increment that finds it set clears it, then wakes. Otherwise it makes no
 *             system call.
 *   stop      set once
 *
 *   Scheduler                                Worker that has found no work
 *     I   inbox += 1                           V   v = value of ec
 *     S   state == PARKED, and exchange        P   state = PARKED
 *         of it for AWAKE gave PARKED?         R   inbox empty, and not stop?
 *           ec += 1; wake if WAITERS                 no:  state = AWAKE, go on
 *                                                    yes: sleep until ec != v, then the same
 *   I before R   the worker sees the mailbox and does not sleep
 *   R before I   then P before S, so the scheduler sees PARKED; and V before P, so its increment
 *                makes ec != v, whether the worker is asleep by then or not
 *
 * The futex compares and goes to sleep in one step, and may wake for no reason. A model in which
 * that may happen again and again would hide every lost wake-up, so here it happens once.
 *
 * A worker ends when it has read stop as set and then found no work: in this order.
 *
 * A worker that is AWAKE may be in a callback that takes long or never returns. So that the
 * mailboxes behind it are not held up (STEAL), a scheduler that finds its worker not PARKED, or
 * loses the exchange, wakes another worker that is; and R looks at all inboxes.
 *
 * Schedulers other than callbacks have finished before the stop: shutdown waits for a grace period
 * between refusing pushes and STOPPING. The library refuses callbacks' pushes then, too. The model
 * is more generous (NESTED): a callback may still schedule, to a worker that may have ended, and
 * shutdown runs what is left in the inboxes once it has joined the workers.
 *
 * Not covered: a scheduler stopped for ever between its exchange and its increment. It has told the
 * others that the worker is awake, so the worker sleeps on until that thread runs again.
 *
 * Invariants (the name is printed by a violation)
 *   lost_work  when all have ended, or when nobody can go on, all work has been done
 *   left_over  the workers leave nothing behind, unless a callback scheduled it
 *   stuck      (an invalid end state) somebody waits for ever. Shutdown either begins at once after
 *              the last schedule, or waits until all work is done: then it repairs no lost wake-up.
 *
 * Configurations
 *   (none)   two schedulers with two mailboxes each, for any of two workers; shutdown
 *   STEAL    the workers take from each other's inbox; three mailboxes
 *   STUCK    as STEAL, and one callback never returns; no shutdown
 *   NESTED   two mailboxes, and one callback schedules a third, for any worker
 * Events that a configuration cannot reach (see check.h)
 *   NEVER STUCK  stop_seen_when_parked
 *
 * Variants that must fail, and how
 *   BROKEN_CHECK_FIRST  stuck
 *       the worker looks into the inbox before it sets PARKED, and not after
 *   BROKEN_COUNT_LATE  stuck
 *       v is read after R: the increment may be in it already
 *   BROKEN_NO_WAITERS_BIT  stuck
 *       the waiter does not set WAITERS: the increment does not wake
 *   BROKEN_CLEAR_AFTER_WAKE  stuck
 *       WAITERS is cleared after the wake: the waiter, come back meanwhile, relies on it
 *   BROKEN_BLIND_SLEEP  stuck
 *       the futex does not compare: the increment came between the last look and the sleep
 *   BROKEN_STOP_UNSEEN  stuck
 *       R does not look at stop
 *   BROKEN_EXIT_ORDER  left_over
 *       the worker looks for work and then at stop: what was scheduled in between stays behind
 *   BROKEN_NO_REMAINDER  lost_work
 *       (NESTED) shutdown does not run what is left
 *   BROKEN_NO_PEER  lost_work
 *       (STUCK) schedulers wake only the worker they schedule to
 *   BROKEN_OWN_INBOX_ONLY  lost_work
 *       (STUCK) R looks into the worker's own inbox only
 */
#include "check.h"

#if defined(STUCK)
#define STEAL
#endif

#define SCHEDULERS 2
#define WORKERS 2
#define ME (_pid - SCHEDULERS)
#define OTHER (1 - ME)
#if defined(NESTED)
#define ITEMS 1 /* of scheduler 0 */
#define FEWER 0 /* of scheduler 1: so many less */
#elif defined(STEAL)
#define ITEMS 2
#define FEWER 1
#else
#define ITEMS 2
#define FEWER 0
#define SPURIOUS
#endif

#define AWAKE 0
#define PARKED 1

/* The word ec. What counts of its value is whether it is still the one that the worker read, at V:
 * CHANGED says that it is not. WAITERS is kept as it is. */
#define WAITERS 1
#define CHANGED 2

byte inbox[WORKERS];
bool state[WORKERS];
byte ec[WORKERS];
bool stop;
bool asleep[WORKERS];     /* in the kernel */

/* Ghosts. */
byte publishing = SCHEDULERS;
byte undone;              /* mailboxes scheduled whose callback has not returned */
byte ended;               /* workers */
bool began;               /* somebody has scheduled */
#ifdef SPURIOUS
bool spurious;            /* the futex has woken for no reason, once */
#endif
bool nested, hanging;     /* there was the callback that schedules, the one that does not return */

hidden byte lost_work, left_over;

/* S: wakes worker w if it is PARKED, and then sets `won`. A load that finds it AWAKE, and an
 * exchange that finds it so after all, come to the same: one step. */
inline try_wake(w)
{
	atomic {
		won = (state[w] == PARKED);
		state[w] = AWAKE
	}
	if
	:: won ->
		atomic {
			waiters = ec[w] & WAITERS;
			ec[w] = ec[w] | CHANGED;
			SEE(no_system_call, !waiters)
		}
		if
		:: waiters ->
#ifdef BROKEN_CLEAR_AFTER_WAKE
			asleep[w] = false;
			atomic {
				waiters = 0;
				ec[w] = ec[w] & ~WAITERS
			}
#else
			atomic {
				waiters = 0;
				ec[w] = ec[w] & ~WAITERS
			}
			atomic {
				SEE(woken_asleep, asleep[w]);
				SEE(woken_before_asleep, !asleep[w]);
				asleep[w] = false
			}
#endif
		:: else
		fi
	:: else
	fi
}

/* sti_executor_schedule, to any worker. The schedulers are alike, and the workers are: it is enough
 * to let scheduler 0 begin, and with worker 0. */
inline schedule()
{
	atomic { /* I */
		(began || _pid == 0);
		if
		:: w = 0
		:: began -> w = 1
		fi;
		began = true;
		inbox[w]++;
		undone++
	}
	try_wake(w);
#if defined(STEAL) && !defined(BROKEN_NO_PEER)
	if
	:: !won ->
		w = 1 - w;
		try_wake(w);
		SEE(peer_woken, won)
	:: else
	fi;
#endif
	atomic {
		w = 0;
		won = false
	}
}

active [SCHEDULERS] proctype scheduler()
{
	byte k, w;
	bool won, waiters;

again:
	k++;
	schedule();
	atomic {
		if
		:: k < ITEMS - _pid * FEWER -> goto again
		:: else -> k = 0; publishing--
		fi
	}
#ifdef STUCK
end_published:
	false
#endif
}

active [WORKERS] proctype worker()
{
	byte w;
	bool won, waiters, stopping;

look:
#ifndef BROKEN_EXIT_ORDER
	stopping = stop;
#endif
	atomic {
		if
		:: inbox[ME] > 0 -> inbox[ME]--; goto callback
		:: else
		fi
#ifdef STEAL
	}
	atomic {
		if
		:: inbox[OTHER] > 0 -> inbox[OTHER]--; SEE(stolen, true); goto callback
		:: else
		fi;
#endif
#ifdef BROKEN_EXIT_ORDER
	}
	atomic {
		stopping = stop;
#endif
		if
		:: stopping -> ended++; goto end
		:: else
		fi
	}

#ifndef BROKEN_COUNT_LATE
	ec[ME] = ec[ME] & WAITERS; /* V */
#endif
#ifdef BROKEN_CHECK_FIRST
	atomic {
		if
		:: inbox[ME] > 0 -> goto look
		:: else
		fi
	}
	state[ME] = PARKED;
#else
	state[ME] = PARKED; /* P */
	atomic { /* R */
		if
		:: inbox[ME] > 0 -> SEE(work_seen_when_parked, true); goto awake
		:: else
		fi
	}
#if defined(STEAL) && !defined(BROKEN_OWN_INBOX_ONLY)
	atomic {
		if
		:: inbox[OTHER] > 0 -> goto awake
		:: else
		fi
	}
#endif
#endif
#ifndef BROKEN_STOP_UNSEEN
	atomic {
		if
		:: stop -> SEE(stop_seen_when_parked, true); goto awake
		:: else
		fi
	}
#endif
#ifdef BROKEN_COUNT_LATE
	ec[ME] = ec[ME] & WAITERS;
#endif
wait:
	atomic { /* the load, and the CAS that succeeds */
		if
		:: ec[ME] & CHANGED -> SEE(counted_before_sleep, true); goto awake
		:: else ->
			SEE(waiters_already, ec[ME] & WAITERS);
#ifndef BROKEN_NO_WAITERS_BIT
			ec[ME] = WAITERS
#endif
		fi
	}
	atomic { /* the futex */
		if
#if defined(BROKEN_BLIND_SLEEP)
		:: true -> asleep[ME] = true
#elif defined(BROKEN_NO_WAITERS_BIT)
		:: ec[ME] == 0 -> asleep[ME] = true
#else
		:: ec[ME] == WAITERS -> asleep[ME] = true
#endif
		:: else -> SEE(futex_refuses, true); goto wait
		fi
	}
#ifdef STUCK
end_asleep: /* nothing more will happen: see monitor */
#endif
	atomic {
		if
		:: !asleep[ME]
#ifdef SPURIOUS
		:: !spurious -> spurious = true; asleep[ME] = false
#endif
		fi;
		goto wait
	}
awake:
	atomic {
		state[ME] = AWAKE;
		stopping = false;
		goto look
	}
callback:
#ifdef NESTED
	if
	:: atomic { !nested -> nested = true }; schedule()
	:: true
	fi;
#endif
	atomic {
		stopping = false;
#ifdef STUCK
		if
		:: !hanging -> hanging = true; goto end_hanging
		:: true
		fi;
#endif
		undone--;
		goto look
	}
#ifdef STUCK
end_hanging:
	false;
#endif
end:
	skip
}

#ifdef STUCK

/* Runs when nobody else can. */
active proctype monitor()
{
	timeout ->
	SEE(a_callback_hangs, hanging);
	CHECK(lost_work, inbox[0] + inbox[1] == 0)
}

#else

active proctype shutdown()
{
	byte w;
	bool won, waiters;

	if
	:: publishing == 0
	:: true -> publishing == 0 && undone == 0
	fi;
	stop = true;
	if
	:: w = 0; try_wake(w); w = 1; try_wake(w)
	:: w = 1; try_wake(w); w = 0; try_wake(w)
	fi;
	ended == WORKERS;
#ifdef NESTED
	SEE(remainder, inbox[0] + inbox[1] > 0);
#else
	CHECK(left_over, inbox[0] + inbox[1] == 0);
#endif
#ifndef BROKEN_NO_REMAINDER
	undone = undone - inbox[0] - inbox[1];
#endif
	CHECK(lost_work, undone == 0)
}

#endif
