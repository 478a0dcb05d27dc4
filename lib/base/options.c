/* SPDX-License-Identifier: BSD-2-Clause */
/* base/options.c — copying size-prefixed structures. See options.h. */

#include "base/options.h"

#include <errno.h>
#include <string.h>

/* A structure that claims to be larger is none: what would be behind it is not looked at. */
#define OPTIONS_MAX 4096u

int sti_options_copy(void *to, size_t size, const void *from)
{
	size_t from_size;

	memset(to, 0, size);
	if (from == NULL)
		return 0;
	memcpy(&from_size, from, sizeof(from_size));
	if (from_size == 0)
		from_size = size;
	if (from_size < sizeof(from_size))
		return -EINVAL;
	if (from_size > OPTIONS_MAX)
		return -E2BIG;
	for (size_t i = size; i < from_size; i++) {
		if (((const unsigned char *)from)[i] != 0)
			return -E2BIG;
	}
	memcpy(to, from, from_size < size ? from_size : size);
	return 0;
}
