/* SPDX-License-Identifier: BSD-2-Clause */
/* compat/compat.c — what the headers of stasis/compat cannot do by themselves
 *
 * Modules stand in a list in the order of their registration, those of a file in the file's; their
 * memory is their owners'. Who loads or unloads all takes the turn, then picks one module after the
 * other under the lock, always by a fresh look at the list: while the module's function runs,
 * without the lock, others may be registered and unregistered. A pass number tells which have been
 * tried already.
 *
 * Unregistering does not take the turn: it happens inside dlclose(), with the dynamic linker's lock
 * held, which the load function of whoever has the turn may be waiting for. It waits only for
 * functions of the module itself, or of those of its file, whose code is about to go. Whoever has
 * the turn passes by a module that is being unregistered.
 *
 * Edges
 *   R1  fetch-sub refs (not the last) -> A1  uses by former owners before the destructor
 *   A1  fetch-sub refs                <- R1, and R1 of base/object.h
 */

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

#include <stasis/compat/asterisk.h>
#include <stasis/compat/asterisk/astobj2.h>
#include <stasis/compat/asterisk/module.h>

#include "base/assert.h"
#include "base/object.h"

enum module_state {
	MODULE_REGISTERED = 0,
	MODULE_LOADED,
	MODULE_BUSY, /* a function of it runs */
};

static pthread_mutex_t modules_lock = PTHREAD_MUTEX_INITIALIZER;
/* Broadcast when the turn is over and when a function of a module has returned. */
static pthread_cond_t modules_changed = PTHREAD_COND_INITIALIZER;

/* under modules_lock */
static struct stasis_compat_module *modules;
static bool turn_taken;
static uint64_t pass;
static uint64_t n_loads;

/* Functions of modules that this thread is inside of. Its address is the thread's name. */
static _Thread_local unsigned depth;

void stasis_compat_assert_failed(const char *expression, const char *file, int line)
{
	sti_assert_failed(expression, file, line);
}

int stasis_compat_ref(void *obj, int delta)
{
	struct sti_object *object;
	uint32_t before;
	uint32_t n;

	if (obj == NULL)
		return -EINVAL;
	object = sti_object_of(obj);
	if (delta >= 0) {
		/* Relaxed: the caller holds a reference; the library decides nothing on it. */
		before = atomic_fetch_add_explicit(&object->refs, (uint32_t)delta,
						   memory_order_relaxed);
	} else {
		n = -(uint32_t)delta;
		/* R1, A1: uses before the drop, for the last owner; one operation is both ends. */
		before = atomic_fetch_sub_explicit(&object->refs, n, memory_order_acq_rel);
		stasis_assert(before >= n);
		if (before == n)
			sti_object_destroy(object, NULL);
	}
	return before <= INT_MAX ? (int)before : INT_MAX;
}

/* --- the list --- */

/* Where the list points to the module, or its end. */
static struct stasis_compat_module **modules_find_locked(const struct stasis_compat_module *module)
{
	struct stasis_compat_module **place = &modules;

	while (*place != NULL && *place != module)
		place = &(*place)->next;
	return place;
}

/* Where a module that is not in the list belongs: before what stands below it in its file. */
static struct stasis_compat_module **
modules_place_locked(const struct stasis_compat_module *module)
{
	struct stasis_compat_module **place = &modules;

	while (*place != NULL && (module->file == NULL || (*place)->file != module->file ||
				  (*place)->line <= module->line))
		place = &(*place)->next;
	return place;
}

int stasis_compat_module_register(struct stasis_compat_module *module)
{
	struct stasis_compat_module **place;
	int result = 0;

	if (module == NULL || module->size < sizeof(*module))
		return -EINVAL;
	if (module->size > sizeof(*module))
		return -E2BIG;
	pthread_mutex_lock(&modules_lock);
	if (*modules_find_locked(module) == NULL) {
		place = modules_place_locked(module);
		module->next = *place;
		module->pass = 0;
		module->loaded = 0;
		module->state = MODULE_REGISTERED;
		*place = module;
	} else {
		result = -EEXIST;
	}
	pthread_mutex_unlock(&modules_lock);
	return result;
}

/* Runs a function of a module without the lock. The caller sets the module's new state. */
static int module_call_locked(struct stasis_compat_module *module, int (*function)(void))
{
	int result;

	module->state = MODULE_BUSY;
	module->runner = &depth;
	if (function == NULL)
		return 0;
	pthread_mutex_unlock(&modules_lock);
	depth++;
	result = function();
	depth--;
	pthread_mutex_lock(&modules_lock);
	return result;
}

static void module_settle_locked(struct stasis_compat_module *module, enum module_state state)
{
	module->state = state;
	pthread_cond_broadcast(&modules_changed);
}

static bool module_is_listed_locked(const struct stasis_compat_module *module)
{
	return *modules_find_locked(module) != NULL;
}

/* This thread does not wait for itself: it has called exit() inside a load function. */
static bool module_runs_elsewhere_locked(const struct stasis_compat_module *module)
{
	return module->state == MODULE_BUSY && module->runner != &depth;
}

static void module_unregister_locked(struct stasis_compat_module *module)
{
	struct stasis_compat_module **place;

	while (module_is_listed_locked(module) && module_runs_elsewhere_locked(module))
		pthread_cond_wait(&modules_changed, &modules_lock);
	if (module_is_listed_locked(module) && module->state == MODULE_LOADED)
		module_call_locked(module, module->unload);
	place = modules_find_locked(module);
	if (*place != NULL)
		*place = module->next;
	pthread_cond_broadcast(&modules_changed);
}

void stasis_compat_module_unregister(struct stasis_compat_module *module)
{
	pthread_mutex_lock(&modules_lock);
	module_unregister_locked(module);
	pthread_mutex_unlock(&modules_lock);
}

/* Takes those off the list that are not loaded, and of which no function runs. *busyp: one of which
 * one does, elsewhere, or NULL. The one that was loaded last, or NULL. */
static struct stasis_compat_module *file_last_locked(const void *file,
						     struct stasis_compat_module **busyp)
{
	struct stasis_compat_module **place = &modules, *last = NULL;

	*busyp = NULL;
	while (*place != NULL) {
		struct stasis_compat_module *m = *place;

		if (m->file == file && m->state == MODULE_REGISTERED) {
			*place = m->next;
			continue;
		}
		place = &m->next;
		if (m->file != file)
			continue;
		if (module_runs_elsewhere_locked(m))
			*busyp = m;
		else if (last == NULL || m->loaded > last->loaded)
			last = m;
	}
	return last;
}

void stasis_compat_modules_end(const void *file)
{
	struct stasis_compat_module *last, *busy;

	if (file == NULL)
		return;
	pthread_mutex_lock(&modules_lock);
	while (true) {
		last = file_last_locked(file, &busy);
		/* It may be loaded after all others then. */
		if (busy != NULL)
			pthread_cond_wait(&modules_changed, &modules_lock);
		else if (last != NULL)
			module_unregister_locked(last);
		else
			break;
	}
	pthread_mutex_unlock(&modules_lock);
}

/* --- loading and unloading all --- */

/* 0 with the lock and the turn, or -EDEADLK with neither. */
static int turn_begin(void)
{
	if (depth > 0)
		return -EDEADLK;
	pthread_mutex_lock(&modules_lock);
	while (turn_taken)
		pthread_cond_wait(&modules_changed, &modules_lock);
	turn_taken = true;
	return 0;
}

static void turn_end(void)
{
	turn_taken = false;
	pthread_cond_broadcast(&modules_changed);
	pthread_mutex_unlock(&modules_lock);
}

static unsigned module_priority(const struct stasis_compat_module *module)
{
	return module->load_pri != 0 ? module->load_pri : AST_MODPRI_DEFAULT;
}

static struct stasis_compat_module *next_to_load_locked(void)
{
	struct stasis_compat_module *next = NULL;

	for (struct stasis_compat_module *m = modules; m != NULL; m = m->next) {
		if (m->state == MODULE_REGISTERED && m->pass != pass &&
		    (next == NULL || module_priority(m) < module_priority(next)))
			next = m;
	}
	return next;
}

/* Of those that were loaded after so many loads. */
static struct stasis_compat_module *next_to_unload_locked(uint64_t since)
{
	struct stasis_compat_module *next = NULL;

	for (struct stasis_compat_module *m = modules; m != NULL; m = m->next) {
		if (m->state == MODULE_LOADED && m->pass != pass && m->loaded > since &&
		    (next == NULL || m->loaded > next->loaded))
			next = m;
	}
	return next;
}

static int unload_locked(uint64_t since)
{
	struct stasis_compat_module *module;
	int result = 0;

	pass++;
	while ((module = next_to_unload_locked(since)) != NULL) {
		bool gone;

		module->pass = pass;
		gone = module_call_locked(module, module->unload) == 0;
		module_settle_locked(module, gone ? MODULE_REGISTERED : MODULE_LOADED);
		if (!gone)
			result = -1;
	}
	return result;
}

int stasis_compat_modules_load(void)
{
	struct stasis_compat_module *module;
	uint64_t since;
	int result = turn_begin();

	if (result != 0)
		return result;
	since = n_loads;
	pass++;
	while (result == 0 && (module = next_to_load_locked()) != NULL) {
		module->pass = pass;
		result = module_call_locked(module, module->load);
		if (result == AST_MODULE_LOAD_SUCCESS)
			module->loaded = ++n_loads;
		module_settle_locked(module, result == AST_MODULE_LOAD_SUCCESS ? MODULE_LOADED :
										 MODULE_REGISTERED);
		if (result == AST_MODULE_LOAD_DECLINE)
			result = 0;
	}
	if (result != 0)
		unload_locked(since);
	turn_end();
	return result > 0 ? -1 : result;
}

int stasis_compat_modules_unload(void)
{
	int result = turn_begin();

	if (result != 0)
		return result;
	result = unload_locked(0);
	turn_end();
	return result;
}
