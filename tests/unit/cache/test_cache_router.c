/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cache_router.c — routes for cache updates, by the type of the snapshots */

#include "cache_fixture.h"

struct log {
	char text[256];
};

static void note(struct log *log, char which, struct stasis_message *message)
{
	size_t used = strlen(log->text);
	const struct stasis_cache_update *update = stasis_message_data(message);
	const struct snap *snap;

	if (stasis_message_type(message) != stasis_cache_update_type()) {
		snprintf(log->text + used, sizeof(log->text) - used, "%c ", which);
		return;
	}
	snap = stasis_message_data(update->new_snapshot != NULL ? update->new_snapshot :
								 update->old_snapshot);
	snprintf(log->text + used, sizeof(log->text) - used, "%c%llu%s ", which,
		 (unsigned long long)snap->version, update->new_snapshot == NULL ? "-" : "");
}

static void on_snap(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	note(data, 's', message);
}

static void on_other(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		     struct stasis_message *message)
{
	note(data, 'o', message);
}

static void on_any_update(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			  struct stasis_message *message)
{
	note(data, 'u', message);
}

static void on_rest(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	if (stasis_message_type(message) == stasis_cache_update_type())
		note(data, 'd', message);
}

static struct stasis_message_router *router_of(struct world *world)
{
	struct stasis_message_router *router = stasis_message_router_create_with(
		stasis_caching_get_topic(world->caching),
		&(struct stasis_subscribe_options){ .executor = world->executor });

	cr_assert_not_null(router);
	return router;
}

static void expect(struct world *world, struct log *log, const char *text)
{
	world_run(world);
	cr_assert_str_eq(log->text, text, "\"%s\" instead of \"%s\"", log->text, text);
	log->text[0] = '\0';
}

Test(cache_router, leads_updates_by_the_type_of_the_snapshots)
{
	struct world world = world_open();
	struct stasis_message_router *router = router_of(&world);
	struct log log = { 0 };

	cr_assert_eq(stasis_message_router_add_cache_update(router, snap_type(), on_snap, &log), 0);
	cr_assert_eq(stasis_message_router_add_cache_update(router, other_type(), on_other, &log),
		     0);
	world_put(&world, snap_type(), "a", 1);
	world_put(&world, other_type(), "a", 2);
	world_put(&world, snap_type(), "a", 3);
	world_clear(&world, snap_type(), "a");
	world_clear(&world, other_type(), "a");
	expect(&world, &log, "s1 o2 s3 s3- o2- ");
	stasis_message_router_unsubscribe(router);
	world_run(&world);
	world_close(&world);
}

Test(cache_router, prefers_the_inner_type_then_updates_then_the_default)
{
	struct world world = world_open();
	struct stasis_message_router *router = router_of(&world);
	struct log log = { 0 };

	stasis_message_router_set_default(router, on_rest, &log);
	world_put(&world, snap_type(), "a", 1);
	expect(&world, &log, "d1 ");
	stasis_message_router_add(router, stasis_cache_update_type(), on_any_update, &log);
	world_put(&world, snap_type(), "a", 2);
	expect(&world, &log, "u2 ");
	stasis_message_router_add_cache_update(router, snap_type(), on_snap, &log);
	world_put(&world, snap_type(), "a", 3);
	world_put(&world, other_type(), "a", 4);
	expect(&world, &log, "s3 u4 ");
	cr_assert_eq(stasis_message_router_remove_cache_update(router, snap_type()), 0);
	world_clear(&world, snap_type(), "a");
	expect(&world, &log, "u3- ");
	stasis_message_router_unsubscribe(router);
	world_run(&world);
	world_close(&world);
}
