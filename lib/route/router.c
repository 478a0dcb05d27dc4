/* SPDX-License-Identifier: BSD-2-Clause */
/* route/router.c — one subscription, a callback for each type of message
 *
 * Dispatch: inside a read section, find the route and copy out whom to call; outside it, call. So a
 *   route may be removed, by its own callback too, while that runs.
 * Change: under the router's lock, first what may fail (memory; the subscription's filter, under
 *   the topic's lock), then the route, which cannot. A route that could not be added has never been
 *   used, one that could not be removed has been used throughout. In between a type may be accepted
 *   that has no route: a message published then, while the call is under way, reaches nobody, as if
 *   it had been published before the addition or after the removal.
 * Filter: until there is a default, exactly the types of the routes are accepted; for cache-update
 *   routes that is the type of cache updates. Afterwards everything is, for good.
 *
 * References to a router
 *   application   from create until unsubscribe
 *   bus           from create until the final message has been handled
 * References of a router: its subscription, until it is freed.
 *
 * Linearization: a message goes by the route that is in its slot at A1, or the default at A3.
 * Progress: dispatch is wait-free. Changes take the router's lock.
 *
 * Edges
 *   R3  store-release router->fallback -> A3  what is in the route
 *   A3  load-acquire router->fallback  <- R3
 *   See routes.h for the others.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <stasis/cache.h>
#include <stasis/object.h>
#include <stasis/router.h>

#include "base/object.h"
#include "base/options.h"
#include "bus/message.h"
#include "bus/subscription.h"
#include "route/routes.h"
#include "sync/rcu.h"

struct stasis_message_router {
	/* RCU: published under lock */
	struct sti_routes routes;
	_Atomic(struct sti_route *) fallback; /* the default; NULL: none */
	/* const after init */
	struct stasis_subscription *sub;
	/* lock: what the filter is to be */
	pthread_mutex_t lock;
	bool selective;
	size_t n_updates; /* routes that need cache updates accepted */
};

/* --- dispatch --- */

/* Inside a read section. */
STI_INLINE const struct sti_route *router_find(const struct stasis_message_router *router,
					       const struct stasis_message *message)
{
	const struct stasis_message_type *type = message->type;
	const struct sti_route *route;

	if (sti_unlikely(type == stasis_cache_update_type()) && message->data != NULL) {
		const struct stasis_cache_update *update = message->data;

		route = sti_routes_find(&router->routes,
					sti_route_key(update->type, STI_ROUTE_UPDATE));
		if (route != NULL)
			return route;
	}
	route = sti_routes_find(&router->routes, sti_route_key(type, STI_ROUTE_OWN));
	if (route != NULL)
		return route;
	/* A3: pairs with R3 in set_default_locked(). */
	return atomic_load_explicit(&router->fallback, memory_order_acquire);
}

static void router_dispatch(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			    struct stasis_message *message)
{
	struct stasis_message_router *router = data;
	stasis_subscription_cb callback = NULL;
	const struct sti_route *route;

	sti_rcu_read_lock();
	route = router_find(router, message);
	if (sti_likely(route != NULL)) {
		callback = route->callback;
		data = route->data;
	}
	sti_rcu_read_unlock();
	if (sti_likely(callback != NULL))
		callback(data, sub, topic, message);
	if (sti_unlikely(message == &sub->final.message))
		stasis_object_unref(router);
}

/* --- the beginning and the end --- */

static void router_destroy(void *obj)
{
	struct stasis_message_router *router = obj;

	/* Relaxed: nobody else is left. */
	sti_route_free(atomic_load_explicit(&router->fallback, memory_order_relaxed));
	sti_routes_deinit(&router->routes);
	pthread_mutex_destroy(&router->lock);
	stasis_object_unref(router->sub);
}

/* The router is complete before it subscribes, save for sub, which dispatch does not use: there are
 * no callbacks to call, and nobody to change that, before create returns. */
struct stasis_message_router *
stasis_message_router_create_with(struct stasis_topic *topic,
				  const struct stasis_subscribe_options *given)
{
	struct stasis_subscribe_options options;
	struct stasis_message_router *router;
	int result = sti_options_copy(&options, sizeof(options), given);

	if (result == 0 && (topic == NULL || options.n_types != 0))
		result = -EINVAL;
	if (result != 0) {
		errno = -result;
		return NULL;
	}
	router = sti_object_new(STI_KIND_ROUTER, STI_MEM_HEAP, STI_CACHELINE, sizeof(*router),
				router_destroy);
	if (router == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	pthread_mutex_init(&router->lock, NULL);
	router->selective = true;
	result = sti_routes_init(&router->routes);
	if (result == 0) {
		stasis_object_ref(router); /* the bus's */
		router->sub = sti_subscribe_selective(topic, router_dispatch, router, given);
		if (router->sub != NULL)
			return router;
		result = -errno;
		stasis_object_unref(router);
	}
	stasis_object_unref(router);
	errno = -result;
	return NULL;
}

struct stasis_message_router *stasis_message_router_create(struct stasis_topic *topic)
{
	return stasis_message_router_create_with(topic, NULL);
}

static struct stasis_message_router *
router_end(struct stasis_message_router *router,
	   struct stasis_subscription *(*end)(struct stasis_subscription *sub))
{
	int saved;

	if (router == NULL) {
		errno = EINVAL;
		return NULL;
	}
	end(stasis_object_ref(router->sub));
	saved = errno;
	router = stasis_object_unref(router);
	errno = saved;
	return router;
}

struct stasis_message_router *
stasis_message_router_unsubscribe(struct stasis_message_router *router)
{
	return router_end(router, stasis_unsubscribe);
}

struct stasis_message_router *
stasis_message_router_unsubscribe_and_join(struct stasis_message_router *router)
{
	return router_end(router, stasis_unsubscribe_and_join);
}

/* --- changing routes --- */

/* The type that messages for a route have. */
static struct stasis_message_type *message_type(struct stasis_message_type *type,
						enum sti_route_kind kind)
{
	return kind == STI_ROUTE_UPDATE ? stasis_cache_update_type() : type;
}

/* Does the filter depend on a route for messages of this type, when n others want the same? */
static bool filter_depends(const struct stasis_message_router *router,
			   const struct stasis_message_type *type, size_t n_updates)
{
	if (!router->selective)
		return false;
	return type != stasis_cache_update_type() || router->n_updates == n_updates;
}

static int add_locked(struct stasis_message_router *router, struct stasis_message_type *type,
		      enum sti_route_kind kind, stasis_subscription_cb callback, void *data)
{
	struct stasis_message_type *wanted = message_type(type, kind);
	uintptr_t key = sti_route_key(type, kind);
	struct sti_route *route;
	int result;

	if (sti_routes_find(&router->routes, key) != NULL)
		return -EEXIST;
	route = sti_route_new(key, callback, data);
	if (route == NULL)
		return -ENOMEM;
	result = sti_routes_reserve(&router->routes);
	if (result == 0 && filter_depends(router, wanted, 0))
		result = stasis_subscription_accept_message_type(router->sub, wanted);
	if (result != 0) {
		sti_route_free(route);
		return result;
	}
	sti_routes_add(&router->routes, route);
	router->n_updates += wanted == stasis_cache_update_type();
	return 0;
}

static int router_add(struct stasis_message_router *router, struct stasis_message_type *type,
		      enum sti_route_kind kind, stasis_subscription_cb callback, void *data)
{
	int result;

	if (router == NULL || type == NULL || callback == NULL)
		return -EINVAL;
	pthread_mutex_lock(&router->lock);
	result = add_locked(router, type, kind, callback, data);
	pthread_mutex_unlock(&router->lock);
	return result;
}

int stasis_message_router_add(struct stasis_message_router *router,
			      struct stasis_message_type *type, stasis_subscription_cb callback,
			      void *data)
{
	return router_add(router, type, STI_ROUTE_OWN, callback, data);
}

int stasis_message_router_add_cache_update(struct stasis_message_router *router,
					   struct stasis_message_type *type,
					   stasis_subscription_cb callback, void *data)
{
	return router_add(router, type, STI_ROUTE_UPDATE, callback, data);
}

static int remove_locked(struct stasis_message_router *router, struct stasis_message_type *type,
			 enum sti_route_kind kind)
{
	struct stasis_message_type *wanted = message_type(type, kind);
	struct sti_route *route = sti_routes_find(&router->routes, sti_route_key(type, kind));

	if (route == NULL)
		return -ENOENT;
	if (filter_depends(router, wanted, 1)) {
		int result = stasis_subscription_decline_message_type(router->sub, wanted);

		if (result != 0)
			return result;
	}
	sti_routes_remove(&router->routes, route);
	router->n_updates -= wanted == stasis_cache_update_type();
	sti_route_free_later(route);
	return 0;
}

static int router_remove(struct stasis_message_router *router, struct stasis_message_type *type,
			 enum sti_route_kind kind)
{
	int result;

	if (router == NULL || type == NULL)
		return -EINVAL;
	pthread_mutex_lock(&router->lock);
	result = remove_locked(router, type, kind);
	pthread_mutex_unlock(&router->lock);
	return result;
}

int stasis_message_router_remove(struct stasis_message_router *router,
				 struct stasis_message_type *type)
{
	return router_remove(router, type, STI_ROUTE_OWN);
}

int stasis_message_router_remove_cache_update(struct stasis_message_router *router,
					      struct stasis_message_type *type)
{
	return router_remove(router, type, STI_ROUTE_UPDATE);
}

static int set_default_locked(struct stasis_message_router *router, struct sti_route *route)
{
	/* Relaxed: under the router's lock. */
	struct sti_route *old = atomic_load_explicit(&router->fallback, memory_order_relaxed);

	if (router->selective) {
		int result = stasis_subscription_set_filter(router->sub,
							    STASIS_SUBSCRIPTION_FILTER_NONE);

		if (result != 0)
			return result;
		router->selective = false;
	}
	/* R3: the route is complete; pairs with A3 in router_find(). */
	atomic_store_explicit(&router->fallback, route, memory_order_release);
	sti_route_free_later(old);
	return 0;
}

int stasis_message_router_set_default(struct stasis_message_router *router,
				      stasis_subscription_cb callback, void *data)
{
	struct sti_route *route;
	int result;

	if (router == NULL || callback == NULL)
		return -EINVAL;
	route = sti_route_new(0, callback, data);
	if (route == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&router->lock);
	result = set_default_locked(router, route);
	pthread_mutex_unlock(&router->lock);
	if (result != 0)
		sti_route_free(route);
	return result;
}
