/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_FUZZ_GRACE_H
#define STASIS_FUZZ_GRACE_H

/* grace.h — see grace.c */

#include <stdbool.h>

/* A grace period passes: what was put off until one is done. False: there was nothing. Outside read
 * sections. */
bool fuzz_grace(void);

#endif
