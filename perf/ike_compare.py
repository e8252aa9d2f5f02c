#!/usr/bin/python3
"""The same IKEv2 load against this pluto, Debian's strongSwan and Debian's libreswan, one after the other.

Every responder gets full tunnels (IKE SA and Child SA), from clients with addresses and identities of their own, through
one template; nobody installs SAs (see responders.py). By certificates (rsa2048, ecdsa256: signatures on both sides, X25519)
all clients share one certificate and so one identity: what is compared is the signatures, not the chains. A responder is started afresh for each run, warmed up by
200 tunnels that are taken down again, then loaded:

  CPU         of the responder's process, for each tunnel of a load as fast as it goes
  rate        of that load; responder and load generator share the machine
  bytes       more resident memory than before, for each tunnel
  p99         of the set-up latency at that load (--in-flight under way at once)
  p99 paced   of the set-up latency at --pace tunnels a second

    perf/ike_compare.py [--suites x25519,p256,modp2048,rsa2048,ecdsa256] [--responders ...] [--tunnels N] [--runs 3] [--json]
"""
import contextlib
import pathlib
import subprocess
import tempfile

from load import LoadFailed, run_load
from measure import Figure, check, hand_in, machine, parser, progress, table
from network import Network
from responders import RESPONDERS, SUITES, Unavailable

WARM_UP = 200
PACED_S = 3
# Enough for a steady figure, few enough for the slowest peer.
TUNNELS = {"x25519": 5000, "p256": 4000, "modp2048": 1000, "rsa2048": 2000, "ecdsa256": 3000}


def measure(options, responder, suite, tunnels, network):
    """One run against a responder that has been started."""
    load_options = ("--in-flight", options.in_flight)
    made = responder.certificates
    run_load(network, options.build, suite, WARM_UP, "--id-pattern", "@warm{}", "--delete", *load_options, certificates=made)
    cpu, memory = responder.cpu_s(), responder.resident()
    setup = run_load(network, options.build, suite, tunnels, *load_options, timeout_s=120, certificates=made)["setup"]
    up = setup["established"]
    result = {"established": up, "failed": setup["failed"], "retransmits": setup["retransmits"]}
    if not up:
        return result
    result.update(cpu_ms=(responder.cpu_s() - cpu) * 1000 / up, per_second=setup["per_second"],
                  bytes=(responder.resident() - memory) / up, p99_ms=setup["latency_ms"]["p99"])
    paced = run_load(network, options.build, suite, options.pace * PACED_S, "--id-pattern", "@paced{}", "--rate",
                     options.pace, "--client-net", "10.224.0.0/11", *load_options, timeout_s=60, certificates=made)["setup"]
    result["p99_paced_ms"] = paced["latency_ms"]["p99"] if paced["established"] else None
    return result


def one_run(options, name, suite, tunnels):
    """A result; its "skipped" says why there is none."""
    with Network() as network, tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        responder = RESPONDERS[name](network, pathlib.Path(scratch) / "responder", options.build, tunnels)
        stack.callback(responder.stop)
        try:
            responder.start(suite)
            result = measure(options, responder, suite, tunnels, network)
        except (Unavailable, LoadFailed, subprocess.SubprocessError) as e:
            return {"skipped": str(e), "version": responder.version}
        if not responder.alive():
            return {"skipped": "it died under the load", "version": responder.version}
        return dict(result, version=responder.version)


def row_of(name, suite, tunnels, results):
    good = [r for r in results if "skipped" not in r]
    row = {"suite": suite.name, "responder": name, "version": results[0]["version"], "tunnels": tunnels,
           "compared": "full tunnels, SAs installed by nobody"}
    if not good:
        return dict(row, skipped=results[0]["skipped"])
    row["established"] = min(r["established"] for r in good)
    row["failed"] = {cause: n for r in good for cause, n in r["failed"].items()}
    row["retransmits"] = sum(r["retransmits"] for r in good)
    for key in ("cpu_ms", "per_second", "bytes", "p99_ms", "p99_paced_ms"):
        row[key] = Figure([r.get(key) for r in good])
    return row


def compare(options):
    rows = []
    for suite_name in options.suites:
        suite = SUITES[suite_name]
        tunnels = options.tunnels or TUNNELS[suite_name]
        results = {name: [] for name in options.responders}
        for run in range(options.runs):
            for name in options.responders:
                progress(f"{suite_name}, {name}, run {run + 1} of {options.runs}")
                results[name].append(one_run(options, name, suite, tunnels))
        rows += [row_of(name, suite, tunnels, results[name]) for name in options.responders]
    return rows


def times(row, rows, key):
    """How often the figure of `row` fits into that of this pluto."""
    ours = next((r for r in rows if r["suite"] == row["suite"] and r["responder"] == "plutonium"), None)
    if ours is None or "skipped" in ours or row is ours:
        return ""
    theirs, own = row[key].json(), ours[key].json()
    return f"x{theirs['median'] / own['median']:.1f}" if theirs and own and own["median"] > 0 else ""


def show(rows):
    lines, notes = [], []
    for r in rows:
        name = f"{r['suite']} {r['responder']} {r['version'] or ''}".strip()
        if "skipped" in r:
            lines.append([name, "-", "", "-", "-", "", "-", "-"])
            notes.append(f"{name}: {r['skipped']}")
            continue
        lines.append([name, r["cpu_ms"].text(3), times(r, rows, "cpu_ms"), r["per_second"].text(0), r["bytes"].text(0),
                      times(r, rows, "bytes"), r["p99_ms"].text(1), r["p99_paced_ms"].text(1)])
        if r["established"] != r["tunnels"]:
            notes.append(f"{name}: {r['established']} of {r['tunnels']} in the worst run: {r['failed']}")
    table(["suite, responder", "CPU ms/tunnel", "", "tunnels/s", "bytes/tunnel", "", "p99 ms", "p99 ms paced"], lines)
    for note in notes:
        print(note)


def names(allowed):
    def parse(text):
        chosen = text.split(",")
        for name in chosen:
            if name not in allowed:
                raise ValueError(name)
        return chosen
    return parse


def main():
    p = parser(__doc__)
    p.add_argument("--suites", type=names(SUITES), default=list(SUITES), help=",".join(SUITES))
    p.add_argument("--responders", type=names(RESPONDERS), default=list(RESPONDERS), help=",".join(RESPONDERS))
    p.add_argument("--tunnels", type=int, help=f"a run; by suite: {TUNNELS}")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--in-flight", type=int, default=32)
    p.add_argument("--pace", type=int, default=100)
    options = p.parse_args()
    check(options, "src/pluto/pluto", "perf/ike_load", "perf/accept_sas.so")
    about = machine()
    rows = compare(options)
    plain = [{k: v.json() if isinstance(v, Figure) else v for k, v in r.items()} for r in rows]
    report = {"benchmark": "ike_compare", "machine": about, "in_flight": options.in_flight, "pace": options.pace,
              "rows": plain}
    if not hand_in(options, report):
        print(f"{about['cores']} cores {about['cpu']}, load before {about['load_before']:.1f}; medians of "
              f"{options.runs} runs (lowest-highest); full tunnels, SAs installed by nobody")
        show(rows)


if __name__ == "__main__":
    main()
