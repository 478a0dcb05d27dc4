/* SPDX-License-Identifier: BSD-2-Clause */
/* model.c — atomic operations. The memory model is described in explore.h.
 *
 * Memory always holds the newest value of each location, so that what is not compiled for the
 * explorer, and plain reads that are ordered, find it there. */

#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES (1u << 16)

#define ACQUIRES(order) ((order) != __ATOMIC_RELAXED && (order) != __ATOMIC_RELEASE)
#define RELEASES(order)                                                                            \
	((order) == __ATOMIC_RELEASE || (order) == __ATOMIC_ACQ_REL || (order) == __ATOMIC_SEQ_CST)

void ex_view_join(struct ex_view *view, const uint16_t *other, unsigned n)
{
	unsigned common = n < view->n ? n : view->n;

	for (unsigned i = 0; i < common; i++) {
		if (view->at[i] < other[i])
			view->at[i] = other[i];
	}
	if (n > view->n) {
		memcpy(view->at + view->n, other + view->n, (n - view->n) * sizeof(*other));
		view->n = (uint16_t)n;
	}
}

static unsigned view_get(const struct ex_view *view, unsigned id)
{
	return id < view->n ? view->at[id] : 0;
}

static void view_set(struct ex_view *view, unsigned id, unsigned index)
{
	if (id >= view->n) {
		memset(view->at + view->n, 0, (id + 1u - view->n) * sizeof(view->at[0]));
		view->n = (uint16_t)(id + 1);
	}
	view->at[id] = (uint16_t)index;
}

void ex_clock_join(struct ex_clock *clock, const struct ex_clock *other)
{
	for (unsigned i = 0; i < EX_THREADS; i++) {
		if (clock->at[i] < other->at[i])
			clock->at[i] = other->at[i];
	}
}

/* Who has been at an address, in any schedule of the case: addresses are the same in all. */
struct place {
	uintptr_t address;
	uint8_t readers, writers; /* threads; bits */
	bool is_point;		  /* in this pass */
};

static struct place *places;

void ex_model_init(void)
{
	places = calloc(PLACES, sizeof(*places));
	if (places == NULL)
		exit(2);
}

void ex_model_forget(void)
{
	memset(places, 0, PLACES * sizeof(*places));
}

static bool is_contended(const struct place *place)
{
	unsigned all = place->readers | place->writers;

	return place->writers != 0 && (all & (all - 1)) != 0;
}

void ex_model_pass(void)
{
	for (size_t i = 0; i < PLACES; i++)
		places[i].is_point = is_contended(&places[i]);
}

/* Before an operation on an address: others may go on, if it makes a difference to them. It does
 * not if they never go there, or all only ever read. What turns out during a pass holds from the
 * next. */
static void point_at(uintptr_t address, bool write)
{
	size_t i = ex_mix(address, 1) % PLACES;
	struct place *place;

	if (ex->alone)
		return;
	ex_step();
	/* Steps are counted in any case, so a schedule is the same with more places. */
	if (ex->mode == EX_REPLAY) {
		ex_point();
		return;
	}
	for (size_t n = 0; places[i].address != 0 && places[i].address != address; n++) {
		if (n == PLACES)
			ex_violate("the explorer's room for addresses is used up");
		i = (i + 1) % PLACES;
	}
	place = &places[i];
	place->address = address;
	if (write)
		place->writers |= (uint8_t)(1u << ex->current);
	else
		place->readers |= (uint8_t)(1u << ex->current);
	if (place->is_point)
		ex_point();
	else if (is_contended(place))
		ex->met = true;
}

void ex_model_reset(void)
{
	ex->n_locations = 0;
	ex->n_messages = 0;
	ex->n_view_words = 0;
	ex->ordered.n = 0;
	ex->ordered_hash = 0;
	ex->memory_hash = 0;
}

static uint64_t memory_get(uintptr_t address, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, (const void *)address, size);
	return value;
}

/* A store at the end of a location's history. */
static struct ex_message *history_add(struct ex_location *location, uint64_t value, uint64_t hash)
{
	struct ex_message *message = &ex->messages[ex->n_messages];

	if (++ex->n_messages == EX_MESSAGES)
		ex_violate("the explorer's room for stores is used up");
	message->prev = location->last;
	message->index = location->last != NULL ? (uint16_t)(location->last->index + 1) : 0;
	message->value = value;
	message->hash = ex_mix(hash, value);
	message->released = false;
	message->n_view = 0;
	ex->memory_hash -= ex_mix(location->address, location->hash);
	location->hash = ex_mix(location->hash, message->hash);
	ex->memory_hash += ex_mix(location->address, location->hash);
	location->last = message;
	return message;
}

static struct ex_location *location_new(struct ex_location *location, uintptr_t address,
					unsigned size)
{
	if (ex->n_locations == EX_LOCATIONS)
		ex_violate("the explorer's room for locations is used up");
	*location = (struct ex_location){
		.address = address,
		.schedule = ex->schedule,
		.id = (uint16_t)ex->n_locations,
		.size = (uint16_t)size,
		.hash = address,
	};
	ex->locations[ex->n_locations++] = location;
	ex->memory_hash += ex_mix(address, address);
	history_add(location, memory_get(address, size), 0);
	return location;
}

/* What atomic operations on an address know of each other. */
static struct ex_location *location_of(uintptr_t address, unsigned size)
{
	unsigned place = (unsigned)ex_mix(address, 0) % EX_BUCKETS;
	struct ex_location *location = &ex->buckets[place];

	while (location->schedule == ex->schedule && location->address != address) {
		place = (place + 1) % EX_BUCKETS;
		location = &ex->buckets[place];
	}
	if (location->schedule != ex->schedule)
		return location_new(location, address, size);
	if (location->size != size)
		ex_violate("atomic operations of sizes %u and %u at one address", location->size,
			   size);
	/* Written plainly meanwhile: that has been found to be ordered before this. */
	if (memory_get(address, size) != location->last->value) {
		history_add(location, memory_get(address, size), 0);
		for (unsigned i = 0; i < ex->n_threads; i++)
			view_set(&ex->threads[i].view, location->id, location->last->index);
	}
	return location;
}

/* Between operations that are sequentially consistent. */
static void order_meet(struct ex_location *location, unsigned index)
{
	if (view_get(&ex->ordered, location->id) >= index && index != 0)
		return;
	ex->ordered_hash -= ex_mix(location->address, view_get(&ex->ordered, location->id));
	view_set(&ex->ordered, location->id, index);
	ex->ordered_hash += ex_mix(location->address, index);
}

static void spend_stale(void)
{
	ex_self()->late = true;
	ex_spend(&ex->left.stale);
}

/* Which store a load reads: the newest, or an older one that it may see. accept: of the older ones,
 * not those whose value this is. */
static struct ex_message *choose_message(struct ex_location *location, int order,
					 const uint64_t *but)
{
	struct ex_message *candidates[32], *message = location->last;
	unsigned oldest = view_get(&ex_self()->view, location->id);
	unsigned n = 1, choice;

	if (order == __ATOMIC_SEQ_CST && view_get(&ex->ordered, location->id) > oldest)
		oldest = view_get(&ex->ordered, location->id);
	if (ex->alone || ex->current == EX_RCU || message->index <= oldest)
		return message;
	if (!ex_may(ex->left.stale))
		return message;
	candidates[0] = message;
	for (message = message->prev; message != NULL && message->index >= oldest && n < 32;
	     message = message->prev) {
		if (but == NULL || message->value != *but)
			candidates[n++] = message;
	}
	choice = ex_choose(EX_WHICH, n);
	if (choice > 0)
		spend_stale();
	return candidates[choice];
}

/* A thread has read a store. */
static void message_read(struct ex_location *location, struct ex_message *message, int order)
{
	struct ex_thread *self = ex_self();

	view_set(&self->view, location->id, message->index);
	if (order == __ATOMIC_SEQ_CST)
		order_meet(location, message->index);
	if (message->released && ACQUIRES(order)) {
		ex_view_join(&self->view, message->view, message->n_view);
		ex_clock_join(&self->clock, &message->clock);
	} else if (message->released) {
		ex_view_join(&self->acquired, message->view, message->n_view);
		ex_clock_join(&self->clock_acquired, &message->clock);
	}
}

/* What a store gives to those who read it. before: of a read-modify-write, what it has replaced. */
static void message_release(struct ex_message *message, int order, const struct ex_message *before)
{
	struct ex_thread *self = ex_self();
	const struct ex_view *view = RELEASES(order) ? &self->view : &self->released;
	const struct ex_clock *clock = RELEASES(order) ? &self->clock : &self->clock_released;
	unsigned n = view->n;
	uint16_t *words;

	if (before != NULL && before->released && before->n_view > n)
		n = before->n_view;
	message->released = n > 0 || (before != NULL && before->released);
	if (!message->released)
		return;
	if (ex->n_view_words + n > EX_VIEW_WORDS)
		ex_violate("the explorer's room for views is used up");
	words = ex->view_words + ex->n_view_words;
	ex->n_view_words += n;
	memcpy(words, view->at, view->n * sizeof(*words));
	memset(words + view->n, 0, (n - view->n) * sizeof(*words));
	message->clock = *clock;
	if (before != NULL && before->released) {
		for (unsigned i = 0; i < before->n_view; i++) {
			if (words[i] < before->view[i])
				words[i] = before->view[i];
		}
		ex_clock_join(&message->clock, &before->clock);
	}
	message->view = words;
	message->n_view = (uint16_t)n;
	if (RELEASES(order))
		self->clock.at[ex->current]++;
}

static void message_store(struct ex_location *location, uint64_t value, int order,
			  const struct ex_message *before)
{
	struct ex_thread *self = ex_self();
	struct ex_message *message = history_add(location, value, self->hash);

	view_set(&self->view, location->id, message->index);
	if (order == __ATOMIC_SEQ_CST)
		order_meet(location, message->index);
	message_release(message, order, before);
	ex_publish((uintptr_t)value);
	memcpy((void *)location->address, &value, location->size);
	self->stores++;
	ex->stores++;
}

uint64_t ex_load(uintptr_t address, unsigned size, int order, void *pc)
{
	struct ex_location *location;
	struct ex_message *message;

	point_at(address, false);
	ex_access_atomic(address, size, false, pc);
	location = location_of(address, size);
	message = choose_message(location, order, NULL);
	message_read(location, message, order);
	ex_note(ex_mix(address, message->hash));
	ex_trace(EX_LOAD, pc, address, size, order, message->value,
		 location->last->index - message->index);
	return message->value;
}

void ex_store(uintptr_t address, unsigned size, uint64_t value, int order, void *pc)
{
	/* Initialization is nobody else's business. */
	if (order == __ATOMIC_RELAXED && ex_is_private(address))
		ex_step();
	else
		point_at(address, true);
	ex_access_atomic(address, size, true, pc);
	ex_note(ex_mix(address, value));
	message_store(location_of(address, size), value, order, NULL);
	ex_trace(EX_STORE, pc, address, size, order, value, 0);
}

static uint64_t apply(enum ex_op op, uint64_t old, uint64_t operand)
{
	switch (op) {
	case EX_XCHG:
		return operand;
	case EX_ADD:
		return old + operand;
	case EX_SUB:
		return old - operand;
	case EX_AND:
		return old & operand;
	case EX_OR:
		return old | operand;
	case EX_XOR:
		return old ^ operand;
	case EX_NAND:
		return ~(old & operand);
	}
	return 0;
}

static uint64_t truncate_to(uint64_t value, unsigned size)
{
	return size == 8 ? value : value & ((UINT64_C(1) << (8 * size)) - 1);
}

uint64_t ex_rmw(uintptr_t address, unsigned size, enum ex_op op, uint64_t operand, int order,
		void *pc)
{
	struct ex_location *location;
	struct ex_message *before;
	uint64_t value;

	point_at(address, true);
	ex_access_atomic(address, size, true, pc);
	location = location_of(address, size);
	before = location->last;
	message_read(location, before, order);
	value = truncate_to(apply(op, before->value, operand), size);
	ex_note(ex_mix(address, ex_mix(before->hash, value)));
	message_store(location, value, order, before);
	ex_trace(EX_RMW, pc, address, size, order, value, 0);
	return before->value;
}

bool ex_cas(uintptr_t address, unsigned size, uint64_t *expected, uint64_t desired, int success,
	    int failure, bool weak, void *pc)
{
	struct ex_location *location;
	struct ex_message *message;
	bool fails;

	point_at(address, true);
	ex_access_atomic(address, size, true, pc);
	location = location_of(address, size);
	message = choose_message(location, failure, expected);
	fails = message->value != *expected;
	if (!fails && weak && !ex->alone && ex->current != EX_RCU) {
		fails = ex_may(ex->left.stale) && ex_choose(EX_WHETHER, 2) == 1;
		if (fails)
			spend_stale();
	}
	if (fails) {
		message_read(location, message, failure);
		*expected = message->value;
		ex_note(ex_mix(address, ex_mix(message->hash, 1)));
		ex_trace(EX_CAS_FAILED, pc, address, size, failure, message->value,
			 location->last->index - message->index);
		return false;
	}
	message_read(location, message, success);
	ex_note(ex_mix(address, ex_mix(message->hash, desired)));
	message_store(location, desired, success, message);
	ex_trace(EX_CAS, pc, address, size, success, desired, 0);
	return true;
}

static void ordered_join(const struct ex_view *view)
{
	for (unsigned i = 0; i < view->n; i++) {
		if (view->at[i] > view_get(&ex->ordered, i))
			order_meet(ex->locations[i], view->at[i]);
	}
}

static void fence(struct ex_thread *thread, int order)
{
	if (ACQUIRES(order)) {
		ex_view_join(&thread->view, thread->acquired.at, thread->acquired.n);
		ex_clock_join(&thread->clock, &thread->clock_acquired);
	}
	if (order == __ATOMIC_SEQ_CST) {
		ex_view_join(&thread->view, ex->ordered.at, ex->ordered.n);
		ordered_join(&thread->view);
	}
	if (RELEASES(order)) {
		thread->released.n = 0;
		ex_view_join(&thread->released, thread->view.at, thread->view.n);
		thread->clock_released = thread->clock;
		thread->clock.at[thread - ex->threads]++;
	}
}

void ex_fence(int order, void *pc)
{
	ex_step();
	ex_point();
	fence(ex_self(), order);
	ex_note(ex_mix(EX_FENCE, order == __ATOMIC_SEQ_CST ? ex->ordered_hash : 0));
	ex_trace(EX_FENCE, pc, 0, 0, order, 0, 0);
}

void explore_membarrier(void)
{
	uint64_t others = 0;

	ex_step();
	ex_point();
	/* Everybody's, before anybody's loads: twice round. */
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = EX_RCU; i < ex->n_threads; i++)
			fence(&ex->threads[i], __ATOMIC_SEQ_CST);
	}
	for (unsigned i = EX_RCU; i < ex->n_threads; i++)
		others += ex_mix(ex->threads[i].hash, i);
	for (unsigned i = EX_RCU; i < ex->n_threads; i++)
		ex->threads[i].hash = ex_mix(ex->threads[i].hash, others);
	ex_trace(EX_MEMBARRIER, __builtin_return_address(0), 0, 0, 0, 0, 0);
}
