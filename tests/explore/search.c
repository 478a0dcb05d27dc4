/* SPDX-License-Identifier: BSD-2-Clause */
/* search.c — every choice every way, depth first; or at random; or as it was before */

#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_MIN (1u << 16)
#define SEEN_MAX (1u << 24)
/* At random, how often another way is taken than what comes by itself: one in so many. */
#define RANDOM_TURN 8u

/* States that have been met, with what was left of the bounds then. Outside of the program's data,
 * as all that lasts. */
struct seen {
	uint64_t *keys; /* 0: a free place */
	struct ex_bounds *left;
	size_t size, used;
};

static struct seen *seen;

static void seen_alloc(size_t size)
{
	seen->size = size;
	seen->keys = calloc(size, sizeof(*seen->keys));
	seen->left = calloc(size, sizeof(*seen->left));
	if (seen->keys == NULL || seen->left == NULL) {
		fprintf(stderr, "no memory for the explorer\n");
		exit(2);
	}
}

void ex_search_init(void)
{
	seen = calloc(1, sizeof(*seen));
	if (seen == NULL)
		exit(2);
	seen_alloc(SEEN_MIN);
}

static void seen_reset(void)
{
	memset(seen->keys, 0, seen->size * sizeof(*seen->keys));
	seen->used = 0;
}

static size_t seen_find(uint64_t key)
{
	size_t place = key & (seen->size - 1);

	while (seen->keys[place] != 0 && seen->keys[place] != key)
		place = (place + 1) & (seen->size - 1);
	return place;
}

static void seen_grow(void)
{
	struct seen old = *seen;

	seen_alloc(old.size * 2);
	for (size_t i = 0; i < old.size; i++) {
		size_t place;

		if (old.keys[i] == 0)
			continue;
		place = seen_find(old.keys[i]);
		seen->keys[place] = old.keys[i];
		seen->left[place] = old.left[i];
	}
	free(old.keys);
	free(old.left);
}

static bool covers(const struct ex_bounds *a, const struct ex_bounds *b)
{
	return a->preemptions >= b->preemptions && a->stale >= b->stale && a->both >= b->both &&
	       a->stops >= b->stops;
}

void ex_meet(void)
{
	uint64_t key;
	size_t place;

	/* What is run again on the way to a choice has been met, by itself. */
	if (ex->mode != EX_SEARCH || ex->at_choice < ex->n_choices)
		return;
	key = ex_state_hash() | 1;
	place = seen_find(key);
	if (seen->keys[place] == key) {
		if (covers(&seen->left[place], &ex->left)) {
			ex->outcome = EX_PRUNED;
			_longjmp(ex->driver, 1);
		}
		if (covers(&ex->left, &seen->left[place]))
			seen->left[place] = ex->left;
		return;
	}
	if (seen->used * 2 >= seen->size) {
		/* What is not remembered is followed again. */
		if (seen->size >= SEEN_MAX)
			return;
		seen_grow();
		place = seen_find(key);
	}
	seen->keys[place] = key;
	seen->left[place] = ex->left;
	seen->used++;
}

static uint64_t next_random(void)
{
	/* xorshift64* */
	ex->random ^= ex->random >> 12;
	ex->random ^= ex->random << 25;
	ex->random ^= ex->random >> 27;
	return (ex->random * UINT64_C(0x2545F4914F6CDD1D)) >> 16;
}

/* What a schedule that is run again says about a choice. */
static uint8_t replayed(enum ex_what what)
{
	for (unsigned i = 0; i < ex->n_replayed; i++) {
		if (ex->replayed[i].step == ex->steps && ex->replayed[i].what == what)
			return ex->replayed[i].chosen;
	}
	return 0;
}

unsigned ex_choose(enum ex_what what, unsigned n)
{
	struct ex_choice *choice = &ex->choices[ex->at_choice];

	if (n == 1)
		return 0;
	if (ex->at_choice == EX_CHOICES)
		ex_violate("the explorer's room for choices is used up");
	if (ex->at_choice >= ex->n_choices) {
		choice->chosen = 0;
		if (ex->mode == EX_RANDOM && next_random() % RANDOM_TURN == 0)
			choice->chosen = (uint8_t)(next_random() % n);
		if (ex->mode == EX_REPLAY)
			choice->chosen = replayed(what);
		ex->n_choices = ex->at_choice + 1;
	}
	choice->n = (uint8_t)n;
	choice->step = ex->steps;
	choice->what = (uint8_t)what;
	ex->at_choice++;
	/* A schedule of another build may ask for what is not there. */
	if (choice->chosen >= n)
		ex_violate("step %u: there are only %u ways here", ex->steps, n);
	return choice->chosen;
}

static void count(struct ex_figures *figures)
{
	figures->schedules++;
	figures->pruned += ex->outcome == EX_PRUNED;
	if (ex->steps > figures->longest)
		figures->longest = ex->steps;
}

/* The next way. False: there is none. */
static bool backtrack(void)
{
	ex->n_choices = ex->at_choice;
	while (ex->n_choices > 0) {
		struct ex_choice *last = &ex->choices[ex->n_choices - 1];

		if (last->chosen + 1u < last->n) {
			last->chosen++;
			return true;
		}
		ex->n_choices--;
	}
	return false;
}

bool ex_search(struct ex_bounds bounds, struct ex_figures *figures)
{
	/* Once more with more places to switch at, when threads have met at new ones. */
	do {
		seen_reset();
		ex_model_pass();
		ex->mode = EX_SEARCH;
		ex->n_choices = 0;
		ex->cut = ex->met = false;
		do {
			ex->left = bounds;
			ex_run();
			count(figures);
			if (ex->outcome == EX_VIOLATED)
				return true;
		} while (backtrack());
		figures->states += seen->used;
	} while (ex->met);
	return false;
}

bool ex_random(struct ex_bounds bounds, uint64_t n, uint64_t seed, struct ex_figures *figures)
{
	ex->mode = EX_RANDOM;
	ex->random = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
	for (uint64_t i = 0; i < n; i++) {
		if (ex->met)
			ex_model_pass();
		ex->met = false;
		ex->n_choices = 0;
		ex->left = bounds;
		ex_run();
		count(figures);
		if (ex->outcome == EX_VIOLATED)
			return true;
	}
	return false;
}

void ex_print_schedule(void)
{
	const char *separator = "";

	for (unsigned i = 0; i < ex->n_replayed; i++) {
		printf("%s%u%c%u", separator, ex->replayed[i].step, ex->replayed[i].what,
		       ex->replayed[i].chosen);
		separator = ",";
	}
	printf("%s", separator[0] == '\0' ? "-" : "");
}

void ex_keep_schedule(void)
{
	ex->n_replayed = 0;
	for (unsigned i = 0; i < ex->at_choice; i++) {
		if (ex->choices[i].chosen != 0)
			ex->replayed[ex->n_replayed++] = ex->choices[i];
	}
}

bool ex_read_schedule(const char *schedule)
{
	ex->n_replayed = 0;
	while (*schedule >= '0' && *schedule <= '9') {
		struct ex_choice *choice = &ex->replayed[ex->n_replayed];
		char *end;

		choice->step = (unsigned)strtoul(schedule, &end, 10);
		choice->what = (uint8_t)*end;
		if (*end == '\0' || ++ex->n_replayed == EX_CHOICES)
			return false;
		choice->chosen = (uint8_t)strtoul(end + 1, &end, 10);
		schedule = end + (*end == ',');
	}
	return *schedule == '\0' || strcmp(schedule, "-") == 0;
}

bool ex_replay(struct ex_bounds bounds)
{
	ex->mode = EX_REPLAY;
	ex->n_choices = 0;
	ex->left = bounds;
	ex_run();
	return ex->outcome == EX_VIOLATED;
}
