/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor/updates.c — see updates.h */

#include "updates.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include <jansson.h>

#include <stasis/channel.h>

#include "text.h"

static const char *const change_names[] = {
	[CHANGE_CREATED] = "created",	[CHANGE_STATE] = "state",
	[CHANGE_CALLER] = "caller",	[CHANGE_CONNECTED] = "connected",
	[CHANGE_ACCOUNT] = "account",	[CHANGE_LANGUAGE] = "language",
	[CHANGE_DIALPLAN] = "dialplan", [CHANGE_HANGUP] = "hangup",
	[CHANGE_GONE] = "gone",
};

_Static_assert(sizeof(change_names) / sizeof(*change_names) == N_CHANGES, "a name for each");

const char *change_name(enum change change)
{
	return change_names[change];
}

void updates_failed(struct updates *updates)
{
	int none = 0, error = errno != 0 ? errno : EIO;

	/* Relaxed: the number is all there is to it. */
	atomic_compare_exchange_strong_explicit(&updates->error, &none, error, memory_order_relaxed,
						memory_order_relaxed);
	eventfd_write(updates->stop, 1);
}

/* --- what has changed ------------------------------------------------------------------------- */

static bool differ(const char *a, const char *b)
{
	return strcmp(a, b) != 0;
}

/* A bit for each change. */
static unsigned compare(const struct stasis_channel_snapshot *old,
			const struct stasis_channel_snapshot *new)
{
	unsigned changes = 0;

	if (old == NULL)
		return 1u << CHANGE_CREATED;
	if (new == NULL)
		return 1u << CHANGE_GONE;
	if (old->state != new->state)
		changes |= 1u << CHANGE_STATE;
	if (differ(old->caller_name, new->caller_name) ||
	    differ(old->caller_number, new->caller_number))
		changes |= 1u << CHANGE_CALLER;
	if (differ(old->connected_name, new->connected_name) ||
	    differ(old->connected_number, new->connected_number))
		changes |= 1u << CHANGE_CONNECTED;
	if (differ(old->accountcode, new->accountcode))
		changes |= 1u << CHANGE_ACCOUNT;
	if (differ(old->language, new->language))
		changes |= 1u << CHANGE_LANGUAGE;
	if (differ(old->context, new->context) || differ(old->exten, new->exten) ||
	    old->priority != new->priority)
		changes |= 1u << CHANGE_DIALPLAN;
	if (old->hangupcause != new->hangupcause)
		changes |= 1u << CHANGE_HANGUP;
	return changes;
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_identity(const char *what, const char *name, const char *number)
{
	printf("%s \"", what);
	text_print(stdout, name);
	fputs("\" <", stdout);
	text_print(stdout, number);
	putchar('>');
}

static void print_word(const char *what, const char *word)
{
	printf("%s ", what);
	text_print(stdout, word);
}

static void print_position(const struct stasis_channel_snapshot *snapshot)
{
	print_word("dialplan", snapshot->context);
	putchar(',');
	text_print(stdout, snapshot->exten);
	printf(",%d", snapshot->priority);
}

static void print_change(enum change change, const struct stasis_channel_snapshot *old,
			 const struct stasis_channel_snapshot *new)
{
	switch (change) {
	case CHANGE_CREATED:
		printf("created, %s", stasis_channel_state_name(new->state));
		break;
	case CHANGE_STATE:
		printf("%s, was %s", stasis_channel_state_name(new->state),
		       stasis_channel_state_name(old->state));
		break;
	case CHANGE_CALLER:
		print_identity("caller", new->caller_name, new->caller_number);
		break;
	case CHANGE_CONNECTED:
		print_identity("connected to", new->connected_name, new->connected_number);
		break;
	case CHANGE_ACCOUNT:
		print_word("account", new->accountcode);
		break;
	case CHANGE_LANGUAGE:
		print_word("language", new->language);
		break;
	case CHANGE_DIALPLAN:
		print_position(new);
		break;
	case CHANGE_HANGUP:
		printf("hangup cause %d", new->hangupcause);
		break;
	case CHANGE_GONE:
		printf("gone, was %s", stasis_channel_state_name(old->state));
		break;
	case N_CHANGES:
		break;
	}
}

/* "12:34:56.789 1700000000.1 SIP/1-1 ", without a colon: names may have some. */
static void print_head(struct updates *updates, const struct stasis_message *message,
		       const struct stasis_channel_snapshot *snapshot)
{
	const struct timeval *time = stasis_message_timestamp(message);
	struct tm tm;

	if (time->tv_sec != updates->second) {
		updates->second = time->tv_sec;
		localtime_r(&updates->second, &tm);
		strftime(updates->clock, sizeof(updates->clock), "%H:%M:%S", &tm);
	}
	printf("%s.%03d ", updates->clock, (int)(time->tv_usec / 1000));
	text_print(stdout, snapshot->uniqueid);
	putchar(' ');
	text_print(stdout, snapshot->name);
	putchar(' ');
}

static void print_json(struct updates *updates, struct stasis_message *message)
{
	json_t *json = stasis_message_to_json(message);

	if (json == NULL || json_dumpf(json, stdout, JSON_COMPACT) != 0)
		updates_failed(updates);
	putchar('\n');
	json_decref(json);
}

static void print_update(struct updates *updates, struct stasis_message *message,
			 const struct stasis_channel_snapshot *old,
			 const struct stasis_channel_snapshot *new, unsigned changes)
{
	const char *between = "";

	print_head(updates, message, new != NULL ? new : old);
	for (unsigned i = 0; i < N_CHANGES; i++) {
		if (changes & 1u << i) {
			fputs(between, stdout);
			between = ", ";
			print_change((enum change)i, old, new);
		}
	}
	putchar('\n');
}

static void print_variable(struct updates *updates, struct stasis_message *message,
			   const struct stasis_channel_blob *blob)
{
	print_head(updates, message, blob->snapshot);
	print_word("variable", json_string_value(json_object_get(blob->blob, "name")));
	putchar('=');
	text_print(stdout, json_string_value(json_object_get(blob->blob, "value")));
	putchar('\n');
}

/* --- callbacks -------------------------------------------------------------------------------- */

static bool is_printing(const struct updates *updates)
{
	/* Relaxed: a line too many does no harm. */
	return options_want_updates(updates->options) &&
	       atomic_load_explicit(&updates->error, memory_order_relaxed) == 0;
}

static const struct stasis_channel_snapshot *snapshot_of(const struct stasis_message *message)
{
	return message != NULL ? stasis_message_data(message) : NULL;
}

static void on_update(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		      struct stasis_message *message)
{
	struct updates *updates = data;
	const struct stasis_cache_update *update = stasis_message_data(message);
	const struct stasis_channel_snapshot *old = snapshot_of(update->old_snapshot);
	const struct stasis_channel_snapshot *new = snapshot_of(update->new_snapshot);
	unsigned changes = compare(old, new);

	updates->seen++;
	for (unsigned i = 0; i < N_CHANGES; i++)
		updates->changes[i] += changes >> i & 1u;
	if (!is_printing(updates))
		return;
	if (updates->options->json)
		print_json(updates, message);
	else
		print_update(updates, message, old, new, changes);
	if (ferror(stdout))
		updates_failed(updates);
}

static void on_variable(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			struct stasis_message *message)
{
	struct updates *updates = data;

	updates->variables++;
	if (!is_printing(updates))
		return;
	if (updates->options->json)
		print_json(updates, message);
	else
		print_variable(updates, message, stasis_message_data(message));
	if (ferror(stdout))
		updates_failed(updates);
}

/* --- life ------------------------------------------------------------------------------------- */

static int open_router(struct updates *updates, struct stasis_message_type *variable_type)
{
	const struct stasis_subscribe_options options = {
		.size = sizeof(options),
		.executor = updates->executor,
	};
	int error;

	updates->router = stasis_message_router_create_with(updates->topic, &options);
	if (updates->router == NULL)
		return -errno;
	error = stasis_message_router_add_cache_update(updates->router,
						       stasis_channel_snapshot_type(), on_update,
						       updates);
	if (error != 0)
		return error;
	return stasis_message_router_add(updates->router, variable_type, on_variable, updates);
}

int updates_open(struct updates *updates, const struct options *options, int stop,
		 struct stasis_message_type *variable_type)
{
	const struct stasis_executor_options executor_options = {
		.size = sizeof(executor_options),
		.threads = 1,
		.name = "updates",
	};
	struct stasis_caching_topic *caching = stasis_channel_topic_all_cached();
	int error;

	*updates = (struct updates){ .options = options, .stop = stop, .second = -1 };
	if (caching == NULL)
		return -errno;
	updates->executor = stasis_executor_create(&executor_options);
	updates->topic = stasis_topic_create("channel-monitor");
	if (updates->executor == NULL || updates->topic == NULL)
		return -errno;
	error = open_router(updates, variable_type);
	if (error != 0)
		return error;
	/* Changes of what is cached, and, as they are, messages that are not. */
	updates->cached = stasis_forward_all(stasis_caching_get_topic(caching), updates->topic);
	updates->all = stasis_forward_all(stasis_channel_topic_all(), updates->topic);
	return updates->cached != NULL && updates->all != NULL ? 0 : -errno;
}

int updates_flush(struct updates *updates)
{
	int error = stasis_executor_drain(updates->executor);

	if (fflush(stdout) != 0)
		updates_failed(updates);
	return error;
}

void updates_close(struct updates *updates)
{
	updates->cached = stasis_forward_cancel(updates->cached);
	updates->all = stasis_forward_cancel(updates->all);
	updates->router = stasis_message_router_unsubscribe_and_join(updates->router);
	updates->executor = stasis_executor_shutdown(updates->executor);
	updates->topic = stasis_object_unref(updates->topic);
}
