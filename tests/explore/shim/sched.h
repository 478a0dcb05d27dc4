/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPLORE_SHIM_SCHED_H
#define EXPLORE_SHIM_SCHED_H

/* shim/sched.h — giving way, to the explorer's threads */

#include_next <sched.h>

#include "explore.h"

static inline int explore_sched_yield(void)
{
	explore_yield();
	return 0;
}

#define sched_yield explore_sched_yield

#endif
