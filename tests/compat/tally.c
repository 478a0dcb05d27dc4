/* SPDX-License-Identifier: BSD-2-Clause */
/* tally.c — see tally.h */

#include "tally.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int tallies[N_TALLIES];

void tally_add(enum tally tally)
{
	pthread_mutex_lock(&lock);
	tallies[tally]++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

int tally_get(enum tally tally)
{
	int n;

	pthread_mutex_lock(&lock);
	n = tallies[tally];
	pthread_mutex_unlock(&lock);
	return n;
}

void tally_await(enum tally tally, int n)
{
	pthread_mutex_lock(&lock);
	while (tallies[tally] < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}
