/* SPDX-License-Identifier: BSD-2-Clause */
/* sync/rcu.c — the glue to liburcu. See rcu.h. */

#include "sync/rcu.h"

#include <pthread.h>
#include <signal.h>

#include "base/callout.h"
#include "base/process.h"

#if STI_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);

static char grace; /* stands for "a grace period has passed" */

void sti_rcu_read_lock(void)
{
	urcu_bp_read_lock();
}

void sti_rcu_read_unlock(void)
{
	__tsan_release(&grace);
	urcu_bp_read_unlock();
}
#endif

void sti_rcu_start(void)
{
	sigset_t all, old;

	sti_process_watch();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	urcu_bp_get_default_call_rcu_data();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void rcu_run(struct rcu_head *urcu)
{
	struct sti_rcu_head *head = sti_container_of(urcu, struct sti_rcu_head, urcu);
	STI_CALLOUT inside = true;

#if STI_TSAN
	__tsan_acquire(&grace);
#endif
	head->func(head);
	inside = false;
}

void sti_rcu_call(struct sti_rcu_head *head, void (*func)(struct sti_rcu_head *head))
{
	head->func = func;
#if STI_TSAN
	__tsan_release(&grace);
#endif
	urcu_bp_call_rcu(&head->urcu, rcu_run);
}

void sti_rcu_synchronize(void)
{
	/* It may poll(), with liburcu's locks held. */
	int cancel = sti_cancel_hold();

#if STI_TSAN
	__tsan_release(&grace);
#endif
	urcu_bp_synchronize_rcu();
	sti_cancel_release(cancel);
#if STI_TSAN
	__tsan_acquire(&grace);
#endif
}

void sti_rcu_barrier(void)
{
	int cancel = sti_cancel_hold();

	urcu_bp_barrier();
	sti_cancel_release(cancel);
#if STI_TSAN
	__tsan_acquire(&grace);
#endif
}
