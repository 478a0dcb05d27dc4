/* SPDX-License-Identifier: BSD-2-Clause */
/* fault-memory.c — a cache that grows while there is no memory for large blocks
 *
 * liburcu's hash table takes its buckets from calloc() and aborts if it cannot have them. The
 * library asks for as much before it lets the table grow, and does without otherwise.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <stasis/stasis.h>

#include "base/alloc.h"
#include "faults.h"
#include "sync/rcu.h"

#define N_IDS 40000u
/* More than 8192 ids need a block of this size for their second half. Nothing else is as large. */
#define SCARCE ((size_t)131072)

static _Atomic size_t block_max = SIZE_MAX;
static _Atomic uint64_t n_refused;

void *__libc_calloc(size_t n, size_t size);

static bool is_too_large(size_t size)
{
	if (size < atomic_load(&block_max))
		return false;
	atomic_fetch_add(&n_refused, 1);
	return true;
}

/* In place of the C library's, for liburcu too. */
void *calloc(size_t n, size_t size)
{
	if (size != 0 && (n > SIZE_MAX / size || is_too_large(n * size)))
		return NULL;
	return __libc_calloc(n, size);
}

static void *scarce_alloc(size_t align, size_t size)
{
	return is_too_large(size) ? NULL : sti_alloc_system.alloc(align, size);
}

static void scarce_free(void *ptr)
{
	sti_alloc_system.free(ptr);
}

static const struct sti_alloc_ops scarce = { .alloc = scarce_alloc, .free = scarce_free };

static const char *id_of(struct stasis_message *message)
{
	return stasis_message_data(message);
}

static struct stasis_message_type *type;
static struct stasis_cache *cache;

static void put(struct stasis_topic *topic, unsigned first, unsigned n)
{
	char id[16];

	for (unsigned i = first; i < first + n; i++) {
		int length = snprintf(id, sizeof(id), "%u", i);

		CHECK(stasis_publish_take(topic, stasis_message_create_inline(
							 type, id, (size_t)length + 1)) == 0);
	}
	/* It grows after a grace period. */
	sti_rcu_barrier();
	sti_rcu_barrier();
}

static void check_ids(unsigned n)
{
	char id[16];

	for (unsigned i = 0; i < n; i++) {
		struct stasis_message *message;

		snprintf(id, sizeof(id), "%u", i);
		message = stasis_cache_get(cache, type, id);
		CHECK(message != NULL);
		CHECK(strcmp(stasis_message_data(message), id) == 0);
		stasis_object_unref(message);
	}
}

static void test_growth(void)
{
	struct stasis_caching_topic *caching;
	struct stasis_topic *topic;
	uint64_t refused;

	sti_alloc_set_ops(&scarce);
	type = stasis_message_type_create("named");
	topic = stasis_topic_create("growing");
	cache = stasis_cache_create(id_of);
	caching = stasis_caching_topic_create(topic, cache);
	CHECK(caching != NULL);
	put(topic, 0, 3000);
	atomic_store(&block_max, SCARCE);
	put(topic, 3000, N_IDS - 3000);
	refused = atomic_load(&n_refused);
	/* It has been tried, and not each time. */
	CHECK(refused > 0);
	CHECK(refused < 20);
	check_ids(N_IDS);
	/* There is memory again: it makes up for it. */
	atomic_store(&block_max, SIZE_MAX);
	put(topic, N_IDS, N_IDS);
	check_ids(2 * N_IDS);
	stasis_caching_unsubscribe_and_join(caching);
	stasis_object_unref(cache);
	stasis_object_unref(topic);
	sti_rcu_barrier();
}

static void test_no_beginning(void)
{
	sti_alloc_set_ops(&scarce);
	atomic_store(&block_max, 512);
	CHECK(stasis_cache_create(id_of) == NULL);
	atomic_store(&block_max, SIZE_MAX);
	cache = stasis_cache_create(id_of);
	CHECK(cache != NULL);
	stasis_object_unref(cache);
}

int main(int argc, char **argv)
{
	static const struct fault_case cases[] = {
		{ "growth", test_growth, NULL },
		{ "no-beginning", test_no_beginning, NULL },
	};

	return faults_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
