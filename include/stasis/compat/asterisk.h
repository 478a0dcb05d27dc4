/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_COMPAT_ASTERISK_H
#define STASIS_COMPAT_ASTERISK_H

/* asterisk.h — what code written for Asterisk's Stasis takes for granted
 *
 * Overview   With -I<includedir>/stasis/compat and no other path, such code compiles unchanged:
 *            these headers have the names that it includes (pkg-config: stasis-compat). Names that
 *            begin with stasis_ are the library's own; ast_ and ao2_ ones are macros and inline
 *            functions, so that the library exports stasis_ names only. For C, by gcc or clang.
 *
 *              asterisk.h                         ast_assert(), RAII_VAR(), ASTERISK_FILE_VERSION()
 *              asterisk/astobj2.h                 objects with reference counts
 *              asterisk/json.h                    JSON
 *              asterisk/module.h                  modules that are loaded and unloaded
 *              asterisk/stasis.h                  the message bus
 *              asterisk/stasis_channels.h         channels
 *              asterisk/stasis_message_router.h   message routers
 * Threads    Everything may be used in any thread.
 */

#include <stddef.h>

#include "../api.h"

STASIS_BEGIN_DECLS

/**
 * stasis_compat_assert_failed() - what ast_assert() does when the expression is false
 * @expression:  its text
 * @file:        where it stands
 * @line:        where it stands
 *
 * Says on standard error what failed, and aborts.
 *
 * Ownership:  borrows the strings.
 * Threads:    any thread.
 * Progress:   writes to standard error.
 * Return:     does not return.
 */
STASIS_API void stasis_compat_assert_failed(const char *expression, const char *file, int line)
	__attribute__((noreturn, cold));

/**
 * ast_assert() - abort unless an expression is true
 * @e:  the expression; evaluated once, in every build
 *
 * Ownership:  none.
 * Threads:    any thread.
 * Progress:   that of @e.
 * Return:     nothing; it is an expression of type void.
 */
#define ast_assert(e) ((e) ? (void)0 : stasis_compat_assert_failed(#e, __FILE__, __LINE__))

/**
 * RAII_VAR() - a variable that is cleaned up when its scope is left
 * @type:        of the variable: a pointer
 * @name:        of the variable
 * @initial:     its first value
 * @destructor:  a function that is called with the variable's value, also when that is NULL
 *
 * Runs however the scope is left, save by longjmp(), exit() and their like: by its end, return,
 * break, continue or goto. Of several variables in one scope, the last one declared goes first.
 *
 * Ownership:  @destructor gets what the variable holds at the end: set it to NULL to keep that.
 * Threads:    any thread.
 * Progress:   that of @destructor.
 * Return:     nothing; it is a declaration.
 */
#if defined(__clang__) || defined(__cplusplus)

struct stasis_compat_scope {
	void *variable;
	void (*destroy)(void *value);
};

/* A destructor has a pointer type of its own for its argument, and may return something: calls
 * through void (*)(void *) do the same in every ABI of Linux, but sanitizers look at the type. */
#if defined(__clang__)
__attribute__((no_sanitize("function", "cfi")))
#endif
static inline void
stasis_compat_scope_end(struct stasis_compat_scope *scope)
{
	void *value;

	/* Bytes: the variable's type is a pointer, but to something else than void. */
	__builtin_memcpy(&value, scope->variable, sizeof(value));
	scope->destroy(value);
}

/* Their operands are what these sizeofs are for: the type has the size of a pointer, and the
 * destructor takes it. */
#define STASIS_COMPAT_ADDRESS(type, name)                                                          \
	((void *)(&name + 0 * sizeof(char[sizeof(type) == sizeof(void *) ? 1 : -1])))
#define STASIS_COMPAT_DESTROY(name, destructor)                                                    \
	((void (*)(void *))((__UINTPTR_TYPE__)(destructor) + 0 * sizeof((destructor(name), 0))))

#define RAII_VAR(type, name, initial, destructor)                                                  \
	type name = initial;                                                                       \
	struct stasis_compat_scope stasis_compat_scope_##name                                      \
		__attribute__((unused, cleanup(stasis_compat_scope_end))) = {                      \
			STASIS_COMPAT_ADDRESS(type, name),                                         \
			STASIS_COMPAT_DESTROY(name, destructor),                                   \
		}

#else

/* A nested function that uses nothing of the function around it, or at most by a direct call: that
 * needs no code on the stack. */
#define RAII_VAR(type, name, initial, destructor)                                                  \
	__extension__ void stasis_compat_end_##name(type *stasis_compat_variable)                  \
	{                                                                                          \
		destructor(*stasis_compat_variable);                                               \
	}                                                                                          \
	type name __attribute__((cleanup(stasis_compat_end_##name))) = initial

#endif

/**
 * ASTERISK_FILE_VERSION() - nothing
 *
 * Stands at file scope, with a semicolon behind it or without.
 *
 * Ownership:  none.
 * Threads:    none.
 * Progress:   none.
 * Return:     nothing.
 */
#define ASTERISK_FILE_VERSION(...)

STASIS_END_DECLS

#endif
