/* SPDX-License-Identifier: BSD-2-Clause */
/* traffic/call.c — see call.h */

#include "call.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#define FIRST_ID 1700000000u

#define N_OF(array) (sizeof(array) / sizeof(*(array)))

/* clang-format off */
#define DIALLING                                                                                   \
	{ CREATE, CALLER, NULL, 0 }, { CALLERID, CALLER, NULL, 0 }, { ACCOUNT, CALLER, NULL, 0 },  \
		{ STATE, CALLER, "Ring", 0 }, { DIALPLAN, CALLER, "from-internal", 1 },            \
		{ VARIABLE, CALLER, "DIRECTION=internal", 0 }, { CREATE, CALLEE, NULL, 0 },        \
		{ CALLERID, CALLEE, NULL, 0 }, { CONNECTED, CALLEE, NULL, 0 },                     \
		{ DIALPLAN, CALLER, "from-internal", 2 }
/* clang-format on */

const struct step call_answered[] = {
	DIALLING,
	{ LANGUAGE, CALLEE, "en", 0 },
	{ STATE, CALLEE, "Ringing", 0 },
	{ CONNECTED, CALLER, NULL, 0 },
	{ STATE, CALLEE, "Up", 0 },
	{ STATE, CALLER, "Up", 0 },
	{ TALK, CALLER, NULL, 0 },
	{ LEFT_OPEN, CALLER, NULL, 0 },
	{ HANGUP, CALLEE, NULL, 16 },
	{ VARIABLE, CALLER, "DIALSTATUS=ANSWER", 0 },
	{ HANGUP, CALLER, NULL, 16 },
	{ END, CALLER, NULL, 0 },
};

const struct step call_busy[] = {
	DIALLING,
	{ STATE, CALLEE, "Busy", 0 },
	{ HANGUP, CALLEE, NULL, 17 },
	{ VARIABLE, CALLER, "DIALSTATUS=BUSY", 0 },
	{ DIALPLAN, CALLER, "voicemail", 1 },
	{ LEFT_OPEN, CALLER, NULL, 0 },
	{ HANGUP, CALLER, NULL, 17 },
	{ END, CALLER, NULL, 0 },
};

const struct step call_no_answer[] = {
	DIALLING,
	{ STATE, CALLEE, "Ringing", 0 },
	{ CONNECTED, CALLER, NULL, 0 },
	{ HANGUP, CALLEE, NULL, 19 },
	{ VARIABLE, CALLER, "DIALSTATUS=NOANSWER", 0 },
	{ LEFT_OPEN, CALLER, NULL, 0 },
	{ HANGUP, CALLER, NULL, 19 },
	{ END, CALLER, NULL, 0 },
};

/* What goes on while people talk. */
static const struct step talking[] = {
	{ VARIABLE, CALLER, "QUALITY=good", 0 }, { VARIABLE, CALLEE, "QUALITY=poor", 0 },
	{ DIALPLAN, CALLEE, "hold-music", 1 },	 { DIALPLAN, CALLEE, "in-call", 1 },
	{ CONNECTED, CALLER, NULL, 0 },		 { VARIABLE, CALLER, "NOTE=\"call back\"", 0 },
};

const struct step *call_talk(unsigned i)
{
	return &talking[i % N_OF(talking)];
}

static const char *const first_names[] = {
	"Alice", "Bob", "Chlo\u00e9", "Dmitri", "Emre", "Fatima", "J\u00fcrgen", "Noor",
};
static const char *const last_names[] = {
	"Adams", "Ba\u015far", "Costa", "D\u00edaz", "Evans", "O\"Neil", "Sato", "Weber",
};

static json_t *event_new(const struct call *call, enum leg leg, const char *event)
{
	char id[64];

	snprintf(id, sizeof(id), "%llu.%llu", FIRST_ID + call->serial / 10, 2 * call->serial + leg);
	return json_pack("{s:s, s:s}", "event", event, "id", id);
}

static void set(json_t *event, const char *key, const char *text)
{
	json_object_set_new(event, key, json_string(text));
}

static void set_extension(json_t *event, const char *key, unsigned extension)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", extension);
	set(event, key, text);
}

static json_t *create_event(const struct call *call, const struct step *step)
{
	json_t *event = event_new(call, step->leg, "create");
	char name[64];

	snprintf(name, sizeof(name), "SIP/%u-%08llx", call->extension[step->leg],
		 2 * call->serial + step->leg);
	set(event, "name", name);
	return event;
}

/* For a connected line it is the other leg that is named. */
static json_t *identity_event(const struct call *call, const struct step *step)
{
	bool connected = step->action == CONNECTED;
	json_t *event = event_new(call, step->leg, connected ? "connected" : "callerid");
	unsigned extension = call->extension[connected ? 1 - step->leg : step->leg];
	char name[64];

	snprintf(name, sizeof(name), "%s %s", first_names[extension % N_OF(first_names)],
		 last_names[extension / N_OF(first_names) % N_OF(last_names)]);
	set(event, "name", name);
	set_extension(event, "number", extension);
	return event;
}

static json_t *dialplan_event(const struct call *call, const struct step *step)
{
	json_t *event = event_new(call, step->leg, "dialplan");

	set(event, "context", step->text);
	set_extension(event, "exten", call->extension[CALLEE]);
	json_object_set_new(event, "priority", json_integer(step->number));
	return event;
}

static json_t *variable_event(const struct call *call, const struct step *step)
{
	json_t *event = event_new(call, step->leg, "variable");
	const char *equals = strchr(step->text, '=');

	json_object_set_new(event, "name", json_stringn(step->text, (size_t)(equals - step->text)));
	set(event, "value", equals + 1);
	return event;
}

static json_t *plain_event(const struct call *call, const struct step *step)
{
	json_t *event;

	switch (step->action) {
	case STATE:
		event = event_new(call, step->leg, "state");
		set(event, "state", step->text);
		return event;
	case ACCOUNT:
		event = event_new(call, step->leg, "account");
		set_extension(event, "account", call->extension[step->leg] / 100);
		return event;
	case LANGUAGE:
		event = event_new(call, step->leg, "language");
		set(event, "language", step->text);
		return event;
	default:
		event = event_new(call, step->leg, "hangup");
		json_object_set_new(event, "cause", json_integer(step->number));
		return event;
	}
}

static json_t *step_event(const struct call *call, const struct step *step)
{
	switch (step->action) {
	case CREATE:
		return create_event(call, step);
	case CALLERID:
	case CONNECTED:
		return identity_event(call, step);
	case DIALPLAN:
		return dialplan_event(call, step);
	case VARIABLE:
		return variable_event(call, step);
	default:
		return plain_event(call, step);
	}
}

size_t call_format(const struct call *call, const struct step *step, char line[CALL_LINE_SIZE])
{
	json_t *event = step_event(call, step);
	size_t size = event != NULL ? json_dumpb(event, line, CALL_LINE_SIZE, JSON_COMPACT) : 0;

	json_decref(event);
	return size < CALL_LINE_SIZE ? size : 0;
}
