/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor/event.c — see event.h */

#include "event.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIELDS_MAX 3u

struct field {
	const char *key;
	bool is_integer;
	bool may_be_empty;
	size_t offset; /* in struct event, of a const char * or an int */
};

struct form {
	const char *name;
	struct field fields[FIELDS_MAX];
};

/* clang-format off */
#define NAME(member) { #member, false, false, offsetof(struct event, name) }
#define TEXT(key, member) { key, false, true, offsetof(struct event, member) }
#define INTEGER(key) { key, true, false, offsetof(struct event, number) }

static const struct form forms[] = {
	[EVENT_CREATE] = { "create", { NAME(name) } },
	[EVENT_STATE] = { "state", { TEXT("state", text) } },
	[EVENT_CALLERID] = { "callerid", { TEXT("name", name), TEXT("number", text) } },
	[EVENT_CONNECTED] = { "connected", { TEXT("name", name), TEXT("number", text) } },
	[EVENT_ACCOUNT] = { "account", { TEXT("account", text) } },
	[EVENT_LANGUAGE] = { "language", { TEXT("language", text) } },
	[EVENT_DIALPLAN] = { "dialplan", { TEXT("context", context), TEXT("exten", exten),
					   INTEGER("priority") } },
	[EVENT_VARIABLE] = { "variable", { NAME(name), TEXT("value", text) } },
	[EVENT_HANGUP] = { "hangup", { INTEGER("cause") } },
};
/* clang-format on */

#define N_FORMS (sizeof(forms) / sizeof(*forms))

static const struct field id_field = { "id", false, false, offsetof(struct event, id) };

__attribute__((format(printf, 2, 3))) static bool wrong(char reason[EVENT_REASON_MAX],
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, EVENT_REASON_MAX, format, args);
	va_end(args);
	/* It may quote the line, and goes to a terminal. */
	for (char *at = reason; *at != '\0'; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
	return false;
}

static bool parse_integer(struct event *event, const struct field *field, const json_t *value,
			  char *reason)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value))
		return wrong(reason, "\"%s\" is not an integer", field->key);
	if (number < 0 || number > INT_MAX)
		return wrong(reason, "\"%s\" is not between 0 and %d", field->key, INT_MAX);
	*(int *)((char *)event + field->offset) = (int)number;
	return true;
}

static bool parse_string(struct event *event, const struct field *field, const json_t *value,
			 char *reason)
{
	if (!json_is_string(value))
		return wrong(reason, "\"%s\" is not a string", field->key);
	if (!field->may_be_empty && json_string_length(value) == 0)
		return wrong(reason, "\"%s\" is empty", field->key);
	*(const char **)((char *)event + field->offset) = json_string_value(value);
	return true;
}

static bool parse_field(struct event *event, const struct field *field, char *reason)
{
	const json_t *value = json_object_get(event->json, field->key);

	if (value == NULL)
		return wrong(reason, "no \"%s\"", field->key);
	return field->is_integer ? parse_integer(event, field, value, reason) :
				   parse_string(event, field, value, reason);
}

static bool parse_kind(struct event *event, char *reason)
{
	const json_t *value = json_object_get(event->json, "event");

	if (value == NULL)
		return wrong(reason, "no \"event\"");
	if (!json_is_string(value))
		return wrong(reason, "\"event\" is not a string");
	for (size_t i = 0; i < N_FORMS; i++) {
		if (strcmp(json_string_value(value), forms[i].name) == 0) {
			event->kind = (enum event_kind)i;
			return true;
		}
	}
	return wrong(reason, "unknown event \"%s\"", json_string_value(value));
}

static bool parse_members(struct event *event, char *reason)
{
	const struct field *fields;

	if (!parse_kind(event, reason) || !parse_field(event, &id_field, reason))
		return false;
	fields = forms[event->kind].fields;
	for (size_t i = 0; i < FIELDS_MAX && fields[i].key != NULL; i++) {
		if (!parse_field(event, &fields[i], reason))
			return false;
	}
	if (event->kind == EVENT_STATE &&
	    stasis_channel_state_from_name(event->text, &event->state) != 0)
		return wrong(reason, "unknown state \"%s\"", event->text);
	return true;
}

bool event_parse(struct event *event, const char *line, size_t size, char reason[EVENT_REASON_MAX])
{
	json_error_t error;

	*event = (struct event){ 0 };
	/* Named here, because to the parser they are white space gone wrong. */
	if (memchr(line, '\0', size) != NULL)
		return wrong(reason, "a NUL byte");
	event->json = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
	if (event->json == NULL)
		return wrong(reason, "not JSON: %s, at column %d", error.text, error.column);
	if (!json_is_object(event->json)) {
		event_deinit(event);
		return wrong(reason, "not a JSON object");
	}
	if (!parse_members(event, reason)) {
		event_deinit(event);
		return false;
	}
	return true;
}

void event_deinit(struct event *event)
{
	json_decref(event->json);
	event->json = NULL;
}
