/* SPDX-License-Identifier: BSD-2-Clause */
/* test_clock.c — ticks and interpolated wall-clock time */

#include "base/clock.h"

#include <criterion/criterion.h>
#include <time.h>

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

static void check_reading(struct sti_clock *clock)
{
	int64_t before = now_us();
	struct timeval now;
	int64_t after;

	sti_clock_now(clock, &now);
	after = now_us();
	cr_assert_geq(us(&now), before - 2, "%ld us early", (long)(before - us(&now)));
	cr_assert_leq(us(&now), after + 2, "%ld us late", (long)(us(&now) - after));
	cr_assert(now.tv_usec >= 0 && now.tv_usec < 1000000);
}

Test(clock, fresh_anchor_reads_the_wall_clock)
{
	for (int i = 0; i < 1000; i++) {
		struct sti_clock clock = { 0 };

		check_reading(&clock);
	}
}

Test(clock, interpolates_for_as_long_as_an_anchor_holds)
{
	struct sti_clock clock = { 0 };
	int64_t end = now_us() + 300000;

	while (now_us() < end)
		check_reading(&clock);
}

Test(clock, an_anchor_from_the_future_is_not_used)
{
	struct sti_clock clock = { 0 };
	struct timeval now;

	/* As after a move to a CPU whose counter is behind. */
	sti_clock_now(&clock, &now);
	clock.tick += UINT64_C(1) << 40;
	check_reading(&clock);
}

Test(clock, second_boundary_is_carried)
{
	struct sti_clock clock = {
		.tick = sti_ticks(),
		.ticks = UINT64_MAX,
		.sec = 41,
		.nsec = 999999999,
		.rate = UINT64_C(1) << 32,
	};
	struct timeval now;

	/* One nanosecond a tick: some have passed. */
	while (sti_ticks() - clock.tick < 10)
		sti_cpu_relax();
	sti_clock_now(&clock, &now);
	cr_assert_eq(now.tv_sec, 42);
	cr_assert_lt(now.tv_usec, 1000000);
}

Test(clock, ticks_measure_spans)
{
	/* After a reading or two the rate is known. */
	struct sti_clock clock = { 0 };
	int64_t end = now_us() + 10000;
	struct timeval now;
	uint64_t ticks, ns, expected;

	while (now_us() < end)
		sti_clock_now(&clock, &now);
	ns = sti_clock_monotonic_ns();
	ticks = sti_ticks();
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	ticks = sti_ticks() - ticks;
	ns = sti_clock_monotonic_ns() - ns;
	expected = sti_ticks_from_ns(ns);
	cr_assert_geq(ticks, expected - expected / 50);
	cr_assert_leq(ticks, expected + expected / 50);
}
