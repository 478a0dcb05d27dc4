/* SPDX-License-Identifier: BSD-2-Clause */
/* cache_fixture.c — see cache_fixture.h */

#include "cache_fixture.h"

#include <pthread.h>

#include "sync/rcu.h"

size_t n_asked;
size_t n_asked_own;

static pthread_once_t types_once = PTHREAD_ONCE_INIT;
static struct stasis_message_type *types[4];

static void make_types(void)
{
	static const char *const names[] = { "snap", "other", "text", "noise" };

	for (int i = 0; i < 4; i++)
		types[i] = stasis_message_type_create(names[i]);
}

static struct stasis_message_type *type_at(int i)
{
	pthread_once(&types_once, make_types);
	return types[i];
}

struct stasis_message_type *snap_type(void)
{
	return type_at(0);
}

struct stasis_message_type *other_type(void)
{
	return type_at(1);
}

struct stasis_message_type *text_type(void)
{
	return type_at(2);
}

struct stasis_message_type *noise_type(void)
{
	return type_at(3);
}

const char *snap_id(struct stasis_message *message)
{
	const struct stasis_message_type *type = stasis_message_type(message);

	n_asked++;
	if (type == text_type())
		return stasis_message_data(message);
	if (type == snap_type() || type == other_type())
		return ((const struct snap *)stasis_message_data(message))->id;
	n_asked_own += type != noise_type();
	return NULL;
}

struct stasis_message *snap_message(struct stasis_message_type *type, const char *id,
				    uint64_t version)
{
	struct snap snap = { .version = version };

	snprintf(snap.id, sizeof(snap.id), "%s", id);
	return stasis_message_create_inline(type, &snap, sizeof(snap));
}

/* --- the diary --- */

static uint64_t version_of(const struct stasis_message *snapshot)
{
	return snapshot != NULL ? ((const struct snap *)stasis_message_data(snapshot))->version : 0;
}

static void note_version(struct diary *diary, const struct stasis_message_type *type,
			 const char *id, const struct stasis_cache_update *update)
{
	size_t i = 0;

	while (i < diary->n_last &&
	       (diary->last[i].type != type || strcmp(diary->last[i].id, id) != 0))
		i++;
	if (i == 64)
		return;
	if (i < diary->n_last)
		diary->n_gaps += diary->last[i].version != version_of(update->old_snapshot);
	else
		diary->n_last++;
	diary->last[i].type = type;
	snprintf(diary->last[i].id, SNAP_ID, "%s", id);
	diary->last[i].version = version_of(update->new_snapshot);
}

static void word_of_version(char *word, size_t size, const struct stasis_message *snapshot)
{
	if (snapshot != NULL)
		snprintf(word, size, "%llu", (unsigned long long)version_of(snapshot));
	else
		snprintf(word, size, "-");
}

static void word_of_update(struct diary *diary, char *word, size_t size,
			   const struct stasis_cache_update *update)
{
	const struct stasis_message *snapshot =
		update->new_snapshot != NULL ? update->new_snapshot : update->old_snapshot;
	const struct snap *snap;
	char old[24], new[24];

	cr_assert_not_null(snapshot, "an update of nothing");
	cr_assert_eq(stasis_message_type(snapshot), update->type);
	snap = stasis_message_data(snapshot);
	if (update->old_snapshot != NULL && update->new_snapshot != NULL) {
		const struct snap *was = stasis_message_data(update->old_snapshot);

		cr_assert_eq(stasis_message_type(update->old_snapshot), update->type);
		cr_assert_str_eq(was->id, snap->id);
	}
	word_of_version(old, sizeof(old), update->old_snapshot);
	word_of_version(new, sizeof(new), update->new_snapshot);
	snprintf(word, size, "%s%s:%s>%s", update->type == other_type() ? "other/" : "", snap->id,
		 old, new);
	note_version(diary, update->type, snap->id, update);
	diary->n_updates++;
}

static void word_of_change(char *word, size_t size, struct stasis_subscription *sub,
			   struct stasis_message *message)
{
	const struct stasis_subscription_change *change = stasis_message_data(message);
	bool own = strcmp(change->uniqueid, stasis_subscription_uniqueid(sub)) == 0;
	bool subscribe = strcmp(change->description, "Subscribe") == 0;
	bool final = stasis_subscription_final_message(sub, message);

	cr_assert_eq(final, own && !subscribe);
	snprintf(word, size, "%s", final ? "F" : subscribe ? (own ? "S" : "s") : "u");
}

void diary_write(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		 struct stasis_message *message)
{
	struct diary *diary = data;
	size_t used = strlen(diary->text);
	char word[SNAP_ID + 64];

	if (stasis_message_type(message) == stasis_cache_update_type())
		word_of_update(diary, word, sizeof(word), stasis_message_data(message));
	else if (stasis_message_type(message) == stasis_subscription_change_type())
		word_of_change(word, sizeof(word), sub, message);
	else
		snprintf(word, sizeof(word), "x");
	snprintf(diary->text + used, sizeof(diary->text) - used, "%s%s", used > 0 ? " " : "", word);
	if (diary->hook != NULL)
		diary->hook(diary, sub, message);
}

void diary_expect(struct diary *diary, const char *text)
{
	cr_assert_str_eq(diary->text, text, "\"%s\" instead of \"%s\"", diary->text, text);
	diary->text[0] = '\0';
}

/* --- the world --- */

struct world world_open(void)
{
	struct world world = {
		.executor = stasis_executor_create(
			&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL }),
		.topic = stasis_topic_create("things"),
		.cache = stasis_cache_create(snap_id),
	};

	cr_assert_not_null(world.executor);
	cr_assert_not_null(world.topic);
	cr_assert_not_null(world.cache);
	world.caching = stasis_caching_topic_create(world.topic, world.cache);
	cr_assert_not_null(world.caching);
	return world;
}

void world_close(struct world *world)
{
	world->caching = stasis_caching_unsubscribe(world->caching);
	world->executor = stasis_executor_shutdown(world->executor);
	world->cache = stasis_object_unref(world->cache);
	world->topic = stasis_object_unref(world->topic);
}

int world_put(struct world *world, struct stasis_message_type *type, const char *id,
	      uint64_t version)
{
	return stasis_publish_take(world->topic, snap_message(type, id, version));
}

int world_clear(struct world *world, struct stasis_message_type *type, const char *id)
{
	struct stasis_message *snapshot = snap_message(type, id, UINT64_MAX);
	struct stasis_message *clear = stasis_cache_clear_create(snapshot);

	stasis_object_unref(snapshot);
	return stasis_publish_take(world->topic, clear);
}

void world_run(struct world *world)
{
	cr_assert_geq(stasis_executor_run(world->executor, SIZE_MAX), 0);
}

struct stasis_subscription *world_watch_with(struct world *world, struct diary *diary,
					     struct stasis_subscribe_options options)
{
	struct stasis_subscription *sub;

	if (options.executor == NULL)
		options.executor = world->executor;
	sub = stasis_subscribe_with(stasis_caching_get_topic(world->caching), diary_write, diary,
				    &options);
	cr_assert_not_null(sub, "%s", strerror(errno));
	world_run(world);
	diary_expect(diary, "S");
	return sub;
}

struct stasis_subscription *world_watch(struct world *world, struct diary *diary)
{
	return world_watch_with(world, diary, (struct stasis_subscribe_options){ 0 });
}

struct stasis_subscription *world_watch_state(struct world *world, struct diary *diary)
{
	struct stasis_subscription *sub = stasis_caching_subscribe_with_state(
		world->caching, diary_write, diary,
		&(struct stasis_subscribe_options){ .executor = world->executor });

	cr_assert_not_null(sub, "%s", strerror(errno));
	return sub;
}

struct stasis_subscription *world_leave(struct world *world, struct stasis_subscription *sub)
{
	stasis_object_ref(sub);
	stasis_unsubscribe(sub);
	world_run(world);
	cr_assert_eq(stasis_subscription_is_done(sub), 1);
	return stasis_object_unref(sub);
}

uint64_t version_in(struct stasis_cache *cache, struct stasis_message_type *type, const char *id)
{
	struct stasis_message *snapshot = stasis_cache_get(cache, type, id);
	uint64_t version = version_of(snapshot);

	stasis_object_unref(snapshot);
	return version;
}

void let_go(void)
{
	/* What is dropped may drop more, after another grace period; most of it twice. */
	for (int i = 0; i < 6; i++)
		sti_rcu_barrier();
}
