/* SPDX-License-Identifier: BSD-2-Clause */
/* peers.c — see peers.h
 *
 * Which libraries were there when this was built, meson says with SP_HAVE_*, each 0 or 1.
 */

#include "peers.h"

#include <string.h>

#if SP_HAVE_ZEROMQ
#define ZEROMQ(peer) (&(peer))
#else
#define ZEROMQ(peer) NULL
#endif
#if SP_HAVE_NNG
#define NNG(peer) (&(peer))
#else
#define NNG(peer) NULL
#endif
#if SP_HAVE_GLIB
#define GLIB(peer) (&(peer))
#else
#define GLIB(peer) NULL
#endif
#if SP_HAVE_TBB
#define TBB(peer) (&(peer))
#else
#define TBB(peer) NULL
#endif
#if SP_HAVE_CAF
#define CAF(peer) (&(peer))
#else
#define CAF(peer) NULL
#endif

#define QUEUES SP_OFFER_QUEUES
#define ALL (SP_OFFER_QUEUES | SP_OFFER_TOPICS | SP_OFFER_CACHE)

/* clang-format off: one line each. */
const struct sp_entry sp_entries[] = {
	{ "stasis", NULL, &sb_peer_stasis, ALL },
	{ "stasis-park", NULL, &sb_peer_stasis_park, 0 },
	{ "stasis-spin", NULL, &sb_peer_stasis_spin, 0 },
	{ "stasis-inline", NULL, &sb_peer_stasis_inline, QUEUES | SP_OFFER_TOPICS },
	{ "stasis-quiet", NULL, &sb_peer_stasis_quiet, 0 },
	{ "mutex", NULL, &sb_peer_mutex, QUEUES },
	{ "rwlock", NULL, &sb_peer_rwlock, SP_OFFER_CACHE },
	{ "futex", NULL, &sb_peer_futex, 0 },
	{ "zeromq-pubsub", "libzmq3-dev", ZEROMQ(sb_peer_zeromq_pubsub), QUEUES },
	{ "zeromq-pubsub-poll", "libzmq3-dev", ZEROMQ(sb_peer_zeromq_pubsub_poll), QUEUES },
	{ "zeromq-pushpull", "libzmq3-dev", ZEROMQ(sb_peer_zeromq_pushpull), QUEUES },
	{ "zeromq-pushpull-poll", "libzmq3-dev", ZEROMQ(sb_peer_zeromq_pushpull_poll), QUEUES },
	{ "zeromq-reqrep", "libzmq3-dev", ZEROMQ(sb_peer_zeromq_reqrep), 0 },
	{ "nng-pubsub", "libnng-dev", NNG(sb_peer_nng_pubsub), QUEUES },
	{ "nng-pubsub-aio", "libnng-dev", NNG(sb_peer_nng_pubsub_aio), QUEUES },
	{ "nng-reqrep", "libnng-dev", NNG(sb_peer_nng_reqrep), 0 },
	{ "glib", "libglib2.0-dev", GLIB(sb_peer_glib), QUEUES },
	{ "tbb", "libtbb-dev", TBB(sb_peer_tbb), QUEUES | SP_OFFER_TOPICS },
	{ "tbb-lightweight", "libtbb-dev", TBB(sb_peer_tbb_lightweight), QUEUES | SP_OFFER_TOPICS },
	{ "caf", "libcaf-dev", CAF(sb_peer_caf), QUEUES | SP_OFFER_TOPICS },
	{ "caf-sharing", "libcaf-dev", CAF(sb_peer_caf_sharing), QUEUES | SP_OFFER_TOPICS },
};
/* clang-format on */

const size_t sp_n_entries = sizeof(sp_entries) / sizeof(sp_entries[0]);

const struct sp_entry *sp_entry_find(const char *name)
{
	for (size_t i = 0; i < sp_n_entries; i++) {
		if (strcmp(sp_entries[i].name, name) == 0)
			return &sp_entries[i];
	}
	return NULL;
}

static bool fits_throughput(const struct sp_entry *entry, const struct sb_topology *topology)
{
	if (entry->peer->throughput == NULL)
		return false;
	if (topology->ids > 0)
		return entry->offers & SP_OFFER_CACHE;
	return entry->offers & (topology->upstream > 0 ? SP_OFFER_TOPICS : SP_OFFER_QUEUES);
}

bool sp_entry_fits(const struct sp_entry *entry, const struct sp_workload *workload)
{
	const struct sb_peer *peer = entry->peer;

	if (peer == NULL)
		return false;
	switch (workload->kind) {
	case SP_KIND_THROUGHPUT:
		return fits_throughput(entry, &workload->topology);
	case SP_KIND_LATENCY:
		return peer->paced != NULL;
	case SP_KIND_CALL:
		return peer->call != NULL;
	case SP_KIND_CHURN:
		return peer->churn != NULL;
	case SP_KIND_MEMORY:
	case SP_KIND_IDLE:
		return peer->stock != NULL;
	case SP_KINDS:
		break;
	}
	return false;
}
