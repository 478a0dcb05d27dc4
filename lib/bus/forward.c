/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/forward.c — forwards: who leads where, and never in a circle
 *
 * Topics and forwards are a graph without cycles. Publishers know it by the arrays of the topics
 * (bus/subscribers.h) and walk it without a lock; everything else about it is under one lock that
 * all forwards share: making and cancelling one is rare, and a cycle may be closed by two who each
 * see only their half.
 *
 * Heights: a topic's is the number of forwards on the longest path from it. If one topic leads to
 * another its height is greater, so most checks for a cycle end with a comparison, and the length
 * of paths, and with it the stack that a walk takes, is bounded. A new forward raises heights
 * upstream only if it makes a path longer: a topic more in an aggregate of 100,000 changes none but
 * its own.
 *
 * References: to a forward, the caller's, and its source's until it has ended and a grace period
 * has passed. Of a forward: to its target, for as long. A source that is freed ends its forwards.
 * Lock order: the forwards' lock, then a topic's.
 */

#include <errno.h>
#include <pthread.h>

#include <stasis/object.h>

#include "base/object.h"
#include "base/process.h"
#include "bus/topic.h"

#define HEIGHT_BEYOND (STASIS_FORWARD_DEPTH_MAX + 1)

struct stasis_forward {
	/* the forwards' lock */
	struct stasis_topic *from; /* NULL: it has ended */
	struct stasis_forward *out_prev, *out_next;
	struct stasis_forward *in_prev, *in_next;
	/* const after init; referenced */
	struct stasis_topic *to;
	/* when it has ended */
	struct sti_rcu_head rcu;
};

static pthread_mutex_t forwards_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t walks; /* forwards_lock; each walk marks topics with its number */

static void link_both(struct stasis_forward *forward, struct stasis_topic *from)
{
	struct stasis_topic *to = forward->to;

	forward->from = from;
	forward->out_prev = forward->in_prev = NULL;
	forward->out_next = from->out;
	if (from->out != NULL)
		from->out->out_prev = forward;
	from->out = forward;
	forward->in_next = to->in;
	if (to->in != NULL)
		to->in->in_prev = forward;
	to->in = forward;
}

static void unlink_both(struct stasis_forward *forward)
{
	if (forward->out_prev != NULL)
		forward->out_prev->out_next = forward->out_next;
	else
		forward->from->out = forward->out_next;
	if (forward->out_next != NULL)
		forward->out_next->out_prev = forward->out_prev;
	if (forward->in_prev != NULL)
		forward->in_prev->in_next = forward->in_next;
	else
		forward->to->in = forward->in_next;
	if (forward->in_next != NULL)
		forward->in_next->in_prev = forward->in_prev;
	forward->from = NULL;
}

/* Sets the height of a topic right, and of those upstream whose height that changes. False when one
 * is too great: it is at HEIGHT_BEYOND then and all others are right, so that taking back the
 * forward that did it takes back everything. Recursion: one step up per call, so no deeper than
 * heights go. */
static bool settle_height(struct stasis_topic *topic)
{
	uint32_t height = 0;
	bool fits;

	for (const struct stasis_forward *f = topic->out; f != NULL; f = f->out_next) {
		if (f->to->height >= height)
			height = f->to->height + 1;
	}
	fits = height < HEIGHT_BEYOND;
	if (!fits)
		height = HEIGHT_BEYOND;
	if (height == topic->height)
		return fits;
	topic->height = height;
	for (const struct stasis_forward *f = topic->in; f != NULL; f = f->in_next)
		fits &= settle_height(f->from);
	return fits;
}

/* Does one topic lead to another? No deeper than heights go. */
static bool leads_to(struct stasis_topic *from, const struct stasis_topic *to)
{
	if (from == to)
		return true;
	if (from->height <= to->height || from->mark == walks)
		return false;
	from->mark = walks;
	for (const struct stasis_forward *f = from->out; f != NULL; f = f->out_next) {
		if (leads_to(f->to, to))
			return true;
	}
	return false;
}

/* Puts a forward into the graph and the source's array. 0 or -errno. */
static int forward_begin_locked(struct stasis_forward *forward, struct stasis_topic *from)
{
	int result = 0;

	walks++;
	if (leads_to(forward->to, from))
		return -ELOOP;
	link_both(forward, from);
	/* Mostly it makes no path longer, and there may be many forwards to look at. */
	if (forward->to->height >= from->height && !settle_height(from))
		result = -ELOOP;
	if (result == 0) {
		pthread_mutex_lock(&from->lock);
		result = sti_subscribers_add_forward(&from->subscribers, forward->to);
		pthread_mutex_unlock(&from->lock);
	}
	if (result != 0) {
		unlink_both(forward);
		settle_height(from);
	}
	return result;
}

static void forward_drop(struct sti_rcu_head *rcu)
{
	struct stasis_forward *forward = sti_container_of(rcu, struct stasis_forward, rcu);

	stasis_object_unref(forward->to);
	stasis_object_unref(forward);
}

struct stasis_forward *stasis_forward_all(struct stasis_topic *from, struct stasis_topic *to)
{
	int result = from != NULL && to != NULL ? sti_process_check() : -EINVAL;
	struct stasis_forward *forward;

	if (result != 0) {
		errno = -result;
		return NULL;
	}
	forward = sti_object_new(STI_KIND_FORWARD, STI_MEM_HEAP, sizeof(struct sti_object),
				 sizeof(*forward), NULL);
	if (forward == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	forward->to = to;
	pthread_mutex_lock(&forwards_lock);
	result = forward_begin_locked(forward, from);
	if (result == 0) {
		/* The source's, and its own to the target: within the lock, for another thread may
		 * free the source as soon as it is released. */
		sti_object_ref_n(forward, 1);
		sti_object_ref_n(to, 1);
	}
	pthread_mutex_unlock(&forwards_lock);
	if (result != 0) {
		stasis_object_unref(forward);
		errno = -result;
		return NULL;
	}
	return forward;
}

struct stasis_forward *stasis_forward_cancel(struct stasis_forward *forward)
{
	int result = forward != NULL ? sti_process_check() : -EINVAL;
	int saved = errno;
	struct stasis_topic *from;

	if (result != 0) {
		errno = -result;
		return NULL;
	}
	pthread_mutex_lock(&forwards_lock);
	from = forward->from;
	if (from != NULL) {
		unlink_both(forward);
		settle_height(from);
		pthread_mutex_lock(&from->lock);
		sti_subscribers_remove_forward(&from->subscribers, forward->to);
		pthread_mutex_unlock(&from->lock);
		/* Publishers may be on their way to the target. */
		sti_rcu_call(&forward->rcu, forward_drop);
	}
	pthread_mutex_unlock(&forwards_lock);
	stasis_object_unref(forward);
	errno = from == NULL ? EALREADY : saved;
	return NULL;
}

void sti_topic_unforward(struct stasis_topic *topic)
{
	struct stasis_forward *forward;

	pthread_mutex_lock(&forwards_lock);
	/* Nothing leads here any more: who does so holds a reference. */
	while ((forward = topic->out) != NULL) {
		unlink_both(forward);
		/* Not here, under the lock: it may be the last reference to the target. */
		sti_rcu_call(&forward->rcu, forward_drop);
	}
	pthread_mutex_unlock(&forwards_lock);
}

static size_t reach_locked(struct stasis_topic *topic)
{
	size_t n;

	if (topic->mark == walks)
		return 0;
	topic->mark = walks;
	n = sti_subscribers_count(sti_subscribers_get(&topic->subscribers));
	for (const struct stasis_forward *f = topic->out; f != NULL; f = f->out_next)
		n += reach_locked(f->to);
	return n;
}

size_t sti_topic_reach(struct stasis_topic *topic)
{
	size_t n;

	pthread_mutex_lock(&forwards_lock);
	walks++;
	sti_rcu_read_lock();
	n = reach_locked(topic);
	sti_rcu_read_unlock();
	pthread_mutex_unlock(&forwards_lock);
	return n;
}
