/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_router.cc — what finding a route costs
 *
 *   BM_router/routes:N         a router with N routes, given messages of their types at random
 *   BM_router/default/routes:N the same routes, messages of a type without: they go to the default
 *   BM_router/plain/types:N    baseline: the messages of the first, and one callback for all
 *
 * Each queues a batch, then measures how long this thread takes to deliver it (STASIS_WAIT_MANUAL):
 * the difference between the rows is the dispatch, and the lines of the table that it brings in.
 */

#include <chrono>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include <stasis/stasis.h>

#include "common.h"

namespace
{

constexpr size_t batch = 1024;

void count(void *data, stasis_subscription *, stasis_topic *, stasis_message *)
{
	++*static_cast<uint64_t *>(data);
}

/* A topic, an executor that this thread runs, and a message of each type. */
class Setting
{
      public:
	stasis_subscribe_options options = {};
	stasis_topic *topic;
	std::vector<struct stasis_message_type *> types;
	uint64_t n_calls = 0;

	explicit Setting(size_t n_types)
	{
		stasis_executor_options executor_options = {};

		executor_options.wait = STASIS_WAIT_MANUAL;
		options.executor = bench::require(stasis_executor_create(&executor_options),
						  "executor");
		topic = bench::require(stasis_topic_create("bench"), "topic");
		for (size_t i = 0; i < n_types; i++)
			add_type();
	}

	~Setting()
	{
		for (stasis_message *message : messages)
			stasis_object_unref(message);
		for (struct stasis_message_type *type : types)
			stasis_object_unref(type);
		stasis_executor_shutdown(options.executor);
		stasis_object_unref(topic);
	}

	/* A type more, and its message. */
	void add_type()
	{
		static const uint64_t payload = 0;

		types.push_back(bench::require(stasis_message_type_create("bench"), "type"));
		messages.push_back(bench::require(
			stasis_message_create_inline(types.back(), &payload, sizeof(payload)),
			"message"));
	}

	/* A router with a route for each type. */
	stasis_message_router *route_all()
	{
		stasis_message_router *router = bench::require(
			stasis_message_router_create_with(topic, &options), "router");

		for (struct stasis_message_type *type : types) {
			if (stasis_message_router_add(router, type, count, &n_calls) != 0)
				std::abort();
		}
		return router;
	}

	/* Queues messages from number first on, any of them as likely, and delivers them. */
	void measure(benchmark::State &state, size_t first)
	{
		std::uniform_int_distribution<size_t> any(first, messages.size() - 1);
		std::minstd_rand random;

		stasis_executor_drain(options.executor);
		n_calls = 0;
		for (auto _ : state) {
			for (size_t i = 0; i < batch; i++)
				stasis_publish(topic, messages[any(random)]);

			auto begin = std::chrono::steady_clock::now();

			stasis_executor_run(options.executor, batch);

			std::chrono::duration<double> time = std::chrono::steady_clock::now() -
							     begin;

			state.SetIterationTime(time.count());
		}
		if (n_calls != static_cast<uint64_t>(state.iterations()) * batch)
			state.SkipWithError("not all messages were delivered");
		state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * batch);
	}

      private:
	std::vector<stasis_message *> messages;
};

void routes(benchmark::State &state)
{
	Setting setting(static_cast<size_t>(state.range(0)));
	stasis_message_router *router = setting.route_all();

	setting.measure(state, 0);
	stasis_message_router_unsubscribe(router);
}

void fallback(benchmark::State &state)
{
	Setting setting(static_cast<size_t>(state.range(0)));
	stasis_message_router *router = setting.route_all();

	if (stasis_message_router_set_default(router, count, &setting.n_calls) != 0)
		std::abort();
	setting.add_type();
	setting.measure(state, static_cast<size_t>(state.range(0)));
	stasis_message_router_unsubscribe(router);
}

void plain(benchmark::State &state)
{
	Setting setting(static_cast<size_t>(state.range(0)));
	stasis_subscription *sub = bench::require(
		stasis_subscribe_with(setting.topic, count, &setting.n_calls, &setting.options),
		"subscribe");

	setting.measure(state, 0);
	stasis_unsubscribe(sub);
}

void sizes(benchmark::internal::Benchmark *benchmark)
{
	benchmark->Arg(1)->Arg(10)->Arg(1000)->UseManualTime();
}

BENCHMARK(routes)->Name("BM_router")->ArgName("routes")->Apply(sizes);
BENCHMARK(fallback)->Name("BM_router/default")->ArgName("routes")->Apply(sizes);
BENCHMARK(plain)->Name("BM_router/plain")->ArgName("types")->Apply(sizes);

} // namespace

BENCHMARK_MAIN();
