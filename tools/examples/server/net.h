/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_SERVER_NET_H
#define EXAMPLES_SERVER_NET_H

/* server/net.h — what the servers ask of the system, whichever their loop */

/* Ignores SIGPIPE, and allows as many descriptors as the system does. */
void net_prepare(void);

/* A listening, non-blocking socket on the loopback address; port 0: any. Prints "listening on
 * 127.0.0.1:PORT" for whoever has started the server. Returns it, or -errno. */
int net_listen(unsigned port);

/* From now on the system ends the connection when the peer reads nothing for some seconds. For one
 * that is only kept to get rid of what is left. */
void net_limit_linger(int fd);

#endif
