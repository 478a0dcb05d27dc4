/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_SERVER_OUTPUT_H
#define EXAMPLES_SERVER_OUTPUT_H

/* server/output.h — bytes on their way to a client, in a ring
 *
 * A ring, so that bytes do not move once they are in: a loop may have the kernel or a library at
 * work on the first of them while others are appended.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct output {
	char *bytes;
	size_t size;
	size_t begin; /* of what has not been sent */
	size_t used;
};

/* False when memory has run out. */
bool output_init(struct output *output, size_t size);
void output_deinit(struct output *output);

static inline size_t output_room(const struct output *output)
{
	return output->size - output->used;
}

/* There must be room. */
void output_append(struct output *output, const void *bytes, size_t size);

/* What is to be sent, in order: fills in up to two parts, returns how many. */
int output_parts(const struct output *output, struct iovec parts[2]);

/* The first size bytes have been sent. */
void output_consume(struct output *output, size_t size);

#endif
