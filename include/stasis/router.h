/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_ROUTER_H
#define STASIS_ROUTER_H

/* stasis/router.h — one subscription, a callback for each type of message
 *
 * Overview   A router subscribes to a topic and calls, for every message, exactly one callback:
 *              1. for a cache update: the cache-update route of the type inside
 *              2. the route of the message's own type
 *              3. the default
 *            or none, when there is no such route. Finding it takes the same time whatever the
 *            number of routes.
 *
 *            Without a default the router is selective: its subscription accepts the types that it
 *            has routes for, and no others cost anything. The final message passes all the same: it
 *            goes to the route of stasis_subscription_change_type(), else to the default, else
 *            nowhere; then the router frees itself.
 * Threads    Everything may be called from any thread at once, also inside callbacks. Routes may
 *            change while messages flow; a callback that has begun runs on.
 * Ordering   As for any subscription: the callbacks of one router never overlap. A route that has
 *            been added is used for every message published afterwards; one that has been removed
 *            may still be called for what was queued before.
 */

#include "api.h"
#include "subscription.h"

STASIS_BEGIN_DECLS

struct stasis_message_router;

/**
 * stasis_message_router_create() - subscribe with a router
 * @topic:  what to listen to
 *
 * Ownership:  the caller gets one reference, for stasis_message_router_unsubscribe(). The bus holds
 *             one until the final message has been handled.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_subscribe().
 * Return:     the router; NULL with errno as stasis_subscribe().
 */
STASIS_API struct stasis_message_router *stasis_message_router_create(struct stasis_topic *topic);

/**
 * stasis_message_router_create_with() - subscribe with a router, with options
 * @topic:    what to listen to
 * @options:  as for stasis_subscribe_with(); NULL for defaults. The types to accept are the
 *            router's business: none may be given. on_congestion is given the router as its data.
 *
 * Ownership:  as stasis_message_router_create().
 * Threads:    as stasis_message_router_create().
 * Progress:   as stasis_message_router_create().
 * Return:     as stasis_subscribe_with(); EINVAL also when options->n_types is not 0.
 */
STASIS_API struct stasis_message_router *
stasis_message_router_create_with(struct stasis_topic *topic,
				  const struct stasis_subscribe_options *options);

/**
 * stasis_message_router_add() - route messages of a type
 * @router:    a router
 * @type:      their type
 * @callback:  what to call
 * @data:      passed to @callback; kept alive by the caller until the final message, or until the
 *             route is removed and a callback that runs meanwhile has returned: it has, inside
 *             another of the router's callbacks, and after stasis_executor_drain()
 *
 * Ownership:  borrows @router and @type.
 * Threads:    any thread, also inside callbacks.
 * Progress:   takes the router's lock, and the topic's when the router is selective.
 * Return:     0; -EEXIST when @type has a route; -ENOMEM; -EINVAL when an argument but @data is
 *             NULL.
 */
STASIS_API int stasis_message_router_add(struct stasis_message_router *router,
					 struct stasis_message_type *type,
					 stasis_subscription_cb callback, void *data);

/**
 * stasis_message_router_add_cache_update() - route cache updates of snapshots of a type
 * @router:    a router
 * @type:      the snapshots' type, which is the type field of struct stasis_cache_update
 * @callback:  what to call
 * @data:      as for stasis_message_router_add()
 *
 * Ownership:  as stasis_message_router_add().
 * Threads:    as stasis_message_router_add().
 * Progress:   as stasis_message_router_add().
 * Return:     as stasis_message_router_add().
 */
STASIS_API int stasis_message_router_add_cache_update(struct stasis_message_router *router,
						      struct stasis_message_type *type,
						      stasis_subscription_cb callback, void *data);

/**
 * stasis_message_router_remove() - end the route of a type
 * @router:  a router
 * @type:    the type that was given to stasis_message_router_add()
 *
 * Ownership:  borrows both.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_message_router_add().
 * Return:     0; -ENOENT when @type has no route; -ENOMEM, and nothing has changed; -EINVAL.
 */
STASIS_API int stasis_message_router_remove(struct stasis_message_router *router,
					    struct stasis_message_type *type);

/**
 * stasis_message_router_remove_cache_update() - end the cache-update route of a type
 * @router:  a router
 * @type:    the type that was given to stasis_message_router_add_cache_update()
 *
 * Ownership:  as stasis_message_router_remove().
 * Threads:    as stasis_message_router_remove().
 * Progress:   as stasis_message_router_remove().
 * Return:     as stasis_message_router_remove().
 */
STASIS_API int stasis_message_router_remove_cache_update(struct stasis_message_router *router,
							 struct stasis_message_type *type);

/**
 * stasis_message_router_set_default() - say what is called for messages without a route
 * @router:    a router
 * @callback:  what to call; replaces the default there was
 * @data:      as for stasis_message_router_add()
 *
 * From now on the router is given messages of all types.
 *
 * Ownership:  borrows @router.
 * Threads:    any thread, also inside callbacks.
 * Progress:   as stasis_message_router_add().
 * Return:     0; -ENOMEM; -EINVAL when @router or @callback is NULL.
 */
STASIS_API int stasis_message_router_set_default(struct stasis_message_router *router,
						 stasis_subscription_cb callback, void *data);

/**
 * stasis_message_router_unsubscribe() - stop receiving
 * @router:  a router, or NULL
 *
 * What is queued is still routed, then the final message.
 *
 * Ownership:  consumes the caller's reference.
 * Threads:    any thread, also inside the router's own callbacks.
 * Progress:   as stasis_unsubscribe().
 * Return:     NULL, always; errno as stasis_unsubscribe().
 */
STASIS_API struct stasis_message_router *
stasis_message_router_unsubscribe(struct stasis_message_router *router);

/**
 * stasis_message_router_unsubscribe_and_join() - stop receiving, wait for the final message
 * @router:  a router, or NULL
 *
 * Ownership:  consumes the caller's reference.
 * Threads:    any thread. Inside the router's own callbacks it unsubscribes and does not wait.
 * Progress:   blocks.
 * Return:     NULL, always; errno as stasis_unsubscribe_and_join().
 */
STASIS_API struct stasis_message_router *
stasis_message_router_unsubscribe_and_join(struct stasis_message_router *router);

STASIS_END_DECLS

#endif
