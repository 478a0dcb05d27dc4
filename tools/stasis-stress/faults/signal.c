/* SPDX-License-Identifier: BSD-2-Clause */
/* signal.c — signals come while the library is at work
 *
 * Arguments: which thread (modulo how many there are), how many. The handler does what a handler
 * may: it writes to a pipe, reads the clock, sets errno. System calls are not restarted, so the
 * library sees them interrupted.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../fail.h"
#include "faults.h"
#include "random.h"

#define SIGNALS_MAX 20u

static int pipe_ends[2];
static _Atomic uint64_t n_handled;

static void on_signal(int number)
{
	int saved = errno;
	struct timespec now;
	char byte = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	/* Not write(), which is a cancellation point: the library's caller may not be cancelled in
	 * the middle. */
	if (syscall(SYS_write, pipe_ends[1], &byte, (size_t)1) < 0)
		errno = 0;
	atomic_fetch_add(&n_handled, 1);
	errno = saved;
}

static void init(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0)
		ss_die("cannot make a pipe");
	sigaction(SIGRTMIN + 4, &action, NULL);
}

static void draw(uint64_t *random, uint64_t *args)
{
	args[0] = random_below(random, SS_FAULT_THREADS_MAX);
	args[1] = 1 + random_below(random, SIGNALS_MAX);
}

static void inject(struct ss_net *net, const uint64_t *args)
{
	const int *tids;
	unsigned n = ss_fault_threads(&tids);
	char bytes[64];

	for (uint64_t i = 0; i < args[1] && n > 0; i++)
		syscall(SYS_tgkill, getpid(), tids[(args[0] + i) % n], SIGRTMIN + 4);
	while (read(pipe_ends[0], bytes, sizeof(bytes)) > 0) {
	}
}

static uint64_t count(void)
{
	return atomic_load(&n_handled);
}

const struct ss_fault ss_fault_signal = {
	.name = "signal",
	.doc = "Signals that interrupt publishes, workers and their system calls.",
	.interval_us = 5000,
	.init = init,
	.args_max = { SS_FAULT_THREADS_MAX, SIGNALS_MAX },
	.draw = draw,
	.inject = inject,
	.count = count,
};
