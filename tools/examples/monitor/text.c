/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor/text.c — see text.h */

#include "text.h"

#include <stddef.h>

/* Bytes of the control character that begins here; 0: there is none. */
static size_t control_size(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;

	if (byte[0] < ' ' || byte[0] == 0x7f)
		return 1;
	/* U+0080 to U+009F, which terminals know as well. */
	return byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] < 0xa0 ? 2 : 0;
}

void text_print(FILE *stream, const char *text)
{
	while (*text != '\0') {
		const char *end = text;
		size_t control = 0;

		while (*end != '\0' && (control = control_size(end)) == 0)
			end++;
		fwrite(text, 1, (size_t)(end - text), stream);
		if (*end == '\0')
			break;
		for (text = end; control > 0; control--)
			fprintf(stream, "\\x%02x", (unsigned char)*text++);
	}
}
