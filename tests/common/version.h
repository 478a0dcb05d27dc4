/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_VERSION_H
#define STASIS_TESTS_VERSION_H

/* version.h — the library's version as text, for argp_program_version */

#include <stasis/api.h>

#define VERSION_TEXT_OF(n) #n
#define VERSION_DOTTED(major, minor, patch)                                                        \
	VERSION_TEXT_OF(major) "." VERSION_TEXT_OF(minor) "." VERSION_TEXT_OF(patch)
#define VERSION_TEXT                                                                               \
	VERSION_DOTTED(STASIS_VERSION_MAJOR, STASIS_VERSION_MINOR, STASIS_VERSION_PATCH)

#endif
