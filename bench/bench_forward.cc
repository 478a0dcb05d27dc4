/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_forward.cc — whom a publish reaches, and what it costs to find out
 *
 *   BM_publish_path/direct        one message to one subscription
 *   BM_publish_path/depth:N       the same through a chain of N forwards
 *   BM_publish_path/select:N      the same beside N - 1 selective subscriptions that decline
 *   BM_wants/select:N             stasis_topic_wants() of a type that none of N accepts
 *   BM_publish_sync/idle          stasis_publish_sync() to an idle subscription of a pool
 *   BM_publish_sync/direct        baseline: message made, callback called, message freed
 *   BM_subscribe_path/plain       subscribe, unsubscribe and join
 *   BM_subscribe_path/upstream:N  the same on a topic that N others forward to
 *
 * The subscriptions published to are run on the measuring thread, by a STASIS_WAIT_MANUAL executor,
 * 64 messages at a time, so that paths are compared and not wake-ups.
 */

#include <vector>

#include <benchmark/benchmark.h>

#include <stasis/stasis.h>

#include "common.h"

namespace
{

constexpr int batch = 64;

struct Count {
	struct stasis_message_type *type;
	uint64_t n;
};

void count(void *data, stasis_subscription *, stasis_topic *, stasis_message *message)
{
	Count *counter = static_cast<Count *>(data);

	counter->n += stasis_message_type(message) == counter->type;
}

void ignore(void *, stasis_subscription *, stasis_topic *, stasis_message *)
{
}

struct stasis_message *make(struct stasis_message_type *type)
{
	return bench::require(stasis_message_create_inline(type, "0123456789abcde", 16), "message");
}

struct stasis_message_type *make_type()
{
	return bench::require(stasis_message_type_create("bench"), "message type");
}

struct stasis_topic *make_topic()
{
	return bench::require(stasis_topic_create("bench"), "topic");
}

/* Messages to a subscription that runs on this thread. */
struct Manual {
	stasis_executor_options executor_options = {};
	stasis_subscribe_options options = {};
	stasis_topic *topic = make_topic();
	struct stasis_message_type *type = make_type();
	Count counter = { type, 0 };
	stasis_subscription *sub;

	Manual()
	{
		executor_options.wait = STASIS_WAIT_MANUAL;
		options.executor =
			bench::require(stasis_executor_create(&executor_options), "executor");
		sub = bench::require(stasis_subscribe_with(topic, count, &counter, &options),
				     "subscribe");
		stasis_executor_run(options.executor, SIZE_MAX);
	}
	~Manual()
	{
		stasis_unsubscribe_and_join(sub);
		stasis_executor_shutdown(options.executor);
		stasis_object_unref(topic);
		stasis_object_unref(type);
	}
	void measure(benchmark::State &state, stasis_topic *where)
	{
		uint64_t begin = counter.n;

		for (auto _ : state) {
			for (int i = 0; i < batch; i++)
				stasis_publish_take(where, make(type));
			stasis_executor_run(options.executor, SIZE_MAX);
		}
		state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * batch);
		if (counter.n - begin != static_cast<uint64_t>(state.iterations()) * batch)
			state.SkipWithError("messages were lost");
	}
};

void direct(benchmark::State &state)
{
	Manual manual;

	manual.measure(state, manual.topic);
}

void depth(benchmark::State &state)
{
	Manual manual;
	std::vector<stasis_topic *> chain{ manual.topic };

	for (int64_t i = 0; i < state.range(0); i++) {
		stasis_topic *topic = make_topic();

		stasis_object_unref(
			bench::require(stasis_forward_all(topic, chain.back()), "forward"));
		chain.push_back(topic);
	}
	manual.measure(state, chain.back());
	for (size_t i = 1; i < chain.size(); i++)
		stasis_object_unref(chain[i]);
}

void select(benchmark::State &state)
{
	Manual manual;
	struct stasis_message_type *other = make_type();
	struct stasis_message_type *types[] = { other };
	std::vector<stasis_subscription *> subs;
	stasis_subscribe_options options = manual.options;

	options.types = types;
	options.n_types = 1;
	for (int64_t i = 1; i < state.range(0); i++)
		subs.push_back(bench::require(
			stasis_subscribe_with(manual.topic, ignore, nullptr, &options),
			"subscribe"));
	stasis_executor_run(options.executor, SIZE_MAX);
	manual.measure(state, manual.topic);
	for (stasis_subscription *sub : subs)
		stasis_unsubscribe(sub);
	stasis_object_unref(other);
}

void wants(benchmark::State &state)
{
	stasis_executor_options executor_options = {};
	stasis_subscribe_options options = {};
	stasis_topic *topic = make_topic();
	struct stasis_message_type *wanted = make_type(), *other = make_type();
	std::vector<stasis_subscription *> subs;
	int found = 0;

	executor_options.wait = STASIS_WAIT_MANUAL;
	options.executor = bench::require(stasis_executor_create(&executor_options), "executor");
	options.types = &wanted;
	options.n_types = 1;
	for (int64_t i = 0; i < state.range(0); i++)
		subs.push_back(bench::require(
			stasis_subscribe_with(topic, ignore, nullptr, &options), "subscribe"));
	for (auto _ : state)
		found += stasis_topic_wants(topic, other);
	if (found != 0)
		state.SkipWithError("nobody wants it");
	for (stasis_subscription *sub : subs)
		stasis_unsubscribe(sub);
	stasis_executor_shutdown(options.executor);
	stasis_object_unref(topic);
	stasis_object_unref(wanted);
	stasis_object_unref(other);
}

void sync_idle(benchmark::State &state)
{
	stasis_executor_options executor_options = {};
	stasis_subscribe_options options = {};
	stasis_topic *topic = make_topic();
	Count counter = { make_type(), 0 };

	executor_options.threads = 1;
	options.executor = bench::require(stasis_executor_create(&executor_options), "executor");
	stasis_subscription *sub = bench::require(
		stasis_subscribe_with(topic, count, &counter, &options), "subscribe");
	stasis_executor_drain(options.executor);
	for (auto _ : state) {
		stasis_message *message = make(counter.type);

		stasis_publish_sync(sub, message);
		stasis_object_unref(message);
	}
	if (counter.n != static_cast<uint64_t>(state.iterations()))
		state.SkipWithError("messages were lost");
	stasis_unsubscribe_and_join(sub);
	stasis_executor_shutdown(options.executor);
	stasis_object_unref(topic);
	stasis_object_unref(counter.type);
}

void sync_direct(benchmark::State &state)
{
	Count counter = { make_type(), 0 };

	for (auto _ : state) {
		stasis_message *message = make(counter.type);

		count(&counter, nullptr, nullptr, message);
		benchmark::DoNotOptimize(counter.n);
		stasis_object_unref(message);
	}
	stasis_object_unref(counter.type);
}

void subscribe_to(benchmark::State &state, int64_t upstream)
{
	stasis_executor_options executor_options = {};
	stasis_subscribe_options options = {};
	stasis_topic *topic = make_topic();
	std::vector<stasis_topic *> sources;

	executor_options.threads = 1;
	options.executor = bench::require(stasis_executor_create(&executor_options), "executor");
	for (int64_t i = 0; i < upstream; i++) {
		sources.push_back(make_topic());
		stasis_object_unref(
			bench::require(stasis_forward_all(sources.back(), topic), "forward"));
	}
	for (auto _ : state)
		stasis_unsubscribe_and_join(bench::require(
			stasis_subscribe_with(topic, ignore, nullptr, &options), "subscribe"));
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
	for (stasis_topic *source : sources)
		stasis_object_unref(source);
	stasis_executor_shutdown(options.executor);
	stasis_object_unref(topic);
}

void subscribe_plain(benchmark::State &state)
{
	subscribe_to(state, 0);
}

void subscribe_upstream(benchmark::State &state)
{
	subscribe_to(state, state.range(0));
}

BENCHMARK(direct)->Name("BM_publish_path/direct");
BENCHMARK(depth)->Name("BM_publish_path")->ArgName("depth")->Arg(1)->Arg(2)->Arg(10)->Arg(100);
BENCHMARK(select)->Name("BM_publish_path")->ArgName("select")->Arg(1)->Arg(100)->Arg(1000);
BENCHMARK(wants)->Name("BM_wants")->ArgName("select")->Arg(1000);
BENCHMARK(sync_idle)->Name("BM_publish_sync/idle");
BENCHMARK(sync_direct)->Name("BM_publish_sync/direct");
/* Real time: the worker's part counts. */
BENCHMARK(subscribe_plain)->Name("BM_subscribe_path/plain")->UseRealTime();
BENCHMARK(subscribe_upstream)
	->Name("BM_subscribe_path")
	->ArgName("upstream")
	->Arg(1000)
	->Arg(100000)
	->UseRealTime();

} // namespace

BENCHMARK_MAIN();
