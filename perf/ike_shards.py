#!/usr/bin/python3
"""The same load against this pluto with 1, 2, ... shards: what another shard gives, and what it costs.

Each run starts a fresh pluto, warms it up by tunnels that are taken down again, then sets N tunnels up as fast as it
goes. Runs alternate between the numbers of shards; the figures are medians (lowest-highest).

  rate, speed-up  tunnels a second; and how often the rate of the first number of shards fits into it. The load
                  generator shares the cores, so that on few cores a speed-up is not to be expected
  CPU             of the responder for each tunnel, and how much more than with the first number of shards
  CPU paced       the same at --pace tunnels a second for each shard, so that a shard has as much to do in each row; as
                  fast as it goes, the more shards there are the sooner each is idle, and then its batches (of requests,
                  of key exchanges in vector lanes) are less full. This is what sharding itself costs
  generator       the load generator's CPU for each tunnel, which is not in the responder's
  handed over     datagrams that landed on another shard's socket than their owner's
  depth           the longest queue of mail to a shard, and of cryptographic jobs, looked at five times a second
  switches        context switches of the responder's threads for each tunnel: voluntary (waiting) and involuntary

Contention is looked for in a run of its own, --traced tunnels under strace: calls of futex, which is how threads wait
for a lock, and of all system calls, for each tunnel; strace slows them down, so nothing else is taken from it. Cache
lines that cores take from each other (perf c2c: HITM) and cycles, instructions and cache misses (perf stat) for each
tunnel, where the machine's counters give them.

    perf/ike_shards.py [--shards 1,2] [--tunnels 10000] [--runs 3] [--nhelpers 0] [--json]
"""
import contextlib
import os
import pathlib
import re
import resource
import signal
import subprocess
import tempfile
import threading

from load import LoadFailed, run_load
from measure import Figure, check, hand_in, machine, parser, progress, table
from network import Network
from responders import SUITES, Pluto, Unavailable

WARM_UP = 500
LOOK_S = 0.2
PACED_S = 3
HARDWARE = ("cycles", "instructions", "cache-misses")
NOT_AVAILABLE = "not available here"


class Watch:
    """Looks at queues while a load runs."""

    def __init__(self, pluto):
        self.pluto, self.mail, self.jobs, self.looks = pluto, 0, 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _run(self):
        while not self.over.wait(LOOK_S):
            try:
                statistics = self.pluto.statistics()
            except subprocess.SubprocessError:
                return  # the load fails as well, and says why
            self.mail = max(self.mail, *of_shards(statistics, "mailbox_depth"))
            self.jobs = max(self.jobs, int(statistics.get("plutonium.crypto.depth", 0)))
            self.looks += 1


def of_shards(statistics, name):
    return [int(v) for k, v in statistics.items() if re.fullmatch(rf"plutonium\.shard\.\d+\.{name}", k)]


def switches(pluto):
    """Context switches of its threads: voluntary, involuntary."""
    total = [0, 0]
    for status in pathlib.Path(f"/proc/{pluto.process.pid}/task").glob("*/status"):
        text = status.read_text()
        for i, name in enumerate(("voluntary", "nonvoluntary")):
            total[i] += int(re.search(rf"^{name}_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[1])
    return total


def children_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def warm_pluto(options, shards):
    with Network() as network, tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        pluto = Pluto(network, pathlib.Path(scratch) / "responder", options.build, options.tunnels, shards,
                      options.nhelpers)
        stack.callback(pluto.stop)
        pluto.start(SUITES[options.suite])
        load(options, network, WARM_UP, "@warm{}", "--delete")
        yield network, pluto


def load(options, network, tunnels, pattern, *more):
    return run_load(network, options.build, SUITES[options.suite], tunnels, "--id-pattern", pattern,
                    "--in-flight", options.in_flight, "--shards", options.load_shards, *more, timeout_s=60)["setup"]


def paced_cpu_ms(options, shards, network, pluto):
    rate, cpu = options.pace * shards, pluto.cpu_s()
    setup = load(options, network, rate * PACED_S, "@paced{}", "--rate", rate, "--client-net", "10.224.0.0/11")
    return (pluto.cpu_s() - cpu) * 1000 / setup["established"] if setup["established"] else None


def one_run(options, shards):
    with warm_pluto(options, shards) as (network, pluto):
        cpu, waited, before = pluto.cpu_s(), pluto.waited_s(), switches(pluto)
        generator = children_cpu_s()
        with Watch(pluto) as watch:
            setup = load(options, network, options.tunnels, "@client{}")
        up = setup["established"]
        generator, after = children_cpu_s() - generator, switches(pluto)
        cpu, waited = pluto.cpu_s() - cpu, pluto.waited_s() - waited
        statistics = pluto.statistics()
        paced = paced_cpu_ms(options, shards, network, pluto)
    if not up:
        raise LoadFailed(f"no tunnel came up: {setup['failed']}")
    return {"established": up, "failed": setup["failed"], "retransmits": setup["retransmits"],
            "per_second": setup["per_second"], "p99_ms": setup["latency_ms"]["p99"], "cpu_ms": cpu * 1000 / up,
            "paced_cpu_ms": paced,
            "generator_cpu_ms": generator * 1000 / up, "waited_ms": waited * 1000 / up,
            "handed_over": sum(of_shards(statistics, "handed_over")),
            "hand_over_lost": sum(of_shards(statistics, "hand_over_lost")),
            "per_shard": of_shards(statistics, "ike_sas"),
            "wakeups": sum(of_shards(statistics, "wakeups")) / up,
            "mail_depth": watch.mail, "job_depth": watch.jobs, "looks": watch.looks,
            "voluntary": (after[0] - before[0]) / up, "involuntary": (after[1] - before[1]) / up}


# ---- contention -----------------------------------------------------------------------


@contextlib.contextmanager
def attached(scratch, name, *command):
    """A program that looks at a running process and writes what it has seen when it is interrupted."""
    with open(scratch / name, "wb") as said, subprocess.Popen(list(map(str, command)), stdout=said, stderr=said) as p:
        try:
            yield
        finally:
            p.send_signal(signal.SIGINT)


def calls(text):
    """strace -c's table: how often each system call was made."""
    result = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) in (5, 6) and fields[3].isdigit() and fields[-1] != "total":
            result[fields[-1]] = int(fields[3])
    return result


def traced(options, shards, scratch):
    try:
        with warm_pluto(options, shards) as (network, pluto), \
                attached(scratch, "strace", "strace", "-q", "-c", "-f", "-p", pluto.process.pid):
            wait_for_tracer(pluto)
            up = load(options, network, options.traced, "@traced{}")["established"]
    except FileNotFoundError:
        return {"futex": NOT_AVAILABLE, "system_calls": NOT_AVAILABLE}
    made = calls((scratch / "strace").read_text(errors="replace"))
    if not made or not up:
        return {"futex": NOT_AVAILABLE, "system_calls": NOT_AVAILABLE}
    return {"futex": made.get("futex", 0) / up, "system_calls": sum(made.values()) / up,
            "calls": {name: n / up for name, n in sorted(made.items(), key=lambda i: -i[1])}}


def wait_for_tracer(pluto, patience_s=5):
    status = pathlib.Path(f"/proc/{pluto.process.pid}/status")
    over = threading.Event()
    for _ in range(int(patience_s / LOOK_S)):
        if re.search(r"^TracerPid:\s+[1-9]", status.read_text(), re.MULTILINE):
            break
        over.wait(LOOK_S)


def hardware(options, shards, scratch):
    """perf stat's counters and perf c2c's HITM, for each tunnel."""
    result = {name: NOT_AVAILABLE for name in (*HARDWARE, "hitm")}
    probe = subprocess.run(["perf", "stat", "-x,", "-e", ",".join(HARDWARE), "true"], text=True, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
    c2c = subprocess.run(["perf", "c2c", "record", "-o", scratch / "probe", "true"], check=False,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    if "not supported" in probe and not c2c:
        return result
    with warm_pluto(options, shards) as (network, pluto), contextlib.ExitStack() as stack:
        stack.enter_context(attached(scratch, "stat", "perf", "stat", "-x,", "-e", ",".join(HARDWARE),
                                     "-p", pluto.process.pid))
        if c2c:
            stack.enter_context(attached(scratch, "c2c.said", "perf", "c2c", "record", "-o", scratch / "c2c",
                                         "-p", pluto.process.pid))
        up = max(load(options, network, options.tunnels, "@counted{}")["established"], 1)
    for line in (scratch / "stat").read_text().splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[2] in HARDWARE and fields[0].isdigit():
            result[fields[2]] = int(fields[0]) / up
    if c2c:
        text = subprocess.run(["perf", "c2c", "report", "--stats", "-i", scratch / "c2c"], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        found = re.findall(r"Load (?:Local|Remote) HITM\s*:\s*(\d+)", text)
        if found:
            result["hitm"] = sum(map(int, found)) / up  # samples, not all
    return result


def contention(options, shards):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        result = traced(options, shards, scratch) if options.traced else {}
        try:
            result.update(hardware(options, shards, scratch))
        except FileNotFoundError:
            result.update({name: NOT_AVAILABLE for name in (*HARDWARE, "hitm")})
        return result


# ---- all ------------------------------------------------------------------------------

FIGURES = ("per_second", "p99_ms", "cpu_ms", "paced_cpu_ms", "generator_cpu_ms", "waited_ms", "wakeups", "mail_depth", "job_depth",
           "voluntary", "involuntary")


def measure(options):
    results = {n: [] for n in options.shards}
    for run in range(options.runs):
        for n in options.shards:
            progress(f"{n} shard(s), run {run + 1} of {options.runs}")
            results[n].append(one_run(options, n))
    rows = []
    for n in options.shards:
        progress(f"{n} shard(s), contention")
        runs = results[n]
        row = {"shards": n, "tunnels": options.tunnels, "established": min(r["established"] for r in runs),
               "failed": {cause: times for r in runs for cause, times in r["failed"].items()},
               "retransmits": sum(r["retransmits"] for r in runs), "handed_over": sum(r["handed_over"] for r in runs),
               "hand_over_lost": sum(r["hand_over_lost"] for r in runs), "per_shard": runs[-1]["per_shard"],
               **{name: Figure([r[name] for r in runs]) for name in FIGURES}, "contention": contention(options, n)}
        first = rows[0] if rows else row
        row["speed_up"] = middle(row["per_second"]) / middle(first["per_second"])
        for name in ("cpu", "paced_cpu"):
            row[f"{name}_more_percent"] = (middle(row[f"{name}_ms"]) / middle(first[f"{name}_ms"]) - 1) * 100
        rows.append(row)
    return rows


def middle(figure):
    return figure.json()["median"]


def show(rows):
    def per_tunnel(r, name):
        value = r["contention"].get(name, NOT_AVAILABLE)
        return value if isinstance(value, str) else f"{value:,.3f}"
    table(["shards", "tunnels/s", "speed-up", "p99 ms", "CPU ms/tunnel", "more", "CPU paced", "more", "generator", "handed over", "depth mail",
           "depth jobs", "switches voluntary", "involuntary"],
          [[r["shards"], r["per_second"].text(0), f"{r['speed_up']:.2f}", r["p99_ms"].text(1), r["cpu_ms"].text(3),
            f"{r['cpu_more_percent']:+.1f} %", r["paced_cpu_ms"].text(3),
            f"{r['paced_cpu_more_percent']:+.1f} %", r["generator_cpu_ms"].text(3), f"{r['handed_over']:,}",
            r["mail_depth"].text(0), r["job_depth"].text(0), r["voluntary"].text(3), r["involuntary"].text(3)]
           for r in rows])
    print()
    names = ["futex", "system_calls", *HARDWARE, "hitm"]
    table(["shards, for each tunnel:", *names],
          [[r["shards"], *(per_tunnel(r, name) for name in names)] for r in rows])
    for r in rows:
        if r["failed"] or r["established"] != r["tunnels"]:
            print(f"{r['shards']} shard(s): {r['established']} of {r['tunnels']} in the worst run: {r['failed']}")


def main():
    p = parser(__doc__)
    p.add_argument("--shards", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
    p.add_argument("--tunnels", type=int, default=10000, help="of each run")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--pace", type=int, default=1000, help="tunnels a second for each shard of the paced part")
    p.add_argument("--traced", type=int, default=500, help="tunnels of the run under strace (0: none)")
    p.add_argument("--suite", choices=SUITES, default="x25519")
    p.add_argument("--nhelpers", type=int, default=0)
    p.add_argument("--in-flight", type=int, default=64)
    p.add_argument("--load-shards", type=int, default=1, help="threads of the load generator")
    options = p.parse_args()
    if not all(1 <= n <= 64 for n in options.shards):
        p.error("--shards takes numbers from 1 to 64")
    check(options, "src/pluto/pluto", "whack/whack", "whack/addconn", "perf/ike_load")
    about = machine()
    try:
        rows = measure(options)
    except (LoadFailed, Unavailable, subprocess.SubprocessError) as e:
        p.exit(1, f"ike_shards: {e}\n")
    plain = [{k: v.json() if isinstance(v, Figure) else v for k, v in r.items()} for r in rows]
    report = {"benchmark": "ike_shards", "machine": about, "suite": options.suite, "nhelpers": options.nhelpers,
              "in_flight": options.in_flight, "load_shards": options.load_shards, "rows": plain}
    if not hand_in(options, report):
        print(f"{about['cores']} cores {about['cpu']}, load before {about['load_before']:.1f}; PSK {options.suite}, "
              f"{options.nhelpers} workers, {options.in_flight} in flight; medians of {options.runs} runs")
        show(rows)


if __name__ == "__main__":
    main()
