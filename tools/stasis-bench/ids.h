/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_IDS_H
#define SB_IDS_H

/* ids.h — the ids of the cache workloads
 *
 * Made once, before anything is timed. A message says in its stamp which one is its own: message
 * number n of a publisher has id n modulo the number of ids.
 */

#include <stdint.h>

#include "subscriber.h"

#define SB_IDS_DEFAULT 10000u
#define SB_IDS_MAX (1u << 20)

/* Sees to it that there are n. On the main thread. 0 or -ENOMEM. */
int sb_ids_make(unsigned n);

extern const char *const *sb_ids;

static inline uint32_t sb_stamp_id(const struct sb_stamp *stamp)
{
	return stamp->flags >> SB_STAMP_ID_SHIFT;
}

static inline void sb_stamp_set_id(struct sb_stamp *stamp, uint32_t id)
{
	stamp->flags = id << SB_STAMP_ID_SHIFT;
}

#endif
