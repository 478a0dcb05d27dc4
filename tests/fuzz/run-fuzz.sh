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
exec "$program" -max_len=600 -artifact_prefix="$folder/" "$@" "$folder/corpus" "$corpus"
