/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_CACHE_H
#define STASIS_CACHE_H

/* stasis/cache.h — updates of cached state
 *
 * Overview   A cache update is a message that says how a snapshot of something has changed: its old
 *            and its new value, either of which may be missing. Routers dispatch it by the type of
 *            the snapshots (stasis/router.h).
 * Threads    Everything may be called from any thread at once.
 */

#include "api.h"

STASIS_BEGIN_DECLS

struct stasis_message;
struct stasis_message_type;

/* The data of a message of stasis_cache_update_type(). */
struct stasis_cache_update {
	struct stasis_message_type *type;    /* of the snapshots */
	struct stasis_message *old_snapshot; /* borrowed from the update; NULL: there was none */
	struct stasis_message *new_snapshot; /* borrowed from the update; NULL: it is gone */
};

/**
 * stasis_cache_update_type() - the type of cache updates
 *
 * Their data is a struct stasis_cache_update.
 *
 * Ownership:  borrowed; it lives as long as the process.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the type; never NULL.
 */
STASIS_API struct stasis_message_type *stasis_cache_update_type(void);

STASIS_END_DECLS

#endif
