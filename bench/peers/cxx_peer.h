/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_CXX_PEER_H
#define SP_CXX_PEER_H

/* cxx_peer.h — the functions of a struct sb_peer, for any library of cxx.h
 *
 * A peer's C file passes its library to those that open something, and takes the rest as it is.
 */

#include <stddef.h>

#include "cxx.h"
#include "peer.h"

int sp_cxx_run_open(struct sb_run *run, const struct sp_cxx_library *library);
size_t sp_cxx_run_publish(struct sb_publisher *publisher, size_t n);
void sp_cxx_run_close(struct sb_run *run);

int sp_cxx_paced_open(struct sb_paced *paced, const struct sp_cxx_library *library);
int sp_cxx_paced_send(struct sb_paced *paced, uint64_t sequence);
void sp_cxx_paced_close(struct sb_paced *paced);

int sp_cxx_call_open(void **statep, const struct sp_cxx_library *library);
int sp_cxx_call(void *state, uint64_t request, uint64_t *reply);

int sp_cxx_churn_open(unsigned others, void **statep, const struct sp_cxx_library *library);
int sp_cxx_churn_cycle(void *state, struct sb_guest *guest);

int sp_cxx_stock_open(unsigned n, void **statep, const struct sp_cxx_library *library);

/* For call, churn and stock. */
void sp_cxx_close(void *state);

#endif
