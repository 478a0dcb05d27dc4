/* SPDX-License-Identifier: BSD-2-Clause */
/* base/census.c — see census.h */

#include "base/census.h"

_Atomic int64_t sti_census_counts[STI_CENSUS_N];

const char *sti_census_name(enum sti_census kind)
{
	static const char *const names[STI_CENSUS_N] = {
		[STI_CENSUS_TOPIC] = "topic",
		[STI_CENSUS_SUBSCRIPTION] = "subscription",
		[STI_CENSUS_EXECUTOR] = "executor",
		[STI_CENSUS_FORWARD] = "forward",
		[STI_CENSUS_ROUTER] = "router",
		[STI_CENSUS_CACHE] = "cache",
		[STI_CENSUS_CACHING_TOPIC] = "caching topic",
		[STI_CENSUS_RING] = "ring",
	};

	return kind < STI_CENSUS_N ? names[kind] : "?";
}
