/* SPDX-License-Identifier: BSD-2-Clause */
/* faults.c — see faults.h */

#include "faults.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Slower than any sanitizer makes a case. */
#define CASE_SECONDS 250u

double faults_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Reads all there is, keeps the end of it. */
static void read_tail(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, text + used, size - 1 - used)) > 0) {
		used += (size_t)n;
		if (used == size - 1) {
			memmove(text, text + size / 2, used - size / 2);
			used -= size / 2;
		}
	}
	text[used] = '\0';
}

static bool case_passes(const struct fault_case *test)
{
	char text[8192];
	int fds[2];
	int status;
	pid_t pid;
	bool passed;

	fflush(NULL);
	if (pipe(fds) != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		/* A few of the cases abort. */
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		alarm(CASE_SECONDS);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		test->run();
		exit(0);
	}
	close(fds[1]);
	read_tail(fds[0], text, sizeof(text));
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (test->dies != NULL)
		passed = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
			 strstr(text, test->dies) != NULL;
	else
		passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (!passed)
		printf("%s: %s %d\n%s", test->name, WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), text);
	return passed;
}

static bool is_wanted(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], name) == 0)
			return true;
	}
	return argc <= 1;
}

int faults_main(int argc, char **argv, const struct fault_case *cases, size_t n_cases)
{
	unsigned n_run = 0, n_failed = 0;

	for (size_t i = 0; i < n_cases; i++) {
		if (!is_wanted(argc, argv, cases[i].name))
			continue;
		double start = faults_now();
		bool passed = case_passes(&cases[i]);

		n_run++;
		n_failed += !passed;
		printf("%s %s (%.2f s)\n", passed ? "ok" : "FAILED", cases[i].name,
		       faults_now() - start);
	}
	if (n_run == 0)
		fprintf(stderr, "no such case\n");
	return n_run == 0 || n_failed > 0;
}
