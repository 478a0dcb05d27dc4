/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_POLLER_H
#define SB_POLLER_H

/* poller.h — the consumer of a bare ring: a thread that polls, delivers and releases
 *
 * After a short batch it looks away for a while: who polls the very slot that is being written
 * takes the line from the producer at every message. The library's workers do the same, and release
 * messages in the same way, many at once: a bare ring shall be as hard to beat as it can be.
 */

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "subscriber.h"

struct sb_poller {
	/* const after start */
	size_t (*take)(void *queue, void **items, size_t max);
	void *queue; /* of messages */
	struct sb_subscriber *subscriber;
	pthread_t thread;

	alignas(STI_CACHELINE) _Atomic bool stop;
};

/* take, queue and subscriber are filled in. 0 or -errno. */
int sb_poller_start(struct sb_poller *poller);

/* Returns when the queue has been emptied. Nobody pushes any more. */
void sb_poller_stop(struct sb_poller *poller);

/* The order of a ring that holds a window, as the library's rings have when they have grown. */
unsigned sb_poller_ring_order(uint64_t window);

#endif
