/* SPDX-License-Identifier: BSD-2-Clause */
/* progress.c — see progress.h */

#include "progress.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static unsigned total;
static unsigned done;
static bool terminal;

void sb_progress_begin(unsigned n)
{
	total = n;
	done = 0;
	terminal = isatty(STDERR_FILENO) == 1;
}

void sb_progress_step(const char *format, ...)
{
	va_list args;

	done++;
	/* Return to the first column, erase the line. */
	fprintf(stderr, "%s[%3u/%u] ", terminal ? "\r\033[K" : "", done, total);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (!terminal)
		fputc('\n', stderr);
	fflush(stderr);
}

void sb_progress_skip(unsigned n)
{
	total -= n;
}

void sb_progress_end(void)
{
	if (terminal)
		fputs("\r\033[K", stderr);
}
