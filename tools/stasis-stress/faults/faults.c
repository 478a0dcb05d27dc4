/* SPDX-License-Identifier: BSD-2-Clause */
/* faults.c — the list. See faults.h. */

#include "faults.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../fail.h"

/* Threads come and go; looking for them takes its time. */
#define LIST_NS UINT64_C(200000000)

static const struct ss_fault *const faults[SS_FAULTS_N] = {
	[SS_FAULT_ALLOC] = &ss_fault_alloc,	  [SS_FAULT_STOP] = &ss_fault_stop,
	[SS_FAULT_STARVE] = &ss_fault_starve,	  [SS_FAULT_EXIT] = &ss_fault_exit,
	[SS_FAULT_FORK] = &ss_fault_fork,	  [SS_FAULT_SIGNAL] = &ss_fault_signal,
	[SS_FAULT_CALLBACK] = &ss_fault_callback, [SS_FAULT_LIMITS] = &ss_fault_limits,
	[SS_FAULT_CLOCK] = &ss_fault_clock,
};

/* Written by the controlling thread, read by the one that tells of progress. */
static _Atomic uint64_t counts[SS_FAULTS_N];

const struct ss_fault *ss_fault(unsigned index)
{
	return faults[index];
}

unsigned ss_fault_find(const char *name)
{
	unsigned i = 0;

	while (i < SS_FAULTS_N && strcmp(faults[i]->name, name) != 0)
		i++;
	return i;
}

unsigned ss_faults_fit(void)
{
	unsigned fit = 0;

	for (unsigned i = 0; i < SS_FAULTS_N; i++)
		fit |= faults[i]->unfit == NULL ? 1u << i : 0;
	return fit;
}

void ss_faults_init(unsigned wanted)
{
	for (unsigned i = 0; i < SS_FAULTS_N; i++) {
		if ((wanted & (1u << i)) && faults[i]->init != NULL)
			faults[i]->init();
	}
}

void ss_faults_release(unsigned wanted)
{
	for (unsigned i = 0; i < SS_FAULTS_N; i++) {
		if ((wanted & (1u << i)) && faults[i]->release != NULL)
			faults[i]->release();
	}
}

void ss_fault_inject(unsigned index, struct ss_net *net, const uint64_t *args)
{
	faults[index]->inject(net, args);
	counts[index]++;
}

void ss_faults_count_round(unsigned wanted)
{
	for (unsigned i = 0; i < SS_FAULTS_N; i++) {
		if ((wanted & (1u << i)) && faults[i]->inject == NULL)
			counts[i]++;
	}
}

uint64_t ss_fault_count(unsigned index)
{
	return faults[index]->count != NULL ? faults[index]->count() : counts[index];
}

const char *ss_faults_text(unsigned wanted, char *text, unsigned size)
{
	unsigned used = 0;

	snprintf(text, size, "none");
	for (unsigned i = 0; i < SS_FAULTS_N && used < size; i++) {
		if (wanted & (1u << i))
			used += (unsigned)snprintf(text + used, size - used, "%s%s",
						   used > 0 ? "," : "", faults[i]->name);
	}
	return text;
}

static bool is_ours(const char *tid)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", tid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fgets(name, sizeof(name), file) == NULL)
		name[0] = '\0';
	fclose(file);
	return strncmp(name, "ss-", 3) == 0;
}

static unsigned list_threads(int *tids, unsigned max)
{
	DIR *folder = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned n = 0;

	while (folder != NULL && n < max && (entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.' && is_ours(entry->d_name))
			tids[n++] = atoi(entry->d_name);
	}
	if (folder != NULL)
		closedir(folder);
	return n;
}

unsigned ss_fault_threads(const int **tidsp)
{
	static int tids[SS_FAULT_THREADS_MAX];
	static unsigned n;
	static uint64_t listed_ns;
	uint64_t now = ss_now_ns();

	/* One that has ended since is no harm: a signal for it goes nowhere. */
	if (now - listed_ns > LIST_NS) {
		n = list_threads(tids, SS_FAULT_THREADS_MAX);
		listed_ns = now;
	}
	*tidsp = tids;
	return n;
}

/* --- limits: not injected, but a trait of rounds --- */

const struct ss_fault ss_fault_limits = {
	.name = "limits",
	.doc = "Queues of one to four messages, batches of one to three: queues are full, grow and "
	       "close all the time.",
};
