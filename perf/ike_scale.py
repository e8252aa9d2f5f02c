#!/usr/bin/python3
"""One pluto as the responder of N tunnels, N growing by tens: flat is the goal.

For each N, by a load as fast as it goes:

  rate, CPU, bytes   tunnels a second, CPU and resident memory of the responder for each tunnel
  p99                of the set-up latency
  --status ...       time until the whole answer was read, with all N up
  idle               share of one core that the responder takes while N tunnels are up and it checks each peer's
                     liveness every DPD seconds; and CPU for each check
  load               N connections by addconn into a pluto of their own: a second, and bytes for each

    perf/ike_scale.py [--tunnels 1000,10000,100000] [--million] [--suite x25519] [--shards 1] [--json]
"""
import contextlib
import pathlib
import subprocess
import tempfile
import time

from load import HeldLoad, LoadFailed
from measure import check, hand_in, machine, parser, progress, table
from network import RESPONDER, SOURCES, Network
from responders import CLIENTS_INNER, INNER, SUITES, Pluto

# No more liveness checks than this a second, all tunnels together.
CHECKS_PER_SECOND = 4000
DPD_MIN_S = 20
# addconn takes files of up to 64 MiB.
FILE_CONNECTIONS = 200000
REPORTS = ("status", "trafficstatus", "globalstatus")


def dpd_period(tunnels):
    return max(DPD_MIN_S, tunnels // CHECKS_PER_SECOND)


def timed_reports(pluto):
    """Seconds and bytes of each report."""
    result = {}
    for report in REPORTS:
        started = time.monotonic()
        text = pluto.tool("whack", f"--{report}")
        result[report] = {"seconds": time.monotonic() - started, "bytes": len(text)}
    return result


def idle(pluto, period):
    """CPU over one period: each peer's liveness is checked once, spread as the set-up was."""
    checks, cpu, started = int(pluto.statistics()["total.ike.dpd.sent"]), pluto.cpu_s(), time.monotonic()
    time.sleep(period + 1)
    cpu, seconds = pluto.cpu_s() - cpu, time.monotonic() - started
    checks = int(pluto.statistics()["total.ike.dpd.sent"]) - checks
    return {"dpd_s": period, "core_percent": cpu / seconds * 100, "checks": checks,
            "cpu_us_per_check": cpu * 1e6 / checks if checks else None}


def held(options, tunnels, network, scratch, stack):
    suite = SUITES[options.suite]
    period = dpd_period(tunnels)
    pluto = Pluto(network, scratch / "responder", options.build, tunnels, options.shards, options.nhelpers, dpd_s=period)
    stack.callback(pluto.stop)
    pluto.start(suite)
    time.sleep(0.5)
    cpu, memory = pluto.cpu_s(), pluto.resident()
    load = HeldLoad(network, options.build, suite, tunnels, "--in-flight", options.in_flight,
                    "--shards", options.load_shards, timeout_s=max(120, tunnels // 1000))
    stack.callback(load.kill)
    setup, up = load.setup, max(load.setup["established"], 1)
    progress(f"{tunnels}: {setup['established']} up in {setup['seconds']:.1f} s")
    result = {"tunnels": tunnels, "established": setup["established"], "failed": setup["failed"],
              "retransmits": setup["retransmits"], "per_second": setup["per_second"],
              "cpu_ms": (pluto.cpu_s() - cpu) * 1000 / up, "bytes": (pluto.resident() - memory) / up,
              "latency_ms": setup["latency_ms"], "over_time": setup["over_time"], "reports": timed_reports(pluto)}
    result["idle"] = idle(pluto, period)
    result["left_after_idle"] = int(pluto.statistics()["current.states.ipsec"])
    return result


def static_connections(numbers):
    """Connections as a carrier writes them: each peer by its address and identity."""
    first = int(CLIENTS_INNER.split(".", maxsplit=1)[0]) << 24 | 128 << 16
    peers = int(SOURCES.split(".", maxsplit=1)[0]) << 24 | 64 << 16

    def dotted(n):
        return ".".join(str(n >> shift & 255) for shift in (24, 16, 8, 0))
    suite = SUITES["x25519"]
    return "".join(f"""conn t{i}
\tleft={RESPONDER}
\tleftid=@responder
\tleftsubnet={INNER}
\tright={dotted(peers + 1 + i)}
\trightid=@client{i}
\trightsubnet={dotted(first + i)}/32
\tauthby=secret
\tike={suite.ike}
\tesp={suite.esp}
\tauto=add
""" for i in numbers)


def load_connections(options, count, network, scratch, stack):
    pluto = Pluto(network, scratch / "loader", options.build, count)
    stack.callback(pluto.stop)
    pluto.start(SUITES["x25519"])
    files = []
    for first in range(0, count, FILE_CONNECTIONS):
        files.append(scratch / f"many-{first}.conf")
        files[-1].write_text(static_connections(range(first, min(first + FILE_CONNECTIONS, count))))
    time.sleep(0.2)
    cpu, memory, started = pluto.cpu_s(), pluto.resident(), time.monotonic()
    for file in files:
        pluto.tool("addconn", "--config", file, "--autoall", timeout=900)
    seconds = time.monotonic() - started
    loaded = int(pluto.statistics()["plutonium.connections"]) - 1  # the template was there
    return {"connections": count, "loaded": loaded, "seconds": seconds, "per_second": count / seconds,
            "cpu_us": (pluto.cpu_s() - cpu) * 1e6 / count, "bytes": (pluto.resident() - memory) / count}


def scale(options):
    rows = []
    for tunnels in options.tunnels:
        progress(f"{tunnels} tunnels")
        row = {"tunnels": tunnels}
        with tempfile.TemporaryDirectory() as scratch, Network() as network:
            for part, work in (("tunnel", held), ("load", load_connections)):
                with contextlib.ExitStack() as stack:
                    try:
                        row[part] = work(options, tunnels, network, pathlib.Path(scratch), stack)
                    except (LoadFailed, subprocess.SubprocessError) as e:
                        row[part] = {"skipped": f"{e} {getattr(e, 'stdout', '') or ''}"[:600]}
        rows.append(row)
    return rows


def show(rows):
    lines = []
    for row in rows:
        t, c = row["tunnel"], row["load"]
        if "skipped" in t or "skipped" in c:
            print(f"{row['tunnels']}: not measured: {t.get('skipped') or c.get('skipped')}")
            continue
        per_check = t["idle"]["cpu_us_per_check"]
        lines.append([f"{row['tunnels']:,}", f"{t['established']:,}", f"{t['per_second']:,.0f}", f"{t['cpu_ms']:.3f}",
                      f"{t['bytes']:,.0f}", f"{t['latency_ms']['p99']:.1f}",
                      *(f"{t['reports'][r]['seconds']:.2f}" for r in REPORTS),
                      f"{t['idle']['core_percent']:.1f} % ({t['idle']['dpd_s']} s)",
                      f"{per_check:.0f}" if per_check else "-", f"{c['per_second']:,.0f}", f"{c['bytes']:,.0f}"])
    table(["N", "up", "a second", "CPU ms", "bytes", "p99 ms", *(f"--{r} s" for r in REPORTS), "idle (DPD)", "us/check",
           "conns loaded/s", "bytes/conn"], lines)


def main():
    p = parser(__doc__)
    p.add_argument("--tunnels", type=lambda text: [int(n) for n in text.split(",")], default=[1000, 10000, 100000])
    p.add_argument("--million", action="store_true", help="1,000,000 tunnels besides: 15 minutes, 10 GB of memory")
    p.add_argument("--suite", choices=SUITES, default="x25519")
    p.add_argument("--shards", type=int, default=1)
    p.add_argument("--nhelpers", type=int, default=0)
    p.add_argument("--in-flight", type=int, default=32)
    p.add_argument("--load-shards", type=int, default=1, help="threads of the load generator")
    options = p.parse_args()
    if options.million:
        options.tunnels.append(1000000)
    check(options, "src/pluto/pluto", "whack/whack", "whack/addconn", "perf/ike_load")
    about = machine()
    rows = scale(options)
    report = {"benchmark": "ike_scale", "machine": about, "suite": options.suite, "shards": options.shards,
              "in_flight": options.in_flight, "rows": rows}
    if not hand_in(options, report):
        print(f"{about['cores']} cores {about['cpu']}, load before {about['load_before']:.1f}; PSK {options.suite}, "
              f"{options.shards} shard(s), {options.in_flight} in flight")
        show(rows)


if __name__ == "__main__":
    main()
