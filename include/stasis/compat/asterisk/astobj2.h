/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_COMPAT_ASTOBJ2_H
#define STASIS_COMPAT_ASTOBJ2_H

/* asterisk/astobj2.h — reference-counted objects by their older names
 *
 * Overview   An ao2 object is an object of stasis/object.h, and so is every handle of the library:
 *            what is said here goes for messages, message types, topics, subscriptions and all
 *            others as well. There are no locks in objects.
 * Threads    Everything may be called from any thread at once, by whoever holds a reference.
 * Ordering   Everything done to an object before a reference was dropped, by any thread, is visible
 *            to the destructor.
 */

#include <stddef.h>

#include "../../api.h"
#include "../../object.h"
#include "../asterisk.h"

STASIS_BEGIN_DECLS

/**
 * stasis_compat_ref() - take or drop any number of references
 * @obj:    an object or any handle of the library
 * @delta:  how many to take; if negative, to drop
 *
 * Whoever drops the last one runs the destructor. Dropping more than there are aborts.
 *
 * Ownership:  the caller gets, or gives up, so many references.
 * Threads:    any thread that holds a reference, or borrows one for the time of the call.
 * Progress:   wait-free, save for the destructor that the last reference runs.
 * Return:     the count before, as this thread changed it (INT_MAX at most); -EINVAL when @obj is
 *             NULL.
 */
STASIS_API int stasis_compat_ref(void *obj, int delta);

/**
 * ao2_alloc() - create an object
 * @size:     bytes, which are zeroed
 * @destroy:  called with the object when its last reference is dropped; may be NULL
 *
 * Ownership:  the caller gets the one reference.
 * Threads:    any thread.
 * Progress:   as the allocator.
 * Return:     the object; NULL with errno ENOMEM.
 */
static inline void *ao2_alloc(size_t size, void (*destroy)(void *obj))
{
	return stasis_object_alloc(size, destroy);
}

/**
 * ao2_ref() - take or drop any number of references
 * @obj:    an object or any handle of the library
 * @delta:  how many to take; if negative, to drop; 0 changes nothing
 *
 * Ownership:  as stasis_compat_ref().
 * Threads:    as stasis_compat_ref().
 * Progress:   as stasis_compat_ref().
 * Return:     as stasis_compat_ref(): the count before.
 */
static inline int ao2_ref(void *obj, int delta)
{
	return stasis_compat_ref(obj, delta);
}

/**
 * ao2_bump() - take a reference
 * @obj:  an object or any handle of the library, or NULL
 *
 * Ownership:  the caller gets one reference.
 * Threads:    as stasis_object_ref().
 * Progress:   wait-free.
 * Return:     @obj.
 */
static inline void *ao2_bump(void *obj)
{
	return obj != NULL ? stasis_object_ref(obj) : NULL;
}

/**
 * ao2_cleanup() - drop a reference
 * @obj:  an object or any handle of the library, or NULL
 *
 * Can be the destructor of a RAII_VAR() of any pointer type.
 *
 * Ownership:  consumes one reference.
 * Threads:    any thread, also inside callbacks and destructors.
 * Progress:   wait-free, save for the destructor that the last reference runs.
 * Return:     nothing.
 */
static inline void ao2_cleanup(void *obj)
{
	stasis_object_unref(obj);
}

STASIS_END_DECLS

#endif
