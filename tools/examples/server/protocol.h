/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_SERVER_PROTOCOL_H
#define EXAMPLES_SERVER_PROTOCOL_H

/* server/protocol.h — the line protocol of the example servers
 *
 * A line ends in "\n" or "\r\n" and is at most PROTOCOL_LINE_MAX bytes long, its end included. What
 * a client sends:
 *
 *   SUB topic        from now on, send me what is published to this topic
 *   UNSUB topic      and now no more
 *   PUB topic text   publish; the text is everything after the blank, any bytes
 *   QUIT             send what is left and close; so does the end of what the client sends
 *
 * Each is answered, in order, by one of
 *
 *   OK
 *   ERR reason
 *
 * and between the answers comes, at any time,
 *
 *   MSG topic text   somebody has published this
 *   LOST n           n messages for you have been dropped since you were last told, because you
 *                    read too slowly or because more was published at once than can be queued
 *
 * A topic is 1 to PROTOCOL_TOPIC_MAX visible characters of ASCII. A line that is too long is
 * answered by ERR and the end of the connection; one that the connection ends in is discarded.
 */

#include <stddef.h>

#define PROTOCOL_LINE_MAX 4096u
#define PROTOCOL_TOPIC_MAX 64u

/* Longest answer and longest LOST, their ends included. */
#define PROTOCOL_REPLY_MAX 64u

enum protocol_verb {
	PROTOCOL_SUB,
	PROTOCOL_UNSUB,
	PROTOCOL_PUB,
	PROTOCOL_QUIT,
};

struct protocol_command {
	enum protocol_verb verb;
	char topic[PROTOCOL_TOPIC_MAX + 1]; /* not for QUIT */
	const char *text;		    /* of PUB; points into the line; not terminated */
	size_t text_size;
};

/* Takes a line of size bytes, without its "\n", apart. Returns NULL, or the reason for an ERR. */
const char *protocol_parse(struct protocol_command *command, const char *line, size_t size);

#endif
