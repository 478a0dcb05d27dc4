/* SPDX-License-Identifier: BSD-2-Clause */
/* schedule.c — see schedule.h */

#include "schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "random.h"

#define LINE_MAX_BYTES 512
#define ROUND_US_MAX UINT64_C(86400000000)

static char kept_line[LINE_MAX_BYTES];
static char record_name[SS_RECORD_NAME_MAX];

/* --- writing --- */

static void write_head(struct ss_schedule *schedule)
{
	const struct ss_options *options = schedule->options;

	fprintf(schedule->record, "stasis-stress schedule %d\n", SS_SCHEDULE_VERSION);
	fprintf(schedule->record, "seed %" PRIu64 "\nthreads %u\nplant %s\n", options->seed,
		options->threads, ss_plant_name(options->plant));
}

static void write_round(struct ss_schedule *schedule)
{
	const struct ss_round *round = &schedule->round;
	char faults[128];

	fprintf(schedule->record, "round %" PRIu64 " %s %" PRIu64 " %" PRIu64 " %s\n",
		round->number, round->shape->name, round->seed, round->us,
		ss_faults_text(round->faults, faults, sizeof(faults)));
	fflush(schedule->record);
}

void ss_schedule_note(struct ss_schedule *schedule, const struct ss_op *op)
{
	schedule->n_steps++;
	fprintf(schedule->record, "op %" PRIu64 " %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		op->at_us, ss_fault(op->fault)->name, op->args[0], op->args[1], op->args[2]);
	/* So that it is there whatever happens next. */
	fflush(schedule->record);
}

/* --- reading --- */

static _Noreturn void refuse(const struct ss_schedule *schedule, const char *why)
{
	if (schedule->record != NULL && schedule->options->record == NULL)
		unlink(record_name);
	ss_die("--replay: %s, line %u: %s", schedule->options->replay, schedule->line, why);
}

/* Was the line read to its end, by a scanf() that said how far it came? It takes negative numbers
 * for large ones. */
static bool is_whole(const char *line, int end)
{
	return line[end] == '\0' && strchr(line, '-') == NULL;
}

/* The next line that says something. False: there is none. */
static bool read_line(struct ss_schedule *schedule, char *line)
{
	if (kept_line[0] != '\0') {
		memcpy(line, kept_line, LINE_MAX_BYTES);
		kept_line[0] = '\0';
		return true;
	}
	while (fgets(line, LINE_MAX_BYTES, schedule->replay) != NULL) {
		size_t size = strlen(line);

		schedule->line++;
		if (size > 0 && line[size - 1] == '\n')
			line[size - 1] = '\0';
		else if (!feof(schedule->replay))
			refuse(schedule, "too long a line");
		if (line[0] != '\0' && line[0] != '#')
			return true;
	}
	return false;
}

static unsigned parse_faults(const struct ss_schedule *schedule, char *list)
{
	char *save = NULL;
	unsigned faults = 0;

	for (char *name = strtok_r(list, ",", &save); name != NULL;
	     name = strtok_r(NULL, ",", &save)) {
		unsigned fault = ss_fault_find(name);

		if (strcmp(name, "none") == 0)
			continue;
		if (fault == SS_FAULTS_N)
			refuse(schedule, "there is no such fault");
		if (ss_fault(fault)->unfit != NULL)
			refuse(schedule, ss_fault(fault)->unfit);
		faults |= 1u << fault;
	}
	return faults;
}

static void read_head(struct ss_schedule *schedule, struct ss_options *options)
{
	char line[LINE_MAX_BYTES], plant[32];
	int version, end = 0;

	if (!read_line(schedule, line) ||
	    sscanf(line, "stasis-stress schedule %d%n", &version, &end) != 1 || line[end] != '\0')
		refuse(schedule, "this is no schedule");
	if (version != SS_SCHEDULE_VERSION)
		refuse(schedule, "of another version");
	if (!read_line(schedule, line) ||
	    sscanf(line, "seed %" SCNu64 "%n", &options->seed, &end) != 1 || !is_whole(line, end))
		refuse(schedule, "no seed");
	if (!read_line(schedule, line) ||
	    sscanf(line, "threads %u%n", &options->threads, &end) != 1 || !is_whole(line, end) ||
	    options->threads < 1 || options->threads > SS_THREADS_MAX)
		refuse(schedule, "no number of threads");
	if (!read_line(schedule, line) || sscanf(line, "plant %31s%n", plant, &end) != 1 ||
	    !is_whole(line, end) || ss_plant_find(plant) == SS_PLANT_N)
		refuse(schedule, "no plant");
	if (options->plant == SS_PLANT_NONE)
		options->plant = ss_plant_find(plant);
}

static bool read_round(struct ss_schedule *schedule)
{
	struct ss_round *round = &schedule->round;
	char line[LINE_MAX_BYTES], shape[64], faults[LINE_MAX_BYTES];
	int end = 0;

	if (!read_line(schedule, line))
		return false;
	if (sscanf(line, "round %" SCNu64 " %63s %" SCNu64 " %" SCNu64 " %511s%n", &round->number,
		   shape, &round->seed, &round->us, faults, &end) != 5 ||
	    !is_whole(line, end) || round->us > ROUND_US_MAX)
		refuse(schedule, "a round was expected");
	round->shape = ss_shape_find(shape);
	if (round->shape == NULL)
		refuse(schedule, "there is no such topology");
	round->faults = parse_faults(schedule, faults);
	return true;
}

static void check_op(const struct ss_schedule *schedule, const struct ss_op *op)
{
	if (op->fault == SS_FAULTS_N || ss_fault(op->fault)->inject == NULL)
		refuse(schedule, "there is no such fault");
	if (!(schedule->round.faults & (1u << op->fault)))
		refuse(schedule, "a fault that is not among those of its round");
	if (op->at_us >= schedule->round.us)
		refuse(schedule, "an operation after the end of its round");
	if (op->at_us < schedule->at_us)
		refuse(schedule, "an operation before the last");
	for (int i = 0; i < SS_FAULT_ARGS; i++) {
		if (op->args[i] > ss_fault(op->fault)->args_max[i])
			refuse(schedule, "an argument that the fault does not have");
	}
}

static bool read_op(struct ss_schedule *schedule, struct ss_op *op)
{
	char line[LINE_MAX_BYTES], fault[32];
	int end = 0;

	if (!read_line(schedule, line))
		return false;
	if (strncmp(line, "round ", 6) == 0) {
		memcpy(kept_line, line, sizeof(kept_line));
		return false;
	}
	if (sscanf(line, "op %" SCNu64 " %31s %" SCNu64 " %" SCNu64 " %" SCNu64 "%n", &op->at_us,
		   fault, &op->args[0], &op->args[1], &op->args[2], &end) != 5 ||
	    !is_whole(line, end))
		refuse(schedule, "an operation was expected");
	op->fault = ss_fault_find(fault);
	check_op(schedule, op);
	schedule->at_us = op->at_us;
	return true;
}

/* --- drawing --- */

/* Of several faults, each is part of every other round, so that what it forbids to state exactly is
 * stated in the others. */
static unsigned draw_faults(unsigned wanted, uint64_t *random)
{
	unsigned drawn = wanted & (unsigned)random_next(random);

	return (wanted & (wanted - 1)) == 0 ? wanted : drawn;
}

static bool draw_round(struct ss_schedule *schedule, double elapsed)
{
	const struct ss_options *options = schedule->options;
	struct ss_round *round = &schedule->round;
	uint64_t random;

	/* Every topology at least once. */
	if (elapsed >= options->seconds && round->number + 1 >= options->n_shapes)
		return false;
	round->number++;
	random = random_seed(options->seed, round->number);
	round->shape = options->shapes[round->number % options->n_shapes];
	round->us = options->round_us;
	round->faults = draw_faults(options->faults, &random);
	round->seed = random_next(&random);
	return true;
}

static bool draw_op(struct ss_schedule *schedule, struct ss_op *op)
{
	unsigned faults = schedule->round.faults;
	uint64_t next = UINT64_MAX;

	*op = (struct ss_op){ .fault = SS_FAULTS_N };
	for (unsigned i = 0; i < SS_FAULTS_N; i++) {
		uint64_t interval = ss_fault(i)->interval_us;
		uint64_t us;

		if (!(faults & (1u << i)) || interval == 0)
			continue;
		/* Whichever comes first. Memoryless enough. */
		us = random_below(&schedule->random, 2 * interval);
		if (us < next) {
			next = us;
			op->fault = i;
		}
	}
	if (op->fault == SS_FAULTS_N)
		return false;
	schedule->at_us += next;
	op->at_us = schedule->at_us;
	ss_fault(op->fault)->draw(&schedule->random, op->args);
	return op->at_us < schedule->round.us;
}

/* --- --- */

/* A file for the record that nobody has asked for, in this folder or, where nobody may write, in
 * that for temporary files. What is there, another's record or a symbolic link, is left alone. */
static FILE *open_unasked(uint64_t seed)
{
	const char *folder = getenv("TMPDIR");
	FILE *file;

	snprintf(record_name, sizeof(record_name), "stasis-stress-%" PRIu64 "-%d.schedule", seed,
		 (int)getpid());
	file = fopen(record_name, "wxe");
	if (file != NULL)
		return file;
	if (folder == NULL || folder[0] == '\0')
		folder = "/tmp";
	snprintf(record_name, sizeof(record_name), "%s/stasis-stress-%" PRIu64 "-%d.schedule",
		 folder, seed, (int)getpid());
	return fopen(record_name, "wxe");
}

void ss_schedule_open(struct ss_schedule *schedule, struct ss_options *options)
{
	*schedule = (struct ss_schedule){ .options = options };
	schedule->round.number = UINT64_MAX;
	if (options->replay != NULL) {
		schedule->replay = fopen(options->replay, "re");
		if (schedule->replay == NULL)
			ss_die("--replay: %s: %s", options->replay, strerror(errno));
		read_head(schedule, options);
	}
	if (options->record != NULL) {
		snprintf(record_name, sizeof(record_name), "%s", options->record);
		schedule->record = fopen(options->record, "we");
	} else {
		schedule->record = open_unasked(options->seed);
	}
	if (schedule->record == NULL)
		ss_die("--record: %s: %s", record_name, strerror(errno));
	write_head(schedule);
	/* So that it is there whatever happens next. */
	fflush(schedule->record);
}

const char *ss_schedule_name(void)
{
	return record_name;
}

bool ss_schedule_round(struct ss_schedule *schedule, double elapsed)
{
	bool there = schedule->replay != NULL ? read_round(schedule) :
						draw_round(schedule, elapsed);

	if (!there)
		return false;
	schedule->random = random_seed(schedule->round.seed, 77);
	schedule->at_us = 0;
	write_round(schedule);
	return true;
}

bool ss_schedule_op(struct ss_schedule *schedule, struct ss_op *op)
{
	return schedule->replay != NULL ? read_op(schedule, op) : draw_op(schedule, op);
}

const char *ss_schedule_close(struct ss_schedule *schedule, bool keep)
{
	bool failed = ferror(schedule->record) != 0;

	failed |= fclose(schedule->record) != 0;
	if (schedule->replay != NULL)
		fclose(schedule->replay);
	if (failed && schedule->options->record != NULL)
		ss_die("--record: %s: cannot be written", record_name);
	if (keep || schedule->options->record != NULL)
		return record_name;
	unlink(record_name);
	return NULL;
}
