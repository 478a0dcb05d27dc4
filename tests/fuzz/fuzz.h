/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_FUZZ_FUZZ_H
#define STASIS_FUZZ_FUZZ_H

/* fuzz.h — the target, by the name that libFuzzer looks for */

#include <stddef.h>
#include <stdint.h>

/* 0. Does not return when something is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
