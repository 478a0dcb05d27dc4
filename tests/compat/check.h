/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_COMPAT_CHECK_H
#define STASIS_TESTS_COMPAT_CHECK_H

/* check.h — assertions for programs that use nothing but the compat headers */

#include <stdio.h>
#include <stdlib.h>

#define CHECK(e)                                                                                   \
	do {                                                                                       \
		if (!(e)) {                                                                        \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #e);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
