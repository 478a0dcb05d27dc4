/* SPDX-License-Identifier: BSD-2-Clause */
/* trace.c — what happened, in words. Places are asked of addr2line, of the same toolchain. */

#include "engine.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS 8192u
#define PLACE 64u    /* characters of "file:line" */
#define AT_ONCE 128u /* places to ask for */

struct event {
	uint8_t thread, kind, size, order;
	unsigned behind; /* stores that a load is late */
	void *pc;
	uint64_t value;
	char where[40];
};

static struct trace {
	struct event events[EVENTS];
	unsigned n;
} *trace;

static const char *const kind_names[] = {
	[EX_LOAD] = "load",
	[EX_STORE] = "store",
	[EX_RMW] = "read-modify-write",
	[EX_CAS] = "compare-exchange",
	[EX_CAS_FAILED] = "compare-exchange failed",
	[EX_FENCE] = "fence",
	[EX_MEMBARRIER] = "membarrier",
	[EX_READ_LOCK] = "read section begins",
	[EX_READ_UNLOCK] = "read section ends",
	[EX_CALL_RCU] = "call_rcu",
	[EX_CALLBACK] = "grace period over",
	[EX_WAIT] = "waits",
	[EX_YIELD] = "gives way",
	[EX_ALLOC] = "allocates",
	[EX_FREE] = "frees",
	[EX_STOPPED] = "STOPPED for ever",
	[EX_ENDED] = "ends",
};

static const char *const order_names[] = {
	[__ATOMIC_RELAXED] = "relaxed", [__ATOMIC_CONSUME] = "consume",
	[__ATOMIC_ACQUIRE] = "acquire", [__ATOMIC_RELEASE] = "release",
	[__ATOMIC_ACQ_REL] = "acq_rel", [__ATOMIC_SEQ_CST] = "seq_cst",
};

void ex_trace_init(void)
{
	trace = calloc(1, sizeof(*trace));
	if (trace == NULL)
		exit(2);
}

void ex_trace_reset(void)
{
	trace->n = 0;
}

void ex_trace(enum ex_kind kind, void *pc, uintptr_t address, unsigned size, int order,
	      uint64_t value, unsigned behind)
{
	struct event *event;

	if (!ex->tracing || trace->n == EVENTS)
		return;
	event = &trace->events[trace->n++];
	*event = (struct event){
		.thread = (uint8_t)ex->current,
		.kind = (uint8_t)kind,
		.size = (uint8_t)size,
		.order = (uint8_t)order,
		.behind = behind,
		.pc = pc,
		.value = value,
	};
	if (address != 0)
		ex_name_address(address, event->where, sizeof(event->where));
}

/* "file:line" of addresses of the program, of calls: not where they return to. */
static void find_places(void *const *pcs, unsigned n, char (*places)[PLACE])
{
	char command[64 + 24 * AT_ONCE];
	size_t length;
	Dl_info info;
	FILE *pipe;

	for (unsigned i = 0; i < n; i++)
		snprintf(places[i], PLACE, "?");
	if (n == 0 || dladdr((void *)(uintptr_t)ex_trace_print, &info) == 0)
		return;
	length = (size_t)snprintf(command, sizeof(command), "addr2line -e /proc/%d/exe",
				  (int)getpid());
	for (unsigned i = 0; i < n; i++)
		length += (size_t)snprintf(command + length, sizeof(command) - length, " %#tx",
					   (char *)pcs[i] - (char *)info.dli_fbase - 1);
	pipe = popen(command, "r");
	if (pipe == NULL)
		return;
	for (unsigned i = 0; i < n; i++) {
		char line[400], *name;

		if (fgets(line, sizeof(line), pipe) == NULL)
			break;
		line[strcspn(line, " \n")] = '\0';
		name = strrchr(line, '/');
		snprintf(places[i], PLACE, "%.*s", (int)PLACE - 1, name != NULL ? name + 1 : line);
	}
	pclose(pipe);
}

void ex_place(void *pc, char *text, size_t size)
{
	char place[1][PLACE] = { "?" };

	if (pc != NULL && ex->tracing)
		find_places(&pc, 1, place);
	snprintf(text, size, "%s", place[0]);
}

static void print_event(const struct event *event, const char *place)
{
	printf("  %-14s %-22s %s", ex->threads[event->thread].name, event->pc != NULL ? place : "",
	       kind_names[event->kind]);
	if (event->size > 0)
		printf(" %s, %s: %#llx", event->where, order_names[event->order],
		       (unsigned long long)event->value);
	else if (event->where[0] != '\0')
		printf(" %s", event->where);
	if (event->behind > 0)
		printf(" (%u behind)", event->behind);
	printf("\n");
}

void ex_trace_print(void)
{
	for (unsigned first = 0; first < trace->n; first += AT_ONCE) {
		unsigned n = trace->n - first < AT_ONCE ? trace->n - first : AT_ONCE;
		char places[AT_ONCE][PLACE];
		void *pcs[AT_ONCE];

		for (unsigned i = 0; i < n; i++)
			pcs[i] = trace->events[first + i].pc;
		find_places(pcs, n, places);
		for (unsigned i = 0; i < n; i++)
			print_event(&trace->events[first + i], places[i]);
	}
}
