/* SPDX-License-Identifier: BSD-2-Clause */
/* test_assert.c — what is true is passed by; what is not ends the process, after a message */

#include "asterisk.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asterisk/astobj2.h"

#include "check.h"

struct bar {
	void *sub;
};

static struct bar the_bar;
static int evaluated;

static int evaluate(int result)
{
	evaluated++;
	return result;
}

static void fails(void)
{
	ast_assert(the_bar.sub != NULL);
}

static const int fails_line = __LINE__ - 3;

static void drops_more_than_there_are(void)
{
	ao2_ref(ao2_alloc(1, NULL), -2);
}

/* Runs a function in a child, which must abort; what it said on standard error. */
static void expect_abort(void (*function)(void), char *said, size_t size)
{
	int pipes[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t child;

	CHECK(pipe(pipes) == 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		/* Dies on purpose: no core file. */
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		if (signal(SIGABRT, SIG_DFL) == SIG_ERR || dup2(pipes[1], STDERR_FILENO) < 0)
			_exit(2);
		function();
		_exit(0);
	}
	close(pipes[1]);
	while (n + 1 < size && (got = read(pipes[0], said + n, size - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(pipes[0]);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	char said[1000], place[100];

	ast_assert(evaluate(1));
	CHECK(evaluated == 1);
	ast_assert(the_bar.sub == NULL);
	/* An expression, also between others. */
	CHECK((ast_assert(evaluate(2) == 2), evaluated) == 2);

	expect_abort(fails, said, sizeof(said));
	snprintf(place, sizeof(place), "test_assert.c:%d:", fails_line);
	CHECK(strstr(said, place) != NULL);
	CHECK(strstr(said, "the_bar.sub != NULL") != NULL);

	expect_abort(drops_more_than_there_are, said, sizeof(said));
	CHECK(strstr(said, "compat.c:") != NULL);
	return 0;
}
