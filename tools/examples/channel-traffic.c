/* SPDX-License-Identifier: BSD-2-Clause */
/* channel-traffic.c — invents telephone calls, as input for channel-monitor
 *
 * A call has two legs and follows one of the scripts in traffic/call.c, a line for each step. So
 * many calls go on at once, and whose turn it is is drawn; when one ends, the next begins in its
 * place. All there is to a call follows from its number and what was drawn for it, so memory goes
 * by --concurrent and not by --calls, and a seed gives the same output everywhere.
 */

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/call.h"

#define EXIT_TROUBLE 2

#define CONCURRENT_MAX 1000000u
#define N_EXTENSIONS 9000u
#define LONG_LINE 70000u

struct options {
	unsigned long long calls;
	unsigned long long seed;
	unsigned concurrent;
	double bad;
	double open;
};

struct traffic {
	const struct options *options;
	unsigned short chance[3];
	unsigned long long begun;
	struct call *calls;
	unsigned n_calls;
};

#define N_OF(array) (sizeof(array) / sizeof(*(array)))

static unsigned draw(struct traffic *traffic, unsigned n)
{
	return (unsigned)((unsigned long)nrand48(traffic->chance) % n);
}

static bool draw_chance(struct traffic *traffic, double chance)
{
	return erand48(traffic->chance) < chance;
}

/* --- bad lines -------------------------------------------------------------------------------- */

static const char *const bad_lines[] = {
	"",
	"nonsense",
	"[]",
	"{}",
	"{\"event\":\"create\"",
	"{\"event\":\"create\",\"id\":\"x\"}",
	"{\"event\":\"create\",\"id\":1,\"name\":\"SIP/x\"}",
	"{\"event\":\"transfer\",\"id\":\"x\"}",
	"{\"event\":\"state\",\"id\":\"nobody\",\"state\":\"Up\"}",
	"{\"event\":\"state\",\"id\":\"nobody\",\"state\":\"Asleep\"}",
	"{\"event\":\"hangup\",\"id\":\"nobody\",\"cause\":16}",
	"{\"event\":\"create\",\"id\":\"x\",\"name\":\"\xff\xfe\"}",
	"{\"event\":\"create\",\"id\":\"x\",\"name\":\"\\u0000\"}",
	"{\"event\":\"create\",\"id\":\"x\",\"name\":\"SIP/x\"} {}",
};

/* False: it could not be written. */
static bool write_long_line(void)
{
	static char line[LONG_LINE + 1];

	memset(line, ' ', LONG_LINE);
	line[LONG_LINE] = '\n';
	return fwrite(line, sizeof(line), 1, stdout) == 1;
}

static bool write_bad(struct traffic *traffic, const struct call *call)
{
	static const struct step create = { CREATE, CALLER, NULL, 0 };
	unsigned kind = draw(traffic, N_OF(bad_lines) + 3);
	char line[CALL_LINE_SIZE];
	size_t size;

	if (kind < N_OF(bad_lines))
		return printf("%s\n", bad_lines[kind]) > 0;
	/* Rare, for it is as long as many hundred others. */
	if (kind == N_OF(bad_lines) && draw(traffic, 20) == 0)
		return write_long_line();
	size = call_format(call, &create, line);
	if (size == 0)
		return false;
	if (kind == N_OF(bad_lines) + 1 || !call->created[CALLER]) {
		/* A byte that is in no JSON; or, of a channel that is there, a duplicate. */
		line[draw(traffic, (unsigned)size)] = '\0';
	}
	line[size++] = '\n';
	return fwrite(line, size, 1, stdout) == 1;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void call_begin(struct traffic *traffic, struct call *call)
{
	unsigned outcome = draw(traffic, 20);

	*call = (struct call){
		.serial = traffic->begun++,
		.at = outcome < 14 ? call_answered :
		      outcome < 17 ? call_busy :
				     call_no_answer,
		.talk = draw(traffic, 5),
		.open = draw_chance(traffic, traffic->options->open),
	};
	call->extension[CALLER] = 1000 + draw(traffic, N_EXTENSIONS);
	call->extension[CALLEE] = 1000 + draw(traffic, N_EXTENSIONS);
}

/* Chooses the next step and goes past it. NULL at the end. */
static const struct step *call_step(struct traffic *traffic, struct call *call)
{
	if (call->at->action == TALK) {
		if (call->talk-- > 0)
			return call_talk(draw(traffic, 1000));
		call->at++;
	}
	if (call->at->action == LEFT_OPEN && !call->open)
		call->at++;
	if (call->at->action == LEFT_OPEN || call->at->action == END)
		return NULL;
	return call->at++;
}

/* One line of a call; or, at its end, none, and the next call takes its place. */
static bool call_go_on(struct traffic *traffic, struct call *call)
{
	const struct step *step = call_step(traffic, call);
	char line[CALL_LINE_SIZE];
	size_t size;

	if (step == NULL) {
		if (traffic->begun < traffic->options->calls)
			call_begin(traffic, call);
		else
			*call = traffic->calls[--traffic->n_calls];
		return true;
	}
	if (traffic->options->bad > 0 && draw_chance(traffic, traffic->options->bad) &&
	    !write_bad(traffic, call))
		return false;
	size = call_format(call, step, line);
	if (size == 0)
		return false;
	if (step->action == CREATE || step->action == HANGUP)
		call->created[step->leg] = step->action == CREATE;
	line[size++] = '\n';
	return fwrite(line, size, 1, stdout) == 1;
}

static bool traffic_run(struct traffic *traffic)
{
	const struct options *options = traffic->options;
	unsigned n = options->calls < options->concurrent ? (unsigned)options->calls :
							    options->concurrent;

	traffic->calls = calloc(n > 0 ? n : 1, sizeof(*traffic->calls));
	if (traffic->calls == NULL)
		return false;
	while (traffic->n_calls < n)
		call_begin(traffic, &traffic->calls[traffic->n_calls++]);
	while (traffic->n_calls > 0) {
		if (!call_go_on(traffic, &traffic->calls[draw(traffic, traffic->n_calls)]))
			return false;
	}
	return fflush(stdout) == 0;
}

/* --- options ---------------------------------------------------------------------------------- */

/* clang-format off */
static const struct argp_option argp_options[] = {
	{ "calls", 'n', "N", 0, "Calls, of two channels each (1000)", 0 },
	{ "seed", 's', "N", 0, "The same seed and options give the same output (1)", 0 },
	{ "concurrent", 'c', "N", 0, "Calls that go on at once (100)", 0 },
	{ "bad", 'b', "FRACTION", 0, "Malformed lines put in, for each good one (0)", 0 },
	{ "open", 'o', "FRACTION", 0, "Calls that never end (0)", 0 },
	{ 0 },
};
static const char doc[] =
	"Writes the events of invented telephone calls to standard output, as "
	"channel-monitor reads them.\v"
	"A call has two channels: the caller's is created, rings and goes through the "
	"dialplan; the callee's is created and is answered (70 in 100), busy (15) or not "
	"answered (15). Both carry caller ids, connected lines and variables, and end "
	"with hangup cause 16, 17 or 19. A call takes some 18 lines.\n\n"
	"Malformed lines never change what the good ones mean.\n\n"
	"The exit status is 0, or 2 when the options are wrong or the output cannot be "
	"written.";
/* clang-format on */

static unsigned long long parse_count(struct argp_state *state, const char *arg,
				      unsigned long long min, unsigned long long max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(arg, &end, 10);
	if (end == arg || *end != '\0' || errno != 0 || strchr(arg, '-') != NULL || value < min ||
	    value > max)
		argp_error(state, "\"%s\" is not a number from %llu to %llu", arg, min, max);
	return value;
}

static double parse_fraction(struct argp_state *state, const char *arg)
{
	char *end;
	double value = strtod(arg, &end);

	if (end == arg || *end != '\0' || !(value >= 0 && value <= 1))
		argp_error(state, "\"%s\" is not a number from 0 to 1", arg);
	return value;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'n':
		options->calls = parse_count(state, arg, 0, 1000000000000);
		break;
	case 's':
		options->seed = parse_count(state, arg, 0, UINT32_MAX);
		break;
	case 'c':
		options->concurrent = (unsigned)parse_count(state, arg, 1, CONCURRENT_MAX);
		break;
	case 'b':
		options->bad = parse_fraction(state, arg);
		break;
	case 'o':
		options->open = parse_fraction(state, arg);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is not an option", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.doc = doc,
	};
	struct options options = { .calls = 1000, .seed = 1, .concurrent = 100 };
	struct traffic traffic = { .options = &options };
	bool good;

	argp_err_exit_status = EXIT_TROUBLE;
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	signal(SIGPIPE, SIG_IGN);
	traffic.chance[0] = 0x330e;
	traffic.chance[1] = (unsigned short)options.seed;
	traffic.chance[2] = (unsigned short)(options.seed >> 16);
	good = traffic_run(&traffic);
	if (!good)
		fprintf(stderr, "channel-traffic: %s\n", strerror(errno));
	free(traffic.calls);
	return good ? EXIT_SUCCESS : EXIT_TROUBLE;
}
