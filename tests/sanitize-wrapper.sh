#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# sanitize-wrapper.sh COMMAND...
#
# Runs a test that was built with a sanitizer and fails if any of its processes left a report, also
# when the test itself did not notice: Criterion's tests are processes of their own, whose reports
# are swallowed, and a leak is found only after the exit status has been decided.

set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
reports=$(mktemp -d "${TMPDIR:-/tmp}/stasis-sanitizer.XXXXXX") || exit 99
trap 'rm -rf "$reports"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Goes on after the first report, so that a test shows all it has. ThreadSanitizer lets a process
# sleep before it ends, for threads that race with the end: a second each for a thousand tests, unless
# told otherwise.
export ASAN_OPTIONS="log_path=$reports/asan:detect_stack_use_after_return=1:strict_string_checks=1\
:allocator_may_return_null=1:${STASIS_ASAN_OPTIONS-}"
export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1:${STASIS_UBSAN_OPTIONS-}"
export TSAN_OPTIONS="log_path=$reports/tsan:suppressions=$here/tsan.supp:second_deadlock_stack=1\
:history_size=4:atexit_sleep_ms=50:${STASIS_TSAN_OPTIONS-}"

# The sanitizers map their shadow at fixed addresses; kernels that randomize addresses by more than 28
# bits take those away now and then, unless asked not to.
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 28 ] &&
	setarch "$(uname -m)" -R true 2>/dev/null; then
	set -- setarch "$(uname -m)" -R "$@"
fi
"$@"
status=$?

for report in "$reports"/*; do
	# Tests do ask for more memory than there is; the refusal is noted in the same file.
	grep -qv 'failed to allocate 0x' "$report" 2>/dev/null || continue
	echo "--- sanitizer report: $(basename "$report")" >&2
	cat "$report" >&2
	[ "$status" -ne 0 ] || status=1
done
exit "$status"
