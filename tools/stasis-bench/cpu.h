/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_CPU_H
#define SB_CPU_H

/* cpu.h — which CPUs there are and who runs where
 *
 * With one publisher, it has the first CPU that this process may use to itself; the consuming
 * threads get the others, or, being one thread, the second. With several publishers the kernel
 * decides. Threads that a library starts take over the affinity of the thread that starts them, so
 * that one is moved for a moment.
 */

#include <stdbool.h>

/* Looks at the process's affinity. Once, on the main thread. 0 or -errno. */
int sb_cpu_init(void);

unsigned sb_cpu_count(void);
int sb_cpu_first(void);
int sb_cpu_second(void); /* the first again when there is no other */

/* All of them for the calling thread. */
void sb_cpu_free(void);

/* For the calling thread: a publisher, alone or one of several. */
void sb_cpu_publisher(bool alone);

/* For the calling thread, to be inherited by n consumers. alone: there is one publisher. */
void sb_cpu_consumers(bool alone, unsigned n);

void sb_cpu_pin(int cpu);

#endif
