/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_publish.cc — from publish to callback
 *
 *   BM_publish/p:P/s:S/size:N         P threads publish fresh messages with N bytes of payload to S
 *                                     subscriptions; items per second are deliveries
 *   BM_publish_batch/p:P/s:S/size:N   the same, 64 messages with one call
 *   BM_publish_mutex/p:P/s:S/size:N   baseline: a mutex queue per subscriber, one consuming thread
 *
 * The measuring threads publish, and wait when more than a window is not delivered yet; what is
 * still queued at the end is at most that.
 */

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include <stasis/stasis.h>

#include "common.h"
#include "mutex_queue.h"

namespace
{

constexpr size_t batch = 64;
constexpr uint64_t step = 64;
constexpr uint64_t window = 4096; /* messages, of all publishers */

/* Counts for one subscriber; tells the publishers now and then. */
struct alignas(64) Counter {
	uint64_t count = 0; /* its callback only */
	alignas(64) std::atomic<uint64_t> acked{ 0 };

	void hit()
	{
		if (++count % step == 0)
			acked.store(count, std::memory_order_relaxed); /* only a number */
	}
};

/* What is published to; a topology of P publishers and S subscribers. */
class Bus
{
      public:
	explicit Bus(size_t n_subscribers, size_t payload)
	    : bytes(payload), n(n_subscribers), counters(new Counter[n_subscribers])
	{
	}
	virtual ~Bus() = default;
	virtual void publish(size_t messages) = 0;

	/* Waits until batch more messages fit. */
	void enter()
	{
		/* Relaxed, both: numbers. */
		uint64_t end = granted.fetch_add(batch, std::memory_order_relaxed) + batch;

		for (size_t i = 0, spins = 0; i < n;) {
			if (counters[i].acked.load(std::memory_order_relaxed) + window >= end)
				i++;
			else if (++spins % 64 == 0)
				std::this_thread::yield();
			else
				sti_cpu_relax();
		}
	}

      protected:
	std::vector<char> bytes;
	size_t n;
	std::unique_ptr<Counter[]> counters;

      private:
	alignas(64) std::atomic<uint64_t> granted{ 0 };
};

class StasisBus : public Bus
{
      public:
	StasisBus(size_t n_subscribers, size_t payload, bool batched)
	    : Bus(n_subscribers, payload), whole(batched)
	{
		stasis_executor_options executor_options = {};
		stasis_subscribe_options options = {};

		executor_options.threads = 1;
		executor = bench::require(stasis_executor_create(&executor_options), "executor");
		options.executor = executor;
		topic = bench::require(stasis_topic_create("bench"), "topic");
		type = bench::require(stasis_message_type_create("bench"), "message type");
		for (size_t i = 0; i < n; i++)
			subscriptions.push_back(bench::require(
				stasis_subscribe_with(topic, deliver, &counters[i], &options),
				"subscribe"));
		stasis_executor_drain(executor);
		for (size_t i = 0; i < n; i++)
			counters[i].count = 0; /* subscription changes */
	}

	~StasisBus() override
	{
		for (stasis_subscription *subscription : subscriptions)
			stasis_unsubscribe(subscription);
		stasis_executor_shutdown(executor);
		stasis_object_unref(topic);
		stasis_object_unref(type);
	}

	void publish(size_t messages) override
	{
		stasis_message *made[batch];

		for (size_t i = 0; i < messages; i++) {
			stasis_message *message = bench::require(
				stasis_message_create_inline(type, bytes.data(), bytes.size()),
				"message");

			if (whole)
				made[i] = message;
			else
				stasis_publish_take(topic, message);
		}
		if (whole)
			stasis_publish_batch(topic, made, messages);
	}

      private:
	bool whole;
	stasis_executor *executor;
	stasis_topic *topic;
	struct stasis_message_type *type;
	std::vector<stasis_subscription *> subscriptions;

	static void deliver(void *data, stasis_subscription *, stasis_topic *, stasis_message *)
	{
		static_cast<Counter *>(data)->hit();
	}
};

class MutexBus : public Bus
{
      public:
	MutexBus(size_t n_subscribers, size_t payload)
	    : Bus(n_subscribers, payload), ready(bench::require(mutex_queue_new(), "queue"))
	{
		for (size_t i = 0; i < n; i++)
			queues.push_back({ i, bench::require(mutex_queue_new(), "queue") });
		consumer = std::thread([this] { serve(); });
	}

	~MutexBus() override
	{
		mutex_queue_close(ready);
		consumer.join();
		for (Queue &queue : queues)
			mutex_queue_free(queue.queue);
		mutex_queue_free(ready);
	}

	void publish(size_t messages) override
	{
		for (size_t i = 0; i < messages; i++) {
			void *message = make();

			for (Queue &queue : queues) {
				void *self = &queue;

				if (mutex_queue_put(queue.queue, &message, 1) == MUTEX_QUEUE_FIRST)
					mutex_queue_put(ready, &self, 1);
			}
		}
	}

      private:
	struct Message {
		std::atomic<size_t> refs;
		char payload[];
	};
	struct Queue {
		size_t index;
		mutex_queue *queue;
	};

	std::vector<Queue> queues;
	mutex_queue *ready; /* of queues with something in them */
	std::thread consumer;

	void *make()
	{
		auto *message = static_cast<Message *>(
			bench::require(std::malloc(sizeof(Message) + bytes.size()), "message"));

		new (&message->refs) std::atomic<size_t>(n);
		std::copy(bytes.begin(), bytes.end(), message->payload);
		return message;
	}

	void serve_queue(const Queue &queue)
	{
		void **messages;
		size_t n_messages = mutex_queue_take(queue.queue, &messages, false);

		for (size_t i = 0; i < n_messages; i++) {
			auto *message = static_cast<Message *>(messages[i]);

			counters[queue.index].hit();
			if (message->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
				std::free(message);
		}
	}

	void serve()
	{
		void **list;
		size_t n_ready;

		while ((n_ready = mutex_queue_take(ready, &list, true)) > 0) {
			for (size_t i = 0; i < n_ready; i++)
				serve_queue(*static_cast<Queue *>(list[i]));
		}
	}
};

std::unique_ptr<Bus> bus; /* of the benchmark that runs */

void start_stasis(const benchmark::State &state)
{
	bus = std::make_unique<StasisBus>(state.range(0), state.range(1), false);
}

void start_batch(const benchmark::State &state)
{
	bus = std::make_unique<StasisBus>(state.range(0), state.range(1), true);
}

void start_mutex(const benchmark::State &state)
{
	bus = std::make_unique<MutexBus>(state.range(0), state.range(1));
}

void stop(const benchmark::State &)
{
	bus.reset();
}

void publish(benchmark::State &state)
{
	for (auto _ : state) {
		bus->enter();
		bus->publish(batch);
	}
	state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * batch * state.range(0));
}

void define(const char *name, void (*start)(const benchmark::State &))
{
	static const int64_t topologies[][3] = { { 1, 1, 16 },	 { 1, 1, 256 }, { 1, 4, 64 },
						 { 1, 100, 16 }, { 2, 1, 16 },	{ 8, 1, 16 } };

	for (const int64_t(&topology)[3] : topologies) {
		std::string full = std::string(name) + "/p:" + std::to_string(topology[0]);

		benchmark::RegisterBenchmark(full.c_str(), publish)
			->ArgNames({ "s", "size" })
			->Args({ topology[1], topology[2] })
			->Threads(static_cast<int>(topology[0]))
			->Setup(start)
			->Teardown(stop)
			->UseRealTime();
	}
}

} // namespace

int main(int argc, char **argv)
{
	define("BM_publish", start_stasis);
	define("BM_publish_batch", start_batch);
	define("BM_publish_mutex", start_mutex);
	return bench::run(argc, argv);
}
