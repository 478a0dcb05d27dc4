/* SPDX-License-Identifier: BSD-2-Clause */
/* grace.c — grace periods that the program calls for, in place of lib/sync/rcu.c
 *
 * Linked before the static library, which then leaves its own out. There is one thread, so a grace
 * period has passed whenever that thread is outside a read section: fuzz_grace() carries out what
 * has been put off by then. When that happens is the input's choice, no run waits for a clock, and
 * what is used after a grace period is found by AddressSanitizer.
 */

#include "grace.h"

#include <stddef.h>

#include "sync/rcu.h"

static struct sti_rcu_head *first;
static struct sti_rcu_head *last;

/* The link is in the room that liburcu's has. */
static struct sti_rcu_head **next_of(struct sti_rcu_head *head)
{
	return (struct sti_rcu_head **)&head->urcu;
}

void sti_rcu_start(void)
{
}

void sti_rcu_call(struct sti_rcu_head *head, void (*func)(struct sti_rcu_head *head))
{
	head->func = func;
	*next_of(head) = NULL;
	if (first == NULL)
		first = head;
	else
		*next_of(last) = head;
	last = head;
}

bool fuzz_grace(void)
{
	struct sti_rcu_head *head = first;
	bool any = head != NULL;

	first = NULL;
	while (head != NULL) {
		struct sti_rcu_head *next = *next_of(head);

		head->func(head);
		head = next;
	}
	return any;
}

void sti_rcu_synchronize(void)
{
	fuzz_grace();
}

void sti_rcu_barrier(void)
{
	while (fuzz_grace())
		continue;
}
