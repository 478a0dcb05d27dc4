/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_COMPAT_MODULE_H
#define STASIS_COMPAT_MODULE_H

/* asterisk/module.h — parts of a program that are loaded and unloaded in order
 *
 * Overview   AST_MODULE_INFO(), at file scope, makes a module of the functions it names. Modules
 *            register by themselves: those of the program and its libraries before main() begins,
 *            those of what is opened by dlopen() before that returns.
 *
 *              registered -> ast_modules_load() -> loaded -> ast_modules_unload() -> registered
 *
 *            A module is unregistered when the object that it is part of is closed, or when the
 *            process exits; it is unloaded first, if it is loaded then.
 * Threads    Everything may be called from any thread. Loading all and unloading all take turns:
 *            one caller waits for the other. No lock is held while a load or unload function runs.
 *            It may do anything but load or unload all, also dlopen() and dlclose() others.
 * Order      Of load_pri, the smallest first; among equals those of one file as they stand there,
 *            and files as they were given to the linker, unless it optimizes them as a whole and
 *            puts them into an order of its own. Unloading goes the way back; at the end of an
 *            object, too, for the modules of each of its files.
 */

#include <stddef.h>
#include <stdint.h>

#include "../../api.h"
#include "../asterisk.h"

STASIS_BEGIN_DECLS

/* What a load function returns. Any other value is a failure, too. */
enum ast_module_load_result {
	AST_MODULE_LOAD_SUCCESS = 0,
	AST_MODULE_LOAD_DECLINE = 1,  /* not loaded, which does not keep others from it */
	AST_MODULE_LOAD_FAILURE = -1, /* not loaded, and nothing else shall be */
};

/* Of no meaning to the library: load_pri goes for all modules that give it. */
enum ast_module_flags {
	AST_MODFLAG_DEFAULT = 0,
	AST_MODFLAG_GLOBAL_SYMBOLS = 1 << 0,
	AST_MODFLAG_LOAD_ORDER = 1 << 1,
};

enum ast_module_support_level {
	AST_MODULE_SUPPORT_UNKNOWN = 0,
	AST_MODULE_SUPPORT_CORE,
	AST_MODULE_SUPPORT_EXTENDED,
	AST_MODULE_SUPPORT_DEPRECATED,
};

/* The load_pri of modules that give none. */
#define AST_MODPRI_DEFAULT 128u

/* What a module says of its licence. */
#define ASTERISK_GPL_KEY "GPL"

/* This file's address. */
__attribute__((unused)) static char stasis_compat_module_file;

/* A module. AST_MODULE_INFO() makes them. */
struct stasis_compat_module {
	size_t size; /* sizeof(struct stasis_compat_module) */

	const char *licence;
	const char *description;
	unsigned module_flags;
	/* Where it stands: modules of one file have an address in common; NULL: nowhere. A compiler
	 * may register them in any order. */
	const void *file;
	unsigned line;

	/* AST_MODULE_INFO() is given those of these that there are. */
	int (*load)(void);   /* NULL: nothing to be done */
	int (*unload)(void); /* 0, or else it stays loaded; NULL: nothing to be done */
	int (*reload)(void); /* not called by the library */
	unsigned load_pri;   /* 0: AST_MODPRI_DEFAULT */
	enum ast_module_support_level support_level;

	/* the registry's */
	struct stasis_compat_module *next;
	uint64_t pass;
	uint64_t loaded;
	unsigned state;
	const void *runner;
};

/**
 * stasis_compat_module_register() - add a module to the list
 * @module:  a module that is not on it
 *
 * Its place is before those of the same file that stand below it, or at the end.
 *
 * Ownership:  borrows @module until it is unregistered.
 * Threads:    any thread.
 * Progress:   takes the list's lock for a look at each module.
 * Return:     0; -EEXIST when @module is on the list; -E2BIG when it is of a newer version;
 *             -EINVAL when it is NULL or its size field is too small.
 */
STASIS_API int stasis_compat_module_register(struct stasis_compat_module *module);

/**
 * stasis_compat_module_unregister() - unload a module and take it off the list
 * @module:  a module, or NULL
 *
 * It goes even if its unload function refuses. One that is not on the list is left alone.
 *
 * Ownership:  gives @module back.
 * Threads:    any thread.
 * Progress:   runs the unload function; waits while another thread is inside a load or unload
 *             function of @module.
 * Return:     nothing.
 */
STASIS_API void stasis_compat_module_unregister(struct stasis_compat_module *module);

/**
 * stasis_compat_modules_end() - unload the modules of a file and take them off the list
 * @file:  their member file; NULL: nothing is done
 *
 * The one loaded last goes first, whatever the order in which a compiler ends them. They go even if
 * their unload functions refuse.
 *
 * Ownership:  gives them back.
 * Threads:    any thread.
 * Progress:   runs the unload functions; waits while another thread is inside a load or unload
 *             function of one of them.
 * Return:     nothing.
 */
STASIS_API void stasis_compat_modules_end(const void *file);

/**
 * stasis_compat_modules_load() - load all modules that are not loaded
 *
 * Those that a load function registers meanwhile, by dlopen(), are loaded too. When one fails,
 * those that this call has loaded are unloaded again, the last one first. One that has declined is
 * asked again by the next call.
 *
 * Ownership:  none.
 * Threads:    any thread, but not inside a load or unload function.
 * Progress:   runs load functions; waits for other threads that load or unload.
 * Return:     0; what the first load function that failed has returned, if negative, otherwise -1;
 *             -EDEADLK inside a load or unload function, and nothing is done.
 */
STASIS_API int stasis_compat_modules_load(void);

/**
 * stasis_compat_modules_unload() - unload all modules that are loaded
 *
 * The one loaded last goes first.
 *
 * Ownership:  none.
 * Threads:    any thread, but not inside a load or unload function.
 * Progress:   runs unload functions; waits for other threads that load or unload.
 * Return:     0; -1 when an unload function has refused: that module is still loaded, the others
 *             are not; -EDEADLK inside a load or unload function, and nothing is done.
 */
STASIS_API int stasis_compat_modules_unload(void);

/**
 * ast_modules_load() - load all modules that are not loaded
 *
 * Ownership:  as stasis_compat_modules_load().
 * Threads:    as stasis_compat_modules_load().
 * Progress:   as stasis_compat_modules_load().
 * Return:     as stasis_compat_modules_load().
 */
static inline int ast_modules_load(void)
{
	return stasis_compat_modules_load();
}

/**
 * ast_modules_unload() - unload all modules that are loaded
 *
 * Ownership:  as stasis_compat_modules_unload().
 * Threads:    as stasis_compat_modules_unload().
 * Progress:   as stasis_compat_modules_unload().
 * Return:     as stasis_compat_modules_unload().
 */
static inline int ast_modules_unload(void)
{
	return stasis_compat_modules_unload();
}

/**
 * AST_MODULE_INFO() - make a module
 * @key:    ASTERISK_GPL_KEY
 * @flags:  of enum ast_module_flags
 * @text:   what it is for
 * @...:    designated initializers of struct stasis_compat_module: .load = f, .unload = g, ...
 *
 * Stands at file scope, with a semicolon behind it. There may be several in a file.
 *
 * Ownership:  the strings are literals, or live as long as the module.
 * Threads:    none.
 * Progress:   none.
 * Return:     nothing; it is a declaration.
 */
#define AST_MODULE_INFO(key, flags, text, ...)                                                     \
	STASIS_COMPAT_MODULE(__LINE__, key, flags, text, __VA_ARGS__)

/* The line is replaced by its number here, before it is pasted. */
#define STASIS_COMPAT_MODULE(at, key, flags, text, ...)                                            \
	STASIS_COMPAT_MODULE_AT(at, key, flags, text, __VA_ARGS__)

/* The last line takes the semicolon. */
#define STASIS_COMPAT_MODULE_AT(at, key, flags, text, ...)                                         \
	static struct stasis_compat_module stasis_compat_module_##at = {                           \
		.size = sizeof(struct stasis_compat_module),                                       \
		.licence = (key),                                                                  \
		.description = (text),                                                             \
		.module_flags = (flags),                                                           \
		.file = &stasis_compat_module_file,                                                \
		.line = (at),                                                                      \
		__VA_ARGS__                                                                        \
	};                                                                                         \
	__attribute__((constructor)) static void stasis_compat_module_open_##at(void)              \
	{                                                                                          \
		ast_assert(stasis_compat_module_register(&stasis_compat_module_##at) == 0);        \
	}                                                                                          \
	__attribute__((destructor)) static void stasis_compat_module_close_##at(void)              \
	{                                                                                          \
		stasis_compat_modules_end(&stasis_compat_module_file);                             \
	}                                                                                          \
	struct stasis_compat_module

STASIS_END_DECLS

#endif
