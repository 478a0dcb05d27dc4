/* SPDX-License-Identifier: BSD-2-Clause */
/* sync/retire.c — see retire.h */

#include "sync/retire.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/object.h"
#include "base/thread.h"
#include "sync/rcu.h"

#define STRIPES 16u
#define BATCH 58u
/* What is put into a batch that somebody has reserved. */
#define ROOM 2u
/* How far ahead lines are fetched: nobody has looked at them for a grace period. */
#define FETCH 6u

struct sti_retire_batch {
	struct sti_rcu_head rcu;
	unsigned n;
	void *objects[BATCH];
};

static_assert(sizeof(void *) != 8 || sizeof(struct sti_retire_batch) <= 512,
	      "a batch is a small allocation");

/* Threads with different numbers mostly meet in different stripes. */
static struct stripe {
	_Alignas(STI_CACHELINE) _Atomic(struct sti_retire_batch *) open;
	_Atomic bool armed; /* a flush will come */
	struct sti_rcu_head flush;
} stripes[STRIPES];

static struct stripe *stripe_here(void)
{
	const struct sti_thread *thread = sti_thread_self();

	return &stripes[thread != NULL ? thread->number % STRIPES : 0];
}

static void batch_drop(struct sti_rcu_head *rcu)
{
	struct sti_retire_batch *batch = sti_container_of(rcu, struct sti_retire_batch, rcu);
	struct sti_slab_pending slab = { 0 };

	for (unsigned i = 0; i < batch->n; i++) {
		if (i + FETCH < batch->n)
			sti_prefetch_write(sti_object_of(batch->objects[i + FETCH]));
		sti_object_unref_n(batch->objects[i], 1, &slab);
	}
	sti_slab_flush(&slab);
	sti_free(batch);
}

static struct sti_retire_batch *stripe_take(struct stripe *stripe)
{
	/* A1, S1: the batch as it was put back; S1 is the flush's, which has stored armed. */
	return atomic_exchange_explicit(&stripe->open, NULL, memory_order_seq_cst);
}

static void stripe_flush(struct sti_rcu_head *rcu)
{
	struct stripe *stripe = sti_container_of(rcu, struct stripe, flush);
	struct sti_retire_batch *batch;

	/* S1: before the batch is looked for; pairs with stripe_arm(). */
	atomic_store_explicit(&stripe->armed, false, memory_order_seq_cst);
	batch = stripe_take(stripe);
	if (batch != NULL)
		sti_rcu_call(&batch->rcu, batch_drop);
}

static void stripe_arm(struct stripe *stripe)
{
	/* S1: after the batch has been put back. The load spares the line a write. */
	if (!atomic_load_explicit(&stripe->armed, memory_order_seq_cst) &&
	    !atomic_exchange_explicit(&stripe->armed, true, memory_order_seq_cst))
		sti_rcu_call(&stripe->flush, stripe_flush);
}

struct sti_retire_batch *sti_retire_reserve(void)
{
	struct sti_retire_batch *batch = stripe_take(stripe_here());

	if (batch == NULL) {
		batch = sti_alloc(sizeof(*batch));
		if (batch != NULL)
			batch->n = 0;
	}
	return batch;
}

void sti_retire_add(struct sti_retire_batch *batch, void *obj)
{
	if (obj != NULL)
		batch->objects[batch->n++] = obj;
}

void sti_retire_put(struct sti_retire_batch *batch, void *obj)
{
	struct stripe *stripe = stripe_here();

	sti_retire_add(batch, obj);
	if (batch->n == 0) {
		sti_free(batch);
		return;
	}
	if (batch->n <= BATCH - ROOM) {
		/* R1, S1: what is in it, for whoever takes it; before armed is looked at. */
		batch = atomic_exchange_explicit(&stripe->open, batch, memory_order_seq_cst);
		stripe_arm(stripe);
	}
	/* It is full, or somebody else has put one back meanwhile. */
	if (batch != NULL)
		sti_rcu_call(&batch->rcu, batch_drop);
}
