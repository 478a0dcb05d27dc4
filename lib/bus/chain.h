/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_CHAIN_H
#define STI_BUS_CHAIN_H

/* bus/chain.h — updates that every subscription is given in one order, whoever publishes them
 *
 * A chain is the history of one thing's state. Each link of it is a message, a cache update: the
 * old snapshot is the new one of the link before. Whoever adds a link publishes it, and publishers
 * may meet and may stop at any point, for as long as the system likes. All the same each
 * subscription is given the links in order, each once, and nobody waits for anybody.
 *
 * Adding. A publisher loads the last link, writes down in his own who is to be given it (its
 *   cells, one per subscription), and puts it in the last one's place by a CAS (X1). That is when
 *   the state changes. A link is complete then: others can do the rest for its publisher.
 * Delivering. Before he pushes his own link, he pushes every link before it that is not done (D1),
 *   oldest first. So a link may be pushed by several; a cell says that it has been pushed when it
 *   has (P1), never before (for a link's last cell it is left at the next): who sees that knows
 *   that it is in the queue, ahead of what he pushes himself. When all cells are pushed, the link
 *   is done.
 * Taking. What is pushed is the cell. The first time a subscription takes it, it is delivered;
 *   after that it is passed over. A cell that its subscription refuses, or evicts, is lost, at
 *   once and for all, and counted once (C1 decides). Nobody waits for room before he pushes a cell:
 *   under STASIS_OVERFLOW_BLOCK the queue grows, and he waits afterwards, as a publisher should.
 * Order. When a publish returns, its link and all before it are in the queues of all who are to be
 *   given them. So what follows from it, in whatever thread, comes later.
 * Who is given what. Subscribers are read after the last link was loaded. So of two links the
 *   later has the later view: a new subscription gets an unbroken run.
 * The end. A link without a new snapshot may be followed by the mark STI_CHAIN_DEAD, if it is the
 *   last and done (X1): nothing is added to the chain any more, and what comes next begins another,
 *   whose links are pushed later.
 *
 * Joining with the state. A subscription is to be given, for each chain of a group, the present
 *   state and from there on every link. It gets a number, greater than all before. Links carry the
 *   number of the one before; a mark link, for this subscription alone, raises it; and a
 *   subscription that is joining is left out of links of lower numbers. A chain that begins takes
 *   the group's number, which is raised when the subscription is among the subscribers. Who begins
 *   a chain makes it known, then loads the number; who joins raises the number, then looks for
 *   chains (S1): so either the first link has the new number, or the chain is found and gets a mark
 *   link. One joins at a time.
 *
 * Lifetime. A chain holds one reference to its last link, and one to that link's new snapshot,
 *   which the next link takes over for its old one: so adding does not touch the count of a
 *   snapshot that nobody has looked at for long. The reference to a link is dropped by whoever has
 *   replaced it, when his own is done, after a grace period. So inside a read section the last link
 *   can be read, and of one that is not done the one before. A subscription in a cell is there for
 *   as long as the link's publisher is inside his read section; who helps him may be there a little
 *   longer, but began earlier than that. So a subscription that has been taken out is freed after
 *   two grace periods in a row: the first waits for the publisher, the second for helpers.
 *
 * Linearization: X1. Progress: adding is lock-free: a CAS fails because another has added; what is
 *   not done belongs to threads inside this function, so helping is bounded by their number.
 *
 * Edges
 *   X1  CAS chain->last, release      -> A1  the link and its cells
 *   A1  load-acquire chain->last      <- X1
 *   P1  store-release cell->pushed    -> A2  the push, so that later ones are behind it
 *   A2  load-acquire cell->pushed     <- P1
 *   D1  store-release link->done      -> A3  all its pushes
 *   A3  load-acquire link->done       <- D1
 *   C1  CAS cell->state: delivered, refused or evicted: one of them
 *   S1 store group->number, a fence, then the walk (who joins) -- adding to the map, a full fence,
 *       then load group->number (who begins a chain)
 *   R4  store-release group->joining  -> A4  before the subscription is in the array
 *   A4  load-acquire group->joining   <- R4  after the array was walked
 *   R5  store-release chained         -> A5
 *   A5  load-acquire chained          <- R5  a grace period after what a publisher may have found
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <stasis/cache.h>

#include "bus/message.h"
#include "bus/push.h"
#include "ring/run.h"

#define STI_ITEM_CELL 4u /* in an item: it is a cell */

enum sti_cell_state {
	STI_CELL_WAITING = 0,
	STI_CELL_DELIVERED,
	STI_CELL_REFUSED,
	STI_CELL_EVICTED,
};

/* What one subscription is to be given of a link. */
struct sti_cell {
	/* const after init */
	_Alignas(2 * STI_RUN_PLACE) struct stasis_subscription *sub;
	uint32_t index; /* in its plan; STI_CELL_ALONE: it is the link's own */
	/* any thread: atomic */
	_Atomic uint16_t pushed;
	_Atomic uint16_t state; /* enum sti_cell_state */
};

#define STI_CELL_ALONE UINT32_MAX

/* The payload of an update. In the first line, with the message, what consumers write; in the
 * second what the next link's publisher reads. */
struct sti_link {
	struct sti_cell alone; /* room for the only one */
	/* const after init */
	struct stasis_cache_update update; /* what callbacks see; snapshots are referenced */
	struct sti_link *prev; /* valid while this one is not done */
	struct sti_cell *cells;
	uint32_t n_cells;
	uint32_t room; /* for cells */
	uint64_t number;
	/* any thread: atomic */
	_Atomic uint32_t done;
};

struct sti_chain {
	_Atomic(struct sti_link *) last; /* NULL: it has not begun */
};

#define STI_CHAIN_DEAD ((struct sti_link *)1)

/* Who joins. Read inside read sections; freed a grace period after its end. */
struct sti_chain_joiner {
	/* const after begin */
	struct stasis_subscription *sub; /* compared only, save by the one who lets it join */
	uint64_t number;
	struct sti_rcu_head rcu;
};

/* Chains that can be joined together. */
struct sti_chain_group {
	_Atomic uint64_t number;
	_Atomic(struct sti_chain_joiner *) joining; /* one at a time */
};

/* Whom a link is for. */
struct sti_chain_whom {
	struct sti_chain_group *group;
	struct stasis_topic *topic; /* its subscribers */
	const struct sti_chain_joiner *joiner; /* or this one alone */
};

static inline struct stasis_message *sti_link_message(const struct sti_link *link)
{
	return (struct stasis_message *)((uintptr_t)link - sizeof(struct stasis_message));
}

/* An update of snapshots of a type, to a new one, or to none (NULL). A reference for the chain, or,
 * as long as it is not added, for the caller. NULL: no memory. */
struct sti_link *sti_link_new(struct stasis_message_type *type, struct stasis_message *snapshot);

/* Frees one that was not added. */
void sti_link_free(struct sti_link *link);

/* Adds a link and publishes it. Inside a read section. 0: the chain has it, and *beforep is the
 * link whose reference the caller has to drop after a grace period (NULL: none). Otherwise it is
 * still the caller's:
 *   -ESTALE   the chain is dead
 *   -ENOENT   there is no state to end
 *   -EALREADY the joiner is no stranger to the chain
 *   -ENOMEM
 * What subscriptions refuse is added to delivery->refused. */
int sti_chain_add(struct sti_chain *chain, struct sti_link *link,
		  const struct sti_chain_whom *whom, struct sti_delivery *delivery,
		  struct sti_link **beforep);

/* Ends a chain whose last link is this one (NULL: which has not begun), which is done. False: there
 * is a later one. */
bool sti_chain_end(struct sti_chain *chain, struct sti_link *link);

/* Inside a read section: starts on its way what of the last link adding another looks at. */
void sti_chain_fetch(const struct sti_chain *chain);

/* Inside a read section: the last link; NULL: none. */
struct sti_link *sti_chain_last(const struct sti_chain *chain);

/* One joins at a time. begin: before the subscription is among the subscribers; its number. raise:
 * when it is; then every chain of the group gets a link for the joiner. end: when that is done. */
void sti_chain_join_begin(struct sti_chain_group *group, struct sti_chain_joiner *joiner,
			  struct stasis_subscription *sub);
void sti_chain_join_raise(struct sti_chain_group *group, const struct sti_chain_joiner *joiner);
/* joiner, of sti_alloc(), is freed in time, also if it has not begun. */
void sti_chain_join_end(struct sti_chain_group *group, struct sti_chain_joiner *joiner);

/* From now on subscriptions are freed after two grace periods. Before the first chain. */
void sti_chain_start(void);
bool sti_chain_started(void);

/* --- cells as items of a queue --- */

static inline bool sti_item_is_cell(const void *item)
{
	return ((uintptr_t)item & STI_ITEM_CELL) != 0;
}

static inline struct sti_cell *sti_item_cell(const void *item)
{
	return (struct sti_cell *)((uintptr_t)item & ~(uintptr_t)STI_ITEM_CELL);
}

/* Decides what becomes of a cell. False: that is decided already. */
static inline bool sti_cell_decide(struct sti_cell *cell, enum sti_cell_state state)
{
	uint16_t waiting = STI_CELL_WAITING;

	/* C1: one decides. Relaxed: what a callback did is ordered by the mailbox. */
	return atomic_compare_exchange_strong_explicit(&cell->state, &waiting, (uint16_t)state,
						       memory_order_relaxed, memory_order_relaxed);
}

/* The message that an item without STI_ITEM_SYNC holds a reference to. */
struct stasis_message *sti_item_message(const void *item);

#endif
