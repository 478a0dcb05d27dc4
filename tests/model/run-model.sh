#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run-model.sh - verify a Promela model, or show that a broken variant of it is found out
#
# usage: run-model.sh MODEL.pml pass|fail [-DNAME ...]
#
# pass: Spin explores all states and finds no violation, and every event that the model names with
#       SEE() was reached, except those that a "NEVER configuration event ..." line in the model's
#       head comment rules out. The configuration is the NAMEs joined with +, or "default".
# fail: each of the reasons that the head comment gives behind the BROKEN_ name is found: the name
#       of a CHECK() that is violated, or "stuck" for an invalid end state.
#
# Environment: SPIN, the name of spin. Exit status: 0 as expected, 1 not, 2 usage.

set -eu

usage() {
	echo "usage: $0 MODEL.pml pass|fail [-DNAME ...]" >&2
	exit 2
}

[ $# -ge 2 ] || usage
[ -f "$1" ] || usage
model=$(basename "$1")
source=$(cd "$(dirname "$1")" && pwd)
expected=$2
shift 2
configuration=
broken=
for define; do
	case $define in
	-DBROKEN_*) broken=${define#-D} ;;
	-D*) configuration=${configuration:+$configuration+}${define#-D} ;;
	*) usage ;;
	esac
done
configuration=${configuration:-default}

# A violation shows soon: searching for one needs neither an optimized program nor a large table.
case $expected in
pass) optimize=-O2 table=24 ;;
fail)
	optimize=-O1 table=20
	[ -n "$broken" ] || usage
	;;
*) usage ;;
esac
depth=1000000
memory_mib=1900

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
cp "$source/$model" "$source/check.h" "$dir"
cd "$dir"

unexpected() {
	cat spin.log cc.log pan.log 2>/dev/null || :
	if ls ./*.trail >/dev/null 2>&1; then
		echo "--- the state at the end of the trail"
		./pan -r -n 2>/dev/null | tail -n 120 || :
	fi
	echo "$model $configuration ${broken:-pass}: $1" >&2
	exit 1
}

"${SPIN:-spin}" "$@" -a "$model" >spin.log 2>&1 || unexpected 'spin refuses the model'
[ -s pan.c ] || unexpected 'spin wrote no verifier'
cc "$optimize" -w -DSAFETY -DNOFAIR -DSFH -DMEMLIM=$memory_mib -o pan pan.c >cc.log 2>&1 ||
	unexpected 'the verifier does not compile'

# The words in the head comment behind "$1", on one line.
from_head() {
	sed -n "s/^ \* *$1  *//p" "$model" | tr '\n' ' '
}

verify() {
	./pan -m$depth -w$table >pan.log 2>&1 || unexpected 'the verifier breaks off'
	grep -q 'errors: 0$' pan.log || unexpected 'a violation'
	if ! grep -q '^State-vector ' pan.log ||
		grep -Eqi 'max search depth|MEMLIM|out of memory|not completed' pan.log; then
		unexpected 'the search is not complete'
	fi
	grep -oh 'reached " "[a-z_]*' pan.? | sed 's/.*"//' | sort -u >events
	[ -s events ] || unexpected 'the model names no event'
	sed -n 's/^reached //p' pan.log | sort -u >seen
	from_head "NEVER $configuration" | tr -s ' ' '\n' | sed '/^$/d' | sort -u >never
	comm -23 events seen >missing
	cmp -s missing never ||
		unexpected "not reached: $(paste -sd' ' missing), expected: $(paste -sd' ' never)"
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
	elapsed=$(sed -n 's/^pan: elapsed time \(.*\) seconds/\1/p' pan.log)
	echo "$model $configuration: no violation in $states states, $elapsed s"
}

# Goes on behind other violations (-c0) until the one that it looks for.
violate() {
	reasons=$(from_head "$broken")
	[ -n "$reasons" ] || unexpected 'the head comment gives no reason'
	for reason in $reasons; do
		case $reason in
		stuck) line='invalid end state' ;;
		*) line="assertion violated ($reason||" ;;
		esac
		stdbuf -oL ./pan -m$depth -w$table -c0 2>&1 | grep -qF "$line" ||
			unexpected "$reason is not violated"
		echo "$model $configuration $broken: $reason is violated"
	done
}

case $expected in
pass) verify ;;
fail) violate ;;
esac
