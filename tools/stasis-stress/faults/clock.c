/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.c — the wall clock steps
 *
 * Arguments: how far back it is from now on, in microseconds. Every clock_gettime() of the program,
 * the library's too, goes through here (the linker's --wrap); the machine's clock is left alone.
 * Only the timestamps of messages may show it.
 */

#include <time.h>

#include "faults.h"
#include "random.h"

#define BACK_US_MAX UINT64_C(10000000000)

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);

static _Atomic int64_t back_ns;

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	int result = __real_clock_gettime(id, now);
	int64_t back;

	if (result != 0 || id != CLOCK_REALTIME)
		return result;
	back = atomic_load_explicit(&back_ns, memory_order_relaxed);
	now->tv_sec -= (time_t)(back / 1000000000);
	now->tv_nsec -= (long)(back % 1000000000);
	if (now->tv_nsec < 0) {
		now->tv_nsec += 1000000000;
		now->tv_sec--;
	}
	return 0;
}

static void draw(uint64_t *random, uint64_t *args)
{
	args[0] = random_below(random, 3) == 0 ? 0 : random_below(random, BACK_US_MAX);
}

static void inject(struct ss_net *net, const uint64_t *args)
{
	atomic_store(&back_ns, (int64_t)args[0] * 1000);
}

static void release(void)
{
	atomic_store(&back_ns, 0);
}

const struct ss_fault ss_fault_clock = {
	.name = "clock",
	.doc = "The wall clock steps back, by up to hours, and forth.",
	.interval_us = 50000,
	.release = release,
	.args_max = { BACK_US_MAX },
	.draw = draw,
	.inject = inject,
};
