/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * park.pml - workers that sleep on an event count, and being woken
 *
 * Models lib/exec/:
 *   scheduler  sti_executor_schedule by a publisher: a mailbox into a worker's queue, then a wake
 *   worker     sti_worker_main: take a mailbox and run it; if there is none, worker_sleep
 *   shutdown   stasis_executor_shutdown, from the store of STOPPING on: wake, join
 * and the event count below it, lib/sync/eventcount.c, with the futex that it stands on. Which
 * mailbox it is does not matter here, so a queue is a count. That a mailbox is in one queue at a
 * time is in handover.pml; what becomes of those behind a callback that takes long, in watch.pml.
 *
 * Spin explores every interleaving of sequentially consistent steps. What the code needs of that
 * order: P and R, I and S of the table are seq_cst, and so are the store of stop and its load at R.
 *
 * Words
 *   queue[w]  mailboxes waiting
 *   state[w]  AWAKE, which is RUNNING or SPINNING, or PARKED. PARKED is an announcement: one more
 *             look, then sleep. Whoever exchanges it for AWAKE, one and only one, owes the worker
 *             an increment of ec.
 *   ec[w]     event count: value << 1 | WAITERS. The waiter sets WAITERS by CAS before it goes to
 *             sleep; an increment that finds it set clears it, then wakes. Otherwise it makes no
 *             system call.
 *   stop      set once
 *
 *   Scheduler                                Worker that has found no work
 *     I   queue += 1                           V   v = value of ec
 *     S   state == PARKED, and exchange        P   state = PARKED
 *         of it for AWAKE gave PARKED?         R   queue empty, and not stop?
 *           ec += 1; wake if WAITERS                 no:  state = AWAKE, go on
 *                                                    yes: sleep until ec != v, then the same
 *   I before R   the worker sees the mailbox and does not sleep
 *   R before I   then P before S, so the scheduler sees PARKED; and V before P, so its increment
 *                makes ec != v, whether the worker is asleep by then or not
 *
 * The futex compares and goes to sleep in one step, and may wake for no reason. A model in which
 * that may happen again and again would hide every lost wake-up, so here it happens once. A sleep
 * with a time limit is the same.
 *
 * The end. Schedulers have finished before stop is set: that is what the grace period in shutdown
 * is for. A worker ends when it has read stop as set and then found no work, in this order. A
 * callback schedules to the queue of the worker that runs it, which looks there before it ends.
 *
 * Not covered: a scheduler stopped for ever between its exchange and its increment. It has told the
 * others that the worker is awake, so the worker sleeps on until that thread runs again.
 *
 * Invariants (the name is printed by a violation)
 *   left_over  when all workers have ended, the queues are empty
 *   stuck      (an invalid end state) somebody waits for ever. Shutdown either begins at once after
 *              the last schedule, or waits until all work is done: then it repairs no lost wake-up.
 *
 * Configurations
 *   (none)   two schedulers with two mailboxes each, for any of two workers; shutdown
 *   STEAL    a worker that finds nothing takes from the other's queue; three mailboxes
 *   NESTED   three mailboxes, and one callback schedules another
 *
 * Variants that must fail, and how
 *   BROKEN_CHECK_FIRST  stuck
 *       the worker looks into its queue before it sets PARKED, and not after
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
 *   BROKEN_NESTED_ELSEWHERE  left_over
 *       (NESTED) a callback schedules to another worker, which may have ended
 */
#include "check.h"

#define SCHEDULERS 2
#define WORKERS 2
#define ME (_pid - SCHEDULERS)
#define OTHER (1 - ME)
#if defined(STEAL) || defined(NESTED)
#define ITEMS 2 /* of scheduler 0 */
#define FEWER 1 /* of scheduler 1: so many less */
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

byte queue[WORKERS];
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
bool nested;              /* there was the callback that schedules */

hidden byte left_over;

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
		queue[w]++;
		undone++
	}
	try_wake(w);
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
		:: queue[ME] > 0 -> queue[ME]--; goto callback
		:: else
		fi
#ifdef STEAL
	}
	atomic {
		if
		:: queue[OTHER] > 0 -> queue[OTHER]--; SEE(stolen, true); goto callback
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
		:: queue[ME] > 0 -> goto look
		:: else
		fi
	}
	state[ME] = PARKED;
#else
	state[ME] = PARKED; /* P */
	atomic { /* R */
		if
		:: queue[ME] > 0 -> SEE(work_seen_when_parked, true); goto awake
		:: else
		fi
	}
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
	:: atomic { !nested -> nested = true };
#ifdef BROKEN_NESTED_ELSEWHERE
		schedule()
#else
		atomic { /* its worker is AWAKE: no more to do */
			queue[ME]++;
			undone++
		}
#endif
	:: true
	fi;
#endif
	atomic {
		stopping = false;
		undone--;
		goto look
	}
end:
	skip
}

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
	CHECK(left_over, queue[0] + queue[1] == 0)
}
