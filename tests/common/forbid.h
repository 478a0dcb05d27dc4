/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_FORBID_H
#define STASIS_TESTS_FORBID_H

/* forbid.h — a kernel that refuses a system call, as far as this thread can tell */

#include <stdbool.h>

/* From now on membarrier() fails with that errno: ENOSYS, as if there were none; EPERM, as in a
 * sandbox. For good, so in a process of its own. False: it cannot be forbidden. */
bool forbid_membarrier(int error);

#endif
