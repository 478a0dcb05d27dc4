/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_FUZZ_INPUT_H
#define STASIS_FUZZ_INPUT_H

/* input.h — a string of bytes, read as a sequence of choices. Past its end every choice is 0. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *bytes;
	size_t left;
};

static inline unsigned input_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->bytes++;
}

/* A number below n, 1 to 256. */
static inline unsigned input_below(struct input *input, unsigned n)
{
	return input_byte(input) % n;
}

#endif
