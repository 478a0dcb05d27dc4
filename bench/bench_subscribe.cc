/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_subscribe.cc — coming and going
 *
 *   BM_subscribe/s:N         subscribe, unsubscribe and join on a topic with N other subscriptions
 *   BM_subscribe/changes/s:N baseline: two messages published to N subscriptions and delivered, as
 *                            the two changes are
 *   BM_subscribe/mutex/s:N   baseline: an address into a vector and out again, each under a mutex;
 *                            it tells nobody and waits for nothing
 *
 * With s:N each round also delivers 2 N changes to the others, which is the most part of its time.
 */

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include <benchmark/benchmark.h>

#include <stasis/stasis.h>

#include "common.h"

namespace
{

void ignore(void *, stasis_subscription *, stasis_topic *, stasis_message *)
{
}

/* The last of many; they are delivered to in turn. */
void count(void *data, stasis_subscription *, stasis_topic *, stasis_message *)
{
	static_cast<std::atomic<int64_t> *>(data)->fetch_add(1, std::memory_order_release);
}

void subscribe(benchmark::State &state)
{
	stasis_executor_options executor_options = {};
	stasis_subscribe_options options = {};
	std::vector<stasis_subscription *> others;

	executor_options.threads = 1;
	options.executor = bench::require(stasis_executor_create(&executor_options), "executor");
	stasis_topic *topic = bench::require(stasis_topic_create("bench"), "topic");

	for (int64_t i = 0; i < state.range(0); i++)
		others.push_back(bench::require(
			stasis_subscribe_with(topic, ignore, nullptr, &options), "subscribe"));
	for (auto _ : state)
		stasis_unsubscribe_and_join(bench::require(
			stasis_subscribe_with(topic, ignore, nullptr, &options), "subscribe"));
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));

	for (stasis_subscription *other : others)
		stasis_unsubscribe(other);
	stasis_executor_shutdown(options.executor);
	stasis_object_unref(topic);
}

void changes(benchmark::State &state)
{
	stasis_executor_options executor_options = {};
	stasis_subscribe_options options = {};
	std::vector<stasis_subscription *> others;
	std::atomic<int64_t> n{ 0 };
	int64_t expected = 0;

	executor_options.threads = 1;
	options.executor = bench::require(stasis_executor_create(&executor_options), "executor");
	stasis_topic *topic = bench::require(stasis_topic_create("bench"), "topic");
	struct stasis_message_type *type =
		bench::require(stasis_message_type_create("bench"), "message type");

	for (int64_t i = 0; i < state.range(0); i++)
		others.push_back(bench::require(
			stasis_subscribe_with(topic, i + 1 < state.range(0) ? ignore : count, &n,
					      &options),
			"subscribe"));
	stasis_executor_drain(options.executor);
	expected = n;
	for (auto _ : state) {
		for (int i = 0; i < 2; i++)
			stasis_publish_take(topic,
					    bench::require(stasis_message_create_inline(
								   type, "0123456789abcdef", 16),
							   "message"));
		/* As a joiner does: it spins, and sleeps only if it takes long. */
		expected += 2;
		while (n.load(std::memory_order_acquire) < expected)
			sti_cpu_relax();
	}
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));

	for (stasis_subscription *other : others)
		stasis_unsubscribe(other);
	stasis_executor_shutdown(options.executor);
	stasis_object_unref(topic);
	stasis_object_unref(type);
}

void vector_and_mutex(benchmark::State &state)
{
	std::mutex lock;
	std::vector<void *> subscribers(static_cast<size_t>(state.range(0)), &lock);

	for (auto _ : state) {
		{
			std::lock_guard<std::mutex> guard(lock);
			subscribers.push_back(&state);
		}
		benchmark::ClobberMemory();
		{
			std::lock_guard<std::mutex> guard(lock);
			subscribers.erase(std::find(subscribers.begin(), subscribers.end(),
						    static_cast<void *>(&state)));
		}
		benchmark::ClobberMemory();
	}
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

/* Real time: the worker's part counts. */
BENCHMARK(subscribe)->Name("BM_subscribe")->ArgName("s")->Arg(0)->Arg(10)->Arg(1000)->UseRealTime();
BENCHMARK(changes)
	->Name("BM_subscribe/changes")
	->ArgName("s")
	->Arg(10)
	->Arg(1000)
	->UseRealTime();
BENCHMARK(vector_and_mutex)
	->Name("BM_subscribe/mutex")
	->ArgName("s")
	->Arg(0)
	->Arg(10)
	->Arg(1000)
	->UseRealTime();

} // namespace

BENCHMARK_MAIN();
