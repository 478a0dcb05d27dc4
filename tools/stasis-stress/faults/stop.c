/* SPDX-License-Identifier: BSD-2-Clause */
/* stop.c — a thread stands still, wherever it is
 *
 * Arguments: which thread (modulo how many there are), for how many microseconds. A signal finds it
 * at any instruction, in a publish, an unsubscribe, an update of a cache, a worker's loop; its
 * handler waits. Others must get on. A thread inside an allocator, or one that holds a lock of the
 * C library, is let go: everybody needs those.
 *
 * A publisher that stands still between reserving a place in a queue and filling it has the place
 * taken over by whoever waits for it; how long messages have waited at most while a thread stood
 * still is reported, and not judged: the machine may be slow.
 *
 * Sanitizers run code of their own under locks of their own, and ThreadSanitizer puts signals off
 * to its own moments: not there.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../fail.h"
#include "../memory.h"
#include "base/compiler.h"
#include "faults.h"
#include "random.h"

#define LONG_US 1500000u
#define SHORT_US 20000u

static _Atomic uint64_t stop_us;
static _Atomic uint64_t n_stopped;
static _Atomic int standing;
static uint64_t longest_ns; /* the controlling thread's own, as what follows */
static uint64_t watched_until_ns;

static void on_stop(int number)
{
	int saved = errno;
	uint64_t us = atomic_load(&stop_us);
	struct timespec left = { .tv_sec = (time_t)(us / 1000000),
				 .tv_nsec = (long)(us % 1000000) * 1000 };

	if (ss_memory_inside == 0) {
		atomic_fetch_add(&n_stopped, 1);
		atomic_fetch_add(&standing, 1);
		/* Not nanosleep(), which is a cancellation point. */
		while (syscall(SYS_nanosleep, &left, &left) < 0 && errno == EINTR) {
		}
		atomic_fetch_sub(&standing, 1);
	}
	errno = saved;
}

static void init(void)
{
	struct sigaction action = { .sa_handler = on_stop, .sa_flags = SA_RESTART };

	sigaction(SIGRTMIN + 3, &action, NULL);
}

static void draw(uint64_t *random, uint64_t *args)
{
	args[0] = random_below(random, SS_FAULT_THREADS_MAX);
	/* Mostly milliseconds; now and then more than a second. */
	args[1] = random_below(random, 40) == 0 ? random_below(random, LONG_US) :
						  1000 + random_below(random, SHORT_US);
}

/* While somebody stands still, the longest wait of anybody's message is his. */
static void watch(uint64_t us)
{
	uint64_t latency = atomic_exchange(&ss_latency_max_ns, 0);

	if (ss_now_ns() < watched_until_ns && latency > longest_ns)
		longest_ns = latency;
	watched_until_ns = ss_now_ns() + (us + SHORT_US) * 1000;
}

static void inject(struct ss_net *net, const uint64_t *args)
{
	const int *tids;
	unsigned n = ss_fault_threads(&tids);

	watch(args[1]);
	if (n == 0)
		return;
	atomic_store(&stop_us, args[1]);
	/* It may have ended. */
	syscall(SYS_tgkill, getpid(), tids[args[0] % n], SIGRTMIN + 3);
}

/* Nobody stands still when threads are joined and counted. */
static void release(void)
{
	while (atomic_load(&standing) > 0)
		ss_sleep_us(1000);
	watch(0);
	watched_until_ns = 0;
}

static uint64_t count(void)
{
	return atomic_load(&n_stopped);
}

uint64_t ss_fault_stop_longest_ns(void)
{
	return longest_ns;
}

const struct ss_fault ss_fault_stop = {
	.name = "stop",
	.doc = "Threads stand still for milliseconds to seconds, at any instruction.",
#if STI_ASAN || STI_TSAN
	.unfit = "a sanitizer's own code must not be stopped",
#endif
	.interval_us = 8000,
	.init = init,
	.release = release,
	.args_max = { SS_FAULT_THREADS_MAX, LONG_US },
	.draw = draw,
	.inject = inject,
	.count = count,
};
