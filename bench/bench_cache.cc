/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_cache.cc — snapshots put into a cache, and got out of it
 *
 *   BM_cache_update/ids:N/s:S      a fresh snapshot published, of one of N ids at random, with S
 *                                  subscriptions to the updates; items are snapshots
 *   BM_cache_update/rwlock/ids:N   baseline: without subscriptions, into a hash table under a
 *                                  read-write lock
 *   BM_cache_update_same_id        several threads publish snapshots of one id, no subscription;
 *                                  /rwlock: the baseline
 *   BM_cache_get/ids:N             one of N ids at random, got and let go by each thread;
 *                                  /updating: beside one thread more that updates all the while;
 *                                  /rwlock, /rwlock/updating: the baseline
 *   BM_cache_dump/ids:N            all, got and let go; /rwlock: the baseline
 *   BM_cache_memory/ids:N          bytes_per_entry, its snapshot of 16 bytes included. In a process
 *                                  of its own, where no memory is left over to be recycled
 *   BM_subscribe_with_state/entries:N   until N entries are delivered, by this thread; /dump:
 *                                  baseline, a plain subscription and a dump
 *
 * Whatever was published must have been delivered to every subscription at the end.
 */

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include <stasis/stasis.h>

#include "caches.h"
#include "common.h"
extern "C" {
#include "heap.h"
#include "sync/rcu.h"
}

namespace
{

using bench::Cache;
using bench::Locked;
using bench::Table;

constexpr size_t batch = bench::cache_batch;
constexpr const char *memory_variable = "STASIS_BENCH_CACHE_MEMORY_IDS";

/* One thread's. */
class Random
{
      public:
	explicit Random(size_t n) : any(0, n - 1), engine(++seed)
	{
	}
	size_t next()
	{
		return any(engine);
	}

      private:
	static inline std::atomic<unsigned> seed{ 0 };
	std::uniform_int_distribution<size_t> any;
	std::minstd_rand engine;
};

/* Kept while benchmarks want the same: filling one with a million ids takes a while. */
struct {
	bool locked;
	size_t n_ids, n_subscribers;
	std::unique_ptr<Table> table;
} shared;

void need(bool locked, int64_t n_ids, int64_t n_subscribers)
{
	auto ids_wanted = static_cast<size_t>(n_ids);
	auto subscribers = static_cast<size_t>(n_subscribers);

	if (shared.table != nullptr && shared.locked == locked && shared.n_ids == ids_wanted &&
	    shared.n_subscribers == subscribers)
		return;
	shared.table.reset();
	shared.locked = locked;
	shared.n_ids = ids_wanted;
	shared.n_subscribers = subscribers;
	if (locked)
		shared.table = std::make_unique<Locked>(ids_wanted);
	else
		shared.table = std::make_unique<Cache>(ids_wanted, subscribers);
}

template <bool locked> void need_ids(const benchmark::State &state)
{
	need(locked, state.range(0), 0);
}

void need_subscribers(const benchmark::State &state)
{
	need(false, state.range(0), state.range(1));
}

void update(benchmark::State &state)
{
	Table &table = *shared.table;
	Random random(table.n);

	for (auto _ : state) {
		table.enter();
		for (size_t i = 0; i < batch; i++)
			table.update(random.next());
	}
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * batch));
}

void get(benchmark::State &state)
{
	Table &table = *shared.table;
	Random random(table.n);

	for (auto _ : state)
		table.get(random.next());
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

void get_updating(benchmark::State &state)
{
	Table &table = *shared.table;
	std::atomic<bool> stop{ false };
	int64_t updates = 0;
	std::thread updater([&] {
		Random random(table.n);

		/* Relaxed: nothing is read because of it. */
		while (!stop.load(std::memory_order_relaxed)) {
			table.enter();
			for (size_t i = 0; i < batch; i++)
				table.update(random.next());
			updates += batch;
		}
	});

	get(state);
	stop.store(true, std::memory_order_relaxed);
	updater.join();
	state.counters["updates"] = benchmark::Counter(static_cast<double>(updates),
						       benchmark::Counter::kIsRate);
}

void dump(benchmark::State &state)
{
	for (auto _ : state)
		shared.table->dump();
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * shared.table->n));
}

/* In the other process. */
int memory_main(size_t n)
{
	bench::make_ids(n);
	{
		/* What there is one of. */
		Cache first(1, 0);
		uint64_t before = sb_heap_allocated();
		Cache cache(n, 0);

		/* What waits for a grace period is no entry's. */
		sti_rcu_barrier();
		std::printf("%" PRIu64 "\n", sb_heap_allocated() - before);
	}
	return 0;
}

/* Starts this program again; negative: that did not work. */
int64_t measure_memory(size_t n)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int64_t bytes = -1;

	if (length < 0)
		return -1;
	path[length] = '\0';
	setenv(memory_variable, std::to_string(n).c_str(), 1);
	std::FILE *child = popen((std::string("exec '") + path + "'").c_str(), "re");
	unsetenv(memory_variable);
	if (child == nullptr)
		return -1;
	if (std::fscanf(child, "%" SCNd64, &bytes) != 1)
		bytes = -1;
	return pclose(child) == 0 ? bytes : -1;
}

void memory(benchmark::State &state)
{
	auto n = static_cast<size_t>(state.range(0));
	int64_t bytes = 0;

	for (auto _ : state)
		bytes = measure_memory(n);
	if (bytes < 0)
		state.SkipWithError("the process that was to measure has failed");
	else if (bytes == 0)
		state.SetLabel("not counted by this allocator");
	else
		state.counters["bytes_per_entry"] = static_cast<double>(bytes) /
						    static_cast<double>(n);
}

/* For one subscription, delivered on this thread. */
class Joiner
{
      public:
	uint64_t n_calls = 0;

	Joiner()
	{
		stasis_executor_options executor_options = {};

		executor_options.wait = STASIS_WAIT_MANUAL;
		options.executor = bench::require(stasis_executor_create(&executor_options),
						  "executor");
	}
	~Joiner()
	{
		stasis_executor_shutdown(options.executor);
	}

	void with_state(const Cache &cache)
	{
		end(stasis_caching_subscribe_with_state(cache.caching, count, this, &options));
	}

	void with_dump(Cache &cache)
	{
		stasis_subscription *subscription = stasis_subscribe_with(
			stasis_caching_get_topic(cache.caching), count, this, &options);

		cache.dump();
		end(subscription);
	}

      private:
	stasis_subscribe_options options = {};

	static void count(void *data, stasis_subscription *, stasis_topic *,
			  stasis_message *message)
	{
		if (stasis_message_type(message) == stasis_cache_update_type())
			static_cast<Joiner *>(data)->n_calls++;
	}

	void end(stasis_subscription *subscription)
	{
		stasis_unsubscribe(bench::require(subscription, "subscribe"));
		stasis_executor_drain(options.executor);
	}
};

template <bool by_dump> void join(benchmark::State &state)
{
	auto &cache = static_cast<Cache &>(*shared.table);
	Joiner joiner;

	for (auto _ : state) {
		if (by_dump)
			joiner.with_dump(cache);
		else
			joiner.with_state(cache);
	}
	if (joiner.n_calls != (by_dump ? 0 : state.iterations() * cache.n))
		state.SkipWithError("not every entry was delivered once");
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * cache.n));
}

constexpr int64_t few = 10000, many = 1000000;

/* Neighbours want the same table. */
BENCHMARK(memory)->Name("BM_cache_memory")->ArgName("ids")->Arg(few)->Arg(many)->Iterations(1);
BENCHMARK(update)
	->Name("BM_cache_update")
	->ArgNames({ "ids", "s" })
	->ArgsProduct({ { few, many }, { 0, 1, 10 } })
	->Setup(need_subscribers)
	->UseRealTime();
BENCHMARK(update)
	->Name("BM_cache_update_same_id")
	->ArgName("ids")
	->Arg(1)
	->Setup(need_ids<false>)
	->Threads(1)
	->Threads(4)
	->Threads(16)
	->UseRealTime();
BENCHMARK(update)
	->Name("BM_cache_update_same_id/rwlock")
	->ArgName("ids")
	->Arg(1)
	->Setup(need_ids<true>)
	->Threads(1)
	->Threads(4)
	->Threads(16)
	->UseRealTime();

/* The three that take the same. */
void table_rows(bool baseline, int64_t n)
{
	auto *need_table = baseline ? need_ids<true> : need_ids<false>;
	std::string variant = baseline ? "/rwlock" : "";
	auto row = [&](const std::string &name, void (*function)(benchmark::State &)) {
		return benchmark::RegisterBenchmark(name.c_str(), function)
			->ArgName("ids")
			->Arg(n)
			->Setup(need_table)
			->UseRealTime();
	};

	row("BM_cache_get" + variant, get)->Threads(1)->Threads(2);
	row("BM_cache_get" + variant + "/updating", get_updating);
	row("BM_cache_dump" + variant, dump);
	if (baseline)
		row("BM_cache_update" + variant, update);
}

BENCHMARK(join<false>)
	->Name("BM_subscribe_with_state")
	->ArgName("entries")
	->Arg(few)
	->Setup(need_ids<false>);
BENCHMARK(join<true>)
	->Name("BM_subscribe_with_state/dump")
	->ArgName("entries")
	->Arg(few)
	->Setup(need_ids<false>);

} // namespace

int main(int argc, char **argv)
{
	const char *n = std::getenv(memory_variable);
	int status;

	if (n != nullptr)
		return memory_main(std::strtoul(n, nullptr, 10));
	for (bool baseline : { false, true }) {
		table_rows(baseline, few);
		table_rows(baseline, many);
	}
	status = bench::run(argc, argv);
	shared.table.reset();
	return status;
}
