/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_FILTER_H
#define STI_BUS_FILTER_H

/* bus/filter.h — the types that a subscription accepts
 *
 * An immutable set. A subscription's is replaced under its topic's lock, together with the topic's
 * array, which says for each selective subscription what publishers need first: a mask with a bit
 * for each accepted type's number, modulo 64. So a publish rules out most of those that would
 * decline without looking at them; only a bit that is set leads to the set itself.
 *
 * Freed by sti_rcu_call() after it is replaced, and with the subscription: publishers may be
 * looking at it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/message.h"
#include "sync/rcu.h"

struct sti_filter {
	/* const after init */
	uint64_t mask;
	bool selective; /* false: accepts everything; the types are for later */
	size_t n;
	struct sti_rcu_head rcu;
	const struct stasis_message_type *types[]; /* sorted by address */
};

static inline uint64_t sti_filter_bit(const struct stasis_message_type *type)
{
	return UINT64_C(1) << (type->id % 64);
}

/* A copy of from (NULL: of no types) that is selective or not, with a type added or taken out
 * (NULL: none). NULL when there is no memory. */
struct sti_filter *sti_filter_new(const struct sti_filter *from, bool selective,
				  const struct stasis_message_type *add,
				  const struct stasis_message_type *but);

/* A selective one of these types, of which some may be there twice. NULL when there is no memory.
 */
struct sti_filter *sti_filter_of(struct stasis_message_type *const *types, size_t n);

/* At once, or after a grace period. NULL is allowed. */
void sti_filter_free(struct sti_filter *filter);
void sti_filter_retire(struct sti_filter *filter);

/* Is it among the types? */
bool sti_filter_has(const struct sti_filter *filter, const struct stasis_message_type *type);

/* NULL accepts everything. */
static inline bool sti_filter_accepts(const struct sti_filter *filter,
				      const struct stasis_message_type *type)
{
	return filter == NULL || !filter->selective || sti_filter_has(filter, type);
}

#endif
