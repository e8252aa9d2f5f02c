#!/usr/bin/python3
"""The benchmarks one after the other: tables on the terminal; report.json and report.html in build/bench-results.

    perf/bench.py [--build DIR] [--quick] [part]...

Each part is a program of its own that writes its figures where --report says. One that hangs is interrupted, then killed,
and what it made is taken away; the rest still runs. Exit status: 0, or 1 when a part gave no figures, or 128 and the
number of the signal that ended the run: the report is written in any case."""
import argparse
import collections
import dataclasses
import datetime
import json
import os
import pathlib
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import report_html
from measure import TOP, machine

HERE = pathlib.Path(__file__).resolve().parent
WHOLE_S = 1170  # all parts together
GRACE_S = 20  # from the interrupt to the kill
SAID_LINES = 30  # of a part that failed, into the report


@dataclasses.dataclass(frozen=True)
class Part:
    """`command`: {build} and {perf} stand for folders. `minutes`: what it takes on 2 cores, until there is a figure of this
    machine. `cap_s`: no part that works comes near it. `quick`: arguments of a quick run."""
    name: str
    command: tuple
    minutes: float
    cap_s: float
    quick: tuple = ()

    def program(self, build):
        return pathlib.Path(self.command[0].format(build=build, perf=HERE))

    def arguments(self, build, quick):
        return [a.format(build=build, perf=HERE) for a in self.command + (self.quick if quick else ())]


def of_python(name, minutes, cap_s, quick):
    return Part(name, ("{perf}/ike_" + name + ".py", "--build", "{build}"), minutes, cap_s, quick)


PARTS = (
    Part("crypto", ("{build}/perf/crypto_bench",), 2, 170, ("--seconds", "20")),
    of_python("compare", 4, 450, ("--tunnels", "300", "--runs", "1", "--pace", "50")),
    of_python("scale", 4, 360, ("--tunnels", "300,1000,3000")),
    of_python("herd", 1, 180, ("--tunnels", "1000")),
    of_python("flood", 1, 120, ("--flood", "5000", "--rate", "50", "--seconds", "5")),
    of_python("shards", 2, 180, ("--tunnels", "1000", "--runs", "1", "--pace", "200", "--traced", "100")),
)


class Screen:
    """Lines, and on a terminal a bar below them."""

    def __init__(self, stream):
        self.stream, self.terminal, self.shown = stream, stream.isatty(), ""

    def write(self, text):
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:  # nobody reads any more, or the terminal is gone; the report is still wanted
            self.stream, self.terminal = open(os.devnull, "w", encoding="utf-8"), False  # pylint: disable=consider-using-with

    def line(self, text):
        # A part may repeat what a peer has said.
        text = "".join(c if c.isprintable() else "?" for c in text.expandtabs())
        shown, self.shown = self.shown, ""
        self.write(("\r\x1b[K" if shown else "") + text + "\n")
        self.bar(shown)

    def bar(self, text):
        if self.terminal and text != self.shown:
            width = shutil.get_terminal_size().columns - 1
            self.shown = text
            self.write("\r\x1b[K" + text[:width])


class Stopped(Exception):
    """By a signal, and which."""


class Clock:
    """How far the whole run is, by how long its parts took before."""

    def __init__(self, parts, build, quick, file):
        self.file, self.kind = file, "quick" if quick else "full"
        try:
            self.known = json.loads(file.read_text())
        except (OSError, ValueError):
            self.known = {}
        if not isinstance(self.known, dict) or not isinstance(self.known.get(self.kind, {}), dict):
            self.known = {}
        self.left = {p.name: self.estimate(p, quick) for p in parts}
        self.whole = sum(self.left.values())

    def estimate(self, part, quick):
        measured = self.known.get(self.kind, {}).get(part.name)
        if isinstance(measured, (int, float)) and 0 < measured < WHOLE_S:
            return measured
        return part.minutes * 60 * (0.3 if quick else 1)

    def seconds_left(self, name=None, elapsed=0):
        """With part `name` under way since `elapsed` seconds: one that is late is said to need a little more."""
        return sum(max(s - elapsed, 0.05 * s) if n == name else s for n, s in self.left.items())

    def done(self, name, seconds, good):
        self.left.pop(name)
        if good:
            self.known.setdefault(self.kind, {})[name] = round(seconds, 1)
            self.file.write_text(json.dumps(self.known, indent=1) + "\n")

    def bar(self, name, elapsed, what):
        left = self.seconds_left(name, elapsed)
        share = max(0.0, min(0.99, 1 - left / self.whole)) if self.whole else 0.99
        filled = int(share * 24)
        return f"[{'#' * filled}{'.' * (24 - filled)}] {share * 100:3.0f} %  {name}, about {duration(left)} left  {what}"


def duration(seconds):
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


class Running:
    """A part under way, in a process group of its own."""

    def __init__(self, command, environment, screen):
        # A runner that is killed outright takes its part along: setpriv (util-linux) becomes the part.
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        self.screen, self.rest = screen, b""
        self.last = collections.deque(maxlen=SAID_LINES)
        self.open = True
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def listen(self, seconds):
        """What it says within this time, line by line."""
        if not self.open:
            time.sleep(seconds)
            return
        if not self.selector.select(seconds):
            return
        data = os.read(self.process.stdout.fileno(), 65536)
        self.open = bool(data)
        *whole, self.rest = (self.rest + data).split(b"\n")
        if not data or len(self.rest) > 65536:
            whole, self.rest = whole + [self.rest], b""
        for line in whole:
            if line or data:
                text = line.decode(errors="replace").rstrip("\r")
                self.last.append(text)
                self.screen.line(text)

    def ended(self):
        # Not reaped: its number stays that of its group until the group is killed.
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def finish(self):
        """Ends what is left of the group. The exit status."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        status = self.process.wait()
        deadline = time.monotonic() + 1
        while self.open and time.monotonic() < deadline:
            self.listen(0.1)
        self.selector.close()
        self.process.stdout.close()
        remove_namespaces(self.process.pid)
        return status


def remove_namespaces(pid):
    """What a part of this process id left over, with all that runs there: perf-SIDE-PID by network.py."""
    if shutil.which("ip") is None:
        return
    listed = subprocess.run(["ip", "netns", "list"], text=True, stdout=subprocess.PIPE, check=False).stdout
    for name in (line.split()[0] for line in listed.splitlines() if line.strip()):
        if not (name.startswith("perf-") and name.endswith(f"-{pid}")):
            continue
        inside = subprocess.run(["ip", "netns", "pids", name], text=True, stdout=subprocess.PIPE, check=False).stdout
        for one in map(int, inside.split()):
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        subprocess.run(["ip", "netns", "del", name], check=False)


class Runner:
    def __init__(self, options, parts, screen):
        self.options, self.parts, self.screen = options, parts, screen
        self.results = options.build / "bench-results"
        self.results.mkdir(parents=True, exist_ok=True)
        for old in self.results.iterdir():
            if old.is_file() and old.name != "durations.json":
                old.unlink()
        self.clock = Clock(parts, options.build, options.quick, self.results / "durations.json")
        self.signals = []
        self.started = time.monotonic()
        self.report = {"date": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
                       "revision": revision(), "machine": machine(), "versions": versions(options.build),
                       "quick": options.quick,
                       "parts": {p.name: {"status": "not run", "detail": "", "seconds": None,
                                          "command": p.arguments(options.build, options.quick), "result": None}
                                 for p in parts}}

    def run(self):
        """The exit status."""
        self.started = time.monotonic()
        try:
            for i, part in enumerate(self.parts):
                left = self.clock.seconds_left()
                self.screen.line("")
                self.screen.line(f"== {part.name} ({i + 1} of {len(self.parts)}, about {duration(left)} left)")
                self.record(part)
                self.write_json()
        except Stopped:
            pass
        finally:
            self.screen.bar("")
            self.write_json()
        return self.conclude()

    def record(self, part):
        entry = self.report["parts"][part.name]
        started = time.monotonic()
        entry.update(self.perform(part, entry["command"]))
        entry["seconds"] = round(time.monotonic() - started, 1)
        self.clock.done(part.name, entry["seconds"], entry["status"] == "ok")
        if entry["status"] != "ok":
            self.screen.line(f"{part.name}: {entry['status']}: {entry['detail']}")
        if entry["status"] == "interrupted":
            raise Stopped()

    def perform(self, part, command):
        """Runs it. What is to be said of it in the report."""
        if self.signals:
            raise Stopped()
        if not part.program(self.options.build).exists():
            return {"status": "failed", "detail": f"{command[0]} is not there: ./quickstart build"}
        time_left = self.started + WHOLE_S - GRACE_S - time.monotonic()
        if time_left < 1:
            return {"status": "not run", "detail": f"the whole run's {WHOLE_S} s are over"}
        file = self.results / f"{part.name}.json"
        with tempfile.TemporaryDirectory(prefix="perf-bench-", ignore_cleanup_errors=True) as scratch:
            environment = dict(os.environ, TMPDIR=scratch, PYTHONUNBUFFERED="1")
            if command[0].endswith(".py"):
                command = ["/usr/bin/python3", *command]
            running = Running([*command, "--report", str(file)], environment, self.screen)
            try:
                cut = self.watch(part, running, min(part.cap_s, time_left))
            finally:
                status = running.finish()
        outcome = {"result": None}
        if cut or status != 0:
            outcome["said"] = "\n".join(running.last)
        try:
            outcome["result"] = json.loads(file.read_text())
        except (OSError, ValueError) as e:
            outcome.update(status="failed", detail=f"it left no figures: {e}")
        if outcome["result"] is not None:
            outcome.update(status="ok", detail="")
        if status != 0:
            outcome.update(status="failed", detail=f"exit status {status}" if status > 0 else f"signal {-status}")
        return {**outcome, **cut}

    def watch(self, part, running, cap_s):
        """Until it has ended by itself, or has to. Why it had to: status and detail."""
        started, cut, kill_at = time.monotonic(), {}, None
        while not running.ended():
            elapsed = time.monotonic() - started
            running.listen(0.2)
            self.screen.bar(self.clock.bar(part.name, elapsed, running.last[-1] if running.last else ""))
            if cut and (elapsed > kill_at or len(self.signals) > 1):
                cut["detail"] += ", and killed since it did not end by itself"
                break
            if not cut and (self.signals or elapsed > cap_s):
                if self.signals:
                    cut = {"status": "interrupted", "detail": f"by signal {self.signals[0]}"}
                else:
                    cut = {"status": "cut off", "detail": f"after {cap_s:.0f} s"}
                kill_at = elapsed + GRACE_S
                running.interrupt()
        return cut

    def write_json(self):
        self.report["seconds"] = round(time.monotonic() - self.started, 1)
        whole = self.results / "report.json.new"
        whole.write_text(json.dumps(self.report, indent=1) + "\n")
        whole.replace(self.results / "report.json")

    def conclude(self):
        problems = report_html.write(self.report, self.results / "report.html")
        parts = self.report["parts"]
        self.screen.line("")
        for name, entry in parts.items():
            took = "" if entry["seconds"] is None else f"{entry['seconds']:6.0f} s"
            self.screen.line(f"{name:10} {entry['status']:12} {took:>8}  {entry['detail']}".rstrip())
        for problem in problems:
            self.screen.line(problem)
        self.screen.line(f"results in {self.results}/report.html and report.json")
        if self.signals:
            return 128 + self.signals[0]
        return 1 if problems or any(e["status"] != "ok" for e in parts.values()) else 0


def said(*command):
    """What a command says on its first line; "" when it cannot."""
    try:
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().partition("\n")[0]


def revision():
    found = said("git", "-C", str(TOP), "rev-parse", "--short=12", "HEAD")
    if not found:
        return "unknown"
    return found + (", with changes" if said("git", "-C", str(TOP), "status", "--porcelain", "-uno") else "")


def versions(build):
    known = {"plutonium": said(str(build / "src/pluto/pluto"), "--version").rpartition(" ")[2]}
    for name, package in (("strongSwan", "charon-systemd"), ("libcrypto", "libssl3"), ("NSS", "libnss3"),
                          ("intel-ipsec-mb", "libipsec-mb1")):
        known[name] = said("dpkg-query", "-W", "-f", "${Version}", package)
    try:
        known["libreswan"] = (build / "perf/peers/libreswan/version").read_text().strip()
    except OSError:
        pass  # not fetched yet; its rows tell
    return {k: v for k, v in known.items() if v}


def options_of(arguments, parts):
    p = argparse.ArgumentParser(description="The benchmarks one after the other.")
    p.add_argument("--build", type=pathlib.Path, default=TOP / "build", help="where it is built (build/)")
    p.add_argument("--quick", action="store_true", help="small numbers: for a look, not for figures")
    p.add_argument("part", nargs="*", help=", ".join(x.name for x in parts))
    options = p.parse_args(arguments)
    names = [x.name for x in parts]
    for name in options.part:
        if name not in names:
            p.error(f"no part named '{name}': {', '.join(names)}")
    options.build = options.build.resolve()
    return options


def main(arguments=None, parts=PARTS):
    # A part that another branch brings is named as soon as its program is there.
    parts = [p for p in parts if not p.command[0].startswith("{perf}") or p.program("").exists()]
    options = options_of(arguments, parts)
    chosen = [p for p in parts if not options.part or p.name in options.part]
    runner = Runner(options, chosen, Screen(sys.stdout))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: runner.signals.append(n))
    return runner.run()


if __name__ == "__main__":
    sys.exit(main())
