/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_EXEC_CLAIMS_H
#define STI_EXEC_CLAIMS_H

/* exec/claims.h — mailboxes that a thread has claimed and has not run yet
 *
 * Whoever waits for a mailbox that this very thread has claimed would wait for ever. So what a
 * thread has claimed, and keeps while other callbacks run, is known to it, and goes to whoever else
 * there is before the thread waits for anything.
 *
 * Threads: claims are on the stack of the one thread whose they are.
 */

#include <stdbool.h>

struct sti_mailbox;

struct sti_claims {
	/* Lets go of all of them, forgetting each first: what runs here when there are no workers
	 * any more may come by again. NULL: there is one, mailbox. */
	void (*let_go)(struct sti_claims *claims);
	struct sti_mailbox *mailbox; /* NULL: it has been let go */
	struct sti_claims *outer;
};

/* Keeps a claim (NULL: none) until it is taken back; innermost first. */
void sti_claims_keep(struct sti_claims *claims, struct sti_mailbox *mailbox);

/* True: it has not been let go meanwhile. */
bool sti_claims_take_back(struct sti_claims *claims);

/* Does this thread keep any? */
bool sti_claims_any(void);

/* Leaves all that this thread has claimed to others. Before it waits; outside read sections. */
void sti_claims_let_go(void);

/* The same for these and what was kept before them. */
void sti_claims_let_go_of(struct sti_claims *claims);

#endif
