/* SPDX-License-Identifier: BSD-2-Clause */
/* workload.c — see workload.h */

#include "workload.h"

#include <assert.h>
#include <string.h>

#include "ids.h"

#define THROUGHPUT(p, s, m, b)                                                                     \
	.kind = SB_KIND_THROUGHPUT, .topology = { (p), (s), (m), 0 }, .baselines = (b)
#define QUEUES (SB_BASELINE_RING | SB_BASELINE_CK | SB_BASELINE_MUTEX)

/* clang-format off */
/* Rows that differ in one number. */
#define FANOUT(s)                                                                                  \
	{ "1:" #s, "fanout", #s " subscribers, one publish at a time",                             \
	  THROUGHPUT(1, s, SB_MODE_TAKE, SB_BASELINE_MUTEX) }
#define BATCH(s)                                                                                   \
	{ "batch-1:" #s, "batch", #s " subscribers, 64 messages with one publish",                 \
	  THROUGHPUT(1, s, SB_MODE_BATCH, SB_BASELINE_MUTEX) }
#define FANIN(p)                                                                                   \
	{ #p ":1", "fanin", #p " threads publish to one subscriber",                               \
	  THROUGHPUT(p, 1, SB_MODE_TAKE, QUEUES) }

const struct sb_workload sb_workloads[] = {
	/* First: it counts what the library allocates, and memory that threads of other workloads
	 * have left would be recycled. */
	{ "memory", NULL, "bytes per topic, idle subscription, message and queued message",
	  .kind = SB_KIND_MEMORY },
	{ "idle", NULL, "CPU time of an executor with idle subscriptions",
	  .kind = SB_KIND_IDLE },
	{ "1:1", NULL, "a message made, stamped, published, delivered and freed",
	  THROUGHPUT(1, 1, SB_MODE_TAKE, QUEUES) },
	{ "republish", NULL, "one message published again and again",
	  THROUGHPUT(1, 1, SB_MODE_REPUBLISH, SB_BASELINE_RING) },
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
	{ "forward-1000:1", "forward", "2 threads publish to 1,000 topics forwarded to one",
	  .kind = SB_KIND_THROUGHPUT, .topology = { 2, 1, SB_MODE_TAKE, .upstream = 1000 } },
	/* Compare with 1:1 and 16:1 for what the cache costs. */
	{ "cache-update", "cache", "snapshots of --ids ids in turn; one subscriber of the updates",
	  .kind = SB_KIND_THROUGHPUT, .baselines = SB_BASELINE_RWLOCK,
	  .topology = { 1, 1, SB_MODE_TAKE, .ids = SB_IDS_DEFAULT } },
	{ "cache-update-16:1id", "cache", "the same; 16 threads publish snapshots of one id",
	  .kind = SB_KIND_THROUGHPUT, .baselines = SB_BASELINE_RWLOCK,
	  .topology = { 16, 1, SB_MODE_TAKE, .ids = 1 } },
	{ "cache-get", "cache", "one thread gets ids at random beside one that updates all",
	  .kind = SB_KIND_THROUGHPUT, .baselines = SB_BASELINE_RWLOCK,
	  .topology = { 1, 0, SB_MODE_TAKE, .ids = SB_IDS_DEFAULT, .readers = 1 } },
	{ "topology", NULL, "--publishers threads to --subscribers, one publish at a time",
	  THROUGHPUT(0, 0, SB_MODE_TAKE, QUEUES) },
	{ "latency-inline", "latency", "publish to callback, paced; the publisher itself delivers",
	  .kind = SB_KIND_LATENCY, .wait = STASIS_WAIT_INLINE },
	{ "latency-spin", "latency", "the same; a worker that never sleeps",
	  .kind = SB_KIND_LATENCY, .wait = STASIS_WAIT_SPIN },
	{ "latency-spin-park", "latency", "the same; a worker that spins, then sleeps (default)",
	  .kind = SB_KIND_LATENCY, .wait = STASIS_WAIT_SPIN_PARK },
	{ "latency-park", "latency", "the same; a worker that sleeps at once",
	  .kind = SB_KIND_LATENCY, .wait = STASIS_WAIT_PARK },
};
/* clang-format on */

const size_t sb_n_workloads = sizeof(sb_workloads) / sizeof(sb_workloads[0]);

static_assert(sizeof(sb_workloads) / sizeof(sb_workloads[0]) <= SB_WORKLOADS_MAX,
	      "choices have room for all workloads");

bool sb_workload_select(bool selected[SB_WORKLOADS_MAX], const char *name)
{
	bool found = false;

	for (size_t i = 0; i < sb_n_workloads; i++) {
		const struct sb_workload *workload = &sb_workloads[i];
		bool topology = workload->kind == SB_KIND_THROUGHPUT &&
				workload->topology.publishers == 0;

		if (strcmp(name, workload->name) == 0 ||
		    (workload->group != NULL && strcmp(name, workload->group) == 0) ||
		    (strcmp(name, "all") == 0 && !topology))
			found = selected[i] = true;
	}
	return found;
}

void sb_workload_list(FILE *stream)
{
	for (size_t i = 0; i < sb_n_workloads; i++) {
		const struct sb_workload *workload = &sb_workloads[i];

		fprintf(stream, "%-20s %-9s %s\n", workload->name,
			workload->group != NULL ? workload->group : "", workload->text);
	}
	fprintf(stream, "%-20s %-9s %s\n", "all", "", "all of these but topology");
}
