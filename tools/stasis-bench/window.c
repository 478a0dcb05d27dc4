/* SPDX-License-Identifier: BSD-2-Clause */
/* window.c — see window.h
 *
 * Whoever holds the lowest positions need not wait for any other publisher, and those below him
 * have been sent or will be: so the waiting always ends.
 */

#include "window.h"

#include <sched.h>

#define SPINS 64u

uint64_t sb_window(const struct sb_topology *topology, const struct sb_setup *setup)
{
	uint64_t window = setup->window;

	if (window > SB_WINDOW_BYTES / setup->payload)
		window = SB_WINDOW_BYTES / setup->payload;
	if (topology->subscribers > 0)
		window /= topology->subscribers;
	return window > SB_WINDOW_MIN ? window : SB_WINDOW_MIN;
}

size_t sb_window_chunk(uint64_t window)
{
	size_t chunk = SB_CHUNK_MAX;

	while (chunk > SB_BATCH && chunk > window / 4)
		chunk /= 2;
	return chunk;
}

static uint64_t acked(const struct sb_run *run, unsigned i)
{
	/* Relaxed: only a number; a publisher reads nothing that a subscriber wrote. */
	return atomic_load_explicit(&run->subscribers[i].acked, memory_order_relaxed);
}

static void pause_or_yield(unsigned *spins)
{
	if (++*spins < SPINS) {
		sti_cpu_relax();
		return;
	}
	*spins = 0;
	sched_yield();
}

bool sb_window_enter(struct sb_publisher *publisher, size_t n)
{
	struct sb_run *run = publisher->run;
	/* Relaxed: it hands out numbers, each once. */
	uint64_t end = atomic_fetch_add_explicit(&run->granted, n, memory_order_relaxed) + n;
	uint64_t need = end > run->window ? end - run->window : 0;
	uint64_t least = UINT64_MAX;
	unsigned spins = 0;

	if (publisher->seen >= need)
		return true;
	/* A subscriber that has got so far is not asked again. */
	for (unsigned i = 0; i < run->topology.subscribers;) {
		uint64_t count = acked(run, i);

		if (count >= need) {
			least = count < least ? count : least;
			i++;
			continue;
		}
		/* Relaxed: as in sb_run_aborted(). */
		if (atomic_load_explicit(&run->stop, memory_order_relaxed))
			return false;
		pause_or_yield(&spins);
	}
	publisher->seen = least;
	return true;
}
