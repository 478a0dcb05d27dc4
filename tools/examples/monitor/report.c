/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor/report.c — see report.h */

#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <stasis/channel.h>
#include <stasis/stasis.h>

#define N_STATES (STASIS_CHANNEL_PRERING + 1)

struct tally {
	uint64_t states[N_STATES];
	uint64_t channels;
};

static struct stasis_message **dump_cache(size_t *np)
{
	return stasis_cache_dump(stasis_channel_cache(), stasis_channel_snapshot_type(), np);
}

static const struct stasis_channel_snapshot *snapshot_at(const void *element)
{
	return stasis_message_data(*(struct stasis_message *const *)element);
}

/* 9 comes before 10. */
static int compare_ids(const void *a, const void *b)
{
	return strverscmp(snapshot_at(a)->uniqueid, snapshot_at(b)->uniqueid);
}

int report_dump(void)
{
	size_t n;
	struct stasis_message **dump = dump_cache(&n);
	int error = 0;

	if (dump == NULL)
		return -errno;
	qsort(dump, n, sizeof(*dump), compare_ids);
	for (size_t i = 0; i < n && error == 0; i++) {
		json_t *json = stasis_channel_snapshot_to_json(snapshot_at(&dump[i]));

		if (json == NULL)
			error = -ENOMEM;
		else if (json_dumpf(json, stdout, JSON_COMPACT) == 0)
			putchar('\n');
		json_decref(json);
	}
	stasis_cache_dump_free(dump, n);
	return error;
}

static int count_states(struct tally *tally)
{
	size_t n;
	struct stasis_message **dump = dump_cache(&n);

	*tally = (struct tally){ 0 };
	if (dump == NULL)
		return -errno;
	for (size_t i = 0; i < n; i++)
		tally->states[snapshot_at(&dump[i])->state]++;
	tally->channels = n;
	stasis_cache_dump_free(dump, n);
	return 0;
}

/* --- for people ------------------------------------------------------------------------------- */

static void print_row(const char *what, uint64_t n)
{
	printf("%-20s %12" PRIu64 "\n", what, n);
}

static void print_summary(const struct monitor *monitor, const struct tally *tally)
{
	char what[32];

	for (unsigned i = 0; i < N_STATES; i++) {
		if (tally->states[i] > 0)
			print_row(stasis_channel_state_name((enum stasis_channel_state)i),
				  tally->states[i]);
	}
	print_row("channels", tally->channels);
	putchar('\n');
	print_row("events", monitor->events);
	print_row("channels created", monitor->channels.created);
	print_row("channels hung up", monitor->channels.hung_up);
	print_row("variables seen", monitor->updates.variables);
	print_row("updates seen", monitor->updates.seen);
	for (unsigned i = 0; i < N_CHANGES; i++) {
		snprintf(what, sizeof(what), "  %s", change_name((enum change)i));
		print_row(what, monitor->updates.changes[i]);
	}
	print_row("bad lines", monitor->bad);
}

/* --- as JSON ---------------------------------------------------------------------------------- */

static bool set_number(json_t *json, const char *key, uint64_t n)
{
	return json_object_set_new(json, key, json_integer((json_int_t)n)) == 0;
}

static bool set_numbers(json_t *json, const struct monitor *monitor, const struct tally *tally)
{
	json_t *states = json_object_get(json, "states");
	json_t *changes = json_object_get(json, "changes");
	bool good = true;

	for (unsigned i = 0; i < N_STATES; i++) {
		if (tally->states[i] > 0)
			good &= set_number(states,
					   stasis_channel_state_name((enum stasis_channel_state)i),
					   tally->states[i]);
	}
	for (unsigned i = 0; i < N_CHANGES; i++)
		good &= set_number(changes, change_name((enum change)i),
				   monitor->updates.changes[i]);
	good &= set_number(json, "channels", tally->channels);
	good &= set_number(json, "events", monitor->events);
	good &= set_number(json, "created", monitor->channels.created);
	good &= set_number(json, "hung_up", monitor->channels.hung_up);
	good &= set_number(json, "variables", monitor->updates.variables);
	good &= set_number(json, "updates", monitor->updates.seen);
	return good & set_number(json, "bad", monitor->bad);
}

static int print_summary_json(const struct monitor *monitor, const struct tally *tally)
{
	json_t *json = json_pack("{s:{}, s:{}}", "states", "changes");
	int error = -ENOMEM;

	if (json != NULL && set_numbers(json, monitor, tally)) {
		error = 0;
		if (json_dumpf(json, stdout, JSON_COMPACT) == 0)
			putchar('\n');
	}
	json_decref(json);
	return error;
}

int report_summary(const struct monitor *monitor)
{
	struct tally tally;
	int error = count_states(&tally);

	if (error != 0)
		return error;
	if (monitor->options.json)
		return print_summary_json(monitor, &tally);
	print_summary(monitor, &tally);
	return 0;
}
