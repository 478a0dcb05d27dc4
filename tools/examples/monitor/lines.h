/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_MONITOR_LINES_H
#define EXAMPLES_MONITOR_LINES_H

/* monitor/lines.h — takes a stream of bytes apart into lines
 *
 * Read into lines_space(), tell lines_add(), and call lines_next() until there is none. A line that
 * is too long is told once, and skipped to its end: it costs no memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a line at most, its "\n" not counted. */
#define LINES_MAX 65536u

enum lines_result {
	LINES_NONE, /* until more is added */
	LINES_LINE,
	LINES_TOO_LONG,
};

struct lines {
	char *bytes;
	size_t begin, end; /* of what has not been taken */
	size_t searched;   /* up to here there is no "\n" */
	uint64_t number;   /* of the last line */
	bool skipping;	   /* the rest of a line that is too long */
	bool ended;
};

/* False when memory has run out. */
bool lines_init(struct lines *lines);
void lines_deinit(struct lines *lines);

/* Where to read to, and how much at most: never nothing, after lines_next() has said LINES_NONE. */
char *lines_space(struct lines *lines, size_t *sizep);
void lines_add(struct lines *lines, size_t size);

/* There is no more: what is left is a line, even without a "\n". */
void lines_end(struct lines *lines);

/* The line is valid until lines_space(). */
enum lines_result lines_next(struct lines *lines, const char **linep, size_t *sizep);

#endif
