/* SPDX-License-Identifier: BSD-2-Clause */
/* sanitize-planted.c — errors that a sanitizer must report, made where only a report shows them
 *
 * They happen in a child whose exit status nobody looks at; the program itself succeeds. So it
 * fails exactly when sanitize-wrapper.sh does its work.
 */

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int shared;

static void *race(void *arg)
{
	for (int i = 0; i < 1000; i++)
		shared++;
	return arg;
}

static void misbehave(void)
{
	pthread_t thread;
	int *volatile block = malloc(sizeof(*block));

	if (block == NULL || pthread_create(&thread, NULL, race, NULL) != 0)
		_exit(1);
	race(NULL);
	pthread_join(thread, NULL);
	free(block);
	_exit(*block == shared);
}

int main(void)
{
	pid_t child = fork();

	if (child == 0)
		misbehave();
	waitpid(child, NULL, 0);
	return 0;
}
