/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_STASIS_H
#define STASIS_STASIS_H

/* stasis/stasis.h — the whole library in one include
 *
 * What holds for all of it:
 *
 * Threads      Any thread may use the library, without saying so before or after, and end at any
 *              time between two calls: the main thread too. Destructors of thread-specific data
 *              may use it, in whatever order they run.
 * Exit         exit() needs no preparation, from whatever thread, also out of a callback: workers
 *              and publishers go on until the process is gone, and the library takes nothing down
 *              before. Handlers of atexit() may use it, and wait. What is still queued is lost: who
 *              minds drains, or joins, first.
 * fork()       A child may only exec or _exit; see stasis/executor.h.
 * Signals      A handler may interrupt any function of the library: none fails, returns early, or
 *              waits longer for it, with SA_RESTART or without. The library's own threads block all
 *              signals. A handler may call functions that only look: stasis_object_ref(), the
 *              stasis_message_ ones that return a part of a message or type,
 *              stasis_subscription_is_done(), _is_subscribed(), _final_message() and _uniqueid(),
 *              stasis_topic_name() and stasis_executor_fd(). It must not publish, drop a reference,
 *              or call anything else: it may have interrupted the same thread in the middle of
 *              that. Let it write to an eventfd, and a thread of yours publish.
 * Clocks       The wall clock may be set, backwards too: time stamps follow within a millisecond of
 *              a thread's next message, and nothing else does. Waits go by CLOCK_MONOTONIC.
 * Callbacks    Whatever the library calls (callbacks, destructors, release functions, those that
 *              tell an id) has to return. If one is left by a C++ exception, by pthread_exit() or
 *              by longjmp(), the program is ended: by std::terminate() where the callback runs on a
 *              thread of the library's, else by abort() with a message, also when there would have
 *              been a handler: what the library was in the middle of would never end. longjmp() is
 *              noticed, as a rule, when the thread next delivers or waits; going on meanwhile on
 *              another stack within 16 KiB above the callback's is taken for it. Exceptions
 *              that a callback catches by itself are its own affair.
 * Cancellation A thread may be cancelled (pthread_cancel()) with the default, deferred, type. No
 *              function of the library is a cancellation point: one that waits goes on waiting, and
 *              the thread ends at the first cancellation point afterwards. Callbacks are called
 *              with cancellation disabled; a function that tells an id must not be a cancellation
 *              point, nor may a handler of signals that interrupts the library. With
 *              PTHREAD_CANCEL_ASYNCHRONOUS a thread may not call the library.
 */

#include "api.h"
#include "cache.h"
#include "channel.h"
#include "executor.h"
#include "message.h"
#include "object.h"
#include "router.h"
#include "stats.h"
#include "subscription.h"
#include "topic.h"

#endif
