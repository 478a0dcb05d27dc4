/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/default.c — the executor of subscriptions that name none
 *
 * One pointer under one lock, touched at subscribe only. It holds a reference.
 */

#include <errno.h>
#include <pthread.h>

#include <stasis/executor.h>
#include <stasis/object.h>

#include "base/object.h"
#include "base/process.h"
#include "exec/executor.h"

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static struct stasis_executor *default_executor; /* under default_lock */

/* Under default_lock. */
static struct stasis_executor *default_get_locked(void)
{
	if (default_executor == NULL) {
		default_executor = stasis_executor_create(NULL);
		if (default_executor != NULL)
			default_executor->by_library = true;
	}
	return default_executor;
}

struct stasis_executor *sti_executor_default_ref(void)
{
	struct stasis_executor *executor;

	if (sti_process_is_child) {
		errno = ENOTRECOVERABLE;
		return NULL;
	}
	pthread_mutex_lock(&default_lock);
	executor = default_get_locked();
	if (executor != NULL)
		sti_object_ref_n(executor, 1);
	pthread_mutex_unlock(&default_lock);
	return executor;
}

void sti_executor_default_clear(struct stasis_executor *executor)
{
	bool was;

	pthread_mutex_lock(&default_lock);
	was = default_executor == executor;
	if (was)
		default_executor = NULL;
	pthread_mutex_unlock(&default_lock);
	if (was && !executor->by_library)
		stasis_object_unref(executor);
}

struct stasis_executor *stasis_executor_default(void)
{
	struct stasis_executor *executor;

	if (sti_process_is_child) {
		errno = ENOTRECOVERABLE;
		return NULL;
	}
	pthread_mutex_lock(&default_lock);
	executor = default_get_locked();
	pthread_mutex_unlock(&default_lock);
	return executor;
}

int stasis_executor_set_default(struct stasis_executor *executor)
{
	struct stasis_executor *old;

	if (sti_process_is_child)
		return -ENOTRECOVERABLE;
	pthread_mutex_lock(&default_lock);
	/* S4: phases only go forward. A shutdown that begins now clears the default afterwards. */
	if (executor != NULL && atomic_load_explicit(&executor->phase, memory_order_seq_cst) !=
					STI_EXECUTOR_OPEN) {
		pthread_mutex_unlock(&default_lock);
		return -ESHUTDOWN;
	}
	if (executor != NULL)
		sti_object_ref_n(executor, 1);
	old = default_executor;
	default_executor = executor;
	pthread_mutex_unlock(&default_lock);
	stasis_object_unref(old);
	return 0;
}
