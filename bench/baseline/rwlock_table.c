/* SPDX-License-Identifier: BSD-2-Clause */
/* rwlock_table.c — see rwlock_table.h */

#include "rwlock_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct entry {
	struct entry *next;
	void *value;
	char id[];
};

struct rwlock_table {
	pthread_rwlock_t lock;
	/* const after init */
	size_t mask;
	/* lock */
	struct entry *chains[];
};

struct rwlock_table *rwlock_table_new(size_t n)
{
	struct rwlock_table *table;
	size_t n_chains = 16;

	while (n_chains < n)
		n_chains *= 2;
	table = calloc(1, sizeof(*table) + n_chains * sizeof(struct entry *));
	if (table == NULL)
		return NULL;
	pthread_rwlock_init(&table->lock, NULL);
	table->mask = n_chains - 1;
	return table;
}

struct rwlock_table *rwlock_table_free(struct rwlock_table *table)
{
	if (table == NULL)
		return NULL;
	for (size_t i = 0; i <= table->mask; i++) {
		while (table->chains[i] != NULL) {
			struct entry *entry = table->chains[i];

			table->chains[i] = entry->next;
			free(entry);
		}
	}
	pthread_rwlock_destroy(&table->lock);
	free(table);
	return NULL;
}

/* Where the entry hangs, or is to hang. */
static struct entry **find_locked(struct rwlock_table *table, const char *id, size_t length)
{
	struct entry **at = &table->chains[XXH3_64bits(id, length) & table->mask];

	while (*at != NULL && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

bool rwlock_table_replace(struct rwlock_table *table, const char *id, void *value,
			  void (*announce)(void *data, void *old, void *value), void *data)
{
	size_t length = strlen(id);
	struct entry **at;
	void *old = NULL;

	pthread_rwlock_wrlock(&table->lock);
	at = find_locked(table, id, length);
	if (*at != NULL) {
		old = (*at)->value;
	} else {
		*at = malloc(sizeof(struct entry) + length + 1);
		if (*at == NULL) {
			pthread_rwlock_unlock(&table->lock);
			return false;
		}
		(*at)->next = NULL;
		memcpy((*at)->id, id, length + 1);
	}
	(*at)->value = value;
	if (announce != NULL)
		announce(data, old, value);
	pthread_rwlock_unlock(&table->lock);
	return true;
}

void *rwlock_table_get(struct rwlock_table *table, const char *id, void (*ref)(void *value))
{
	struct entry *entry;
	void *value = NULL;

	pthread_rwlock_rdlock(&table->lock);
	entry = *find_locked(table, id, strlen(id));
	if (entry != NULL) {
		value = entry->value;
		ref(value);
	}
	pthread_rwlock_unlock(&table->lock);
	return value;
}

void rwlock_table_each(struct rwlock_table *table, void (*visit)(void *data, void *value),
		       void *data)
{
	pthread_rwlock_rdlock(&table->lock);
	for (size_t i = 0; i <= table->mask; i++) {
		for (struct entry *entry = table->chains[i]; entry != NULL; entry = entry->next)
			visit(data, entry->value);
	}
	pthread_rwlock_unlock(&table->lock);
}
