/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_FAULTY_H
#define STASIS_TESTS_FAULTY_H

/* faulty.h — an allocator under the library that counts, and fails on demand */

#include <stdbool.h>
#include <stdint.h>

/* Puts the table in place, for good. What was allocated before is freed correctly, but not counted
 * when it is: install before the library is used for the first time. */
void faulty_install(void);

/* Lets n allocations pass and fails the one after; with forever, all after it too. */
void faulty_arm(uint64_t n, bool forever);

/* Fails nothing more. Returns whether anything has failed since faulty_arm(). */
bool faulty_disarm(void);

/* Blocks allocated and not freed. */
int64_t faulty_outstanding(void); /* slabs are left out: see sti_slab_in_use() */

/* Allocations tried since the beginning. */
uint64_t faulty_tried(void);

#endif
