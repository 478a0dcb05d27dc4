/* SPDX-License-Identifier: BSD-2-Clause */
/* server/protocol.c — see protocol.h */

#include "protocol.h"

#include <stdbool.h>
#include <string.h>

/* What is left of a line. */
struct cursor {
	const char *at;
	size_t left;
};

/* The next word, up to a blank or the end; steps over one blank. */
static size_t cursor_word(struct cursor *cursor, const char **wordp)
{
	const char *blank = memchr(cursor->at, ' ', cursor->left);
	size_t size = blank != NULL ? (size_t)(blank - cursor->at) : cursor->left;
	size_t step = blank != NULL ? size + 1 : size;

	*wordp = cursor->at;
	cursor->at += step;
	cursor->left -= step;
	return size;
}

static bool verb_find(enum protocol_verb *verb, const char *word, size_t size)
{
	static const char *const names[] = {
		[PROTOCOL_SUB] = "SUB",
		[PROTOCOL_UNSUB] = "UNSUB",
		[PROTOCOL_PUB] = "PUB",
		[PROTOCOL_QUIT] = "QUIT",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i]) == size && memcmp(names[i], word, size) == 0) {
			*verb = (enum protocol_verb)i;
			return true;
		}
	}
	return false;
}

static const char *topic_parse(struct protocol_command *command, struct cursor *cursor)
{
	const char *word;
	size_t size = cursor_word(cursor, &word);

	if (size == 0)
		return "no topic";
	if (size > PROTOCOL_TOPIC_MAX)
		return "topic too long";
	for (size_t i = 0; i < size; i++) {
		/* Not isgraph(), which asks the locale. */
		if (word[i] <= ' ' || word[i] > '~')
			return "bad character in topic";
	}
	memcpy(command->topic, word, size);
	command->topic[size] = '\0';
	return NULL;
}

const char *protocol_parse(struct protocol_command *command, const char *line, size_t size)
{
	struct cursor cursor = { line, size };
	const char *word, *wrong;
	size_t word_size;

	if (size > 0 && line[size - 1] == '\r')
		cursor.left--;
	word_size = cursor_word(&cursor, &word);
	if (!verb_find(&command->verb, word, word_size))
		return "unknown command";
	if (command->verb != PROTOCOL_QUIT) {
		wrong = topic_parse(command, &cursor);
		if (wrong != NULL)
			return wrong;
	}
	if (command->verb == PROTOCOL_PUB) {
		command->text = cursor.at;
		command->text_size = cursor.left;
		return cursor.left > 0 ? NULL : "no text";
	}
	return cursor.left == 0 ? NULL : "something follows";
}
