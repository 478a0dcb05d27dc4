/* SPDX-License-Identifier: BSD-2-Clause */
/* ring_checks.c — what must hold when nobody can go on */

#include <stdatomic.h>

#include "ring_queue.h"

/* Each producer's items in order, each once; all that were taken were pushed. */
static void check_order(void)
{
	uint64_t next[EXPLORE_THREADS] = { 0 };

	for (unsigned i = 0; i < queue.n_delivered; i++) {
		const struct item *item = &queue.delivered[i];

		explore_expect(item->producer < EXPLORE_THREADS);
		if (item->number < next[item->producer])
			explore_violation("order: item %u of producer %u comes after its item %u",
					  (unsigned)item->number, (unsigned)item->producer,
					  (unsigned)next[item->producer] - 1);
		next[item->producer] = item->number + 1;
	}
}

static unsigned total_pushed(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < EXPLORE_THREADS; i++)
		n += queue.told[i].pushed;
	return n;
}

void check_all(void)
{
	check_order();
	if (queue.n_delivered != total_pushed())
		explore_violation("%u items were pushed, %u delivered", total_pushed(),
				  queue.n_delivered);
}

/* Nothing is delivered behind the end, which deliver() in ring_queue.c looks for. */
void check_ended(void)
{
	check_all();
	if (queue.n_finals != 1)
		explore_violation("the end has come %u times", queue.n_finals);
	sti_mpsc_deinit(&queue.tail, &queue.head);
	/* Items that were refused are the producers'; the test does not free them. */
	explore_expect(explore_n_blocks() ==
		       queue.told[0].ended + queue.told[1].ended + queue.told[2].ended);
}

void check_stopped(void)
{
	check_order();
	if (!explore_was_stopped(0) && !explore_was_stopped(1))
		check_all();
}

void check_passed(void)
{
	const struct sti_ring *ring;
	unsigned n = 0;

	check_order();
	/* Relaxed, both: alone. */
	ring = atomic_load_explicit(&queue.head.ring, memory_order_relaxed);
	if (atomic_load_explicit(&ring->idle_at, memory_order_relaxed) == STI_RING_IDLE_NONE)
		return;
	for (unsigned i = 0; i < queue.n_delivered; i++)
		n += queue.delivered[i].producer == 1;
	if (n != queue.told[1].pushed)
		explore_violation("%u items were pushed, %u delivered", queue.told[1].pushed, n);
}

void check_evicted(void)
{
	unsigned evicted = queue.told[0].full + queue.told[1].full;

	check_order();
	if (queue.n_delivered + evicted != total_pushed())
		explore_violation("%u items were pushed, %u delivered, %u evicted", total_pushed(),
				  queue.n_delivered, evicted);
}

void check_bounded(void)
{
	check_all();
	explore_expect(sti_mpsc_depth(&queue.head) == 0);
}
