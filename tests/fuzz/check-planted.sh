#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check-planted.sh ERROR PROGRAM CORPUS
#
# Passes when the program, which makes an error of plant.h, finds it by one of its own comparisons:
# not when it ends in any other way.

report=$(FUZZ_PLANT=$1 "$2" "$3" 2>&1)
status=$?

echo "$report" | tail -n 3
[ "$status" -ne 0 ] && echo "$report" | grep -q '^[^ ]*fuzz/[a-z_]*\.c:[0-9]*: .*, expected '
