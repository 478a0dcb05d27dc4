/* SPDX-License-Identifier: BSD-2-Clause */
/* setup.c — the beginning and the end of a world, and choices among what is in it */

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "faulty.h"
#include "grace.h"
#include "plant.h"
#include "world.h"

#define NAME_HUGE 65537u

struct world world;
unsigned w_planted;
struct stasis_message_type *w_types[M_TYPES];

static char name_huge[NAME_HUGE];
static char id_longest[STASIS_CACHE_ID_MAX + 1];
static char id_too_long[STASIS_CACHE_ID_MAX + 2];

/* Also what is no UTF-8, or a format. */
const char *const w_strings[W_STRINGS] = {
	NULL, "a", "", "b", "%s%n%x", "\xff\xfe\xc0\x80", "c", "d",
};
const char *const w_strings_long[W_STRINGS_LONG] = { name_huge, id_longest, id_too_long };

static int64_t baseline;

/* --- choices --- */

static unsigned from(unsigned n)
{
	return input_below(world.input, n);
}

struct w_executor *w_pick_executor(void)
{
	struct w_executor *executor = &world.executors[from(M_EXECUTORS)];

	return executor->lib != NULL ? executor : NULL;
}

/* The next one that is there: more likely to be of use than none. */
struct w_topic *w_pick_topic(void)
{
	unsigned first = from(M_TOPICS);

	for (unsigned i = 0; i < M_TOPICS; i++) {
		struct w_topic *topic = &world.topics[(first + i) % M_TOPICS];

		if (topic->held)
			return topic;
	}
	return NULL;
}

struct w_sub *w_pick_sub(void)
{
	unsigned first = from(M_SUBS);

	for (unsigned i = 0; i < M_SUBS; i++) {
		struct w_sub *sub = &world.subs[(first + i) % M_SUBS];

		if (sub->m.used && sub->held && !sub->m.router)
			return sub;
	}
	return NULL;
}

struct w_message *w_pick_message(void)
{
	unsigned first = from(W_MESSAGES);

	for (unsigned i = 0; i < W_MESSAGES; i++) {
		struct w_message *message = &world.messages[(first + i) % W_MESSAGES];

		if (message->lib != NULL)
			return message;
	}
	return NULL;
}

struct w_cache *w_pick_cache(void)
{
	struct w_cache *cache = &world.caches[from(M_CACHES)];

	return cache->lib != NULL ? cache : NULL;
}

struct w_caching *w_pick_caching(void)
{
	struct w_caching *caching = &world.cachings[from(M_CACHINGS)];

	return caching->lib != NULL ? caching : NULL;
}

struct w_channel *w_pick_channel(void)
{
	struct w_channel *channel = &world.channels[from(M_CHANNELS)];

	return channel->lib != NULL ? channel : NULL;
}

struct w_topic *w_topic_of(const struct m_topic *topic)
{
	return (struct w_topic *)(uintptr_t)topic;
}

struct w_topic *w_free_topic(void)
{
	for (unsigned i = 0; i < M_TOPICS; i++) {
		if (world.topics[i].lib == NULL)
			return &world.topics[i];
	}
	return NULL;
}

struct w_message *w_free_message(void)
{
	for (unsigned i = 0; i < W_MESSAGES; i++) {
		if (world.messages[i].lib == NULL)
			return &world.messages[i];
	}
	return NULL;
}

struct w_sub *w_free_sub(void)
{
	for (unsigned i = 0; i < M_SUBS; i++) {
		if (!world.subs[i].m.used)
			return &world.subs[i];
	}
	return NULL;
}

/* --- the beginning --- */

static json_t *payload_to_json(const struct stasis_message *message)
{
	const struct w_payload *payload = stasis_message_data(message);

	return json_pack("{s:i}", "number", (int)payload->number);
}

static void make_types(void)
{
	const struct stasis_message_vtable vtable = { .to_json = payload_to_json };

	w_types[0] = stasis_message_type_create_with("own", &vtable);
	for (unsigned i = 1; i < M_TYPES_OWN; i++)
		w_types[i] = stasis_message_type_create("%s");
	w_types[M_TYPE_BLOB] = stasis_channel_blob_type_create("blob");
	w_types[M_TYPE_MULTI] = stasis_multi_channel_blob_type_create("multi");
	w_types[M_TYPE_CHANGE] = stasis_subscription_change_type();
	w_types[M_TYPE_UPDATE] = stasis_cache_update_type();
	w_types[M_TYPE_CLEAR] = stasis_cache_clear_type();
	w_types[M_TYPE_SNAPSHOT] = stasis_channel_snapshot_type();
}

static void let_go(void)
{
	while (fuzz_grace())
		continue;
}

static void fill(char *text, size_t size)
{
	memset(text, 'x', size - 1);
	text[size - 1] = '\0';
}

void world_prepare(void)
{
	const char *plant = getenv("FUZZ_PLANT");
	struct stasis_channel *channel;

	w_planted = plant != NULL ? (unsigned)atoi(plant) : 0;
	faulty_install();
	fill(name_huge, sizeof(name_huge));
	fill(id_longest, sizeof(id_longest));
	fill(id_too_long, sizeof(id_too_long));
	make_types();
	/* This thread's records, and a table with something in it. */
	channel = stasis_channel_create("first", "first");
	stasis_object_unref(channel);
	let_go();
	baseline = faulty_outstanding();
}

static void topic_adopt(struct w_topic *topic, struct stasis_topic *lib)
{
	struct stasis_stats stats = { .size = sizeof(stats) };

	memset(topic, 0, sizeof(*topic));
	topic->lib = lib;
	topic->held = true;
	topic->m.used = true;
	topic->m.name = stasis_topic_name(lib);
	W_EQUAL(stasis_stats_read(lib, &stats), 0);
	topic->m.published = stats.published;
}

void world_begin(struct input *input)
{
	const struct stasis_executor_options manual = { .wait = STASIS_WAIT_MANUAL };
	struct w_caching *caching = &world.cachings[0];

	memset(&world, 0, sizeof(world));
	world.input = input;
	w_notes_reset();
	/* Channels are the process's. */
	topic_adopt(&world.topics[0], stasis_object_ref(stasis_channel_topic_all()));
	caching->lib = stasis_object_ref(stasis_channel_topic_all_cached());
	topic_adopt(&world.topics[1], stasis_object_ref(stasis_caching_get_topic(caching->lib)));
	world.caches[0].lib = stasis_object_ref(stasis_channel_cache());
	world.caches[0].m.channels = true;
	caching->m.used = true;
	caching->m.cache = &world.caches[0].m;
	caching->m.topic = &world.topics[1].m;
	m_forward(&caching->m.forward, &world.topics[0].m, NULL, &caching->m);
	for (unsigned i = 0; i < 2; i++) {
		world.executors[i].lib = stasis_executor_create(&manual);
		W_TRUE(world.executors[i].lib != NULL);
		world.executors[i].m.used = true;
		/* From now on this thread is the one that runs it, and never waits. */
		W_EQUAL(stasis_executor_run(world.executors[i].lib, 1), 0);
	}
	W_EQUAL(stasis_executor_set_default(world.executors[0].lib), 0);
	world.by_default = &world.executors[0];
}

/* --- the end --- */

static void end_subs(void)
{
	for (unsigned i = 0; i < M_SUBS; i++) {
		struct w_sub *sub = &world.subs[i];

		if (sub->m.used && !sub->m.ended)
			w_unsubscribe(sub, false);
	}
}

static void end_executors(void)
{
	W_EQUAL(stasis_executor_set_default(NULL), 0);
	world.by_default = NULL;
	for (unsigned i = 0; i < M_EXECUTORS; i++) {
		struct w_executor *executor = &world.executors[i];

		if (executor->lib != NULL && !executor->m.closed)
			w_shutdown(executor);
	}
	w_check();
	for (unsigned i = 0; i < M_SUBS; i++) {
		struct m_sub *m = &world.subs[i].m;

		/* The only way out is the final message; a router's may have had no route. */
		W_TRUE(!m->used || m->done || m->router);
	}
}

static void drop_all(void)
{
	for (unsigned i = 0; i < M_SUBS; i++) {
		struct w_sub *sub = &world.subs[i];

		if (sub->held)
			stasis_object_unref(sub->lib);
		if (sub->m.used && !sub->handed && sub->router == NULL)
			stasis_object_unref(sub->lib);
		m_sub_free(&sub->m);
	}
	for (unsigned i = 0; i < M_FORWARDS; i++) {
		if (world.forwards[i].lib != NULL)
			stasis_forward_cancel(world.forwards[i].lib);
	}
	for (unsigned i = 0; i < W_MESSAGES; i++)
		stasis_object_unref(world.messages[i].lib);
	stasis_object_unref(world.cachings[0].lib);
	for (unsigned i = 1; i < M_CACHINGS; i++) {
		if (world.cachings[i].lib != NULL)
			stasis_caching_unsubscribe(world.cachings[i].lib);
	}
	for (unsigned i = 0; i < M_CACHES; i++)
		stasis_object_unref(world.caches[i].lib);
	for (unsigned i = 0; i < M_TOPICS; i++) {
		if (world.topics[i].held)
			stasis_object_unref(world.topics[i].lib);
	}
	for (unsigned i = 0; i < M_EXECUTORS; i++)
		stasis_object_unref(world.executors[i].lib);
}

void world_end(void)
{
	faulty_disarm();
	world.arm = false;
	w_note("end", 0, 0);
	for (unsigned i = 0; i < M_CHANNELS; i++) {
		if (world.channels[i].lib != NULL)
			w_channel_free(&world.channels[i]);
	}
	end_subs();
	end_executors();
	drop_all();
	let_go();
	W_EQUAL(world.n_released, world.n_payloads);
	W_EQUAL(faulty_outstanding(), baseline);
	m_reset();
}
