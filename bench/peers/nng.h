/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_NNG_H
#define SP_NNG_H

/* nng.h — nng's sockets and receivers as all of its rows use them
 *
 * pub0 and sub0 drop what finds their buffers full. The largest that nng_setopt(3) takes hold 8,192
 * messages each, so no more may be outstanding.
 *
 * A receiver takes the messages of one socket: on a thread of its own, in nng_recvmsg(), or by an
 * asynchronous operation that begins anew in its callback, on one of nng's threads.
 */

#include <stdbool.h>

#include <nng/nng.h>

#include "peer.h"
#include "threads.h"

#define SP_NNG_BUFFER 8192

/* -errno for an error of nng's; 0 for 0. */
int sp_nng_error(int error);

/* Publishers and subscribers: n_topics of the ones, each with per_topic of the others, subscribed
 * to everything and connected: returns when all connections stand. */
struct sp_nng {
	nng_socket *pubs;
	nng_socket *subs;
	unsigned n_pubs, n_subs; /* open */
	_Atomic unsigned connected;
	struct sp_nng_receiver *receivers;
	unsigned n_receivers;
	struct sp_threads threads;
};

struct sp_nng_receiver {
	nng_socket socket;
	nng_aio *aio; /* NULL: a thread */
	void (*take)(void *data, nng_msg *message);
	void *data;
};

/* 0 or -errno. */
int sp_nng_open(struct sp_nng *net, unsigned n_topics, unsigned per_topic);

/* Gives all of them the largest buffers. 0 or -errno. */
int sp_nng_enlarge(struct sp_nng *net);

/* A receiver for every subscriber, number i with data + i * size. Once. 0 or -errno. */
int sp_nng_receive(struct sp_nng *net, bool aio, void (*take)(void *data, nng_msg *message),
		   void *data, size_t size);

/* Ends the receivers too. What has not been taken is lost. */
void sp_nng_close(struct sp_nng *net);

/* One more subscriber of topic 0. 0 or -errno. */
int sp_nng_subscribe(nng_socket *sub, unsigned topic);

/* Sends a copy of the bytes. 0 or -errno. */
int sp_nng_send(nng_socket socket, const void *bytes, size_t size);

const char *sp_nng_version(void);

#endif
