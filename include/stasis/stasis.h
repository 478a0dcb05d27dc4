/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_STASIS_H
#define STASIS_STASIS_H

/* stasis/stasis.h — the whole library in one include */

#include <stasis/api.h>
#include <stasis/executor.h>
#include <stasis/message.h>
#include <stasis/object.h>
#include <stasis/stats.h>
#include <stasis/subscription.h>
#include <stasis/topic.h>

#endif
