/* SPDX-License-Identifier: BSD-2-Clause */
/* base/thread.c — coming and going of threads. See thread.h. */

#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/alloc.h"

__thread struct sti_thread *sti_thread_current;

/* The thread has given up its record. */
static __thread bool thread_ended;

static _Atomic unsigned char numbers[STI_THREAD_MAX]; /* 1: taken */
static pthread_key_t thread_key;
static int thread_key_error = -1;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static void number_put(unsigned number)
{
	/* R1: what was written under the number; pairs with A1 in number_get(). */
	atomic_store_explicit(&numbers[number], 0, memory_order_release);
}

/* STI_THREAD_MAX: all are taken. */
static unsigned number_get(void)
{
	unsigned i;

	for (i = 0; i < STI_THREAD_MAX; i++) {
		/* Relaxed: a hint. A1: pairs with R1 in number_put(). */
		if (atomic_load_explicit(&numbers[i], memory_order_relaxed) == 0 &&
		    atomic_exchange_explicit(&numbers[i], 1, memory_order_acquire) == 0)
			break;
	}
	return i;
}

static void thread_exit(void *arg)
{
	struct sti_thread *thread = arg;

	sti_thread_current = NULL;
	thread_ended = true;
	sti_heap_deinit(&thread->heap);
	number_put(thread->number);
	sti_free(thread);
}

static void thread_key_init(void)
{
	thread_key_error = pthread_key_create(&thread_key, thread_exit);
}

struct sti_thread *sti_thread_enter(void)
{
	struct sti_thread *thread;
	unsigned number;

	/* It calls from a destructor of thread-specific data. The system goes through these a few
	 * times only: another record might never be given up. */
	if (thread_ended)
		return NULL;
	pthread_once(&thread_once, thread_key_init);
	if (thread_key_error != 0)
		return NULL;
	number = number_get();
	if (number == STI_THREAD_MAX)
		return NULL;
	thread = sti_alloc_zeroed(sizeof(*thread));
	if (thread == NULL || pthread_setspecific(thread_key, thread) != 0) {
		sti_free(thread);
		number_put(number);
		return NULL;
	}
	thread->number = number;
	sti_thread_current = thread;
	return thread;
}
