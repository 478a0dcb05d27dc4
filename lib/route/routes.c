/* SPDX-License-Identifier: BSD-2-Clause */
/* route/routes.c — changing the table of routes. See routes.h. */

#include "route/routes.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "bus/message.h"

#define ORDER_MIN 3u

static_assert(_Alignof(struct stasis_message_type) >= 2, "a key has room for the kind");

/* In a slot whose route has been removed. No key is 0. */
static const struct sti_route gone_route;

#define GONE ((struct sti_route *)&gone_route)

struct sti_route *sti_route_new(uintptr_t key, stasis_subscription_cb callback, void *data)
{
	struct sti_route *route = sti_alloc(sizeof(*route));

	if (route == NULL)
		return NULL;
	route->key = key;
	route->callback = callback;
	route->data = data;
	return route;
}

void sti_route_free(struct sti_route *route)
{
	sti_free(route);
}

static void route_free_rcu(struct sti_rcu_head *rcu)
{
	sti_free(sti_container_of(rcu, struct sti_route, rcu));
}

void sti_route_free_later(struct sti_route *route)
{
	if (route != NULL)
		sti_rcu_call(&route->rcu, route_free_rcu);
}

static struct sti_route_table *table_new(unsigned order)
{
	size_t n_slots = (size_t)1 << order;
	struct sti_route_table *table;

	table = sti_alloc_zeroed(sizeof(*table) + n_slots * sizeof(table->slots[0]));
	if (table == NULL)
		return NULL;
	table->mask = n_slots - 1;
	table->shift = 64 - order;
	return table;
}

static void table_free_rcu(struct sti_rcu_head *rcu)
{
	sti_free(sti_container_of(rcu, struct sti_route_table, rcu));
}

/* The table as its only changer sees it. */
static struct sti_route_table *table_own(const struct sti_routes *routes)
{
	/* Relaxed: under the router's lock. */
	return atomic_load_explicit(&routes->table, memory_order_relaxed);
}

static struct sti_route *slot_own(const struct sti_route_table *table, size_t i)
{
	/* Relaxed: under the router's lock. */
	return atomic_load_explicit(&table->slots[i], memory_order_relaxed);
}

/* Puts a route where it will be found first. */
static void table_put(struct sti_route_table *table, struct sti_route *route)
{
	size_t i = sti_route_slot(table, route->key);
	struct sti_route *there;

	while ((there = slot_own(table, i)) != NULL && there != GONE)
		i = (i + 1) & table->mask;
	table->n_used += there == NULL;
	/* R1: the route is complete; pairs with A1 in sti_routes_find(). */
	atomic_store_explicit(&table->slots[i], route, memory_order_release);
}

int sti_routes_init(struct sti_routes *routes)
{
	struct sti_route_table *table = table_new(ORDER_MIN);

	atomic_init(&routes->table, table);
	routes->n = 0;
	return table != NULL ? 0 : -ENOMEM;
}

void sti_routes_deinit(struct sti_routes *routes)
{
	struct sti_route_table *table = table_own(routes);

	for (size_t i = 0; table != NULL && i <= table->mask; i++) {
		struct sti_route *route = slot_own(table, i);

		if (route != GONE)
			sti_free(route);
	}
	sti_free(table);
}

int sti_routes_reserve(struct sti_routes *routes)
{
	struct sti_route_table *old = table_own(routes);
	struct sti_route_table *table;
	unsigned order = ORDER_MIN;

	if (old->n_used < (old->mask + 1) / 2)
		return 0;
	/* A quarter full, so that a copy pays for as many additions as it has routes. */
	while (((size_t)1 << order) / 4 <= routes->n)
		order++;
	table = table_new(order);
	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i <= old->mask; i++) {
		struct sti_route *route = slot_own(old, i);

		if (route != NULL && route != GONE)
			table_put(table, route);
	}
	/* R2: the copy is complete; pairs with A2 in sti_routes_find(). */
	atomic_store_explicit(&routes->table, table, memory_order_release);
	sti_rcu_call(&old->rcu, table_free_rcu);
	return 0;
}

void sti_routes_add(struct sti_routes *routes, struct sti_route *route)
{
	struct sti_route_table *table = table_own(routes);

	stasis_assert(table->n_used < (table->mask + 1) / 2);
	stasis_assert_slow(sti_routes_find(routes, route->key) == NULL);
	table_put(table, route);
	routes->n++;
}

void sti_routes_remove(struct sti_routes *routes, const struct sti_route *route)
{
	struct sti_route_table *table = table_own(routes);
	size_t i = sti_route_slot(table, route->key);

	while (slot_own(table, i) != route)
		i = (i + 1) & table->mask;
	/* Relaxed: whoever looks now may find the route or not; the mark never changes. */
	atomic_store_explicit(&table->slots[i], GONE, memory_order_relaxed);
	routes->n--;
}
