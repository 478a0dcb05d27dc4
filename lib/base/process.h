/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_PROCESS_H
#define STI_BASE_PROCESS_H

/* base/process.h — is this still the process that started the library's threads?
 *
 * The child of a fork() has none of them, and locks as they happened to be. It may exec or _exit. A
 * function that would take such a lock or wait for such a thread asks here first; the hot path does
 * not. vfork(), posix_spawn() and system() run no handlers and share the memory: nothing is noted.
 */

#include <errno.h>
#include <stdbool.h>

#include "base/compiler.h"

/* Written once, by the only thread of a child. */
extern bool sti_process_is_child;

/* From now on a child is known as one. */
void sti_process_watch(void);

/* 0, or in a child -ENOTRECOVERABLE. */
STI_NODISCARD STI_INLINE int sti_process_check(void)
{
	return sti_likely(!sti_process_is_child) ? 0 : -ENOTRECOVERABLE;
}

#endif
