/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_ENGINE_H
#define SB_ENGINE_H

/* engine.h — what can be measured: the library and what it is compared with */

#include "harness.h"

/* One topic, an executor with setup.threads workers, as many subscriptions as the topology says. */
extern const struct sb_engine sb_engine_stasis;

/* The library's ring alone, in a read section, carrying the library's messages. One subscriber. */
extern const struct sb_engine sb_engine_ring;

/* Concurrency Kit's ring, carrying the library's messages. One subscriber. */
extern const struct sb_engine sb_engine_ck;

/* A mutex, a condition variable and a vector per subscriber, carrying allocated messages. */
extern const struct sb_engine sb_engine_mutex;

/* A cache of the library's, and one subscription to its updates, or none. */
extern const struct sb_engine sb_engine_cache;

/* A hash table under a read-write lock, updates in the queue of sb_engine_mutex. One subscriber, or
 * none. */
extern const struct sb_engine sb_engine_rwlock;

#endif
