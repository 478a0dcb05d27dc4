/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ready.pml - the descriptor of a manual executor: readable while there is work
 *
 * Models lib/exec/manual.c:
 *   publisher  sti_manual_push: a mailbox into the queue, then manual_signal
 *   runner     sti_executor_run_some, called whenever the descriptor is readable
 * Nothing else is looked at: what a callback does is a push like any other, and that the queue keeps
 * what it is given is for the unit tests of lib/exec/runqueue.c. The eventfd is a flag: written, it
 * is set; read, it is cleared.
 *
 * Spin explores every interleaving of sequentially consistent steps. What the code needs of that
 * order: I and L, C and E of the table are seq_cst, and the descriptor is the kernel's.
 *
 * The word: epoch and one of CLEAR, SIGNALLING, SET.
 *
 *   Publisher                                Runner that finds the queue empty, under the lock
 *     I   push                                 D   read the descriptor
 *     L   look at the word                     C   word = next epoch, CLEAR
 *           SET: done                          E   is the queue empty still? if not, as the
 *           CLEAR: CAS to SIGNALLING               publisher from L on
 *     W   write the descriptor
 *     S   CAS from SIGNALLING to SET, epoch unchanged
 *   I before E   the runner sees the mailbox
 *   E before I   then C before L, so the publisher finds CLEAR, or what others made of it since:
 *                SIGNALLING, and he writes; or SET, and then somebody has written since C. A write
 *                is taken away by a D only, and each D comes with another E.
 *
 * A publisher may be stopped for ever at any step. What he has pushed and not announced may stay,
 * until somebody else announces; nobody else's may.
 *
 * Invariants (the name is printed by a violation)
 *   lost   when nothing more can happen, the descriptor is readable or all that is in the queue is
 *          what the stopped publisher did not announce
 *   noise  if no publisher was at work any more when a run found the queue empty, it leaves the
 *          descriptor unreadable
 *
 * Configurations
 *   (none)   three publishers, of which one may be stopped; one runner
 *   LEAVING  two publishers, of which one may be stopped, and two runners; a turn may leave its
 *            mailbox to be queued again, once; a runner may end after any turn, and not come back
 *   NEVER default requeued left_behind
 *
 * Variants that must fail, and how
 *   BROKEN_LOOK_ONCE  lost
 *       the runner does not look again after it has cleared
 *   BROKEN_READ_LATE  lost
 *       C before D: what is read away may be the write that SET of the new epoch stands for
 *   BROKEN_NO_EPOCH  lost
 *       S of a publisher who was late makes SET of another's SIGNALLING
 *   BROKEN_NO_HELP  lost
 *       SIGNALLING is taken for SET: others rely on one who is stopped
 *   BROKEN_SET_FIRST  lost
 *       the word is SET before the write: ditto
 *   BROKEN_SIGNAL_FIRST  lost
 *       the descriptor is made readable before the push
 *   BROKEN_REQUEUE_SILENT  lost
 *       (LEAVING) who puts a mailbox back and leaves does not announce it
 *   BROKEN_NO_CLEAR  noise
 *       a run that found nothing from its start leaves the descriptor as it is
 */
#include "check.h"

#ifdef LEAVING
#define PUBLISHERS 2
#define RUNNERS 2
#else
#define PUBLISHERS 3
#define RUNNERS 1
#endif
#define NOBODY 255

/* The word. */
#define CLEAR 0
#define SIGNALLING 1
#define SET 2
#define STATE 3
#ifdef BROKEN_NO_EPOCH
#define NEXT_EPOCH(word) CLEAR
#else
#define NEXT_EPOCH(word) (((word) & ~STATE) + 4)
#endif

byte queue;               /* a set of mailboxes; each publisher has one */
byte word;
bool readable;
bool locked;              /* the runners' lock */

/* Ghosts. */
byte publishing = PUBLISHERS;
byte announced;           /* the set of publishers who are done with it */
byte stopped = NOBODY;
#ifdef LEAVING
bool requeued;            /* once */
#endif

hidden byte lost, noise;

/* L to S, then `over`. Declares nothing; uses w. */
inline look()
{
	do
	:: atomic {
		w = word; /* L */
		if
		:: (w & STATE) == SET -> goto over
#ifdef BROKEN_NO_HELP
		:: (w & STATE) == SIGNALLING -> goto over
#else
		:: (w & STATE) == SIGNALLING -> SEE(helps, true); break
#endif
		:: (w & STATE) == CLEAR
		fi
	   };
	   atomic {
		if
		:: word == w ->
#ifdef BROKEN_SET_FIRST
			word = w + SET;
#else
			word = w + SIGNALLING;
#endif
			w = word;
			break
		:: else
		fi
	   }
	od;
	atomic { /* W */
		SEE(late_write, word != w && !readable);
		SEE(late_write_other_signalling,
		    word != w && (word & STATE) == SIGNALLING && (word & ~STATE) != (w & ~STATE));
		readable = true
	}
	atomic { /* S */
		if
		:: word == w && (w & STATE) == SIGNALLING -> word = w - SIGNALLING + SET
		:: else -> SEE(set_by_another, (word & ~STATE) == (w & ~STATE))
		fi;
		w = 0
	}
}

active [PUBLISHERS] proctype publisher()
{
	byte w;

	{
#ifndef BROKEN_SIGNAL_FIRST
		queue = queue | BIT(_pid); /* I */
#endif
		look();
over:
		atomic {
#ifdef BROKEN_SIGNAL_FIRST
			queue = queue | BIT(_pid);
#endif
			w = 0;
			announced = announced | BIT(_pid);
			publishing--
		}
	} unless {
		atomic {
			stopped == _pid;
			SEE(stopped_unannounced, queue & BIT(_pid));
			w = 0;
			publishing--
		}
	}
}

/* At some time or never. */
active proctype stopper()
{
end:
	if
	:: atomic { !(announced & BIT(0)) -> stopped = 0 }
	:: atomic { !(announced & BIT(1)) -> stopped = 1 }
	:: atomic { publishing == 0 -> skip }
	fi
}

active [RUNNERS] proctype runner()
{
	byte w, held, taken;
	bool more, wanted, quiet, found;

end_idle:
	atomic {
		readable; /* the loop wakes up */
		wanted = true;
		found = false;
		quiet = false
	}
next:
	atomic {
		!locked;
		locked = true;
		SEE(requeued, held != 0);
		queue = queue | held;
		held = 0;
		if
		:: wanted && (queue & BIT(0)) -> taken = BIT(0)
		:: wanted && (queue & BIT(1)) -> taken = BIT(1)
		:: wanted && (queue & BIT(2)) -> taken = BIT(2)
		:: !wanted || queue == 0 -> taken = 0
		fi;
		queue = queue & ~taken;
		SEE(found_nothing, wanted && taken == 0 && !found);
		if
		:: queue != 0 -> more = true; SEE(left_behind, !wanted)
		:: queue == 0 && taken != 0 -> more = false
		:: else ->
			quiet = (publishing == 0);
#ifdef BROKEN_NO_CLEAR
			if
			:: !found -> more = false; goto unlock
			:: else
			fi;
#endif
			goto clear
		fi;
		found = true;
		goto unlock
	}
clear:
#ifdef BROKEN_READ_LATE
	word = NEXT_EPOCH(word); /* C */
	readable = false; /* D */
#else
	readable = false; /* D */
	word = NEXT_EPOCH(word); /* C */
#endif
	atomic { /* E */
#ifdef BROKEN_LOOK_ONCE
		more = false;
#else
		more = (queue != 0);
#endif
		SEE(second_look, more)
	}
unlock:
	atomic {
		locked = false;
#ifdef BROKEN_REQUEUE_SILENT
		more = more && wanted;
#endif
		if
		:: !more -> goto over
		:: else -> more = false
		fi
	}
	look();
over:
	atomic {
		w = 0;
		more = false;
		if
		:: taken != 0
		:: else ->
			/* Another runner may be at work yet. */
			CHECK(noise, RUNNERS > 1 || !quiet || !readable);
			quiet = false;
			found = false;
			if
			:: wanted -> wanted = false; goto end_idle
			:: else -> goto gone
			fi
		fi
	}
	/* The callback. */
	atomic {
#ifdef LEAVING
		if
		:: !requeued -> requeued = true; held = taken
		:: true
		fi;
		if
		:: wanted = false
		:: true
		fi;
#endif
		taken = 0;
		goto next
	}
gone:
	skip
}

active proctype monitor()
{
end:
	timeout;
	CHECK(lost, readable || (queue & announced) == 0);
	CHECK(lost, readable || queue == 0 || stopped != NOBODY)
}
