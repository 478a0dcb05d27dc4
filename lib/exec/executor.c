/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/executor.c — life of an executor and its members. The phases are in executor.h. */

#include "exec/executor.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/callout.h"
#include "base/object.h"
#include "base/options.h"
#include "base/process.h"
#include "exec/claims.h"
#include "exec/manual.h"

#define SPIN_NS_DEFAULT 20000u
/* More than there are anywhere. */
#define CPU_MAX 65535u

static uint32_t executor_phase(const struct stasis_executor *executor)
{
	/* S4: phases only go forward. */
	return atomic_load_explicit(&executor->phase, memory_order_seq_cst);
}

/* --- members --- */

bool sti_executor_is_current(const struct stasis_executor *executor)
{
	for (const struct sti_context *context = sti_context_current(); context != NULL;
	     context = context->outer) {
		if (context->executor == executor)
			return true;
	}
	return false;
}

bool sti_executor_alone(const struct stasis_executor *executor)
{
	return executor->n_workers == 1 && sti_executor_is_current(executor);
}

int sti_executor_attach(struct stasis_executor *executor, struct sti_mailbox *mailbox)
{
	unsigned home = 0;
	int result = 0;

	/* Relaxed: spreads mailboxes over workers; a hint. */
	if (executor->n_workers > 0)
		home = atomic_fetch_add_explicit(&executor->next_home, 1, memory_order_relaxed) %
		       executor->n_workers;
	atomic_store_explicit(&mailbox->home, (uint16_t)home, memory_order_relaxed);
	pthread_mutex_lock(&executor->lock);
	if (executor_phase(executor) != STI_EXECUTOR_OPEN) {
		result = -ESHUTDOWN;
	} else {
		mailbox->member_prev = NULL;
		mailbox->member_next = executor->members;
		if (executor->members != NULL)
			executor->members->member_prev = mailbox;
		executor->members = mailbox;
		executor->n_members++;
	}
	pthread_mutex_unlock(&executor->lock);
	return result;
}

void sti_executor_detach(struct stasis_executor *executor, struct sti_mailbox *mailbox)
{
	pthread_mutex_lock(&executor->lock);
	if (mailbox->member_prev != NULL)
		mailbox->member_prev->member_next = mailbox->member_next;
	else
		executor->members = mailbox->member_next;
	if (mailbox->member_next != NULL)
		mailbox->member_next->member_prev = mailbox->member_prev;
	executor->n_members--;
	/* Relaxed: a figure. */
	executor->detached_delivered +=
		atomic_load_explicit(&mailbox->delivered, memory_order_relaxed);
	pthread_mutex_unlock(&executor->lock);
}

/* --- the end --- */

static void executor_free(struct stasis_executor *executor)
{
	for (unsigned i = 0; i < executor->n_workers; i++)
		sti_free(executor->workers[i].seen);
	sti_free(executor->workers);
	sti_manual_free(executor->manual);
	pthread_mutex_destroy(&executor->lock);
	pthread_mutex_destroy(&executor->shutdown_lock);
	sti_object_dispose(executor);
}

void sti_executor_leave(struct stasis_executor *executor)
{
	/* R1, A1: uses before the last one's free; one operation is both ends. */
	if (atomic_fetch_sub_explicit(&executor->holders, 1, memory_order_acq_rel) == 1)
		executor_free(executor);
}

static void executor_stop(struct stasis_executor *executor)
{
	/* S4: pairs with worker_stopping(), which comes after PARKED (S1). */
	atomic_store_explicit(&executor->phase, STI_EXECUTOR_STOPPING, memory_order_seq_cst);
	for (unsigned i = 0; i < executor->n_workers; i++)
		sti_worker_wake(&executor->workers[i]);
}

static void executor_stop_rcu(struct sti_rcu_head *rcu)
{
	struct stasis_executor *executor = sti_container_of(rcu, struct stasis_executor, rcu);

	executor_stop(executor);
	stasis_object_unref(executor);
}

/* The last reference is gone: no mailbox is attached, nobody can come any more. */
static void executor_destroy(void *obj)
{
	struct stasis_executor *executor = obj;

	if (!executor->joined) {
		for (unsigned i = 0; i < executor->n_workers; i++)
			pthread_detach(executor->workers[i].thread);
		executor_stop(executor);
	}
	sti_executor_leave(executor);
}

/* False: somebody has begun before. */
static bool executor_begin_close(struct stasis_executor *executor)
{
	bool first;

	pthread_mutex_lock(&executor->lock);
	first = executor_phase(executor) == STI_EXECUTOR_OPEN;
	if (first) {
		/* S4: no attach from here on; under the lock. */
		atomic_store_explicit(&executor->phase, STI_EXECUTOR_CLOSING, memory_order_seq_cst);
		for (struct sti_mailbox *mailbox = executor->members; mailbox != NULL;
		     mailbox = mailbox->member_next) {
			/* R2: pairs with A2 in schedule.c and mailbox.h. */
			atomic_fetch_or_explicit(&mailbox->flags, STI_MAILBOX_REFUSING,
						 memory_order_release);
			/* They find that it takes nothing any more. */
			sti_mailbox_wake_waiters(mailbox);
		}
	}
	pthread_mutex_unlock(&executor->lock);
	return first;
}

/* Stops the workers and waits for them, once. */
static void executor_join(struct stasis_executor *executor)
{
	int cancel = sti_cancel_hold();

	pthread_mutex_lock(&executor->shutdown_lock);
	if (!executor->joined) {
		/* Everybody who has not seen REFUSING pushes and schedules before this returns. */
		sti_rcu_synchronize();
		executor_stop(executor);
		for (unsigned i = 0; i < executor->n_workers; i++)
			pthread_join(executor->workers[i].thread, NULL);
		executor->joined = true;
	}
	pthread_mutex_unlock(&executor->shutdown_lock);
	sti_cancel_release(cancel);
}

struct stasis_executor *stasis_executor_shutdown(struct stasis_executor *executor)
{
	int result = executor != NULL ? sti_process_check() : -EINVAL;
	bool first;

	if (result != 0) {
		errno = -result;
		return NULL;
	}
	first = executor_begin_close(executor);
	/* Now it cannot become the default any more. */
	sti_executor_default_clear(executor);
	if (sti_executor_is_current(executor)) {
		if (first)
			sti_rcu_call(&executor->rcu, executor_stop_rcu); /* takes our reference */
		else
			stasis_object_unref(executor);
		errno = EDEADLK;
		return NULL;
	}
	/* Workers may be waiting for it. */
	sti_claims_let_go();
	executor_join(executor);
	/* Not under the lock: it may call back. */
	sti_executor_settle(executor);
	return stasis_object_unref(executor);
}

/* --- the beginning --- */

static unsigned usable_cpus(void)
{
	cpu_set_t set;
	long n;

	/* Fails on machines of more CPUs than fit into the set. */
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	else
		n = sysconf(_SC_NPROCESSORS_ONLN);
	if (n < 1)
		return 1;
	return n < (long)STASIS_THREADS_MAX ? (unsigned)n : STASIS_THREADS_MAX;
}

static int worker_init(struct stasis_executor *executor, struct sti_worker *worker, unsigned n)
{
	memset((void *)worker, 0, sizeof(*worker));
	sti_runqueue_init(&worker->queue);
	sti_eventcount_init(&worker->event);
	worker->executor = executor;
	worker->seen = sti_alloc_zeroed(n * sizeof(*worker->seen));
	return worker->seen != NULL ? 0 : -ENOMEM;
}

/* A thread of these attributes runs on this CPU alone, from its start. 0 or an error number. */
static int attr_pin(pthread_attr_t *attr, unsigned cpu)
{
	size_t size = CPU_ALLOC_SIZE(cpu + 1);
	cpu_set_t *set = sti_alloc_zeroed(size);
	int error;

	if (set == NULL)
		return ENOMEM;
	CPU_SET_S(cpu, size, set);
	error = pthread_attr_setaffinity_np(attr, size, set);
	sti_free(set);
	return error;
}

static int worker_start(struct stasis_executor *executor, unsigned i,
			const struct stasis_executor_options *options)
{
	struct sti_worker *worker = &executor->workers[i];
	pthread_attr_t attr;
	char name[16];
	int error = pthread_attr_init(&attr);

	if (error != 0)
		return -error;
	if (options->n_affinity > 0)
		error = attr_pin(&attr, options->affinity[i % options->n_affinity]);
	/* Relaxed: the thread is created after this. */
	atomic_fetch_add_explicit(&executor->holders, 1, memory_order_relaxed);
	if (error == 0)
		error = pthread_create(&worker->thread, &attr, sti_worker_main, worker);
	pthread_attr_destroy(&attr);
	if (error != 0) {
		atomic_fetch_sub_explicit(&executor->holders, 1, memory_order_relaxed);
		return -error;
	}
	snprintf(name, sizeof(name), "%.10s-%u", executor->name, i % 10000);
	pthread_setname_np(worker->thread, name);
	return 0;
}

/* Starts the workers with all signals blocked, as liburcu's thread: handlers belong to the
 * application's threads. */
static int executor_start(struct stasis_executor *executor,
			  const struct stasis_executor_options *options)
{
	unsigned n = executor->n_workers;
	int cancel = sti_cancel_hold();
	sigset_t all, old;
	int result = 0;

	executor->n_workers = 0;
	if (options->wait == STASIS_WAIT_MANUAL)
		result = sti_manual_new(&executor->manual);
	for (unsigned i = 0; i < n && result == 0; i++) {
		result = worker_init(executor, &executor->workers[i], n);
		executor->n_workers = i + 1;
	}
	if (result != 0)
		goto out;
	sti_rcu_start();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; i < n && result == 0; i++) {
		result = worker_start(executor, i, options);
		if (result != 0) {
			/* Those that run see only what exists. */
			executor_stop(executor);
			for (unsigned j = 0; j < i; j++)
				pthread_join(executor->workers[j].thread, NULL);
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
out:
	sti_cancel_release(cancel);
	return result;
}

static unsigned options_workers(const struct stasis_executor_options *options)
{
	if (options->wait == STASIS_WAIT_MANUAL)
		return 0;
	if (options->threads != 0)
		return options->threads;
	return options->n_affinity != 0 ? (unsigned)options->n_affinity : usable_cpus();
}

static struct stasis_executor *executor_new(const struct stasis_executor_options *options)
{
	struct stasis_executor *executor;
	unsigned n = options_workers(options);

	executor = sti_object_new(STI_KIND_EXECUTOR, STI_MEM_KEEP, STI_CACHELINE, sizeof(*executor),
				  executor_destroy);
	if (executor == NULL)
		return NULL;
	pthread_mutex_init(&executor->lock, NULL);
	pthread_mutex_init(&executor->shutdown_lock, NULL);
	sti_eventcount_init(&executor->drained);
	atomic_init(&executor->holders, 1);
	executor->wait = options->wait;
	executor->spin_ns = options->spin_ns != 0 ? options->spin_ns : SPIN_NS_DEFAULT;
	snprintf(executor->name, sizeof(executor->name), "%s",
		 options->name != NULL ? options->name : "stasis");
	if (n == 0)
		return executor;
	executor->workers = sti_alloc_aligned(STI_CACHELINE, n * sizeof(*executor->workers));
	if (executor->workers == NULL) {
		executor_free(executor);
		return NULL;
	}
	executor->n_workers = n;
	return executor;
}

static int options_check(struct stasis_executor_options *options,
			 const struct stasis_executor_options *given)
{
	int result = sti_options_copy(options, sizeof(*options), given);

	if (result != 0)
		return result;
	if ((unsigned)options->wait > STASIS_WAIT_INLINE)
		return -EINVAL;
	if (options->n_affinity > 0 &&
	    (options->affinity == NULL || options->wait == STASIS_WAIT_MANUAL))
		return -EINVAL;
	for (size_t i = 0; i < options->n_affinity; i++) {
		if (options->affinity[i] > CPU_MAX)
			return -EINVAL;
	}
	if (options->wait == STASIS_WAIT_MANUAL)
		return 0;
	return options->threads > STASIS_THREADS_MAX ||
			       (options->threads == 0 && options->n_affinity > STASIS_THREADS_MAX) ?
		       -EINVAL :
		       0;
}

struct stasis_executor *stasis_executor_create(const struct stasis_executor_options *given)
{
	struct stasis_executor_options options;
	struct stasis_executor *executor;
	int result = options_check(&options, given);

	if (result == 0)
		result = sti_process_check();
	if (result != 0) {
		errno = -result;
		return NULL;
	}
	executor = executor_new(&options);
	if (executor == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	result = executor_start(executor, &options);
	if (result != 0) {
		executor_free(executor);
		errno = -result;
		return NULL;
	}
	return executor;
}
