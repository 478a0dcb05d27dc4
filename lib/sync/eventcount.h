/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_SYNC_EVENTCOUNT_H
#define STI_SYNC_EVENTCOUNT_H

/* sync/eventcount.h — sleep until something has happened
 *
 * Waiter:  v = value; look whether it has happened; if not, wait(v).
 * Waker:   make it happen; signal.
 * wait(v) returns at once when a signal came after v was read, so none is lost between look and
 * sleep. A signal without a sleeper costs one atomic addition and no system call.
 *
 * Four bytes each. Built on Concurrency Kit's ck_ec in its multi-producer mode and on futex(2).
 *
 * Edges: signal releases, value and wait acquire: what was done before a signal is seen by whoever
 *        saw the count change.
 * Threads: any number of waiters and signallers.
 */

#include <stdbool.h>
#include <stdint.h>

struct sti_eventcount {
	uint32_t counter; /* ck_ec's: 31 bits of count, one for "somebody sleeps" */
};

void sti_eventcount_init(struct sti_eventcount *ec);

uint32_t sti_eventcount_value(const struct sti_eventcount *ec);

/* Wakes all who wait. */
void sti_eventcount_signal(struct sti_eventcount *ec);

/* timeout_ns: 0 for none. False when the time is up; may return true for nothing now and then. */
bool sti_eventcount_wait(struct sti_eventcount *ec, uint32_t value, uint64_t timeout_ns);

#endif
