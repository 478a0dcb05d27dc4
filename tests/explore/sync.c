/* SPDX-License-Identifier: BSD-2-Clause */
/* sync.c — the parts of the library that the explorer replaces: RCU, event count, allocator, clock,
 * threads' records; and locks
 *
 * Grace periods are modelled by what they guarantee. Of a read section and a sti_rcu_call(), either
 * the section had begun by the call: then the callback waits for its end, and comes after it. Or it
 * begins later: then it sees what the caller had done. A callback is carried out the moment the
 * last section it waits for has ended, before anybody else goes on, and as a whole. */

#include "engine.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/callout.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/thread.h"
#include "sync/eventcount.h"
#include "sync/membarrier.h"
#include "sync/rcu.h"

#define PC __builtin_return_address(0)

/* --- RCU --- */

void ex_rcu_reset(void)
{
	ex->n_deferred = 0;
	ex->n_called = 0;
	ex->called.n = ex->left_view.n = 0;
	memset(&ex->called_clock, 0, sizeof(ex->called_clock));
	memset(&ex->left_clock, 0, sizeof(ex->left_clock));
	ex->called_hash = 0;
}

/* Callbacks that are due and have not begun. */
static struct ex_deferred *rcu_next(void)
{
	for (unsigned i = 0; i < ex->n_deferred; i++) {
		if (ex->deferred[i].queued && ex->deferred[i].waits_for == 0)
			return &ex->deferred[i];
	}
	return NULL;
}

static bool rcu_has_next(const void *arg)
{
	return rcu_next() != NULL;
}

bool ex_rcu_is_due(void)
{
	const struct ex_thread *thread = &ex->threads[EX_RCU];

	return thread->status == EX_READY ||
	       (thread->status == EX_BLOCKED && thread->ready(thread->arg));
}

uint64_t ex_rcu_hash(void)
{
	uint64_t sum = ex->called_hash;

	for (unsigned i = 0; i < ex->n_deferred; i++) {
		const struct ex_deferred *deferred = &ex->deferred[i];

		if (deferred->queued)
			sum += ex_mix(deferred->hash, deferred->waits_for);
	}
	return sum;
}

void ex_rcu_main(void)
{
	for (;;) {
		struct ex_deferred *deferred = rcu_next();
		struct ex_thread *self = ex_self();

		if (deferred == NULL) {
			ex_wait(rcu_has_next, NULL);
			continue;
		}
		deferred->queued = false;
		ex_view_join(&self->view, deferred->view.at, deferred->view.n);
		ex_clock_join(&self->clock, &deferred->clock);
		ex_note(deferred->hash);
		ex_trace(EX_CALLBACK, NULL, (uintptr_t)deferred->head, 0, 0, 0, 0);
		deferred->run(deferred->head);
	}
}

/* Something that happens when all read sections that are open now have ended. */
static struct ex_deferred *rcu_defer(void)
{
	struct ex_deferred *deferred = &ex->deferred[ex->n_deferred];
	struct ex_thread *self = ex_self();

	if (ex->n_deferred == EX_DEFERRED)
		ex_violate("the explorer's room for callbacks is used up");
	ex->n_deferred++;
	deferred->queued = false;
	deferred->waits_for = 0;
	for (unsigned i = 0; i < ex->n_threads; i++)
		deferred->waits_for |= (uint32_t)(ex->threads[i].reading > 0) << i;
	ex_note(ex_mix(EX_CALL_RCU, deferred->waits_for));
	deferred->hash = self->hash;
	deferred->view.n = 0;
	ex_view_join(&deferred->view, self->view.at, self->view.n);
	ex_view_join(&deferred->view, ex->left_view.at, ex->left_view.n);
	deferred->clock = self->clock;
	ex_clock_join(&deferred->clock, &ex->left_clock);
	/* For those whose sections begin later. */
	ex_view_join(&ex->called, self->view.at, self->view.n);
	ex_clock_join(&ex->called_clock, &self->clock);
	ex->called_hash += ex_mix(self->hash, 1);
	self->clock.at[ex->current]++;
	return deferred;
}

static void run_due(void)
{
	if (!ex->alone && ex->current != EX_RCU && ex_rcu_is_due())
		ex_let_rcu();
}

void sti_rcu_read_lock(void)
{
	struct ex_thread *self = ex_self();

	if (self->reading == 0) {
		ex_step();
		ex_point();
		ex_view_join(&self->view, ex->called.at, ex->called.n);
		ex_clock_join(&self->clock, &ex->called_clock);
		ex_note(ex_mix(EX_READ_LOCK, ex->called_hash));
		ex_trace(EX_READ_LOCK, PC, 0, 0, 0, 0, 0);
	}
	self->reading++;
}

void sti_rcu_read_unlock(void)
{
	struct ex_thread *self = ex_self();

	if (self->reading == 0)
		ex_violate("%s ends a read section that it has not begun", self->name);
	if (--self->reading > 0)
		return;
	ex_trace(EX_READ_UNLOCK, PC, 0, 0, 0, 0, 0);
	ex_view_join(&ex->left_view, self->view.at, self->view.n);
	ex_clock_join(&ex->left_clock, &self->clock);
	for (unsigned i = 0; i < ex->n_deferred; i++) {
		struct ex_deferred *deferred = &ex->deferred[i];

		if (!(deferred->waits_for & (1u << ex->current)))
			continue;
		deferred->waits_for &= ~(1u << ex->current);
		ex_view_join(&deferred->view, self->view.at, self->view.n);
		ex_clock_join(&deferred->clock, &self->clock);
	}
	self->clock.at[ex->current]++;
	ex_note(EX_READ_UNLOCK);
	run_due();
}

static void rcu_run(void *head)
{
	((struct sti_rcu_head *)head)->func(head);
}

void sti_rcu_start(void)
{
}

void sti_rcu_call(struct sti_rcu_head *head, void (*func)(struct sti_rcu_head *head))
{
	struct ex_deferred *deferred;

	ex_step();
	ex_point();
	ex_trace(EX_CALL_RCU, PC, (uintptr_t)head, 0, 0, 0, 0);
	ex_access((uintptr_t)head, sizeof(*head), true, PC);
	head->func = func;
	deferred = rcu_defer();
	deferred->head = head;
	deferred->run = rcu_run;
	deferred->queued = true;
	run_due();
}

static bool has_ended(const void *arg)
{
	return ((const struct ex_deferred *)arg)->waits_for == 0;
}

void sti_rcu_synchronize(void)
{
	struct ex_thread *self = ex_self();
	struct ex_deferred *deferred;

	if (self->reading > 0)
		ex_violate("%s waits for a grace period inside a read section", self->name);
	ex_step();
	ex_point();
	deferred = rcu_defer();
	ex_wait(has_ended, deferred);
	ex_view_join(&self->view, deferred->view.at, deferred->view.n);
	ex_clock_join(&self->clock, &deferred->clock);
}

static bool nothing_queued(const void *arg)
{
	for (unsigned i = 0; i < ex->n_deferred; i++) {
		if (ex->deferred[i].queued)
			return false;
	}
	return true;
}

void sti_rcu_barrier(void)
{
	ex_wait(nothing_queued, NULL);
}

/* --- event count --- */

void sti_eventcount_init(struct sti_eventcount *ec)
{
	ex_store((uintptr_t)&ec->counter, sizeof(ec->counter), 0, __ATOMIC_RELAXED, PC);
}

uint32_t sti_eventcount_value(const struct sti_eventcount *ec)
{
	return (uint32_t)ex_load((uintptr_t)&ec->counter, sizeof(ec->counter), __ATOMIC_ACQUIRE,
				 PC);
}

void sti_eventcount_signal(struct sti_eventcount *ec)
{
	ex_rmw((uintptr_t)&ec->counter, sizeof(ec->counter), EX_ADD, 1, __ATOMIC_ACQ_REL, PC);
}

struct wait {
	const struct sti_eventcount *ec;
	uint32_t value;
};

static bool has_changed(const void *arg)
{
	const struct wait *wait = arg;

	return wait->ec->counter != wait->value;
}

/* Time never passes: with or without a timeout, until there is a signal. */
bool sti_eventcount_wait(struct sti_eventcount *ec, uint32_t value, uint64_t timeout_ns)
{
	struct wait wait = { ec, value };

	(void)timeout_ns;
	ex_trace(EX_WAIT, PC, (uintptr_t)ec, 0, 0, value, 0);
	ex_wait(has_changed, &wait);
	ex_load((uintptr_t)&ec->counter, sizeof(ec->counter), __ATOMIC_ACQUIRE, PC);
	return true;
}

/* --- locks, gates --- */

static bool is_zero(const void *arg)
{
	return *(const uint32_t *)arg == 0;
}

static bool is_not_zero(const void *arg)
{
	return *(const uint32_t *)arg != 0;
}

void explore_lock(struct explore_lock *lock)
{
	while (ex_rmw((uintptr_t)&lock->held, sizeof(lock->held), EX_XCHG, 1, __ATOMIC_ACQUIRE,
		      PC) != 0)
		ex_wait(is_zero, &lock->held);
}

void explore_unlock(struct explore_lock *lock)
{
	ex_store((uintptr_t)&lock->held, sizeof(lock->held), 0, __ATOMIC_RELEASE, PC);
}

void explore_gate_open(struct explore_gate *gate)
{
	ex_rmw((uintptr_t)&gate->open, sizeof(gate->open), EX_ADD, 1, __ATOMIC_RELEASE, PC);
}

void explore_gate_pass(struct explore_gate *gate)
{
	ex_wait(is_not_zero, &gate->open);
	ex_rmw((uintptr_t)&gate->open, sizeof(gate->open), EX_SUB, 1, __ATOMIC_ACQUIRE, PC);
}

/* --- allocator, assertions, clock, threads, barriers --- */

void *sti_alloc(size_t size)
{
	return ex_alloc(16, size, PC);
}

void *sti_alloc_zeroed(size_t size)
{
	void *memory = ex_alloc(16, size, PC);

	if (memory != NULL) {
		ex_access((uintptr_t)memory, size, true, PC);
		memset(memory, 0, size);
	}
	return memory;
}

void *sti_alloc_aligned(size_t align, size_t size)
{
	return ex_alloc(align, size, PC);
}

void sti_free(void *memory)
{
	ex_free(memory, PC);
}

char *sti_strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = ex_alloc(16, size, PC);

	if (copy != NULL) {
		ex_access((uintptr_t)copy, size, true, PC);
		memcpy(copy, s, size);
	}
	return copy;
}

void sti_assert_failed(const char *what, const char *file, int line)
{
	ex_violate("assertion failed: %s:%d: %s", file, line, what);
}

__thread unsigned sti_cancel_holds;

void sti_callout_left(const char *how)
{
	ex_violate("a callback has been left %s", how);
}

/* Nobody forks. */
bool sti_process_is_child;

uint64_t sti_clock_monotonic_ns(void)
{
	return sti_ticks();
}

/* Each thread has its own time: what it does not share cannot depend on others. */
uint64_t sti_ticks(void)
{
	return ++ex_self()->ticks;
}

uint64_t sti_ticks_from_ns(uint64_t ns)
{
	return ns;
}

void sti_clock_now(struct sti_clock *clock, struct timeval *now)
{
	(void)clock;
	*now = (struct timeval){ 0 };
}

__thread struct sti_thread *sti_thread_current;

/* As when there is no memory for one: everything works without. */
struct sti_thread *sti_thread_enter(void)
{
	return NULL;
}

/* So there is no heap of a thread's. */
void *sti_slab_refill(struct sti_slab_cache *cache, unsigned shift)
{
	return NULL;
}

size_t sti_slab_trim(void)
{
	return 0;
}

bool sti_membarrier_is_usable(void)
{
	return true;
}

void sti_membarrier(void)
{
	explore_membarrier();
}
