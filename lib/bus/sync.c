/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/sync.c — publishing and waiting
 *
 *   1. The request is pushed to the subscription: if that cannot be, nothing is published. If its
 *      mailbox is idle, this thread may run it, and there are neither limits nor a timeout, the
 *      request is carried past the queue ("Carry" in ring/protocol.h).
 *   2. The message is published to all others.
 *   3. If the mailbox was found idle, it is this thread's to run, until the request is handled;
 *      what came behind is handed on. Otherwise somebody else is at it or about to be: wait.
 * Those who wait inside callbacks could keep from running whom they wait for. So one who does takes
 * that out of the run queue, wherever it is, and runs it himself (exec/pull.c); if it is just then
 * in a worker's hands, he looks again. Whoever is running it gets on, or waits in his turn for
 * something that can be run; if that is for this thread alone, in a loop that it runs, it does.
 * For the same reason nothing stays claimed by a thread that waits (exec/claims.h).
 *
 * Edges: see sync.h (R1, A1), and
 *   A2  load-acquire mailbox->flags <- R2 in exec/executor.c
 */

#include "bus/sync.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <time.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/thread.h"
#include "bus/filter.h"
#include "bus/push.h"
#include "bus/topic.h"
#include "bus/waits.h"
#include "exec/claims.h"
#include "exec/executor.h"
#include "sync/backoff.h"

#define NS_PER_S 1000000000u
/* What somebody waits for may come into a queue later, out of the hands of a worker that is going
 * to wait as well: how long until another look, at first and in the end. */
#define LOOK_FIRST_NS 32000u
#define LOOK_NS 1000000u
/* Some microseconds: what a worker that is awake takes. */
#define WAIT_SPINS 400u

/* Synchronous publishes of this thread that have not returned. */
static __thread unsigned sync_depth;

enum sync_state { SYNC_PENDING, SYNC_HANDLED, SYNC_EVICTED };

struct sti_sync {
	bool timed; /* const after init */
	/* Referenced if timed; else the caller holds it until this is handled or evicted, and
	 * nobody looks at it any more. Whoever handles it: NULL then. */
	struct stasis_message *message;
	/* any thread: atomic */
	_Atomic uint32_t state;
	struct sti_eventcount done;
};

/* How a publish waits. */
struct sync_call {
	struct stasis_subscription *sub;
	struct sti_sync *sync;
	bool timed;
	uint64_t deadline_ns; /* 0: none */
	bool claimed;	      /* the mailbox is this thread's to run */
	bool room;	      /* the queue is full; the request is not in it yet */
};

/* --- the request --- */

static void sync_destroy(void *obj)
{
	struct sti_sync *sync = obj;

	if (sync->timed)
		stasis_object_unref(sync->message);
}

static struct sti_sync *sync_new(struct stasis_message *message, bool timed)
{
	const size_t size = sizeof(struct sti_object) + sizeof(struct sti_sync);
	struct sti_thread *thread = sti_thread_self();
	struct sti_object *object = NULL;
	enum sti_mem mem = STI_MEM_SLAB;
	struct sti_sync *sync;

	if (sti_likely(thread != NULL))
		object = sti_slab_alloc(&thread->heap, size);
	if (sti_unlikely(object == NULL)) {
		mem = STI_MEM_HEAP;
		object = sti_alloc(size);
	}
	if (object == NULL)
		return NULL;
	sti_object_init(object, STI_KIND_USER, mem, sync_destroy);
	sync = (struct sti_sync *)(object + 1);
	*sync = (struct sti_sync){ .timed = timed, .message = message };
	if (timed)
		stasis_object_ref(message);
	sti_eventcount_init(&sync->done);
	/* The queue's, too. Relaxed: nobody else has it yet. */
	atomic_store_explicit(&object->refs, 2, memory_order_relaxed);
	return sync;
}

static uint32_t sync_state(const struct sti_sync *sync)
{
	/* A1: what the callback did; pairs with R1 in sync_finish(). */
	return atomic_load_explicit(&sync->state, memory_order_acquire);
}

static bool sync_is_done(const void *arg)
{
	return sync_state(arg) != SYNC_PENDING;
}

static void sync_finish(struct sti_sync *sync, enum sync_state state)
{
	/* R1: what the callback did; pairs with A1 in sync_state(). */
	atomic_store_explicit(&sync->state, state, memory_order_release);
	sti_eventcount_signal(&sync->done);
}

static void *sync_item(struct sti_sync *sync)
{
	return (void *)((uintptr_t)sync | STI_ITEM_SYNC);
}

static struct sti_sync *sync_of(void *item)
{
	return (struct sti_sync *)((uintptr_t)item & ~STI_ITEM_SYNC);
}

void sti_sync_deliver(struct stasis_subscription *sub, void *item)
{
	struct sti_sync *sync = sync_of(item);
	stasis_subscription_cb callback = (stasis_subscription_cb)sub->mailbox.user_callback;

	callback(sub->mailbox.user_data, sub, sti_subscription_topic(sub), sync->message);
	/* First: who waits may look at the message's count. */
	if (sync->timed)
		stasis_object_unref(sync->message);
	sync->message = NULL;
	sync_finish(sync, SYNC_HANDLED);
	stasis_object_unref(sync);
}

void sti_sync_evicted(struct sti_pending *pending, void *item)
{
	sync_finish(sync_of(item), SYNC_EVICTED);
	sti_pending_drop(pending, sync_of(item));
}

/* --- publishing it --- */

/* Callbacks of a manual executor are for the thread that runs it. */
static bool sync_may_run(const struct sync_call *call)
{
	return !call->timed && sti_executor_runs_here(call->sub->mailbox.executor);
}

/* Claims an idle subscription without limits, and hands it the request past its queue, if that may
 * be. */
static enum sti_carry sync_carry(const struct sync_call *call)
{
	struct sti_mailbox *mailbox = &call->sub->mailbox;
	enum sti_carry carry;

	if (mailbox->limits != NULL || !sync_may_run(call))
		return STI_CARRY_NOT;
	carry = sti_mpsc_carry(&mailbox->tail);
	if (carry == STI_CARRY_DONE)
		mailbox->carried = sync_item(call->sync);
	return carry;
}

/* Pushes the request by the subscription's policy. 0: it is on its way, or call->room says that it
 * must wait; 1: it is refused; -ESHUTDOWN. */
static int sync_push(struct sync_call *call, struct sti_pending *pending)
{
	struct stasis_subscription *sub = call->sub;
	struct sti_mailbox *mailbox = &sub->mailbox;
	void *item = sync_item(call->sync);
	enum sti_mpsc_how how = STI_MPSC_FIT;
	enum sti_carry carry;
	enum sti_push push;
	size_t pushed;

	for (;;) {
		/* A2: pairs with R2 in executor_begin_close(). */
		if (atomic_load_explicit(&mailbox->flags, memory_order_acquire) &
		    (STI_MAILBOX_REFUSING | STI_MAILBOX_DONE))
			return -ESHUTDOWN;
		carry = sync_carry(call);
		if (carry == STI_CARRY_DONE) {
			call->claimed = true;
			return 0;
		}
		push = sti_mpsc_push_n(&mailbox->tail, &item, 1, how, &pushed);
		if (carry == STI_CARRY_CLAIMED)
			push |= STI_PUSH_WAKE;
		if (push & STI_PUSH_WAKE) {
			call->claimed = pushed == 1 && sync_may_run(call);
			if (!call->claimed)
				sti_executor_schedule(mailbox);
		}
		if (pushed == 1 && how == STI_MPSC_FORCE) {
			/* Relaxed: a figure. */
			atomic_fetch_add_explicit(&mailbox->limits->forced, 1,
						  memory_order_relaxed);
		}
		if (pushed == 1)
			return 0;
		if (push & STI_PUSH_ENDED)
			return -ESHUTDOWN;
		if (!(push & STI_PUSH_FULL))
			return 1;
		if (mailbox->limits->overflow == STASIS_OVERFLOW_BLOCK && how == STI_MPSC_FIT) {
			if (!sti_push_must_not_wait(sub)) {
				call->room = true;
				return 0;
			}
			how = STI_MPSC_FORCE;
		} else if (mailbox->limits->overflow != STASIS_OVERFLOW_DROP_OLDEST ||
			   !sti_push_evict(pending, sub)) {
			return 1;
		}
	}
}

/* Runs a mailbox that is this thread's to run until the request is handled. */
static STI_NOINLINE void sync_run(const struct sync_call *call)
{
	struct sti_mailbox *mailbox = &call->sub->mailbox;
	enum sti_turn turn = STI_TURN_MORE;
	struct sti_context context;
	size_t n = 0;

	sti_context_enter_here(&context, mailbox->executor);
	context.max = 1;
	while (turn != STI_TURN_GONE && !sync_is_done(call->sync)) {
		turn = sti_mailbox_run(mailbox, &context, &n);
		if (turn == STI_TURN_HOLE)
			sched_yield();
	}
	if (turn != STI_TURN_GONE)
		turn = sti_mailbox_rest(mailbox, &context, &n);
	sti_context_leave(&context);
	if (turn != STI_TURN_GONE)
		sti_executor_submit(mailbox);
}

/* How long to sleep until a deadline (0: none); 0 when it has passed. */
static uint64_t until_deadline(uint64_t deadline_ns)
{
	uint64_t now;

	if (deadline_ns == 0)
		return UINT64_MAX;
	now = sti_clock_monotonic_ns();
	return now < deadline_ns ? deadline_ns - now : 0;
}

/* Runs what the subscription is held up by in the end, if that is for this thread alone to run. */
static STI_NOINLINE bool sync_run_leaf(struct sti_mailbox *mailbox)
{
	struct sti_mailbox *leaf = sti_waits_leaf(mailbox);
	bool pulled = leaf != mailbox && leaf->executor->manual != NULL &&
		      sti_executor_runs_here(leaf->executor) && sti_executor_pull(leaf);
	struct sti_context context;

	if (pulled) {
		sti_context_enter_here(&context, NULL);
		sti_executor_run_turn(leaf, &context);
		sti_context_leave(&context);
	}
	stasis_object_unref(leaf);
	return pulled;
}

/* Does what nobody else may come to do, for those who could are waiting too. True: it is worth
 * looking again at once. */
static bool sync_help(const struct sync_call *call, bool inside)
{
	struct sti_mailbox *mailbox = &call->sub->mailbox;
	struct stasis_executor *executor = mailbox->executor;

	/* Callbacks of a manual executor are for the thread that runs it. */
	if (sti_executor_runs_here(executor)) {
		if (inside && sti_executor_pull(mailbox)) {
			sync_run(call);
			return true;
		}
		if (!inside && executor->manual != NULL && sti_executor_run_some(executor, 1) > 0)
			return true;
	}
	return sti_thread_runs_loops() && sync_run_leaf(mailbox);
}

/* False: the time is up. */
static bool sync_wait(const struct sync_call *call)
{
	struct sti_sync *sync = call->sync;
	bool inside = sti_context_current() != NULL;
	bool looks = inside || sti_thread_runs_loops() ||
		     call->sub->mailbox.executor->manual != NULL;
	uint64_t look_ns = LOOK_FIRST_NS;

	if (sync_is_done(sync))
		return true;
	sti_claims_let_go();
	for (;;) {
		uint32_t value = sti_eventcount_value(&sync->done);
		uint64_t left;

		if (sync_is_done(sync))
			return true;
		left = until_deadline(call->deadline_ns);
		if (left == 0)
			return false;
		if (sync_help(call, inside) || sti_spin_until(sync_is_done, sync, WAIT_SPINS))
			continue;
		if (looks && left > look_ns)
			left = look_ns;
		sti_eventcount_wait(&sync->done, value, left != UINT64_MAX ? left : 0);
		if (look_ns < LOOK_NS)
			look_ns *= 2;
	}
}

/* The queue was full: waits for room, then for the end. 0, 1 (refused) or -errno. */
static int sync_wait_for_room(struct sync_call *call)
{
	void *item = sync_item(call->sync);
	enum sti_push push;
	size_t pushed;

	/* Relaxed: a figure. */
	atomic_fetch_add_explicit(&call->sub->mailbox.limits->blocked, 1, memory_order_relaxed);
	push = sti_push_wait(call->sub, &item, 1, call->deadline_ns, &pushed);
	if (pushed == 1)
		return 0;
	/* One that has been unsubscribed wants no more. Relaxed: a figure. */
	if (stasis_subscription_is_subscribed(call->sub))
		atomic_fetch_add_explicit(&call->sub->mailbox.dropped, 1, memory_order_relaxed);
	stasis_object_unref(call->sync); /* the queue's */
	return push & STI_PUSH_ENDED ? -ESHUTDOWN : push & STI_PUSH_FULL ? -ETIMEDOUT : 1;
}

/* The request is on its way, or waits for room. 0, 1 (not taken, or evicted) or -errno. */
static int sync_finish_call(struct sync_call *call)
{
	int result = call->room ? sync_wait_for_room(call) : 0;

	if (result != 0)
		return result;
	if (call->claimed)
		sync_run(call);
	if (!sync_wait(call))
		return -ETIMEDOUT;
	return sync_state(call->sync) == SYNC_EVICTED;
}

/* Publishes to all others, and does what the push of the request has led to. */
static int sync_publish_others(struct sync_call *call, struct stasis_message *message,
			       struct sti_pending *pending)
{
	struct stasis_subscription *sub = call->sub;
	struct sti_mailbox *mailbox = &sub->mailbox;
	struct sti_publish_how how = { .but = sub, .deadline_ns = call->deadline_ns };
	struct sti_claims claims;
	int refused;

	sti_claims_keep(&claims, call->claimed ? mailbox : NULL);
	sti_topic_count(sti_subscription_topic(sub), 1);
	refused = sti_topic_publish(sti_subscription_topic(sub), &message, 1, &how);
	sti_pending_settle(pending, 0);
	call->claimed = sti_claims_take_back(&claims);
	return refused;
}

static int sync_publish(struct sync_call *call, struct stasis_message *message)
{
	struct stasis_subscription *sub = call->sub;
	struct sti_pending pending;
	int others, own;

	sti_pending_init(&pending);
	sti_rcu_read_lock();
	own = sync_push(call, &pending);
	if (own == 0 && sti_mailbox_is_watched(&sub->mailbox) &&
	    sti_mailbox_has_crossed(&sub->mailbox))
		sti_pending_crossed(&pending, sub);
	sti_rcu_read_unlock();
	if (own != 0)
		stasis_object_unref(call->sync); /* the queue's */
	if (own < 0) {
		sti_pending_settle(&pending, 0);
		return own;
	}
	if (own > 0) {
		/* Relaxed: a figure. */
		atomic_fetch_add_explicit(&sub->mailbox.dropped, 1, memory_order_relaxed);
	}
	others = sync_publish_others(call, message, &pending);
	if (own == 0)
		own = sync_finish_call(call);
	return own < 0 ? own : others < INT_MAX ? others + own : INT_MAX;
}

static bool sync_is_accepted(const struct stasis_subscription *sub,
			     const struct stasis_message *message)
{
	bool accepted;

	sti_rcu_read_lock();
	accepted = sti_filter_accepts(sti_subscription_filter(sub), message->type);
	sti_rcu_read_unlock();
	return accepted;
}

static int sync_call(struct sync_call *call, struct stasis_message *message)
{
	struct stasis_subscription *sub = call->sub;
	bool inside = sti_context_current() != NULL;
	struct sti_wait wait;
	int result;

	if (sub == NULL || message == NULL)
		return -EINVAL;
	if (sti_process_is_child)
		return -ENOTRECOVERABLE;
	if (sti_subscription_is_current(sub))
		return -EDEADLK;
	if (!stasis_subscription_is_subscribed(sub))
		return -ESHUTDOWN;
	if (sync_depth >= STASIS_SYNC_DEPTH_MAX)
		return -ELOOP;
	if (!sync_is_accepted(sub, message))
		return stasis_publish(sti_subscription_topic(sub), message);
	call->sync = sync_new(message, call->timed);
	if (call->sync == NULL)
		return -ENOMEM;
	if (inside && !sti_wait_begin(&wait, &sub->mailbox, call->deadline_ns != 0)) {
		sti_object_unref_n(call->sync, 2, NULL);
		return -EDEADLK;
	}
	/* A callback may drop the caller's reference. */
	stasis_object_ref(sub);
	sync_depth++;
	result = sync_publish(call, message);
	sync_depth--;
	if (inside)
		sti_wait_end(&wait);
	stasis_object_unref(call->sync);
	stasis_object_unref(sub);
	return result;
}

int stasis_publish_sync(struct stasis_subscription *sub, struct stasis_message *message)
{
	return sync_call(&(struct sync_call){ .sub = sub }, message);
}

int stasis_publish_sync_timed(struct stasis_subscription *sub, struct stasis_message *message,
			      const struct timespec *timeout)
{
	struct sync_call call = { .sub = sub, .timed = timeout != NULL };
	uint64_t now = sti_clock_monotonic_ns();

	if (timeout != NULL) {
		if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 ||
		    timeout->tv_nsec >= (long)NS_PER_S)
			return -EINVAL;
		/* Further away than 292 years is never. */
		if ((uint64_t)timeout->tv_sec < (UINT64_MAX / 2 - now) / NS_PER_S - 1)
			call.deadline_ns = now + (uint64_t)timeout->tv_sec * NS_PER_S +
					   (uint64_t)timeout->tv_nsec;
	}
	return sync_call(&call, message);
}
