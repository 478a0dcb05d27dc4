/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor/lines.c — see lines.h */

#include "lines.h"

#include <stdlib.h>
#include <string.h>

/* A line that is too long by one, and no less to read at once. */
#define BUFFER_SIZE (2u * (LINES_MAX + 1))

bool lines_init(struct lines *lines)
{
	*lines = (struct lines){ .bytes = malloc(BUFFER_SIZE) };
	return lines->bytes != NULL;
}

void lines_deinit(struct lines *lines)
{
	free(lines->bytes);
	lines->bytes = NULL;
}

char *lines_space(struct lines *lines, size_t *sizep)
{
	memmove(lines->bytes, lines->bytes + lines->begin, lines->end - lines->begin);
	lines->searched -= lines->begin;
	lines->end -= lines->begin;
	lines->begin = 0;
	*sizep = BUFFER_SIZE - lines->end;
	return lines->bytes + lines->end;
}

void lines_add(struct lines *lines, size_t size)
{
	lines->end += size;
}

void lines_end(struct lines *lines)
{
	lines->ended = true;
}

/* What is left without a "\n". */
static enum lines_result take_rest(struct lines *lines, const char **linep, size_t *sizep)
{
	bool was_skipping = lines->skipping;
	size_t size = lines->end - lines->begin;

	lines->searched = lines->end;
	if (!was_skipping && size <= LINES_MAX && (!lines->ended || size == 0))
		return LINES_NONE;
	*linep = lines->bytes + lines->begin;
	*sizep = size;
	lines->begin = lines->end;
	if (was_skipping)
		return LINES_NONE;
	lines->number++;
	if (size <= LINES_MAX)
		return LINES_LINE;
	lines->skipping = true;
	return LINES_TOO_LONG;
}

enum lines_result lines_next(struct lines *lines, const char **linep, size_t *sizep)
{
	const char *line, *newline;
	size_t size;

	for (;;) {
		line = lines->bytes + lines->begin;
		newline = memchr(lines->bytes + lines->searched, '\n',
				 lines->end - lines->searched);
		if (newline == NULL)
			return take_rest(lines, linep, sizep);
		size = (size_t)(newline - line);
		lines->begin += size + 1;
		lines->searched = lines->begin;
		if (!lines->skipping)
			break;
		lines->skipping = false;
	}
	*linep = line;
	*sizep = size;
	lines->number++;
	return size <= LINES_MAX ? LINES_LINE : LINES_TOO_LONG;
}
