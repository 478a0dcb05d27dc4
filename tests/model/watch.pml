/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.pml - the watcher: what waits behind a callback that does not return is taken over
 *
 * Models the part of lib/exec/ that park.pml leaves out:
 *   scheduler  sti_executor_schedule, sti_executor_watch
 *   worker     sti_worker_main, worker_find, worker_spin, watch_begin, watch_end, worker_sleep
 * Waking a sleeper is one step here, and a queue is a count: see park.pml. A worker "hangs" when
 * its callback does not return; the code takes a worker for one that hangs when it has made no turn
 * for some time. Time is not modelled: a watcher's sleep ends when there is something to take over
 * or nobody to watch any more.
 *
 * Spin explores every interleaving of sequentially consistent steps, and the argument needs that
 * order of all accesses named in the table: they are seq_cst in the code.
 *
 * Words
 *   queue[w]      mailboxes waiting
 *   state[w]      RUNNING: takes mailboxes, and may hang. SPINNING: looks at its queue all the
 *                 time. PARKED: sleeps, or is about to. It must be RUNNING when it takes a mailbox.
 *   n_parked      how many workers sleep or are about to: a look at one word instead of all states
 *   watcher       there is a watcher, or somebody is seeking one
 *   appointed[w]  set before w is woken to be the watcher
 *
 *   Scheduler                              Worker without work
 *     queue[w] += 1                          state = PARKED; n_parked += 1      W1
 *     state[w] is PARKED:   wake it          own queue empty?
 *                 SPINNING: it will look     a watcher, or am I? else:
 *                 RUNNING:  seek a watcher   is any other worker RUNNING?       W2
 *                                              then be awake, and watch
 *   Seeking
 *     watcher set, or n_parked == 0? done                                       K1
 *     CAS watcher from 0 to 1; appoint a worker that is PARKED, and wake it
 *     found none: watcher = 0;                                                  K2
 *                 is anybody PARKED now? once more                              K3
 *
 *   W2 and K1   w was RUNNING when the scheduler came to K1. If n_parked was 0 there, then W1 comes
 *               after, and W2 sees w RUNNING.
 *   W2 and K3   a worker that did not look at the others, since it saw watcher set, was PARKED
 *               before that; so K3 sees it if the one who set watcher has found nobody.
 *
 * A worker that turns from looking for work to a mailbox may hang there. While it was the watcher,
 * or on its way out of being it, others have found watcher set and left it at that. So it seeks
 * another one first, if any other worker is RUNNING. It also does if it leaves mailboxes behind in
 * its queue: those who put them there may have seen it SPINNING or PARKED.
 *
 * K3 looks at the states, not at n_parked: that also counts a worker that has been woken and has
 * not got a CPU yet, and a scheduler must not go round until it has.
 *
 * Invariants (the name is printed by a violation)
 *   starved   when nobody can go on, no mailbox is waiting, though all workers but one may hang
 *   (an invalid end state) somebody waits for ever where he should not
 *
 * Configurations
 *   (none)   two workers of which one may hang, three mailboxes from two schedulers
 *   ONE      the same, from one scheduler
 *   THREE    three workers of which two may hang, three mailboxes from one scheduler; no spinning
 * Events that a configuration cannot reach (see check.h)
 *   NEVER THREE  found_spinning
 *
 * Variants that must fail, and how
 *   BROKEN_SPIN_STATE  starved
 *       (ONE) the worker is still called SPINNING when it takes what it finds just after having
 *       given up spinning: nobody seeks a watcher for what comes behind
 *   BROKEN_PARK_BLIND  starved
 *       W2 is left out: the worker has looked at the others' states only before W1
 *   BROKEN_APPOINT_ONCE  starved
 *       K3 is left out: a worker parks, relying on the watcher that is sought and not found
 *   BROKEN_WATCH_DROPPED  starved
 *       (THREE) a watcher turns to a mailbox of its own and does not seek another one
 */
#include "check.h"

#ifdef THREE
#define WORKERS 3
#define HANGS 2
#define SCHEDULERS 1
#define FIRST 3  /* mailboxes of scheduler 0 */
#define SECOND 0
#elif defined(ONE)
#define WORKERS 2
#define HANGS 1
#define SCHEDULERS 1
#define FIRST 3
#define SECOND 0
#else
#define WORKERS 2
#define HANGS 1
#define SCHEDULERS 2
#define FIRST 2
#define SECOND 1 /* of scheduler 1 */
#endif
#define ME (_pid - SCHEDULERS)
#define OTHER(i) ((ME + 1 + (i)) % WORKERS)

#define RUNNING 0
#define SPINNING 1
#define PARKED 2

byte queue[WORKERS];
byte state[WORKERS] = PARKED;
byte n_parked = WORKERS;
bool signalled[WORKERS]; /* the event count has changed since it was read */
bool appointed[WORKERS];
bool watcher;            /* is there one, or is one being sought? */

/* Ghosts. */
byte hanging;            /* set of workers in a callback that does not return */
byte n_hanging;
bool began;

hidden byte starved;

#define STEALABLE(w) ((hanging & BIT(w)) && state[w] == RUNNING && queue[w] > 0)

#ifdef THREE
#define NOBODY_RUNS                                                        \
	((ME == 0 || state[0] != RUNNING) && (ME == 1 || state[1] != RUNNING) && \
	 (ME == 2 || state[2] != RUNNING))
#define TO_STEAL (STEALABLE(0) || STEALABLE(1) || STEALABLE(2))
#define ALL_QUEUED (queue[0] + queue[1] + queue[2])
#else
#define NOBODY_RUNS (state[1 - ME] != RUNNING)
#define TO_STEAL (STEALABLE(0) || STEALABLE(1))
#define ALL_QUEUED (queue[0] + queue[1])
#endif

/* sti_worker_wake, of a worker that is PARKED. That the signal cannot be missed is in park.pml. */
#define WAKE(w) state[w] = RUNNING; signalled[w] = true

/* sti_executor_watch */
inline watch()
{
	i = 0;
search:
	atomic {
		if
		:: n_parked == 0 -> goto sought
		:: else
		fi
	}
	atomic {
		if
		:: !watcher -> watcher = true
		:: else -> goto sought
		fi
	}
try:
	atomic {
		if
		:: i == WORKERS -> goto nobody
		:: i < WORKERS && state[i] != PARKED -> i++; goto try
		:: i < WORKERS && state[i] == PARKED
		fi
	}
	appointed[i] = true;
	atomic {
		if
		:: state[i] == PARKED -> WAKE(i); goto sought
		:: else
		fi
	}
	atomic { /* it was awake after all, and may have found that it is appointed */
		if
		:: appointed[i] -> appointed[i] = false; i++; goto try
		:: else -> goto sought
		fi
	}
nobody:
	atomic {
		watcher = false;
		i = 0
	}
#ifndef BROKEN_APPOINT_ONCE
once_more: /* somebody who has parked meanwhile may have relied on the watcher being sought */
	atomic {
		if
		:: i < WORKERS && state[i] == PARKED -> i = 0; SEE(sought_again, true); goto search
		:: i < WORKERS && state[i] != PARKED -> i++; goto once_more
		:: i == WORKERS
		fi
	}
#endif
sought:
	i = 0
}

active [SCHEDULERS] proctype scheduler()
{
	byte k, w, i;

again:
	/* The workers are alike, and the schedulers but for the number of their mailboxes. */
	atomic {
		(began || _pid == 0);
		if
		:: w = 0
		:: began -> w = 1
#ifdef THREE
		:: began -> w = 2
#endif
		fi;
		began = true;
		k++;
		queue[w]++
	}
	atomic {
		if
		:: state[w] == PARKED -> WAKE(w); w = 0; goto scheduled
		:: state[w] == RUNNING -> w = 0
		:: state[w] == SPINNING -> w = 0; goto scheduled
		fi
	}
	watch();
scheduled:
	if
	:: k < (_pid == 0 -> FIRST : SECOND) -> goto again
	:: else
	fi;
end_done:
	false
}

active [WORKERS] proctype worker()
{
	byte i;
	bool watching, others;

	goto end_asleep;
next: /* sti_worker_main, behind the first mailbox of a round */
	atomic {
		if
		:: queue[ME] > 0 -> queue[ME]--; goto callback
		:: else
		fi
	}
find: /* worker_find */
#ifdef THREE
	goto look;
#else
	if
	:: goto look
	:: state[ME] = SPINNING
	fi;
#endif
spin:
	atomic {
		if
		:: queue[ME] == 0 -> goto spun /* the time is up */
		:: queue[ME] > 0
		fi
	}
	state[ME] = RUNNING;
	atomic {
		if
		:: queue[ME] > 0 -> queue[ME]--; SEE(found_spinning, true); goto found
		:: else -> goto spin
		fi
	}
spun:
#ifndef BROKEN_SPIN_STATE
	state[ME] = RUNNING;
#endif
look:
	atomic {
		if
		:: queue[ME] > 0 -> queue[ME]--; SEE(found_after_spinning, true); goto found
		:: else
		fi
	}
	/* A worker that gets on is let alone. It takes two looks to tell, so only a watcher steals.
	 *  */
steal:
	atomic {
		if
		:: !watching
		:: watching && STEALABLE(OTHER(i)) ->
			queue[OTHER(i)]--;
			i = 0;
			SEE(stolen, true);
			goto found
		:: watching && !STEALABLE(OTHER(i)) ->
			i = (i + 1) % (WORKERS - 1);
			if
			:: i > 0 -> goto steal
			:: i == 0
			fi
		fi
	}

	/* watch_begin */
	atomic {
		if
		:: appointed[ME] -> appointed[ME] = false; watching = true
		:: else
		fi
	}
look_at_others:
	atomic {
		if
		:: state[OTHER(i)] == RUNNING -> i = 0; others = true
		:: else ->
			i = (i + 1) % (WORKERS - 1);
			if
			:: i > 0 -> goto look_at_others
			:: i == 0
			fi
		fi;
		if
		:: watching && !others -> goto rest /* for some time */
		:: !watching && others
		:: watching == others -> others = false; goto worker_sleep
		fi
	}
	atomic {
		others = false;
		watching = !watcher;
		watcher = true
	}
worker_sleep:
	atomic {
		signalled[ME] = false;
		state[ME] = PARKED
	}
	n_parked++;
	atomic {
		if
		:: queue[ME] > 0 -> goto awake
		:: else
		fi
	}
#ifndef BROKEN_PARK_BLIND
	atomic {
		if
		:: watching || watcher -> goto end_asleep
		:: else
		fi
	}
look_again:
	atomic {
		if
		:: state[OTHER(i)] == RUNNING ->
			i = 0;
			SEE(runs_after_all, true);
			goto awake
		:: else ->
			i = (i + 1) % (WORKERS - 1);
			if
			:: i > 0 -> goto look_again
			:: i == 0
			fi
		fi
	}
#endif
end_asleep:
	(signalled[ME] || (watching && (TO_STEAL || NOBODY_RUNS)));
awake:
	n_parked--;
	atomic {
		state[ME] = RUNNING;
		goto find
	}
rest: /* watch_end, for good */
	atomic {
		watching = false;
		watcher = false;
		SEE(watch_ended, true);
		goto find
	}
found: /* watch_end, for the time being */
	atomic {
		watching = watching || appointed[ME];
		appointed[ME] = false
	}
	atomic {
		if
		:: watching -> watching = false; watcher = false
		:: else
		fi
	}
#ifndef BROKEN_WATCH_DROPPED
	/* Others may have relied on me as the watcher. */
look_once_more:
	atomic {
		if
		:: state[OTHER(i)] == RUNNING -> i = 0; goto seek
		:: else ->
			i = (i + 1) % (WORKERS - 1);
			if
			:: i > 0 -> goto look_once_more
			:: i == 0
			fi
		fi
	}
#endif
	/* Somebody may be behind me. */
	atomic {
		if
		:: queue[ME] == 0 -> goto callback
		:: else
		fi
	}
seek:
	watch();
callback:
	if
	:: atomic { n_hanging < HANGS -> n_hanging++; hanging = hanging | BIT(ME) }
	:: goto next
	fi;
end_hanging:
	false
}

/* Runs when nobody else can. */
active proctype monitor()
{
	timeout ->
	SEE(all_but_one_hang, n_hanging == WORKERS - 1);
	CHECK(starved, ALL_QUEUED == 0)
}
