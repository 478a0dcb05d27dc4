/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_COMPAT_STASIS_MESSAGE_ROUTER_H
#define STASIS_COMPAT_STASIS_MESSAGE_ROUTER_H

/* asterisk/stasis_message_router.h — message routers, whose names are the library's own
 *
 * Overview   See stasis/router.h. The final message goes to the route for subscription changes, or
 *            else to the default.
 * Threads    See stasis/router.h.
 */

#include "../../router.h"
#include "stasis.h"

#endif
