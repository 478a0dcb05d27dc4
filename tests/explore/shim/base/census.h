/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_CENSUS_H
#define STI_BASE_CENSUS_H

/* shim/base/census.h — in place of lib/base/census.h: nothing is counted, for each count would be
 * one more place to switch at */

#include <stdint.h>

#include "base/compiler.h"

enum sti_census {
	STI_CENSUS_TOPIC,
	STI_CENSUS_SUBSCRIPTION,
	STI_CENSUS_EXECUTOR,
	STI_CENSUS_FORWARD,
	STI_CENSUS_ROUTER,
	STI_CENSUS_CACHE,
	STI_CENSUS_CACHING_TOPIC,
	STI_CENSUS_RING,
	STI_CENSUS_N,
	STI_CENSUS_NONE = STI_CENSUS_N,
};

STI_INLINE void sti_census_add(enum sti_census kind, int64_t n)
{
}

#endif
