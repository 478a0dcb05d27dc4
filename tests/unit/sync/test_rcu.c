/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rcu.c — what is freed through RCU outlives those who read it */

#include "sync/rcu.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "gate.h"

#define ALIVE 0x600df00dU
#define DEAD 0xdeadU

struct node {
	uint32_t state; /* plain: a grace period orders it */
	struct sti_rcu_head rcu;
};

static _Atomic(struct node *) current;
static _Atomic uint64_t n_freed;

static void free_node(struct sti_rcu_head *rcu)
{
	struct node *node = sti_container_of(rcu, struct node, rcu);

	node->state = DEAD;
	free(node);
	atomic_fetch_add(&n_freed, 1);
}

static struct node *new_node(void)
{
	struct node *node = calloc(1, sizeof(*node));

	node->state = ALIVE;
	return node;
}

Test(rcu, barrier_waits_for_every_call)
{
	for (uint64_t i = 0; i < 1000; i++)
		sti_rcu_call(&new_node()->rcu, free_node);
	sti_rcu_barrier();
	cr_assert_eq(atomic_load(&n_freed), 1000);
}

Test(rcu, call_is_legal_inside_nested_read_sections)
{
	sti_rcu_read_lock();
	sti_rcu_read_lock();
	sti_rcu_call(&new_node()->rcu, free_node);
	sti_rcu_read_unlock();
	cr_assert_eq(atomic_load(&n_freed), 0, "a reader is still there");
	sti_rcu_read_unlock();
	sti_rcu_barrier();
	cr_assert_eq(atomic_load(&n_freed), 1);
}

struct reader {
	_Atomic bool *stop;
	uint64_t n_dead;
};

static void *read_often(void *arg)
{
	struct reader *reader = arg;

	while (!atomic_load(reader->stop)) {
		sti_rcu_read_lock();
		for (int i = 0; i < 10; i++) {
			struct node *node = atomic_load_explicit(&current, memory_order_acquire);

			reader->n_dead += node->state != ALIVE;
		}
		sti_rcu_read_unlock();
	}
	return NULL;
}

Test(rcu, readers_never_see_what_was_freed)
{
	_Atomic bool stop = false;
	struct reader readers[4];
	pthread_t threads[4];

	atomic_store(&current, new_node());
	for (int i = 0; i < 4; i++) {
		readers[i] = (struct reader){ &stop, 0 };
		cr_assert_eq(pthread_create(&threads[i], NULL, read_often, &readers[i]), 0);
	}
	for (int i = 0; i < 5000; i++) {
		struct node *old = atomic_exchange_explicit(&current, new_node(),
							    memory_order_acq_rel);

		sti_rcu_call(&old->rcu, free_node);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(readers[i].n_dead, 0);
	}
	sti_rcu_barrier();
	cr_assert_eq(atomic_load(&n_freed), 5000);
	free(atomic_load(&current));
}
