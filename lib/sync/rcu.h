/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_SYNC_RCU_H
#define STI_SYNC_RCU_H

/* sync/rcu.h — the one place that knows which RCU this is: liburcu's bulletproof flavour
 *
 * Threads register themselves at their first read section and leave when they end. A read section
 * costs about a nanosecond: inline, with membarrier(2) on the side of those who wait.
 *
 * Read sections nest. A read section must not wait for anything, though it may look away for some
 * microseconds (sync/backoff.h): call_rcu and every grace period wait for it.
 *
 * ThreadSanitizer does not see liburcu's ordering. Here, and nowhere else, it is told: what
 * happened inside a read section that ended before a grace period happens before the callback after
 * it.
 */

#include "base/compiler.h"

#include <urcu/urcu-bp.h>

#if STI_TSAN
void sti_rcu_read_lock(void);
void sti_rcu_read_unlock(void);
#else
#define sti_rcu_read_lock() urcu_bp_read_lock()
#define sti_rcu_read_unlock() urcu_bp_read_unlock()
#endif

/* Embedded in what is freed through RCU. */
struct sti_rcu_head {
	struct rcu_head urcu;
	void (*func)(struct sti_rcu_head *head);
};

/* Starts liburcu's thread for sti_rcu_call(), which would otherwise start by itself at the first
 * call: at a bad moment to run out of memory, and with that thread's signal mask. It blocks all
 * signals: handlers belong to the application's threads. */
void sti_rcu_start(void);

/* Calls func(head) on liburcu's own thread once every read section that had begun by now has ended.
 * Never blocks; legal inside read sections. */
void sti_rcu_call(struct sti_rcu_head *head, void (*func)(struct sti_rcu_head *head));

/* Waits until every read section that had begun by now has ended: milliseconds when threads spin on
 * all CPUs. Not inside a read section. */
void sti_rcu_synchronize(void);

/* Waits until every sti_rcu_call() made before has been carried out. Milliseconds: for tests and
 * for the end of a program. Not inside a read section. */
void sti_rcu_barrier(void);

#endif
