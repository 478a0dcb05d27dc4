/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/chain.c — see chain.h */

#include "bus/chain.h"

#include <errno.h>
#include <string.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "bus/filter.h"
#include "bus/subscription.h"
#include "bus/topic.h"
#include "bus/walk.h"

/* Links that are helped without looking for the oldest again. */
#define HELP_AT_ONCE 32u

static_assert(sizeof(void *) != 8 ||
		      sizeof(struct sti_object) + sizeof(struct stasis_message) +
					      sizeof(struct sti_link) <= 2 * STI_CACHELINE,
	      "a link with one cell is two lines");
static_assert(sizeof(void *) != 8 ||
		      (sizeof(struct sti_object) + sizeof(struct stasis_message) +
		       offsetof(struct sti_link, update)) == STI_CACHELINE,
	      "what the next link and readers look at begins a line");
static_assert(_Alignof(struct sti_cell) > STI_ITEM_CELL, "the bit is free");

/* Cells of a link with more than one. */
struct plan {
	struct sti_link *link;
	struct sti_cell cells[];
};

static _Atomic bool chained;

void sti_chain_start(void)
{
	/* R5: pairs with sti_chain_started(). */
	atomic_store_explicit(&chained, true, memory_order_release);
}

bool sti_chain_started(void)
{
	/* A5: a chain that a reader knew of a grace period ago was begun after R5. */
	return atomic_load_explicit(&chained, memory_order_acquire);
}

/* --- links --- */

static void plan_free(struct sti_link *link)
{
	if (link->cells != NULL && link->cells != &link->alone)
		sti_free(sti_container_of(link->cells, struct plan, cells));
	link->cells = NULL;
	link->n_cells = 0;
}

static void link_release(void *data)
{
	struct sti_link *link = sti_container_of(data, struct sti_link, update);

	plan_free(link);
	stasis_object_unref(link->update.old_snapshot);
	stasis_object_unref(link->update.new_snapshot);
}

struct sti_link *sti_link_new(struct stasis_message_type *type, struct stasis_message *snapshot)
{
	struct stasis_message *message = sti_message_new(stasis_cache_update_type(),
							 sizeof(struct sti_link), link_release);
	struct sti_link *link;

	if (message == NULL)
		return NULL;
	link = message->data;
	memset(link, 0, sizeof(*link));
	message->data = &link->update;
	link->update.type = type;
	/* One is the link's, one the chain's. */
	if (snapshot != NULL)
		link->update.new_snapshot = sti_object_ref_n(snapshot, 2);
	return link;
}

void sti_link_free(struct sti_link *link)
{
	stasis_object_unref(link->update.new_snapshot);
	stasis_object_unref(sti_link_message(link));
}

static struct sti_link *link_of(const struct sti_cell *cell)
{
	if (cell->index == STI_CELL_ALONE)
		return sti_container_of(cell, struct sti_link, alone);
	return sti_container_of(cell - cell->index, struct plan, cells)->link;
}

struct stasis_message *sti_item_message(const void *item)
{
	if (sti_item_is_cell(item))
		return sti_link_message(link_of(sti_item_cell(item)));
	return (struct stasis_message *)(uintptr_t)item;
}

/* --- whom a link is for --- */

/* Cells gathered from a walk. */
struct gather {
	struct sti_walk walk; /* first: it is what the walk knows of this */
	struct sti_link *link;
	const struct sti_chain_group *group;
	bool failed;
};

/* Makes room for cells in a plan of their own. */
static bool cells_grow(struct sti_link *link, size_t room)
{
	struct plan *plan = sti_alloc(sizeof(*plan) + room * sizeof(plan->cells[0]));
	uint32_t n = link->n_cells;

	if (plan == NULL)
		return false;
	memcpy(plan->cells, link->cells, n * sizeof(plan->cells[0]));
	plan_free(link);
	plan->link = link;
	link->cells = plan->cells;
	link->n_cells = n;
	return true;
}

static void cell_add(struct sti_link *link, struct stasis_subscription *sub)
{
	struct sti_cell *cell = &link->cells[link->n_cells];

	cell->sub = sub;
	cell->index = cell == &link->alone ? STI_CELL_ALONE : link->n_cells;
	atomic_init(&cell->pushed, 0);
	atomic_init(&cell->state, STI_CELL_WAITING);
	link->n_cells++;
}

/* Who joins and must not be given a link yet. Called after the array was loaded. */
static const struct stasis_subscription *left_out(const struct sti_chain_group *group,
						  const struct sti_link *link)
{
	/* A4: pairs with R4 in sti_chain_join_begin(): it is set before he is in the array. */
	const struct sti_chain_joiner *joiner =
		atomic_load_explicit(&group->joining, memory_order_acquire);

	if (sti_likely(joiner == NULL) || link->number >= joiner->number)
		return NULL;
	return joiner->sub;
}

/* Room for so many cells in all. False: no memory. */
static bool cells_reserve(struct sti_link *link, size_t n)
{
	if (n <= link->room)
		return true;
	if (link->n_cells > 0)
		n *= 2;
	if (n >= STI_CELL_ALONE || !cells_grow(link, n))
		return false;
	link->room = (uint32_t)n;
	if (link->n_cells == 1)
		link->cells[0].index = 0;
	return true;
}

static void cells_add(struct sti_link *link, const _Atomic(struct stasis_subscription *) *subs,
		      uint32_t n, const struct stasis_subscription *but)
{
	for (uint32_t i = 0; i < n; i++) {
		/* Relaxed: as in sti_subscribers_at(). */
		struct stasis_subscription *sub =
			atomic_load_explicit(&subs[i], memory_order_relaxed);

		if (sti_likely(sub != NULL && sub != but))
			cell_add(link, sub);
	}
}

/* Takes over what the walk has found. */
static bool gather_more(struct sti_walk *walk)
{
	struct gather *gather = (struct gather *)walk;
	struct sti_link *link = gather->link;
	const struct stasis_subscription *but = left_out(gather->group, link);

	if (!cells_reserve(link, link->n_cells + walk->total)) {
		gather->failed = true;
		return false;
	}
	for (unsigned i = 0; i < walk->n_segments; i++)
		cells_add(link, walk->segments[i].subs, walk->segments[i].n, but);
	walk->n_segments = 0;
	walk->total = 0;
	return true;
}

/* The same for a topic with forwards or filters. */
static STI_NOINLINE bool plan_walk(struct sti_link *link, const struct sti_chain_whom *whom,
				   const struct sti_subscribers *subs)
{
	struct gather gather;

	gather.link = link;
	gather.group = whom->group;
	gather.failed = false;
	sti_walk_init(&gather.walk, stasis_cache_update_type(), gather_more);
	if (sti_walk(&gather.walk, whom->topic, subs))
		gather_more(&gather.walk);
	sti_walk_deinit(&gather.walk);
	return !gather.failed;
}

/* A link for one who joins. */
static void plan_join(struct sti_link *link, struct stasis_subscription *joiner)
{
	if (link->update.new_snapshot != NULL &&
	    sti_filter_accepts(sti_subscription_filter(joiner), stasis_cache_update_type()))
		cell_add(link, joiner);
}

/* Writes down whom a link is for. False: no memory. */
static bool plan_make(struct sti_link *link, const struct sti_chain_whom *whom)
{
	const struct sti_subscribers *subs;

	plan_free(link);
	link->cells = &link->alone;
	link->room = 1;
	if (sti_unlikely(whom->joiner != NULL)) {
		plan_join(link, whom->joiner->sub);
		return true;
	}
	subs = sti_subscribers_get(&whom->topic->subscribers);
	if (!subs->plain)
		return plan_walk(link, whom, subs);
	if (!cells_reserve(link, subs->n))
		return false;
	cells_add(link, subs->subs, subs->n, left_out(whom->group, link));
	return true;
}

/* --- delivering --- */

/* Pushes a cell, with a reference to its link. */
static void cell_push(struct sti_cell *cell, struct sti_delivery *delivery)
{
	struct stasis_message *item = (struct stasis_message *)((uintptr_t)cell | STI_ITEM_CELL);
	struct stasis_message *const *messages = delivery->messages;
	unsigned flags = delivery->flags;
	size_t n = delivery->n;

	if (sti_unlikely(delivery->pending.n_rooms > 0))
		sti_pending_force(&delivery->pending, cell->sub);
	/* The rest of the delivery is the same: what is refused, what is pending. */
	delivery->messages = &item;
	delivery->n = 1;
	delivery->flags = STI_PUBLISH_FORCE;
	sti_push_item(delivery, cell->sub);
	delivery->messages = messages;
	delivery->n = n;
	delivery->flags = flags;
}

static void link_finish(struct sti_link *link)
{
	/* D1: all its pushes; pairs with A3 in link_is_done(). */
	atomic_store_explicit(&link->done, 1, memory_order_release);
}

static bool link_is_done(const struct sti_link *link)
{
	/* A3: pairs with D1. */
	return atomic_load_explicit(&link->done, memory_order_acquire) != 0;
}

static bool cell_is_pushed(const struct sti_cell *cell)
{
	/* A2: what is pushed from now on is behind it; pairs with P1 in link_deliver(). */
	return atomic_load_explicit(&cell->pushed, memory_order_acquire) != 0;
}

static bool cell_is_refused(const struct sti_cell *cell)
{
	/* Relaxed: P1 has ordered it, if it was refused when it was pushed. */
	return atomic_load_explicit(&cell->state, memory_order_relaxed) == STI_CELL_REFUSED;
}

/* Pushes what is not pushed. own: there is a reference to the link for each of its cells; helpers
 * take theirs. */
static void link_deliver(struct sti_link *link, bool own, struct sti_delivery *delivery)
{
	struct stasis_message *message = sti_link_message(link);
	uint32_t spare = 0;

	for (uint32_t i = 0; i < link->n_cells; i++) {
		struct sti_cell *cell = &link->cells[i];

		if (cell_is_pushed(cell)) {
			spare++;
			delivery->refused += own && cell_is_refused(cell);
			continue;
		}
		if (!own)
			sti_object_ref_n(message, 1);
		cell_push(cell, delivery);
		/* P1: the push; pairs with A2 in cell_is_pushed(). For the last, done says so. */
		if (i + 1 < link->n_cells)
			atomic_store_explicit(&cell->pushed, 1, memory_order_release);
	}
	link_finish(link);
	if (sti_unlikely(own && spare > 0))
		sti_object_unref_n(message, spare, NULL);
}

/* Delivers what comes before a link and is not done, oldest first. */
static void chain_help(struct sti_link *link, struct sti_delivery *delivery)
{
	size_t refused = delivery->refused;
	struct sti_link *undone[HELP_AT_ONCE];
	unsigned n;

	do {
		n = 0;
		/* The oldest ones, when there are more than fit. */
		for (struct sti_link *l = link; l != NULL && !link_is_done(l); l = l->prev)
			undone[n++ % HELP_AT_ONCE] = l;
		for (unsigned i = 0; i < n && i < HELP_AT_ONCE; i++)
			link_deliver(undone[(n - 1 - i) % HELP_AT_ONCE], false, delivery);
	} while (n > HELP_AT_ONCE);
	/* That is for their publishers to say. */
	delivery->refused = refused;
}

/* --- adding --- */

static int link_prepare(struct sti_link *link, struct sti_link *prev,
			const struct sti_chain_whom *whom)
{
	struct stasis_message *old = prev != NULL ? prev->update.new_snapshot : NULL;

	link->prev = prev;
	if (whom->joiner != NULL) {
		link->number = whom->joiner->number;
		if (prev != NULL && prev->number >= link->number)
			return -EALREADY;
		/* For the joiner there was nothing; for the chain nothing changes. */
		link->update.new_snapshot = old;
		link->update.old_snapshot = NULL;
	} else {
		if (link->update.new_snapshot == NULL && old == NULL)
			return -ENOENT;
		link->update.old_snapshot = old;
		/* S1: after the chain was made known; pairs with sti_chain_join_raise(). */
		link->number = prev != NULL ?
				       prev->number :
				       atomic_load_explicit(&whom->group->number,
							    memory_order_seq_cst);
	}
	return plan_make(link, whom) ? 0 : -ENOMEM;
}

/* Leaves a link as it was made. */
static void link_reset(struct sti_link *link, const struct sti_chain_whom *whom)
{
	plan_free(link);
	link->update.old_snapshot = NULL;
	if (whom->joiner != NULL)
		link->update.new_snapshot = NULL;
}

static int chain_put(struct sti_chain *chain, struct sti_link *link,
		     const struct sti_chain_whom *whom)
{
	struct sti_object *object = sti_object_of(sti_link_message(link));

	for (;;) {
		/* A1: the last link and its cells; pairs with X1. */
		struct sti_link *last = atomic_load_explicit(&chain->last, memory_order_acquire);
		int result = last == STI_CHAIN_DEAD ? -ESTALE : link_prepare(link, last, whom);

		if (result != 0)
			return result;
		/* Relaxed: X1 orders it. The chain's, and one per cell. */
		atomic_store_explicit(&object->refs, 1 + link->n_cells, memory_order_relaxed);
		/* X1: the link and its cells; pairs with A1. Whoever loads it through a later link
		 * reads what was released here. */
		if (atomic_compare_exchange_strong_explicit(&chain->last, &last, link,
							    memory_order_acq_rel,
							    memory_order_relaxed))
			return 0;
		sti_cpu_relax();
	}
}

int sti_chain_add(struct sti_chain *chain, struct sti_link *link,
		  const struct sti_chain_whom *whom, struct sti_delivery *delivery,
		  struct sti_link **beforep)
{
	int result = chain_put(chain, link, whom);

	if (result != 0) {
		/* What it has seen is to be queued when this returns. */
		if (result != -ESTALE && link->prev != NULL)
			chain_help(link->prev, delivery);
		link_reset(link, whom);
		/* Relaxed: it is the caller's alone. */
		atomic_store_explicit(&sti_object_of(sti_link_message(link))->refs, 1,
				      memory_order_relaxed);
		return result;
	}
	/* The chain's reference to the snapshot before is this link's now. Who joins puts the same
	 * one behind it again: the chain needs another. Until this thread's read section ends,
	 * nobody drops this link, nor what it keeps. */
	if (whom->joiner != NULL && link->update.new_snapshot != NULL)
		sti_object_ref_n(link->update.new_snapshot, 1);
	if (sti_unlikely(link->prev != NULL && !link_is_done(link->prev)))
		chain_help(link->prev, delivery);
	link_deliver(link, true, delivery);
	*beforep = link->prev;
	return 0;
}

bool sti_chain_end(struct sti_chain *chain, struct sti_link *link)
{
	/* X1: nothing of a link: whoever begins another chain comes after this. */
	return atomic_compare_exchange_strong_explicit(&chain->last, &link, STI_CHAIN_DEAD,
						       memory_order_acq_rel,
						       memory_order_relaxed);
}

void sti_chain_fetch(const struct sti_chain *chain)
{
	const struct sti_link *last = sti_chain_last(chain);

	if (last != NULL)
		sti_prefetch_read(&last->update.new_snapshot);
}

struct sti_link *sti_chain_last(const struct sti_chain *chain)
{
	/* A1: pairs with X1. */
	struct sti_link *last = atomic_load_explicit(&chain->last, memory_order_acquire);

	return last != STI_CHAIN_DEAD ? last : NULL;
}

/* --- joining --- */

void sti_chain_join_begin(struct sti_chain_group *group, struct sti_chain_joiner *joiner,
			  struct stasis_subscription *sub)
{
	joiner->sub = sub;
	/* Relaxed: one joins at a time. */
	joiner->number = atomic_load_explicit(&group->number, memory_order_relaxed) + 1;
	/* R4: before he is in the array; pairs with A4 in left_out(). */
	atomic_store_explicit(&group->joining, joiner, memory_order_release);
}

void sti_chain_join_raise(struct sti_chain_group *group, const struct sti_chain_joiner *joiner)
{
	/* Relaxed: ordered by the fence. */
	atomic_store_explicit(&group->number, joiner->number, memory_order_relaxed);
	/* S1: the joiner is in the array, and the store is before the loads of the walk, which are
	 * the hash table's own; pairs with link_prepare(). */
	atomic_thread_fence(memory_order_seq_cst);
}

static void joiner_free(struct sti_rcu_head *rcu)
{
	sti_free(sti_container_of(rcu, struct sti_chain_joiner, rcu));
}

void sti_chain_join_end(struct sti_chain_group *group, struct sti_chain_joiner *joiner)
{
	/* R4: nothing new; who misses him has loaded a last link that is not the last any more. */
	atomic_store_explicit(&group->joining, NULL, memory_order_release);
	sti_rcu_call(&joiner->rcu, joiner_free);
}
