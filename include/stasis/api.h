/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_API_H
#define STASIS_API_H

/* stasis/api.h — version and symbol visibility, included by every other header */

#define STASIS_VERSION_MAJOR 0
#define STASIS_VERSION_MINOR 1
#define STASIS_VERSION_PATCH 0

#define STASIS_API __attribute__((visibility("default")))

#if defined(__cplusplus)
#define STASIS_BEGIN_DECLS extern "C" {
#define STASIS_END_DECLS }
#else
#define STASIS_BEGIN_DECLS
#define STASIS_END_DECLS
#endif

#endif
