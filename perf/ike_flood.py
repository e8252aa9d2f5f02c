#!/usr/bin/python3
"""A flood of IKE_SA_INIT requests from forged addresses beside honest peers that want tunnels.

`ike_flood` sends --flood requests a second, each well-formed, with an X25519 value, from a random address and port with
a random SPI. Beside it honest peers begin --rate tunnels a second, for --seconds; both begin together, so that the
first moments, before cookies are asked for, are part of it. The honest peers alone are measured before, for --alone
seconds.

  flood           what the flood reached: it shares the machine with the daemon and the honest peers
  taken           share of the flood's and the honest peers' datagrams that the daemon has read; its socket had no room
                  for the rest
  up              honest tunnels that came up, of all that began
  p50, p99, max   of their set-up latency, retransmissions included
  CPU             share of one core that the responder took
  waited          share of the time that it was ready to run but others had the cores
  cookies         asked for, a second
  shed            requests without a cookie that it dropped unread because its socket was about to overflow
  refused         requests dropped for overload or for the number of half-open IKE SAs
  begun           IKE SAs that it began: those of honest peers, and those of forged requests before it asked for cookies

    perf/ike_flood.py [--flood 50000] [--rate 100] [--seconds 40] [--shards 1] [--ddos-mode auto] [--json]
"""
import contextlib
import json
import pathlib
import subprocess
import tempfile
import time

from load import LoadFailed, run_load
from measure import check, hand_in, machine, parser, progress, table
from network import CLIENT_SIDE, RESPONDER, Network
from network import run as run_command
from responders import SUITES, Pluto

FORGED = "16.0.0.0/4"
COUNTERS = {"cookies_sent": "plutonium.ikev2.cookies.sent", "cookies_bad": "plutonium.ikev2.cookies.bad",
            "refused_half_open": "plutonium.ikev2.refused.half_open",
            "refused_overload": "plutonium.ikev2.refused.overload",
            "begun": "total.ikev2.ike.started", "responses_resent": "plutonium.ikev2.responses_resent"}


class Flood:
    """ike_flood in the clients' namespace. Nobody answers there for the forged addresses."""

    def __init__(self, options, network):
        run_command("ip", "-n", network.responder, "route", "add", FORGED, "via", CLIENT_SIDE)
        self.seconds = options.seconds + 1
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", network.clients, str(options.build / "perf/ike_flood"), "--responder", RESPONDER,
             "--rate", str(options.flood), "--seconds", str(self.seconds), "--sources", FORGED], text=True,
            stdout=subprocess.PIPE)

    def result(self):
        text, _ = self.process.communicate(timeout=self.seconds + 30)
        return json.loads(text)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()


def counters(pluto):
    statistics = pluto.statistics()
    result = {name: int(statistics.get(key, 0)) for name, key in COUNTERS.items()}
    result["shed"] = sum(int(v) for k, v in statistics.items() if k.startswith("plutonium.shard.") and k.endswith(".shed"))
    return result


def honest(options, network, seconds, pattern):
    return run_load(network, options.build, SUITES[options.suite], int(options.rate * seconds),
                    "--rate", options.rate, "--in-flight", int(options.rate * seconds) + 1, "--id-pattern", pattern,
                    "--socket-buffer", 64 << 20, timeout_s=seconds + 45)["setup"]


def figures(setup):
    return {"begun_by_peers": setup["tunnels"], "established": setup["established"], "failed": setup["failed"],
            "latency_ms": setup["latency_ms"], "retransmits": setup["retransmits"]}


def observed(network, pluto, work):
    """What `work` returns, with what it cost the responder."""
    before, cpu, waited, started = counters(pluto), pluto.cpu_s(), pluto.waited_s(), time.monotonic()
    udp = network.udp(network.responder)
    row = work()
    cpu, seconds, lost = pluto.cpu_s() - cpu, time.monotonic() - started, network.udp(network.responder)
    after = counters(pluto)
    row.update({name: after[name] - before[name] for name in after})
    row.update(seconds=seconds, core_percent=cpu / seconds * 100,
               waited_percent=(pluto.waited_s() - waited) / seconds * 100, lost=lost["RcvbufErrors"] - udp["RcvbufErrors"],
               read=lost["InDatagrams"] - udp["InDatagrams"], resident=pluto.resident())
    row["taken_share"] = row["read"] / max(row["read"] + row["lost"], 1)
    return row


def flooded(options, network, stack):
    flood = Flood(options, network)
    stack.callback(flood.stop)
    setup = honest(options, network, options.seconds, "@flooded{}")
    return {"case": "flood", "flood_wanted": options.flood, "flood": flood.result(), **figures(setup)}


def alone(options, network):
    return {"case": "alone", "flood_wanted": 0, "flood": None,
            **figures(honest(options, network, options.alone, "@alone{}"))}


def measure(options):
    with Network() as network, tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        pluto = Pluto(network, pathlib.Path(scratch) / "responder", options.build, 0, options.shards, options.nhelpers,
                      more=("--ddos-mode", options.ddos_mode))
        stack.callback(pluto.stop)
        pluto.start(SUITES[options.suite])
        progress(f"{options.rate} tunnels a second alone, {options.alone} s")
        rows = [observed(network, pluto, lambda: alone(options, network))]
        progress(f"the same beside {options.flood} forged requests a second, {options.seconds} s")
        rows.append(observed(network, pluto, lambda: flooded(options, network, stack)))
        rows[-1]["log_bytes"] = (pluto.directory / "log").stat().st_size
        return rows


def show(rows):
    lines = []
    for r in rows:
        latency = r["latency_ms"]
        lines.append([r["case"], f"{r['flood']['per_second']:,.0f}/s" if r["flood"] else "-",
                      f"{r['taken_share'] * 100:.1f} %", f"{r['established']:,} of {r['begun_by_peers']:,}",
                      f"{latency['p50']:.1f}", f"{latency['p99']:.1f}", f"{latency['max']:.0f}",
                      f"{r['retransmits']:,}", f"{r['core_percent']:.0f} %", f"{r['waited_percent']:.0f} %", f"{r['cookies_sent'] / r['seconds']:,.0f}/s", f"{r['shed']:,}",
                      f"{r['refused_half_open'] + r['refused_overload']:,}", f"{r['begun']:,}"])
        if r["failed"]:
            print(f"{r['case']}: failed: {r['failed']}")
    table(["honest tunnels", "flood", "taken", "up", "p50 ms", "p99 ms", "max ms", "retransmits", "CPU", "waited", "cookies", "shed",
           "refused", "begun"], lines)


def main():
    p = parser(__doc__)
    p.add_argument("--flood", type=int, default=50000, help="forged requests a second")
    p.add_argument("--rate", type=int, default=100, help="honest tunnels a second")
    p.add_argument("--seconds", type=int, default=40, help="of flood (half-open IKE SAs last 30)")
    p.add_argument("--alone", type=int, default=5, help="seconds of the honest peers without it")
    p.add_argument("--suite", choices=SUITES, default="x25519")
    p.add_argument("--shards", type=int, default=1)
    p.add_argument("--nhelpers", type=int, default=0)
    p.add_argument("--ddos-mode", choices=("auto", "busy", "unlimited"), default="auto")
    options = p.parse_args()
    check(options, "src/pluto/pluto", "whack/whack", "whack/addconn", "perf/ike_load", "perf/ike_flood")
    about = machine()
    try:
        rows = measure(options)
    except (LoadFailed, subprocess.SubprocessError) as e:
        p.exit(1, f"ike_flood: {e}\n")
    report = {"benchmark": "ike_flood", "machine": about, "suite": options.suite, "shards": options.shards,
              "ddos_mode": options.ddos_mode, "rate": options.rate, "rows": rows}
    if not hand_in(options, report):
        print(f"{about['cores']} cores {about['cpu']}, load before {about['load_before']:.1f}; PSK {options.suite}, "
              f"{options.shards} shard(s), {options.rate} honest tunnels a second, cookies {options.ddos_mode}")
        show(rows)


if __name__ == "__main__":
    main()
