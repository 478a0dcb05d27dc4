/* SPDX-License-Identifier: BSD-2-Clause */
/* exit.c — threads end in the middle, in all ways, and others take their places
 *
 * Arguments: which thread (modulo how many there are), how (enum ss_leave). One that is cancelled
 * (deferred) publishes on, for no function of the library is a cancellation point, and then comes
 * by one of its own. The destructors of thread-specific data publish, in several rounds, before and
 * after the library's own record of the thread has gone.
 */

#include <pthread.h>
#include <sched.h>

#include "../fail.h"
#include "faults.h"
#include "random.h"

#define CANCELLED_PUBLISHES 16
#define KEYS 3
#define KEY_ROUNDS 3u /* PTHREAD_DESTRUCTOR_ITERATIONS is 4 */

static pthread_key_t keys[KEYS];

static void publish_late(void *arg)
{
	struct ss_slot *slot = arg;
	struct ss_net *net = slot->net;

	ss_net_publish(net, slot->index, (unsigned)random_below(&slot->random, net->n_topics), 1, 0,
		       &slot->random);
	if (slot->keys_left == 0)
		return;
	slot->keys_left--;
	pthread_setspecific(keys[random_below(&slot->random, KEYS)], slot);
}

static void init(void)
{
	/* Made in between: the library's own key may come before or after. */
	for (int i = 0; i < KEYS; i++) {
		if (pthread_key_create(&keys[i], publish_late) != 0)
			ss_die("cannot make a key");
	}
}

static void draw(uint64_t *random, uint64_t *args)
{
	args[0] = random_below(random, SS_FAULT_THREADS_MAX);
	args[1] = 1 + random_below(random, SS_LEAVE_N - 1);
}

/* A thread that has ended can be joined by pthread_join() alone, so it says so before. */
static void farewell(void *arg)
{
	struct ss_slot *slot = arg;

	atomic_store(&slot->tid, 0);
	atomic_store(&slot->gone, true);
}

static void be_cancelled(struct ss_slot *slot)
{
	struct ss_net *net = slot->net;

	pthread_cleanup_push(farewell, slot);
	pthread_cancel(pthread_self());
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	/* Were it cancelled in the middle, the books would not come out even. */
	for (int i = 0; i < CANCELLED_PUBLISHES; i++)
		ss_net_publish(net, slot->index,
			       (unsigned)random_below(&slot->random, net->n_topics), 1, 0,
			       &slot->random);
	pthread_testcancel();
	ss_violation("exit: a thread that was cancelled is still there");
	pthread_cleanup_pop(1);
}

bool ss_slot_leaves(struct ss_slot *slot)
{
	int how = atomic_exchange(&slot->leave, SS_LEAVE_NONE);

	ss_doing(slot, "leaving in the middle");
	switch (how) {
	case SS_LEAVE_EXIT:
		farewell(slot);
		pthread_exit(NULL);
	case SS_LEAVE_CANCEL:
		be_cancelled(slot);
		return true;
	case SS_LEAVE_KEYS:
		slot->keys_left = KEY_ROUNDS;
		for (int i = 0; i < KEYS; i++)
			pthread_setspecific(keys[i], slot);
		return true;
	case SS_LEAVE_RETURN:
		return true;
	default:
		return false;
	}
}

static void inject(struct ss_net *net, const uint64_t *args)
{
	struct ss_slot *slot = &ss_slots[args[0] % ss_n_slots];

	for (unsigned i = 0; i < ss_n_slots; i++) {
		if (atomic_load(&ss_slots[i].gone))
			ss_role_replace(&ss_slots[i]);
	}
	atomic_store(&slot->leave, (int)args[1]);
}

const struct ss_fault ss_fault_exit = {
	.name = "exit",
	.doc = "Threads return, exit, are cancelled, and publish from destructors of "
	       "thread-specific "
	       "data.",
	.interval_us = 10000,
	.init = init,
	.args_max = { SS_FAULT_THREADS_MAX, SS_LEAVE_N - 1 },
	.draw = draw,
	.inject = inject,
};
