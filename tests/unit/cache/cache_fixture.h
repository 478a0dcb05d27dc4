/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_CACHE_FIXTURE_H
#define STASIS_TESTS_CACHE_FIXTURE_H

/* cache_fixture.h — a topic, a cache and a caching topic; snapshots; and a diary of updates
 *
 * Subscriptions run in the test's own thread (STASIS_WAIT_MANUAL), so callbacks may assert and
 * every order is the test's. A diary is a text, one word per message, for instance
 *   "S a:->1 a:1>2 other/a:->3 a:2>- F"
 * S and F are the subscription's own beginning and end, s and u those of others, OLD>NEW the
 * versions of the snapshots of an update, - no snapshot, and x any other message.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <stasis/stasis.h>

#define SNAP_ID 40
#define DIARY_TEXT 4096

/* The data of messages of snap_type() and other_type(). */
struct snap {
	char id[SNAP_ID];
	uint64_t version; /* not 0 */
};

/* Made at the first call. */
struct stasis_message_type *snap_type(void);
struct stasis_message_type *other_type(void);
struct stasis_message_type *text_type(void);  /* the data is the id */
struct stasis_message_type *noise_type(void); /* no snapshots */

/* Tells the ids of all of them, and counts how often it is asked. */
const char *snap_id(struct stasis_message *message);
extern size_t n_asked;
extern size_t n_asked_own; /* about messages of the library's */

struct stasis_message *snap_message(struct stasis_message_type *type, const char *id,
				    uint64_t version);

struct diary;
typedef void (*diary_hook)(struct diary *diary, struct stasis_subscription *sub,
			   struct stasis_message *message);

struct diary {
	/* before subscribing */
	diary_hook hook; /* called last in every callback */
	void *user;

	/* written by callbacks */
	char text[DIARY_TEXT];
	size_t n_updates;
	size_t n_gaps; /* updates whose old snapshot is not the new one before, of up to 64 ids */
	struct {
		char id[SNAP_ID];
		const struct stasis_message_type *type;
		uint64_t version;
	} last[64];
	size_t n_last;
};

void diary_write(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		 struct stasis_message *message);

/* Compares, and begins a new page. */
void diary_expect(struct diary *diary, const char *text);

struct world {
	struct stasis_executor *executor;
	struct stasis_topic *topic;
	struct stasis_cache *cache;
	struct stasis_caching_topic *caching;
};

struct world world_open(void);
/* Runs what is left, then gives everything back. */
void world_close(struct world *world);

/* Publish on the original topic. The result is the publish's. */
int world_put(struct world *world, struct stasis_message_type *type, const char *id,
	      uint64_t version);
int world_clear(struct world *world, struct stasis_message_type *type, const char *id);

void world_run(struct world *world);

/* Subscribes a diary to the updates; sees the beginning. */
struct stasis_subscription *world_watch(struct world *world, struct diary *diary);
struct stasis_subscription *world_watch_with(struct world *world, struct diary *diary,
					     struct stasis_subscribe_options options);
struct stasis_subscription *world_watch_state(struct world *world, struct diary *diary);

/* Unsubscribes and sees the final message. Returns NULL. */
struct stasis_subscription *world_leave(struct world *world, struct stasis_subscription *sub);

/* The version in a cache; 0: none. */
uint64_t version_in(struct stasis_cache *cache, struct stasis_message_type *type, const char *id);

/* Waits until everything that was to be dropped after a while has been. */
void let_go(void);

#endif
