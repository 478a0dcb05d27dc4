/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_caf.cc — C++ Actor Framework
 *
 * A subscription is an event-based actor, and a topic the list of its subscriptions' handles: who
 * publishes sends to each. Messages are sent anonymously and hold a pointer, so that each send is
 * one allocation, of the mailbox's element. An actor runs on one of the scheduler's threads at a
 * time and takes its messages in the order in which they came into its mailbox, so each publisher's
 * order is kept.
 */

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "cxx.h"
#include "guarded.hpp"

struct sp_caf_message {
	void *message;
};

/* It never leaves the process, so it needs no serialization. */
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(sp_caf_message)

namespace
{

struct Config : caf::actor_system_config {
	Config(unsigned threads, caf::atom_value policy)
	{
		set("scheduler.max-threads", threads);
		set("scheduler.policy", policy);
	}
};

struct Bus;

struct Topic {
	explicit Topic(Bus &on) : bus(on)
	{
	}

	Bus &bus;
	std::vector<caf::actor> actors;
};

struct Server {
	Bus &bus;
	caf::actor actor;
};

struct Bus {
	Bus(const sp_cxx_options &settings, caf::atom_value policy)
	    : options(settings), config(settings.threads, policy), system(config),
	      self(system, true)
	{
	}

	const sp_cxx_options &options;
	Config config;
	/* At its end it waits for all actors, and each ends when nobody has a handle any more and
	 * its mailbox is empty. */
	caf::actor_system system;
	caf::scoped_actor self;
	std::vector<std::unique_ptr<Topic>> topics;
	std::vector<std::unique_ptr<Server>> servers;
};

caf::behavior subscription(caf::event_based_actor *, void (*deliver)(void *, void *),
			   void *subscriber)
{
	return { [=](const sp_caf_message &message) { deliver(subscriber, message.message); } };
}

caf::behavior increment()
{
	return { [](uint64_t request) { return request + 1; } };
}

const char *version()
{
	/* Part of the library's file name: another one would not have been loaded. */
	static const std::string text = std::to_string(CAF_MAJOR_VERSION) + "." +
					std::to_string(CAF_MINOR_VERSION) + "." +
					std::to_string(CAF_PATCH_VERSION);

	return text.c_str();
}

int open_stealing(const sp_cxx_options *options, void **busp)
{
	return guarded([=] { *busp = new Bus(*options, caf::atom("stealing")); });
}

int open_sharing(const sp_cxx_options *options, void **busp)
{
	return guarded([=] { *busp = new Bus(*options, caf::atom("sharing")); });
}

void close(void *bus)
{
	delete static_cast<Bus *>(bus);
}

int topic_new(void *data, void **topicp)
{
	auto bus = static_cast<Bus *>(data);

	return guarded([=] {
		bus->topics.push_back(std::make_unique<Topic>(*bus));
		*topicp = bus->topics.back().get();
	});
}

int subscribe(void *data, void *subscriber, void **subscriptionp)
{
	auto topic = static_cast<Topic *>(data);
	Bus &bus = topic->bus;

	return guarded([&] {
		topic->actors.push_back(bus.system.spawn<caf::lazy_init>(
			subscription, bus.options.deliver, subscriber));
		*subscriptionp = caf::actor_cast<caf::abstract_actor *>(topic->actors.back());
	});
}

int attach(void *data, void *subscription)
{
	auto topic = static_cast<Topic *>(data);
	auto actor = static_cast<caf::abstract_actor *>(subscription);

	return guarded([=] { topic->actors.push_back(caf::actor_cast<caf::actor>(actor)); });
}

int unsubscribe(void *data, void *subscription)
{
	auto topic = static_cast<Topic *>(data);

	return guarded([=] {
		/* Who came last is likely to go first. */
		auto place = std::find_if(topic->actors.rbegin(), topic->actors.rend(),
					  [=](const caf::actor &other) {
						  return caf::actor_cast<caf::abstract_actor *>(
								 other) == subscription;
					  });
		caf::actor actor = std::move(*place);

		topic->actors.erase(std::next(place).base());
		caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
		topic->bus.self->wait_for(actor);
	});
}

int publish(void *data, void *message, unsigned *lostp)
{
	auto topic = static_cast<Topic *>(data);
	size_t sent = 0;
	int error = guarded([&] {
		for (; sent < topic->actors.size(); sent++)
			caf::anon_send(topic->actors[sent], sp_caf_message{ message });
	});

	*lostp = static_cast<unsigned>(topic->actors.size() - sent);
	return error;
}

int server_new(void *data, void **serverp)
{
	auto bus = static_cast<Bus *>(data);

	return guarded([=] {
		auto actor = bus->system.spawn(increment);

		bus->servers.push_back(std::make_unique<Server>(Server{ *bus, actor }));
		*serverp = bus->servers.back().get();
	});
}

int call(void *data, uint64_t request, uint64_t *reply)
{
	auto server = static_cast<Server *>(data);
	int failed = 0;
	int error = guarded([&] {
		server->bus.self->request(server->actor, caf::infinite, request)
			.receive([=](uint64_t answer) { *reply = answer; },
				 [&](const caf::error &) { failed = -EIO; });
	});

	return error == 0 ? failed : error;
}

} // namespace

const sp_cxx_library sp_cxx_caf = { version, open_stealing, close,   topic_new,	 subscribe,
				    attach,  unsubscribe,   publish, server_new, call };
const sp_cxx_library sp_cxx_caf_sharing = { version, open_sharing, close,   topic_new,	subscribe,
					    attach,  unsubscribe,  publish, server_new, call };
