/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/claims.c — see claims.h */

#include "exec/claims.h"

#include <stddef.h>

#include "exec/executor.h"

static __thread struct sti_claims *innermost;

void sti_claims_keep(struct sti_claims *claims, struct sti_mailbox *mailbox)
{
	/* What is kept by a callback that was left by longjmp() is gone: this would find that. */
	(void)sti_context_current();
	claims->let_go = NULL;
	claims->mailbox = mailbox;
	claims->outer = innermost;
	innermost = claims;
}

bool sti_claims_take_back(struct sti_claims *claims)
{
	innermost = claims->outer;
	return claims->mailbox != NULL;
}

bool sti_claims_any(void)
{
	return innermost != NULL;
}

/* Forgets it first: what runs here when there are no workers any more may come by again. */
static void claims_drop(struct sti_claims *claims)
{
	struct sti_mailbox *mailbox = claims->mailbox;

	claims->mailbox = NULL;
	if (mailbox != NULL)
		sti_executor_submit(mailbox);
}

void sti_claims_let_go(void)
{
	sti_claims_let_go_of(innermost);
}

void sti_claims_let_go_of(struct sti_claims *claims)
{
	for (; claims != NULL; claims = claims->outer) {
		if (claims->let_go != NULL)
			claims->let_go(claims);
		else
			claims_drop(claims);
	}
}
