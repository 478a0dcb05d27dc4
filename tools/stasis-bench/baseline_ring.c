/* SPDX-License-Identifier: BSD-2-Clause */
/* baseline_ring.c — the library's ring without the library: what the bus costs on top of it
 *
 * The ring has room for the whole window from the start, and its consumer polls, so it neither
 * grows nor rests; only the first push says that somebody is to be woken.
 */

#include <errno.h>
#include <stdlib.h>

#include <stasis/message.h>
#include <stasis/object.h>

#include "cpu.h"
#include "engine.h"
#include "messages.h"
#include "poller.h"
#include "ring/ring.h"

struct bare_ring {
	alignas(STI_CACHELINE) struct sti_mpsc_tail tail;
	alignas(STI_CACHELINE) struct sti_mpsc_head head;
	struct stasis_message_type *type;
	struct sb_poller poller;
};

static size_t ring_take(void *queue, void **items, size_t max)
{
	return sti_mpsc_take(queue, items, max);
}

static void ring_free(struct bare_ring *ring)
{
	sti_mpsc_deinit(&ring->tail, &ring->head);
	stasis_object_unref(ring->type);
	free(ring);
}

static int ring_open(struct sb_run *run)
{
	struct bare_ring *ring = aligned_alloc(STI_CACHELINE, sizeof(*ring));
	int error;

	if (ring == NULL)
		return -ENOMEM;
	error = sti_mpsc_init(&ring->tail, &ring->head, sb_poller_ring_order(run->window), NULL);
	if (error < 0) {
		free(ring);
		return error;
	}
	ring->poller = (struct sb_poller){
		.take = ring_take,
		.queue = &ring->head,
		.subscriber = &run->subscribers[0],
	};
	ring->type = stasis_message_type_create("bench");
	error = ring->type == NULL ? -errno : sb_repeated_messages_new(run, ring->type);
	if (error == 0) {
		sb_cpu_consumers(run->topology.publishers == 1, 1);
		error = sb_poller_start(&ring->poller);
		if (error < 0)
			sb_repeated_messages_free(run);
	}
	if (error < 0) {
		ring_free(ring);
		return error;
	}
	run->data = ring;
	return 0;
}

static size_t ring_publish(struct sb_publisher *publisher, size_t n)
{
	struct bare_ring *ring = publisher->run->data;
	bool repeated = publisher->run->topology.mode == SB_MODE_REPUBLISH;
	struct sti_thread *thread = sti_thread_self();

	for (size_t i = 0; i < n; i++) {
		struct stasis_message *message = repeated ? stasis_object_ref(publisher->data) :
							    sb_next_message(publisher, ring->type);

		if (sti_unlikely(message == NULL)) {
			publisher->refused++;
			return i;
		}
		sti_rcu_read_lock();
		if (!sti_mpsc_has_turn(&ring->tail, thread))
			sti_mpsc_take_turn(&ring->tail, thread, true);
		if (sti_unlikely(sti_mpsc_push(&ring->tail, message) &
				 (STI_PUSH_ENDED | STI_PUSH_NOMEM)))
			publisher->refused++;
		sti_rcu_read_unlock();
		publisher->sequence++;
	}
	return n;
}

static void ring_close(struct sb_run *run)
{
	struct bare_ring *ring = run->data;

	sb_poller_stop(&ring->poller);
	sb_repeated_messages_free(run);
	ring_free(ring);
	run->data = NULL;
}

const struct sb_engine sb_engine_ring = {
	.name = "bare ring",
	.text = "the library's ring and messages, without topic, subscription and worker",
	.open = ring_open,
	.publish = ring_publish,
	.close = ring_close,
};
