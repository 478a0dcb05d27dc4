/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_COMPAT_STASIS_H
#define STASIS_COMPAT_STASIS_H

/* asterisk/stasis.h — the message bus, all of whose names are the library's own
 *
 * Overview   The whole library. Handles are objects: ao2_ref() and ao2_cleanup() count them. Where
 *            older code expects a function to return nothing it may return a result, which can be
 *            left alone.
 * Threads    See the library's headers.
 */

#include "../../stasis.h"
#include "../asterisk.h"

#endif
