/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_JSON_H
#define STI_BASE_JSON_H

/* base/json.h — values that every JSON form of the library is made of
 *
 * jansson takes its memory from the C library, or from where the program has told it to
 * (json_set_alloc_funcs()): not through base/alloc.h.
 */

#include <stdbool.h>
#include <sys/time.h>

#include <jansson.h>

#include "base/compiler.h"

/* A JSON string, which is always valid UTF-8: each byte of s that is not part of a well-formed
 * sequence is replaced by U+FFFD. NULL becomes null. A new value; NULL when there is no memory. */
STI_NODISCARD json_t *sti_json_string(const char *s);

/* Sets a member of an object; the key may be any bytes, as above. Consumes the value, also on
 * failure; NULL is one. 0 or -1. */
STI_NODISCARD int sti_json_set(json_t *object, const char *key, json_t *value);

/* Is a value no deeper than so many arrays and objects inside each other? What contains itself is
 * not. Recursion: one call per level, up to there. */
bool sti_json_is_shallow(const json_t *value, unsigned depth);

/* A time as ISO 8601 in UTC with milliseconds and zone: "2013-04-05T06:07:08.091+00:00"; null for a
 * year that has no four digits. A new value; NULL when there is no memory. */
STI_NODISCARD json_t *sti_json_time(const struct timeval *time);

#endif
