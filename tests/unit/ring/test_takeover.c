/* SPDX-License-Identifier: BSD-2-Clause */
/* test_takeover.c — holes that last: taken over, and their producers come back late */

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forbid.h"
#include "ring_fixture.h"
#include "sync/membarrier.h"

static void open_impatient(void)
{
	open_queue();
	sti_ring_set_patience(0);
}

static void open_impatient_bounded(uint64_t capacity, bool evicts)
{
	open_queue_with(capacity, evicts);
	sti_ring_set_patience(0);
}

/* A producer that has reserved n positions, and stops. As long as it is there, so is its read
 * section. */
struct late {
	struct sti_ring *ring;
	uint64_t pos;
};

static struct late reserve(uint64_t n)
{
	struct late late;

	sti_rcu_read_lock();
	late.ring = queue_ring(&queue);
	late.pos = sti_ring_pos(atomic_fetch_add(&late.ring->tail, n * STI_RING_ONE));
	return late;
}

/* It goes on. */
static enum sti_push put(struct late late, struct item *item)
{
	enum sti_push result = sti_ring_put(&queue.tail, late.ring, late.pos, item);

	sti_rcu_read_unlock();
	return result;
}

static void expect_taken(size_t i)
{
	void *item = NULL;

	cr_assert(sti_mpsc_take_one(&queue.head, &item), "item %zu is missing", i);
	cr_assert_eq(item, &items[i], "item %zu", i);
}

static uint64_t count(uint64_t (*figure)(const struct sti_mpsc_head *head))
{
	uint64_t n;

	sti_rcu_read_lock();
	n = figure(&queue.head);
	sti_rcu_read_unlock();
	return n;
}

TestSuite(takeover, .init = open_impatient, .fini = close_queue);
TestSuite(takeover_bounded, .fini = close_queue);

Test(takeover, goes_past_a_hole_and_closes_the_ring)
{
	struct late late = reserve(1);

	push_many(1, 3);
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 8), 0);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	take_many(1, 3);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_neq(queue_ring(&queue), late.ring);
	cr_assert(atomic_load(&late.ring->tail) & STI_RING_CLOSED);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
	/* It comes back, and wakes the consumer. */
	cr_assert_eq(put(late, &items[4]), STI_PUSH_WAKE);
	push_many(5, 2);
	take_many(4, 3);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(takeover, a_late_store_is_not_an_item)
{
	struct late late = reserve(1);

	push_many(1, 3);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	/* While the rest of the ring is yet to be taken. */
	cr_assert_eq(put(late, &items[4]), STI_PUSH_OK);
	expect_in_order(1, 4);
	cr_assert_eq(count(sti_mpsc_pushed), 5);
	cr_assert_eq(count(sti_mpsc_taken_over), 1);
	cr_assert_eq(queue_depth(&queue), 0);
}

Test(takeover, waits_first)
{
	struct late late = reserve(1);

	sti_ring_set_patience(UINT64_C(3600) * 1000000000);
	push_many(1, 1);
	for (size_t i = 0; i < 1000; i++)
		cr_assert_eq(queue_rest(&queue), STI_REST_HOLE);
	cr_assert_eq(put(late, &items[0]), STI_PUSH_OK);
	take_many(0, 2);
	/* The next hole has a time of its own. */
	sti_ring_set_patience(0);
	late = reserve(1);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(put(late, &items[2]), STI_PUSH_OK);
	expect_in_order(2, 1);
}

Test(takeover, several_holes_at_once)
{
	struct late late[4];

	push_many(0, 1);
	for (size_t i = 0; i < 3; i++) {
		late[i] = reserve(1);
		push_many(i + 1, 1);
	}
	late[3] = reserve(1);
	take_many(0, 1);
	cr_assert_eq(queue_depth(&queue), 7);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(queue_depth(&queue), 3);
	cr_assert_eq(count(sti_mpsc_taken_over), 4);
	cr_assert_eq(count(sti_mpsc_skipped), 0, "the consumer has not gone past them");
	for (size_t i = 4; i-- > 0;)
		cr_assert_eq(put(late[i], &items[7 - i]), STI_PUSH_OK);
	expect_in_order(1, 7);
	cr_assert_eq(count(sti_mpsc_skipped), 4);
	cr_assert_eq(count(sti_mpsc_taken), count(sti_mpsc_pushed));
	cr_assert_eq(count(sti_mpsc_pushed), 12);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(takeover, what_is_filled_in_time_stays)
{
	struct late first = reserve(1);
	struct late second;

	push_many(1, 1);
	second = reserve(1);
	/* Filled, but its producer has stopped before it looks at idle_at. */
	sti_ring_fill(second.ring, second.pos, &items[2]);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(put(second, &items[2]), STI_PUSH_OK);
	cr_assert_eq(put(first, &items[3]), STI_PUSH_OK);
	expect_in_order(1, 3);
	cr_assert_eq(count(sti_mpsc_taken_over), 1);
}

Test(takeover, who_was_taken_before_it_looks_does_not_push_again)
{
	struct late early = reserve(1);
	struct late late;

	sti_ring_fill(early.ring, early.pos, &items[0]);
	take_many(0, 1);
	late = reserve(1);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(put(early, &items[0]), STI_PUSH_OK);
	cr_assert_eq(put(late, &items[1]), STI_PUSH_OK);
	expect_in_order(1, 1);
}

Test(takeover, part_of_a_batch)
{
	struct late late = reserve(4);

	/* Two of four are filled when it stops. */
	sti_ring_fill(late.ring, late.pos, &items[0]);
	sti_ring_fill(late.ring, late.pos + 1, &items[1]);
	take_many(0, 2);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	sti_ring_fill(late.ring, late.pos + 2, &items[2]);
	sti_ring_fill(late.ring, late.pos + 3, &items[3]);
	cr_assert_eq(sti_ring_settle(late.ring, late.pos, 4), 2);
	sti_rcu_read_unlock();
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(takeover, a_verdict_is_given_once)
{
	struct late late = reserve(2);

	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(sti_ring_settle(late.ring, late.pos, 2), 0);
	sti_rcu_read_unlock();
}

Test(takeover, the_end_stays_the_end)
{
	struct late late = reserve(1);

	push_many(1, 2);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	take_many(1, 2);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
	cr_assert(put(late, &items[3]) & STI_PUSH_ENDED);
	cr_assert(queue_push(&queue, &items[3]) & STI_PUSH_ENDED);
	cr_assert(queue_close(&queue) & STI_PUSH_ENDED);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
	cr_assert_eq(count(sti_mpsc_pushed), 3);
	cr_assert_eq(count(sti_mpsc_taken_over), 1);
	sti_rcu_read_lock();
	cr_assert(sti_mpsc_is_closed(&queue.tail));
	sti_rcu_read_unlock();
}

/* A producer who found the ring full just before the queue ended links another, however late. */
Test(takeover, nothing_can_be_linked_behind_what_was_left)
{
	const struct sti_ring_shape shape = { .order = SMALL };
	struct late late = reserve(1);
	struct sti_ring *fresh;

	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
	fresh = sti_ring_new(&shape, SMALL_SLOTS);
	cr_assert_neq(fresh, NULL);
	/* Frees it. */
	cr_assert_neq(sti_ring_link(late.ring, fresh), fresh);
	cr_assert(put(late, &items[0]) & STI_PUSH_ENDED);
}

Test(takeover, an_end_that_comes_later_is_behind)
{
	struct late late = reserve(1);

	push_many(1, 2);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(put(late, &items[3]), STI_PUSH_OK);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	expect_in_order(1, 3);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
}

Test(takeover, a_ring_that_had_grown)
{
	struct late late = reserve(1);

	push_many(1, SMALL_SLOTS + 3);
	cr_assert_neq(queue_ring(&queue), late.ring);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(put(late, &items[SMALL_SLOTS + 4]), STI_PUSH_OK);
	expect_in_order(1, SMALL_SLOTS + 4);
}

Test(takeover, again_and_again)
{
	size_t pushed = 0;

	for (size_t i = 0; i < 200; i++) {
		struct late late = reserve(1);

		push_many(pushed, i % 5);
		cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
		cr_assert_eq(queue_ring(&queue)->order, SMALL, "it had no reason to grow");
		cr_assert_eq(put(late, &items[pushed + i % 5]), STI_PUSH_OK);
		expect_in_order(pushed, i % 5 + 1);
		pushed += i % 5 + 1;
	}
	cr_assert_eq(count(sti_mpsc_taken_over), 200);
	cr_assert_eq(count(sti_mpsc_pushed), pushed + 200);
	cr_assert_eq(count(sti_mpsc_taken), pushed + 200);
}

Test(takeover, without_memory_it_waits)
{
	/* The ring behind, the verdicts, the remainder. */
	for (uint64_t n = 0; n < 3; n++) {
		struct late late = reserve(1);

		push_many(1, 2);
		faulty_arm(n, true);
		cr_assert_eq(queue_rest(&queue), STI_REST_HOLE);
		cr_assert(faulty_disarm());
		/* Filled, or found again when there is memory. */
		if (n % 2 == 0) {
			cr_assert_eq(put(late, &items[0]), STI_PUSH_OK);
			expect_in_order(0, 3);
		} else {
			cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
			cr_assert_eq(put(late, &items[3]), STI_PUSH_OK);
			expect_in_order(1, 3);
		}
	}
	cr_assert_eq(count(sti_mpsc_taken_over), 1);
}

/* In a process of its own: what is forbidden stays so. 0: as it should be. */
static int wait_without_membarrier(struct sti_ring *ring, uint64_t hole)
{
	void *item[2];

	if (!forbid_membarrier(ENOSYS))
		return 1;
	for (int i = 0; i < 100; i++) {
		if (sti_mpsc_rest(&queue.tail, &queue.head) != STI_REST_HOLE)
			return 2;
	}
	if (sti_membarrier_is_usable() || queue_ring(&queue) != ring)
		return 3;
	sti_ring_fill(ring, hole, &items[0]);
	return sti_mpsc_take(&queue.head, item, 2) == 2 && item[0] == &items[0] ? 0 : 4;
}

Test(takeover, without_membarrier_it_waits)
{
	struct late late = reserve(1);
	int status;
	pid_t child;

	push_many(1, 1);
	child = fork();
	if (child == 0)
		_exit(wait_without_membarrier(late.ring, late.pos));
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "%d", WEXITSTATUS(status));
	cr_assert_eq(put(late, &items[0]), STI_PUSH_OK);
	expect_in_order(0, 2);
}

Test(takeover_bounded, no_more_than_the_capacity)
{
	struct late late;
	size_t i = 1;

	open_impatient_bounded(4, false);
	late = reserve(1);
	push_many(1, 3);
	cr_assert_eq(queue_push(&queue, &items[4]), STI_PUSH_FULL);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	/* The place of the hole is free for anybody. */
	push_many(4, 1);
	cr_assert_eq(queue_push(&queue, &items[5]), STI_PUSH_FULL);
	cr_assert_eq(put(late, &items[5]), STI_PUSH_FULL);
	for (; i < 4; i++) {
		cr_assert_eq(queue_depth(&queue), 4);
		expect_taken(i);
		push_many(i + 4, 1);
		cr_assert_eq(queue_push(&queue, &items[0]), STI_PUSH_FULL);
	}
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	for (; i < 100; i++) {
		expect_taken(i);
		push_many(i + 4, 1);
		cr_assert_eq(queue_push(&queue, &items[0]), STI_PUSH_FULL);
	}
}

Test(takeover_bounded, a_capacity_of_one)
{
	struct late late;

	open_impatient_bounded(1, false);
	late = reserve(1);
	cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_FULL);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(put(late, &items[0]), STI_PUSH_OK);
	cr_assert_eq(queue_push(&queue, &items[1]), STI_PUSH_FULL);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	expect_taken(0);
	push_many(1, 1);
	expect_taken(1);
}

Test(takeover_bounded, a_forced_ring_behind)
{
	void *batch[8];
	struct late late;
	size_t pushed;

	open_impatient_bounded(8, false);
	for (size_t i = 0; i < 8; i++)
		batch[i] = &items[8 + i];
	late = reserve(1);
	push_many(1, 7);
	cr_assert_eq(queue_push_how(&queue, batch, 2, STI_MPSC_FORCE, &pushed), STI_PUSH_OK);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(queue_push(&queue, &items[10]), STI_PUSH_FULL);
	for (size_t i = 1; i < 8; i++)
		expect_taken(i);
	cr_assert_eq(queue_depth(&queue), 2);
	cr_assert_eq(put(late, &items[10]), STI_PUSH_OK);
	push_many(11, 5);
	cr_assert_eq(queue_push(&queue, &items[0]), STI_PUSH_FULL);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	for (size_t i = 8; i < 16; i++)
		expect_taken(i);
}

Test(takeover_bounded, evicting_goes_on_behind)
{
	struct late late;
	void *item = NULL;

	open_impatient_bounded(4, true);
	push_many(0, 1);
	late = reserve(1);
	push_many(2, 2);
	expect_taken(0);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	/* Two are left, which are the consumer's alone now. */
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_ROOM);
	push_many(4, 2);
	cr_assert_eq(queue_push(&queue, &items[6]), STI_PUSH_FULL);
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_TAKEN);
	cr_assert_eq(item, &items[4]);
	cr_assert_eq(put(late, &items[6]), STI_PUSH_OK);
	cr_assert_eq(queue_depth(&queue), 4);
	expect_taken(2);
	push_many(7, 1);
	expect_taken(3);
	push_many(8, 1);
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_TAKEN);
	cr_assert_eq(item, &items[5]);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	for (size_t i = 6; i < 9; i++)
		expect_taken(i);
	cr_assert_eq(count(sti_mpsc_taken), count(sti_mpsc_pushed));
	cr_assert_eq(queue_rest(&queue), STI_REST_GONE);
}

Test(takeover_bounded, a_late_item_is_not_evicted_from_where_it_was_late)
{
	struct late late;
	void *item = NULL;

	open_impatient_bounded(2, true);
	late = reserve(1);
	push_many(1, 1);
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_HOLE);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(put(late, &items[2]), STI_PUSH_OK);
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_TAKEN);
	cr_assert_eq(item, &items[2]);
	expect_taken(1);
	cr_assert_not(sti_mpsc_take_one(&queue.head, &item));
}

Test(takeover_bounded, evicting_to_the_end)
{
	struct late late;
	void *item = NULL;

	open_impatient_bounded(2, true);
	push_many(0, 1);
	late = reserve(1);
	cr_assert_eq(queue_close(&queue), STI_PUSH_OK);
	expect_taken(0);
	cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
	cr_assert_eq(queue_rest(&queue), STI_REST_FINAL);
	cr_assert(put(late, &items[1]) & STI_PUSH_ENDED);
	cr_assert_eq(queue_evict(&queue, &item), STI_EVICT_ENDED);
}
