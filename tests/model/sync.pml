/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync.pml - publishing to a mailbox and waiting until that has been handled
 *
 * Models lib/bus/sync.[ch], lib/exec/pull.c and sti_runqueue_pull:
 *   publisher  stasis_publish_sync outside callbacks: pushes a request; if that finds the mailbox
 *              idle, it is his to run until the request is handled, and he lets go of it or hands
 *              it on; otherwise he sleeps on the request's event count. (The code may carry it past
 *              the queue then: handover.pml. Here, as with a timeout or limits, it is queued.)
 *   plain      a publish of something that nobody waits for: an idle mailbox goes to a worker
 *   worker     runs what is in its queue. A job there is another mailbox, whose callback publishes
 *              a request and waits: if the mailbox that it waits for is in a queue, it takes that
 *              out and runs it until the request is handled; else it sleeps on the request's event
 *              count, and looks again after a while
 *   stopper    (STOPPING) a shutdown: refusing, a grace period, and stopping
 * and whoever finishes a request, that is who has run it or taken it out of a full queue.
 *
 * All requests go to one mailbox, but with CHAIN: there job 1 waits for job 0, in whose queue its
 * request has been from the start. Between being idle and in somebody's hands the mailbox passes as
 * in handover.pml, by its word idle_at, but reserving and filling a slot are one step here, and so
 * are the load of idle_at and the CAS. The event counts are in park.pml: a count is whether it has
 * changed since it was read. A turn has one callback. A queue is a set, which is taken as a whole,
 * as the inbox is; what is put back is put back at once. A worker may take from another's queue
 * (not with STOPPING), but nobody watches that one does: it would repair a lost wake-up.
 *
 * The look after a while may always come. One that finds nothing and moves nothing changes nothing;
 * so it comes when there is something in a queue: always when that is what is waited for, else
 * a limited number of times, so that a state in which nobody gets on is seen to be one. That two
 * who look do not keep moving things from under each other for ever is left to chance, in the code.
 *
 * Spin explores sequentially consistent steps. The store F1 and the signal F2 have that order in
 * the code, and so have what is pushed to the queue and the look at the owner's state; and on the
 * other side the owner's PARKED, or ENDED, and his look at the queue.
 *
 *   Finisher                                    Who waits
 *     F1  state = handled, or evicted             V   value of the event count
 *     F2  signal                                  W1  state says done: return
 *     F3  drops the queue's reference             W2  pull; run it, and from V
 *                                                 W3  sleep while the value is as in V, or a while
 *   Pull, of each queue                         Its owner
 *     Q1  take all                                O1  load the phase
 *     Q2  put back all but what is looked for     O2  nothing in the queue: if it was STOPPING, end
 *     Q3  owner PARKED: wake him                  O3  PARKED
 *     Q4  owner ENDED: run what is in it          O4  queue not empty, or STOPPING: from O1
 *                                                 O5  sleep until woken
 *                                                 O6  (ends) ENDED; queue not empty: from O1
 *
 *   O4 before Q2   then O3 before Q3: he is woken
 *   O6 before Q2   then ENDED before Q4: whoever put back runs it; otherwise he does
 *
 * A request has two references, the queue's and that of who waits: a time-out drops one, and the
 * request is handled nevertheless. Who waits with a time limit does not keep a mailbox that his
 * push found idle, but he may pull it.
 *
 * Invariants (the name is printed by a violation)
 *   overlap          callbacks of the mailbox do not overlap
 *   job_twice        nor do a job's: it is run once
 *   double_schedule  it is not put into a queue when it is in one
 *   use_after_free   a request is not touched when both references have been dropped
 *   asleep           when nobody can go on, every publisher's publish has returned
 *   parked           and every job's has
 *   left_over        and nothing is in the mailbox, nor in a queue, and the mailbox is idle
 *   leaked           and no references are left
 *   running          (STOPPING) and the workers have ended
 *
 * Configurations
 *   (none)    two synchronous publishers, a plain one, a worker
 *   INSIDE    one of each, and a job
 *   TWO       one synchronous publisher, two workers, two jobs: all workers may wait
 *   CHAIN     a plain publisher, two workers, two jobs, one of which waits for the other
 *   STOPPING  a plain publisher, two workers, two jobs, and the stopper
 *   TIMED     two synchronous publishers, a worker, a job; it and the first publisher may give up
 *             at any time
 *   EVICT     as INSIDE; the queue has room for one, which who finds it full takes out
 *
 * Not reached, and why
 *   NEVER STOPPING  runs_out_mailbox
 *       whoever puts back has just looked for it
 *
 * Variants that must fail, and how
 *   BROKEN_STATE_LATE  asleep
 *       state is stored after the signal
 *   BROKEN_VALUE_LATE  asleep
 *       the event count is read after the look at state
 *   BROKEN_NO_PULL  parked left_over
 *       (INSIDE) who waits inside a callback just sleeps
 *   BROKEN_PULL_ONCE  parked left_over
 *       (INSIDE) he looks at the queues once: it may just be in somebody's hands who hands it on
 *   BROKEN_PULL_LEFT  overlap
 *       (TWO) what he runs stays in the queue
 *   BROKEN_PUT_SILENT  parked left_over
 *       (TWO) he puts back and does not wake the owner
 *   BROKEN_PUT_BLIND  parked left_over
 *       (STOPPING) nor does he look whether the owner has ended
 *   BROKEN_END_BLIND  parked left_over
 *       (STOPPING) the owner does not look at his queue once more when he has said so
 *   BROKEN_KEPT  asleep left_over
 *       who has claimed the mailbox goes when his request is handled: what came behind stays
 *   BROKEN_PULLED_KEPT  left_over
 *       (INSIDE) as does who has pulled it
 *   BROKEN_REST_BLIND  asleep left_over
 *       he lets the mailbox rest and does not look at it again
 *   BROKEN_REST_HANDED  double_schedule overlap
 *       he hands it on though he has let it rest
 *   BROKEN_UNCLAIMED  overlap
 *       who waits runs the mailbox without having claimed it
 *   BROKEN_UNREF_FIRST  use_after_free
 *       the finisher drops the reference and signals then
 *   BROKEN_BOTH_DROPPED  use_after_free
 *       (TIMED) who gives up drops the queue's reference as well
 *   BROKEN_EVICT_SILENT  asleep
 *       (EVICT) a request that is taken out is not finished
 *   BROKEN_EVICT_KEEPS  leaked
 *       (EVICT) it is, and its reference is not dropped
 */
#include "check.h"

#define NOBODY 255
#define NONE 255

#if defined(INSIDE) || defined(EVICT)
#define SYNCS 1
#define PLAINS 1
#define WORKERS 1
#define JOBS 1
#elif defined(TIMED)
#define SYNCS 2
#define PLAINS 0
#define WORKERS 1
#define JOBS 1
#elif defined(TWO)
#define SYNCS 1
#define PLAINS 0
#define WORKERS 2
#define JOBS 2
#elif defined(CHAIN) || defined(STOPPING)
#define SYNCS 0
#define PLAINS 1
#define WORKERS 2
#define JOBS 2
#else
#define SYNCS 2
#define PLAINS 1
#define WORKERS 1
#define JOBS 0
#endif
#define REQUESTS (SYNCS + JOBS) /* that of publisher r is r, that of job j is SYNCS + j */
#define ITEMS (REQUESTS + PLAINS)
#define PLAIN REQUESTS /* in the place of a request */
#define ME (_pid - SYNCS - PLAINS)
#ifdef TIMED
#define IS_TIMED(r) ((r) != 1) /* of two publishers the first; the job */
#else
#define IS_TIMED(r) false
#endif

/* A worker's queue: a set of jobs, and the mailbox. */
#define A BIT(7)
#define ITS_JOBS(w) (JOBS == 0 -> 0 : (WORKERS == 2 -> BIT(w) : BIT(JOBS) - 1))

/* What who waits for a request takes out of the queues. */
#ifdef CHAIN
#define TARGET(r) ((r) == 1 -> BIT(0) : A)
#else
#define TARGET(r) A
#endif

#define RUNNING 0
#define PARKED 1
#define ENDED 2

#define PENDING 0
#define HANDLED 1
#define EVICTED 2

/* The mailbox. */
byte idle_at; /* NONE: in somebody's hands */
byte head, tail;
byte slot[ITEMS];

byte queued[WORKERS];
bool state[WORKERS];
bool woken[WORKERS];      /* the worker's event count has changed */

byte result[REQUESTS];    /* state, in the code */
bool told[REQUESTS];      /* the request's event count has changed */
byte refs[REQUESTS] = 2;

bool refusing, stopping;
byte readers;             /* in read sections that found refusing not to be set */

/* Ghosts. */
bool inside;              /* a callback */
byte returned;            /* publishers */
byte finished;            /* jobs */
byte ended;               /* workers */
bool gave_up;

hidden byte overlap, job_twice, double_schedule, use_after_free;
hidden byte asleep, parked, left_over, leaked, running;

#define IS_DONE(r) (result[r] != PENDING)
#define TOUCH(r) CHECK(use_after_free, refs[r] > 0)

#if WORKERS == 2
#define IS_QUEUED ((queued[0] | queued[1]) & A)
#else
#define IS_QUEUED (queued[0] & A)
#endif

inline unref(r)
{
	atomic {
		TOUCH(r);
		refs[r]--
	}
}

/* sti_worker_wake. Uses won. */
inline wake(w)
{
	atomic {
		won = (state[w] == PARKED);
		if
		:: won -> state[w] = RUNNING
		:: else
		fi
	}
	atomic {
		if
		:: won -> woken[w] = true
		:: else
		fi;
		won = false
	}
}

/* Tells who waits, F2. */
inline tell(r)
{
	atomic {
		TOUCH(r);
		told[r] = true
	}
}

/* sync_finish, and the queue's reference. */
inline finish(r, how)
{
#ifdef BROKEN_STATE_LATE
	tell(r);
#endif
	atomic { /* F1 */
		TOUCH(r);
#ifdef TIMED
		SEE(finished_after_giving_up, gave_up && refs[r] == 1);
#endif
		result[r] = how
	}
#ifdef BROKEN_UNREF_FIRST
	unref(r);
#endif
#ifndef BROKEN_STATE_LATE
	tell(r);
#endif
#ifdef BROKEN_EVICT_KEEPS
	if
	:: how != EVICTED -> unref(r) /* F3 */
	:: else
	fi
#elif !defined(BROKEN_UNREF_FIRST)
	unref(r) /* F3 */
#endif
}

inline append(what)
{
	slot[tail] = what;
	pos = tail;
	tail++
}

/* Pushes. Uses item, pos, won; mine: the mailbox was idle and has been claimed. */
inline push(what)
{
#ifdef EVICT
	do
	:: atomic {
		tail == head ->
		append(what);
		break
	   }
	:: atomic {
		tail > head ->
		item = slot[head];
		slot[head] = 0;
		head++
	   };
	   if
	   :: item != PLAIN ->
		SEE(evicted_request, true);
#ifndef BROKEN_EVICT_SILENT
		finish(item, EVICTED);
#endif
		item = 0
	   :: else -> item = 0
	   fi
	od;
#else
	atomic { append(what) };
#endif
	atomic {
		if
		:: idle_at <= pos -> /* never NONE, then */
			idle_at = NONE;
			mine = true
		:: else
		fi;
		pos = 0
	}
}

/* A read section in which refusing is not set. */
#ifdef STOPPING
#define ENTER_ELSE(refused)                                                \
	atomic {                                                           \
		if                                                         \
		:: refusing -> goto refused                                \
		:: else -> readers++                                       \
		fi                                                         \
	}
#define LEAVE readers--
#else
#define ENTER_ELSE(refused) skip
#define LEAVE skip
#endif

/* sti_executor_schedule. Uses w, won. */
inline schedule()
{
	atomic {
#if WORKERS == 2
		if
		:: w = 0
		:: w = 1
		fi;
#endif
		CHECK(double_schedule, !IS_QUEUED);
		queued[w] = queued[w] | A
	};
	wake(w);
	w = 0
}

#define TAKE_ELSE(nothing_after)                                           \
	atomic {                                                           \
		if                                                         \
		:: head == tail -> goto nothing_after                      \
		:: else ->                                                 \
			CHECK(overlap, !inside);                           \
			inside = true;                                     \
			item = slot[head];                                 \
			slot[head] = 0;                                    \
			head++                                             \
		fi                                                         \
	}

/* The rest of the callback. */
inline deliver()
{
	inside = false;
	if
	:: item != PLAIN -> finish(item, HANDLED)
	:: else
	fi;
	item = 0
}

/* sti_mailbox_rest. */
#define REST(more_after, gone_after)                                       \
	atomic {                                                           \
		pos = head;                                                \
		idle_at = pos                                              \
	};                                                                 \
	atomic {                                                           \
		if                                                         \
		:: tail == pos -> pos = 0; goto gone_after                 \
		:: else                                                    \
		fi                                                         \
	};                                                                 \
	atomic {                                                           \
		if                                                         \
		:: idle_at == pos ->                                       \
			SEE(taken_back, true);                             \
			idle_at = NONE;                                    \
			pos = 0;                                           \
			goto more_after                                    \
		:: else ->                                                 \
			SEE(rest_lost, true);                              \
			pos = 0;                                           \
			goto gone_after                                    \
		fi                                                         \
	}

#if SYNCS > 0
active [SYNCS] proctype publisher()
{
	byte item, pos, w;
	bool mine, won;

	push(_pid);
	atomic {
		if
		:: !mine -> goto wait
		:: mine && IS_TIMED(_pid) -> mine = false
		:: else -> mine = false; goto run_on
		fi
	}
hand_on:
	schedule();
	goto wait;
run_on:
	atomic {
		TOUCH(_pid);
		if
		:: IS_DONE(_pid) -> goto rest
		:: else
		fi
	}
take:
	TAKE_ELSE(rest_too_early);
	SEE(runs_anothers, item != _pid);
	deliver();
	goto run_on;
rest_too_early:
	REST(run_on, wait);
rest:
#if defined(BROKEN_KEPT)
	goto wait;
#elif defined(BROKEN_REST_BLIND)
	idle_at = head;
	goto wait;
#elif defined(BROKEN_REST_HANDED)
	REST(hand_on, hand_on);
#else
	REST(handed_on, wait);
handed_on:
	SEE(hands_on, true);
	goto hand_on;
#endif
wait:
#ifndef BROKEN_VALUE_LATE
	told[_pid] = false; /* V */
#endif
	atomic { /* W1 */
		TOUCH(_pid);
		if
		:: IS_DONE(_pid) -> goto back
		:: else
		fi
	}
#ifdef BROKEN_VALUE_LATE
	told[_pid] = false;
#endif
	SEE(sleeps, true);
#ifdef BROKEN_UNCLAIMED
	goto take;
#endif
end_sleep:
	if
	:: told[_pid] -> goto wait
#ifdef TIMED
	:: IS_TIMED(_pid)
#endif
	fi;
#ifdef TIMED
	gave_up = true;
#ifdef BROKEN_BOTH_DROPPED
	unref(_pid);
#endif
#endif
back:
	unref(_pid);
	returned++
}
#endif

#if PLAINS > 0
active [PLAINS] proctype plain()
{
	byte item, pos, w;
	bool mine, won;

	ENTER_ELSE(refused);
	push(PLAIN);
	if
	:: mine -> mine = false; schedule()
	:: else
	fi;
	LEAVE;
refused:
	skip
}
#endif

#define OTHER (1 - ME)

/* Why the mailbox is run. */
#define TURN 0
#define MINE 1            /* until a request is done */
#define OUT 2             /* until it is gone */

#define LOOKS 1           /* that may be in vain */

/* Begins one of the jobs in a set. Uses job. */
#define BEGIN_JOB(set)                                                     \
	if                                                                 \
	:: (set) & BIT(0) -> job = 0                                       \
	:: (set) & BIT(1) -> job = 1                                       \
	fi;                                                                \
	CHECK(job_twice, !(begun & BIT(job)));                             \
	begun = begun | BIT(job)

#if JOBS > 0
byte begun;
#endif

active [WORKERS] proctype worker()
{
	byte item, pos, w;
	bool mine, won;
	byte how;
	bool stop;
#if JOBS > 0
	byte waits = NOBODY, outer = NOBODY; /* requests */
	byte job;
	byte q, chain;
	bool found, out_all;
	byte looks = LOOKS;
#endif

	queued[ME] = queued[ME] | ITS_JOBS(ME);
look:
#ifdef STOPPING
	stop = stopping; /* O1 */
#endif
	atomic { /* O2 */
		if
		:: queued[ME] & A ->
			queued[ME] = queued[ME] & ~A;
			goto take
#if JOBS > 0
		:: queued[ME] & ~A ->
			BEGIN_JOB(queued[ME]);
			queued[ME] = queued[ME] & ~BIT(job);
			goto run_job
#endif
#if WORKERS == 2 && !defined(STOPPING) /* or from the other's queue */
		:: queued[OTHER] & A ->
			queued[OTHER] = queued[OTHER] & ~A;
			SEE(stolen, true);
			goto take
#endif
		:: queued[ME] == 0 && stop -> goto over
		:: queued[ME] == 0 && !stop -> goto park
		fi
	}
park:
	woken[ME] = false;
	state[ME] = PARKED; /* O3 */
	if /* O4 */
	:: queued[ME] != 0 -> goto awake
	:: queued[ME] == 0
	fi;
#ifdef STOPPING
	if
	:: stopping -> goto awake
	:: else
	fi;
#endif
end_sleep:
	woken[ME]; /* O5 */
awake:
	atomic {
		state[ME] = RUNNING;
		goto look
	}

take:
	TAKE_ELSE(rest);
	deliver();
after:
	atomic {
		if
		:: how == TURN -> goto keep
		:: how == OUT -> goto take
#if JOBS > 0
		:: how == MINE -> goto run_on
#endif
		fi
	}
keep:
	atomic { /* it is awake */
		CHECK(double_schedule, !IS_QUEUED);
		queued[ME] = queued[ME] | A;
		goto look
	}
rest:
	REST(after, gone);
gone:
	atomic {
#if JOBS > 0
		if
		:: how != TURN && out_all -> goto run_out
		:: how != TURN && !out_all -> how = TURN; goto wait
		:: else
		fi;
#endif
		goto look
	}

#if JOBS > 0
run_job:
	atomic {
#ifdef CHAIN
		SEE(job_while_waiting, waits != NOBODY);
#endif
		outer = waits;
		waits = SYNCS + job;
		job = 0;
		looks = LOOKS
	}
#ifdef CHAIN
	if
	:: waits == 1 -> goto wait
	:: else
	fi;
#endif
	ENTER_ELSE(refused);
	push(waits);
	atomic {
		if
#ifndef TIMED
		:: mine -> SEE(claimed_inside, true); mine = false; how = MINE
#endif
		:: else
		fi
	}
	if
	:: mine -> mine = false; schedule()
	:: else
	fi;
	LEAVE;
	atomic {
		if
		:: how == MINE -> goto run_on
		:: else -> goto wait
		fi
	}
refused: /* nothing has been pushed, and nobody else knows of it */
	atomic {
		refs[waits] = 1;
		goto back
	}

run_on: /* until the request is done */
	atomic {
		TOUCH(waits);
		if
		:: IS_DONE(waits)
		:: !IS_DONE(waits) -> goto take
		fi
	}
#ifdef BROKEN_PULLED_KEPT
	atomic {
		how = TURN;
		goto wait
	}
#endif
	REST(hand_on, gone);
hand_on:
	ENTER_ELSE(hand_on_here);
	schedule();
	LEAVE;
	atomic {
		how = TURN;
		goto wait
	}
hand_on_here:
	atomic {
#ifdef STOPPING
		SEE(runs_out_its_own, true);
#endif
		how = OUT;
		goto take
	}

wait:
	told[waits] = false; /* V */
	atomic { /* W1 */
		TOUCH(waits);
		if
		:: IS_DONE(waits) -> goto back
		:: else
		fi
	}
#ifdef BROKEN_NO_PULL
	goto sleep;
#endif
#ifdef BROKEN_PULL_ONCE
	if
	:: looks == 0 -> goto sleep
	:: else -> looks = 0
	fi;
#endif
	q = 0;
pull: /* W2 */
	atomic { /* Q1 */
		if
		:: q == WORKERS -> q = 0; goto sleep
		:: else
		fi;
		chain = queued[q];
		if
		:: chain == 0 -> q++; goto pull
		:: else
		fi;
		found = (chain & TARGET(waits)) != 0;
		chain = chain & ~TARGET(waits);
#ifdef BROKEN_PULL_LEFT
		queued[q] = TARGET(waits) & queued[q]
#else
		queued[q] = 0
#endif
	}
	if
	:: chain == 0 -> goto pulled
	:: else
	fi;
	atomic { /* Q2 */
#if WORKERS == 2
		SEE(puts_back_other, q != ME);
#endif
		queued[q] = queued[q] | chain;
		chain = 0
	}
#ifndef BROKEN_PUT_SILENT
#if WORKERS == 2
	atomic { SEE(put_back_wakes, state[q] == PARKED) };
#endif
	wake(q); /* Q3 */
#endif
#if defined(STOPPING) && !defined(BROKEN_PUT_BLIND)
	if /* Q4 */
	:: state[q] == ENDED -> out_all = true
	:: else -> goto pulled
	fi;
run_out:
	atomic {
		if
		:: queued[q] == 0 -> out_all = false; how = TURN; goto pulled
		:: queued[q] & A ->
			SEE(runs_out_mailbox, true);
			queued[q] = queued[q] & ~A;
			how = OUT;
			goto take
		:: queued[q] & ~A ->
			SEE(runs_out_job, true);
			BEGIN_JOB(queued[q]);
			queued[q] = queued[q] & ~BIT(job);
		fi
	}
	atomic { /* it finds the mailbox refusing */
		refs[SYNCS + job] = 0;
		finished++;
		job = 0;
		goto run_out
	}
#else
	goto pulled;
run_out:
	skip;
#endif
pulled:
	atomic {
		if
		:: found -> SEE(pulls, true)
		:: else -> q++; goto pull
		fi;
#if WORKERS == 2
		SEE(pulls_from_other, q != ME);
#endif
		found = false;
		q = 0;
#ifdef CHAIN
		if
		:: waits == 1 ->
			job = 0;
			CHECK(job_twice, !(begun & BIT(0)));
			begun = begun | BIT(0);
			goto run_job
		:: else
		fi;
#endif
		how = MINE;
		goto run_on
	}
sleep:
end_sleep_inside: /* W3 */
	if
	:: told[waits]
#if !defined(BROKEN_NO_PULL) && !defined(BROKEN_PULL_ONCE)
	:: atomic { TARGET(waits) & (queued[0] | queued[WORKERS - 1]) -> SEE(looks_again, true) }
	:: atomic { looks > 0 && (queued[0] | queued[WORKERS - 1]) != 0 -> looks-- }
#endif
#ifdef TIMED
	:: atomic { gave_up = true; goto give_up }
#endif
	fi;
	goto wait;

give_up:
#ifdef BROKEN_BOTH_DROPPED
	unref(waits);
#endif
back:
	unref(waits);
#ifdef CHAIN
	if
	:: waits == 0 -> finish(1, HANDLED)
	:: else
	fi;
#endif
	atomic {
		finished++;
		waits = outer;
		outer = NOBODY;
		looks = LOOKS;
		if
		:: waits != NOBODY -> goto wait
		:: else -> goto look
		fi
	}
#endif
over:
	state[ME] = ENDED; /* O6 */
#ifndef BROKEN_END_BLIND
	if
	:: queued[ME] != 0 -> goto look
	:: else
	fi;
#endif
	ended++
}

#ifdef STOPPING
active proctype stopper()
{
	bool won;

	refusing = true;
	readers == 0;
	stopping = true;
	wake(0);
	wake(1)
}
#endif

/* Runs when nobody else can. */
active proctype monitor()
{
	byte r;

	timeout;
	CHECK(asleep, returned == SYNCS);
	CHECK(parked, finished == JOBS);
	CHECK(left_over, head == tail && idle_at == head);
	CHECK(left_over, queued[0] == 0 && queued[WORKERS - 1] == 0);
#ifdef STOPPING
	CHECK(running, ended == WORKERS);
#endif
	for (r : 0 .. REQUESTS - 1) {
		CHECK(leaked, refs[r] == 0)
	}
}
