/* SPDX-License-Identifier: BSD-2-Clause */
/* server/output.c — see output.h */

#include "output.h"

#include <stdlib.h>
#include <string.h>

bool output_init(struct output *output, size_t size)
{
	*output = (struct output){ .bytes = malloc(size), .size = size };
	return output->bytes != NULL;
}

void output_deinit(struct output *output)
{
	free(output->bytes);
	output->bytes = NULL;
}

void output_append(struct output *output, const void *bytes, size_t size)
{
	size_t end = (output->begin + output->used) % output->size;
	size_t first = output->size - end < size ? output->size - end : size;

	memcpy(output->bytes + end, bytes, first);
	memcpy(output->bytes, (const char *)bytes + first, size - first);
	output->used += size;
}

int output_parts(const struct output *output, struct iovec parts[2])
{
	size_t to_end = output->size - output->begin;

	if (output->used == 0)
		return 0;
	parts[0].iov_base = output->bytes + output->begin;
	if (output->used <= to_end) {
		parts[0].iov_len = output->used;
		return 1;
	}
	parts[0].iov_len = to_end;
	parts[1].iov_base = output->bytes;
	parts[1].iov_len = output->used - to_end;
	return 2;
}

void output_consume(struct output *output, size_t size)
{
	output->begin = (output->begin + size) % output->size;
	output->used -= size;
}
