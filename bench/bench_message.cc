/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_message.cc — making a message and freeing it, on one thread
 *
 *   BM_message/inline/size:N   payload copied into the message
 *   BM_message/object          a reference to an object that is there
 *   BM_message/foreign         an address
 *   BM_message/malloc/size:N   baseline: malloc(), clock_gettime(), memcpy(), free()
 *
 * size is the payload's, in bytes.
 */

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include <benchmark/benchmark.h>

#include <stasis/stasis.h>

#include "common.h"

namespace
{

struct stasis_message_type *type()
{
	static struct stasis_message_type *one = bench::require(stasis_message_type_create("bench"),
								"message type");

	return one;
}

void inline_form(benchmark::State &state)
{
	std::vector<char> bytes(static_cast<size_t>(state.range(0)));

	for (auto _ : state) {
		stasis_message *const message = stasis_message_create_inline(type(), bytes.data(),
									     bytes.size());

		benchmark::DoNotOptimize(message);
		stasis_object_unref(message);
	}
}

void object_form(benchmark::State &state)
{
	void *object = bench::require(stasis_object_alloc(16, nullptr), "object");

	for (auto _ : state) {
		stasis_message *const message = stasis_message_create(type(), object);

		benchmark::DoNotOptimize(message);
		stasis_object_unref(message);
	}
	stasis_object_unref(object);
}

void foreign_form(benchmark::State &state)
{
	static char memory[16];

	for (auto _ : state) {
		stasis_message *const message = stasis_message_create_foreign(type(), memory,
									      [](void *) {});

		benchmark::DoNotOptimize(message);
		stasis_object_unref(message);
	}
}

/* What a message is made of, without this library. */
struct plain {
	unsigned refs;
	const void *type;
	timespec stamp;
	char payload[];
};

void malloc_form(benchmark::State &state)
{
	std::vector<char> bytes(static_cast<size_t>(state.range(0)));

	for (auto _ : state) {
		auto *const message = static_cast<plain *>(
			std::malloc(sizeof(plain) + bytes.size()));

		message->refs = 1;
		message->type = &bytes;
		clock_gettime(CLOCK_REALTIME, &message->stamp);
		std::memcpy(message->payload, bytes.data(), bytes.size());
		benchmark::DoNotOptimize(message);
		std::free(message);
	}
}

/* The payloads of all forms that copy one. */
void sizes(benchmark::internal::Benchmark *benchmark)
{
	benchmark->ArgName("size")->RangeMultiplier(4)->Range(16, 4096);
}

BENCHMARK(inline_form)->Name("BM_message/inline")->Apply(sizes);
BENCHMARK(object_form)->Name("BM_message/object");
BENCHMARK(foreign_form)->Name("BM_message/foreign");
BENCHMARK(malloc_form)->Name("BM_message/malloc")->Apply(sizes);

} // namespace

BENCHMARK_MAIN();
