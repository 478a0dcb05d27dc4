/* SPDX-License-Identifier: BSD-2-Clause */
/* threads.c — see threads.h */

#include "threads.h"

#include <errno.h>
#include <stdlib.h>

int sp_threads_start(struct sp_threads *threads, unsigned n, void *(*main)(void *arg), void *things,
		     size_t size)
{
	threads->n = 0;
	threads->ids = calloc(n + 1, sizeof(threads->ids[0]));
	if (threads->ids == NULL)
		return -ENOMEM;
	while (threads->n < n) {
		void *thing = (char *)things + threads->n * size;
		int error = pthread_create(&threads->ids[threads->n], NULL, main, thing);

		if (error != 0)
			return -error;
		threads->n++;
	}
	return 0;
}

void sp_threads_join(struct sp_threads *threads)
{
	while (threads->n > 0)
		pthread_join(threads->ids[--threads->n], NULL);
	free(threads->ids);
	threads->ids = NULL;
}
