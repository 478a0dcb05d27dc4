/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_OBJECT_H
#define STASIS_OBJECT_H

/* stasis/object.h — reference-counted memory
 *
 * Overview   An object is a block of memory with a reference count in front of it. It is born with
 *            one reference; the thread that drops the last one runs the destructor and frees it.
 *            Every handle of this library (message, message type, topic, subscription, executor)
 *            is such an object, so stasis_object_ref() and stasis_object_unref() take any of them.
 * Threads    ref, unref and refs may be called from any thread at once, provided that the caller
 *            holds a reference while it calls.
 * Ordering   Everything done to an object before a reference was dropped, by any thread, is visible
 *            to the destructor.
 */

#include <stddef.h>

#include "api.h"

STASIS_BEGIN_DECLS

/**
 * stasis_object_alloc() - create an object
 * @size:     bytes; 0 is allowed
 * @destroy:  called once with the object when its last reference is dropped, just before its memory
 *            is freed; may be NULL. Must return, as any callback (stasis/stasis.h)
 *
 * The memory is zeroed and aligned to 16 bytes.
 *
 * Ownership:  the caller gets the one reference.
 * Threads:    any thread. @destroy runs on the thread that drops the last reference, which is often
 *             a worker: it must not assume a particular thread, and should not block.
 * Progress:   as the allocator.
 * Return:     the object; NULL with errno ENOMEM.
 */
STASIS_API void *stasis_object_alloc(size_t size, void (*destroy)(void *obj));

/**
 * stasis_object_ref() - take another reference
 * @obj:  an object or any handle of this library; NULL is allowed
 *
 * Ownership:  the caller gets a new reference, to be dropped with stasis_object_unref().
 * Threads:    any thread that holds a reference, or borrows one for the time of the call.
 * Progress:   wait-free.
 * Return:     @obj; NULL with errno EINVAL when @obj is NULL.
 */
STASIS_API void *stasis_object_ref(void *obj);

/**
 * stasis_object_unref() - drop a reference
 * @obj:  an object or any handle of this library, or NULL
 *
 * Dropping the handle of a topic, type or executor that subscriptions still use is safe: they hold
 * what they need. Dropping a subscription's last handle does not unsubscribe it.
 *
 * Ownership:  consumes one reference.
 * Threads:    any thread, also inside callbacks and destructors.
 * Progress:   wait-free, save for the destructor that the last reference runs.
 * Return:     NULL, always: `p = stasis_object_unref(p);` leaves no dangling pointer.
 */
STASIS_API void *stasis_object_unref(void *obj);

/**
 * stasis_object_refs() - the reference count at this moment
 * @obj:  an object or any handle of this library, or NULL
 *
 * For tests and assertions only: another thread may change the count before the caller looks at it.
 *
 * Ownership:  borrows @obj.
 * Threads:    any thread that holds a reference.
 * Progress:   wait-free.
 * Return:     the count; 0 for NULL.
 */
STASIS_API unsigned stasis_object_refs(const void *obj);

STASIS_END_DECLS

#endif
