#!/bin/bash
# test.sh [unit|namespace|vm|sanitizers]...: all by default. The last line is "N passed, N failed, N skipped".
set -u -o pipefail
top=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
. "$top/scripts/common.sh"

build=$top/build
results=$build/test-results
python=/usr/bin/python3
# A part that hangs is cut off; what it did not run then counts as failed.
unit_cap=900 namespace_cap=1200 sanitizer_cap=600 vm_cap=900
# Programs with threads in them: run under ThreadSanitizer as well.
threaded='^(base-(log|mailbox|counter|secret)|crypto (pool|key_stock|batch|key_exchange_vectors)|ike catalogue|shard-|dataplane|kernel)'

# meson_tests DIR NAME CAP [meson test options]
meson_tests() {
	local dir=$1 name=$2 cap=$3
	shift 3
	rm -f "$dir/meson-logs/testlog.json"
	timeout "$cap" meson test -C "$dir" --no-rebuild --print-errorlogs "$@"
	local status=$?
	cp "$dir/meson-logs/testlog.json" "$results/$name.json" 2>/dev/null
	echo "$status" >"$results/$name.status"
}

unit() {
	say "unit tests and the simulator"
	meson_tests "$build" unit "$unit_cap"
}

# namespace_tests DIR NAME [pytest arguments]
namespace_tests() {
	local dir=$1 name=$2
	shift 2
	(cd "$top/tests/namespace" && timeout "$namespace_cap" "$python" -m pytest -v -p no:cacheprovider -ra \
		--builddir="$dir" --junit-xml="$results/$name.xml" --keep-logs="$results/$name-logs" --durations 10 "$@")
	echo $? >"$results/$name.status"
}

# In two halves side by side, since they wait more than they work.
namespace() {
	local files=("$top"/tests/namespace/test_*.py) first=() second=() i
	say "daemons in network namespaces"
	for i in "${!files[@]}"; do
		if ((i % 2)); then second+=("${files[i]##*/}"); else first+=("${files[i]##*/}"); fi
	done
	namespace_tests "$build" namespace-2 "${second[@]}" >"$results/namespace-2.log" 2>&1 &
	namespace_tests "$build" namespace-1 "${first[@]}"
	wait
	cat "$results/namespace-2.log"
}

# In a virtual machine: what needs a kernel with ESP. Where it cannot run, its one case is skipped and says why.
vm() {
	say "the kernel's IPsec, in a virtual machine"
	VM_LIMIT_S=$vm_cap "$top/tests/vm/vm.sh" "$build" "$results"
	echo $? >"$results/vm.status"
}

# sanitizer_build NAME SANITIZERS: by the other compiler, and without a warning
sanitizer_build() {
	(CC=clang build "$top/build-$1" -Db_sanitize="$2" -Db_lundef=false --werror) && return
	echo "not built" >"$results/$1.status"
	return 1
}

address_sanitizer() {
	sanitizer_build asan address,undefined || return
	say "unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	meson_tests "$top/build-asan" asan "$sanitizer_cap" --suite unit --timeout-multiplier 3
	say "the simulator under the same"
	timeout "$sanitizer_cap" "$top/build-asan/tests/simulator/simulator" --count 200 | tee "$results/asan-simulator.tap"
	echo "${PIPESTATUS[0]}" >"$results/asan-simulator.status"
	say "daemons under the same, with bad input"
	PLUTONIUM_SANITIZED=1 namespace_tests "$top/build-asan" asan-namespace test_whack.py test_strongswan.py test_bad_input.py
}

thread_sanitizer() {
	local tests
	sanitizer_build tsan thread || return
	say "threaded unit tests under ThreadSanitizer"
	mapfile -t tests < <(meson test -C "$top/build-tsan" --list --suite unit 2>/dev/null |
		sed -n 's/^.* \/ //p' | grep -E "$threaded")
	meson_tests "$top/build-tsan" tsan "$sanitizer_cap" --timeout-multiplier 3 "${tests[@]}"
}

sanitizers() {
	export ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1:quarantine_size_mb=64
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
	address_sanitizer
	thread_sanitizer
}

parts=("$@")
[ $# -gt 0 ] || parts=(unit namespace vm sanitizers)
for part in "${parts[@]}"; do
	case $part in
	unit | namespace | vm | sanitizers) ;;
	*) die "no tests named '$part': unit, namespace, vm or sanitizers" ;;
	esac
done

(build "$build") || no_tests
rm -rf "$results"
mkdir -p "$results"
started=$SECONDS
for part in "${parts[@]}"; do
	"$part"
done
say "$((SECONDS - started)) s; results in $results"
exec "$python" "$top/tests/summary.py" "$results"
