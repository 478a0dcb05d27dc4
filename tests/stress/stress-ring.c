/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-ring.c — the ring alone: small rings, growth, lapping, a close that races
 *
 * All threads push into one queue, in single pushes and in batches. Whoever is told to wake the
 * consumer becomes the consumer. It takes holes over after the usual time, or at once, or never: a
 * producer may then find its place gone at any push. At some random push a thread closes the queue;
 * when all have been refused, what each producer got in is compared with what came out, and a new
 * queue begins.
 */

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "ring/ring.h"
#include "sync/membarrier.h"
#include "stress_impl.h"

#define BATCH_MAX 40u

struct item {
	uint64_t producer;
	uint64_t seq;
};

struct producer {
	struct item *items;
	uint64_t n_accepted;
};

static struct {
	struct sti_mpsc_tail tail;
	struct sti_mpsc_head head;
	/* the consumer's: plain, the queue itself must pass them on */
	uint64_t *next;
	uint64_t n_finals;
	uint64_t n_after_final;
	uint64_t n_taken_over; /* of all queues */
	/* chosen by thread 0 between the barriers */
	uint64_t n_items; /* at most, per producer */
	uint64_t window;  /* a producer's items in flight at most: small ones never grow the ring */
	bool go_on;

	struct producer *producers;
	_Atomic uint64_t *taken; /* per producer, for its window */
	_Atomic int consumers;
	_Atomic uint64_t n_closed;
	pthread_barrier_t barrier;
} ring;

#define N_ITEMS_MAX 20000u

static void consume_one(const struct item *item)
{
	stress_check(item->seq == ring.next[item->producer],
		     "producer %llu: item %llu, expected %llu", (unsigned long long)item->producer,
		     (unsigned long long)item->seq, (unsigned long long)ring.next[item->producer]);
	ring.next[item->producer] = item->seq + 1;
	ring.n_after_final += ring.n_finals > 0;
	atomic_store_explicit(&ring.taken[item->producer], item->seq + 1, memory_order_relaxed);
}

static enum sti_rest rest(void)
{
	enum sti_rest result;

	/* Relaxed, here and in consume(): a check that orders nothing. */
	atomic_fetch_sub_explicit(&ring.consumers, 1, memory_order_relaxed);
	sti_rcu_read_lock();
	result = sti_mpsc_rest(&ring.tail, &ring.head);
	sti_rcu_read_unlock();
	if (result != STI_REST_GONE)
		atomic_fetch_add_explicit(&ring.consumers, 1, memory_order_relaxed);
	return result;
}

static void consume(void)
{
	void *items[64];

	if (atomic_fetch_add_explicit(&ring.consumers, 1, memory_order_relaxed) != 0)
		stress_violation("two consumers at once");
	for (;;) {
		size_t n = sti_mpsc_take(&ring.head, items, 64);

		for (size_t i = 0; i < n; i++)
			consume_one(items[i]);
		if (n > 0)
			continue;
		switch (rest()) {
		case STI_REST_GONE:
			return;
		case STI_REST_FINAL:
			ring.n_finals++;
			atomic_fetch_sub_explicit(&ring.consumers, 1, memory_order_relaxed);
			return;
		case STI_REST_HOLE:
			sched_yield();
			break;
		case STI_REST_MORE:
			break;
		}
	}
}

/* A push whose thread gives its CPU away between the two halves. */
static enum sti_push push_slowly(void *item)
{
	struct sti_ring *at = atomic_load(&ring.tail.ring);
	uint64_t pos;

	if (!sti_ring_reserve(at, &pos))
		return sti_mpsc_push(&ring.tail, item);
	sched_yield();
	return sti_ring_put(&ring.tail, at, pos, item);
}

static bool push(struct producer *producer, size_t n, bool slowly)
{
	void *items[BATCH_MAX];
	enum sti_push result;
	size_t pushed = 1;

	for (size_t i = 0; i < n; i++)
		items[i] = &producer->items[producer->n_accepted + i];
	sti_rcu_read_lock();
	if (n == 1)
		result = slowly ? push_slowly(items[0]) : sti_mpsc_push(&ring.tail, items[0]);
	else
		result = sti_mpsc_push_n(&ring.tail, items, n, STI_MPSC_FIT, &pushed);
	sti_rcu_read_unlock();
	stress_check(!(result & STI_PUSH_NOMEM), "no memory to grow");
	if (n == 1 && (result & STI_PUSH_ENDED))
		pushed = 0;
	producer->n_accepted += pushed;
	if (result & STI_PUSH_WAKE)
		consume();
	return !(result & STI_PUSH_ENDED);
}

static void close_queue(void)
{
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_close(&ring.tail);
	sti_rcu_read_unlock();
	if (!(result & STI_PUSH_ENDED))
		atomic_fetch_add(&ring.n_closed, 1);
	if (result & STI_PUSH_WAKE)
		consume();
}

static void produce(struct stress_thread *self, struct producer *producer)
{
	uint64_t close_at = 1 + stress_below(self, ring.n_items);
	bool open = true;

	while (open && producer->n_accepted < close_at) {
		uint64_t n = stress_below(self, 3) > 0 ? 1 : 1 + stress_below(self, BATCH_MAX);

		if (n > close_at - producer->n_accepted)
			n = close_at - producer->n_accepted;
		while (producer->n_accepted - atomic_load_explicit(&ring.taken[self->index],
								   memory_order_relaxed) >=
		       ring.window)
			sched_yield();
		open = push(producer, n, stress_below(self, 64) == 0);
	}
	close_queue();
	stress_check(!push(producer, 1, false), "a push after the close was accepted");
	self->n_ops += producer->n_accepted;
}

/* All threads have left the queue that ends here. */
static void check_queue(const struct stress *stress)
{
	uint64_t accepted = 0, pushed, taken_over;

	for (unsigned i = 0; i < stress->n_threads; i++) {
		stress_check(ring.next[i] == ring.producers[i].n_accepted,
			     "producer %u: %llu pushed, %llu taken", i,
			     (unsigned long long)ring.producers[i].n_accepted,
			     (unsigned long long)ring.next[i]);
		accepted += ring.producers[i].n_accepted;
	}
	stress_check(ring.n_finals == 1, "%llu ends", (unsigned long long)ring.n_finals);
	stress_check(ring.n_after_final == 0, "items after the end");
	stress_check(atomic_load(&ring.n_closed) == 1, "closed %llu times",
		     (unsigned long long)atomic_load(&ring.n_closed));
	sti_rcu_read_lock();
	taken_over = sti_mpsc_taken_over(&ring.head);
	pushed = sti_mpsc_pushed(&ring.head);
	sti_rcu_read_unlock();
	stress_check(pushed == accepted + taken_over,
		     "%llu pushed, %llu counted, %llu of them taken over",
		     (unsigned long long)accepted, (unsigned long long)pushed,
		     (unsigned long long)taken_over);
	ring.n_taken_over += taken_over;
	sti_mpsc_deinit(&ring.tail, &ring.head);
}

static void open_queue(struct stress_thread *self)
{
	static const uint64_t patience_ns[] = { 0, 0, STI_RING_PATIENCE_NS, UINT64_MAX };

	sti_ring_set_patience(patience_ns[stress_below(self, 4)]);
	if (sti_mpsc_init(&ring.tail, &ring.head, STI_RING_ORDER_MIN, NULL) < 0)
		stress_die("no memory for a ring");
	for (unsigned i = 0; i < self->stress->n_threads; i++) {
		ring.next[i] = 0;
		ring.producers[i].n_accepted = 0;
		atomic_store(&ring.taken[i], 0);
	}
	ring.n_finals = 0;
	atomic_store(&ring.n_closed, 0);
	ring.n_items = UINT64_C(1) << (1 + stress_below(self, 14));
	ring.window = stress_below(self, 2) ? UINT64_MAX : 1 + stress_below(self, 4);
	ring.go_on = !stress_stopping(self->stress);
}

static void ring_thread(struct stress_thread *self)
{
	for (;;) {
		if (self->index == 0)
			open_queue(self);
		pthread_barrier_wait(&ring.barrier);
		if (!ring.go_on)
			break;
		produce(self, &ring.producers[self->index]);
		pthread_barrier_wait(&ring.barrier);
		if (self->index == 0)
			check_queue(self->stress);
	}
}

static void ring_setup(struct stress *stress)
{
	unsigned n = stress->n_threads;

	ring.next = stress_alloc(n * sizeof(*ring.next));
	ring.taken = stress_alloc(n * sizeof(*ring.taken));
	ring.producers = stress_alloc(n * sizeof(*ring.producers));
	for (unsigned i = 0; i < n; i++) {
		ring.producers[i].items = stress_alloc((N_ITEMS_MAX + 1) * sizeof(struct item));
		for (uint64_t k = 0; k <= N_ITEMS_MAX; k++)
			ring.producers[i].items[k] = (struct item){ .producer = i, .seq = k };
	}
	pthread_barrier_init(&ring.barrier, NULL, n);
}

static void ring_check(struct stress *stress)
{
	sti_mpsc_deinit(&ring.tail, &ring.head);
	sti_rcu_barrier();
	printf("%llu places taken over\n", (unsigned long long)ring.n_taken_over);
	stress_check(ring.n_taken_over > 0 || !sti_membarrier_is_usable(),
		     "no place was taken over");
	for (unsigned i = 0; i < stress->n_threads; i++)
		free(ring.producers[i].items);
	free(ring.producers);
	free(ring.taken);
	free(ring.next);
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Pushes into small, growing and closing rings from many threads.",
		.ops = "items pushed",
		.setup = ring_setup,
		.thread = ring_thread,
		.check = ring_check,
	};

	return stress_main(argc, argv, &program);
}
