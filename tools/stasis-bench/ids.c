/* SPDX-License-Identifier: BSD-2-Clause */
/* ids.c — see ids.h */

#include "ids.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ID_SIZE 24u

static_assert(SB_IDS_MAX <= UINT32_MAX >> SB_STAMP_ID_SHIFT, "an id fits into a stamp");

const char *const *sb_ids;

int sb_ids_make(unsigned n)
{
	static const char **ids;
	static unsigned n_made;
	const char **more = n > n_made ? reallocarray(ids, n, sizeof(ids[0])) : NULL;

	if (n <= n_made)
		return 0;
	if (more == NULL)
		return -ENOMEM;
	sb_ids = ids = more;
	for (; n_made < n; n_made++) {
		char *id = malloc(ID_SIZE);

		if (id == NULL)
			return -ENOMEM;
		snprintf(id, ID_SIZE, "1700000000.%u", n_made);
		ids[n_made] = id;
	}
	return 0;
}
