#!/bin/bash
# In the guest: run_tests.sh [TEST]... runs those tests or all, and speaks TAP. A test is a function test_NAME of a
# *_test.sh here; it runs in a subshell and fails by `fail` or by a command that fails (set -e).
cd "$(dirname "$(readlink -f "$0")")" || exit 1
. ./lib.sh
for file in ./*_test.sh; do
	. "$file"
done

number=0 failed=0

run_test() { # NAME
	local name=$1 logs=$work/$1 started status took
	number=$((number + 1))
	mkdir -p "$logs"
	if ! declare -F "test_$name" >/dev/null; then
		echo "not ok $number - $name: there is no such test"
		failed=1
		return
	fi
	started=$(uptime_ms)
	(
		set -e
		trap 'echo "failed: line $LINENO: $BASH_COMMAND"' ERR
		set -E
		"test_$name"
	) >"$logs/output" 2>&1 </dev/null
	status=$?
	took=$(($(uptime_ms) - started))
	if [ $status = 77 ]; then
		echo "ok $number - $name # SKIP $(tail -n 1 "$logs/output")"
	elif [ $status = 0 ]; then
		echo "ok $number - $name"
	else
		echo "not ok $number - $name"
		failed=1
		tail -n 40 "$logs/output" | sed 's/^/#   /'
		keep_logs "$name"
	fi
	# Figures are worth reading even when all is well.
	sed -n 's/^figure: /# /p' "$logs/output"
	echo "# $name: $((took / 1000)).$((took / 100 % 10)) s"
	after_test
}

tests_of() { # FILE
	sed -n 's/^test_\([a-z0-9_]*\)().*/\1/p' "$1"
}

for name in "$@"; do
	run_test "$name"
done
# All: those of files that no other guest has taken; the long ones first.
if [ $# -eq 0 ]; then
	for file in ./protocols_test.sh ./strongswan_test.sh ./libreswan_test.sh ./rekey_test.sh ./*_test.sh; do
		mkdir "$PLUTONIUM_CLAIMS/${file##*/}" 2>/dev/null || continue
		for name in $(tests_of "$file"); do
			run_test "$name"
		done
	done
fi
stop_gateways
echo "1..$number"
exit $failed
