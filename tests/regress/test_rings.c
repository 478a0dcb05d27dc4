/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rings.c — defects of the queues' rings that have been found and mended */

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/census.h"
#include "forbid.h"
#include "regress_fixture.h"
#include "ring/ring.h"
#include "sync/membarrier.h"

/* --- a ring that was linked behind the last one, which had been taken over and left, was lost with
 * it --- */

Test(rings, none_is_linked_behind_what_was_left)
{
	const struct sti_ring_shape shape = { .order = STI_RING_ORDER_MIN };
	struct sti_mpsc_tail tail;
	struct sti_mpsc_head head;
	struct sti_ring *ring, *fresh;
	uint64_t pos;
	static int item;

	sti_ring_set_patience(0);
	cr_assert_eq(sti_mpsc_init(&tail, &head, STI_RING_ORDER_MIN, NULL), 0);
	sti_mpsc_start_claimed(&tail);
	sti_rcu_read_lock();
	/* A producer has reserved a place, and stops; the queue ends. */
	ring = atomic_load(&tail.ring);
	pos = sti_ring_pos(atomic_fetch_add(&ring->tail, STI_RING_ONE));
	cr_assert_eq(sti_mpsc_close(&tail), STI_PUSH_OK);
	cr_assert_eq(sti_mpsc_rest(&tail, &head), STI_REST_MORE);
	cr_assert_eq(sti_mpsc_rest(&tail, &head), STI_REST_FINAL);
	/* Another found the ring full before it ended, and is as late. */
	fresh = sti_ring_new(&shape, (uint64_t)1 << STI_RING_ORDER_MIN);
	cr_assert_not_null(fresh);
	cr_assert_neq(sti_ring_link(ring, fresh), fresh);
	cr_assert(sti_ring_put(&tail, ring, pos, &item) & STI_PUSH_ENDED);
	sti_rcu_read_unlock();
	sti_mpsc_deinit(&tail, &head);
	sti_rcu_barrier();
	cr_assert_eq(sti_census_count(STI_CENSUS_RING), 0);
}

/* --- behind a take-over more was lent than the capacity leaves, when somebody who must not wait
 * had closed the ring first --- */

#define CAPACITY 4u
#define SLOTS (1u << STI_RING_ORDER_MIN)

static struct sti_mpsc_tail bounded_tail;
static struct sti_mpsc_head bounded_head;
static int bounded_item;
static size_t n_to_force;
static bool no_memory;

/* Before the take-over allocates the next ring: it has seen this one, not closed. Then there is no
 * more memory, and it has to try again. */
static void *alloc_and_force(size_t align, size_t size)
{
	void *item = &bounded_item;
	size_t n = n_to_force, pushed;

	if (no_memory)
		return NULL;
	for (n_to_force = 0; n > 0; n--) {
		must(!(sti_mpsc_push_n(&bounded_tail, &item, 1, STI_MPSC_FORCE, &pushed) &
		       STI_PUSH_NOMEM));
		must(pushed == 1);
		no_memory = n == 1;
	}
	return sti_alloc_system.alloc(align, size);
}

static void free_as_usual(void *ptr)
{
	sti_alloc_system.free(ptr);
}

Test(rings, no_more_is_lent_than_the_capacity_leaves)
{
	static const struct sti_alloc_ops ops = { .alloc = alloc_and_force, .free = free_as_usual };
	void *item;

	sti_alloc_set_ops(&ops);
	sti_ring_set_patience(0);
	cr_assert_eq(sti_mpsc_init_bounded(&bounded_tail, &bounded_head, CAPACITY, false, NULL), 0);
	sti_mpsc_start_claimed(&bounded_tail);
	sti_rcu_read_lock();
	/* A producer has reserved a place, and stops. */
	atomic_fetch_add(&atomic_load(&bounded_tail.ring)->tail, STI_RING_ONE);
	cr_assert_eq(sti_mpsc_push(&bounded_tail, &bounded_item), STI_PUSH_OK);
	/* As many as the ring still has slots for, and one more, for which it is closed. */
	n_to_force = SLOTS - 2 + 1;
	cr_assert_eq(sti_mpsc_rest(&bounded_tail, &bounded_head), STI_REST_HOLE);
	cr_assert(no_memory);
	cr_assert_eq(sti_mpsc_depth(&bounded_head), SLOTS + 1);
	cr_assert_eq(sti_mpsc_push(&bounded_tail, &bounded_item), STI_PUSH_FULL);
	no_memory = false;
	cr_assert_eq(sti_mpsc_rest(&bounded_tail, &bounded_head), STI_REST_MORE);
	for (uint64_t depth = SLOTS; depth >= CAPACITY; depth--) {
		cr_assert_eq(sti_mpsc_depth(&bounded_head), depth);
		cr_assert_eq(sti_mpsc_push(&bounded_tail, &bounded_item), STI_PUSH_FULL,
			     "with %u in it", (unsigned)depth);
		cr_assert(sti_mpsc_take_one(&bounded_head, &item));
	}
	cr_assert_eq(sti_mpsc_push(&bounded_tail, &bounded_item), STI_PUSH_OK);
	cr_assert_eq(sti_mpsc_push(&bounded_tail, &bounded_item), STI_PUSH_FULL);
	sti_rcu_read_unlock();
	sti_mpsc_deinit(&bounded_tail, &bounded_head);
	sti_rcu_barrier();
	cr_assert_eq(sti_census_count(STI_CENSUS_RING), 0);
}

/* --- a take-over aborted when membarrier had been there, and was forbidden --- */

/* Without any, it waits at the hole. 0: as it should be. */
static int rest_without_membarrier(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head)
{
	bool usable = sti_membarrier_is_usable();

	if (!forbid_membarrier(EPERM))
		return 1;
	errno = 0;
	if (sti_mpsc_rest(tail, head) != STI_REST_HOLE)
		return 2;
	return usable && errno == 0 && !sti_membarrier_is_usable() ? 0 : 3;
}

Test(rings, none_is_taken_over_once_membarrier_is_forbidden)
{
	struct sti_mpsc_tail tail;
	struct sti_mpsc_head head;
	static int item;
	int status;
	pid_t child;

	if (!sti_membarrier_is_usable())
		cr_skip_test("there is no membarrier");
	sti_ring_set_patience(0);
	cr_assert_eq(sti_mpsc_init(&tail, &head, STI_RING_ORDER_MIN, NULL), 0);
	sti_mpsc_start_claimed(&tail);
	sti_rcu_read_lock();
	atomic_fetch_add(&atomic_load(&tail.ring)->tail, STI_RING_ONE);
	cr_assert_eq(sti_mpsc_push(&tail, &item), STI_PUSH_OK);
	child = fork();
	if (child == 0)
		_exit(rest_without_membarrier(&tail, &head));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "%d", WEXITSTATUS(status));
	sti_rcu_read_unlock();
	sti_mpsc_deinit(&tail, &head);
}
