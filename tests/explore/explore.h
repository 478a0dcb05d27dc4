/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPLORE_EXPLORE_H
#define EXPLORE_EXPLORE_H

/* explore.h — the library's own code under every schedule, within bounds
 *
 * What it does
 *   The sources of the library that a test is about are compiled for ThreadSanitizer, and linked
 *   with the explorer in place of ThreadSanitizer's run time. So every atomic operation and every
 *   plain access to memory calls the explorer, in inlined functions too, and not a line of the
 *   library differs. The threads of a case are coroutines of one thread. Before each atomic
 *   operation the explorer decides who goes on; at each atomic load, which store is read. It runs
 *   the case again and again, until every choice has been made every way.
 *
 *   Not a place to switch at: an operation on an address that no other thread ever goes to, in any
 *   schedule, or that all only read, for nobody would notice the difference; and a relaxed store to
 *   memory that the thread has allocated and whose address it has not stored by an atomic operation
 *   yet, which is initialization.
 *
 * The memory model
 *   That of C11, as an operational one: each location keeps the history of its stores, in the order
 *   in which they were made; each thread has a view, the oldest store of each location that it may
 *   still read. Reading by acquire what was stored by release joins the storer's view to the
 *   reader's, and so do fences, release sequences, the single order of what is sequentially
 *   consistent, and grace periods. A load reads the newest store, or, at a cost, any older one that
 *   its view allows; a weak compare-exchange may fail for nothing, at the same cost. So stores to
 *   different locations are seen out of order, late, or by one thread before another, as far as the
 *   orders that the code names permit, whatever the processor below would do. That includes all
 *   that a store buffer of x86 does, and reordering of loads.
 *   Left out: a store that takes effect before an earlier load of the same thread (load
 *   buffering, which no compiler and no x86 does for atomics), and a store that goes into the
 *   history behind one that was made later.
 *
 *   Plain accesses take effect at once, and are checked instead: two of them, one a write, that
 *   are not ordered by happens-before are a violation. Stacks are left out of that.
 *
 * What else is a violation
 *   touching memory that has been freed, or beside what was allocated; a failed assertion of the
 *   library; a deadlock: nobody can go on, and a thread that should end has not; more steps than
 *   any schedule should take; what the case itself finds wrong. Memory comes back never, a grace
 *   period ends at the first moment it may, and what waited for it is carried out then.
 *
 * Bounds
 *   preemptions  switches away from a thread that could go on
 *   stale        loads of an older store, and compare-exchanges that fail for nothing
 *   stops        threads that stop for ever, at any point, of those that are marked STOPPABLE
 *   A case is explored with none, then with one preemption or stale load, then with two together,
 *   and so on; if no choice has been left out for a bound, it has been explored completely, and
 *   says so. Two schedules that lead to the same state are followed once: a state is what each
 *   thread has done and read, and the order of stores at each location, kept as 64 bits of hash. So
 *   an error may hide behind two states of one hash: one chance in some million per case.
 *
 * Schedules
 *   A violation is printed with the operations that led to it and its schedule: the choices that
 *   were not the first, each with the number of the operation at which it was made and with what
 *   was chosen. --schedule runs one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLORE_THREADS 6u /* of a case; the explorer has two of its own */

#define EXPLORE_UNBOUNDED 255u

/* Flags of a thread. */
#define EXPLORE_DAEMON 1u    /* needs not end: it waits for more when all is done */
#define EXPLORE_STOPPABLE 2u /* may be stopped for ever */

struct explore_thread {
	const char *name;
	void (*run)(void);
	unsigned flags;
};

struct explore_case {
	const char *name;
	const char *what; /* in a line */
	void (*setup)(void); /* alone, before */
	void (*check)(void); /* alone, when nobody can go on any more */
	struct explore_thread threads[EXPLORE_THREADS];
	/* bounds */
	uint8_t preemptions;
	uint8_t stale;
	uint8_t both; /* preemptions and stale together; 0: as many as there may be of each */
	uint8_t stops;
};

/* What a test program consists of, besides functions. */
extern const struct explore_case explore_cases[];
extern const size_t explore_n_cases;

/* Ends the schedule: the case has gone wrong. */
_Noreturn void explore_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define explore_expect(e)                                                                          \
	((e) ? (void)0 : explore_violation("%s:%d: not true: %s", __FILE__, __LINE__, #e))

/* Lets others go on; for ever, if none has stored anything since the last time. */
void explore_yield(void);

/* Waits until ready(arg), which looks at the newest values. */
void explore_block(bool (*ready)(const void *arg), const void *arg);

/* A mutual exclusion, all-zero to begin with. */
struct explore_lock {
	uint32_t held;
};

void explore_lock(struct explore_lock *lock);
void explore_unlock(struct explore_lock *lock);

/* Opened so many times, and passed as often: by one thread, which waits for it. All-zero to begin
 * with. */
struct explore_gate {
	uint32_t open;
};

void explore_gate_open(struct explore_gate *gate);
void explore_gate_pass(struct explore_gate *gate);

/* What membarrier(2) does: a full fence in every thread, now. */
void explore_membarrier(void);

/* In check: has a thread, by its place in the case, been stopped for ever? Ended? */
bool explore_was_stopped(unsigned thread);
bool explore_has_ended(unsigned thread);

/* Blocks of memory that have not been freed. */
unsigned explore_n_blocks(void);

/* The n-th allocation from now fails; 0: none. For setup. */
void explore_fail_allocation(unsigned n);

#endif
