# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Sourced by the other scripts here: where to build, and how to build without a flood of output.
# Messages go to standard error, so that the output of what is built can be piped.

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) # the top of the source tree

say() {
	echo "${0##*/}: $*" >&2
}

# Where builds of this source tree go, so that the tree itself stays clean.
build_root() {
	local cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}} hash

	if [ -n "${STASIS_BUILD_DIR:-}" ]; then
		echo "$STASIS_BUILD_DIR"
		return
	fi
	if [ -z "$cache" ] || ! mkdir -p "$cache" 2>/dev/null || [ ! -w "$cache" ]; then
		cache=${TMPDIR:-/tmp}/cache-$(id -u)
	fi
	hash=$(printf '%s' "$source" | sha256sum)
	echo "$cache/libstasis/${hash:0:12}"
}

# quietly WHAT LOG COMMAND...: runs a command; says every 20 seconds how far it has come, and shows
# what it printed only when it fails.
quietly() {
	local what=$1 log=$2 pid seconds=0 status=0

	shift 2
	say "$what"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		seconds=$((seconds + 1))
		[ $((seconds % 20)) -ne 0 ] || say "$what: $(tail -n 1 "$log" | cut -c 1-80)"
	done
	wait "$pid" || status=$?
	if [ "$status" -ne 0 ]; then
		cat "$log" >&2
		say "$what: failed"
	fi
	return "$status"
}

# build DIRECTORY TARGETS... -- MESON-OPTIONS...: configures if need be, and compiles. No target: all.
build() {
	local directory=$1 targets=()

	shift
	while [ "$1" != -- ]; do
		targets+=("$1")
		shift
	done
	shift
	mkdir -p "$directory"
	if [ ! -f "$directory/build.ninja" ]; then
		quietly "configuring $(basename "$directory")" "$directory/configure.log" \
			meson setup "$@" "$directory" "$source" || return 1
	fi
	quietly "compiling $(basename "$directory")" "$directory/compile.log" \
		ninja -C "$directory" "${targets[@]}"
}

# build_or_anew DIRECTORY ...: the same; from scratch if that fails, because what is there may be left
# over from another version of meson or of a compiler.
build_or_anew() {
	build "$@" && return
	say "once more, from scratch"
	rm -rf "$1"
	build "$@"
}
