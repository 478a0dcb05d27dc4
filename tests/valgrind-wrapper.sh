#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# valgrind-wrapper.sh COMMAND...
#
# Runs a test in valgrind's memcheck and fails if any of its processes made an error or has lost
# memory, also when the test itself did not notice: Criterion's tests are processes of their own.

set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
reports=$(mktemp -d "${TMPDIR:-/tmp}/stasis-valgrind.XXXXXX") || exit 99
trap 'rm -rf "$reports"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Here the processor's counter and the clock cannot be read close together: nothing measures its rate.
export CRITERION_TEST_PATTERN='!(clock/ticks_measure_spans)'

# Threads take turns, or those that spin would have it all. Memory that is still reachable is not
# lost: the library keeps pools for as long as the process lives.
# shellcheck disable=SC2086 # several options, or none
valgrind --quiet --trace-children=yes --fair-sched=yes --max-threads=2000 \
	--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
	--suppressions="$here/valgrind.supp" --error-exitcode=98 --log-file="$reports/%p" \
	${STASIS_VALGRIND_OPTIONS-} "$@"
status=$?

for report in "$reports"/*; do
	# Warnings, of huge requests for instance, are not errors. Those have a stack below.
	grep -q '^==[0-9]*==    *\(at\|by\) 0x' "$report" 2>/dev/null || continue
	echo "--- valgrind: process $(basename "$report")" >&2
	cat "$report" >&2
	[ "$status" -ne 0 ] || status=1
done
exit "$status"
