/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_queue.cc — the ring against ck_ring and a mutex queue
 *
 *   BM_queue/QUEUE/alone  one thread pushes 64 items and takes them
 *   BM_queue/QUEUE/p:N    N threads push, the measuring thread takes; items per second are its
 */

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "common.h"
#include "queues.h"

namespace
{

constexpr size_t batch = 64;
constexpr uint64_t step = 256;	     /* how often the consumer says how far it is */
constexpr uint64_t window = 1 << 15; /* pushed and not taken, at most */

void alone(benchmark::State &state, const bench_queue_ops *ops)
{
	void *queue = bench::require(ops->create(), ops->name);
	void *items[batch];
	alignas(64) char item = 0;

	for (auto _ : state) {
		for (size_t i = 0; i < batch; i++)
			ops->push(queue, &item);
		for (size_t n = 0; n < batch;)
			n += ops->take(queue, items, batch);
	}
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * batch));
	ops->destroy(queue);
}

/* Threads that push as fast as the window lets them. */
class Producers
{
      public:
	Producers(const bench_queue_ops *queue_ops, void *to, int n) : ops(queue_ops), queue(to)
	{
		for (int i = 0; i < n; i++)
			threads.emplace_back([this] { run(); });
	}

	~Producers()
	{
		stop.store(true, std::memory_order_relaxed);
		for (auto &thread : threads)
			thread.join();
	}

	/* The consumer has taken n more. */
	void taken(uint64_t n)
	{
		count += n;
		if (count - told >= step) {
			told = count;
			/* Relaxed: only a number. */
			acked.store(told, std::memory_order_relaxed);
		}
	}

      private:
	const bench_queue_ops *ops;
	void *queue;
	std::vector<std::thread> threads;
	uint64_t count = 0, told = 0; /* consumer only */

	alignas(64) std::atomic<uint64_t> acked{ 0 };
	alignas(64) std::atomic<uint64_t> granted{ 0 };
	alignas(64) std::atomic<bool> stop{ false };

	/* Relaxed, all: numbers and a wish; the queue carries the items. */
	bool enter()
	{
		uint64_t end = granted.fetch_add(batch, std::memory_order_relaxed) + batch;

		for (int spins = 0; end > acked.load(std::memory_order_relaxed) + window; spins++) {
			if (stop.load(std::memory_order_relaxed))
				return false;
			if (spins % 64 == 63)
				std::this_thread::yield();
			else
				sti_cpu_relax();
		}
		return !stop.load(std::memory_order_relaxed);
	}

	void run()
	{
		alignas(64) static char item;

		while (enter()) {
			for (size_t i = 0; i < batch; i++)
				ops->push(queue, &item);
		}
	}
};

void producers(benchmark::State &state, const bench_queue_ops *ops, int n)
{
	constexpr size_t per_iteration = 1024;
	void *queue = bench::require(ops->create(), ops->name);
	void *items[256];

	{
		Producers pushing(ops, queue, n);

		for (auto _ : state) {
			for (size_t got = 0; got < per_iteration;) {
				size_t took = ops->take(queue, items, 256);

				pushing.taken(took);
				got += took;
				if (took < 256)
					bench::look_away();
			}
		}
		state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * per_iteration));
	}
	ops->destroy(queue);
}

} // namespace

int main(int argc, char **argv)
{
	static const bench_queue_ops *const queues[] = { &bench_queue_ring, &bench_queue_ck,
							 &bench_queue_mutex };

	for (const bench_queue_ops *ops : queues)
		benchmark::RegisterBenchmark(
			(std::string("BM_queue/") + ops->name + "/alone").c_str(), alone, ops);
	for (int n : { 1, 2, 4 }) {
		for (const bench_queue_ops *ops : queues) {
			/* Its producers wait for each other, which beyond the number of CPUs takes
			 * as long as it pleases the scheduler. */
			if (ops == &bench_queue_ck && n > 2)
				continue;
			benchmark::RegisterBenchmark((std::string("BM_queue/") + ops->name +
						      "/p:" + std::to_string(n))
							     .c_str(),
						     producers, ops, n)
				->UseRealTime();
		}
	}
	return bench::run(argc, argv);
}
