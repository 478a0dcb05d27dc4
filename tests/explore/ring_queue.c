/* SPDX-License-Identifier: BSD-2-Clause */
/* ring_queue.c — the queue: how it begins, pushes, evictions, the end, the consumer's turns */

#include "ring_queue.h"

#include "base/alloc.h"

struct ring_queue queue;

static struct explore_gate gate;

/* Is somebody the consumer, or about to be? Plain: whoever writes it is ordered by the queue, or it
 * is a race. */
static bool responsible;

/* --- producers --- */

static void wake_if(enum sti_push push)
{
	if (!(push & STI_PUSH_WAKE))
		return;
	if (responsible)
		explore_violation("two are responsible for the consumer");
	responsible = true;
	explore_gate_open(&gate);
}

static struct item *item_new(unsigned producer, unsigned number)
{
	struct item *item = sti_alloc(sizeof(*item));

	item->producer = producer;
	item->number = number;
	return item;
}

static void note_push(unsigned producer, enum sti_push push)
{
	if (push & STI_PUSH_ENDED)
		queue.told[producer].ended++;
	else if (push & STI_PUSH_FULL)
		queue.told[producer].full++;
	else
		queue.told[producer].pushed++;
}

void queue_push(unsigned producer, unsigned number)
{
	struct item *item = item_new(producer, number);
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_push(&queue.tail, item);
	sti_rcu_read_unlock();
	note_push(producer, result);
	wake_if(result);
}

static void push_items(unsigned producer, void *const *items, unsigned n, enum sti_mpsc_how how)
{
	enum sti_push result;
	size_t pushed;

	sti_rcu_read_lock();
	result = sti_mpsc_push_n(&queue.tail, items, n, how, &pushed);
	sti_rcu_read_unlock();
	queue.told[producer].pushed += (unsigned)pushed;
	if (pushed < n)
		note_push(producer, result);
	wake_if(result);
}

void queue_push_n(unsigned producer, unsigned number, unsigned n, enum sti_mpsc_how how)
{
	void *items[4];

	for (unsigned i = 0; i < n; i++)
		items[i] = item_new(producer, number + i);
	push_items(producer, items, n, how);
}

/* Of one producer, once. */
static _Alignas(2 * STI_RUN_PLACE) struct sti_place places[3];

void queue_push_run(unsigned producer, unsigned n)
{
	void *items[3];

	for (unsigned i = 0; i < n; i++) {
		places[i].item = item_new(producer, i);
		places[i].index = i;
		places[i].left = n - i;
		items[i] = sti_place_item(&places[i]);
	}
	push_items(producer, items, n, STI_MPSC_FIT);
}

void queue_push_evicting(unsigned producer, unsigned number)
{
	struct item *item = item_new(producer, number);
	enum sti_push result;
	enum sti_evict evict;
	void *old;

	for (;;) {
		sti_rcu_read_lock();
		result = sti_mpsc_push(&queue.tail, item);
		wake_if(result);
		if (!(result & STI_PUSH_FULL)) {
			sti_rcu_read_unlock();
			note_push(producer, result);
			return;
		}
		evict = sti_mpsc_evict(&queue.tail, &old);
		sti_rcu_read_unlock();
		if (evict == STI_EVICT_TAKEN) {
			queue.told[producer].full++;
			sti_free(old);
		} else if (evict == STI_EVICT_HOLE) {
			explore_yield();
		}
	}
}

void queue_close(void)
{
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_close(&queue.tail);
	sti_rcu_read_unlock();
	wake_if(result);
}

/* --- the consumer --- */

static void deliver(struct item *item)
{
	explore_expect(queue.n_finals == 0);
	explore_expect(queue.n_delivered < ITEMS);
	queue.delivered[queue.n_delivered++] = *item;
	sti_free(item);
}

static enum sti_rest rest(void)
{
	enum sti_rest result;

	/* Another may be before this returns. */
	responsible = false;
	sti_rcu_read_lock();
	result = sti_mpsc_rest(&queue.tail, &queue.head);
	sti_rcu_read_unlock();
	if (result == STI_REST_GONE)
		return result;
	if (responsible)
		explore_violation("two are responsible for the consumer");
	responsible = true;
	return result;
}

/* Takes and delivers. How many. */
static size_t take_runs(void)
{
	const struct sti_place *first;
	void *items[4];
	bool place;
	size_t n = sti_mpsc_take_items(&queue.head, items, 4, true, &place);
	size_t n_run;

	for (size_t i = 0; i < n; i++)
		deliver(items[i]);
	n_run = place ? sti_mpsc_take_run(&queue.head, 4, &first) : 0;
	for (size_t i = 0; i < n_run; i++)
		deliver(first[i].item);
	return n + n_run;
}

static size_t take(enum take_kind kind)
{
	void *items[4];
	size_t n;

	if (kind == TAKE_RUNS)
		return take_runs();
	n = kind == TAKE_ONE_BY_ONE ? sti_mpsc_take_one(&queue.head, items) :
				      sti_mpsc_take(&queue.head, items, 4);
	for (size_t i = 0; i < n; i++)
		deliver(items[i]);
	return n;
}

/* One turn: until the queue is let go. True: it has ended. */
static bool consume(enum take_kind kind)
{
	for (;;) {
		if (take(kind) > 0)
			continue;
		switch (rest()) {
		case STI_REST_GONE:
			return false;
		case STI_REST_FINAL:
			queue.n_finals++;
			return true;
		case STI_REST_HOLE:
			explore_yield();
			break;
		case STI_REST_MORE:
			break;
		}
	}
}

void queue_consume(enum take_kind kind)
{
	do
		explore_gate_pass(&gate);
	while (!consume(kind));
}

/* --- set-up --- */

static void fill(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		queue_push(EXPLORE_THREADS - 1, i);
}

void setup(void)
{
	explore_expect(sti_mpsc_init(&queue.tail, &queue.head, 3, NULL) == 0);
}

/* With room for two: this program is built with rings of that size. */
static void setup_small(void)
{
	explore_expect(STI_RING_ORDER_MIN == 1);
	explore_expect(sti_mpsc_init(&queue.tail, &queue.head, STI_RING_ORDER_MIN, NULL) == 0);
}

void setup_nearly_full(void)
{
	setup_small();
	fill(1);
}

void setup_takeover(void)
{
	setup();
	sti_ring_set_patience(0);
}

void setup_takeover_small(void)
{
	setup_nearly_full();
	sti_ring_set_patience(0);
}

void setup_bounded(void)
{
	explore_expect(sti_mpsc_init_bounded(&queue.tail, &queue.head, 2, false, NULL) == 0);
}

void setup_evicting(void)
{
	explore_expect(sti_mpsc_init_bounded(&queue.tail, &queue.head, 1, true, NULL) == 0);
}

void setup_takeover_bounded(void)
{
	setup_bounded();
	sti_ring_set_patience(0);
}

void setup_takeover_evicting(void)
{
	setup_evicting();
	sti_ring_set_patience(0);
}
