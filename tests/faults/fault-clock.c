/* SPDX-License-Identifier: BSD-2-Clause */
/* fault-clock.c — clocks that step, stand still and go backwards
 *
 * Time stamps follow the wall clock, wrong steps included. Nothing else does: waits go by
 * CLOCK_MONOTONIC, and what goes by the processor's counter only looks more or less often.
 */

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <stasis/stasis.h>

#include "base/clock.h"
#include "base/thread.h"
#include "faults.h"
#include "gate.h"
#include "probe.h"

#define NS_PER_S INT64_C(1000000000)
#define HOUR_S INT64_C(3600)
#define YEAR_S (HOUR_S * 24 * 365)

/* What is added to each clock. */
static _Atomic int64_t offset_ns[CLOCK_BOOTTIME + 1];
/* Not 0: CLOCK_MONOTONIC moves in steps of so many nanoseconds. */
static _Atomic int64_t coarse_ns;

static int64_t read_ns(clockid_t id)
{
	struct timespec now;

	syscall(SYS_clock_gettime, id, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* In place of the C library's, for this program and all it is linked with. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t now = read_ns(id);
	int64_t coarse = atomic_load(&coarse_ns);

	if (id >= 0 && id <= CLOCK_BOOTTIME)
		now += atomic_load(&offset_ns[id]);
	if (id == CLOCK_MONOTONIC && coarse != 0)
		now -= now % coarse;
	ts->tv_sec = now / NS_PER_S;
	ts->tv_nsec = now % NS_PER_S;
	return 0;
}

static struct stasis_executor *executor;
static struct stasis_topic *topic;
static struct stasis_subscription *sub;
static struct probe probe;
static struct gate hold = GATE_INIT;
static uint64_t n_published;

static void bus_begin(void)
{
	executor = executor_with(2);
	topic = stasis_topic_create("clocks");
	sub = subscribe_on(topic, &probe, executor);
	CHECK(sub != NULL);
}

static void bus_end(void)
{
	stasis_unsubscribe_and_join(sub);
	CHECK(probe.n_data == n_published);
	CHECK(probe.n_out_of_order == 0);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

static int64_t stamp_ns(void)
{
	struct stasis_message *message = datum_message(0, 0);
	const struct timeval *stamp = stasis_message_timestamp(message);
	int64_t ns = stamp->tv_sec * NS_PER_S + stamp->tv_usec * 1000;

	stasis_object_unref(message);
	return ns;
}

/* Is the next time stamp that of a reading of the clock, this time? */
static bool stamp_is_right(void)
{
	int64_t before = read_ns(CLOCK_REALTIME) + atomic_load(&offset_ns[CLOCK_REALTIME]);
	int64_t stamp = stamp_ns();
	int64_t after = read_ns(CLOCK_REALTIME) + atomic_load(&offset_ns[CLOCK_REALTIME]);

	return stamp >= before - 3000 && stamp <= after + 3000;
}

static void usual_work(void)
{
	for (unsigned i = 0; i < 1000; i++)
		CHECK(publish_data(topic, 0, n_published++, 1) == 0);
	CHECK(stasis_executor_drain(executor) == 0);
	CHECK(probe.n_data == n_published);
}

/* Seconds that a wait of 50 ms takes when nothing comes. */
static double wait_in_vain(void)
{
	struct timespec timeout = { .tv_nsec = NS_PER_S / 20 };
	struct stasis_message *message = datum_message(0, n_published++);
	int64_t start = read_ns(CLOCK_MONOTONIC);
	int64_t end;

	CHECK(stasis_publish_sync_timed(sub, message, &timeout) == -ETIMEDOUT);
	end = read_ns(CLOCK_MONOTONIC);
	stasis_object_unref(message);
	return (double)(end - start) / 1e9;
}

static void test_wall_clock(void)
{
	static const int64_t steps_s[] = { -HOUR_S, HOUR_S, 10 * YEAR_S, -30 * YEAR_S, 1, -1 };
	int64_t deadline;

	bus_begin();
	deadline = read_ns(CLOCK_MONOTONIC) + 50000000;
	while (read_ns(CLOCK_MONOTONIC) < deadline)
		usual_work(); /* until the counter's rate is known */
	for (size_t i = 0; i < sizeof(steps_s) / sizeof(steps_s[0]); i++) {
		bool right = false;

		CHECK(stamp_ns() > 0);
		atomic_fetch_add(&offset_ns[CLOCK_REALTIME], steps_s[i] * NS_PER_S);
		/* An anchor holds for a millisecond. */
		deadline = read_ns(CLOCK_MONOTONIC) + 2 * STI_CLOCK_SPAN_NS;
		while (read_ns(CLOCK_MONOTONIC) < deadline)
			stamp_ns();
		for (unsigned tries = 0; tries < 1000 && !right; tries++)
			right = stamp_is_right();
		CHECK(right);
		usual_work();
	}
	bus_end();
}

/* A step in the middle of a wait. */
static void *stepping_thread(void *arg)
{
	usleep(10000);
	atomic_fetch_add((_Atomic int64_t *)arg, -HOUR_S * NS_PER_S);
	usleep(10000);
	atomic_fetch_add((_Atomic int64_t *)arg, 2 * HOUR_S * NS_PER_S);
	return NULL;
}

static void test_waits(void)
{
	pthread_t thread;
	double elapsed;

	probe.hold = &hold;
	bus_begin();
	CHECK(pthread_create(&thread, NULL, stepping_thread, &offset_ns[CLOCK_REALTIME]) == 0);
	elapsed = wait_in_vain();
	CHECK(elapsed >= 0.05);
	CHECK(elapsed < 5);
	pthread_join(thread, NULL);
	gate_open(&hold);
	usual_work();
	bus_end();
}

/* CLOCK_MONOTONIC of a kernel with a coarse clock, and of one with a fault. */
static void test_monotonic(void)
{
	double elapsed;

	probe.hold = &hold;
	bus_begin();
	atomic_store(&coarse_ns, 10000000);
	elapsed = wait_in_vain();
	CHECK(elapsed >= 0.04);
	CHECK(elapsed < 5);
	atomic_store(&coarse_ns, 0);
	atomic_fetch_add(&offset_ns[CLOCK_MONOTONIC], -20000000);
	CHECK(wait_in_vain() < 5);
	gate_open(&hold);
	usual_work();
	atomic_fetch_add(&offset_ns[CLOCK_MONOTONIC], -HOUR_S * NS_PER_S);
	usual_work();
	bus_end();
}

/* The counter of one processor is not that of another: the thread finds itself before its anchor,
 * or long after it. */
static void test_counter(void)
{
	struct sti_clock *clock = &sti_thread_self()->clock;
	bool right = true;

	bus_begin();
	for (unsigned i = 0; i < 1000; i++) {
		usual_work();
		clock->tick += i % 2 ? UINT64_C(1) << 40 : 0 - (UINT64_C(1) << 40);
		/* Not interpolated: read. */
		right = right && stamp_is_right();
	}
	CHECK(right);
	bus_end();
}

/* While its rate is being measured, time jumps: the rate is not believed. */
static void test_calibration(void)
{
	int64_t deadline;

	bus_begin();
	stamp_ns();
	atomic_fetch_add(&offset_ns[CLOCK_BOOTTIME], HOUR_S * NS_PER_S);
	deadline = read_ns(CLOCK_MONOTONIC) + 100000000;
	while (read_ns(CLOCK_MONOTONIC) < deadline)
		CHECK(stamp_is_right());
	atomic_fetch_add(&offset_ns[CLOCK_BOOTTIME], -2 * HOUR_S * NS_PER_S);
	deadline = read_ns(CLOCK_MONOTONIC) + 100000000;
	while (read_ns(CLOCK_MONOTONIC) < deadline)
		CHECK(stamp_is_right());
	usual_work();
	bus_end();
}

int main(int argc, char **argv)
{
	static const struct fault_case cases[] = {
		{ "wall-clock", test_wall_clock, NULL },
		{ "waits", test_waits, NULL },
		{ "monotonic", test_monotonic, NULL },
		{ "counter", test_counter, NULL },
		{ "calibration", test_calibration, NULL },
	};

	return faults_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
