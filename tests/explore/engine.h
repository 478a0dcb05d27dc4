/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPLORE_ENGINE_H
#define EXPLORE_ENGINE_H

/* engine.h — the explorer's parts and what they share
 *
 *   search.c   chooses, backtracks, remembers states
 *   engine.c   one schedule: coroutines, who goes on
 *   model.c    atomic operations: histories, views
 *   shadow.c   plain accesses: races, freed memory; allocation
 *   hooks.c    what the compiler calls
 *   sync.c     the parts of the library that are replaced: RCU, event count, allocator, threads
 *   trace.c    what happened, in words
 *   main.c     options and cases
 *
 * All that changes is in one structure outside the program's data, for those are set back to what
 * they were in the beginning before each schedule. */

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "explore.h"

/* Thread 0 sets up and checks, 1 carries out what waited for a grace period. */
#define EX_MAIN 0u
#define EX_RCU 1u
#define EX_FIRST 2u
#define EX_THREADS (EX_FIRST + EXPLORE_THREADS)

#define EX_LOCATIONS 1024u
#define EX_BUCKETS 4096u
#define EX_MESSAGES 8192u
#define EX_VIEW_WORDS (1u << 20)
#define EX_STEPS 6000u
#define EX_CHOICES 16384u
#define EX_DEFERRED 256u
#define EX_TEXT 400u

/* What the operation about to happen is. */
enum ex_kind {
	EX_LOAD,
	EX_STORE,
	EX_RMW,
	EX_CAS,
	EX_CAS_FAILED,
	EX_FENCE,
	EX_MEMBARRIER,
	EX_READ_LOCK,
	EX_READ_UNLOCK,
	EX_CALL_RCU,
	EX_CALLBACK,
	EX_WAIT,
	EX_YIELD,
	EX_ALLOC,
	EX_FREE,
	EX_STOPPED,
	EX_ENDED,
};

/* Of each location, by its number, the oldest store that may still be read. */
struct ex_view {
	uint16_t n;
	uint16_t at[EX_LOCATIONS];
};

struct ex_clock {
	uint16_t at[EX_THREADS];
};

/* A store in the history of its location. */
struct ex_message {
	struct ex_message *prev;
	uint64_t value;
	uint64_t hash;
	const uint16_t *view; /* what is released with it */
	uint16_t n_view;
	uint16_t index;
	bool released;
	struct ex_clock clock;
};

struct ex_location {
	uintptr_t address;
	uint32_t schedule; /* in which it is valid */
	uint16_t id;
	uint16_t size;
	struct ex_message *last;
	uint64_t hash; /* of the history */
	uint16_t ordered; /* the newest store that a sequentially consistent operation has met */
};

enum ex_status { EX_READY, EX_BLOCKED, EX_YIELDED, EX_STOPPED_FOR_EVER, EX_DONE };

struct ex_thread {
	enum ex_status status;
	bool started;
	const char *name;
	void (*run)(void);
	unsigned flags;
	unsigned reading; /* depth of read sections */
	uint64_t hash;    /* of all that it has done and read */
	uint64_t others;  /* stores of others, when it last went on after it had given way */
	bool late;	  /* it has read what was not the newest since it yielded */
	uint64_t stores;
	uint64_t ticks; /* times it has looked at the clock */
	bool (*ready)(const void *arg);
	const void *arg;
	struct ex_view view;
	struct ex_view acquired, released; /* for fences: relaxed loads; the last release fence */
	struct ex_clock clock, clock_acquired, clock_released;
	ucontext_t context;
	jmp_buf jump;
	char *stack;
	char *arena, *arena_next; /* of its own: addresses depend on what it has done itself */
	char tls[256];
};

/* What waits for a grace period. */
struct ex_deferred {
	void *head;
	void (*run)(void *head);
	uint32_t waits_for; /* threads whose read sections were open; bits */
	bool queued;
	uint64_t hash;
	struct ex_view view;
	struct ex_clock clock;
};

enum ex_outcome { EX_RUNNING, EX_FINISHED, EX_PRUNED, EX_VIOLATED };

/* What is chosen. */
enum ex_what {
	EX_WHO_INSTEAD = 's', /* who goes on, where the current thread could */
	EX_WHO_NEXT = 'n',    /* where it cannot */
	EX_WHICH = 'l',	      /* which store is read */
	EX_WHETHER = 'w',     /* whether a weak compare-exchange fails */
};

struct ex_choice {
	unsigned step;
	uint8_t what;
	uint8_t chosen;
	uint8_t n;
};

struct ex_bounds {
	uint8_t preemptions, stale, both, stops;
};

/* How choices are made. */
enum ex_mode { EX_SEARCH, EX_RANDOM, EX_REPLAY };

struct ex_engine {
	const struct explore_case *test;
	uint32_t schedule; /* number of the present one */
	bool running;	   /* inside one */
	bool alone;	   /* setup or check: one thread */
	bool checking;
	enum ex_outcome outcome;
	jmp_buf driver;
	char text[EX_TEXT]; /* of the violation */

	/* threads */
	unsigned current;
	unsigned interrupted; /* by what waited for a grace period */
	unsigned n_threads;
	struct ex_thread threads[EX_THREADS];
	unsigned steps;
	uint64_t stores;
	struct ex_bounds left;

	/* model */
	struct ex_location buckets[EX_BUCKETS];
	struct ex_location *locations[EX_LOCATIONS];
	unsigned n_locations;
	struct ex_message messages[EX_MESSAGES];
	unsigned n_messages;
	uint16_t *view_words;
	size_t n_view_words;
	struct ex_view ordered; /* what is sequentially consistent */
	uint64_t ordered_hash;
	uint64_t memory_hash;

	/* grace periods */
	struct ex_deferred deferred[EX_DEFERRED];
	unsigned n_deferred, n_called;
	struct ex_view called, left_view; /* by calls; when read sections ended */
	struct ex_clock called_clock, left_clock;
	uint64_t called_hash;

	/* memory */
	unsigned n_blocks;
	unsigned fail_allocation;
	bool freeing;

	/* choices */
	enum ex_mode mode;
	struct ex_choice choices[EX_CHOICES];
	unsigned n_choices, at_choice;
	struct ex_choice replayed[EX_CHOICES];
	unsigned n_replayed;
	bool cut; /* something was left out for a bound */
	bool met; /* threads have met at an address where they had not before */
	uint64_t random;
	bool tracing;
};

extern struct ex_engine *ex;

static inline struct ex_thread *ex_self(void)
{
	return &ex->threads[ex->current];
}

static inline uint64_t ex_mix(uint64_t a, uint64_t b)
{
	a = (a ^ b) * UINT64_C(0x9E3779B97F4A7C15);
	a ^= a >> 32;
	a *= UINT64_C(0xD6E8FEB86659FD93);
	return a ^ (a >> 29);
}

/* --- engine.c --- */

void ex_init(void);
/* Runs the case once. */
void ex_run(void);
/* Counts an operation. */
void ex_step(void);
/* A place where another thread may go on. */
void ex_point(void);
_Noreturn void ex_violate(const char *format, ...) __attribute__((format(printf, 1, 2)));
void ex_wait(bool (*ready)(const void *arg), const void *arg);
/* What waited for a grace period goes on, then the caller. */
void ex_let_rcu(void);
/* Adds to what the thread has done. */
static inline void ex_note(uint64_t what)
{
	ex_self()->hash = ex_mix(ex_self()->hash, what);
}
uint64_t ex_state_hash(void);
/* Takes one of a bound, and of both. */
static inline void ex_spend(uint8_t *left)
{
	if (*left != EXPLORE_UNBOUNDED)
		--*left;
	if (ex->left.both != EXPLORE_UNBOUNDED)
		ex->left.both--;
}
/* Is one left? Else something is left out. */
static inline bool ex_may(uint8_t left)
{
	if (left > 0 && ex->left.both > 0)
		return true;
	ex->cut = true;
	return false;
}

/* --- search.c --- */

void ex_search_init(void);
/* One of n, 0 being what comes by itself. */
unsigned ex_choose(enum ex_what what, unsigned n);
/* Has this state been met before, with as much left of the bounds? Ends the schedule then. */
void ex_meet(void);

struct ex_figures {
	uint64_t schedules, pruned, states;
	unsigned longest; /* steps */
};

/* True: a violation, whose schedule is in ex->choices. */
bool ex_search(struct ex_bounds bounds, struct ex_figures *figures);
bool ex_random(struct ex_bounds bounds, uint64_t n, uint64_t seed, struct ex_figures *figures);
/* The schedule that is run again: the choices of the last one that were not the first; or as it was
 * printed (false: it is not one). */
void ex_keep_schedule(void);
bool ex_read_schedule(const char *schedule);
void ex_print_schedule(void);
bool ex_replay(struct ex_bounds bounds);

/* --- model.c --- */

void ex_model_init(void);
void ex_model_reset(void);
/* Forgets who has been where: for another case. */
void ex_model_forget(void);
/* Where threads have met, others may go on from now on. */
void ex_model_pass(void);
uint64_t ex_load(uintptr_t address, unsigned size, int order, void *pc);
void ex_store(uintptr_t address, unsigned size, uint64_t value, int order, void *pc);
enum ex_op { EX_XCHG, EX_ADD, EX_SUB, EX_AND, EX_OR, EX_XOR, EX_NAND };
uint64_t ex_rmw(uintptr_t address, unsigned size, enum ex_op op, uint64_t operand, int order,
		void *pc);
bool ex_cas(uintptr_t address, unsigned size, uint64_t *expected, uint64_t desired, int success,
	    int failure, bool weak, void *pc);
void ex_fence(int order, void *pc);
void ex_view_join(struct ex_view *view, const uint16_t *other, unsigned n);
void ex_clock_join(struct ex_clock *clock, const struct ex_clock *other);

/* --- shadow.c --- */

void ex_shadow_init(void);
void ex_shadow_reset(void);
/* The program's own data, set back before each schedule. */
void ex_data_save(void);
void ex_data_restore(void);
void ex_access(uintptr_t address, size_t size, bool write, void *pc);
void ex_access_atomic(uintptr_t address, size_t size, bool write, void *pc);
/* Has only the current thread been there, and does nobody else know of it? */
bool ex_is_private(uintptr_t address);
/* Others may know of it from now on. */
void ex_publish(uintptr_t address);
void *ex_alloc(size_t align, size_t size, void *pc);
void ex_free(void *block, void *pc);
char *ex_stack(unsigned thread, size_t *sizep);
/* "block 3+0x10", or what the linker knows. */
void ex_name_address(uintptr_t address, char *text, size_t size);

/* --- sync.c --- */

void ex_rcu_reset(void);
void ex_rcu_main(void);
uint64_t ex_rcu_hash(void);
bool ex_rcu_is_due(void);

/* --- trace.c --- */

void ex_trace_init(void);
void ex_trace_reset(void);
void ex_trace(enum ex_kind kind, void *pc, uintptr_t address, unsigned size, int order,
	      uint64_t value, unsigned behind);
void ex_trace_print(void);
void ex_place(void *pc, char *text, size_t size);

#endif
