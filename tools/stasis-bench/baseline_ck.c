/* SPDX-License-Identifier: BSD-2-Clause */
/* baseline_ck.c — Concurrency Kit's ring, polled, carrying the library's messages
 *
 * Its producers wait for each other in the order in which they reserved. With more threads than
 * CPUs that can take very long: a run looks at the harness's wish to abort after each message.
 */

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include <stasis/message.h>
#include <stasis/object.h>

#include "ck_queue.h"
#include "cpu.h"
#include "engine.h"
#include "messages.h"
#include "poller.h"

struct ck {
	struct ck_queue *queue;
	struct stasis_message_type *type;
	struct sb_poller poller;
};

static size_t ck_take(void *queue, void **items, size_t max)
{
	return ck_queue_take(queue, items, max);
}

static void ck_free(struct ck *ck)
{
	ck_queue_free(ck->queue);
	stasis_object_unref(ck->type);
	free(ck);
}

static int ck_open(struct sb_run *run)
{
	struct ck *ck = aligned_alloc(STI_CACHELINE, sizeof(*ck));
	int error = -ENOMEM;

	if (ck == NULL)
		return -ENOMEM;
	ck->queue = ck_queue_new(sb_poller_ring_order(run->window));
	ck->type = stasis_message_type_create("bench");
	if (ck->queue != NULL && ck->type != NULL) {
		ck->poller = (struct sb_poller){
			.take = ck_take,
			.queue = ck->queue,
			.subscriber = &run->subscribers[0],
		};
		sb_cpu_consumers(run->topology.publishers == 1, 1);
		error = sb_poller_start(&ck->poller);
	}
	if (error < 0) {
		ck_free(ck);
		return error;
	}
	run->data = ck;
	return 0;
}

static size_t ck_publish(struct sb_publisher *publisher, size_t n)
{
	struct ck *ck = publisher->run->data;

	for (size_t i = 0; i < n; i++) {
		struct stasis_message *message;

		if (sti_unlikely(sb_run_aborted(publisher->run)))
			return i;
		message = sb_next_message(publisher, ck->type);
		if (sti_unlikely(message == NULL)) {
			publisher->refused++;
			return i;
		}
		if (sti_unlikely(!ck_queue_push(ck->queue, message))) {
			publisher->refused++;
			stasis_object_unref(message);
		}
		publisher->sequence++;
	}
	return n;
}

static void ck_close(struct sb_run *run)
{
	struct ck *ck = run->data;

	sb_poller_stop(&ck->poller);
	ck_free(ck);
	run->data = NULL;
}

const struct sb_engine sb_engine_ck = {
	.name = "ck_ring",
	.text = "Concurrency Kit's ring with the library's messages; its producers wait for each "
		"other",
	.may_stall = true,
	.open = ck_open,
	.publish = ck_publish,
	.close = ck_close,
};
