/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_FUZZ_WORLD_H
#define STASIS_FUZZ_WORLD_H

/* world.h — every handle that an input has made, beside what the model knows of it
 *
 * An operation calls the library, does the same to the model, and compares what they say. Callbacks
 * compare what they are given with what the model would give (deliver.c). After each operation the
 * statistics of everything are compared (check.c). The first difference ends the program, with the
 * operations so far.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stasis/stasis.h>

#include "input.h"
#include "model.h"

#define W_MESSAGES 16u
#define W_STRINGS 8u
#define W_STRINGS_LONG 3u

struct w_executor {
	struct m_executor m;
	struct stasis_executor *lib; /* NULL: none */
};

struct w_topic {
	struct m_topic m;
	struct stasis_topic *lib; /* also when it is not held; then it is only compared */
	bool held;
};

enum w_action { W_NOTHING, W_LEAVE, W_PUBLISH, W_ASK, W_RUN, W_SYNC, W_ACTIONS };

struct w_sub {
	struct m_sub m;
	struct stasis_subscription *lib;
	struct stasis_message_router *router;
	bool held;   /* a reference for statistics */
	bool handed; /* the caller's reference has been given back */
	bool congested; /* as told */
	uint64_t n_told;
	/* What its callback does when it is called for the nth time. */
	enum w_action action;
	unsigned at;
	struct w_topic *target;
	struct w_sub *other;
	bool running; /* its callback */
};

struct w_forward {
	struct m_forward m;
	struct stasis_forward *lib;
};

struct w_cache {
	struct m_cache m;
	struct stasis_cache *lib;
};

struct w_caching {
	struct m_caching m;
	struct stasis_caching_topic *lib;
};

struct w_channel {
	struct stasis_channel *lib;
	struct m_forward forward;
	struct m_topic *topic;
	struct m_values values;
	struct m_message *last; /* the last snapshot made */
	unsigned n_stages;
	bool changed;
	char uniqueid[16];
};

struct w_message {
	struct stasis_message *lib;
	struct m_message *m;
};

struct world {
	struct input *input;
	struct w_executor executors[M_EXECUTORS];
	struct w_executor *by_default; /* NULL: none */
	/* The first two are those of all channels: snapshots, and how they change. */
	struct w_topic topics[M_TOPICS];
	struct w_sub subs[M_SUBS];
	struct w_forward forwards[M_FORWARDS];
	struct w_cache caches[M_CACHES]; /* the first: of channels */
	struct w_caching cachings[M_CACHINGS]; /* likewise */
	struct w_channel channels[M_CHANNELS];
	struct w_message messages[W_MESSAGES];
	unsigned n_payloads; /* made */
	unsigned n_released;
	unsigned n_channels;

	/* memory */
	bool arm; /* the next operation is to fail at an allocation */
	unsigned fail_at;
	bool armed; /* it may fail now */
	bool failed;
	bool count_lost; /* the operation's result says how many were */
	uint64_t n_lost, n_lost_expected;

	/* callbacks */
	uint64_t n_calls;
	void (*later)(void); /* what the model is to do before the next one */
	struct w_sub *sync_sub;
	const struct m_message *sync_message;
	size_t sync_refused;
	bool sync_own;
	unsigned inside;
};

extern struct world world;
extern struct stasis_message_type *w_types[M_TYPES];
/* What comes from outside: names, ids, texts. */
extern const char *const w_strings[W_STRINGS]; /* one is NULL */
extern const char *const w_strings_long[W_STRINGS_LONG];

/* The data of the target's own messages. */
struct w_payload {
	uint32_t magic;
	unsigned number;
	const char *id;
};

#define W_MAGIC 0x57a515u

/* --- setup.c --- */
void world_begin(struct input *input);
void world_end(void);
/* What the library makes once per process, so that it is not taken for a leak. */
void world_prepare(void);

/* --- check.c --- */
/* Says what was expected, and ends the program. */
_Noreturn void w_fail(const char *file, int line, const char *what, long long got,
		      long long expected);
#define W_TRUE(expr)                                                                              \
	do {                                                                                      \
		if (!(expr))                                                                      \
			w_fail(__FILE__, __LINE__, #expr, 0, 1);                                  \
	} while (0)
#define W_EQUAL(got, expected)                                                                    \
	do {                                                                                      \
		long long got_ = (long long)(got), expected_ = (long long)(expected);             \
		if (got_ != expected_)                                                            \
			w_fail(__FILE__, __LINE__, #got " == " #expected, got_, expected_);       \
	} while (0)
/* The operation that begins, for the report. */
void w_note(const char *operation, unsigned a, unsigned b);
void w_notes_reset(void);
/* Compares all that can be asked. */
void w_check(void);
void w_check_message(const struct m_message *expected, const struct stasis_message *message);
void w_check_values(const struct m_values *values, const struct stasis_channel_snapshot *snapshot);

/* --- memory --- */
/* Between these an allocation fails, if the input says so. */
void w_arm(void);
/* Has it? */
bool w_disarm(void);

/* --- deliver.c --- */
void w_callback(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		struct stasis_message *message);
void w_routed(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
	      struct stasis_message *message);
void w_congestion(void *data, struct stasis_subscription *sub, bool congested);
const char *w_get_id(struct stasis_message *message);

/* --- choices: NULL when there is none --- */
struct w_executor *w_pick_executor(void);
struct w_topic *w_pick_topic(void);
struct w_sub *w_pick_sub(void); /* with a handle */
struct w_message *w_pick_message(void);
struct w_cache *w_pick_cache(void);
struct w_caching *w_pick_caching(void);
struct w_channel *w_pick_channel(void);
struct w_topic *w_topic_of(const struct m_topic *topic);
/* A free place, or NULL. */
struct w_topic *w_free_topic(void);
struct w_message *w_free_message(void);

/* --- operations --- */
typedef void (*w_operation)(void);
extern const w_operation op_bus[], op_publishing[], op_routing[], op_caching[], op_channels[],
	op_odd[];
extern const size_t n_op_bus, n_op_publishing, n_op_routing, n_op_caching, n_op_channels,
	n_op_odd;

/* parts of them, for others and for the end */
void w_unsubscribe(struct w_sub *sub, bool join);
void w_run(struct w_executor *executor, size_t max);
void w_run_all(struct w_executor *executor);
void w_shutdown(struct w_executor *executor);
void w_channel_free(struct w_channel *channel);
struct w_message *w_message_of(struct stasis_message *lib, struct m_message *m);
bool w_options(struct stasis_subscribe_options *options, struct w_sub *sub, bool router);
struct w_sub *w_free_sub(void);
/* In callbacks: publish something to a topic, or to a subscription and wait. */
void w_publish_own(struct w_topic *topic);
void w_sync_own(struct w_sub *sub);
/* A subscription has been made. */
void w_subscribed(struct w_sub *sub, struct stasis_subscription *lib);
void w_publish_result(long long result, size_t refused);
const char *w_string(void);

#endif
