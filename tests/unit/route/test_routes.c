/* SPDX-License-Identifier: BSD-2-Clause */
/* test_routes.c — the table of routes by itself */

#include "route/routes.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "faulty.h"

#define N 1000u

static void nothing(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
}

/* Stands for a type: only its address counts. */
static struct {
	_Alignas(16) char bytes[64];
} types[N];

static uintptr_t key(size_t i, enum sti_route_kind kind)
{
	return sti_route_key((struct stasis_message_type *)&types[i], kind);
}

static struct sti_route *find(const struct sti_routes *routes, uintptr_t which)
{
	struct sti_route *route;

	sti_rcu_read_lock();
	route = sti_routes_find(routes, which);
	sti_rcu_read_unlock();
	return route;
}

static struct sti_route *add(struct sti_routes *routes, uintptr_t which)
{
	struct sti_route *route = sti_route_new(which, nothing, &types[0]);

	cr_assert_not_null(route);
	cr_assert_eq(sti_routes_reserve(routes), 0);
	sti_routes_add(routes, route);
	return route;
}

static void take_out(struct sti_routes *routes, uintptr_t which)
{
	struct sti_route *route = find(routes, which);

	cr_assert_not_null(route);
	sti_routes_remove(routes, route);
	sti_route_free_later(route);
	cr_assert_null(find(routes, which));
}

static size_t n_slots(const struct sti_routes *routes)
{
	return atomic_load(&routes->table)->mask + 1;
}

Test(routes, finds_what_was_added_and_nothing_else)
{
	struct sti_routes routes;
	struct sti_route *route;

	cr_assert_eq(sti_routes_init(&routes), 0);
	cr_assert_null(find(&routes, key(0, STI_ROUTE_OWN)));
	route = add(&routes, key(0, STI_ROUTE_OWN));
	cr_assert_eq(find(&routes, key(0, STI_ROUTE_OWN)), route);
	cr_assert_eq(route->callback, nothing);
	cr_assert_eq(route->data, &types[0]);
	cr_assert_null(find(&routes, key(1, STI_ROUTE_OWN)));
	sti_routes_deinit(&routes);
}

Test(routes, a_type_and_updates_of_it_are_two_keys)
{
	struct sti_routes routes;
	struct sti_route *own, *update;

	cr_assert_eq(sti_routes_init(&routes), 0);
	own = add(&routes, key(0, STI_ROUTE_OWN));
	cr_assert_null(find(&routes, key(0, STI_ROUTE_UPDATE)));
	update = add(&routes, key(0, STI_ROUTE_UPDATE));
	cr_assert_neq(own, update);
	cr_assert_eq(find(&routes, key(0, STI_ROUTE_OWN)), own);
	cr_assert_eq(find(&routes, key(0, STI_ROUTE_UPDATE)), update);
	take_out(&routes, key(0, STI_ROUTE_OWN));
	cr_assert_eq(find(&routes, key(0, STI_ROUTE_UPDATE)), update);
	cr_assert_neq(sti_route_key(NULL, STI_ROUTE_UPDATE), 0);
	sti_routes_deinit(&routes);
}

Test(routes, grows_and_keeps_half_of_its_slots_empty)
{
	struct sti_routes routes;

	cr_assert_eq(sti_routes_init(&routes), 0);
	for (size_t i = 0; i < N; i++) {
		add(&routes, key(i, STI_ROUTE_OWN));
		cr_assert_leq(atomic_load(&routes.table)->n_used, n_slots(&routes) / 2);
	}
	cr_assert_eq(routes.n, N);
	for (size_t i = 0; i < N; i++) {
		cr_assert_not_null(find(&routes, key(i, STI_ROUTE_OWN)));
		cr_assert_null(find(&routes, key(i, STI_ROUTE_UPDATE)));
	}
	/* Every other one goes; those behind it in a row of slots are found all the same. */
	for (size_t i = 0; i < N; i += 2)
		take_out(&routes, key(i, STI_ROUTE_OWN));
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(find(&routes, key(i, STI_ROUTE_OWN)) != NULL, i % 2 == 1);
	sti_routes_deinit(&routes);
}

Test(routes, coming_and_going_does_not_make_it_grow)
{
	struct sti_routes routes;

	cr_assert_eq(sti_routes_init(&routes), 0);
	add(&routes, key(0, STI_ROUTE_OWN));
	for (size_t i = 0; i < 100 * N; i++) {
		uintptr_t which = key(1 + i % (N - 1), STI_ROUTE_OWN);

		add(&routes, which);
		take_out(&routes, which);
		cr_assert_leq(n_slots(&routes), 16);
	}
	cr_assert_not_null(find(&routes, key(0, STI_ROUTE_OWN)));
	sti_routes_deinit(&routes);
}

Test(routes, a_place_that_was_left_is_taken_again)
{
	struct sti_routes routes;
	struct sti_route_table *table;

	cr_assert_eq(sti_routes_init(&routes), 0);
	table = atomic_load(&routes.table);
	for (size_t i = 0; i < N; i++) {
		add(&routes, key(0, STI_ROUTE_OWN));
		take_out(&routes, key(0, STI_ROUTE_OWN));
	}
	cr_assert_eq(atomic_load(&routes.table), table);
	cr_assert_eq(table->n_used, 1);
	sti_routes_deinit(&routes);
}

Test(routes, becomes_smaller_when_most_are_gone)
{
	struct sti_routes routes;

	cr_assert_eq(sti_routes_init(&routes), 0);
	for (size_t i = 0; i < N; i++)
		add(&routes, key(i, STI_ROUTE_OWN));
	for (size_t i = 0; i < N; i++)
		take_out(&routes, key(i, STI_ROUTE_OWN));
	cr_assert_eq(routes.n, 0);
	for (size_t i = 0; i < N; i++) {
		add(&routes, key(i, STI_ROUTE_UPDATE));
		take_out(&routes, key(i, STI_ROUTE_UPDATE));
	}
	cr_assert_leq(n_slots(&routes), 8);
	sti_routes_deinit(&routes);
}

Test(routes, without_memory_nothing_changes)
{
	struct sti_routes routes;
	size_t n = 0;

	faulty_install();
	faulty_arm(0, true);
	cr_assert_eq(sti_routes_init(&routes), -ENOMEM);
	sti_routes_deinit(&routes);
	cr_assert_null(sti_route_new(key(0, STI_ROUTE_OWN), nothing, NULL));
	cr_assert(faulty_disarm());

	cr_assert_eq(sti_routes_init(&routes), 0);
	while (atomic_load(&routes.table)->n_used < n_slots(&routes) / 2)
		add(&routes, key(n++, STI_ROUTE_OWN));
	faulty_arm(0, true);
	cr_assert_eq(sti_routes_reserve(&routes), -ENOMEM);
	cr_assert(faulty_disarm());
	for (size_t i = 0; i < n; i++)
		cr_assert_not_null(find(&routes, key(i, STI_ROUTE_OWN)));
	add(&routes, key(n, STI_ROUTE_OWN));
	cr_assert_not_null(find(&routes, key(n, STI_ROUTE_OWN)));
	sti_routes_deinit(&routes);
	sti_rcu_barrier();
	cr_assert_eq(faulty_outstanding(), 0);
}
