/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rings.c — defects of the queues' rings, found by stasis-stress, that have been mended */

#include "base/census.h"
#include "regress_fixture.h"
#include "ring/ring.h"

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
