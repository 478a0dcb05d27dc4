/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_CALLOUT_H
#define STI_BASE_CALLOUT_H

/* base/callout.h — calling functions of the application, which have to return
 *
 * Whoever calls back is in the middle of something: a mailbox is his to run, references are owed, a
 * context lies on his stack. If the callback were left by a C++ exception, by pthread_exit() or by
 * a cancellation, and the thread lived on, all that would be held for ever. So
 *   - a thread is not cancelled while it calls back, nor at a cancellation point of the library's
 *     own: sti_cancel_hold() until sti_cancel_release();
 *   - an unwinding that comes by all the same meets a guard, which says so and aborts. Nothing is
 *     paid for it while callbacks return: this library is compiled with -fexceptions, and the
 *     guard is a row in a table.
 * longjmp() unwinds nothing: see sti_context_enter().
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/compiler.h"

/* Says how a callback must not be left, and aborts. */
_Noreturn void sti_callout_left(const char *how);

static inline void sti_callout_check(const bool *inside)
{
	if (sti_unlikely(*inside))
		sti_callout_left("by a C++ exception, pthread_exit() or a cancellation");
}

/* Declares a guard: true while callbacks are made, false before its scope ends as it should. */
#define STI_CALLOUT __attribute__((cleanup(sti_callout_check))) bool

/* How often the thread holds it off now: asking the system costs 10 ns, and a worker, which always
 * does, drops objects with destructors one after the other. */
extern __thread unsigned sti_cancel_holds;

#define STI_CANCEL_HELD (-1)

/* The thread is not cancelled until the state that is returned is given back. They nest. */
STI_NODISCARD STI_INLINE int sti_cancel_hold(void)
{
	int state = STI_CANCEL_HELD;

	if (sti_cancel_holds++ == 0)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

STI_INLINE void sti_cancel_release(int state)
{
	sti_cancel_holds--;
	if (state != STI_CANCEL_HELD)
		pthread_setcancelstate(state, &state);
}

#endif
