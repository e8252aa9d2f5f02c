#!/usr/bin/python3
"""A responder with N tunnels is killed and started again, and all N peers come back at once.

First N tunnels are set up, gently. Then the responder gets SIGKILL, so that it knows nothing of them any more, and is
started again. As soon as it listens, all N peers begin anew within --window seconds (0: truly at once), each with
retransmissions of its own: after 500 ms give or take --jitter percent, then doubled each time. How they noticed is not
played: it is as if the liveness checks of all had given up in that moment.

  50, 99, 100 %   seconds from the first peer's begin until so many of all N tunnels were up again; "-": never
  retransmits     requests that the peers sent again
  lost            datagrams that the responder's socket had no room for (UDP RcvbufErrors of its namespace)
  extra           share of the peers' datagrams that reached the responder or were lost and that no tunnel needed: all
                  sent, less a request of IKE_SA_INIT and one of IKE_AUTH for each tunnel that came up. A retransmission
                  is one, and so is a request sent again with a cookie
  in vain         share of IKE_SA_INIT negotiations begun by the responder that led to no IKE SA (this pluto only, by
                  its counters)
  CPU             of the responder, for each tunnel that came up

The generator stands for N hosts with a socket each, so its one socket gets a buffer for all. The responder has what
it asks for by default; "system buffers" is this pluto with --ike-socket-bufsize 0. The peers ask for nothing.

    perf/ike_herd.py [--tunnels 10000] [--responders ...] [--shards 1] [--window 0] [--json]
"""
import contextlib
import pathlib
import subprocess
import tempfile
import time

from load import LoadFailed, run_load
from measure import check, hand_in, machine, parser, progress, table
from network import Network
from responders import RESPONDERS, SUITES, Pluto, Unavailable

SYSTEM_BUFFERS = "plutonium, system buffers"
CASES = [Pluto.name, SYSTEM_BUFFERS, *(n for n in RESPONDERS if n != Pluto.name)]
# Fewer where all would take too long.
PEER_TUNNELS = {"strongSwan": 10000, "libreswan": 4000}
# For all of N answers in one moment, as N sockets have room for.
GENERATOR_BUFFER = 256 << 20


def responder_of(options, case, tunnels, network, directory):
    if case in RESPONDERS and case != Pluto.name:
        return RESPONDERS[case](network, directory, options.build, tunnels)
    more = ("--ike-socket-bufsize", "0") if case == SYSTEM_BUFFERS else ()
    return Pluto(network, directory, options.build, tunnels, options.shards, options.nhelpers, more=more)


def begun_in_vain(responder):
    """Negotiations that the responder began and those that led to an IKE SA; None: it has no such counters."""
    if not isinstance(responder, Pluto):
        return {}
    counters = {k: int(v) for k, v in responder.statistics().items() if v.isdigit()}
    begun, led = (counters.get(f"total.ikev2.ike.{what}", 0) for what in ("started", "established"))
    return {"init_begun": begun, "init_in_vain": begun - led, "init_in_vain_share": (begun - led) / max(begun, 1),
            "responses_resent": counters.get("plutonium.ikev2.responses_resent", 0),
            "cookies_sent": counters.get("plutonium.ikev2.cookies.sent", 0),
            "refused_overload": counters.get("plutonium.ikev2.refused.overload", 0),
            "refused_half_open": counters.get("plutonium.ikev2.refused.half_open", 0)}


def herd(options, tunnels, network, responder):
    """The N peers' return to a responder that has just begun to listen."""
    before, cpu = network.udp(network.responder), responder.cpu_s()
    clients_before = network.udp(network.clients)
    pace = ("--rate", tunnels / options.window) if options.window else ()
    setup = run_load(network, options.build, SUITES[options.suite], tunnels, "--in-flight", tunnels,
                     "--jitter", options.jitter, "--socket-buffer", GENERATOR_BUFFER, "--retransmit-timeout",
                     options.patience, *pace, timeout_s=options.patience)["setup"]
    cpu = responder.cpu_s() - cpu
    after, clients_after = network.udp(network.responder), network.udp(network.clients)
    up, sent = setup["established"], setup["datagrams_sent"]
    return {"established": up, "failed": setup["failed"], "retransmits": setup["retransmits"],
            "up_after_s": setup["up_after_s"], "up_each_100_ms": setup["up_each_100_ms"],
            "datagrams_sent": sent, "extra_share": (sent - 2 * up) / max(sent, 1),
            "lost_by_responder": after["RcvbufErrors"] - before["RcvbufErrors"],
            "lost_by_generator": clients_after["RcvbufErrors"] - clients_before["RcvbufErrors"],
            "cpu_ms": cpu * 1000 / up if up else None, "latency_ms": setup["latency_ms"],
            **begun_in_vain(responder)}


def one_case(options, case, tunnels):
    suite = SUITES[options.suite]
    row = {"responder": case, "tunnels": tunnels}
    with Network() as network, tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        scratch = pathlib.Path(scratch)
        try:
            old = responder_of(options, case, tunnels, network, scratch / "before")
            stack.callback(old.stop)
            old.start(suite)
            row["version"] = old.version
            row["up_before"] = run_load(network, options.build, suite, tunnels, "--in-flight", 32,
                                        timeout_s=options.patience)["setup"]["established"]
            started = time.monotonic()
            old.stop()
            again = responder_of(options, case, tunnels, network, scratch / "again")
            stack.callback(again.stop)
            again.start(suite)
            row["away_s"] = time.monotonic() - started
            row.update(herd(options, tunnels, network, again))
            if not again.alive():
                row["skipped"] = "it died under the herd"
        except (Unavailable, LoadFailed, subprocess.SubprocessError) as e:
            row["skipped"] = str(e)[:600]
    return row


def counts(options, case):
    """How many tunnels this one gets: pluto as many as each of those that it stands beside."""
    if case == SYSTEM_BUFFERS:
        return [options.tunnels]
    if case != Pluto.name:
        return [min(options.tunnels, options.peer_tunnels or PEER_TUNNELS[case])]
    others = {n for other in options.responders if other in PEER_TUNNELS for n in counts(options, other)}
    return sorted({options.tunnels, *others}, reverse=True)


def percent(share):
    return "-" if share is None else f"{share * 100:.1f} %"


def show(rows):
    lines = []
    for r in rows:
        if "skipped" in r:
            print(f"{r['responder']}: {r['skipped']}")
            continue
        after = [f"{s:.2f}" if s is not None else "-" for s in r["up_after_s"].values()]
        lines.append([r["responder"], f"{r['tunnels']:,}", f"{r['established']:,}", *after, f"{r['retransmits']:,}",
                      f"{r['lost_by_responder']:,}", percent(r["extra_share"]), percent(r.get("init_in_vain_share")),
                      f"{r['cpu_ms']:.3f}" if r["cpu_ms"] else "-"])
        if r["lost_by_generator"] or r["failed"] or r["up_before"] != r["tunnels"]:
            print(f"{r['responder']}: {r['up_before']} were up before, the generator lost {r['lost_by_generator']} "
                  f"datagrams, failed: {r['failed']}")
    table(["PSK, responder", "N", "up again", "50 % s", "99 % s", "100 % s", "retransmits", "lost", "extra", "in vain",
           "CPU ms/tunnel"], lines)


def main():
    p = parser(__doc__)
    p.add_argument("--tunnels", type=int, default=10000)
    p.add_argument("--peer-tunnels", type=int, help=f"of the other daemons (no more than: {PEER_TUNNELS}); this pluto "
                   "gets a row with as many, too")
    p.add_argument("--responders", type=lambda text: text.split("+"), default=CASES, help="+".join(CASES))
    p.add_argument("--suite", choices=SUITES, default="x25519")
    p.add_argument("--shards", type=int, default=1)
    p.add_argument("--nhelpers", type=int, default=0)
    p.add_argument("--window", type=float, default=0, help="s within which all peers begin (0: at once)")
    p.add_argument("--jitter", type=int, default=20, help="percent of the peers' retransmission interval")
    p.add_argument("--patience", type=int, default=40, help="s for each load, then a peer gives up")
    options = p.parse_args()
    for case in options.responders:
        if case not in CASES:
            p.error(f"--responders: {case} is none of {', '.join(CASES)}")
    check(options, "src/pluto/pluto", "whack/whack", "whack/addconn", "perf/ike_load", "perf/accept_sas.so")
    about = machine()
    rows = []
    for case in options.responders:
        for tunnels in counts(options, case):
            progress(f"{case}, {tunnels} tunnels")
            rows.append(one_case(options, case, tunnels))
    report = {"benchmark": "ike_herd", "machine": about, "suite": options.suite, "shards": options.shards,
              "window_s": options.window, "jitter_percent": options.jitter, "rows": rows}
    if not hand_in(options, report):
        print(f"{about['cores']} cores {about['cpu']}, load before {about['load_before']:.1f}; PSK {options.suite}, "
              f"{options.shards} shard(s), all peers begin within {options.window:g} s")
        show(rows)


if __name__ == "__main__":
    main()
