/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_ROUTE_ROUTES_H
#define STI_ROUTE_ROUTES_H

/* route/routes.h — the routes of a router, found by a type and how it is meant
 *
 * A hash table with open addressing, of pointers to routes. A slot begins empty. Once it has had a
 * route it is never empty again: removing one leaves a mark, in whose place another may come. So
 * routes do not move, and whoever walks from the first slot of a key to the next empty one finds
 * the route that was there before he began and is still there afterwards. At most half of the slots
 * are not empty; before that is passed, a copy without the marks replaces the table.
 *
 * Types are never freed, so a key stays good.
 *
 * Freed: a table, by the copy that replaces it, and a route, when it is removed, both through RCU:
 * a worker may be looking at them. What is left, with the router.
 *
 * Threads: found by any thread inside an RCU read section, or under the router's lock; everything
 *          else under that lock.
 * Linearization: of add and remove, the store into the slot.
 * Progress: find is wait-free: as many steps as there are slots, one or two as a rule.
 *
 * Edges
 *   R1  store-release slot          add      -> A1  what is in the route
 *   A1  load-acquire slot           find     <- R1
 *   R2  store-release routes->table reserve  -> A2  the copy, and the routes in it
 *   A2  load-acquire routes->table  find     <- R2
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <stasis/subscription.h>

#include "base/compiler.h"
#include "sync/rcu.h"

/* How a route means its type. */
enum sti_route_kind {
	STI_ROUTE_OWN = 0, /* messages of the type */
	STI_ROUTE_UPDATE,  /* cache updates of snapshots of the type */
};

struct sti_route {
	/* const after init */
	uintptr_t key;
	stasis_subscription_cb callback;
	void *data;
	struct sti_rcu_head rcu;
};

struct sti_route_table {
	struct sti_rcu_head rcu;
	/* the router's lock */
	size_t n_used; /* slots that are not empty */
	/* const after init */
	size_t mask;
	unsigned shift;
	/* RCU: published under the router's lock */
	_Atomic(struct sti_route *) slots[];
};

struct sti_routes {
	/* RCU: published under the router's lock */
	_Atomic(struct sti_route_table *) table;
	/* the router's lock */
	size_t n;
};

/* Never 0, and different for each type and kind. */
static inline uintptr_t sti_route_key(const struct stasis_message_type *type,
				      enum sti_route_kind kind)
{
	return (uintptr_t)type | (uintptr_t)kind;
}

/* NULL when there is no memory. */
struct sti_route *sti_route_new(uintptr_t key, stasis_subscription_cb callback, void *data);

/* Frees a route that nobody could ever find. */
void sti_route_free(struct sti_route *route);

/* Frees a route that cannot be found any more. NULL is allowed. */
void sti_route_free_later(struct sti_route *route);

/* 0 or -ENOMEM. */
int sti_routes_init(struct sti_routes *routes);

/* With the routes in it. Nobody may be looking. */
void sti_routes_deinit(struct sti_routes *routes);

/* Makes room for one more. 0, or -ENOMEM, and nothing has changed. */
int sti_routes_reserve(struct sti_routes *routes);

/* There is room, and no route with that key. */
void sti_routes_add(struct sti_routes *routes, struct sti_route *route);

/* Takes out a route that is there; to be freed later. */
void sti_routes_remove(struct sti_routes *routes, const struct sti_route *route);

/* The first slot to look at: Fibonacci hashing, for the keys are addresses. */
STI_INLINE size_t sti_route_slot(const struct sti_route_table *table, uintptr_t key)
{
	return (size_t)((uint64_t)key * UINT64_C(0x9E3779B97F4A7C15) >> table->shift);
}

/* The route with a key, or NULL. */
STI_INLINE struct sti_route *sti_routes_find(const struct sti_routes *routes, uintptr_t key)
{
	/* A2: pairs with R2 in sti_routes_reserve(). */
	struct sti_route_table *table = atomic_load_explicit(&routes->table, memory_order_acquire);
	struct sti_route *route;

	for (size_t i = sti_route_slot(table, key);; i = (i + 1) & table->mask) {
		/* A1: pairs with R1 in sti_routes_add(). */
		route = atomic_load_explicit(&table->slots[i], memory_order_acquire);
		if (route == NULL || route->key == key)
			return route;
	}
}

#endif
