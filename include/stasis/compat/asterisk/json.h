/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_COMPAT_JSON_H
#define STASIS_COMPAT_JSON_H

/* asterisk/json.h — JSON values by their older names
 *
 * Overview   A struct ast_json is a value of jansson by another name, and may be given to jansson's
 *            functions as well. Programs that call what is here link jansson (pkg-config
 *            stasis-compat does so).
 * Ownership  Where a function creates a value, the caller gets one reference. A value that is put
 *            into an object or array is given away, on failure too. One that is looked up is
 *            borrowed from where it was found. Strings are copied going in, and borrowed coming
 *            out.
 * Threads    As for jansson: a value that one thread changes is not to be used by another at that
 *            time. What has been published is not changed, and any thread may read it.
 * Return     Where nothing else is said, functions that return int: 0, or -1 on failure; those that
 *            return a pointer: NULL on failure, which is no memory, the wrong type of value, or
 *            text that is not valid UTF-8.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "../../api.h"

STASIS_BEGIN_DECLS

/* struct ast_json, and struct ast_json_error: line, column, position, source, text */
#define ast_json json_t
#define ast_json_error json_error_t

enum ast_json_type {
	AST_JSON_OBJECT = JSON_OBJECT,
	AST_JSON_ARRAY = JSON_ARRAY,
	AST_JSON_STRING = JSON_STRING,
	AST_JSON_INTEGER = JSON_INTEGER,
	AST_JSON_REAL = JSON_REAL,
	AST_JSON_TRUE = JSON_TRUE,
	AST_JSON_FALSE = JSON_FALSE,
	AST_JSON_NULL = JSON_NULL,
};

enum ast_json_encoding_format {
	AST_JSON_COMPACT, /* on one line, without blanks */
	AST_JSON_PRETTY,  /* indented, keys sorted */
};

/* --- any value --- */

/* Takes a reference. Returns the value; NULL is allowed. */
static inline struct ast_json *ast_json_ref(struct ast_json *value)
{
	return json_incref(value);
}

/* Drops a reference; NULL is allowed. Can be the destructor of a RAII_VAR(). */
static inline void ast_json_unref(struct ast_json *value)
{
	json_decref(value);
}

static inline enum ast_json_type ast_json_typeof(const struct ast_json *value)
{
	return (enum ast_json_type)json_typeof(value);
}

/* 1 or 0: are they the same, members and elements included? */
static inline int ast_json_equal(const struct ast_json *a, const struct ast_json *b)
{
	return json_equal(a, b);
}

/* A new value; the elements and members are shared. */
static inline struct ast_json *ast_json_copy(const struct ast_json *value)
{
	return json_copy((struct ast_json *)(uintptr_t)value);
}

/* A new value; nothing is shared. */
static inline struct ast_json *ast_json_deep_copy(const struct ast_json *value)
{
	return json_deep_copy(value);
}

/* --- true, false, null --- */

static inline struct ast_json *ast_json_true(void)
{
	return json_true();
}

static inline struct ast_json *ast_json_false(void)
{
	return json_false();
}

static inline struct ast_json *ast_json_boolean(int value)
{
	return value ? json_true() : json_false();
}

static inline struct ast_json *ast_json_null(void)
{
	return json_null();
}

/* 1 or 0; 0 for NULL. */
static inline int ast_json_is_true(const struct ast_json *value)
{
	return json_is_true(value);
}

static inline int ast_json_is_false(const struct ast_json *value)
{
	return json_is_false(value);
}

static inline int ast_json_is_null(const struct ast_json *value)
{
	return json_is_null(value);
}

/* --- strings and numbers --- */

static inline struct ast_json *ast_json_string_create(const char *text)
{
	return json_string(text);
}

/* The text, which belongs to the value. */
static inline const char *ast_json_string_get(const struct ast_json *string)
{
	return json_string_value(string);
}

static inline int ast_json_string_set(struct ast_json *string, const char *text)
{
	return json_string_set(string, text);
}

/* A string made as by printf(). */
static inline struct ast_json *ast_json_stringf(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
static inline struct ast_json *ast_json_stringf(const char *format, ...)
{
	struct ast_json *value;
	va_list args;

	va_start(args, format);
	value = json_vsprintf(format, args);
	va_end(args);
	return value;
}

static inline struct ast_json *ast_json_integer_create(intmax_t value)
{
	return json_integer(value);
}

/* The number; 0 for what is no integer. */
static inline intmax_t ast_json_integer_get(const struct ast_json *integer)
{
	return json_integer_value(integer);
}

static inline int ast_json_integer_set(struct ast_json *integer, intmax_t value)
{
	return json_integer_set(integer, value);
}

static inline struct ast_json *ast_json_real_create(double value)
{
	return json_real(value);
}

/* The number; 0 for what is no real. */
static inline double ast_json_real_get(const struct ast_json *real)
{
	return json_real_value(real);
}

/* --- arrays --- */

static inline struct ast_json *ast_json_array_create(void)
{
	return json_array();
}

static inline size_t ast_json_array_size(const struct ast_json *array)
{
	return json_array_size(array);
}

static inline struct ast_json *ast_json_array_get(const struct ast_json *array, size_t index)
{
	return json_array_get(array, index);
}

static inline int ast_json_array_set(struct ast_json *array, size_t index, struct ast_json *value)
{
	return json_array_set_new(array, index, value);
}

static inline int ast_json_array_append(struct ast_json *array, struct ast_json *value)
{
	return json_array_append_new(array, value);
}

static inline int ast_json_array_insert(struct ast_json *array, size_t index,
					struct ast_json *value)
{
	return json_array_insert_new(array, index, value);
}

static inline int ast_json_array_remove(struct ast_json *array, size_t index)
{
	return json_array_remove(array, index);
}

/* --- objects --- */

static inline struct ast_json *ast_json_object_create(void)
{
	return json_object();
}

static inline size_t ast_json_object_size(const struct ast_json *object)
{
	return json_object_size(object);
}

static inline struct ast_json *ast_json_object_get(const struct ast_json *object, const char *key)
{
	return json_object_get(object, key);
}

static inline int ast_json_object_set(struct ast_json *object, const char *key,
				      struct ast_json *value)
{
	return json_object_set_new(object, key, value);
}

static inline int ast_json_object_del(struct ast_json *object, const char *key)
{
	return json_object_del(object, key);
}

/* Sets all members of another object, whose values are shared then. */
static inline int ast_json_object_update(struct ast_json *object, const struct ast_json *other)
{
	return json_object_update(object, (struct ast_json *)(uintptr_t)other);
}

/* --- texts --- */

/* Builds a value from a format, see jansson: "{s: s, s: i}" and so on. */
static inline struct ast_json *ast_json_vpack(const char *format, va_list args)
{
	return json_vpack_ex(NULL, 0, format, args);
}

static inline struct ast_json *ast_json_pack(const char *format, ...)
{
	struct ast_json *value;
	va_list args;

	va_start(args, format);
	value = ast_json_vpack(format, args);
	va_end(args);
	return value;
}

/* A text, to be freed with ast_json_free(). Any value, not only an object or array. */
static inline char *ast_json_dump_string_format(const struct ast_json *value,
						enum ast_json_encoding_format format)
{
	size_t flags = format == AST_JSON_PRETTY ?
			       JSON_INDENT(2) | JSON_SORT_KEYS :
			       JSON_COMPACT;

	return json_dumps(value, JSON_ENCODE_ANY | flags);
}

static inline char *ast_json_dump_string(const struct ast_json *value)
{
	return ast_json_dump_string_format(value, AST_JSON_COMPACT);
}

/* Frees such a text; NULL is allowed. Can be the destructor of a RAII_VAR(). */
static inline void ast_json_free(void *text)
{
	json_malloc_t allocate;
	json_free_t release;

	json_get_alloc_funcs(&allocate, &release);
	release(text);
}

/* The value of an object or array that a text describes. On failure, error, which may be NULL, says
 * what is wrong with it. */
static inline struct ast_json *ast_json_load_string(const char *text, struct ast_json_error *error)
{
	return json_loads(text, 0, error);
}

static inline struct ast_json *ast_json_load_buf(const char *buffer, size_t size,
						 struct ast_json_error *error)
{
	return json_loadb(buffer, size, 0, error);
}

STASIS_END_DECLS

#endif
