/* SPDX-License-Identifier: BSD-2-Clause */
/* cpu.c — see cpu.h */

#include "cpu.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

/* const after sb_cpu_init() */
static cpu_set_t allowed;
static int first;
static int second;

int sb_cpu_init(void)
{
	first = second = -1;
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return -errno;
	for (int cpu = 0; cpu < CPU_SETSIZE && second < 0; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		if (first < 0)
			first = cpu;
		else
			second = cpu;
	}
	if (second < 0)
		second = first;
	return 0;
}

unsigned sb_cpu_count(void)
{
	return (unsigned)CPU_COUNT(&allowed);
}

int sb_cpu_first(void)
{
	return first;
}

int sb_cpu_second(void)
{
	return second;
}

/* Failing does no harm but to the figures, and the round trip printed beside them tells. */
static void set_affinity(const cpu_set_t *set)
{
	(void)pthread_setaffinity_np(pthread_self(), sizeof(*set), set);
}

void sb_cpu_free(void)
{
	set_affinity(&allowed);
}

void sb_cpu_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	set_affinity(&set);
}

void sb_cpu_publisher(bool alone)
{
	if (alone)
		sb_cpu_pin(first);
	else
		sb_cpu_free();
}

void sb_cpu_consumers(bool alone, unsigned n)
{
	cpu_set_t others = allowed;

	if (!alone || first == second) {
		sb_cpu_free();
	} else if (n == 1) {
		sb_cpu_pin(second);
	} else {
		CPU_CLR(first, &others);
		set_affinity(&others);
	}
}
