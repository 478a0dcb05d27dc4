/* SPDX-License-Identifier: BSD-2-Clause */
/* op_routing.c — routers */

#include <errno.h>

#include "world.h"

static unsigned from(unsigned n)
{
	return input_below(world.input, n);
}

static struct w_sub *pick_router(void)
{
	unsigned first = from(M_SUBS);

	for (unsigned i = 0; i < M_SUBS; i++) {
		struct w_sub *sub = &world.subs[(first + i) % M_SUBS];

		if (sub->router != NULL)
			return sub;
	}
	return NULL;
}

static void *route_data(const struct w_sub *sub, unsigned number)
{
	return (void *)((uintptr_t)(sub - world.subs) << 8 | number);
}

static void op_router_create(void)
{
	struct stasis_subscribe_options options;
	struct w_topic *topic = w_pick_topic();
	struct w_sub *sub = w_free_sub();
	struct stasis_message_router *lib;

	if (sub == NULL || topic == NULL || !w_options(&options, sub, true))
		return;
	sub->m.topic = &topic->m;
	errno = 0;
	w_arm();
	lib = stasis_message_router_create_with(topic->lib, &options);
	if (w_disarm() && lib == NULL && errno == ENOMEM)
		return;
	W_EQUAL(errno, sub->m.executor->closed ? ESHUTDOWN : 0);
	W_EQUAL(lib != NULL, !sub->m.executor->closed);
	if (lib == NULL)
		return;
	sub->router = lib;
	sub->handed = true;
	sub->action = W_NOTHING;
	sub->m.uniqueid = m_message_new(0)->text;
	sub->m.used = true;
	sub->m.router = true;
	sub->m.selective = true;
	sub->m.executor->routed = true;
	m_subscribe(&sub->m);
}

/* Before routes change: what has none may have been passed over already, or not; then it is. What
 * lies behind something that has one has not. */
static void pass_unrouted(const struct m_sub *sub)
{
	if (sub->n > 0 && m_route_of(sub, sub->items[sub->first].message) == NULL)
		w_run_all((struct w_executor *)sub->executor);
}

static void update_filter(struct m_sub *sub)
{
	bool updates = sub->own[M_TYPE_UPDATE].set;

	for (unsigned i = 0; i < M_TYPES; i++) {
		sub->accepts[i] = sub->own[i].set;
		updates |= sub->updates[i].set;
	}
	sub->accepts[M_TYPE_UPDATE] = updates;
}

static void op_route_add(void)
{
	struct w_sub *sub = pick_router();
	unsigned type = from(M_TYPES), number = input_byte(world.input);
	bool update = from(2);
	struct m_route *route;
	int result;

	if (sub == NULL)
		return;
	route = update ? &sub->m.updates[type] : &sub->m.own[type];
	pass_unrouted(&sub->m);
	w_arm();
	result = update ? stasis_message_router_add_cache_update(sub->router, w_types[type],
								 w_routed,
								 route_data(sub, number)) :
			  stasis_message_router_add(sub->router, w_types[type], w_routed,
						    route_data(sub, number));
	if (w_disarm() && result == -ENOMEM)
		return;
	W_EQUAL(result, route->set ? -EEXIST : 0);
	if (result != 0)
		return;
	*route = (struct m_route){ .set = true, .number = number };
	update_filter(&sub->m);
}

static void op_route_remove(void)
{
	struct w_sub *sub = pick_router();
	unsigned type = from(M_TYPES);
	bool update = from(2);
	struct m_route *route;
	int result;

	if (sub == NULL)
		return;
	route = update ? &sub->m.updates[type] : &sub->m.own[type];
	pass_unrouted(&sub->m);
	w_arm();
	result = update ? stasis_message_router_remove_cache_update(sub->router, w_types[type]) :
			  stasis_message_router_remove(sub->router, w_types[type]);
	if (w_disarm() && result == -ENOMEM)
		return;
	W_EQUAL(result, route->set ? 0 : -ENOENT);
	if (result != 0)
		return;
	route->set = false;
	update_filter(&sub->m);
}

static void op_route_default(void)
{
	struct w_sub *sub = pick_router();
	unsigned number = input_byte(world.input);
	int result;

	if (sub == NULL)
		return;
	pass_unrouted(&sub->m);
	w_arm();
	result = stasis_message_router_set_default(sub->router, w_routed,
						   route_data(sub, number));
	if (w_disarm() && result == -ENOMEM)
		return;
	W_EQUAL(result, 0);
	sub->m.fallback = (struct m_route){ .set = true, .number = number };
	sub->m.selective = false;
}

static void op_router_end(void)
{
	struct w_sub *sub = pick_router();

	if (sub != NULL)
		w_unsubscribe(sub, false);
}

const w_operation op_routing[] = {
	op_router_create, op_route_add, op_route_add, op_route_remove, op_route_default,
	op_router_end,
};
const size_t n_op_routing = sizeof(op_routing) / sizeof(op_routing[0]);
