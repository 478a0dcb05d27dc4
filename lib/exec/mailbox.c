/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/mailbox.c — one turn of a mailbox. The states are in mailbox.h.
 *
 * Edges
 *   R1  store-release delivered  turn  -> A1  effects of the callbacks, for whoever drains
 *   A1  load-acquire delivered   has_settled, statistics <- R1
 */

#include "exec/mailbox.h"

#include <errno.h>
#include <sched.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/callout.h"
#include "base/thread.h"
#include "exec/executor.h"

/* Lines are laid out for 64-bit machines. */
static_assert(sizeof(void *) != 8 || offsetof(struct sti_mailbox, head) == 48,
	      "the runner's line begins here");
static_assert(sizeof(void *) != 8 ||
		      offsetof(struct sti_mailbox, member_prev) == 48 + STI_CACHELINE,
	      "and ends here");

/* Items taken from the ring at once: their lines arrive while the first are delivered. */
#define TAKE 32

/* What is this little above a context is in the place of its frame, which is gone: stacks grow
 * down. What is farther away may be on another stack. So whoever has a context on his stack has a
 * frame of his own, however much is inlined, and so has the function that looks for one. */
#define CONTEXT_REACH 16384u

static __thread struct sti_context *context_current;

/* Has the callback that runs in a context been left, without the context? at: on the stack now. */
static bool context_is_gone(const struct sti_context *context, const void *at)
{
	/* AddressSanitizer keeps what is on the stack elsewhere. */
	return context->self != context ||
	       (!STI_ASAN && (uintptr_t)at - (uintptr_t)context < CONTEXT_REACH);
}

static void context_check(const void *at)
{
	if (context_current != NULL && sti_unlikely(context_is_gone(context_current, at)))
		sti_callout_left("by longjmp()");
}

STI_NOINLINE struct sti_context *sti_context_current(void)
{
	context_check(__builtin_frame_address(0));
	return context_current;
}

unsigned sti_context_depth(void)
{
	unsigned depth = 0;

	for (const struct sti_context *context = sti_context_current(); context != NULL;
	     context = context->outer)
		depth++;
	return depth;
}

void sti_context_enter(struct sti_context *context, struct stasis_executor *executor,
		       struct sti_worker *worker)
{
	context_check(context);
	/* One by one: for all at once compilers use a string instruction, which takes 10 ns. */
	sti_release_init(&context->release);
	context->mailbox = NULL;
	context->executor = executor;
	context->worker = worker;
	context->outer = context_current;
	context->self = context;
	context->cancel = sti_cancel_hold();
	context->linger = false;
	context->eager = false;
	context->max = 0;
	context_current = context;
}

void sti_context_enter_here(struct sti_context *context, struct stasis_executor *executor)
{
	struct sti_thread *thread = sti_thread_self();

	sti_context_enter(context, executor, NULL);
	context->eager = true;
	context->release.heap = thread != NULL ? &thread->heap : NULL;
}

void sti_context_leave(struct sti_context *context)
{
	sti_release_flush(&context->release);
	context->self = NULL;
	context_current = context->outer;
	sti_cancel_release(context->cancel);
}

int sti_mailbox_init(struct sti_mailbox *mailbox, const struct sti_mailbox_ops *ops,
		     struct stasis_executor *executor, unsigned batch, unsigned order,
		     void *embedded)
{
	stasis_assert(batch > 0);
	stasis_assert(batch <= UINT16_MAX);
	mailbox->ops = ops;
	mailbox->executor = executor;
	mailbox->batch = (uint16_t)batch;
	return sti_mpsc_init(&mailbox->tail, &mailbox->head, order, embedded);
}

int sti_mailbox_limit(struct sti_mailbox *mailbox, struct sti_limits *limits, void *embedded)
{
	int result = 0;

	if (limits->capacity != 0) {
		sti_mpsc_deinit(&mailbox->tail, &mailbox->head);
		result = sti_mpsc_init_bounded(&mailbox->tail, &mailbox->head, limits->capacity,
					       limits->overflow == STASIS_OVERFLOW_DROP_OLDEST,
					       embedded);
	}
	if (result != 0) {
		sti_free(limits);
		return result;
	}
	sti_eventcount_init(&limits->room);
	mailbox->limits = limits;
	/* atomic_init: nobody else knows the mailbox yet. */
	atomic_init(&mailbox->flags,
		    (limits->high != 0 ? STI_MAILBOX_WATCHED : 0) |
			    (limits->overflow == STASIS_OVERFLOW_REJECT ? STI_MAILBOX_WHOLE : 0));
	return 0;
}

void sti_mailbox_deinit(struct sti_mailbox *mailbox)
{
	sti_mpsc_deinit(&mailbox->tail, &mailbox->head);
	sti_free(mailbox->limits);
}

bool sti_mailbox_has_settled(const struct sti_mailbox *mailbox, uint64_t pushed, uint64_t *seenp)
{
	/* A1: what the callbacks did; pairs with R1 in deliver_batch(). */
	uint64_t delivered = atomic_load_explicit(&mailbox->delivered, memory_order_acquire);
	uint64_t taken;

	sti_rcu_read_lock();
	/* After delivered: no more than what both were at one moment. */
	taken = mailbox->limits == NULL ? delivered + sti_mpsc_skipped(&mailbox->head) :
					  sti_mpsc_taken(&mailbox->head);
	sti_rcu_read_unlock();
	if (mailbox->limits == NULL)
		return taken >= pushed;
	if (taken < pushed)
		return false;
	/* All that is meant has been taken, or evicted; the last may be in its callback, until
	 * another has been delivered or nobody is at it. */
	if (*seenp == 0)
		*seenp = delivered + 1;
	/* S3: after the look at what was taken; pairs with deliver_limited(). */
	return delivered >= *seenp ||
	       atomic_load_explicit(&mailbox->limits->busy, memory_order_seq_cst) == 0;
}

/* Relaxed throughout: the runner is the only writer of his figures. */
static void note_depth(struct sti_mailbox *mailbox, uint64_t depth)
{
	if (depth > atomic_load_explicit(&mailbox->depth_max, memory_order_relaxed))
		atomic_store_explicit(&mailbox->depth_max, depth, memory_order_relaxed);
}

/* Delivers what comes next, at most max. *morep: there is more. */
static size_t deliver_next(struct sti_mailbox *mailbox, struct sti_context *context, size_t max,
			   bool *morep)
{
	const struct sti_place *first;
	void *items[TAKE];
	size_t n, n_run;
	bool place;

	n = sti_mpsc_take_items(&mailbox->head, items, max < TAKE ? max : TAKE,
				mailbox->ops->deliver_run != NULL, &place);
	if (n > 0)
		mailbox->ops->deliver(mailbox, items, n, context);
	*morep = n == TAKE || place;
	if (sti_likely(!place) || n == max)
		return n;
	n_run = sti_mpsc_take_run(&mailbox->head, max - n, &first);
	mailbox->ops->deliver_run(mailbox, first, n_run, context);
	return n + n_run;
}

/* After the callbacks: their effects, for A1 in sti_mailbox_has_settled(). */
STI_INLINE void note_delivered(struct sti_mailbox *mailbox, struct sti_context *context,
			       uint64_t delivered)
{
	if (sti_unlikely(context->eager))
		sti_release_flush(&context->release);
	/* R1: pairs with A1 there. */
	atomic_store_explicit(&mailbox->delivered, delivered, memory_order_release);
}

static size_t deliver_batch(struct sti_mailbox *mailbox, struct sti_context *context, size_t batch)
{
	size_t total = 0;
	size_t n;
	bool more;
	/* Relaxed: the runner is the only writer. */
	uint64_t delivered = atomic_load_explicit(&mailbox->delivered, memory_order_relaxed);

	do {
		n = deliver_next(mailbox, context, batch - total, &more);
		if (n == 0)
			break;
		total += n;
		note_delivered(mailbox, context, delivered + total);
	} while (more && total < batch);
	return total;
}

/* One by one: what is still queued is what the limits are about. */
static size_t deliver_limited(struct sti_mailbox *mailbox, struct sti_context *context,
			      size_t batch)
{
	size_t total = 0;
	void *item;
	/* Relaxed: the runner is the only writer. */
	uint64_t delivered = atomic_load_explicit(&mailbox->delivered, memory_order_relaxed);

	/* S3: before what is taken; pairs with sti_mailbox_has_settled(). */
	atomic_store_explicit(&mailbox->limits->busy, 1, memory_order_seq_cst);
	while (total < batch && sti_mpsc_take_one(&mailbox->head, &item)) {
		sti_limits_taken(mailbox);
		mailbox->ops->deliver(mailbox, &item, 1, context);
		total++;
		note_delivered(mailbox, context, delivered + total);
	}
	/* S3: after what was delivered; pairs with sti_mailbox_has_settled(). */
	atomic_store_explicit(&mailbox->limits->busy, 0, memory_order_seq_cst);
	return total;
}

static enum sti_rest mailbox_rest(struct sti_mailbox *mailbox, struct sti_context *context)
{
	struct sti_mailbox *outer = context->mailbox;
	enum sti_rest rest;

	/* Who has not run it, for what he wanted from it has been done, may find that. */
	if (sti_unlikely(mailbox->carried != NULL))
		return STI_REST_MORE;
	/* Once let go, the ring may be retired under us. */
	sti_rcu_read_lock();
	rest = sti_mpsc_rest(&mailbox->tail, &mailbox->head);
	sti_rcu_read_unlock();
	/* It may have entered a ring that a publisher has linked who must not wait: there is
	 * room. */
	if (rest == STI_REST_MORE && mailbox->limits != NULL) {
		context->mailbox = mailbox;
		sti_limits_taken(mailbox);
		context->mailbox = outer;
	}
	return rest;
}

bool sti_mailbox_let_go(struct sti_mailbox *mailbox, struct sti_context *context)
{
	return mailbox_rest(mailbox, context) == STI_REST_GONE;
}

static STI_NOINLINE void deliver_final(struct sti_mailbox *mailbox, struct sti_context *context)
{
	struct sti_mailbox *outer = context->mailbox;
	STI_CALLOUT inside = true;

	context->mailbox = mailbox;
	mailbox->ops->final(mailbox, context);
	context->mailbox = outer;
	inside = false;
}

enum sti_turn sti_mailbox_rest(struct sti_mailbox *mailbox, struct sti_context *context,
			       size_t *np)
{
	switch (mailbox_rest(mailbox, context)) {
	case STI_REST_FINAL:
		deliver_final(mailbox, context);
		++*np;
		break;
	case STI_REST_MORE:
		return STI_TURN_MORE;
	case STI_REST_HOLE:
		return STI_TURN_HOLE;
	case STI_REST_GONE:
		break;
	}
	return STI_TURN_GONE;
}

/* Tells drainers, while mailbox and executor are there. A shutdown waits until the mailbox has been
 * let go, too: it looks again by itself. */
STI_INLINE void note_turn(struct sti_mailbox *mailbox, struct sti_context *context)
{
	if (sti_unlikely(context->eager))
		sti_executor_tell_drainers(mailbox->executor);
}

/* A turn in which so many have been delivered already. */
static STI_NOINLINE enum sti_turn run_queued(struct sti_mailbox *mailbox,
					     struct sti_context *context, size_t before,
					     size_t *np)
{
	struct sti_mailbox *outer = context->mailbox;
	STI_CALLOUT inside = true;
	size_t batch = mailbox->batch;

	if (context->max != 0 && context->max < batch)
		batch = context->max;
	context->mailbox = mailbox;
	if (sti_likely(mailbox->limits == NULL))
		*np = before + deliver_batch(mailbox, context, batch - before);
	else
		*np = deliver_limited(mailbox, context, batch);
	inside = false;
	context->mailbox = outer;
	note_turn(mailbox, context);
	if (*np == batch) {
		/* Behind: worth a look at the producers' line. */
		sti_rcu_read_lock();
		note_depth(mailbox, sti_mpsc_depth(&mailbox->head));
		sti_rcu_read_unlock();
		return STI_TURN_MORE;
	}
	note_depth(mailbox, *np);
	if (*np > 0 && context->linger)
		return STI_TURN_CAUGHT_UP;
	return sti_mailbox_rest(mailbox, context, np);
}

/* Begins with the item that is not queued. What has come behind it, mostly nothing, is of this turn
 * too; but a runner who has promised to make one callback does not deliver the end, either. */
static STI_NOINLINE enum sti_turn run_carried(struct sti_mailbox *mailbox,
					      struct sti_context *context, size_t *np)
{
	struct sti_mailbox *outer = context->mailbox;
	void *item = mailbox->carried;
	STI_CALLOUT inside = true;
	/* Relaxed: the runner is the only writer. */
	uint64_t delivered = atomic_load_explicit(&mailbox->delivered, memory_order_relaxed);

	mailbox->carried = NULL;
	context->mailbox = mailbox;
	mailbox->ops->deliver(mailbox, &item, 1, context);
	inside = false;
	context->mailbox = outer;
	note_delivered(mailbox, context, delivered + 1);
	if (sti_unlikely(sti_mpsc_has_next(&mailbox->head) ||
			 (context->max == 1 && !context->eager)))
		return run_queued(mailbox, context, 1, np);
	note_turn(mailbox, context);
	note_depth(mailbox, 1);
	*np = 1;
	return sti_mailbox_rest(mailbox, context, np);
}

enum sti_turn sti_mailbox_run(struct sti_mailbox *mailbox, struct sti_context *context,
			      size_t *np)
{
	if (sti_unlikely(mailbox->carried != NULL))
		return run_carried(mailbox, context, np);
	return run_queued(mailbox, context, 0, np);
}

void sti_mailbox_run_out(struct sti_mailbox *mailbox, struct sti_context *context)
{
	enum sti_turn turn;
	size_t n;

	while ((turn = sti_mailbox_run(mailbox, context, &n)) != STI_TURN_GONE) {
		if (turn == STI_TURN_HOLE)
			sched_yield();
	}
}
