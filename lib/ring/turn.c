/* SPDX-License-Identifier: BSD-2-Clause */
/* ring/turn.c — producers that let each other push on for a while: "Turns" in protocol.h.
 * Everything that is read or written for it is a hint; a push does not depend on it.
 *
 * Edges: see protocol.h.
 */

#include "ring/ring.h"

static_assert(STI_THREAD_MAX < UINT16_MAX, "a thread's number fits into turn");

/* Relaxed: a hint. */
static uint64_t ring_next_pos(const struct sti_ring *ring)
{
	return sti_ring_pos(atomic_load_explicit(&ring->tail, memory_order_relaxed));
}

bool sti_ring_is_long(const struct sti_ring *ring)
{
	uint64_t pos, head;

	/* First what is in the producers' line. Relaxed, all: hints. */
	if (ring->capacity != 0 || ring->mask < STI_TURN_BACKLOG ||
	    atomic_load_explicit(&ring->idle_at, memory_order_relaxed) != STI_RING_IDLE_NONE)
		return false;
	pos = ring_next_pos(ring);
	head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	/* It may have gone past pos since. */
	return pos >= head && pos - head >= STI_TURN_BACKLOG;
}

/* Does the thread push here all the time, and is the mark of another worth waiting for? */
static bool ring_turn_pays(const struct sti_ring *ring, struct sti_thread *thread)
{
	if (thread->turn != ring || ring_next_pos(ring) - thread->turn_pos > STI_TURN_FAR)
		return false;
	if (thread->turn_skips > 0) {
		thread->turn_skips--;
		return false;
	}
	return sti_ring_is_long(ring);
}

/* Lets another push on. Has he pushed as who pushes all the time? */
static bool ring_await_turn(const struct sti_ring *ring)
{
	uint64_t pos = ring_next_pos(ring);

	for (unsigned i = 0; i < STI_TURN_BACKOFFS; i++)
		sti_backoff();
	return ring_next_pos(ring) - pos >= STI_TURN_PUSHES;
}

void sti_mpsc_take_turn(struct sti_mpsc_tail *tail, struct sti_thread *thread, bool may_wait)
{
	/* A4: as in sti_mpsc_push(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);

	if (may_wait && ring_turn_pays(ring, thread) && !ring_await_turn(ring))
		thread->turn_skips = STI_TURN_SKIPS;
	if (thread->turn != ring)
		thread->turn_skips = 0;
	thread->turn = ring;
	thread->turn_pos = ring_next_pos(ring);
	/* Relaxed: a hint. */
	atomic_store_explicit(&ring->turn, (uint16_t)(thread->number + 1), memory_order_relaxed);
}
