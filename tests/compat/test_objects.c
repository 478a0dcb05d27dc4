/* SPDX-License-Identifier: BSD-2-Clause */
/* test_objects.c — counts of references, of objects and of every kind of handle */

#include "asterisk.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>

#include "asterisk/astobj2.h"
#include "asterisk/stasis.h"
#include "asterisk/stasis_message_router.h"

#include "check.h"
#include "tally.h"

#define N_THREADS 4
#define N_ROUNDS 10000

static int destroyed; /* by one thread after another */
static void *destroyed_last;

static void count(void *obj)
{
	destroyed++;
	destroyed_last = obj;
}

static void test_alloc(void)
{
	unsigned char *bytes = ao2_alloc(100, NULL);
	void *empty = ao2_alloc(0, count);

	CHECK(bytes != NULL && empty != NULL);
	for (int i = 0; i < 100; i++)
		CHECK(bytes[i] == 0);
	ao2_cleanup(bytes);
	CHECK(destroyed == 0);
	ao2_cleanup(empty);
	CHECK(destroyed == 1 && destroyed_last == empty);
	errno = 0;
	CHECK(ao2_alloc(SIZE_MAX, count) == NULL && errno == ENOMEM);
	ao2_cleanup(NULL);
	CHECK(destroyed == 1);
	destroyed = 0;
}

static void test_ref_returns_the_count_before(void)
{
	void *obj = ao2_alloc(1, count);

	CHECK(ao2_ref(obj, 0) == 1);
	CHECK(ao2_ref(obj, +1) == 1);
	CHECK(ao2_ref(obj, +1) == 2);
	CHECK(ao2_ref(obj, 5) == 3);
	CHECK(ao2_ref(obj, 0) == 8);
	CHECK(ao2_ref(obj, -1) == 8);
	CHECK(ao2_ref(obj, -4) == 7);
	CHECK(ao2_bump(obj) == obj);
	CHECK(stasis_object_refs(obj) == 4);
	ao2_cleanup(obj);
	CHECK(ao2_ref(obj, -2) == 3);
	CHECK(destroyed == 0);
	CHECK(ao2_ref(obj, -1) == 1);
	CHECK(destroyed == 1 && destroyed_last == obj);
	destroyed = 0;
}

static void test_last_references_at_once(void)
{
	void *obj = ao2_alloc(1, count);

	CHECK(ao2_ref(obj, 6) == 1);
	CHECK(ao2_ref(obj, -7) == 7);
	CHECK(destroyed == 1);
	destroyed = 0;
}

static void test_large_counts(void)
{
	void *obj = ao2_alloc(1, count);

	CHECK(ao2_ref(obj, INT_MAX) == 1);
	CHECK(ao2_ref(obj, 0) == INT_MAX);
	CHECK(stasis_object_refs(obj) == (unsigned)INT_MAX + 1);
	CHECK(ao2_ref(obj, INT_MIN) == INT_MAX);
	CHECK(destroyed == 1);
	destroyed = 0;
}

static void test_null(void)
{
	CHECK(ao2_ref(NULL, 1) == -EINVAL);
	CHECK(ao2_ref(NULL, -1) == -EINVAL);
	errno = 0;
	CHECK(ao2_bump(NULL) == NULL);
	CHECK(errno == 0);
}

static void *take_and_drop(void *obj)
{
	for (int i = 0; i < N_ROUNDS; i++) {
		CHECK(ao2_ref(obj, 2) >= 2);
		CHECK(ao2_ref(obj, -1) >= 4);
		ao2_cleanup(obj);
	}
	/* The thread's own, which may be the last. */
	CHECK(ao2_ref(obj, -2) >= 2);
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[N_THREADS];
	void *obj = ao2_alloc(1, count);

	CHECK(ao2_ref(obj, 2 * N_THREADS) == 1);
	for (int i = 0; i < N_THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, take_and_drop, obj) == 0);
	CHECK(ao2_ref(obj, -1) >= 1);
	for (int i = 0; i < N_THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(destroyed == 1);
	destroyed = 0;
}

static void end_is_final(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			 struct stasis_message *message)
{
	(void)data;
	CHECK(ao2_ref(topic, +1) >= 1);
	CHECK(ao2_ref(topic, -1) >= 2);
	CHECK(ao2_bump(message) == message);
	ao2_cleanup(message);
	if (stasis_subscription_final_message(sub, message))
		tally_add(BAR_FINAL);
}

/* A reference more and one less: the count before each. */
static void bump(void *handle)
{
	int before = ao2_ref(handle, +1);

	CHECK(before >= 1);
	CHECK(ao2_ref(handle, -1) >= 2);
}

static void test_handles(void)
{
	struct stasis_message_type *type = stasis_message_type_create("type");
	struct stasis_topic *topic = stasis_topic_create("topic");
	struct stasis_topic *all = stasis_topic_create("all");
	struct stasis_executor *executor = stasis_executor_default();
	void *data = ao2_alloc(1, count);
	struct stasis_message *message = stasis_message_create(type, data);
	struct stasis_message *bytes = stasis_message_create_inline(type, "", 1);
	struct stasis_subscription *sub = stasis_subscribe(topic, end_is_final, NULL);
	struct stasis_message_router *router = stasis_message_router_create(topic);
	struct stasis_forward *forward = stasis_forward_all(topic, all);

	CHECK(all != NULL && executor != NULL && bytes != NULL);
	CHECK(sub != NULL && router != NULL && forward != NULL);
	CHECK(ao2_ref(data, -1) == 2);
	bump(type);
	bump(topic);
	bump(executor);
	bump(message);
	bump(bytes);
	bump(sub);
	bump(router);
	bump(forward);
	CHECK(ao2_ref(all, +2) >= 1);
	CHECK(ao2_ref(all, -3) >= 3);
	CHECK(ao2_ref(bytes, -1) == 1);
	CHECK(stasis_publish(topic, message) == 0);
	ao2_cleanup(type);
	ao2_cleanup(topic);
	CHECK(stasis_forward_cancel(forward) == NULL);
	CHECK(stasis_message_router_unsubscribe_and_join(router) == NULL);
	CHECK(stasis_unsubscribe_and_join(sub) == NULL);
	CHECK(tally_get(BAR_FINAL) == 1);
	CHECK(stasis_executor_drain(executor) == 0);
	CHECK(destroyed == 0);
	CHECK(ao2_ref(message, -1) == 1);
	CHECK(destroyed == 1 && destroyed_last == data);
	CHECK(ao2_ref(stasis_subscription_change_type(), 0) == 1);
	stasis_executor_shutdown(executor);
	destroyed = 0;
}

int main(void)
{
	test_alloc();
	test_ref_returns_the_count_before();
	test_last_references_at_once();
	test_large_counts();
	test_null();
	test_threads();
	test_handles();
	return 0;
}
