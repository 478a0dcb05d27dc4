/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_ZEROMQ_H
#define SP_ZEROMQ_H

/* zeromq.h — contexts and sockets as all of ZeroMQ's rows use them
 *
 * inproc needs no I/O thread, says zmq_ctx_set(3), and a high-water mark of 0 is none, says
 * zmq_setsockopt(3): nothing is dropped.
 *
 * An empty message says that no more will come from that socket.
 */

#include <stddef.h>
#include <zmq.h>

#include "peer.h"

/* NULL with errno. */
void *sp_zeromq_context(void);

/* NULL with errno. A SUB is subscribed to everything before it is connected. */
void *sp_zeromq_socket(void *context, int type);

/* To inproc://PREFIX-NUMBER. 0 or -errno. */
int sp_zeromq_bind(void *socket, const char *prefix, unsigned number);
int sp_zeromq_connect(void *socket, const char *prefix, unsigned number);

/* Makes a socket take notice of who has connected, and subscribed, and gone. */
void sp_zeromq_notice(void *socket);

/* The next message: closes the last one's content. 0 or -errno. */
int sp_zeromq_receive(void *socket, zmq_msg_t *message, int flags);

/* A copy of the bytes. 0 or -errno. */
int sp_zeromq_send(void *socket, const void *bytes, size_t size);

/* Closes the sockets, NULL among them allowed, and the context. */
void sp_zeromq_end(void *context, void **sockets, unsigned n);

const char *sp_zeromq_version(void);

/* zeromq_calls.c */
extern const struct sb_call sp_zeromq_call;

/* zeromq_stock.c: a thread for each, or one poller for all. */
extern const struct sb_churn sp_zeromq_churn;
extern const struct sb_stock sp_zeromq_stock;
extern const struct sb_stock sp_zeromq_stock_poll;

#endif
