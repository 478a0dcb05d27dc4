/* SPDX-License-Identifier: BSD-2-Clause */
/* subscriber.c — see subscriber.h */

#include "subscriber.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sb_subscriber_init(struct sb_subscriber *sub, unsigned index, unsigned n_publishers,
		       uint64_t ack)
{
	memset(sub, 0, sizeof(*sub));
	sub->index = index;
	sub->n_publishers = n_publishers;
	sub->ack_mask = ack - 1;
	sub->next = sub->next_few;
	if (n_publishers > SB_PUBLISHERS_FEW) {
		size_t size = (n_publishers * sizeof(uint64_t) + 63) / 64 * 64;

		sub->next = aligned_alloc(64, size);
		if (sub->next == NULL)
			return -ENOMEM;
		memset(sub->next, 0, size);
	}
	return 0;
}

void sb_subscriber_deinit(struct sb_subscriber *sub)
{
	if (sub->next != sub->next_few)
		free(sub->next);
	sub->next = NULL;
}

void sb_subscriber_fault(struct sb_subscriber *sub, enum sb_fault fault, uint64_t expected,
			 uint64_t got)
{
	if (sub->fault != SB_FAULT_NONE)
		return;
	sub->fault = fault;
	sub->expected = expected;
	sub->got = got;
}

void sb_subscriber_hold(struct sb_subscriber *sub)
{
	sem_init(&sub->let_go, 0, 0);
	sub->held = true;
	/* Relaxed: whoever takes a message from the engine sees what came before its publish. */
	atomic_store_explicit(&sub->busy, 1, memory_order_relaxed);
}

void sb_subscriber_let_go(struct sb_subscriber *sub)
{
	sem_post(&sub->let_go);
}

void sb_deliver_wrong(struct sb_subscriber *sub, const struct sb_stamp *stamp)
{
	if (stamp->publisher >= sub->n_publishers) {
		sb_subscriber_fault(sub, SB_FAULT_PUBLISHER, sub->n_publishers, stamp->publisher);
	} else {
		sb_subscriber_fault(sub, SB_FAULT_SEQUENCE, sub->next[stamp->publisher],
				    stamp->sequence);
		sub->next[stamp->publisher] = stamp->sequence + 1;
	}
	sb_delivered(sub);
}

void sb_deliver_busy(struct sb_subscriber *sub, const struct sb_stamp *stamp)
{
	if (sub->held) {
		while (sem_wait(&sub->let_go) < 0)
			continue;
		sub->held = false;
	} else {
		sb_subscriber_fault(sub, SB_FAULT_OVERLAP, 0, 1);
	}
	/* Relaxed: as in sb_deliver(), which finds it clear now. */
	atomic_store_explicit(&sub->busy, 0, memory_order_relaxed);
	sb_deliver(sub, stamp);
}

bool sb_subscriber_failed(const struct sb_subscriber *sub, uint64_t published, char *text,
			  size_t size)
{
	uint64_t count = sb_subscriber_count(sub);

	switch (sub->fault) {
	case SB_FAULT_SEQUENCE:
		snprintf(text, size,
			 "subscriber %u: expected sequence %" PRIu64
			 " of a publisher, got %" PRIu64,
			 sub->index, sub->expected, sub->got);
		return true;
	case SB_FAULT_PUBLISHER:
		snprintf(text, size,
			 "subscriber %u: a message of publisher %" PRIu64
			 ", of which there are %" PRIu64,
			 sub->index, sub->got, sub->expected);
		return true;
	case SB_FAULT_OVERLAP:
		snprintf(text, size, "subscriber %u: two callbacks at once", sub->index);
		return true;
	case SB_FAULT_CHAIN:
		snprintf(text, size,
			 "subscriber %u: the old snapshot of an update of id %" PRIu64
			 " is not the new one of the last",
			 sub->index, sub->got);
		return true;
	case SB_FAULT_NONE:
		break;
	}
	if (count == published)
		return false;
	snprintf(text, size, "subscriber %u: %" PRIu64 " published, %" PRIu64 " delivered",
		 sub->index, published, count);
	return true;
}
