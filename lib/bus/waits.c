/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/waits.c — the graph of waits. See waits.h. */

#include "bus/waits.h"

#include <pthread.h>
#include <stddef.h>

#include "base/object.h"
#include "exec/mailbox.h"

static pthread_mutex_t waits_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sti_wait *waits; /* waits_lock */
static uint64_t searches;      /* waits_lock; marks those that a search has seen */

/* Does a thread whose innermost delivery this is hold up the mailbox? */
static bool holds_up(const struct sti_context *context, const struct sti_mailbox *mailbox)
{
	for (; context != NULL; context = context->outer) {
		if (context->mailbox == mailbox)
			return true;
	}
	return false;
}

/* Does the mailbox wait, over any number of steps, for one that the context holds up? Recursion:
 * one call per wait there is, at most. */
static bool waits_for(const struct sti_mailbox *mailbox, const struct sti_context *context)
{
	if (holds_up(context, mailbox))
		return true;
	for (struct sti_wait *wait = waits; wait != NULL; wait = wait->next) {
		if (wait->timed || wait->mark == searches || !holds_up(wait->context, mailbox))
			continue;
		wait->mark = searches;
		if (waits_for(wait->target, context))
			return true;
	}
	return false;
}

bool sti_wait_begin(struct sti_wait *wait, struct sti_mailbox *target, bool timed)
{
	bool endless;

	wait->target = target;
	wait->timed = timed;
	wait->context = sti_context_current();
	wait->mark = 0;
	pthread_mutex_lock(&waits_lock);
	searches++;
	endless = !timed && waits_for(target, wait->context);
	if (!endless) {
		wait->prev = NULL;
		wait->next = waits;
		if (waits != NULL)
			waits->prev = wait;
		waits = wait;
	}
	pthread_mutex_unlock(&waits_lock);
	return !endless;
}

void sti_wait_end(struct sti_wait *wait)
{
	pthread_mutex_lock(&waits_lock);
	if (wait->prev != NULL)
		wait->prev->next = wait->next;
	else
		waits = wait->next;
	if (wait->next != NULL)
		wait->next->prev = wait->prev;
	pthread_mutex_unlock(&waits_lock);
}

struct sti_mailbox *sti_waits_leaf(struct sti_mailbox *mailbox)
{
	struct sti_wait *wait;

	pthread_mutex_lock(&waits_lock);
	searches++;
	wait = waits;
	while (wait != NULL) {
		if (wait->mark == searches || !holds_up(wait->context, mailbox)) {
			wait = wait->next;
			continue;
		}
		wait->mark = searches;
		mailbox = wait->target;
		wait = waits;
	}
	sti_object_ref_n(mailbox, 1);
	pthread_mutex_unlock(&waits_lock);
	return mailbox;
}
