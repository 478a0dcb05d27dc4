/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_SYNC_RCU_H
#define STI_SYNC_RCU_H

/* shim/sync/rcu.h — in place of lib/sync/rcu.h, as the explorer does it: see sync.c there */

#include "base/compiler.h"

/* Of the same size as the real one. */
struct sti_rcu_head {
	void *urcu[2];
	void (*func)(struct sti_rcu_head *head);
};

void sti_rcu_read_lock(void);
void sti_rcu_read_unlock(void);
void sti_rcu_start(void);
void sti_rcu_call(struct sti_rcu_head *head, void (*func)(struct sti_rcu_head *head));
void sti_rcu_synchronize(void);
void sti_rcu_barrier(void);

#endif
