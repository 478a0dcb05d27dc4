/* SPDX-License-Identifier: BSD-2-Clause */
/* workloads.c — see workloads.h */

#include "workloads.h"

#include <string.h>

#include "ids.h"

#define PAYLOAD SB_PAYLOAD_MIN

/* clang-format off */
#define THROUGHPUT(p, s, m, bytes)                                                                 \
	.kind = SP_KIND_THROUGHPUT, .payload = (bytes),                                            \
	.topology = { .publishers = (p), .subscribers = (s), .mode = (m) }
/* Rows that differ in one number. */
#define FANOUT(s)                                                                                  \
	{ "1:" #s, #s " subscribers, one publish at a time",                                       \
	  THROUGHPUT(1, s, SB_MODE_TAKE, PAYLOAD) }
#define BATCH(s)                                                                                   \
	{ "batch-1:" #s, #s " subscribers, 64 messages with one publish",                          \
	  THROUGHPUT(1, s, SB_MODE_BATCH, PAYLOAD) }
#define FANIN(p)                                                                                   \
	{ #p ":1", #p " threads publish to one subscriber",                                        \
	  THROUGHPUT(p, 1, SB_MODE_TAKE, PAYLOAD) }
#define LATENCY(text, n)                                                                           \
	{ "latency-" text, "publish to callback, " text " messages a second",                      \
	  .kind = SP_KIND_LATENCY, .payload = PAYLOAD, .rate = (n) }

const struct sp_workload sp_workloads[] = {
	{ "1:1", "a message made, published, delivered and freed",
	  THROUGHPUT(1, 1, SB_MODE_TAKE, PAYLOAD) },
	{ "republish", "one message published again and again",
	  THROUGHPUT(1, 1, SB_MODE_REPUBLISH, PAYLOAD) },
	FANOUT(10),
	FANOUT(100),
	FANOUT(1000),
	BATCH(10),
	BATCH(100),
	BATCH(1000),
	FANIN(2),
	FANIN(4),
	FANIN(16),
	FANIN(64),
	/* Two publishers go round all the topics: compare with 2:1. */
	{ "forward-1000:1", "2 threads publish to 1,000 topics in turn, forwarded to one",
	  .kind = SP_KIND_THROUGHPUT, .topology = { 2, 1, SB_MODE_TAKE, .upstream = 1000 },
	  .payload = PAYLOAD },
	{ "1:1/256B", "1:1 with 256 bytes", THROUGHPUT(1, 1, SB_MODE_TAKE, 256) },
	{ "1:1/4KiB", "1:1 with 4 KiB", THROUGHPUT(1, 1, SB_MODE_TAKE, 4096) },
	{ "1:10/256B", "1:10 with 256 bytes", THROUGHPUT(1, 10, SB_MODE_TAKE, 256) },
	{ "1:10/4KiB", "1:10 with 4 KiB", THROUGHPUT(1, 10, SB_MODE_TAKE, 4096) },
	LATENCY("1k", 1000),
	LATENCY("10k", 10000),
	LATENCY("100k", 100000),
	{ "call", "request and reply between two threads",
	  .kind = SP_KIND_CALL, .payload = PAYLOAD },
	{ "churn-0", "subscribe and unsubscribe, alone on the topic",
	  .kind = SP_KIND_CHURN, .payload = PAYLOAD, .subscribers = 0 },
	{ "churn-100", "subscribe and unsubscribe beside 100 others",
	  .kind = SP_KIND_CHURN, .payload = PAYLOAD, .subscribers = 100 },
	{ "cache-update", "snapshots of 10,000 ids in turn, one subscriber of the updates",
	  .kind = SP_KIND_THROUGHPUT, .payload = PAYLOAD,
	  .topology = { 1, 1, SB_MODE_TAKE, .ids = SB_IDS_DEFAULT } },
	{ "cache-get", "one thread gets ids at random beside one that updates all",
	  .kind = SP_KIND_THROUGHPUT, .payload = PAYLOAD,
	  .topology = { 1, 0, SB_MODE_TAKE, .ids = SB_IDS_DEFAULT, .readers = 1 } },
	{ "memory", "bytes per idle subscriber and per queued message",
	  .kind = SP_KIND_MEMORY, .payload = PAYLOAD, .subscribers = 400 },
	{ "idle", "CPU time of 100 subscribers that have nothing to do",
	  .kind = SP_KIND_IDLE, .payload = PAYLOAD, .subscribers = 100 },
};
/* clang-format on */

const size_t sp_n_workloads = sizeof(sp_workloads) / sizeof(sp_workloads[0]);

const struct sp_workload *sp_workload_find(const char *name)
{
	for (size_t i = 0; i < sp_n_workloads; i++) {
		if (strcmp(sp_workloads[i].name, name) == 0)
			return &sp_workloads[i];
	}
	return NULL;
}

const char *sp_kind_name(enum sp_kind kind)
{
	static const char *const names[SP_KINDS] = {
		[SP_KIND_THROUGHPUT] = "throughput",
		[SP_KIND_LATENCY] = "latency",
		[SP_KIND_CALL] = "call",
		[SP_KIND_CHURN] = "churn",
		[SP_KIND_MEMORY] = "memory",
		[SP_KIND_IDLE] = "idle",
	};

	return names[kind];
}
