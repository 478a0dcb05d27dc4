/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_CENSUS_KIND_H
#define STI_BASE_CENSUS_KIND_H

/* base/census_kind.h — what census.h counts. By itself for those who count nothing, or in another
 * way: tests/explore. */

enum sti_census {
	STI_CENSUS_TOPIC,
	STI_CENSUS_SUBSCRIPTION,
	STI_CENSUS_EXECUTOR,
	STI_CENSUS_FORWARD,
	STI_CENSUS_ROUTER,
	STI_CENSUS_CACHE,
	STI_CENSUS_CACHING_TOPIC,
	STI_CENSUS_RING, /* not those that are embedded in something else */
	STI_CENSUS_N,
	STI_CENSUS_NONE = STI_CENSUS_N, /* not counted */
};

#endif
