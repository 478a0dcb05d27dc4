/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_STASIS_H
#define STASIS_STASIS_H

/* stasis/stasis.h — the whole library in one include */

#include "api.h"
#include "cache.h"
#include "channel.h"
#include "executor.h"
#include "message.h"
#include "object.h"
#include "router.h"
#include "stats.h"
#include "subscription.h"
#include "topic.h"

#endif
