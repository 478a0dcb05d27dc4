/* SPDX-License-Identifier: BSD-2-Clause */
/* shadow.c — what is known of each word of memory: is it allocated, who has been there
 *
 * Memory that the library allocates, and the coroutines' stacks, lie in one region; each thread
 * allocates from a part of its own, upwards, and nothing comes back before the schedule ends. */

#include "engine.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORD 8u
#define ARENA_SIZE (512u << 10)
#define STACK_SIZE (128u << 10)
#define PART_SIZE (ARENA_SIZE + STACK_SIZE)
#define REGION_SIZE (EX_THREADS * (size_t)PART_SIZE)
#define REDZONE 64u
#define BLOCKS 4096u

enum state { UNALLOCATED, ALLOCATED, FREED };

/* A word's last write, and each thread's last read, and atomic access, with the bytes of it. */
struct cell {
	uint32_t schedule;
	uint16_t block;
	uint8_t state;
	uint8_t writer, write_bytes;
	uint16_t write_clock;
	void *write_pc;
	uint8_t read_bytes[EX_THREADS], atomic_bytes[EX_THREADS];
	uint16_t read_clock[EX_THREADS], atomic_clock[EX_THREADS];
};

struct block {
	uintptr_t start;
	size_t size;
	void *alloc_pc, *free_pc;
	unsigned owner, freed_by;
	bool known; /* to others than its owner */
};

struct shadow {
	uintptr_t region;
	struct cell *region_cells;
	uintptr_t data, data_end;
	struct cell *data_cells;
	char *data_saved;
	struct block blocks[BLOCKS];
	unsigned n_blocks;
};

static struct shadow *shadow;

extern char __data_start[], _end[];
extern char __start_explore_tls[] __attribute__((weak));
extern char __stop_explore_tls[] __attribute__((weak));

static void *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		perror("the explorer's memory");
		exit(2);
	}
	return memory;
}

void ex_shadow_init(void)
{
	shadow = map(sizeof(*shadow));
	shadow->region = (uintptr_t)map(REGION_SIZE);
	shadow->region_cells = map(REGION_SIZE / WORD * sizeof(struct cell));
	shadow->data = (uintptr_t)__data_start & ~(uintptr_t)(WORD - 1);
	shadow->data_end = (uintptr_t)_end;
	shadow->data_cells = map(((shadow->data_end - shadow->data) / WORD + 1) *
				 sizeof(struct cell));
}

void ex_data_save(void)
{
	size_t size = shadow->data_end - shadow->data;

	shadow->data_saved = map(size);
	memcpy(shadow->data_saved, (const void *)shadow->data, size);
}

void ex_data_restore(void)
{
	memcpy((void *)shadow->data, shadow->data_saved, shadow->data_end - shadow->data);
}

void ex_shadow_reset(void)
{
	for (unsigned i = 0; i < EX_THREADS; i++) {
		ex->threads[i].arena = (char *)shadow->region + (size_t)i * PART_SIZE;
		ex->threads[i].arena_next = ex->threads[i].arena;
	}
	shadow->n_blocks = 0;
	ex->n_blocks = 0;
	ex->fail_allocation = 0;
	ex->freeing = false;
}

char *ex_stack(unsigned thread, size_t *sizep)
{
	*sizep = STACK_SIZE;
	return (char *)shadow->region + (size_t)thread * PART_SIZE + ARENA_SIZE;
}

static bool in_region(uintptr_t address)
{
	return address - shadow->region < REGION_SIZE;
}

static bool in_stack(uintptr_t address)
{
	return (address - shadow->region) % PART_SIZE >= ARENA_SIZE;
}

static struct cell *cell_of(uintptr_t address)
{
	struct cell *cell = in_region(address) ?
				    &shadow->region_cells[(address - shadow->region) / WORD] :
				    &shadow->data_cells[(address - shadow->data) / WORD];

	if (cell->schedule != ex->schedule) {
		memset(cell, 0, sizeof(*cell));
		cell->schedule = ex->schedule;
		cell->state = in_region(address) ? UNALLOCATED : ALLOCATED;
	}
	return cell;
}

void ex_name_address(uintptr_t address, char *text, size_t size)
{
	if (in_region(address) && in_stack(address)) {
		snprintf(text, size, "stack");
		return;
	}
	for (unsigned i = 0; in_region(address) && i < shadow->n_blocks; i++) {
		const struct block *block = &shadow->blocks[i];

		if (address - block->start < block->size) {
			snprintf(text, size, "block %u+%#zx", i, (size_t)(address - block->start));
			return;
		}
	}
	snprintf(text, size, "data+%#zx", (size_t)(address - shadow->data));
}

static _Noreturn void report_race(uintptr_t address, const char *what, void *pc,
				  const char *other_what, unsigned other, void *other_pc)
{
	char where[80], here[200], there[200] = "";

	ex_name_address(address, where, sizeof(where));
	ex_place(pc, here, sizeof(here));
	if (ex->freeing)
		what = "a free";
	if (other_pc != NULL)
		ex_place(other_pc, there, sizeof(there));
	ex_violate("data race: %s by %s (%s) and %s by %s%s%s on %s", what, ex_self()->name, here,
		   other_what, ex->threads[other].name, other_pc != NULL ? " at " : "", there,
		   where);
}

static _Noreturn void report_memory(uintptr_t address, const struct cell *cell, const char *what,
				    void *pc)
{
	const struct block *block = &shadow->blocks[cell->block];
	char where[80], here[200], freed[200];

	ex_name_address(address, where, sizeof(where));
	ex_place(pc, here, sizeof(here));
	if (cell->state != FREED)
		ex_violate("outside of all that is allocated: %s by %s (%s)", what, ex_self()->name,
			   here);
	ex_place(block->free_pc, freed, sizeof(freed));
	ex_violate("use after free: %s by %s (%s) of %s, freed by %s (%s)", what, ex_self()->name,
		   here, where, ex->threads[block->freed_by].name, freed);
}

/* Has another thread been there that is not ordered before this one? */
static void check_others(const struct cell *cell, uintptr_t address, uint8_t bytes, bool write,
			 bool atomic, void *pc)
{
	const struct ex_clock *clock = &ex_self()->clock;
	const char *what = atomic ? "an atomic access" : write ? "a write" : "a read";

	if ((cell->write_bytes & bytes) && cell->writer != ex->current &&
	    cell->write_clock > clock->at[cell->writer])
		report_race(address, what, pc, "a write", cell->writer, cell->write_pc);
	if (!write || atomic)
		return;
	for (unsigned i = 0; i < ex->n_threads; i++) {
		if (i == ex->current)
			continue;
		if ((cell->read_bytes[i] & bytes) && cell->read_clock[i] > clock->at[i])
			report_race(address, what, pc, "a read", i, NULL);
		if ((cell->atomic_bytes[i] & bytes) && cell->atomic_clock[i] > clock->at[i])
			report_race(address, what, pc, "an atomic access", i, NULL);
	}
}

static void access_word(uintptr_t address, uint8_t bytes, bool write, bool atomic, void *pc)
{
	struct cell *cell = cell_of(address);
	uint16_t now = ex_self()->clock.at[ex->current];

	if (cell->state != ALLOCATED)
		report_memory(address, cell, write ? "a write" : "a read", pc);
	if (shadow->blocks[cell->block].owner != ex->current)
		shadow->blocks[cell->block].known = true;
	if (ex->checking)
		return;
	check_others(cell, address, bytes, write, atomic, pc);
	if (atomic) {
		cell->atomic_bytes[ex->current] |= bytes;
		cell->atomic_clock[ex->current] = now;
	} else if (write) {
		cell->writer = (uint8_t)ex->current;
		cell->write_bytes = bytes;
		cell->write_clock = now;
		cell->write_pc = pc;
	} else {
		cell->read_bytes[ex->current] |= bytes;
		cell->read_clock[ex->current] = now;
	}
}

static void access_bytes(uintptr_t address, size_t size, bool write, bool atomic, void *pc)
{
	if (in_region(address)) {
		if (in_stack(address))
			return;
	} else if (address < shadow->data || address >= shadow->data_end ||
		   (address >= (uintptr_t)__start_explore_tls &&
		    address < (uintptr_t)__stop_explore_tls)) {
		return;
	}
	while (size > 0) {
		size_t offset = address % WORD;
		size_t n = size < WORD - offset ? size : WORD - offset;

		access_word(address, (uint8_t)(((1u << n) - 1) << offset), write, atomic, pc);
		address += n;
		size -= n;
	}
}

void ex_access(uintptr_t address, size_t size, bool write, void *pc)
{
	access_bytes(address, size, write, false, pc);
}

void ex_access_atomic(uintptr_t address, size_t size, bool write, void *pc)
{
	access_bytes(address, size, write, true, pc);
}

static struct block *block_of(uintptr_t address)
{
	const struct cell *cell;

	if (!in_region(address) || in_stack(address))
		return NULL;
	cell = cell_of(address);
	return cell->state == UNALLOCATED ? NULL : &shadow->blocks[cell->block];
}

bool ex_is_private(uintptr_t address)
{
	const struct block *block = block_of(address);

	return block != NULL && !block->known && block->owner == ex->current;
}

void ex_publish(uintptr_t address)
{
	struct block *block = block_of(address);

	if (block != NULL)
		block->known = true;
}

void *ex_alloc(size_t align, size_t size, void *pc)
{
	struct ex_thread *self = ex_self();
	uintptr_t start = ((uintptr_t)self->arena_next + REDZONE + align - 1) & ~(align - 1);
	uintptr_t end = (start + size + WORD - 1) & ~(uintptr_t)(WORD - 1);
	struct block *block = &shadow->blocks[shadow->n_blocks];

	ex_note(ex_mix(EX_ALLOC, size));
	if (ex->fail_allocation > 0 && --ex->fail_allocation == 0)
		return NULL;
	if (end > (uintptr_t)self->arena + ARENA_SIZE || shadow->n_blocks == BLOCKS)
		ex_violate("the explorer's room for allocations is used up");
	self->arena_next = (char *)end;
	*block = (struct block){
		.start = start, .size = size, .alloc_pc = pc, .owner = ex->current
	};
	for (uintptr_t word = start; word < end; word += WORD) {
		struct cell *cell = cell_of(word);

		cell->state = ALLOCATED;
		cell->block = (uint16_t)shadow->n_blocks;
	}
	/* Nothing sensible, and the same every time. */
	memset((void *)start, 0xA5, end - start);
	shadow->n_blocks++;
	ex->n_blocks++;
	ex_trace(EX_ALLOC, pc, start, 0, 0, size, 0);
	return (void *)start;
}

void ex_free(void *memory, void *pc)
{
	uintptr_t address = (uintptr_t)memory;
	struct block *block;
	struct cell *cell;

	if (memory == NULL)
		return;
	if (!in_region(address) || in_stack(address))
		ex_violate("free of what was not allocated");
	cell = cell_of(address);
	block = &shadow->blocks[cell->block];
	if (cell->state != ALLOCATED)
		report_memory(address, cell, "a second free", pc);
	if (block->start != address)
		ex_violate("free of the middle of a block");
	ex_trace(EX_FREE, pc, address, 0, 0, 0, 0);
	/* As a write: whoever has been there has to be ordered before. */
	ex->freeing = true;
	ex_access(address, block->size, true, pc);
	ex->freeing = false;
	for (uintptr_t word = address; word < address + block->size; word += WORD)
		cell_of(word)->state = FREED;
	block->free_pc = pc;
	block->freed_by = ex->current;
	ex->n_blocks--;
}

unsigned explore_n_blocks(void)
{
	return ex->n_blocks;
}

void explore_fail_allocation(unsigned n)
{
	ex->fail_allocation = n;
}
