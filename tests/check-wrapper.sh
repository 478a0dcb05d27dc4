#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check-wrapper.sh WRAPPER PROGRAM
#
# Passes when the wrapper reports the errors of a program that succeeds, and fails for them: not
# when one of the two could not be run.

report=$("$1" "$2" 2>&1)
status=$?

echo "$report" | head -n 3
[ "$status" -ne 0 ] && echo "$report" | grep -q '^--- \(sanitizer report\|valgrind\): '
