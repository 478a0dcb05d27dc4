/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/runqueue.c — inbox, overflow and slots. See runqueue.h. */

#include "exec/runqueue.h"

#include "base/assert.h"
#include "exec/mailbox.h"

#define MASK (STI_RUNQUEUE_SLOTS - 1)

static_assert((STI_RUNQUEUE_SLOTS & MASK) == 0, "positions are masked");

void sti_runqueue_init(struct sti_runqueue *queue)
{
	atomic_init(&queue->inbox, NULL);
	atomic_init(&queue->overflow, NULL);
	atomic_init(&queue->head, 0);
	atomic_init(&queue->tail, 0);
	for (unsigned i = 0; i < STI_RUNQUEUE_SLOTS; i++)
		atomic_init(&queue->slots[i], NULL);
}

void sti_runqueue_push(struct sti_runqueue *queue, struct sti_mailbox *mailbox)
{
	/* Relaxed: only the CAS decides. */
	struct sti_mailbox *top = atomic_load_explicit(&queue->inbox, memory_order_relaxed);

	do {
		mailbox->run_next = top;
		/* R1, S1: hands the mailbox over; pairs with A1, and with the state of the worker
		 * that the caller looks at next. */
	} while (!atomic_compare_exchange_weak_explicit(&queue->inbox, &top, mailbox,
							memory_order_seq_cst,
							memory_order_relaxed));
}

/* False when the slots are full. Owner. */
static bool slots_put(struct sti_runqueue *queue, struct sti_mailbox *mailbox)
{
	/* Relaxed: only the owner writes tail. */
	uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);

	/* A4: the slot was read before head passed it; pairs with R4 in slots_take(). */
	if (tail - atomic_load_explicit(&queue->head, memory_order_acquire) > MASK)
		return false;
	/* Relaxed: R3 publishes it. */
	atomic_store_explicit(&queue->slots[tail & MASK], mailbox, memory_order_relaxed);
	/* R3: slot before position; pairs with A3 in slots_take(). */
	atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
	return true;
}

/* Any worker. */
static struct sti_mailbox *slots_take(struct sti_runqueue *queue)
{
	/* A4: for the order of this load before the next. */
	uint64_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
	struct sti_mailbox *mailbox;

	do {
		/* A3: the slot, and the mailbox; pairs with R3 in slots_put(). */
		if (head == atomic_load_explicit(&queue->tail, memory_order_acquire))
			return NULL;
		/* Relaxed: if it has been taken and overwritten since, the CAS fails. */
		mailbox = atomic_load_explicit(&queue->slots[head & MASK], memory_order_relaxed);
		/* R4: read before it is reused; pairs with A4 in slots_put(). */
	} while (!atomic_compare_exchange_weak_explicit(&queue->head, &head, head + 1,
							memory_order_acq_rel, /* A4 */
							memory_order_acquire /* A4 */));
	return mailbox;
}

/* Moves a chain into the slots; what does not fit is the new overflow. Owner, overflow empty. */
static void chain_put(struct sti_runqueue *queue, struct sti_mailbox *chain)
{
	while (chain != NULL) {
		/* First: once put, a thief may have it. */
		struct sti_mailbox *next = chain->run_next;

		if (!slots_put(queue, chain))
			break;
		chain = next;
	}
	if (chain != NULL) {
		/* R2: the chain; pairs with A2 in overflow_take(). */
		atomic_store_explicit(&queue->overflow, chain, memory_order_release);
	}
}

static struct sti_mailbox *overflow_take(struct sti_runqueue *queue)
{
	/* Relaxed: a look before the exchange, which is dear. */
	if (atomic_load_explicit(&queue->overflow, memory_order_relaxed) == NULL)
		return NULL;
	/* A2: pairs with R2 in chain_put(). */
	return atomic_exchange_explicit(&queue->overflow, NULL, memory_order_acquire);
}

/* The inbox, oldest first. */
static struct sti_mailbox *inbox_take(struct sti_runqueue *queue)
{
	struct sti_mailbox *stack, *chain = NULL;

	/* Relaxed: a look before the exchange, which is dear. */
	if (atomic_load_explicit(&queue->inbox, memory_order_relaxed) == NULL)
		return NULL;
	/* A1, S1: the mailboxes; pairs with R1 in sti_runqueue_push(). */
	stack = atomic_exchange_explicit(&queue->inbox, NULL, memory_order_seq_cst);
	while (stack != NULL) {
		struct sti_mailbox *next = stack->run_next;

		stack->run_next = chain;
		chain = stack;
		stack = next;
	}
	return chain;
}

struct sti_mailbox *sti_runqueue_next(struct sti_runqueue *queue)
{
	struct sti_mailbox *mailbox = slots_take(queue);

	/* New arrivals go behind what is there; overflow came before them. */
	if (mailbox == NULL) {
		chain_put(queue, overflow_take(queue));
		mailbox = slots_take(queue);
	}
	/* Relaxed: only the owner makes overflow anything but NULL. */
	if (atomic_load_explicit(&queue->overflow, memory_order_relaxed) == NULL) {
		chain_put(queue, inbox_take(queue));
		if (mailbox == NULL)
			mailbox = slots_take(queue);
	}
	return mailbox;
}

void sti_runqueue_requeue(struct sti_runqueue *queue, struct sti_mailbox *mailbox)
{
	/* Relaxed: see sti_runqueue_next(). What overflows must not be overtaken for ever. */
	if (atomic_load_explicit(&queue->overflow, memory_order_relaxed) != NULL ||
	    !slots_put(queue, mailbox))
		sti_runqueue_push(queue, mailbox);
}

struct sti_mailbox *sti_runqueue_steal(struct sti_runqueue *thief, struct sti_runqueue *victim,
				       unsigned *np)
{
	uint64_t half = (sti_runqueue_length(victim) + 1) / 2;
	struct sti_mailbox *mailbox = slots_take(victim);
	struct sti_mailbox *more;

	*np = mailbox != NULL;
	if (mailbox == NULL) {
		/* Both are chains in order. */
		struct sti_mailbox *chain = overflow_take(victim);

		if (chain == NULL)
			chain = inbox_take(victim);
		if (chain == NULL)
			return NULL;
		mailbox = chain;
		for (chain = chain->run_next, *np = 1; chain != NULL; chain = more, ++*np) {
			more = chain->run_next;
			sti_runqueue_requeue(thief, chain);
		}
		return mailbox;
	}
	for (; *np < half && (more = slots_take(victim)) != NULL; ++*np)
		sti_runqueue_requeue(thief, more);
	return mailbox;
}

/* Takes a mailbox out of a chain. True: it was in it. *lastp: the last of the others. */
static bool chain_remove(struct sti_mailbox **chainp, const struct sti_mailbox *mailbox,
			 struct sti_mailbox **lastp)
{
	bool found = false;

	*lastp = NULL;
	for (struct sti_mailbox **linkp = chainp; *linkp != NULL;) {
		if (*linkp == mailbox) {
			*linkp = (*linkp)->run_next;
			found = true;
		} else {
			*lastp = *linkp;
			linkp = &(*linkp)->run_next;
		}
	}
	return found;
}

/* Puts a chain back on top of the inbox as it is. */
static void inbox_give_back(struct sti_runqueue *queue, struct sti_mailbox *chain,
			    struct sti_mailbox *last)
{
	/* Relaxed: only the CAS decides. */
	struct sti_mailbox *top = atomic_load_explicit(&queue->inbox, memory_order_relaxed);

	do {
		last->run_next = top;
		/* R1, S1: as in sti_runqueue_push(). */
	} while (!atomic_compare_exchange_weak_explicit(&queue->inbox, &top, chain,
							memory_order_seq_cst,
							memory_order_relaxed));
}

static bool pull_from(struct sti_runqueue *queue, struct sti_mailbox *chain,
		      const struct sti_mailbox *mailbox, bool *movedp)
{
	struct sti_mailbox *last;
	bool found = chain_remove(&chain, mailbox, &last);

	if (chain != NULL) {
		inbox_give_back(queue, chain, last);
		*movedp = true;
	}
	return found;
}

bool sti_runqueue_pull(struct sti_runqueue *queue, const struct sti_mailbox *mailbox,
		       bool *movedp)
{
	struct sti_mailbox *taken;

	/* Relaxed: a look before the exchange, which is dear. */
	if (atomic_load_explicit(&queue->inbox, memory_order_relaxed) != NULL) {
		/* A1, S1: as in inbox_take(). It stays the stack it is. */
		taken = atomic_exchange_explicit(&queue->inbox, NULL, memory_order_seq_cst);
		if (pull_from(queue, taken, mailbox, movedp))
			return true;
	}
	if (pull_from(queue, overflow_take(queue), mailbox, movedp))
		return true;
	/* No more than there are now: the owner may put back what it runs. */
	for (uint64_t n = sti_runqueue_length(queue); n > 0; n--) {
		taken = slots_take(queue);
		if (taken == NULL)
			break;
		taken->run_next = NULL;
		if (pull_from(queue, taken, mailbox, movedp))
			return true;
	}
	return false;
}

struct sti_mailbox *sti_runqueue_take(struct sti_runqueue *queue)
{
	struct sti_mailbox *mailbox = slots_take(queue);
	struct sti_mailbox *chain;

	if (mailbox != NULL)
		return mailbox;
	chain = overflow_take(queue);
	if (chain == NULL)
		chain = inbox_take(queue);
	if (chain == NULL)
		return NULL;
	mailbox = chain;
	for (chain = chain->run_next; chain != NULL;) {
		struct sti_mailbox *next = chain->run_next;

		sti_runqueue_push(queue, chain);
		chain = next;
	}
	return mailbox;
}

bool sti_runqueue_is_empty(const struct sti_runqueue *queue)
{
	/* S1: after the caller has said that he rests; pairs with S1 in sti_runqueue_push(). */
	return atomic_load_explicit(&queue->inbox, memory_order_seq_cst) == NULL &&
	       atomic_load_explicit(&queue->overflow, memory_order_relaxed) == NULL &&
	       sti_runqueue_length(queue) == 0;
}

uint64_t sti_runqueue_length(const struct sti_runqueue *queue)
{
	/* Relaxed: a hint. Head is read first: the difference is never negative. */
	uint64_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);

	return atomic_load_explicit(&queue->tail, memory_order_relaxed) - head;
}
