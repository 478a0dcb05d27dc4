/* SPDX-License-Identifier: BSD-2-Clause */
/* install/dlopen.c — a program that is not linked to the library loads it and uses it
 *
 * As a module loader does it: at run time, on a thread that is not the first, with the thread-local
 * storage of the process already laid out.
 */

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <stasis/stasis.h>

struct bus {
	struct stasis_message_type *(*type_create)(const char *name);
	struct stasis_message *(*message_create)(struct stasis_message_type *type,
						 const void *bytes, size_t size);
	void *(*message_data)(const struct stasis_message *message);
	int (*final_message)(struct stasis_subscription *sub, struct stasis_message *message);
	struct stasis_topic *(*topic_create)(const char *name);
	struct stasis_subscription *(*subscribe)(struct stasis_topic *topic,
						 stasis_subscription_cb callback, void *data);
	struct stasis_subscription *(*unsubscribe_and_join)(struct stasis_subscription *sub);
	int (*publish_take)(struct stasis_topic *topic, struct stasis_message *message);
	struct stasis_message_type *(*message_type)(const struct stasis_message *message);
	void *(*unref)(void *obj);

	struct stasis_message_type *type;
	int sum;
	int finals;
};

static void *find(void *library, const char *name)
{
	void *symbol = dlsym(library, name);

	if (symbol == NULL)
		fprintf(stderr, "%s\n", dlerror());
	return symbol;
}

/* Copies the address, because ISO C has no conversion from void * to a function pointer. */
#define FIND(bus, library, member, name)                                                           \
	(symbol = find(library, name), memcpy(&(bus)->member, &symbol, sizeof(symbol)),            \
	 symbol != NULL)

static int bus_load(struct bus *bus, void *library)
{
	void *symbol;

	return FIND(bus, library, type_create, "stasis_message_type_create") &&
	       FIND(bus, library, message_create, "stasis_message_create_inline") &&
	       FIND(bus, library, message_data, "stasis_message_data") &&
	       FIND(bus, library, message_type, "stasis_message_type") &&
	       FIND(bus, library, final_message, "stasis_subscription_final_message") &&
	       FIND(bus, library, topic_create, "stasis_topic_create") &&
	       FIND(bus, library, subscribe, "stasis_subscribe") &&
	       FIND(bus, library, unsubscribe_and_join, "stasis_unsubscribe_and_join") &&
	       FIND(bus, library, publish_take, "stasis_publish_take") &&
	       FIND(bus, library, unref, "stasis_object_unref");
}

static void callback(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		     struct stasis_message *message)
{
	struct bus *bus = data;

	(void)topic;
	if (bus->message_type(message) == bus->type)
		bus->sum += *(int *)bus->message_data(message);
	if (bus->final_message(sub, message))
		bus->finals++;
}

static int bus_use(struct bus *bus)
{
	struct stasis_topic *topic = bus->topic_create("loaded");
	struct stasis_subscription *sub;

	bus->type = bus->type_create("number");
	sub = bus->subscribe(topic, callback, bus);
	if (topic == NULL || bus->type == NULL || sub == NULL)
		return 1;
	for (int i = 1; i <= 100; i++)
		if (bus->publish_take(topic, bus->message_create(bus->type, &i, sizeof(i))) != 0)
			return 1;
	bus->unsubscribe_and_join(sub);
	bus->unref(bus->type);
	bus->unref(topic);
	return bus->sum == 5050 && bus->finals == 1 ? 0 : 1;
}

static void *load_and_use(void *path)
{
	static struct bus bus;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (library == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return "load";
	}
	if (!bus_load(&bus, library))
		return "symbols";
	if (bus_use(&bus) != 0)
		return "use";
	/* The library's threads live on; unloading must not take their code away. */
	if (dlclose(library) != 0)
		return "close";
	return dlopen(path, RTLD_NOW | RTLD_NOLOAD) != NULL ? NULL : "stay loaded";
}

int main(int argc, char **argv)
{
	pthread_t thread;
	void *failed = "no thread";

	if (argc != 2)
		return 2;
	if (pthread_create(&thread, NULL, load_and_use, argv[1]) == 0)
		pthread_join(thread, &failed);
	if (failed != NULL)
		fprintf(stderr, "failed: %s\n", (const char *)failed);
	return failed != NULL ? 1 : 0;
}
