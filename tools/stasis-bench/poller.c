/* SPDX-License-Identifier: BSD-2-Clause */
/* poller.c — see poller.h
 *
 * Edges
 *   R1  store-release stop  sb_poller_stop -> A1  everything that was pushed
 *   A1  load-acquire stop   poller_main    <- R1
 */

#include "poller.h"

#include <sched.h>

#include <stasis/message.h>

#include "clock.h"
#include "exec/release.h"

#define BATCH 256u
#define LOOK_AWAY_NS 6000u
#define EMPTY_MAX 64u /* looks at an empty queue before the CPU is offered to others */

static void deliver(struct sb_poller *poller, struct sti_release *release, void *const *items,
		    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		sb_deliver(poller->subscriber, stasis_message_data(items[i]));
		sti_release_put(release, items[i]);
	}
}

static void *poller_main(void *arg)
{
	struct sb_poller *poller = arg;
	STI_RELEASE_ROOM(STI_RELEASE_MANY) room;
	struct sti_release release;
	void *items[BATCH];
	unsigned empty = 0;

	sti_release_init(&release);
	sti_release_use(&release, room.entries, room.list, STI_RELEASE_MANY);
	for (;;) {
		/* A1: before the look into the queue; pairs with R1 in sb_poller_stop(). */
		bool stop = atomic_load_explicit(&poller->stop, memory_order_acquire);
		size_t n = poller->take(poller->queue, items, BATCH);

		deliver(poller, &release, items, n);
		if (n == BATCH)
			continue;
		sti_release_flush(&release);
		if (n > 0) {
			empty = 0;
		} else if (stop) {
			return NULL;
		} else if (++empty >= EMPTY_MAX) {
			sched_yield();
			empty = 0;
		}
		sb_spin_until(sb_now() + LOOK_AWAY_NS);
	}
}

int sb_poller_start(struct sb_poller *poller)
{
	atomic_init(&poller->stop, false);
	return -pthread_create(&poller->thread, NULL, poller_main, poller);
}

void sb_poller_stop(struct sb_poller *poller)
{
	/* R1: what was pushed before; pairs with A1 in poller_main(). */
	atomic_store_explicit(&poller->stop, true, memory_order_release);
	pthread_join(poller->thread, NULL);
}

unsigned sb_poller_ring_order(uint64_t window)
{
	unsigned order = 8;

	while ((UINT64_C(1) << order) < 2 * window)
		order++;
	return order;
}
