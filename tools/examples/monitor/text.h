/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_MONITOR_TEXT_H
#define EXAMPLES_MONITOR_TEXT_H

/* monitor/text.h — what others have written, on a terminal or in a line of its own */

#include <stdio.h>

/* Prints a string of UTF-8 with its control characters escaped (\x1b), so that it is one line and
 * does nothing to a terminal. Errors are left to ferror(). */
void text_print(FILE *stream, const char *text);

#endif
