/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_CXX_H
#define SP_CXX_H

/* cxx.h — a peer that is a C++ library, as C sees it
 *
 * The harness uses C11's atomics, so its headers are not for C++. A peer's C++ file offers these
 * functions and knows neither payload nor stamp; everything else about it is in cxx_peer.c.
 *
 * Bus          The library started: its threads, and what is on it.
 * Topic        What is published to.
 * Subscription Calls deliver for each message of its topics, one at a time. Only the thread
 *              that makes subscriptions come and go publishes meanwhile.
 *
 * No function lets an exception out: it returns -errno.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sp_cxx_options {
	unsigned threads; /* that consume */
	/* On a consuming thread. Must not throw. */
	void (*deliver)(void *subscriber, void *message);
	/* Moves the calling thread to the CPUs of the one that called open. By consuming threads
	 * at their start, if somebody else may have started them. */
	void (*place)(void *place_data);
	void *place_data;
};

struct sp_cxx_library {
	const char *(*version)(void);
	/* Its threads take over the caller's affinity. options is used until close. */
	int (*open)(const struct sp_cxx_options *options, void **busp);
	/* Nothing is published any more. Delivers what was, and frees topics and subscriptions too.
	 * Threads end or sleep, as the library has it. */
	void (*close)(void *bus);
	int (*topic_new)(void *bus, void **topicp);
	int (*subscribe)(void *topic, void *subscriber, void **subscriptionp);
	/* One more topic for a subscription. */
	int (*attach)(void *topic, void *subscription);
	/* From its only topic. No callback runs or will run when this returns; what it has been
	 * sent is delivered before, or never. */
	int (*unsubscribe)(void *topic, void *subscription);
	/* Any thread. On failure, *lostp subscriptions do not have the message; 0: nobody knows. */
	int (*publish)(void *topic, void *message, unsigned *lostp);
	/* One server, one client; the reply is request + 1. Freed with the bus. */
	int (*server_new)(void *bus, void **serverp);
	int (*call)(void *server, uint64_t request, uint64_t *reply);
};

/* peer_tbb.cc */
extern const struct sp_cxx_library sp_cxx_tbb;
extern const struct sp_cxx_library sp_cxx_tbb_lightweight;

/* peer_caf.cc */
extern const struct sp_cxx_library sp_cxx_caf;
extern const struct sp_cxx_library sp_cxx_caf_sharing;

#ifdef __cplusplus
}
#endif

#endif
