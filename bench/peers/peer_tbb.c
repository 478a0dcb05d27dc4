/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_tbb.c — oneTBB's flow graph, see peer_tbb.cc */

#include "cxx_peer.h"
#include "peers.h"

/* What both have in common. */
#define GRAPH                                                                                      \
	"a broadcast_node per topic and a serial function_node per subscriber, messages as "       \
	"pointers; a task_arena with as many workers as ours has, placed by a "                    \
	"task_scheduler_observer; request and reply by try_put() and wait_for_all(), in which "    \
	"the client may serve itself; "

static const char *tbb_version(void)
{
	return sp_cxx_tbb.version();
}

static int tbb_run_open(struct sb_run *run)
{
	return sp_cxx_run_open(run, &sp_cxx_tbb);
}

static int tbb_paced_open(struct sb_paced *paced, int option)
{
	return sp_cxx_paced_open(paced, &sp_cxx_tbb);
}

static int tbb_call_open(void **statep)
{
	return sp_cxx_call_open(statep, &sp_cxx_tbb);
}

static int tbb_churn_open(unsigned others, void **statep)
{
	return sp_cxx_churn_open(others, statep, &sp_cxx_tbb);
}

static int tbb_stock_open(unsigned n, void **statep)
{
	return sp_cxx_stock_open(n, statep, &sp_cxx_tbb);
}

static const struct sb_engine tbb_throughput = {
	.name = "tbb",
	.text = "broadcast_node, function_node<queueing>",
	.open = tbb_run_open,
	.publish = sp_cxx_run_publish,
	.close = sp_cxx_run_close,
};

static const struct sb_paced_subject tbb_paced = {
	.name = "tbb",
	.text = "try_put() to a worker",
	.open = tbb_paced_open,
	.send = sp_cxx_paced_send,
	.close = sp_cxx_paced_close,
};

static const struct sb_call tbb_call = { tbb_call_open, sp_cxx_call, sp_cxx_close };
static const struct sb_churn tbb_churn = { tbb_churn_open, sp_cxx_churn_cycle, sp_cxx_close };
static const struct sb_stock tbb_stock = { tbb_stock_open, sp_cxx_close };

const struct sb_peer sb_peer_tbb = {
	.name = "tbb",
	.title = "oneTBB flow graph",
	.version = tbb_version,
	.settings = GRAPH "policy queueing, the default: a worker runs the bodies",
	.throughput = &tbb_throughput,
	.paced = &tbb_paced,
	.call = &tbb_call,
	.churn = &tbb_churn,
	.stock = &tbb_stock,
};

/* Subscribing and idling are as with the other policy. */

static int light_run_open(struct sb_run *run)
{
	return sp_cxx_run_open(run, &sp_cxx_tbb_lightweight);
}

static int light_paced_open(struct sb_paced *paced, int option)
{
	return sp_cxx_paced_open(paced, &sp_cxx_tbb_lightweight);
}

static int light_call_open(void **statep)
{
	return sp_cxx_call_open(statep, &sp_cxx_tbb_lightweight);
}

static const struct sb_engine light_throughput = {
	.name = "tbb-lightweight",
	.text = "broadcast_node, function_node<queueing_lightweight>",
	.open = light_run_open,
	.publish = sp_cxx_run_publish,
	.close = sp_cxx_run_close,
};

static const struct sb_paced_subject light_paced = {
	.name = "tbb-lightweight",
	.text = "try_put(), which may call",
	.open = light_paced_open,
	.send = sp_cxx_paced_send,
	.close = sp_cxx_paced_close,
};

static const struct sb_call light_call = { light_call_open, sp_cxx_call, sp_cxx_close };

const struct sb_peer sb_peer_tbb_lightweight = {
	.name = "tbb-lightweight",
	.title = "oneTBB flow graph, lightweight",
	.version = tbb_version,
	.settings = GRAPH
	"policy queueing_lightweight, for bodies that take little time (reference, "
	"on policies of function nodes): who finds the node idle runs the body, the "
	"publisher too",
	.throughput = &light_throughput,
	.paced = &light_paced,
	.call = &light_call,
};
