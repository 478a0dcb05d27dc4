/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_EXECUTOR_H
#define STASIS_EXECUTOR_H

/* stasis/executor.h — who runs the callbacks
 *
 * Overview   An executor is a fixed pool of worker threads. A subscription belongs to one executor.
 *            Each worker has a run queue of subscriptions with messages waiting; it delivers up to
 *            a batch of one, then turns to the next; an idle worker takes over what is queued
 *            behind a busy one. Without work a worker spins a little and sleeps: an idle executor
 *            uses no CPU.
 *
 *            Most programs never touch this: the first subscribe starts the default executor, with
 *            one worker for each CPU that the process may use.
 *
 *            A server with an event loop of its own makes a STASIS_WAIT_MANUAL executor: it has no
 *            thread; a file descriptor tells the loop when there is work, and the loop calls
 *            stasis_executor_run(). With a STASIS_WAIT_INLINE executor a publisher delivers by
 *            itself what it has just queued, if nobody else is at it: the lowest latency there is,
 *            paid for with the publisher's time.
 * Threads    Everything may be called from any thread at once, also inside callbacks, with the
 *            exceptions said at drain and shutdown.
 * fork()     A child may only exec or _exit: it has none of the workers, and locks as they were. In
 *            the child of a process that has made an executor or a cache, what waits, or makes or
 *            ends an executor, a subscription or a forward, fails at once with ENOTRECOVERABLE;
 *            what is published there is not delivered. The parent notices nothing of it.
 *            posix_spawn(), vfork() and system() are of no concern. Before the first executor or
 *            cache is made, and while no other thread is in the library, fork() is free: call
 *            daemon() and the like by then.
 */

#include <stddef.h>
#include <stdint.h>

#include "api.h"

STASIS_BEGIN_DECLS

struct stasis_executor;

/* What a worker does when it has nothing to do. */
enum stasis_wait {
	/* Spin as long as that has lately paid, at most spin_ns, then sleep. */
	STASIS_WAIT_SPIN_PARK = 0,
	/* Sleep at once: the least CPU, and a wake-up of the kernel's for each new message. */
	STASIS_WAIT_PARK,
	/* Never sleep: the lowest latency, and a CPU burnt for each worker. */
	STASIS_WAIT_SPIN,
	/* There are no workers: callbacks run where stasis_executor_run() is called. */
	STASIS_WAIT_MANUAL,
	/* The publisher that finds a subscription idle delivers, on its own thread, before its
	 * publish returns: up to one batch of that subscription, and only so many publishes inside
	 * each other's callbacks. What is beyond goes to workers, which park like STASIS_WAIT_PARK.
	 * Several subscriptions that one publish finds idle are delivered to one after the other:
	 * a callback that takes long holds up those behind it. */
	STASIS_WAIT_INLINE,
};

/* Largest number of workers in an executor. */
#define STASIS_THREADS_MAX 1024u

/* Options of stasis_executor_create(). All-zero means defaults. */
struct stasis_executor_options {
	size_t size; /* sizeof(struct stasis_executor_options), or 0 for the same */

	/* Workers. 0: as many as n_affinity; if that is 0, the number of CPUs this process may use.
	 * Of no meaning for STASIS_WAIT_MANUAL. */
	unsigned threads;

	/* Prefix of the threads' names, copied. The kernel shows 15 bytes, number included.
	 * NULL: "stasis". */
	const char *name;

	/* STASIS_WAIT_SPIN_PARK: nanoseconds to spin at most before sleeping. 0: 20,000. */
	uint32_t spin_ns;

	enum stasis_wait wait;

	/* CPUs to run on, n_affinity of them; copied. Worker i runs on the CPU affinity[i %
	 * n_affinity] and nowhere else. None: workers go where the creator's thread may. */
	const unsigned *affinity;
	size_t n_affinity;
};

/**
 * stasis_executor_create() - start a pool of workers
 * @options:  NULL for defaults; copied
 *
 * Ownership:  the caller gets one reference, for stasis_executor_shutdown(). Each subscription
 *             holds one. When the last is dropped without a shutdown, the workers end by
 *             themselves.
 * Threads:    any thread.
 * Progress:   starts threads.
 * Return:     the executor; NULL with errno EINVAL (an option is out of range, or a CPU is not to
 *             be had), EMFILE or ENFILE (no file descriptor to be had), E2BIG (@options is
 *             of a newer version and uses what this one lacks), ENOMEM or EAGAIN.
 */
STASIS_API struct stasis_executor *
stasis_executor_create(const struct stasis_executor_options *options);

/**
 * stasis_executor_default() - the executor of subscriptions that name none
 *
 * Starts it when there is none yet.
 *
 * Ownership:  borrowed; take a reference to keep it across stasis_executor_set_default().
 * Threads:    any thread.
 * Progress:   takes a lock; the first call starts threads.
 * Return:     the executor; NULL with errno ENOMEM or EAGAIN.
 */
STASIS_API struct stasis_executor *stasis_executor_default(void);

/**
 * stasis_executor_set_default() - choose the default executor
 * @executor:  the new default; NULL: the next subscribe that names none starts a fresh one
 *
 * Existing subscriptions stay where they are.
 *
 * Ownership:  takes a reference to @executor, and drops the one to the default before it.
 * Threads:    any thread.
 * Progress:   takes a lock.
 * Return:     0; -ESHUTDOWN when @executor is shut down.
 */
STASIS_API int stasis_executor_set_default(struct stasis_executor *executor);

/**
 * stasis_executor_drain() - wait until what is queued now has been delivered
 * @executor:  an executor
 *
 * Returns when every message queued to a subscription of @executor before the call has been
 * delivered: its callback has returned and its reference is dropped. Messages published meanwhile,
 * also by the callbacks themselves, need not be delivered when it returns; a few may have to be,
 * so a callback must not wait for the thread that drains. A STASIS_WAIT_MANUAL executor is run by
 * this call, on this thread.
 *
 * Ownership:  borrows @executor.
 * Threads:    any thread but the executor's own workers.
 * Progress:   blocks.
 * Return:     0; -EDEADLK inside a callback of this executor; -ENOMEM; -EINVAL when @executor is
 *             NULL.
 */
STASIS_API int stasis_executor_drain(struct stasis_executor *executor);

/**
 * stasis_executor_shutdown() - deliver what is queued, then stop the workers
 * @executor:  an executor, or NULL
 *
 * From its start, no subscription of the executor takes a message any more (publish counts it) and
 * none can be made. It returns when all that was queued has been delivered and the threads have
 * ended. Subscriptions stay subscribed: unsubscribing one afterwards delivers its final message
 * within that call, on the calling thread. Shutting down again changes nothing. A
 * STASIS_WAIT_MANUAL executor is run by this call, on this thread.
 *
 * Ownership:  consumes the caller's reference. If @executor is the default there is none any more,
 *             until the next subscribe starts one. A default that the library started is held by
 *             the library alone: shutdown(default()) consumes that reference.
 * Threads:    any thread. Inside a callback of this executor it begins the shutdown, does not wait
 *             and sets errno to EDEADLK: the workers end when the callbacks have.
 * Progress:   blocks until the callbacks queued have run.
 * Return:     NULL, always.
 */
STASIS_API struct stasis_executor *stasis_executor_shutdown(struct stasis_executor *executor);

/**
 * stasis_executor_fd() - the file descriptor that says whether there is work
 * @executor:  a STASIS_WAIT_MANUAL executor
 *
 * For select, poll, epoll, libuv and the like: readable, level-triggered, while messages wait for
 * stasis_executor_run(). Now and then it is readable although somebody else has delivered
 * everything meanwhile; running the executor sets that right. Do not read, write or close it.
 *
 * Ownership:  the descriptor belongs to the executor; it is valid until that is freed.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the descriptor; -EINVAL when @executor is NULL or of another kind.
 */
STASIS_API int stasis_executor_fd(struct stasis_executor *executor);

/**
 * stasis_executor_run() - deliver what waits, on this thread
 * @executor:  a STASIS_WAIT_MANUAL executor
 * @max:       callbacks to make at most; an event loop bounds its latency by it
 *
 * Returns when @max callbacks have been made or nothing waits. Subscriptions take turns, a batch
 * each. Messages that callbacks publish to this executor count as any other.
 *
 * Ownership:  borrows @executor.
 * Threads:    any number of threads at once, and inside callbacks; callbacks of one subscription do
 *             not overlap all the same.
 * Progress:   runs callbacks; does not wait.
 * Return:     how many callbacks have been made (INT_MAX at most); -EINVAL when @executor is NULL
 *             or of another kind.
 */
STASIS_API int stasis_executor_run(struct stasis_executor *executor, size_t max);

STASIS_END_DECLS

#endif
