/* SPDX-License-Identifier: BSD-2-Clause */
/* engine.c — one schedule of a case. See engine.h. */

#include "engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ex_engine *ex;

/* What the library keeps per thread; see shim/threads.h. */
extern char __start_explore_tls[] __attribute__((weak));
extern char __stop_explore_tls[] __attribute__((weak));

static size_t tls_size(void)
{
	return (size_t)(__stop_explore_tls - __start_explore_tls);
}

void ex_init(void)
{
	ex = calloc(1, sizeof(*ex));
	if (ex != NULL)
		ex->view_words = calloc(EX_VIEW_WORDS, sizeof(*ex->view_words));
	if (ex == NULL || ex->view_words == NULL || tls_size() > sizeof(ex->threads[0].tls)) {
		fprintf(stderr, "no memory for the explorer\n");
		exit(2);
	}
	ex_search_init();
	ex_model_init();
	ex_trace_init();
	ex_shadow_init();
	/* Last: what is set from here on is set back. */
	ex_data_save();
}

_Noreturn void ex_violate(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ex->text, sizeof(ex->text), format, args);
	va_end(args);
	ex->outcome = EX_VIOLATED;
	_longjmp(ex->driver, 1);
}

_Noreturn void explore_violation(const char *format, ...)
{
	va_list args;
	char text[EX_TEXT];

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ex_violate("%s", text);
}

static bool is_enabled(unsigned i)
{
	const struct ex_thread *thread = &ex->threads[i];

	switch (thread->status) {
	case EX_READY:
		return true;
	case EX_BLOCKED:
		return thread->ready(thread->arg);
	case EX_YIELDED:
		return ex->stores - thread->stores != thread->others;
	default:
		return false;
	}
}

uint64_t ex_state_hash(void)
{
	uint64_t sum = ex_mix(ex->memory_hash, ex->ordered_hash) + ex_mix(ex_rcu_hash(), 3);

	for (unsigned i = EX_RCU; i < ex->n_threads; i++) {
		const struct ex_thread *thread = &ex->threads[i];

		sum += ex_mix(ex_mix(thread->hash, i), (uint64_t)thread->status << 1 |
							       is_enabled(i));
	}
	return ex_mix(sum, ex->current);
}

static void thread_main(void);

static _Noreturn void thread_resume(struct ex_thread *thread)
{
	if (thread->started)
		_longjmp(thread->jump, 1);
	thread->started = true;
	setcontext(&thread->context);
	abort();
}

/* Another thread goes on; returns when this one does. */
static void switch_to(unsigned i)
{
	struct ex_thread *from = ex_self();

	ex->threads[i].status = ex->threads[i].status == EX_DONE ? EX_DONE : EX_READY;
	if (i == ex->current)
		return;
	if (tls_size() > 0) {
		memcpy(from->tls, __start_explore_tls, tls_size());
		memcpy(__start_explore_tls, ex->threads[i].tls, tls_size());
	}
	ex->current = i;
	if (_setjmp(from->jump) == 0)
		thread_resume(&ex->threads[i]);
}

/* Nobody can go on. */
static _Noreturn void finish(void)
{
	char who[EX_TEXT] = "";

	for (unsigned i = EX_FIRST; i < ex->n_threads; i++) {
		const struct ex_thread *thread = &ex->threads[i];
		size_t length = strlen(who);

		if (thread->status != EX_DONE && thread->status != EX_STOPPED_FOR_EVER &&
		    !(thread->flags & EXPLORE_DAEMON))
			snprintf(who + length, sizeof(who) - length, " %s", thread->name);
	}
	if (who[0] != '\0')
		ex_violate("deadlock: waiting for ever:%s", who);
	ex->outcome = EX_FINISHED;
	_longjmp(ex->driver, 1);
}

/* Those who can go on, other than the current one: the next first. */
static unsigned list_others(unsigned *list)
{
	unsigned n = 0;

	for (unsigned i = 1; i < ex->n_threads; i++) {
		unsigned other = (ex->current + i) % ex->n_threads;

		if (other >= EX_FIRST && other != ex->current && is_enabled(other))
			list[n++] = other;
	}
	return n;
}

/* Those who can go on when the current one cannot. Who has given way comes after all who have not:
 * else two who wait for a third would run by turns for ever. */
static unsigned list_next(unsigned *list)
{
	unsigned n = list_others(list);
	unsigned n_eager = 0;

	if (ex->current >= EX_FIRST && is_enabled(ex->current))
		list[n++] = ex->current;
	for (unsigned i = 0; i < n; i++) {
		if (ex->threads[list[i]].status != EX_YIELDED)
			list[n_eager++] = list[i];
	}
	return n_eager > 0 ? n_eager : n;
}

void ex_let_rcu(void)
{
	ex->interrupted = ex->current;
	switch_to(EX_RCU);
}

/* The current thread cannot go on. */
static void leave(void)
{
	unsigned others[EX_THREADS];
	unsigned n;

	if (ex_rcu_is_due() && ex->current != EX_RCU) {
		ex_let_rcu();
		return;
	}
	if (ex->current == EX_RCU && ex->threads[ex->interrupted].status == EX_READY) {
		switch_to(ex->interrupted);
		return;
	}
	n = list_next(others);
	if (n == 0)
		finish();
	ex_meet();
	switch_to(others[ex_choose(EX_WHO_NEXT, n)]);
}

void ex_step(void)
{
	if (++ex->steps > EX_STEPS)
		ex_violate("livelock: %u steps and no end", ex->steps);
}

void ex_point(void)
{
	unsigned others[EX_THREADS];
	unsigned n, n_stops, choice;
	struct ex_thread *self = ex_self();

	if (ex->alone)
		return;
	/* What waited for a grace period comes before anybody else, and is not interrupted. */
	if (ex->current == EX_RCU)
		return;
	if (ex_rcu_is_due())
		ex_let_rcu();
	ex_meet();
	n = list_others(others);
	if (n > 0 && !ex_may(ex->left.preemptions))
		n = 0;
	n_stops = (self->flags & EXPLORE_STOPPABLE) && ex->left.stops > 0;
	choice = ex_choose(EX_WHO_INSTEAD, 1 + n + n_stops);
	if (choice == 0)
		return;
	if (choice == n + 1) {
		ex->left.stops--;
		self->status = EX_STOPPED_FOR_EVER;
		ex_trace(EX_STOPPED, NULL, 0, 0, 0, 0, 0);
		leave();
		abort();
	}
	ex_spend(&ex->left.preemptions);
	switch_to(others[choice - 1]);
}

void ex_wait(bool (*ready)(const void *arg), const void *arg)
{
	struct ex_thread *self = ex_self();

	if (ex->alone) {
		if (!ready(arg))
			ex_violate("waiting for ever, alone");
		return;
	}
	ex_step();
	self->ready = ready;
	self->arg = arg;
	self->status = EX_BLOCKED;
	leave();
}

void explore_block(bool (*ready)(const void *arg), const void *arg)
{
	ex_trace(EX_WAIT, __builtin_return_address(0), 0, 0, 0, 0, 0);
	ex_wait(ready, arg);
	ex_note(EX_WAIT);
}

void explore_yield(void)
{
	struct ex_thread *self = ex_self();

	if (ex->alone)
		return;
	ex_trace(EX_YIELD, __builtin_return_address(0), 0, 0, 0, 0, 0);
	ex_step();
	/* It may find something new without anybody's doing. */
	if (self->late)
		self->others = UINT64_MAX;
	self->late = false;
	self->status = EX_YIELDED;
	leave();
	self->others = ex->stores - self->stores;
	ex_note(EX_YIELD);
}

static void thread_main(void)
{
	struct ex_thread *self = ex_self();

	self->run();
	if (self->reading > 0)
		ex_violate("%s has ended inside a read section", self->name);
	ex_trace(EX_ENDED, NULL, 0, 0, 0, 0, 0);
	self->status = EX_DONE;
	ex_note(EX_ENDED);
	leave();
	abort();
}

static void thread_init(unsigned i, const char *name, void (*run)(void), unsigned flags)
{
	struct ex_thread *thread = &ex->threads[i];
	const struct ex_thread *parent = &ex->threads[EX_MAIN];

	thread->status = EX_READY;
	thread->started = false;
	thread->name = name;
	thread->run = run;
	thread->flags = flags;
	thread->reading = 0;
	thread->hash = i;
	thread->stores = 0;
	thread->ticks = 0;
	thread->others = 0;
	thread->late = false;
	thread->acquired.n = thread->released.n = thread->view.n = 0;
	memset(&thread->clock, 0, sizeof(thread->clock));
	memset(&thread->clock_acquired, 0, sizeof(thread->clock_acquired));
	memset(&thread->clock_released, 0, sizeof(thread->clock_released));
	if (i != EX_MAIN) {
		ex_view_join(&thread->view, parent->view.at, parent->view.n);
		thread->clock = parent->clock;
		memset(thread->tls, 0, sizeof(thread->tls));
		getcontext(&thread->context);
		thread->context.uc_stack.ss_sp = ex_stack(i, &thread->context.uc_stack.ss_size);
		thread->context.uc_link = NULL;
		makecontext(&thread->context, thread_main, 0);
	}
	thread->clock.at[i] = 1;
}

static void run_threads(void)
{
	ex->threads[EX_MAIN].clock.at[EX_MAIN]++;
	ex->n_threads = EX_FIRST;
	thread_init(EX_RCU, "rcu", ex_rcu_main, EXPLORE_DAEMON);
	for (unsigned i = 0; i < EXPLORE_THREADS && ex->test->threads[i].run != NULL; i++) {
		const struct explore_thread *thread = &ex->test->threads[i];

		thread_init(ex->n_threads++, thread->name, thread->run, thread->flags);
	}
	ex_trace_reset();
	ex->threads[EX_MAIN].status = EX_DONE;
	ex->alone = false;
	/* What setup has handed to RCU is carried out first. */
	leave();
}

void ex_run(void)
{
	ex->schedule++;
	ex_data_restore();
	ex_model_reset();
	ex_shadow_reset();
	ex_rcu_reset();
	ex_trace_reset();
	ex->steps = 0;
	ex->stores = 0;
	ex->at_choice = 0;
	ex->n_threads = 1;
	ex->current = EX_MAIN;
	ex->checking = false;
	ex->alone = true;
	ex->running = true;
	ex->outcome = EX_RUNNING;
	thread_init(EX_MAIN, "main", NULL, 0);
	if (_setjmp(ex->driver) == 0) {
		if (ex->test->setup != NULL)
			ex->test->setup();
		run_threads();
	}
	if (ex->outcome == EX_FINISHED) {
		ex->alone = ex->checking = true;
		ex->current = EX_MAIN;
		if (_setjmp(ex->driver) == 0 && ex->test->check != NULL)
			ex->test->check();
	}
	ex->running = false;
}

bool explore_was_stopped(unsigned thread)
{
	return ex->threads[EX_FIRST + thread].status == EX_STOPPED_FOR_EVER;
}

bool explore_has_ended(unsigned thread)
{
	return ex->threads[EX_FIRST + thread].status == EX_DONE;
}
