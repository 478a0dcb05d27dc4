/* SPDX-License-Identifier: BSD-2-Clause */
/* base/process.c — see process.h */

#include "base/process.h"

#include <pthread.h>

bool sti_process_is_child;

static pthread_once_t watch_once = PTHREAD_ONCE_INIT;

static void note_child(void)
{
	sti_process_is_child = true;
}

static void watch(void)
{
	/* Without memory for it a child is not found out: no reason to fail. */
	(void)pthread_atfork(NULL, NULL, note_child);
}

void sti_process_watch(void)
{
	pthread_once(&watch_once, watch);
}
