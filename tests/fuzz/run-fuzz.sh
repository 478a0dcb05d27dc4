#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run-fuzz.sh PROGRAM CORPUS FOLDER [OPTION]...
#
# Runs libFuzzer from a corpus, which stays as it is; what it finds is left in a folder: inputs that
# reach further, and those that fail.

set -eu

program=$1
corpus=$2
folder=$3
shift 3
mkdir -p "$folder/corpus"
# An input that makes UndefinedBehaviorSanitizer speak up has failed.
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:${UBSAN_OPTIONS-}"
exec "$program" -max_len=600 -artifact_prefix="$folder/" "$@" "$folder/corpus" "$corpus"
