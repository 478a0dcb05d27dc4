/* SPDX-License-Identifier: BSD-2-Clause */
/* hooks.c — what a compiler that compiles for ThreadSanitizer calls
 *
 * The program is not linked with ThreadSanitizer's run time but with this. Names and signatures are
 * those of the compilers' interface, the same in gcc and clang. */

#include "engine.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wredundant-decls"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wbuiltin-declaration-mismatch"
#endif

#define PC __builtin_return_address(0)

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
	(void)caller;
}

void __tsan_func_exit(void)
{
}

static inline void plain(const void *address, size_t size, bool write, void *pc)
{
	if (ex != NULL && ex->running)
		ex_access((uintptr_t)address, size, write, pc);
}

#define PLAIN(size)                                                                                \
	void __tsan_read##size(void *p) { plain(p, size, false, PC); }                             \
	void __tsan_write##size(void *p) { plain(p, size, true, PC); }                             \
	void __tsan_unaligned_read##size(const void *p) { plain(p, size, false, PC); }             \
	void __tsan_unaligned_write##size(void *p) { plain(p, size, true, PC); }                   \
	void __tsan_volatile_read##size(void *p) { plain(p, size, false, PC); }                    \
	void __tsan_volatile_write##size(void *p) { plain(p, size, true, PC); }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *p, size_t size)
{
	plain(p, size, false, PC);
}

void __tsan_write_range(void *p, size_t size)
{
	plain(p, size, true, PC);
}

/* The library's memset() and memcpy(), by shim/string.h. */
void *explore_memset(void *p, int c, size_t size)
{
	plain(p, size, true, PC);
	for (size_t i = 0; i < size; i++)
		((volatile unsigned char *)p)[i] = (unsigned char)c;
	return p;
}

void *explore_memcpy(void *to, const void *from, size_t size)
{
	plain(from, size, false, PC);
	plain(to, size, true, PC);
	for (size_t i = 0; i < size; i++)
		((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
	return to;
}

#define RMW(bits, type, name, op)                                                                  \
	type __tsan_atomic##bits##_##name(volatile type *p, type v, int order)                     \
	{                                                                                          \
		return (type)ex_rmw((uintptr_t)p, bits / 8, op, v, order, PC);                     \
	}

#define ATOMIC(bits, type)                                                                         \
	type __tsan_atomic##bits##_load(const volatile type *p, int order)                         \
	{                                                                                          \
		return (type)ex_load((uintptr_t)p, bits / 8, order, PC);                           \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile type *p, type v, int order)                      \
	{                                                                                          \
		ex_store((uintptr_t)p, bits / 8, v, order, PC);                                    \
	}                                                                                          \
	RMW(bits, type, exchange, EX_XCHG)                                                         \
	RMW(bits, type, fetch_add, EX_ADD)                                                         \
	RMW(bits, type, fetch_sub, EX_SUB)                                                         \
	RMW(bits, type, fetch_and, EX_AND)                                                         \
	RMW(bits, type, fetch_or, EX_OR)                                                           \
	RMW(bits, type, fetch_xor, EX_XOR)                                                         \
	RMW(bits, type, fetch_nand, EX_NAND)                                                       \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *expected,        \
							  type desired, int success, int failure)  \
	{                                                                                          \
		uint64_t value = *expected;                                                        \
		bool done = ex_cas((uintptr_t)p, bits / 8, &value, desired, success, failure,      \
				   false, PC);                                                     \
                                                                                                   \
		*expected = (type)value;                                                           \
		return done;                                                                       \
	}                                                                                          \
	int __tsan_atomic##bits##_compare_exchange_weak(volatile type *p, type *expected,          \
							type desired, int success, int failure)    \
	{                                                                                          \
		uint64_t value = *expected;                                                        \
		bool done = ex_cas((uintptr_t)p, bits / 8, &value, desired, success, failure,      \
				   true, PC);                                                      \
                                                                                                   \
		*expected = (type)value;                                                           \
		return done;                                                                       \
	}

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order)
{
	ex_fence(order, PC);
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order; /* for this thread's own signal handlers: there are none */
}
