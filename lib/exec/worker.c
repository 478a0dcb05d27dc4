/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/worker.c — the worker's loop. States, edges and reasons are in worker.h. */

#include "exec/worker.h"

#include <sched.h>

#include "base/clock.h"
#include "base/slab.h"
#include "exec/executor.h"

/* Faster than one item per this: busy. In lock-step with a producer it is about 160. */
#define BUSY_GAP_NS 250
/* Look away for so many items' time, at most for so long. */
#define PAUSE_ITEMS 512
#define PAUSE_NS_MAX 12000
/* The rate is measured over so many items or so long. */
#define PACE_ITEMS 64
#define PACE_NS 50000

/* A round longer than this with callbacks slower than that asks for help. */
#define HELP_ROUND_NS 100000
#define HELP_CALLBACK_NS 1000

/* A worker in one turn for so long, with others waiting behind it, is stuck. */
#define STUCK_NS 50000
#define WATCH_NS 1000000
/* Idle looks before a watcher rests for good. */
#define WATCH_IDLE_MAX 10
/* After so long without work a worker gives memory back. */
#define TRIM_NS 200000000

#define SPIN_SCORE_MAX 8
/* A worker that has given up spinning tries it again every so many sleeps. */
#define SPIN_RETRY 16

/* Rounds of nothing but holes before the CPU is offered to whoever is making them: longer than it
 * takes until a hole is taken over, save in very large bounded queues. Among many threads it would
 * not come back before that. */
#define HOLE_SPINS 1024

static void bump(_Atomic uint64_t *counter, uint64_t n)
{
	/* Relaxed: this worker is the only writer; a figure. */
	uint64_t count = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, count + n, memory_order_relaxed);
}

static void worker_set_state(struct sti_worker *worker, enum sti_worker_state state)
{
	/* S1: before the looks that follow; pairs with sti_runqueue_push() and
	 * sti_executor_schedule(). */
	atomic_store_explicit(&worker->state, state, memory_order_seq_cst);
}

static uint32_t worker_state(const struct sti_worker *worker)
{
	/* S2: after the caller's own store. */
	return atomic_load_explicit(&worker->state, memory_order_seq_cst);
}

bool sti_worker_wake(struct sti_worker *worker)
{
	uint32_t parked = STI_WORKER_PARKED;

	if (worker_state(worker) != STI_WORKER_PARKED)
		return false;
	/* S3: one of several wakers signals; and what the worker has said since stays. */
	if (!atomic_compare_exchange_strong_explicit(&worker->state, &parked, STI_WORKER_RUNNING,
						     memory_order_seq_cst, memory_order_relaxed))
		return false;
	/* Relaxed: a figure. */
	atomic_fetch_add_explicit(&worker->wakes, 1, memory_order_relaxed);
	sti_eventcount_signal(&worker->event);
	return true;
}

static bool worker_stopping(const struct sti_worker *worker)
{
	/* S4: after PARKED (S1); pairs with executor_stop(). */
	return atomic_load_explicit(&worker->executor->phase, memory_order_seq_cst) ==
	       STI_EXECUTOR_STOPPING;
}

/* Drops what is owed and tells drainers. */
static void worker_settle(struct sti_worker *worker)
{
	struct stasis_executor *executor = worker->executor;
	/* Relaxed: this worker is the only writer. */
	uint32_t flushes = atomic_load_explicit(&worker->flushes, memory_order_relaxed);

	if (atomic_load_explicit(&worker->owing, memory_order_relaxed)) {
		sti_release_flush(&worker->context.release);
		/* R1: the references are dropped; pairs with A1 in drain.c. */
		atomic_store_explicit(&worker->owing, 0, memory_order_release);
		/* R1: ditto. */
		atomic_store_explicit(&worker->flushes, flushes + 1, memory_order_release);
	}
	/* Relaxed: a drainer that is missed here looks again by itself within a millisecond. */
	if (sti_unlikely(atomic_load_explicit(&executor->drainers, memory_order_relaxed)))
		sti_eventcount_signal(&executor->drained);
}

static void look_away(uint64_t ticks)
{
	uint64_t start = sti_ticks();

	while (sti_ticks() - start < ticks)
		sti_cpu_relax();
}

static void pace_measure(struct sti_pace *pace, uint64_t now, uint64_t items)
{
	uint64_t elapsed = now - pace->start;
	uint64_t gap;

	pace->items += items;
	if (pace->items < PACE_ITEMS && elapsed < sti_ticks_from_ns(PACE_NS))
		return;
	if (pace->items * sti_ticks_from_ns(BUSY_GAP_NS) < elapsed) {
		pace->pause = 0;
	} else {
		gap = elapsed / pace->items;
		pace->pause = gap * PAUSE_ITEMS;
		if (pace->pause > sti_ticks_from_ns(PAUSE_NS_MAX))
			pace->pause = sti_ticks_from_ns(PAUSE_NS_MAX);
	}
	pace->start = now;
	pace->items = 0;
}

static void worker_wait_at_hole(struct sti_worker *worker)
{
	if (++worker->holes < HOLE_SPINS) {
		sti_cpu_relax();
		return;
	}
	/* The producer has most likely lost its CPU, perhaps to us. */
	sched_yield();
}

static void worker_ask_for_help(struct sti_worker *worker, uint64_t elapsed)
{
	const struct sti_pass *pass = &worker->pass;
	bool slow = pass->turns > 1 && elapsed > sti_ticks_from_ns(HELP_ROUND_NS) &&
		    elapsed > pass->items * sti_ticks_from_ns(HELP_CALLBACK_NS);

	/* Relaxed: a hint to thieves. */
	if (atomic_load_explicit(&worker->wants_help, memory_order_relaxed) != slow)
		atomic_store_explicit(&worker->wants_help, slow, memory_order_relaxed);
	if (slow)
		sti_executor_watch(worker->executor);
}

/* After a round. more: the queue is not empty. */
static void worker_end_pass(struct sti_worker *worker, bool more)
{
	struct sti_pass *pass = &worker->pass;
	uint64_t now = sti_ticks();

	worker_settle(worker);
	pace_measure(&worker->pace, now, pass->items);
	if (worker->executor->n_workers > 1)
		worker_ask_for_help(worker, now - pass->start);
	if (pass->items > 0 || !pass->hole)
		worker->holes = 0;
	if (pass->hole && pass->items == 0)
		worker_wait_at_hole(worker);
	else if (more && !pass->more && worker->pace.pause > 0)
		look_away(worker->pace.pause);
	*pass = (struct sti_pass){ .start = now,
				   .turns_left = sti_runqueue_length(&worker->queue) };
}

static void worker_turn(struct sti_worker *worker, struct sti_mailbox *mailbox)
{
	struct sti_pass *pass = &worker->pass;
	uint16_t index = (uint16_t)(worker - worker->executor->workers);
	enum sti_turn turn;
	size_t n;

	bump(&worker->turns, 1);
	/* Relaxed: before what this turn delivers, which is published by release; see drain. */
	atomic_store_explicit(&worker->owing, 1, memory_order_relaxed);
	/* Relaxed: a hint to wakers. */
	if (atomic_load_explicit(&mailbox->home, memory_order_relaxed) != index)
		atomic_store_explicit(&mailbox->home, index, memory_order_relaxed);
	worker->context.linger = worker->pace.pause > 0;
	turn = sti_mailbox_run(mailbox, &worker->context, &n);
	pass->turns++;
	pass->items += n;
	if (turn == STI_TURN_MORE)
		pass->more = true;
	if (turn == STI_TURN_HOLE)
		pass->hole = true;
	if (turn != STI_TURN_GONE)
		sti_runqueue_requeue(&worker->queue, mailbox);
}

/* Worth taking from? Remembers how far the other is. */
static bool worker_needs_help(struct sti_worker *worker, struct sti_worker *other)
{
	struct sti_worker_seen *seen = &worker->seen[other - worker->executor->workers];
	/* Relaxed: figures that move while the other gets on. */
	uint64_t turns = atomic_load_explicit(&other->turns, memory_order_relaxed);
	uint64_t now;

	if (sti_runqueue_is_empty(&other->queue))
		return false;
	if (atomic_load_explicit(&other->wants_help, memory_order_relaxed))
		return true;
	now = sti_ticks();
	if (turns != seen->turns) {
		seen->turns = turns;
		seen->tick = now;
		return false;
	}
	return now - seen->tick > sti_ticks_from_ns(STUCK_NS) &&
	       worker_state(other) == STI_WORKER_RUNNING;
}

static struct sti_mailbox *worker_steal(struct sti_worker *worker)
{
	struct stasis_executor *executor = worker->executor;
	unsigned self = (unsigned)(worker - executor->workers);

	for (unsigned i = 1; i < executor->n_workers; i++) {
		struct sti_worker *other = &executor->workers[(self + i) % executor->n_workers];
		struct sti_mailbox *mailbox;
		unsigned n;

		if (!worker_needs_help(worker, other))
			continue;
		mailbox = sti_runqueue_steal(&worker->queue, &other->queue, &n);
		if (mailbox == NULL)
			continue;
		bump(&worker->steals, n);
		return mailbox;
	}
	return NULL;
}

static struct sti_mailbox *worker_look(struct sti_worker *worker)
{
	struct sti_mailbox *mailbox = sti_runqueue_next(&worker->queue);

	return mailbox != NULL ? mailbox : worker_steal(worker);
}

static bool worker_would_spin(struct sti_worker *worker)
{
	/* Relaxed: own figure. */
	return worker->spin_score > 0 ||
	       atomic_load_explicit(&worker->parks, memory_order_relaxed) % SPIN_RETRY == 0;
}

/* Looks for work for a while. NULL: none came, or stop. */
static struct sti_mailbox *worker_spin(struct sti_worker *worker)
{
	struct stasis_executor *executor = worker->executor;
	uint64_t start = sti_ticks();
	uint64_t limit = sti_ticks_from_ns(executor->spin_ns);
	struct sti_mailbox *mailbox;

	if (executor->wait == STASIS_WAIT_PARK || executor->wait == STASIS_WAIT_INLINE ||
	    (executor->wait == STASIS_WAIT_SPIN_PARK && !worker_would_spin(worker)))
		return NULL;
	worker_set_state(worker, STI_WORKER_SPINNING);
	do {
		sti_cpu_relax();
		/* Before the work is taken: from here on others must not rely on this worker. */
		if (!sti_runqueue_is_empty(&worker->queue))
			worker_set_state(worker, STI_WORKER_RUNNING);
		mailbox = worker_look(worker);
		if (mailbox != NULL) {
			worker_set_state(worker, STI_WORKER_RUNNING);
			if (worker->spin_score < SPIN_SCORE_MAX)
				worker->spin_score += 2;
			return mailbox;
		}
		if (worker_stopping(worker))
			return NULL;
	} while (executor->wait == STASIS_WAIT_SPIN || sti_ticks() - start < limit);
	if (worker->spin_score > 0)
		worker->spin_score--;
	return NULL;
}

static bool others_run(const struct sti_worker *worker)
{
	const struct stasis_executor *executor = worker->executor;

	for (unsigned i = 0; i < executor->n_workers; i++) {
		if (&executor->workers[i] != worker &&
		    worker_state(&executor->workers[i]) == STI_WORKER_RUNNING)
			return true;
	}
	return false;
}

/* Takes up the watch if there is none and somebody is running. */
static void watch_begin(struct sti_worker *worker)
{
	uint32_t none = 0;

	/* S3: consumed once, here or by the appointer who changed his mind. */
	if (atomic_exchange_explicit(&worker->appointed, 0, memory_order_seq_cst))
		worker->watching = true;
	if (worker->watching || !others_run(worker))
		return;
	/* S2: pairs with sti_executor_watch(). */
	worker->watching = atomic_compare_exchange_strong_explicit(
		&worker->executor->watcher, &none, 1, memory_order_seq_cst, memory_order_relaxed);
}

static void watch_end(struct sti_worker *worker)
{
	/* S3: as above. */
	if (atomic_exchange_explicit(&worker->appointed, 0, memory_order_seq_cst))
		worker->watching = true;
	if (!worker->watching)
		return;
	worker->watching = false;
	/* S2: before the look at the others' states; pairs with sti_executor_watch(). */
	atomic_store_explicit(&worker->executor->watcher, 0, memory_order_seq_cst);
}

/* Announced as PARKED, is there still a reason to be awake? */
static bool worker_may_sleep(const struct sti_worker *worker)
{
	if (!sti_runqueue_is_empty(&worker->queue) || worker_stopping(worker))
		return false;
	/* S2: a waker who found nobody parked to appoint has been missed, unless one of these
	 * holds; the look at the watcher comes first: an appointer who gives up clears it and looks
	 * for PARKED then. */
	return worker->watching ||
	       atomic_load_explicit(&worker->executor->watcher, memory_order_seq_cst) != 0 ||
	       !others_run(worker);
}

/* Sleeps until woken or, if timeout_ns is not 0, so long. False: the time is up. */
static bool worker_sleep(struct sti_worker *worker, uint64_t timeout_ns)
{
	struct stasis_executor *executor = worker->executor;
	uint32_t value = sti_eventcount_value(&worker->event);
	bool woken = true;

	worker_set_state(worker, STI_WORKER_PARKED);
	/* S2: counted before the watcher's and the wakers' looks. */
	atomic_fetch_add_explicit(&executor->n_parked, 1, memory_order_seq_cst);
	if (worker_may_sleep(worker)) {
		bump(&worker->parks, 1);
		woken = sti_eventcount_wait(&worker->event, value, timeout_ns);
	}
	/* S2: as above. */
	atomic_fetch_sub_explicit(&executor->n_parked, 1, memory_order_seq_cst);
	worker_set_state(worker, STI_WORKER_RUNNING);
	return woken;
}

/* Nothing to do: waits for work. NULL: stop. */
static struct sti_mailbox *worker_find(struct sti_worker *worker)
{
	struct stasis_executor *executor = worker->executor;
	unsigned idle_looks = 0;

	for (;;) {
		struct sti_mailbox *mailbox = worker_spin(worker);
		uint64_t timeout_ns = 0;

		if (mailbox == NULL) {
			/* Before the look: what was pushed before the stop is found by it. */
			bool stopping = worker_stopping(worker);

			worker_set_state(worker, STI_WORKER_RUNNING);
			mailbox = worker_look(worker);
			if (mailbox == NULL && stopping)
				return NULL;
		}
		if (mailbox != NULL) {
			worker->trimmed = false;
			watch_end(worker);
			/* Somebody else has to watch now. */
			if (executor->n_workers > 1 && others_run(worker))
				sti_executor_watch(executor);
			return mailbox;
		}
		watch_begin(worker);
		if (worker->watching) {
			idle_looks = others_run(worker) ? 0 : idle_looks + 1;
			timeout_ns = WATCH_NS;
			if (idle_looks > WATCH_IDLE_MAX) {
				watch_end(worker);
				idle_looks = 0;
				continue;
			}
		} else if (!worker->trimmed) {
			timeout_ns = TRIM_NS;
		}
		if (!worker_sleep(worker, timeout_ns) && timeout_ns == TRIM_NS) {
			sti_slab_trim();
			worker->trimmed = true;
		}
	}
}

void *sti_worker_main(void *arg)
{
	struct sti_worker *worker = arg;
	struct stasis_executor *executor = worker->executor;
	struct sti_mailbox *mailbox;

	sti_context_enter(&worker->context, executor, worker);
	sti_release_use(&worker->context.release, worker->many.entries, worker->many.list,
			STI_RELEASE_MANY);
	worker->pace.start = sti_ticks();
	for (;;) {
		mailbox = sti_runqueue_next(&worker->queue);
		if (mailbox == NULL) {
			worker_end_pass(worker, false);
			mailbox = worker_find(worker);
			if (mailbox == NULL)
				break;
			worker->pass.start = sti_ticks();
			worker->pass.turns_left = sti_runqueue_length(&worker->queue) + 1;
		}
		if (worker->pass.turns == 0 && executor->n_workers > 1 &&
		    !sti_runqueue_is_empty(&worker->queue))
			sti_executor_watch(executor);
		worker_turn(worker, mailbox);
		if (worker->pass.turns >= worker->pass.turns_left)
			worker_end_pass(worker, true);
	}
	worker_set_state(worker, STI_WORKER_ENDED);
	/* S1: the look after that; pairs with worker_notice() in exec/pull.c. */
	while (!sti_runqueue_is_empty(&worker->queue)) {
		mailbox = sti_runqueue_next(&worker->queue);
		if (mailbox != NULL)
			worker_turn(worker, mailbox);
	}
	worker_settle(worker);
	sti_context_leave(&worker->context);
	sti_executor_leave(executor);
	return NULL;
}
