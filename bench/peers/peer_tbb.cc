/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_tbb.cc — oneTBB's flow graph
 *
 * A topic is a broadcast_node, a subscription a function_node with concurrency serial: that is what
 * serializes it. Messages wait in the function_node's queue, in the order in which they were put,
 * so each publisher's order is kept. Publishers put from outside of the arena, as the threads of an
 * application would; the graph's tasks are run by the arena's workers.
 *
 * Two policies. With queueing, a message that finds the node idle becomes a task, and workers run
 * bodies. With queueing_lightweight, the publisher that finds the node idle runs the body itself;
 * what others put meanwhile is queued, and goes to the workers.
 */

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_scheduler_observer.h>
#include <oneapi/tbb/version.h>

#include "cxx.h"
#include "guarded.hpp"

namespace
{

namespace flow = tbb::flow;

/* Puts each worker onto the CPUs of whoever opened the bus: once, not each time that it comes back
 * to work. The workers are the process's, and may have been started for another bus. */
class Placement : public tbb::task_scheduler_observer
{
      public:
	Placement(tbb::task_arena &arena, const sp_cxx_options &settings)
	    : tbb::task_scheduler_observer(arena), options(settings), generation(++generations)
	{
		observe(true);
	}

	~Placement() override
	{
		observe(false);
	}

	void on_scheduler_entry(bool is_worker) override
	{
		thread_local unsigned placed = 0;

		if (!is_worker || placed == generation)
			return;
		placed = generation;
		options.place(options.place_data);
	}

      private:
	static inline std::atomic<unsigned> generations{ 0 };

	const sp_cxx_options &options;
	const unsigned generation;
};

template <typename Policy> class Bus
{
	/* In the order in which they depend on each other. */
	tbb::global_control parallelism;
	tbb::task_arena arena;
	Placement placement;

      public:
	using Node = flow::function_node<void *, flow::continue_msg, Policy>;

	struct Topic {
		explicit Topic(Bus &on) : bus(on), node(on.graph)
		{
		}

		Bus &bus;
		flow::broadcast_node<void *> node;
	};

	struct Server {
		explicit Server(Bus &on)
		    : graph(on.graph), node(on.graph, flow::serial, increment), replies(on.graph)
		{
			flow::make_edge(node, replies);
		}

		static uint64_t increment(uint64_t request) noexcept
		{
			return request + 1;
		}

		flow::graph &graph;
		flow::function_node<uint64_t, uint64_t, Policy> node;
		flow::queue_node<uint64_t> replies;
	};

	explicit Bus(const sp_cxx_options &settings)
	    : parallelism(tbb::global_control::max_allowed_parallelism, settings.threads + 1),
	      /* One place more, kept for a thread that waits for the graph. */
	      arena(static_cast<int>(settings.threads) + 1, 1), placement(arena, settings),
	      options(settings), graph_holder(make_graph(arena)), graph(*graph_holder)
	{
	}

	const sp_cxx_options &options;

      private:
	/* A graph's tasks run in the arena in which it was made. */
	static std::unique_ptr<flow::graph> make_graph(tbb::task_arena &arena)
	{
		return arena.execute([] { return std::make_unique<flow::graph>(); });
	}

	std::unique_ptr<flow::graph> graph_holder;

      public:
	flow::graph &graph;
	std::vector<std::unique_ptr<Node>> nodes;
	std::vector<std::unique_ptr<Topic>> topics;
	std::vector<std::unique_ptr<Server>> servers;
	/* An exception came out of the graph; then nobody may rely on its inner state. Relaxed
	 * wherever it is used: joining the publishers orders it for close(). */
	std::atomic<bool> broken{ false };
};

/* The functions of struct sp_cxx_library. */
template <typename Policy> struct Library {
	using Bus = ::Bus<Policy>;
	using Node = typename Bus::Node;
	using Topic = typename Bus::Topic;
	using Server = typename Bus::Server;

	static int open(const sp_cxx_options *options, void **busp)
	{
		return guarded([=] { *busp = new Bus(*options); });
	}

	static void close(void *data)
	{
		auto bus = static_cast<Bus *>(data);

		/* Its workers may hang for ever, and waiting for them as well. */
		if (bus->broken.load(std::memory_order_relaxed))
			return;
		bus->graph.wait_for_all();
		delete bus;
	}

	static int topic_new(void *data, void **topicp)
	{
		auto bus = static_cast<Bus *>(data);

		return guarded([=] {
			bus->topics.push_back(std::make_unique<Topic>(*bus));
			*topicp = bus->topics.back().get();
		});
	}

	static int subscribe(void *data, void *subscriber, void **subscriptionp)
	{
		auto topic = static_cast<Topic *>(data);
		Bus &bus = topic->bus;
		auto deliver = bus.options.deliver;
		/* Only what is noexcept is taken for lightweight. */
		auto body = [=](void *message) noexcept { deliver(subscriber, message); };

		return guarded([&] {
			auto node = std::make_unique<Node>(bus.graph, flow::serial, body);

			bus.nodes.push_back(std::move(node));
			flow::make_edge(topic->node, *bus.nodes.back());
			*subscriptionp = bus.nodes.back().get();
		});
	}

	static int attach(void *topic, void *subscription)
	{
		return guarded([=] {
			flow::make_edge(static_cast<Topic *>(topic)->node,
					*static_cast<Node *>(subscription));
		});
	}

	static int unsubscribe(void *data, void *subscription)
	{
		auto topic = static_cast<Topic *>(data);
		auto node = static_cast<Node *>(subscription);
		Bus &bus = topic->bus;

		return guarded([&] {
			flow::remove_edge(topic->node, *node);
			/* A node may go only while the graph is idle. */
			bus.graph.wait_for_all();
			/* Who came last is likely to go first. */
			auto place = std::find_if(bus.nodes.rbegin(), bus.nodes.rend(),
						  [=](auto &other) { return other.get() == node; });
			bus.nodes.erase(std::next(place).base());
		});
	}

	static int publish(void *data, void *message, unsigned *lostp)
	{
		auto topic = static_cast<Topic *>(data);
		int error = guarded([=] { topic->node.try_put(message); });

		if (error != 0) {
			topic->bus.broken.store(true, std::memory_order_relaxed);
			*lostp = 0;
		}
		return error;
	}

	static int server_new(void *data, void **serverp)
	{
		auto bus = static_cast<Bus *>(data);

		return guarded([=] {
			bus->servers.push_back(std::make_unique<Server>(*bus));
			*serverp = bus->servers.back().get();
		});
	}

	static int call(void *data, uint64_t request, uint64_t *reply)
	{
		auto server = static_cast<Server *>(data);
		bool got = false;
		int error = guarded([&] {
			server->node.try_put(request);
			server->graph.wait_for_all();
			got = server->replies.try_get(*reply);
		});

		return error == 0 && !got ? -EIO : error;
	}

	static constexpr sp_cxx_library library()
	{
		return { TBB_runtime_version, open,    close,	   topic_new, subscribe, attach,
			 unsubscribe,	      publish, server_new, call };
	}
};

} // namespace

const sp_cxx_library sp_cxx_tbb = Library<flow::queueing>::library();
const sp_cxx_library sp_cxx_tbb_lightweight = Library<flow::queueing_lightweight>::library();
