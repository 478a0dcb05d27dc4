/* SPDX-License-Identifier: BSD-2-Clause */
/* ring_threads.c — what the threads of a case do */

#include "ring_queue.h"

void producer_0(void)
{
	queue_push(0, 0);
	queue_push(0, 1);
}

void producer_1(void)
{
	queue_push(1, 0);
	queue_push(1, 1);
}

void producer_single(void)
{
	queue_push(0, 0);
}

void producer_other(void)
{
	queue_push(1, 0);
}

void producer_batch(void)
{
	queue_push_n(1, 0, 3, STI_MPSC_FIT);
}

void producer_run(void)
{
	queue_push_run(0, 2);
}

void producer_long_run(void)
{
	queue_push_run(0, 3);
}

void producer_whole(void)
{
	queue_push_n(1, 0, 2, STI_MPSC_WHOLE);
}

void producer_force(void)
{
	queue_push_n(1, 0, 2, STI_MPSC_FORCE);
}

void evictor_0(void)
{
	queue_push_evicting(0, 0);
	queue_push_evicting(0, 1);
}

void evictor_1(void)
{
	queue_push_evicting(1, 0);
}

void no_more_than_two(void)
{
	sti_rcu_read_lock();
	explore_expect(sti_mpsc_depth(&queue.head) <= 2);
	sti_rcu_read_unlock();
}

void closer(void)
{
	queue_close();
}

void consumer(void)
{
	queue_consume(TAKE_MANY);
}

void consumer_one_by_one(void)
{
	queue_consume(TAKE_ONE_BY_ONE);
}

void consumer_runs(void)
{
	queue_consume(TAKE_RUNS);
}
