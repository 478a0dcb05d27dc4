/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_MONITOR_EVENT_H
#define EXAMPLES_MONITOR_EVENT_H

/* monitor/event.h — what a line of input says
 *
 * A JSON object with a member "event", a member "id" (not empty), and:
 *
 *   create    name (not empty)
 *   state     state, as stasis_channel_state_name() has it
 *   callerid  name, number
 *   connected name, number
 *   account   account
 *   language  language
 *   dialplan  context, exten, priority (an integer, not negative)
 *   variable  name (not empty), value
 *   hangup    cause (an integer, not negative)
 *
 * All but priority and cause are strings. Other members are left aside.
 */

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include <stasis/channel.h>

#define EVENT_REASON_MAX 256u

enum event_kind {
	EVENT_CREATE,
	EVENT_STATE,
	EVENT_CALLERID,
	EVENT_CONNECTED,
	EVENT_ACCOUNT,
	EVENT_LANGUAGE,
	EVENT_DIALPLAN,
	EVENT_VARIABLE,
	EVENT_HANGUP,
};

/* What is not of the kind is NULL or 0. Strings belong to the JSON value. */
struct event {
	json_t *json;
	enum event_kind kind;
	const char *id;
	const char *name; /* of the channel, of a person, of a variable */
	const char *text; /* the number, account, language, value */
	const char *context, *exten;
	int number; /* priority, cause */
	enum stasis_channel_state state;
};

/* False when the line is wrong; the reason then says why, in printable characters. */
bool event_parse(struct event *event, const char *line, size_t size, char reason[EVENT_REASON_MAX]);
void event_deinit(struct event *event);

#endif
