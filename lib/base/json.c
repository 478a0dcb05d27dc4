/* SPDX-License-Identifier: BSD-2-Clause */
/* base/json.c — values for JSON forms. See json.h. */

#include "base/json.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define REPLACEMENT_SIZE (sizeof(REPLACEMENT) - 1)

/* The bytes of the well-formed sequence that begins at s, of which a NUL is no part; 0: none does.
 * The second byte decides about overlong forms, surrogates and what is beyond U+10FFFF. */
static size_t sequence_length(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xf0)
		low = 0x90;
	if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	}
	return n;
}

/* Writes s, replaced where it must be, to a buffer of REPLACEMENT_SIZE times its length. Returns
 * the length of what it has written. */
static size_t replace(char *buffer, const char *s)
{
	char *end = buffer;

	while (*s != '\0') {
		size_t n = sequence_length((const unsigned char *)s);

		memcpy(end, n > 0 ? s : REPLACEMENT, n > 0 ? n : REPLACEMENT_SIZE);
		end += n > 0 ? n : REPLACEMENT_SIZE;
		s += n > 0 ? n : 1;
	}
	return (size_t)(end - buffer);
}

/* Out of the way: most strings are valid. */
static STI_COLD json_t *replaced_string(const char *s)
{
	size_t length = strlen(s);
	json_t *value = NULL;
	char *buffer = NULL;

	if (length < SIZE_MAX / REPLACEMENT_SIZE)
		buffer = sti_alloc(length * REPLACEMENT_SIZE + 1);
	if (buffer != NULL)
		value = json_stringn_nocheck(buffer, replace(buffer, s));
	sti_free(buffer);
	return value;
}

json_t *sti_json_string(const char *s)
{
	json_t *value;

	if (s == NULL)
		return json_null();
	value = json_string(s);
	/* Not valid, or no memory, which will show again. */
	return value != NULL ? value : replaced_string(s);
}

int sti_json_set(json_t *object, const char *key, json_t *value)
{
	json_t *valid = sti_json_string(key);
	int result = -1;

	if (valid != NULL)
		result = json_object_set_new_nocheck(object, json_string_value(valid), value);
	else
		json_decref(value);
	json_decref(valid);
	return result;
}

bool sti_json_is_shallow(const json_t *value, unsigned depth)
{
	bool shallow = true;
	const char *key;
	json_t *inner;
	size_t i;

	if (!json_is_array(value) && !json_is_object(value))
		return true;
	if (depth == 0)
		return false;
	json_array_foreach(value, i, inner)
	{
		if (!shallow)
			break;
		shallow = sti_json_is_shallow(inner, depth - 1);
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, inner)
	{
		if (!shallow)
			break;
		shallow = sti_json_is_shallow(inner, depth - 1);
	}
	return shallow;
}

json_t *sti_json_time(const struct timeval *time)
{
	char text[96]; /* room for what ints could be */
	struct tm tm;

	if (gmtime_r(&time->tv_sec, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year >= 8100)
		return json_null();
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03d+00:00", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (int)(time->tv_usec / 1000));
	return json_string_nocheck(text);
}
