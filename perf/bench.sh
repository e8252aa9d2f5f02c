#!/bin/bash
# bench.sh [BUILD] [PART]...: the benchmarks one after the other, tables on the terminal and report.json beside them.
set -u -o pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
build=$(readlink -f "${1:-$here/../build}")
shift
results=$build/bench-results
python=/usr/bin/python3
# A part that hangs is cut off: all together stay below 20 minutes.
declare -A minutes=([crypto]=2 [compare]=4 [scale]=5) cap=([crypto]=120 [compare]=420 [scale]=480)
parts=("$@")
[ $# -gt 0 ] || parts=(crypto compare scale)

crypto() {
	timeout "${cap[crypto]}" "$build/perf/crypto_bench" --json >"$results/crypto.json" &&
		PYTHONPATH=$here "$python" - "$results/crypto.json" <<'END'
import json, pathlib, sys
import measure
rows = json.loads(pathlib.Path(sys.argv[1]).read_text())
measure.table(["operation", "provider", "batch", "threads", "us/operation", "operations/s"],
              [[r["name"], r["provider"], r["batch"], r["threads"], f"{r['us_per_operation']:.2f}",
                f"{r['operations_per_second']:,.0f}"] for r in rows])
END
}

compare() {
	timeout -k 20 -s INT "${cap[compare]}" "$python" "$here/ike_compare.py" --build "$build" --report "$results/compare.json"
}

scale() {
	timeout -k 20 -s INT "${cap[scale]}" "$python" "$here/ike_scale.py" --build "$build" --report "$results/scale.json"
}

for part in "${parts[@]}"; do
	[ -n "${cap[$part]-}" ] || { echo "bench.sh: no benchmark named '$part': crypto, compare or scale" >&2; exit 2; }
done
rm -rf "$results"
mkdir -p "$results"
failed=0
for i in "${!parts[@]}"; do
	left=0
	for later in "${parts[@]:i}"; do
		left=$((left + minutes[$later]))
	done
	printf '\n== %s (%d of %d, about %d minutes left)\n' "${parts[i]}" $((i + 1)) ${#parts[@]} "$left"
	"${parts[i]}" || { echo "${parts[i]}: failed or cut off" >&2; failed=1; }
done
"$python" - "$results" <<'END'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
whole = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json")) if path.stem != "report"}
(folder / "report.json").write_text(json.dumps(whole, indent=1) + "\n")
END
printf '\nresults in %s\n' "$results/report.json"
exit $failed
