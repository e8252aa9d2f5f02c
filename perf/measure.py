"""What the benchmarks have in common: medians with spread, tables, the machine, the command line."""
import argparse
import json
import os
import pathlib
import platform
import signal
import statistics
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent


class Figure:
    """Several measurements of one thing."""

    def __init__(self, values):
        self.values = [v for v in values if v is not None]

    def json(self):
        if not self.values:
            return None
        return {"median": statistics.median(self.values), "min": min(self.values), "max": max(self.values),
                "runs": len(self.values)}

    def text(self, digits):
        if not self.values:
            return "-"
        middle, low, high = (f"{v:,.{digits}f}" for v in
                             (statistics.median(self.values), min(self.values), max(self.values)))
        return middle if low == high else f"{middle} ({low}-{high})"


def table(head, rows):
    """Aligned columns; the first one to the left."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip(), flush=True)


# Those that the lanes, the ciphers and the hashes run on.
FLAGS = ("aes", "sha_ni", "bmi2", "adx", "avx2", "avx512f", "avx512ifma", "vaes", "vpclmulqdq", "gfni",
         "hypervisor")


def proc_field(file, name):
    """The first value of a `name: value` file of /proc; empty when it is not there."""
    for line in pathlib.Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def machine():
    flags = proc_field("/proc/cpuinfo", "flags").split()
    memory = proc_field("/proc/meminfo", "MemTotal").split()
    return {"cpu": proc_field("/proc/cpuinfo", "model name") or "?", "cores": os.cpu_count(),
            "flags": [f for f in FLAGS if f in flags],
            "memory": f"{int(memory[0]) / (1 << 20):.1f} GiB" if memory else "?",
            "kernel": platform.release(), "load_before": os.getloadavg()[0]}


def parser(text):
    p = argparse.ArgumentParser(description=text.splitlines()[0])
    p.add_argument("--build", type=pathlib.Path, default=TOP / "build", help="where it is built (build/)")
    p.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    p.add_argument("--report", type=pathlib.Path, metavar="FILE", help="the JSON object into a file, besides")
    return p


def check(options, *programs):
    # So that what the run has made goes, as on ^C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid() != 0:
        sys.exit("must run as root: it makes network namespaces")
    options.build = options.build.resolve()
    for program in programs:
        if not (options.build / program).exists():
            sys.exit(f"{options.build / program} is not built: ./quickstart build")


def progress(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def hand_in(options, report):
    """Writes the report where it is wanted. False: a table is wanted too."""
    if options.report:
        options.report.write_text(json.dumps(report, indent=1) + "\n")
    if options.json:
        print(json.dumps(report, indent=1))
    return options.json
