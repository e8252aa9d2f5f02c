#!/usr/bin/python3
"""A flame graph of the responder under full load: where its CPU time goes, as one SVG.

`perf record` samples the responder's threads by the CPU clock while ike_load sets up tunnels as fast as it goes. Each
sample's calls are folded into a tree; a frame is as wide as its share of all samples, callers below.

    perf/flame.py [--suite x25519] [--seconds 10] [--output flame.svg] [--call-graph dwarf|fp] [--json]

dwarf (the default) unwinds by what the compiler notes of every function, of this build and of the libraries. With fp it
follows frame pointers, which is cheaper and needs a build with them (meson setup build-fp
-Dc_args=-fno-omit-frame-pointer; --build build-fp); the libraries' frames are then often without their callers."""
import contextlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import zlib

from load import LoadFailed, command
from markup import element, svg, to_text
from measure import check, machine, parser, progress
from network import Network
from responders import SUITES, Pluto, Unavailable

FREQUENCY = 997
ROW, WIDTH, CHARACTER = 17, 1200, 6.6
DEEPEST = 120  # frames
THINNEST = 0.8  # of the picture's 1200 units: what is narrower is left out
# A stack counts for the first of these that fits any of its frames.
GROUPS = (("log", r"^log_thread$|^log$|^ike_sa_log$|^log_with_prefix$"),
          ("sendmmsg", r"^__x64_sys_sendm?msg"),
          ("recvmmsg", r"^__x64_sys_recvm?msg"),
          ("epoll", r"^__x64_sys_epoll|^epoll_wait$"),
          ("page faults of new memory", r"^(asm_)?exc_page_fault"),
          ("the rest of the kernel", r"_\[k\]$"),
          ("key exchange", r"^crypto_jobs?_run"),
          ("PRF, hashes, encryption", r"^(prf|prf_plus|prf_part|integ_\w+|encr_\w+|hash_\w+|keymat_\w+|auth_compute)$|IPSec_MB|libcrypto"),
          ("parsing", r"^(ike_)?(payload|message|header|sa_payload|ts_payload|sk_payload|proposal)\w*$"),
          ("tables, timers, memory", r"^(table|timer|slab|serial_tree|rcu)_\w+$|malloc|calloc|jemalloc|^free$"),
          ("answers of the kernel interface", r"^\w+_channel_poll$"),
          ("the rest of the daemon", r""))
# Its assembly has no sizes and few names: perf would name what stands before.
NAMELESS = ("libIPSec_MB",)
STYLE = """text { font: 11px monospace; fill: #1b1f24; pointer-events: none; } rect { stroke: #fff; stroke-width: .5; }
.head { font: 600 14px sans-serif; } .told { font: 12px sans-serif; } .paper { fill: #fcfcfb; stroke: none; }"""


class NoSamples(Exception):
    """perf cannot sample here, and what it said."""


# ---- recording -------------------------------------------------------------------

def record(pid, data, options):
    """Until it has sampled for the seconds that are wanted."""
    program = shutil.which("perf")
    if not program:
        raise NoSamples("perf is not installed (linux-perf)")
    graph = "dwarf,16384" if options.call_graph == "dwarf" else "fp"
    with subprocess.Popen([program, "record", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY), "--call-graph", graph, "-p",
                           str(pid), "-o", str(data)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as recorder:
        try:
            time.sleep(options.seconds)
        finally:
            recorder.send_signal(signal.SIGINT)
            try:
                said, _ = recorder.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                recorder.kill()
                said, _ = recorder.communicate()
    if not data.exists() or not data.stat().st_size:
        raise NoSamples(f"perf record said: {said.strip()[-400:]}")


def script(data):
    # --no-inline: addr2line for each address would take hours
    done = subprocess.run(["perf", "script", "-i", str(data), "--no-inline", "-F", "comm,ip,sym,dso"], text=True,
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=900, check=False)
    if done.returncode:
        raise NoSamples(f"perf script said: {done.stderr.strip()[-400:]}")
    return done.stdout


def samples(options):
    """What perf has seen, and the rate meanwhile."""
    suite = SUITES[options.suite]
    with Network() as network, tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        scratch = pathlib.Path(scratch)
        pluto = Pluto(network, scratch / "responder", options.build, options.tunnels, options.shards, options.nhelpers)
        stack.callback(pluto.stop)
        pluto.start(suite)
        cpu, started = pluto.cpu_s(), time.monotonic()
        # It is under way when the recording begins, and goes on behind its end.
        load = subprocess.Popen(command(network, options.build, suite, options.tunnels, "--in-flight",  # pylint: disable=consider-using-with
                                                 options.in_flight), stdout=subprocess.DEVNULL)
        stack.callback(load.wait)
        stack.callback(load.kill)
        time.sleep(0.5)
        record(pluto.process.pid, scratch / "data", options)
        early = load.poll() is not None
        cpu, seconds = pluto.cpu_s() - cpu, time.monotonic() - started
        up = int(pluto.statistics()["current.states.ipsec"])
        if early:
            progress("the load ended before the recording: --tunnels is too small for these --seconds")
        return script(scratch / "data"), {"tunnels": up, "seconds": seconds, "core_percent": cpu / seconds * 100}


# ---- folding ---------------------------------------------------------------------

FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \((.*)\)$")


def frame_name(symbol, binary):
    """Functions of the kernel end in _[k]."""
    symbol = re.sub(r"\+0x[0-9a-f]+$", "", symbol)
    if binary.startswith("[kernel") or binary.endswith(".ko") or binary == "[guest.kernel.kallsyms]":
        return symbol + "_[k]"
    library = pathlib.PurePath(binary).name
    if symbol == "[unknown]" or library.startswith(NAMELESS):
        return f"[{library}]"
    return symbol


def fold(text):
    """{(caller, ..., called): samples} of the output of `perf script -F comm,ip,sym,dso`."""
    folded, thread, frames = {}, None, []

    def end():
        if thread is not None:
            stack = (thread, *reversed(frames))
            folded[stack] = folded.get(stack, 0) + 1
    for line in text.splitlines() + [""]:
        found = FRAME.match(line)
        if found:
            frames.append(frame_name(*found.groups()))
        elif line.strip():
            end()
            thread, frames = line.strip(), []
        else:
            end()
            thread, frames = None, []
    return folded


def shares(folded):
    """[(what, share of all samples)] by GROUPS, the largest first."""
    counts = dict.fromkeys((name for name, _ in GROUPS), 0)
    for stack, n in folded.items():
        for name, pattern in GROUPS:
            if any(re.search(pattern, frame) for frame in stack):
                counts[name] += n
                break
    whole = max(sum(folded.values()), 1)
    rest = GROUPS[-1][0]
    return sorted(((name, n / whole) for name, n in counts.items() if n), key=lambda s: (s[0] == rest, -s[1]))


class Node:
    def __init__(self):
        self.count, self.inner = 0, {}

    def depth(self, thinnest):
        return 1 + max((node.depth(thinnest) for node in self.inner.values() if node.count >= thinnest), default=0)


def tree(folded):
    root = Node()
    for stack, n in folded.items():
        node = root
        node.count += n
        for frame in stack[:DEEPEST]:
            node = node.inner.setdefault(frame, Node())
            node.count += n
    return root


# ---- drawing ---------------------------------------------------------------------

def colour(name):
    """Warm for the daemon and its libraries, cool for the kernel; by name, so that two pictures compare."""
    shade = zlib.crc32(name.encode()) % 40
    return f"hsl({200 + shade},55%,{72 + shade % 7}%)" if name.endswith("_[k]") else f"hsl({18 + shade},85%,{66 + shade % 9}%)"


def draw_node(name, node, x, level, picture):
    unit, whole, bottom, thinnest = picture
    width, y = node.count * unit, bottom - ROW * (level + 1)
    share = f"{name}: {node.count / whole * 100:.1f} % ({node.count:,} samples)"
    drawn = [element("g", None, element("title", None, share), element(
        "rect", {"x": f"{x:.1f}", "y": y, "width": f"{width:.1f}", "height": ROW - 1, "fill": colour(name)}), label(name, x, y, width))]
    for inner, child in sorted(node.inner.items()):
        if child.count >= thinnest:
            drawn += draw_node(inner, child, x, level + 1, picture)
        x += child.count * unit
    return drawn


def label(name, x, y, width):
    room = int((width - 6) / CHARACTER)
    if room < 3:
        return None
    shown = name if len(name) <= room else name[:room - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return element("text", {"x": f"{x + 3:.1f}", "y": y + 12}, shown)


def flame(folded, title, told=""):
    """The picture, as an element."""
    root = tree(folded)
    whole = max(root.count, 1)
    unit = WIDTH / whole
    thinnest = THINNEST / unit
    lines = textwrap.wrap(told, 190)
    top = 36 + 16 * len(lines)
    bottom = top + ROW * root.depth(thinnest)
    drawn = []
    x = 0.0
    for name, node in sorted(root.inner.items()):
        if node.count >= thinnest:
            drawn += draw_node(name, node, x, 0, (unit, whole, bottom, thinnest))
        x += node.count * unit
    head = [element("style", None, STYLE), element("rect", {"width": "100%", "height": "100%", "class": "paper"}),
            element("text", {"x": 4, "y": 20, "class": "head"}, title),
            *(element("text", {"x": 4, "y": 40 + 16 * i, "class": "told"}, line) for i, line in enumerate(lines))]
    return svg(WIDTH, bottom + 6, title, told or title, *head, *drawn)


def main():
    p = parser(__doc__)
    p.add_argument("--suite", choices=SUITES, default="x25519")
    p.add_argument("--seconds", type=float, default=10, help="of sampling")
    p.add_argument("--tunnels", type=int, default=400000, help="that the load may set up meanwhile")
    p.add_argument("--in-flight", type=int, default=32)
    p.add_argument("--shards", type=int, default=1)
    p.add_argument("--nhelpers", type=int, default=0)
    p.add_argument("--call-graph", choices=("dwarf", "fp"), default="dwarf")
    p.add_argument("--output", type=pathlib.Path, default=pathlib.Path("flame.svg"))
    p.add_argument("--folded", type=pathlib.Path, help="the folded stacks, besides: caller;called N")
    options = p.parse_args()
    check(options, "src/pluto/pluto", "whack/whack", "whack/addconn", "perf/ike_load")
    about = machine()
    try:
        text, rate = samples(options)
        folded = fold(text)
        if not folded:
            raise NoSamples("perf has recorded, but seen nothing")
    except (NoSamples, Unavailable, LoadFailed, subprocess.SubprocessError) as e:
        sys.exit(f"flame.py: no samples: {e}")
    found = shares(folded)
    told = "; ".join(f"{name} {share * 100:.1f} %" for name, share in found)
    title = f"pluto as the responder of PSK {options.suite} at full load: {sum(folded.values()):,} samples of its CPU time"
    options.output.write_text(to_text(flame(folded, title, told)) + "\n", encoding="utf-8")
    if options.folded:
        options.folded.write_text("".join(f"{';'.join(stack)} {n}\n" for stack, n in sorted(folded.items())))
    report = {"benchmark": "flame", "machine": about, "suite": options.suite, "samples": sum(folded.values()), **rate,
              "shares": dict(found)}
    if options.report:
        options.report.write_text(json.dumps(report, indent=1) + "\n")
    if options.json:
        print(json.dumps(report, indent=1))
        return
    print(f"{rate['tunnels']:,} tunnels in {rate['seconds']:.1f} s, {rate['core_percent']:.0f} % of a core")
    for name, share in found:
        print(f"{share * 100:5.1f} %  {name}")
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
