/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chain.pml - the updates of one cache entry reach every subscription in the order of its chain
 *
 * Models lib/bus/chain.[ch], lib/cache/cache.c and state.c for one type and id:
 *   publisher  sti_cache_put of a snapshot or a clear, which of the two is open
 *   joiner     a subscribe at any moment; with STATE, stasis_caching_subscribe_with_state
 * A queue is in ring.pml: here a push is one step. What a consumer is given depends on the order in
 * its queue alone, and nobody reads what it writes: so it takes each cell in the step that pushes
 * it. Memory, and when it is freed, is left out: links and entries are not used again. So are
 * forwards, filters and refusals. Entries of other ids share with this one only what a joiner
 * raises. That a publisher's next message comes behind his update needs no message: when he
 * returns, the update is in the queues.
 *
 * Spin explores every interleaving of sequentially consistent steps. One statement or atomic block
 * holds at most one access to a word that another thread writes, or several of which the others
 * cannot tell the order. What a link is made of does not change once it is linked.
 *
 *   Publisher of u
 *     P1  look the entry up, or make it; a clear that finds none is done
 *     P2  p = last. DEAD: B2, and from P1. A clear that finds nothing in p: H up to p, done
 *     P3  p is ROOT, the entry is new: u's number is the group's; else it is p's
 *     P4  u's plan is the subscribers that there are
 *     P5  without who joins, if his number is greater than u's
 *     P6  CAS last from p to u; lost: from P2
 *         H, then B
 *   Deliver, up to t (H)
 *     H1  from t back until a link is done
 *     H2  from there to t, each cell: pushed? then the next
 *     H3  push it
 *     H4  it is pushed
 *     H5  all are: the link is done
 *   Bury, one's own link that leaves nothing (B)
 *     B1  CAS last from it to DEAD; lost: done
 *     B2  take this entry out of the table, if it is in it
 *   Consumer
 *     a cell that has been delivered is passed over
 *   Joiner, one at a time
 *     J1  his number is the group's + 1; he is who joins
 *     J2  he is among the subscribers
 *     J3  the group's number is his
 *     J4  look the entry up; there is none: J7
 *     J5  p = last. DEAD: J7. p's number is not less than his: H up to p, J7
 *     J6  CAS last from p to a marker, a link that changes nothing, with his number: from nothing
 *         to what p leaves, for him alone, and for nobody if that is nothing; lost: from J5
 *         H, then B
 *     J7  nobody joins
 *
 *   P2 before P4   of two links, the later has seen the subscribers later: no gap after the first
 *   H3 before H4   who finds a cell pushed pushes behind it; one may be pushed twice, the second
 *                  time behind later ones, and is passed over there
 *   P1 before P3   J3 before P3: the first link has the number; else P1 before J4: the joiner finds
 *                  the entry, and puts his marker behind ROOT or what came next
 *   J2 before J3   who has the number finds the joiner among the subscribers
 *   J1 before J2   who finds the joiner there finds that he joins, or has a p that is last no more
 *   P4 before P5   for that
 *   In P5 his number is his own, set before J1 and for good: another joiner has another.
 *
 * Invariants (the name is printed by a violation)
 *   chain      old is new of the callback before; first, it is nothing, except for a subscription
 *              that came later without the state
 *   gap        between two callbacks of a subscription the chain has no further change
 *   repeated   a link is delivered once
 *   overtaken  when a publisher or joiner returns, his link and all before it, or what he found
 *              instead, have been pushed to all that are in their plans
 *   forgotten  the table has what was published last, when a publisher returns and at the end
 *   lost       when nobody can go on, everything has been delivered, and the last callbacks said
 *              what the table has
 *   left_over  and no entry that has nothing is in the table
 *   stuck      and everybody is through, or is the one who has stopped
 *
 * Configurations
 *   (none)   three publishers, one operation each; a plain joiner
 *   LONG     two publishers, two operations each
 *   STATE    two publishers, one operation each; a joiner with the state
 *   PAIR     two of those
 *   STOPPED  (also with LONG, STATE) publisher 0 at any point, or the joiner with the state from J4
 *            on, may stop for ever; lost and left_over are not asked then
 *
 * Variants that must fail, and how
 *   BROKEN_NO_HELP  chain gap lost overtaken
 *       a publisher delivers his own link alone
 *   BROKEN_CLAIM  chain overtaken
 *       H4 before H3
 *   BROKEN_PLAN_EARLY  chain gap lost
 *       P4 before P2
 *   BROKEN_REPEATED  repeated
 *       the consumer does not look whether the cell has been delivered
 *   BROKEN_DEAD_STORE  chain forgotten lost
 *       B1 stores DEAD
 *   BROKEN_DEAD_FIRST  chain overtaken
 *       B before H
 *   BROKEN_DEAD_LEFT  stuck
 *       (STOPPED) who finds DEAD waits until somebody takes the entry out
 *   BROKEN_REMOVE_ID  forgotten
 *       B2 takes out whatever entry the table has
 *   BROKEN_CLEAR_SILENT  overtaken
 *       a clear that finds nothing in p is done at once: another's clear may be on its way
 *   BROKEN_MARKER_ALONE  chain gap overtaken
 *       (STATE) the joiner delivers his marker alone, and it is done when those before are not
 *   BROKEN_MARKER_LEAVES  left_over
 *       (STATE) he does not bury it: a clear whose B1 it has made fail leaves its entry for ever
 *   BROKEN_SKIP_SILENT  overtaken
 *       (STATE) in J5 he is done at once: what he is told of the entry may be on its way
 *   BROKEN_ROOT_SKIPPED  lost
 *       (STATE) he puts no marker behind ROOT
 *   BROKEN_NUMBER_EARLY  lost
 *       (STATE) P3 before P1
 *   BROKEN_NUMBER_FRESH  chain
 *       (STATE) a link's number is always the group's
 *   BROKEN_PLAN_FIRST  chain lost
 *       (STATE) P4 before P3
 *   BROKEN_LEAVE_FIRST  chain
 *       (STATE) P5 looks who joins before P4
 *   BROKEN_RAISE_FIRST  chain lost
 *       (STATE) J3 before J2
 *   BROKEN_JOIN_LATE  chain
 *       (STATE) J2 before J1 says who joins
 *   BROKEN_END_EARLY  chain
 *       (STATE) J7 before J4
 *   BROKEN_TORN  chain lost
 *       (PAIR) the number of who joins is beside him, and is loaded after him: it may be the next
 *       joiner's, and who has joined before is left out
 */
#include "check.h"

#ifdef PAIR
#define STATE
#define JOINERS 2
#else
#define JOINERS 1
#endif
#ifndef PUBLISHERS
#if defined(LONG) || defined(STATE)
#define PUBLISHERS 2
#else
#define PUBLISHERS 3
#endif
#endif
#ifndef OPS /* of each publisher */
#ifdef LONG
#define OPS 2
#else
#define OPS 1
#endif
#endif
#define SUBSCRIPTIONS (1 + JOINERS)
#define ENTRIES 5

/* Links: ROOT, one for each operation of a publisher, one for each joiner. */
#define ROOT 0
#define LINK(publisher, k) ((publisher) * OPS + (k))
#define MARKER(s) (PUBLISHERS * OPS + (s))
#define LINKS (MARKER(JOINERS) + 1)
#define IS_MARKER(l) ((l) > PUBLISHERS * OPS)
#define NOTHING 0 /* a snapshot has the number of its link */

#define DEAD 255
#define NONE 255

/* The table, of one id, and the entries there have been. */
byte table = NONE;
byte last[ENTRIES];

/* The links. done, and pushed of a subscription, are sets of them. */
byte prev[LINKS], new[LINKS], plan[LINKS];
byte done = BIT(ROOT);
byte pushed[SUBSCRIPTIONS];

/* The set of subscriptions. */
byte subscribers = BIT(0);
#ifdef STATE
byte link_number[LINKS];
byte number;
byte joining;                 /* a subscription; 0: none */
byte join_number[SUBSCRIPTIONS];
bool locked;
#ifdef BROKEN_TORN
byte joining_number;
#endif
#endif

/* Consumers: the links whose cells say delivered, the snapshot of the last callback. */
byte delivered[SUBSCRIPTIONS];
byte seen[SUBSCRIPTIONS];

/* Ghosts. */
byte entries;                 /* made so far */
byte linked, changes;         /* links so far; those of them that are no markers */
byte order[LINKS];            /* of its CAS, from 1 */
byte position[LINKS];         /* changes up to it */
byte newest;
byte begun = BIT(0);          /* the subscriptions that have had a callback, or were there first */
byte at[SUBSCRIPTIONS];       /* the position of that */
byte through;
bool stopped;

hidden byte chain, gap, repeated, overtaken, forgotten, lost, left_over, stuck;

/* What stasis_cache_get finds. */
#define FOUND (table == NONE || last[table] == DEAD -> NOTHING : new[last[table]])

#define MISSES(s, l) (plan[l] & BIT(s) && !(delivered[s] & BIT(l)))
#ifdef PAIR
#define MISSED(l) (MISSES(0, l) || MISSES(1, l) || MISSES(2, l))
#else
#define MISSED(l) (MISSES(0, l) || MISSES(1, l))
#endif

/* What was linked up to t is in the queues of all it goes to. Uses w. */
inline check_up_to(name, t)
{
	w = 1;
	do
	:: w == LINKS -> break
	:: else ->
		CHECK(name, order[w] == 0 || order[w] > order[t] || !MISSED(w));
		w++
	od;
	w = 0
}

#ifdef STATE
#define KNOWS_OLD(s) true
#else
#define KNOWS_OLD(s) (begun & BIT(s))
#endif

/* A push, and the consumer's turn. */
inline push(s, l)
{
	if
#ifndef BROKEN_REPEATED
	:: delivered[s] & BIT(l) -> SEE(pushed_twice, true)
#endif
	:: else ->
		CHECK(repeated, !(delivered[s] & BIT(l)));
		if
		:: IS_MARKER(l) -> CHECK(chain, !(begun & BIT(s)))
		:: else ->
			CHECK(chain, !KNOWS_OLD(s) || seen[s] == new[prev[l]]);
			CHECK(gap, !(begun & BIT(s)) || position[l] == at[s] + 1)
		fi;
		delivered[s] = delivered[s] | BIT(l);
		begun = begun | BIT(s);
		at[s] = position[l];
		seen[s] = new[l]
	fi
}

#ifdef STOPPED
#define MAY_STOP(where)                                                    \
	if                                                                 \
	:: (_pid == 0 || _pid == PUBLISHERS) && !stopped ->                \
		SEE(where, true);                                          \
		stopped = true;                                            \
		goto stop                                                  \
	:: true                                                            \
	fi
#else
#define MAY_STOP(where) skip
#endif

/* P6, or J6, has succeeded: t and w are where the delivery starts from. */
inline link()
{
	last[e] = u;
	linked++;
	order[u] = linked;
	changes = changes + !IS_MARKER(u);
	position[u] = changes;
	newest = u;
	p = 0;
	t = u;
	w = u
}

/* Local: s goes on to the next cell of l, or behind the last. */
inline next_cell()
{
	do
	:: s < SUBSCRIPTIONS && !(plan[l] & BIT(s)) -> s++
	:: else -> break
	od
}

/* H1 to H5 up to t, then on to `helped`. w is t, l and s are 0; afterwards, w too. */
inline help()
{
	do
	:: atomic { /* H1 */
		MAY_STOP(stopped_walking);
		if
#ifdef BROKEN_NO_HELP
		:: l == t
#endif
#ifdef BROKEN_MARKER_ALONE
		:: l == t && IS_MARKER(t)
#endif
		:: done & BIT(w)
		:: else -> l = w; w = prev[w]; goto walk_on
		fi;
		w = 0;
		if
		:: l == 0 -> SEE(done_by_another, true); goto helped
		:: else -> next_cell(); break
		fi;
walk_on:
		skip
	   }
	od;
	do
	:: atomic { /* H2 */
		s < SUBSCRIPTIONS && (pushed[s] & BIT(l)) -> s++; next_cell()
	   }
	:: atomic {
		s < SUBSCRIPTIONS && !(pushed[s] & BIT(l))
	   };
#ifdef BROKEN_CLAIM
	   atomic { MAY_STOP(stopped_unmarked); pushed[s] = pushed[s] | BIT(l) };
	   atomic { MAY_STOP(stopped_unpushed); push(s, l); s++; next_cell() }
#else
	   atomic { /* H3 */
		MAY_STOP(stopped_unpushed);
		push(s, l)
	   };
	   atomic { /* H4 */
		MAY_STOP(stopped_unmarked);
		pushed[s] = pushed[s] | BIT(l);
		s++;
		next_cell()
	   }
#endif
	:: atomic { /* H5, and the next link; those up to t do not change any more */
		s == SUBSCRIPTIONS ->
		MAY_STOP(stopped_undone);
		SEE(helped, l != t);
		done = done | BIT(l);
		s = 0;
		if
		:: l == t -> l = 0; goto helped
		:: else
		fi;
		w = t;
		do
		:: prev[w] == l -> break
		:: else -> w = prev[w]
		od;
		l = w;
		w = 0;
		next_cell()
	   }
	od
}

/* B1, for what is the caller's own and leaves nothing; else, on to `left`. */
inline bury()
{
	atomic {
		if
		:: t == u && new[t] == NOTHING -> MAY_STOP(stopped_unburied)
		:: else -> goto left
		fi;
		if
#ifdef BROKEN_DEAD_STORE
		:: true -> last[e] = DEAD
#else
		:: last[e] == t -> last[e] = DEAD
		:: else -> SEE(revived, true); goto left
#endif
		fi
	}
}

inline remove()
{
	atomic { /* B2 */
		MAY_STOP(stopped_unremoved);
		if
#ifdef BROKEN_REMOVE_ID
		:: table != NONE -> table = NONE
#else
		:: table == e -> table = NONE
#endif
		:: else -> SEE(removed_by_another, true)
		fi
	}
}

/* Who joins, if a link must not go there yet. */
#define LEFT_OUT (joining != 0 && join_number[joining] > link_number[u] -> joining : 0)

active [PUBLISHERS] proctype publisher()
{
	byte k, u, e, p, t, l, w, s;
#if defined(BROKEN_LEAVE_FIRST) || defined(BROKEN_TORN)
	byte j;
#endif

publish:
	atomic {
		if
		:: k == OPS -> k = 0; goto over
		:: else -> k++
		fi;
		u = LINK(_pid, k);
		if
		:: new[u] = u
		:: new[u] = NOTHING
		fi
	}
#ifdef BROKEN_NUMBER_EARLY
	link_number[u] = number;
#endif
look_up:
	atomic { /* P1 */
		MAY_STOP(stopped_before);
		e = table;
		if
		:: e == NONE && new[u] == NOTHING ->
			SEE(nothing_to_clear, true);
			CHECK(forgotten, new[newest] == NOTHING);
			e = 0;
			u = 0;
			goto publish
		:: e == NONE && new[u] != NOTHING ->
			SEE(made_anew, entries > 0);
			assert(entries < ENTRIES);
			e = entries;
			entries++;
			table = e
		:: else
		fi
	}
again:
#ifdef BROKEN_PLAN_EARLY
	plan[u] = subscribers;
#endif
	atomic { /* P2 */
		MAY_STOP(stopped_unlinked);
		p = last[e];
		if
		:: p == DEAD -> p = 0; goto dead
		:: p != DEAD && new[u] == NOTHING && new[p] == NOTHING ->
			SEE(cleared_already, !(done & BIT(p)));
			t = p;
			p = 0;
			u = 0;
#ifdef BROKEN_CLEAR_SILENT
			goto left;
#endif
			w = t;
			goto deliver
		:: else -> prev[u] = p
		fi;
#ifdef STATE
#ifdef BROKEN_NUMBER_FRESH
		goto look_at_number;
#endif
		if
		:: p == ROOT
		:: else -> link_number[u] = link_number[p]; goto make_plan
		fi
#else
		goto make_plan
#endif
	}
#ifdef STATE
look_at_number:
#ifdef BROKEN_PLAN_FIRST
	plan[u] = subscribers;
#endif
#ifndef BROKEN_NUMBER_EARLY
	link_number[u] = number; /* P3 */
#endif
#ifdef BROKEN_PLAN_FIRST
	goto leave_out;
#endif
#endif
make_plan:
#ifdef BROKEN_LEAVE_FIRST
	j = LEFT_OUT;
#endif
#ifndef BROKEN_PLAN_EARLY
	plan[u] = subscribers; /* P4 */
#endif
#ifdef STATE
leave_out:
#if defined(BROKEN_LEAVE_FIRST)
	atomic { plan[u] = plan[u] & ~BIT(j); j = 0 };
#elif defined(BROKEN_TORN)
	j = joining;
	atomic {
		if
		:: j != 0 && joining_number > link_number[u] -> plan[u] = plan[u] & ~BIT(j)
		:: else
		fi;
		j = 0
	}
#else
	atomic { /* P5 */
		if
		:: LEFT_OUT != 0 ->
			SEE(left_out, plan[u] & BIT(joining));
			plan[u] = plan[u] & ~BIT(joining)
		:: else
		fi
	}
#endif
#endif
	atomic { /* P6 */
		if
		:: last[e] == p -> link()
		:: else ->
			SEE(another_first, true);
			p = 0;
			prev[u] = 0;
			plan[u] = 0;
			goto again
		fi
	}
deliver:
#ifdef BROKEN_DEAD_FIRST
	bury();
	remove();
left:
	help();
helped:
#else
	help();
helped:
	bury();
	remove();
left:
#endif
	atomic {
		check_up_to(overtaken, t);
		CHECK(forgotten, FOUND == new[newest]);
		e = 0;
		t = 0;
		u = 0;
		goto publish
	}
dead:
#ifdef BROKEN_DEAD_LEFT
	table != e;
#else
	remove();
#endif
	e = 0;
	goto look_up;
#ifdef STOPPED
stop:
	atomic {
		k = 0;
		u = 0;
		e = 0;
		t = 0;
		l = 0;
		w = 0;
		s = 0
	}
#endif
over:
	through++
}

#ifdef STATE
#define OWN (_pid - PUBLISHERS + 1)

active [JOINERS] proctype joiner()
{
	byte mine, u, e, p, t, l, w, s;

	atomic { /* J1 */
		!locked -> locked = true;
		mine = number + 1;
		join_number[OWN] = mine;
#ifdef BROKEN_TORN
		joining_number = mine;
#endif
		u = MARKER(OWN);
#if !defined(BROKEN_JOIN_LATE) && !defined(BROKEN_TORN)
		joining = OWN
#endif
	}
#ifdef BROKEN_TORN
	joining = OWN;
#endif
#ifdef BROKEN_RAISE_FIRST
	number = mine;
#endif
	subscribers = subscribers | BIT(OWN); /* J2 */
#ifdef BROKEN_JOIN_LATE
	joining = OWN;
#endif
#ifndef BROKEN_RAISE_FIRST
	number = mine; /* J3 */
#endif
#ifdef BROKEN_END_EARLY
	joining = 0;
#endif
	atomic { /* J4 */
		MAY_STOP(stopped_joining);
		e = table;
		if
		:: e == NONE -> SEE(scan_finds_none, newest != ROOT); e = 0; goto left
		:: else
		fi
	}
again:
	atomic { /* J5 */
		p = last[e];
		if
		:: p == DEAD -> SEE(scan_finds_dead, true); p = 0; goto left
#ifdef BROKEN_ROOT_SKIPPED
		:: p == ROOT -> goto left
#endif
		:: p != DEAD && link_number[p] >= mine ->
			SEE(scan_finds_newer, true);
			t = p;
			p = 0;
			u = 0;
#ifdef BROKEN_SKIP_SILENT
			goto left;
#endif
			w = t;
			goto deliver
		:: else ->
			prev[u] = p;
			new[u] = new[p];
			link_number[u] = mine;
			plan[u] = (new[u] == NOTHING -> 0 : BIT(OWN))
		fi
	}
	atomic { /* J6 */
		MAY_STOP(stopped_unlinked);
		if
		:: last[e] == p ->
			SEE(marks_root, p == ROOT);
			SEE(marks_clear, p != ROOT && new[p] == NOTHING);
			SEE(marks_undone, !(done & BIT(p)));
			link()
		:: else ->
			SEE(marker_late, true);
			p = 0;
			prev[u] = 0;
			new[u] = 0;
			plan[u] = 0;
			goto again
		fi
	}
deliver:
	help();
helped:
#ifndef BROKEN_MARKER_LEAVES
	bury();
	remove();
#endif
left:
	atomic {
		check_up_to(overtaken, t);
		joining = 0; /* J7 */
		locked = false;
		mine = 0;
		u = 0;
		e = 0;
		t = 0;
		goto over
	}
#ifdef STOPPED
stop:
	atomic {
		mine = 0;
		u = 0;
		e = 0;
		p = 0;
		t = 0;
		l = 0;
		w = 0;
		s = 0
	}
#endif
over:
	through++
}
#else
active proctype joiner()
{
	atomic {
		subscribers = subscribers | BIT(1);
		through++
	}
}
#endif

/* Runs when nobody else can. */
active proctype monitor()
{
	byte w;

	timeout ->
	atomic {
		CHECK(stuck, through == PUBLISHERS + JOINERS);
		CHECK(forgotten, FOUND == new[newest]);
		if
		:: stopped
		:: else ->
			check_up_to(lost, newest);
			do
			:: w == SUBSCRIPTIONS -> break
			:: else ->
				CHECK(lost, !KNOWS_OLD(w) || seen[w] == new[newest]);
				w++
			od;
			CHECK(left_over, table == NONE || FOUND != NOTHING)
		fi
	}
}
