/* SPDX-License-Identifier: BSD-2-Clause */
/* alloc.c — memory runs out
 *
 * Arguments: how (enum ss_memory_mode), n. At random one in n fails, or every nth, or the nth from
 * now alone, so that in time each has failed. Whatever fails must be reported as ENOMEM (net.h:
 * ss_net_excused()), and what is refused be counted.
 */

#include "../memory.h"
#include "faults.h"
#include "random.h"

#define NTH_MAX 400u

static void draw(uint64_t *random, uint64_t *args)
{
	args[0] = random_below(random, 4);
	switch (args[0]) {
	case SS_MEMORY_RANDOM:
		args[1] = 2 + random_below(random, 200);
		break;
	case SS_MEMORY_EVERY:
		args[1] = 1 + random_below(random, 100);
		break;
	default:
		args[0] = SS_MEMORY_NTH;
		args[1] = 1 + random_below(random, NTH_MAX);
		break;
	}
}

static void inject(struct ss_net *net, const uint64_t *args)
{
	ss_memory_fail((enum ss_memory_mode)args[0], args[1]);
}

static void release(void)
{
	ss_memory_fail(SS_MEMORY_WELL, 0);
}

const struct ss_fault ss_fault_alloc = {
	.name = "alloc",
	.doc = "Allocations of the library fail: at random, every nth, and one by itself.",
	.interval_us = 15000,
	.release = release,
	.args_max = { SS_MEMORY_NTH, NTH_MAX },
	.draw = draw,
	.inject = inject,
	.count = ss_memory_failures,
};
