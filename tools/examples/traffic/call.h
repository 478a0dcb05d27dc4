/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_TRAFFIC_CALL_H
#define EXAMPLES_TRAFFIC_CALL_H

/* traffic/call.h — an invented call: the script that it follows, and its steps as events */

#include <stdbool.h>
#include <stddef.h>

/* Longer than any event. */
#define CALL_LINE_SIZE 512u

enum action {
	CREATE,
	STATE, /* text */
	CALLERID,
	CONNECTED,
	ACCOUNT,
	LANGUAGE,  /* text */
	DIALPLAN,  /* text: context; number: priority */
	VARIABLE,  /* text: name=value */
	TALK,	   /* some of the above, drawn */
	HANGUP,	   /* number: cause */
	LEFT_OPEN, /* the end of the call, unless it hangs up */
	END,
};

enum leg {
	CALLER,
	CALLEE,
};

struct step {
	enum action action;
	enum leg leg;
	const char *text;
	int number;
};

struct call {
	unsigned long long serial;
	const struct step *at;
	unsigned extension[2]; /* of the legs */
	unsigned talk;	       /* lines of talk left */
	bool open;
	bool created[2]; /* and not hung up */
};

/* How calls go; each ends in END. */
extern const struct step call_answered[];
extern const struct step call_busy[];
extern const struct step call_no_answer[];

/* What goes on while people talk: the i-th of these, whatever i is. */
const struct step *call_talk(unsigned i);

/* A step as a line of JSON. Its length, without an end, which there is room for; 0: memory has run
 * out. */
size_t call_format(const struct call *call, const struct step *step, char line[CALL_LINE_SIZE]);

#endif
