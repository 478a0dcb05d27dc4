/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_caf.c — C++ Actor Framework, see peer_caf.cc */

#include "cxx_peer.h"
#include "peers.h"

/* What both have in common. */
#define ACTORS                                                                                     \
	"an event-based actor per subscriber, anon_send() to each, messages as pointers; as many " \
	"scheduler threads as ours has, max-throughput unlimited, which is the default; request "  \
	"and reply: request().receive() of a scoped_actor; scheduler policy "

static const char *caf_version(void)
{
	return sp_cxx_caf.version();
}

static int caf_run_open(struct sb_run *run)
{
	return sp_cxx_run_open(run, &sp_cxx_caf);
}

static int caf_paced_open(struct sb_paced *paced, int option)
{
	return sp_cxx_paced_open(paced, &sp_cxx_caf);
}

static int caf_call_open(void **statep)
{
	return sp_cxx_call_open(statep, &sp_cxx_caf);
}

static int caf_churn_open(unsigned others, void **statep)
{
	return sp_cxx_churn_open(others, statep, &sp_cxx_caf);
}

static int caf_stock_open(unsigned n, void **statep)
{
	return sp_cxx_stock_open(n, statep, &sp_cxx_caf);
}

static const struct sb_engine caf_throughput = {
	.name = "caf",
	.text = "event-based actors, work stealing",
	.open = caf_run_open,
	.publish = sp_cxx_run_publish,
	.close = sp_cxx_run_close,
};

static const struct sb_paced_subject caf_paced = {
	.name = "caf",
	.text = "anon_send(), work stealing",
	.open = caf_paced_open,
	.send = sp_cxx_paced_send,
	.close = sp_cxx_paced_close,
};

static const struct sb_call caf_call = { caf_call_open, sp_cxx_call, sp_cxx_close };
static const struct sb_churn caf_churn = { caf_churn_open, sp_cxx_churn_cycle, sp_cxx_close };
static const struct sb_stock caf_stock = { caf_stock_open, sp_cxx_close };

const struct sb_peer sb_peer_caf = {
	.name = "caf",
	.title = "C++ Actor Framework",
	.version = caf_version,
	.settings = ACTORS "stealing, the default (manual, on the scheduler)",
	.throughput = &caf_throughput,
	.paced = &caf_paced,
	.call = &caf_call,
	.churn = &caf_churn,
	.stock = &caf_stock,
};

static int caf_sharing_run_open(struct sb_run *run)
{
	return sp_cxx_run_open(run, &sp_cxx_caf_sharing);
}

static int caf_sharing_paced_open(struct sb_paced *paced, int option)
{
	return sp_cxx_paced_open(paced, &sp_cxx_caf_sharing);
}

static int caf_sharing_call_open(void **statep)
{
	return sp_cxx_call_open(statep, &sp_cxx_caf_sharing);
}

static int caf_sharing_churn_open(unsigned others, void **statep)
{
	return sp_cxx_churn_open(others, statep, &sp_cxx_caf_sharing);
}

static int caf_sharing_stock_open(unsigned n, void **statep)
{
	return sp_cxx_stock_open(n, statep, &sp_cxx_caf_sharing);
}

static const struct sb_engine caf_sharing_throughput = {
	.name = "caf-sharing",
	.text = "event-based actors, work sharing",
	.open = caf_sharing_run_open,
	.publish = sp_cxx_run_publish,
	.close = sp_cxx_run_close,
};

static const struct sb_paced_subject caf_sharing_paced = {
	.name = "caf-sharing",
	.text = "anon_send(), work sharing",
	.open = caf_sharing_paced_open,
	.send = sp_cxx_paced_send,
	.close = sp_cxx_paced_close,
};

static const struct sb_call caf_sharing_call = { caf_sharing_call_open, sp_cxx_call, sp_cxx_close };
static const struct sb_churn caf_sharing_churn = { caf_sharing_churn_open, sp_cxx_churn_cycle,
						   sp_cxx_close };
static const struct sb_stock caf_sharing_stock = { caf_sharing_stock_open, sp_cxx_close };

const struct sb_peer sb_peer_caf_sharing = {
	.name = "caf-sharing",
	.title = "C++ Actor Framework, work sharing",
	.version = caf_version,
	.settings = ACTORS "sharing (manual, on the scheduler)",
	.throughput = &caf_sharing_throughput,
	.paced = &caf_sharing_paced,
	.call = &caf_sharing_call,
	.churn = &caf_sharing_churn,
	.stock = &caf_sharing_stock,
};
