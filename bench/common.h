/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_BENCH_COMMON_H
#define STASIS_BENCH_COMMON_H

/* common.h — for all suites */

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <benchmark/benchmark.h>

#include "base/compiler.h"

namespace bench
{

/* A benchmark whose set-up fails has no figure to offer. */
template <typename T> inline T *require(T *handle, const char *what)
{
	if (handle == nullptr) {
		std::perror(what);
		std::exit(1);
	}
	return handle;
}

/* After a short batch a consumer keeps away from the line that is being written. */
inline void look_away()
{
	auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(6);

	while (std::chrono::steady_clock::now() < end)
		sti_cpu_relax();
}

/* For a main() that has registered its benchmarks itself; returns what main() returns. */
inline int run(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}

} // namespace bench

#endif
