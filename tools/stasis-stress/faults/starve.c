/* SPDX-License-Identifier: BSD-2-Clause */
/* starve.c — too little CPU
 *
 * Arguments: how, which thread (modulo how many there are), how much.
 *   0  as many threads spin as there are CPUs, and as many more as say the last, for 50 ms
 *   1  a thread runs only when no other wants to (SCHED_IDLE), until a later fault
 *   2  a thread's nice value is set
 *   3  all threads run on one CPU, until a later fault
 *   4  all threads run where they like, none is idle
 */

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../fail.h"
#include "faults.h"
#include "random.h"

#define SPINNERS_MAX 64u
#define SPIN_NS UINT64_C(50000000)
#define NICE_MAX 10u
#define MUCH_MAX 8u

enum {
	SPIN,
	IDLE,
	NICE,
	ONE_CPU,
	RELIEF,
	N_WAYS
};

static cpu_set_t all_cpus;
static pthread_t spinners[SPINNERS_MAX];
static unsigned n_spinners;

static void init(void)
{
	sched_getaffinity(0, sizeof(all_cpus), &all_cpus);
}

static void draw(uint64_t *random, uint64_t *args)
{
	args[0] = random_below(random, N_WAYS);
	args[1] = random_below(random, SS_FAULT_THREADS_MAX);
	args[2] = random_below(random, MUCH_MAX);
}

static void *spin(void *arg)
{
	uint64_t end = ss_now_ns() + SPIN_NS;

	while (ss_now_ns() < end) {
	}
	return NULL;
}

static void join_spinners(void)
{
	while (n_spinners > 0)
		pthread_join(spinners[--n_spinners], NULL);
}

static void start_spinners(unsigned more)
{
	unsigned n = (unsigned)CPU_COUNT(&all_cpus) + more;

	join_spinners();
	while (n_spinners < n && n_spinners < SPINNERS_MAX &&
	       pthread_create(&spinners[n_spinners], NULL, spin, NULL) == 0)
		n_spinners++;
}

static void relieve(const int *tids, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		sched_setscheduler(tids[i], SCHED_OTHER, &(struct sched_param){ 0 });
		setpriority(PRIO_PROCESS, (id_t)tids[i], getpriority(PRIO_PROCESS, 0));
		sched_setaffinity(tids[i], sizeof(all_cpus), &all_cpus);
	}
}

/* Errors do not matter: threads end, and not everybody may raise a priority again. */
static void inject(struct ss_net *net, const uint64_t *args)
{
	const int *tids;
	unsigned n = ss_fault_threads(&tids);
	int tid = n > 0 ? tids[args[1] % n] : 0;
	cpu_set_t one;

	if (n == 0)
		return;
	switch (args[0]) {
	case SPIN:
		start_spinners((unsigned)args[2]);
		break;
	case IDLE:
		sched_setscheduler(tid, SCHED_IDLE, &(struct sched_param){ 0 });
		break;
	case NICE:
		setpriority(PRIO_PROCESS, (id_t)tid, (int)(args[2] % NICE_MAX));
		break;
	case ONE_CPU:
		CPU_ZERO(&one);
		for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
			if (CPU_ISSET(cpu, &all_cpus))
				CPU_SET(cpu, &one);
		}
		for (unsigned i = 0; i < n; i++)
			sched_setaffinity(tids[i], sizeof(one), &one);
		break;
	default:
		relieve(tids, n);
		break;
	}
}

static void release(void)
{
	const int *tids;
	unsigned n = ss_fault_threads(&tids);

	join_spinners();
	relieve(tids, n);
}

const struct ss_fault ss_fault_starve = {
	.name = "starve",
	.doc = "Too little CPU: threads that spin, idle and nice workers, one CPU for all.",
	.interval_us = 60000,
	.init = init,
	.release = release,
	.args_max = { N_WAYS - 1, SS_FAULT_THREADS_MAX, MUCH_MAX },
	.draw = draw,
	.inject = inject,
};
