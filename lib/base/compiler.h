/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_COMPILER_H
#define STI_BASE_COMPILER_H

/* base/compiler.h — what the compiler and the processor offer, under one name each */

#include <stddef.h>

#define STI_CACHELINE 64

#define sti_likely(x) __builtin_expect(!!(x), 1)
#define sti_unlikely(x) __builtin_expect(!!(x), 0)

#define sti_prefetch_read(p) __builtin_prefetch((p), 0, 3)

#define sti_container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define STI_NODISCARD __attribute__((warn_unused_result))
#define STI_COLD __attribute__((cold, noinline))
#define STI_NOINLINE __attribute__((noinline))
#define STI_INLINE static inline __attribute__((always_inline))

#if defined(__SANITIZE_THREAD__)
#define STI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STI_TSAN 1
#endif
#endif
#ifndef STI_TSAN
#define STI_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define STI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STI_ASAN 1
#endif
#endif
#ifndef STI_ASAN
#define STI_ASAN 0
#endif

/* Fetches a line for writing: other caches give it up. The compilers' builtin makes a plain read
 * prefetch of it unless told that the processor has prefetchw; every x86-64 one at least ignores
 * it. */
static inline void sti_prefetch_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ __volatile__("prefetchw %0" ::"m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1, 3);
#endif
}

/* Tells the processor that this is a wait loop. */
static inline void sti_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
	__asm__ __volatile__("yield" ::: "memory");
#else
	__asm__ __volatile__("" ::: "memory");
#endif
}

#endif
