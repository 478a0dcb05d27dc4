/* SPDX-License-Identifier: BSD-2-Clause */
/* machine.c — see machine.h */

#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stasis/api.h>

#include "base/compiler.h"
#include "cpu.h"
#include "heap.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* "model name : X" of /proc/cpuinfo; "unknown" where there is none. */
static void cpu_model(char *model, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(model, size, "unknown");
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || colon == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(model, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
		break;
	}
	fclose(file);
}

static const char *caveat(void)
{
#if defined(__OPTIMIZE__)
	return STI_TSAN || STI_ASAN ? "built with a sanitizer" : NULL;
#else
	return "built without optimisation";
#endif
}

void sb_machine_get(struct sb_machine *machine)
{
	time_t now = time(NULL);
	struct tm tm;

	cpu_model(machine->cpu, sizeof(machine->cpu));
	machine->n_cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	machine->n_cpus_used = sb_cpu_count();
	uname(&machine->system);
	machine->compiler = COMPILER;
	machine->allocator = sb_heap_name();
	machine->caveat = caveat();
	snprintf(machine->version, sizeof(machine->version), "%d.%d.%d", STASIS_VERSION_MAJOR,
		 STASIS_VERSION_MINOR, STASIS_VERSION_PATCH);
	strftime(machine->date, sizeof(machine->date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
}
