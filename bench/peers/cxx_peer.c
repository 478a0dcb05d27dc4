/* SPDX-License-Identifier: BSD-2-Clause */
/* cxx_peer.c — see cxx_peer.h
 *
 * A message comes from malloc() and carries a count of references, set once to the number of
 * subscribers, so the libraries carry a bare pointer.
 */

#include "cxx_peer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"

struct message {
	_Atomic unsigned refs;
	alignas(16) struct sb_stamp stamp; /* and what more the payload has */
};

struct bus {
	/* const after init */
	const struct sp_cxx_library *library;
	struct sp_cxx_options options;
	cpu_set_t cpus; /* of the consuming threads */
	void *bus;	/* the library's, as all that follow */
	/* what is published to: one topic, or several with the same subscriptions */
	void **topics;
	unsigned n_topics;
	unsigned n_others; /* churn: subscribers that stay */
	void *server;
};

static struct message *message_new(const struct sb_stamp *payload, size_t size, unsigned refs)
{
	struct message *message = malloc(offsetof(struct message, stamp) + size);

	if (message == NULL)
		return NULL;
	atomic_init(&message->refs, refs);
	memcpy(&message->stamp, payload, size);
	return message;
}

static void message_unref(struct message *message, unsigned n)
{
	/* Acquire and release: uses of the message are over, for the one who frees it. */
	if (atomic_fetch_sub_explicit(&message->refs, n, memory_order_acq_rel) == n)
		free(message);
}

/* Failing does no harm but to the figures, here and in bus_new(). */
static void place(void *data)
{
	const struct bus *bus = data;

	(void)pthread_setaffinity_np(pthread_self(), sizeof(bus->cpus), &bus->cpus);
}

static void ignore(void *subscriber, void *message)
{
}

static void bus_free(struct bus *bus)
{
	if (bus->bus != NULL)
		bus->library->close(bus->bus);
	free(bus->topics);
	free(bus);
}

/* The library started with its threads, where this one is, and with topics. 0 or -errno. */
static int bus_new(const struct sp_cxx_library *library, unsigned threads,
		   void (*deliver)(void *subscriber, void *message), unsigned n_topics,
		   struct bus **busp)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	int error = 0;

	if (bus == NULL)
		return -ENOMEM;
	bus->library = library;
	bus->options = (struct sp_cxx_options){ threads, deliver, place, bus };
	(void)pthread_getaffinity_np(pthread_self(), sizeof(bus->cpus), &bus->cpus);
	bus->topics = calloc(n_topics, sizeof(bus->topics[0]));
	if (bus->topics == NULL && n_topics > 0)
		error = -ENOMEM;
	if (error == 0)
		error = library->open(&bus->options, &bus->bus);
	for (; error == 0 && bus->n_topics < n_topics; bus->n_topics++)
		error = library->topic_new(bus->bus, &bus->topics[bus->n_topics]);
	if (error < 0) {
		bus_free(bus);
		return error;
	}
	*busp = bus;
	return 0;
}

/* On the first topic, and from there on the others. */
static int bus_subscribe(struct bus *bus, void *subscriber)
{
	void *subscription;
	int error = bus->library->subscribe(bus->topics[0], subscriber, &subscription);

	for (unsigned i = 1; error == 0 && i < bus->n_topics; i++)
		error = bus->library->attach(bus->topics[i], subscription);
	return error;
}

static int bus_publish(const struct bus *bus, void *topic, struct message *message)
{
	unsigned lost = 0;
	int error = bus->library->publish(topic, message, &lost);

	/* If nobody knows who has it, nobody can free it. */
	if (sti_unlikely(error < 0) && lost > 0)
		message_unref(message, lost);
	return error;
}

/* --- throughput ------------------------------------------------------------------------------- */

static void run_deliver(void *subscriber, void *data)
{
	struct message *message = data;

	sb_deliver(subscriber, &message->stamp);
	message_unref(message, 1);
}

/* The messages that are sent again and again, one per publisher. */
static int repeated_new(struct sb_run *run)
{
	if (run->topology.mode != SB_MODE_REPUBLISH)
		return 0;
	for (unsigned i = 0; i < run->topology.publishers; i++) {
		struct sb_publisher *publisher = &run->publishers[i];

		publisher->data = message_new(publisher->payload, run->setup.payload, 1);
		if (publisher->data == NULL)
			return -ENOMEM;
	}
	return 0;
}

static void repeated_free(struct sb_run *run)
{
	if (run->topology.mode != SB_MODE_REPUBLISH)
		return;
	for (unsigned i = 0; i < run->topology.publishers; i++) {
		if (run->publishers[i].data != NULL)
			message_unref(run->publishers[i].data, 1);
	}
}

int sp_cxx_run_open(struct sb_run *run, const struct sp_cxx_library *library)
{
	unsigned upstream = run->topology.upstream;
	unsigned threads = run->setup.threads;
	struct bus *bus;
	int error;

	sb_cpu_consumers(run->topology.publishers == 1, threads);
	error = bus_new(library, threads, run_deliver, upstream > 0 ? upstream : 1, &bus);
	if (error < 0)
		return error;
	for (unsigned i = 0; error == 0 && i < run->topology.subscribers; i++)
		error = bus_subscribe(bus, &run->subscribers[i]);
	if (error == 0)
		error = repeated_new(run);
	if (error < 0) {
		bus_free(bus);
		repeated_free(run);
		return error;
	}
	run->data = bus;
	return 0;
}

void sp_cxx_run_close(struct sb_run *run)
{
	bus_free(run->data);
	repeated_free(run);
	run->data = NULL;
}

static struct message *next_message(struct sb_publisher *publisher)
{
	const struct sb_run *run = publisher->run;
	unsigned n_subscribers = run->topology.subscribers;
	struct message *message = publisher->data;

	if (run->topology.mode != SB_MODE_REPUBLISH) {
		publisher->payload->sequence = publisher->sequence;
		return message_new(publisher->payload, run->setup.payload, n_subscribers);
	}
	/* Relaxed: whoever has a reference may add some. */
	atomic_fetch_add_explicit(&message->refs, n_subscribers, memory_order_relaxed);
	return message;
}

size_t sp_cxx_run_publish(struct sb_publisher *publisher, size_t n)
{
	struct bus *bus = publisher->run->data;
	size_t topic = publisher->sequence % bus->n_topics;

	for (size_t i = 0; i < n; i++) {
		struct message *message = next_message(publisher);

		if (sti_unlikely(message == NULL ||
				 bus_publish(bus, bus->topics[topic], message) < 0)) {
			publisher->refused++;
			return i;
		}
		publisher->sequence++;
		if (++topic == bus->n_topics)
			topic = 0;
	}
	return n;
}

/* --- latency ---------------------------------------------------------------------------------- */

static void paced_deliver(void *subscriber, void *data)
{
	uint64_t now = sb_now();
	struct message *message = data;

	sb_paced_receive(subscriber, &message->stamp, now);
	message_unref(message, 1);
}

int sp_cxx_paced_open(struct sb_paced *paced, const struct sp_cxx_library *library)
{
	struct bus *bus;
	int error = bus_new(library, 1, paced_deliver, 1, &bus);

	if (error < 0)
		return error;
	error = bus_subscribe(bus, paced);
	if (error < 0)
		bus_free(bus);
	else
		paced->data = bus;
	return error;
}

int sp_cxx_paced_send(struct sb_paced *paced, uint64_t sequence)
{
	struct bus *bus = paced->data;
	struct sb_stamp stamp = { .sequence = sequence };
	struct message *message = message_new(&stamp, sizeof(stamp), 1);

	return message != NULL ? bus_publish(bus, bus->topics[0], message) : -ENOMEM;
}

void sp_cxx_paced_close(struct sb_paced *paced)
{
	bus_free(paced->data);
	paced->data = NULL;
}

/* --- request and reply, coming and going, idle ------------------------------------------------ */

void sp_cxx_close(void *state)
{
	bus_free(state);
}

int sp_cxx_call_open(void **statep, const struct sp_cxx_library *library)
{
	struct bus *bus;
	int error = bus_new(library, 1, ignore, 0, &bus);

	if (error < 0)
		return error;
	error = library->server_new(bus->bus, &bus->server);
	if (error < 0)
		bus_free(bus);
	else
		*statep = bus;
	return error;
}

int sp_cxx_call(void *state, uint64_t request, uint64_t *reply)
{
	const struct bus *bus = state;

	return bus->library->call(bus->server, request, reply);
}

static void churn_deliver(void *subscriber, void *data)
{
	if (subscriber != NULL)
		sb_guest_call(subscriber);
	message_unref(data, 1);
}

int sp_cxx_churn_open(unsigned others, void **statep, const struct sp_cxx_library *library)
{
	struct bus *bus;
	int error = bus_new(library, 1, churn_deliver, 1, &bus);

	if (error < 0)
		return error;
	for (; error == 0 && bus->n_others < others; bus->n_others++)
		error = bus_subscribe(bus, NULL);
	if (error < 0)
		bus_free(bus);
	else
		*statep = bus;
	return error;
}

static unsigned calls_of(struct sb_guest *guest)
{
	return atomic_load_explicit(&guest->calls, memory_order_relaxed);
}

/* One message to all while the guest is there, who goes with it under way. */
static int churn_visit(struct bus *bus, void *subscription, struct sb_guest *guest)
{
	struct sb_stamp stamp = { 0 };
	unsigned before = calls_of(guest);
	struct message *message = message_new(&stamp, sizeof(stamp), bus->n_others + 1);
	int error, left;

	error = message != NULL ? bus_publish(bus, bus->topics[0], message) : -ENOMEM;
	left = bus->library->unsubscribe(bus->topics[0], subscription);
	/* Who has gone without it leaves it to nobody else. */
	if (error == 0 && left == 0 && calls_of(guest) == before)
		message_unref(message, 1);
	return error < 0 ? error : left;
}

int sp_cxx_churn_cycle(void *state, struct sb_guest *guest)
{
	struct bus *bus = state;
	void *subscription;
	int error = bus->library->subscribe(bus->topics[0], guest, &subscription);

	if (error < 0)
		return error;
	if (guest != NULL)
		return churn_visit(bus, subscription, guest);
	return bus->library->unsubscribe(bus->topics[0], subscription);
}

int sp_cxx_stock_open(unsigned n, void **statep, const struct sp_cxx_library *library)
{
	struct bus *bus;
	void *subscription;
	int error = bus_new(library, 1, ignore, n, &bus);

	if (error < 0)
		return error;
	for (unsigned i = 0; error == 0 && i < n; i++)
		error = library->subscribe(bus->topics[i], NULL, &subscription);
	if (error < 0)
		bus_free(bus);
	else
		*statep = bus;
	return error;
}
