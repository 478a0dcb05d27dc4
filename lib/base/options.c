/* SPDX-License-Identifier: BSD-2-Clause */
/* base/options.c — copying size-prefixed structures. See options.h. */

#include "base/options.h"

#include <errno.h>
#include <string.h>

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
	for (size_t i = size; i < from_size; i++) {
		if (((const unsigned char *)from)[i] != 0)
			return -E2BIG;
	}
	memcpy(to, from, from_size < size ? from_size : size);
	return 0;
}
