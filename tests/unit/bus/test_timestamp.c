/* SPDX-License-Identifier: BSD-2-Clause */
/* test_timestamp.c — the time in a message is the wall clock's, to the microsecond */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdint.h>
#include <time.h>

#include <stasis/stasis.h>

#include "gate.h"

/* Two clock readings on two CPUs may differ by this much. */
#define SLACK_US 2

struct reading {
	struct stasis_message_type *type;
	uint64_t n;
	uint64_t n_outside;
	int64_t worst_us;
};

static int64_t us(const struct timeval *tv)
{
	return (int64_t)tv->tv_sec * 1000000 + tv->tv_usec;
}

static int64_t now_us(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return us(&tv);
}

/* How far outside of [before, after] a new message's time is. */
static int64_t error_of(struct stasis_message_type *type)
{
	int64_t before = now_us();
	struct stasis_message *message = stasis_message_create_inline(type, NULL, 0);
	int64_t after = now_us();
	const struct timeval *timestamp = stasis_message_timestamp(message);
	int64_t at = us(timestamp);

	if (timestamp->tv_usec < 0 || timestamp->tv_usec >= 1000000)
		return INT64_MAX;
	stasis_object_unref(message);
	return at < before ? before - at : at > after ? at - after : 0;
}

static void *read_often(void *arg)
{
	struct reading *reading = arg;
	int64_t end = now_us() + 400000;

	while (now_us() < end) {
		int64_t error = error_of(reading->type);

		reading->n++;
		if (error > SLACK_US)
			reading->n_outside++;
		if (error > reading->worst_us)
			reading->worst_us = error;
	}
	return NULL;
}

Test(timestamp, lies_between_two_readings_of_the_clock)
{
	struct reading reading = { .type = stasis_message_type_create("time") };

	read_often(&reading);
	cr_assert_gt(reading.n, 1000);
	cr_assert_eq(reading.n_outside, 0, "%" PRIu64 " of %" PRIu64 ", worst %" PRId64 " us",
		     reading.n_outside, reading.n, reading.worst_us);
}

Test(timestamp, is_right_in_every_thread)
{
	struct reading readings[4] = { 0 };
	struct stasis_message_type *type = stasis_message_type_create("time");

	for (int i = 0; i < 4; i++)
		readings[i].type = type;
	run_threads(4, read_often, readings, sizeof(readings[0]));
	for (int i = 0; i < 4; i++)
		cr_assert_eq(readings[i].n_outside, 0,
			     "%" PRIu64 " of %" PRIu64 ", worst %" PRId64 " us",
			     readings[i].n_outside, readings[i].n, readings[i].worst_us);
}

/* Not to synchronize: the clock's anchor shall grow old. */
static void let_time_pass(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

Test(timestamp, is_right_after_a_thread_was_idle)
{
	static const long pauses_ms[] = { 1, 3, 10, 30, 100, 300 };
	struct stasis_message_type *type = stasis_message_type_create("time");

	for (size_t i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
		let_time_pass(pauses_ms[i]);
		for (int k = 0; k < 3; k++)
			cr_assert_leq(error_of(type), SLACK_US, "after %ld ms", pauses_ms[i]);
	}
}

Test(timestamp, never_goes_back_within_a_thread)
{
	struct stasis_message_type *type = stasis_message_type_create("time");
	int64_t last = 0;

	for (int i = 0; i < 200000; i++) {
		struct stasis_message *message = stasis_message_create_inline(type, NULL, 0);
		int64_t at = us(stasis_message_timestamp(message));

		cr_assert_geq(at, last - SLACK_US, "by %" PRId64 " us", last - at);
		last = at;
		stasis_object_unref(message);
	}
}

Test(timestamp, every_form_has_one_and_keeps_it)
{
	struct stasis_message_type *type = stasis_message_type_create("time");
	void *object = stasis_object_alloc(1, NULL);
	int64_t before = now_us();
	struct stasis_message *messages[] = {
		stasis_message_create(type, object),
		stasis_message_create_inline(type, "x", 1),
		stasis_message_create_foreign(type, object, NULL),
	};
	int64_t after = now_us();

	let_time_pass(5);
	for (int i = 0; i < 3; i++) {
		int64_t at = us(stasis_message_timestamp(messages[i]));

		cr_assert_geq(at, before - SLACK_US, "form %d", i);
		cr_assert_leq(at, after + SLACK_US, "form %d", i);
		stasis_object_unref(messages[i]);
	}
	stasis_object_unref(object);
}
