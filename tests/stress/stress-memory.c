/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-memory.c — messages of all forms and sizes, made on some threads and freed on others
 *
 * Each of the run's threads starts short-lived ones again and again. A short-lived thread makes
 * messages, publishes some of them, puts others on a shelf where any thread may take them, takes
 * and checks what it finds there, and ends, leaving its messages behind. Every byte of a message
 * says which message it is, so a block handed out twice shows.
 */

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "stress_bus.h"
#include "sync/rcu.h"

#define SHELF 512u
#define N_SUBS 3u
#define OUTSTANDING_MAX 20000u

static struct {
	struct stasis_executor *executor;
	struct stasis_topic *topic;
	struct stasis_subscription *subs[N_SUBS];
	_Atomic(struct stasis_message *) shelf[SHELF];
	struct stress_balance foreign, objects;
	_Atomic int64_t n_blocks;
	_Atomic int64_t n_slabs;
	_Atomic uint64_t n_received;
	_Atomic uint64_t n_sent;
} memory;

/* --- the allocator under the library, counted --- */

static void *count_alloc(size_t align, size_t size)
{
	void *ptr = sti_alloc_system.alloc(align, size);

	/* Slabs stay in their pools; what is in them is counted at the end. */
	if (ptr != NULL && size == STI_SLAB_SIZE)
		atomic_fetch_add_explicit(&memory.n_slabs, 1, memory_order_relaxed);
	else if (ptr != NULL)
		atomic_fetch_add_explicit(&memory.n_blocks, 1, memory_order_relaxed);
	return ptr;
}

static void count_free(void *ptr)
{
	atomic_fetch_sub_explicit(&memory.n_blocks, 1, memory_order_relaxed);
	sti_alloc_system.free(ptr);
}

static const struct sti_alloc_ops count_ops = { .alloc = count_alloc, .free = count_free };

/* --- messages that can be checked --- */

/* The beginning of the data; the rest is filled with the low byte of mark. */
struct body {
	uint64_t mark;
	uint64_t size;
};

static void fill(struct body *body, uint64_t mark, size_t size)
{
	body->mark = mark;
	body->size = size;
	memset(body + 1, (int)(mark & 0xff), size - sizeof(*body));
}

static void check_body(const struct body *body)
{
	const unsigned char *bytes = (const unsigned char *)body;
	unsigned char expected = (unsigned char)body->mark;

	if (body->size < sizeof(*body) || body->size > 100000) {
		stress_violation("a size of %llu", (unsigned long long)body->size);
		return;
	}
	for (size_t i = sizeof(*body); i < body->size; i++) {
		if (bytes[i] != expected) {
			stress_violation("byte %zu of %llu is wrong", i,
					 (unsigned long long)body->size);
			return;
		}
	}
}

static void release_foreign(void *data)
{
	check_body(data);
	memset(data, 0xdd, sizeof(struct body));
	free(data);
	atomic_fetch_add_explicit(&memory.foreign.freed, 1, memory_order_relaxed);
}

static void destroy_object(void *data)
{
	check_body(data);
	atomic_fetch_add_explicit(&memory.objects.freed, 1, memory_order_relaxed);
}

static size_t random_size(struct stress_thread *self)
{
	switch (stress_below(self, 8)) {
	case 0:
		return sizeof(struct body) + stress_below(self, 20000);
	case 1:
	case 2:
		return sizeof(struct body) + stress_below(self, 2000);
	default:
		return sizeof(struct body) + stress_below(self, 120);
	}
}

static struct stasis_message *make_message(struct stress_thread *self)
{
	uint64_t mark = stress_random(&self->random);
	size_t size = random_size(self);
	struct stasis_message *message;
	struct body *body;

	switch (stress_below(self, 3)) {
	case 0:
		body = stress_alloc(size);
		fill(body, mark, size);
		message = stasis_message_create_foreign(stress_type(), body, release_foreign);
		atomic_fetch_add_explicit(&memory.foreign.made, 1, memory_order_relaxed);
		break;
	case 1:
		body = stasis_object_alloc(size, destroy_object);
		fill(body, mark, size);
		message = stasis_message_create(stress_type(), body);
		stasis_object_unref(body);
		atomic_fetch_add_explicit(&memory.objects.made, 1, memory_order_relaxed);
		break;
	default:
		body = stress_alloc(size);
		fill(body, mark, size);
		message = stasis_message_create_inline(stress_type(), body, size);
		free(body);
		break;
	}
	if (message == NULL)
		stress_die("no memory for a message");
	return message;
}

static void check_and_drop(struct stasis_message *message)
{
	if (message == NULL)
		return;
	check_body(stasis_message_data(message));
	stress_check(stasis_message_type(message) == stress_type(), "a message of another type");
	stasis_object_unref(message);
}

/* --- threads --- */

static void receive(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	if (stasis_message_type(message) != stress_type())
		return;
	check_body(stasis_message_data(message));
	/* Every now and then a message stays for longer than its callback. */
	if (((const struct body *)stasis_message_data(message))->mark % 16 == 0) {
		uint64_t place = ((const struct body *)stasis_message_data(message))->mark / 16;

		check_and_drop(
			atomic_exchange(&memory.shelf[place % SHELF], stasis_object_ref(message)));
	}
	atomic_fetch_add_explicit(&memory.n_received, 1, memory_order_relaxed);
}

static void use_message(struct stress_thread *self, struct stasis_message *message)
{
	uint64_t place = stress_below(self, SHELF);

	switch (stress_below(self, 4)) {
	case 0:
		check_and_drop(message);
		break;
	case 1:
		check_and_drop(atomic_exchange(&memory.shelf[place], message));
		break;
	default:
		stress_check(stasis_publish_take(memory.topic, message) == 0, "not taken");
		atomic_fetch_add_explicit(&memory.n_sent, N_SUBS, memory_order_relaxed);
		break;
	}
}

static void *live_shortly(void *arg)
{
	struct stress_thread *self = arg;
	uint64_t n = stress_below(self, 3) ? stress_below(self, 50) : stress_below(self, 3000);

	for (uint64_t i = 0; i < n && !stress_stopping(self->stress); i++) {
		use_message(self, make_message(self));
		self->n_ops++;
		/* Relaxed: figures. */
		while ((int64_t)(atomic_load_explicit(&memory.n_sent, memory_order_relaxed) -
				 atomic_load_explicit(&memory.n_received, memory_order_relaxed)) >
		       OUTSTANDING_MAX)
			sched_yield();
	}
	return NULL;
}

static void memory_thread(struct stress_thread *self)
{
	while (!stress_stopping(self->stress)) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, live_shortly, self) != 0)
			stress_die("cannot start a thread");
		pthread_join(thread, NULL);
	}
}

static void memory_setup(struct stress *stress)
{
	sti_alloc_set_ops(&count_ops);
	memory.executor = stasis_executor_create(&(struct stasis_executor_options){ .threads = 2 });
	memory.topic = stasis_topic_create("stress");
	for (uint32_t i = 0; i < N_SUBS; i++) {
		memory.subs[i] = stasis_subscribe_with(memory.topic, receive, NULL,
						       &(struct stasis_subscribe_options){
							       .executor = memory.executor });
		if (memory.subs[i] == NULL)
			stress_die("cannot subscribe");
	}
}

/* Blocks that may stay: the type, what this thread keeps, tables made once. Not one per message,
 * nor one per thread that has come and gone. */
#define BLOCKS_LEFT_MAX 8

static void memory_check(struct stress *stress)
{
	for (uint32_t i = 0; i < N_SUBS; i++)
		stasis_unsubscribe_and_join(memory.subs[i]);
	stasis_executor_shutdown(memory.executor);
	for (uint32_t i = 0; i < SHELF; i++)
		check_and_drop(atomic_load(&memory.shelf[i]));
	stasis_object_unref(memory.topic);
	stress_check(atomic_load(&memory.n_sent) == atomic_load(&memory.n_received),
		     "%llu sent, %llu received", (unsigned long long)atomic_load(&memory.n_sent),
		     (unsigned long long)atomic_load(&memory.n_received));
	stress_balance_check(&memory.foreign, "foreign data");
	stress_balance_check(&memory.objects, "objects");
	sti_rcu_barrier();
	sti_heap_deinit(&sti_thread_self()->heap);
	printf("%lld blocks and %lld slabs left\n", (long long)atomic_load(&memory.n_blocks),
	       (long long)atomic_load(&memory.n_slabs));
	stress_check(sti_slab_in_use() == 0, "%zu slabs in use", sti_slab_in_use());
	stress_check(atomic_load(&memory.n_blocks) <= BLOCKS_LEFT_MAX, "%lld blocks left",
		     (long long)atomic_load(&memory.n_blocks));
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Makes messages of all forms and sizes on some threads and frees them on "
		       "others.",
		.ops = "messages made",
		.setup = memory_setup,
		.thread = memory_thread,
		.check = memory_check,
	};

	return stress_main(argc, argv, &program);
}
