/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz.c — the target: an input is a sequence of calls
 *
 * Encoding: bytes, taken one by one as they are needed. The first of each operation chooses it,
 * modulo the number of all operations in the order of the tables below; each choice that it makes
 * takes one more byte, modulo the number of possibilities: a handle (of those that there are, the
 * next from there), a type, an option, a string of w_strings. The input ends with its last byte; an
 * operation that needs more takes zeros. So every input is valid, and a byte changed, left out or
 * put in changes little else.
 *
 * Then everything is ended and dropped, and nothing may be left: no message, no block of memory.
 */

#include <stdlib.h>

#include "fuzz.h"
#include "world.h"

#define OPERATIONS_MAX 2000u

static const struct {
	const char *name;
	const w_operation *operations;
	const size_t *n;
} tables[] = {
	{ "bus", op_bus, &n_op_bus },
	{ "publishing", op_publishing, &n_op_publishing },
	{ "routing", op_routing, &n_op_routing },
	{ "caching", op_caching, &n_op_caching },
	{ "channels", op_channels, &n_op_channels },
	{ "odd", op_odd, &n_op_odd },
};

#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

static void operate(struct input *input)
{
	size_t all = 0, number;

	for (size_t i = 0; i < N_TABLES; i++)
		all += *tables[i].n;
	number = input_byte(input) % all;
	for (size_t i = 0; i < N_TABLES; i++) {
		if (number < *tables[i].n) {
			w_note(tables[i].name, (unsigned)number, (unsigned)input->left);
			tables[i].operations[number]();
			break;
		}
		number -= *tables[i].n;
	}
	w_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input input = { .bytes = bytes, .left = size };
	static bool prepared;

	if (!prepared)
		world_prepare();
	prepared = true;
	world_begin(&input);
	for (unsigned i = 0; i < OPERATIONS_MAX && input.left > 0; i++)
		operate(&input);
	world_end();
	return 0;
}
