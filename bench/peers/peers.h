/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_PEERS_H
#define SP_PEERS_H

/* peers.h — all peers, those that were not installed when this was built included */

#include <stdbool.h>
#include <stddef.h>

#include "peer.h"
#include "workloads.h"

extern const struct sb_peer sb_peer_stasis;
extern const struct sb_peer sb_peer_stasis_park;
extern const struct sb_peer sb_peer_stasis_spin;
extern const struct sb_peer sb_peer_stasis_inline;
extern const struct sb_peer sb_peer_stasis_quiet;
extern const struct sb_peer sb_peer_mutex;
extern const struct sb_peer sb_peer_rwlock;
extern const struct sb_peer sb_peer_futex;
extern const struct sb_peer sb_peer_zeromq_pubsub;
extern const struct sb_peer sb_peer_zeromq_pubsub_poll;
extern const struct sb_peer sb_peer_zeromq_pushpull;
extern const struct sb_peer sb_peer_zeromq_pushpull_poll;
extern const struct sb_peer sb_peer_zeromq_reqrep;
extern const struct sb_peer sb_peer_nng_pubsub;
extern const struct sb_peer sb_peer_nng_pubsub_aio;
extern const struct sb_peer sb_peer_nng_reqrep;
extern const struct sb_peer sb_peer_glib;
extern const struct sb_peer sb_peer_tbb;
extern const struct sb_peer sb_peer_tbb_lightweight;
extern const struct sb_peer sb_peer_caf;
extern const struct sb_peer sb_peer_caf_sharing;

/* What a peer's throughput engine can do; bits. */
enum sp_offer {
	SP_OFFER_QUEUES = 1, /* messages to subscribers */
	SP_OFFER_TOPICS = 2, /* the same, from many topics to one */
	SP_OFFER_CACHE = 4,  /* the last message of each id */
};

struct sp_entry {
	const char *name;	    /* as peer->name */
	const char *package;	    /* Debian's; NULL: part of the source tree */
	const struct sb_peer *peer; /* NULL: it was not installed */
	unsigned offers;
};

extern const struct sp_entry sp_entries[];
extern const size_t sp_n_entries;

/* NULL: there is no such. */
const struct sp_entry *sp_entry_find(const char *name);

/* The peer is there and has something like it. */
bool sp_entry_fits(const struct sp_entry *entry, const struct sp_workload *workload);

#endif
