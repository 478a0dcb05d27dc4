/* SPDX-License-Identifier: BSD-2-Clause */
/* sync/eventcount.c — ck_ec over futex(2). See eventcount.h.
 *
 * ck_ec's atomic operations are inline assembly, which ThreadSanitizer cannot see into, so this
 * file is built without it and says by annotation what they order.
 */

#include "sync/eventcount.h"

#include <ck_ec.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

static_assert(sizeof(struct sti_eventcount) == sizeof(struct ck_ec32), "one is the other");

/* Present exactly in programs built with ThreadSanitizer. */
void __tsan_acquire(const void *addr) __attribute__((weak));
void __tsan_release(const void *addr) __attribute__((weak));

static int ec_gettime(const struct ck_ec_ops *ops, struct timespec *out)
{
	(void)ops;
	return clock_gettime(CLOCK_MONOTONIC, out);
}

static void ec_wait32(const struct ck_ec_wait_state *state, const uint32_t *address,
		      uint32_t expected, const struct timespec *deadline)
{
	int saved = errno;

	(void)state;
	/* Bitset: an absolute deadline of CLOCK_MONOTONIC. Early returns are allowed, for whatever
	 * reason: errno stays the caller's. */
	syscall(SYS_futex, address, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, deadline,
		NULL, FUTEX_BITSET_MATCH_ANY);
	errno = saved;
}

static void ec_wake32(const struct ck_ec_ops *ops, const uint32_t *address)
{
	(void)ops;
	syscall(SYS_futex, address, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0);
}

/* The 64-bit half is never used; ck_ec wants it filled in. */
static void ec_wait64(const struct ck_ec_wait_state *state, const uint64_t *address,
		      uint64_t expected, const struct timespec *deadline)
{
	ec_wait32(state, (const uint32_t *)address, (uint32_t)expected, deadline);
}

static void ec_wake64(const struct ck_ec_ops *ops, const uint64_t *address)
{
	ec_wake32(ops, (const uint32_t *)address);
}

static const struct ck_ec_ops ec_ops = {
	.gettime = ec_gettime,
	.wait32 = ec_wait32,
	.wait64 = ec_wait64,
	.wake32 = ec_wake32,
	.wake64 = ec_wake64,
	/* Whoever comes here has done his spinning. */
	.busy_loop_iter = 1,
	/* ck_ec wakes up to look again for a second, for the sake of its single-producer mode. Once
	 * is enough of that: a sleeper uses no CPU afterwards. */
	.initial_wait_ns = 1000000000,
};

static const struct ck_ec_mode ec_mode = { .ops = &ec_ops, .single_producer = false };

/* ck_ec sleeps in slices and looks at the deadline between them only: ends a slice there. */
static int ec_cut_slice(const struct ck_ec_wait_state *state, struct timespec *slice_end)
{
	const struct timespec *deadline = state->data;

	if (slice_end->tv_sec > deadline->tv_sec || (slice_end->tv_sec == deadline->tv_sec &&
						     slice_end->tv_nsec > deadline->tv_nsec))
		*slice_end = *deadline;
	return 0;
}

static struct ck_ec32 *ec_of(const struct sti_eventcount *ec)
{
	return (struct ck_ec32 *)(uintptr_t)&ec->counter;
}

static void ec_acquire(const struct sti_eventcount *ec)
{
	if (__tsan_acquire != NULL)
		__tsan_acquire(ec);
}

void sti_eventcount_init(struct sti_eventcount *ec)
{
	ck_ec32_init(ec_of(ec), 0);
}

uint32_t sti_eventcount_value(const struct sti_eventcount *ec)
{
	uint32_t value = ck_ec32_value(ec_of(ec));

	ec_acquire(ec);
	return value;
}

void sti_eventcount_signal(struct sti_eventcount *ec)
{
	if (__tsan_release != NULL)
		__tsan_release(ec);
	ck_ec32_inc(ec_of(ec), &ec_mode);
}

bool sti_eventcount_wait(struct sti_eventcount *ec, uint32_t value, uint64_t timeout_ns)
{
	struct timespec timeout = { .tv_sec = (time_t)(timeout_ns / 1000000000u),
				    .tv_nsec = (long)(timeout_ns % 1000000000u) };
	struct timespec deadline;
	bool changed;

	if (timeout_ns > 0 && ck_ec_deadline(&deadline, &ec_mode, &timeout) != 0)
		return true;
	if (timeout_ns > 0)
		changed = ck_ec32_wait_pred(ec_of(ec), &ec_mode, value, ec_cut_slice, &deadline,
					    &deadline) == 0;
	else
		changed = ck_ec32_wait(ec_of(ec), &ec_mode, value, NULL) == 0;
	ec_acquire(ec);
	return changed;
}
