/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/manual.c — running an executor without threads. The descriptor's protocol is in manual.h. */

#include "exec/manual.h"

#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/callout.h"
#include "base/process.h"
#include "exec/executor.h"

#define CLEAR UINT64_C(0)
#define SIGNALLING UINT64_C(1)
#define SET UINT64_C(2)
#define STATE UINT64_C(3)
#define EPOCH UINT64_C(4)

/* One call, on the caller's stack. */
struct sti_runner {
	/* this thread only */
	struct sti_context context;
	uint64_t turns_left; /* of this round through the queue */
	bool progress;	     /* in this round */
	/* manual->lock */
	struct sti_runner *prev, *next;
	uint64_t owing; /* the generation in which it began to owe references; 0: it owes none */
	/* this thread only */
	STI_RELEASE_ROOM(STI_RELEASE_FEW) few;
};

/* The thread's number, which no other ever has; 0: it has none yet. */
static __thread uint64_t own_number;

static uint64_t self(void)
{
	static _Atomic uint64_t last_number;

	if (own_number == 0) {
		/* Relaxed: unique is enough. */
		own_number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
	}
	return own_number;
}

/* --- the descriptor --- */

/* There is something in the queue. */
static void manual_signal(struct sti_manual *manual)
{
	static const uint64_t one = 1;
	/* S5: after the push, or after the look at the queue; pairs with manual_clear(). */
	uint64_t word = atomic_load_explicit(&manual->word, memory_order_seq_cst);
	int saved = errno;
	ssize_t written;
	int cancel;

	do {
		if ((word & STATE) == SET)
			return;
		/* S5: failing, it is another look. */
	} while ((word & STATE) == CLEAR &&
		 !atomic_compare_exchange_weak_explicit(&manual->word, &word, word + SIGNALLING,
							memory_order_seq_cst,
							memory_order_seq_cst /* S5 */));
	/* write() and read() are cancellation points. */
	cancel = sti_cancel_hold();
	written = write(manual->fd, &one, sizeof(one));
	sti_cancel_release(cancel);
	/* Would have to be full otherwise: after 2^64 writes. */
	stasis_assert_slow(written == sizeof(one));
	(void)written;
	errno = saved;
	word = (word & ~STATE) + SIGNALLING;
	/* S5: if it fails, somebody else has set it, or a runner has cleared it and looked. */
	atomic_compare_exchange_strong_explicit(&manual->word, &word, word - SIGNALLING + SET,
						memory_order_seq_cst, memory_order_relaxed);
}

/* The queue was found empty. False: it is not, now. Under the lock. */
static bool manual_clear_locked(struct sti_manual *manual)
{
	/* Relaxed: the epoch changes under the lock only. */
	uint64_t epoch = atomic_load_explicit(&manual->word, memory_order_relaxed) & ~STATE;
	int saved = errno;
	int cancel = sti_cancel_hold();
	uint64_t count;
	ssize_t n;

	n = read(manual->fd, &count, sizeof(count));
	sti_cancel_release(cancel);
	stasis_assert_slow(n == sizeof(count) || errno == EAGAIN);
	(void)n;
	errno = saved;
	/* S5: before the second look; pairs with manual_signal(). */
	atomic_store_explicit(&manual->word, epoch + EPOCH + CLEAR, memory_order_seq_cst);
	return sti_runqueue_is_empty(&manual->queue);
}

void sti_manual_push(struct sti_manual *manual, struct sti_mailbox *mailbox)
{
	sti_runqueue_push(&manual->queue, mailbox);
	manual_signal(manual);
}

bool sti_manual_pull(struct sti_manual *manual, const struct sti_mailbox *mailbox)
{
	bool moved = false;
	bool found;

	/* The descriptor is as it was: what is put back was there. */
	pthread_mutex_lock(&manual->lock);
	found = sti_runqueue_pull(&manual->queue, mailbox, &moved);
	pthread_mutex_unlock(&manual->lock);
	return found;
}

/* --- running --- */

static void runner_enter(struct sti_runner *runner, struct stasis_executor *executor)
{
	struct sti_manual *manual = executor->manual;

	sti_context_enter(&runner->context, executor, NULL);
	runner->turns_left = 0;
	runner->progress = true;
	runner->owing = 0;
	pthread_mutex_lock(&manual->lock);
	runner->prev = NULL;
	runner->next = manual->runners;
	if (manual->runners != NULL)
		manual->runners->prev = runner;
	manual->runners = runner;
	pthread_mutex_unlock(&manual->lock);
}

static void runner_leave(struct sti_runner *runner, struct stasis_executor *executor)
{
	struct sti_manual *manual = executor->manual;

	sti_context_leave(&runner->context);
	pthread_mutex_lock(&manual->lock);
	if (runner->prev != NULL)
		runner->prev->next = runner->next;
	else
		manual->runners = runner->next;
	if (runner->next != NULL)
		runner->next->prev = runner->prev;
	pthread_mutex_unlock(&manual->lock);
	sti_executor_tell_drainers(executor);
}

/* Puts back what the last turn has left and takes the next, if wanted. Either may be NULL. */
static struct sti_mailbox *runner_next(struct sti_runner *runner, struct sti_manual *manual,
				       struct sti_mailbox *back, bool wanted)
{
	struct sti_mailbox *mailbox = NULL;
	bool more = true;

	pthread_mutex_lock(&manual->lock);
	if (back != NULL)
		sti_runqueue_requeue(&manual->queue, back);
	if (wanted)
		mailbox = sti_runqueue_next(&manual->queue);
	if (mailbox != NULL) {
		/* Relaxed: written under the lock only; a figure. */
		uint64_t turns = atomic_load_explicit(&manual->turns, memory_order_relaxed);

		atomic_store_explicit(&manual->turns, turns + 1, memory_order_relaxed);
		if (runner->owing == 0)
			runner->owing = manual->generation;
		if (runner->turns_left == 0)
			runner->turns_left = sti_runqueue_length(&manual->queue) + 1;
	}
	if (sti_runqueue_is_empty(&manual->queue))
		more = mailbox == NULL && !manual_clear_locked(manual);
	pthread_mutex_unlock(&manual->lock);
	/* Other runners may be asleep; and publishers may have been stopped before they signal. */
	if (more)
		manual_signal(manual);
	return mailbox;
}

static void runner_flush(struct sti_runner *runner, struct stasis_executor *executor)
{
	struct sti_manual *manual = executor->manual;

	sti_release_flush(&runner->context.release);
	pthread_mutex_lock(&manual->lock);
	runner->owing = 0;
	pthread_mutex_unlock(&manual->lock);
	sti_executor_tell_drainers(executor);
}

/* Returns the mailbox if this thread is still responsible for it. *leftp: callbacks that may be
 * made yet, 1 at least. */
static struct sti_mailbox *runner_turn(struct sti_runner *runner, struct stasis_executor *executor,
				       struct sti_mailbox *mailbox, size_t *leftp)
{
	enum sti_turn turn;
	size_t n;

	/* Not before: a run may find nothing. */
	if (runner->context.release.entries == NULL) {
		sti_release_use(&runner->context.release, runner->few.entries, runner->few.list,
				STI_RELEASE_FEW);
	}
	runner->context.max = *leftp;
	turn = sti_mailbox_run(mailbox, &runner->context, &n);
	stasis_assert(n <= *leftp);
	*leftp -= n;
	runner->turns_left--;
	if (n > 0 || turn != STI_TURN_HOLE)
		runner->progress = true;
	/* The descriptor shall not call for a run that would find nothing: a batch may have been
	 * all there was. */
	if (turn == STI_TURN_MORE && sti_mailbox_let_go(mailbox, &runner->context))
		turn = STI_TURN_GONE;
	if (turn == STI_TURN_GONE)
		mailbox = NULL;
	if (runner->turns_left == 0 || sti_executor_has_drainers(executor))
		runner_flush(runner, executor);
	return mailbox;
}

STI_NOINLINE size_t sti_executor_run_some(struct stasis_executor *executor, size_t max)
{
	struct sti_manual *manual = executor->manual;
	struct sti_mailbox *mailbox = NULL;
	struct sti_runner runner;
	size_t left = max;

	if (max == 0)
		return 0;
	/* Relaxed: the caller holds a reference, which a callback may drop. */
	atomic_fetch_add_explicit(&executor->holders, 1, memory_order_relaxed);
	runner_enter(&runner, executor);
	do {
		/* A round of nothing but holes ends it: to wait for their makers is not for us. */
		bool wanted = left > 0 && (runner.turns_left > 0 || runner.progress);

		if (runner.turns_left == 0)
			runner.progress = false;
		mailbox = runner_next(&runner, manual, mailbox, wanted);
		if (mailbox == NULL)
			break;
		mailbox = runner_turn(&runner, executor, mailbox, &left);
	} while (true);
	runner_leave(&runner, executor);
	sti_executor_leave(executor);
	return max - left;
}

bool sti_executor_may_run(const struct stasis_executor *executor)
{
	uint64_t last;

	if (executor->manual == NULL)
		return false;
	/* Relaxed: what other threads store makes no difference to this one. */
	last = atomic_load_explicit(&executor->manual->last, memory_order_relaxed);
	return last == 0 || last == self();
}

bool sti_executor_ran_here(const struct stasis_executor *executor)
{
	/* Relaxed: as above. */
	return executor->manual != NULL &&
	       atomic_load_explicit(&executor->manual->last, memory_order_relaxed) == self();
}

bool sti_thread_runs_loops(void)
{
	return own_number != 0;
}

bool sti_executor_runs_here(const struct stasis_executor *executor)
{
	return executor->manual == NULL || sti_executor_may_run(executor) ||
	       sti_executor_is_current(executor);
}

int stasis_executor_run(struct stasis_executor *executor, size_t max)
{
	size_t n;

	if (executor == NULL || executor->manual == NULL)
		return -EINVAL;
	if (sti_process_is_child)
		return -ENOTRECOVERABLE;
	/* Relaxed: see sti_executor_may_run(). Seldom changes, so it is seldom written. */
	if (atomic_load_explicit(&executor->manual->last, memory_order_relaxed) != self())
		atomic_store_explicit(&executor->manual->last, self(),
				      memory_order_relaxed);
	n = sti_executor_run_some(executor, max);
	return n < INT_MAX ? (int)n : INT_MAX;
}

int stasis_executor_fd(struct stasis_executor *executor)
{
	if (executor == NULL || executor->manual == NULL)
		return -EINVAL;
	return executor->manual->fd;
}

/* --- drains --- */

uint64_t sti_manual_mark(struct sti_manual *manual)
{
	uint64_t mark;

	pthread_mutex_lock(&manual->lock);
	mark = manual->generation++;
	pthread_mutex_unlock(&manual->lock);
	return mark;
}

bool sti_manual_is_flushed(struct sti_manual *manual, uint64_t mark)
{
	bool flushed = true;

	pthread_mutex_lock(&manual->lock);
	for (const struct sti_runner *runner = manual->runners; runner != NULL;
	     runner = runner->next)
		flushed = flushed && (runner->owing == 0 || runner->owing > mark);
	pthread_mutex_unlock(&manual->lock);
	return flushed;
}

/* --- beginning and end --- */

int sti_manual_new(struct sti_manual **manualp)
{
	struct sti_manual *manual = sti_alloc_aligned(STI_CACHELINE, sizeof(*manual));
	int error;

	if (manual == NULL)
		return -ENOMEM;
	manual->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (manual->fd < 0) {
		error = errno;
		sti_free(manual);
		return -error;
	}
	sti_runqueue_init(&manual->queue);
	atomic_init(&manual->word, CLEAR);
	atomic_init(&manual->last, 0);
	atomic_init(&manual->turns, 0);
	pthread_mutex_init(&manual->lock, NULL);
	manual->runners = NULL;
	manual->generation = 1;
	*manualp = manual;
	return 0;
}

void sti_manual_free(struct sti_manual *manual)
{
	int cancel;

	if (manual == NULL)
		return;
	cancel = sti_cancel_hold(); /* close() is a cancellation point */
	close(manual->fd);
	sti_cancel_release(cancel);
	pthread_mutex_destroy(&manual->lock);
	sti_free(manual);
}
