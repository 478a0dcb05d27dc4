/* SPDX-License-Identifier: BSD-2-Clause */
/* fork.c — the process forks in the middle of it
 *
 * Arguments: 0: the child ends at once; 1: it executes /bin/true. It may do nothing else: see
 * stasis/executor.h.
 */

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fail.h"
#include "faults.h"
#include "random.h"

static void draw(uint64_t *random, uint64_t *args)
{
	args[0] = random_below(random, 2);
}

static void inject(struct ss_net *net, const uint64_t *args)
{
	static char name[] = "true";
	char *const argv[] = { name, NULL };
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		if (args[0] == 1)
			execv("/bin/true", argv);
		_exit(0);
	}
	if (child < 0) {
		ss_check(errno == EAGAIN || errno == ENOMEM, "fork: error %d", errno);
		return;
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
	}
	ss_check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "fork: the child ended with %d",
		 status);
}

const struct ss_fault ss_fault_fork = {
	.name = "fork",
	.doc = "The process forks, and the child ends or executes another program.",
	.interval_us = 150000,
	.args_max = { 1 },
	.draw = draw,
	.inject = inject,
};
