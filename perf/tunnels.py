#!/usr/bin/python3
"""What a tunnel costs: two plutos in two network namespaces, N tunnels between them.

One is the initiator with N connections, the other a responder with one template. Neither installs
SAs (--use-none): what is measured is IKE. Prints CPU time per tunnel of each side (from the
process clocks), tunnels per second with both sides on this machine, and resident bytes per tunnel.

    perf/tunnels.py [--tunnels 10000] [--shards 1] [--ike PROPOSAL] [--build build] [--json]
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# How many negotiations are under way at once: more only fills the default socket buffers.
WAVE = 200


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Network:
    """Two namespaces and a veth between them."""

    def __init__(self):
        self.names = [f"perf-{side}-{os.getpid()}" for side in ("i", "r")]

    def __enter__(self):
        i, r = self.names
        for name in self.names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", "veth0", "netns", i, "type", "veth", "peer", "name", "veth0", "netns", r)
        for name, address in zip(self.names, ("192.0.2.1/24", "192.0.2.2/24")):
            run("ip", "-n", name, "addr", "add", address, "dev", "veth0")
            run("ip", "-n", name, "link", "set", "veth0", "up")
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


class Pluto:
    """A daemon in a namespace, with its run directory."""

    def __init__(self, build, namespace, directory, shards, nhelpers, config):
        self.build, self.namespace, self.directory = build, namespace, directory
        directory.mkdir()
        (directory / "ipsec.secrets").write_text(': PSK "one key for all of this measurement"\n')
        (directory / "ipsec.conf").write_text(config)
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, build / "src/pluto/pluto", "--nofork", "--use-none",
             "--rundir", directory, "--secretsfile", directory / "ipsec.secrets",
             "--logfile", directory / "log", "--shards", str(shards), "--nhelpers", str(nhelpers)])
        deadline = time.monotonic() + 10
        while not (directory / "pluto.ctl").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"pluto did not start; see {directory}/log")
            time.sleep(0.05)

    def tool(self, name, *arguments, check=True):
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, self.build / "whack" / name, *arguments,
             "--ctlsocket", self.directory / "pluto.ctl"],
            check=check, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout

    def load(self):
        self.tool("addconn", "--config", self.directory / "ipsec.conf", "--autoall")

    def listen(self):
        self.tool("whack", "--listen")

    def statistics(self):
        lines = self.tool("whack", "--globalstatus").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def responder_config(options):
    return f"""conn template
\tleft=192.0.2.2
\tleftid=@responder
\tleftsubnet=10.0.0.0/16
\tright=%any
\trightid=%any
\trightsubnet=10.128.0.0/9
\tnarrowing=yes
\tauthby=secret
\tike={options.ike}
\tesp={options.esp}
\tauto=add
"""


def initiator_config(options):
    conns = []
    for n in range(options.tunnels):
        address = f"10.{128 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"
        conns.append(f"""conn t{n}
\tconnalias=wave{n // WAVE}
\tleft=192.0.2.1
\tleftid=@client{n}
\tleftsubnet={address}/32
\tright=192.0.2.2
\trightid=@responder
\trightsubnet=10.0.0.0/16
\tauthby=secret
\tike={options.ike}
\tesp={options.esp}
\tauto=add
""")
    return "".join(conns)


def keep_logs(scratch, target):
    target.mkdir(parents=True, exist_ok=True)
    for log in scratch.glob("*/log"):
        shutil.copy(log, target / f"{log.parent.name}.log")


def measure(options):
    with Network() as network, tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        initiator = Pluto(options.build, network.names[0], scratch / "i", options.shards,
                          options.nhelpers, initiator_config(options))
        responder = Pluto(options.build, network.names[1], scratch / "r", options.shards,
                          options.nhelpers, responder_config(options))
        try:
            loaded = time.monotonic()
            initiator.load()
            loaded = time.monotonic() - loaded
            responder.load()
            initiator.listen()
            responder.listen()
            before = [(p.cpu_s(), p.resident()) for p in (initiator, responder)]
            started = time.monotonic()
            for wave in range((options.tunnels + WAVE - 1) // WAVE):
                initiator.tool("whack", "--initiate", "--name", f"wave{wave}")
            elapsed = time.monotonic() - started
            after = [(p.cpu_s(), p.resident()) for p in (initiator, responder)]
            statistics = responder.statistics()
            up = int(statistics["current.states.ipsec"])
        finally:
            if options.keep_logs:
                keep_logs(scratch, options.keep_logs)
            initiator.stop()
            responder.stop()
    result = {
        "tunnels": options.tunnels,
        "established": up,
        "seconds": elapsed,
        "tunnels_per_second": up / elapsed,
        "connections_loaded_per_second": options.tunnels / loaded,
        "handed_over": sum(int(v) for k, v in statistics.items() if k.endswith(".handed_over")),
        "per_shard": [int(v) for k, v in statistics.items()
                      if k.startswith("plutonium.shard.") and k.endswith(".ike_sas")],
    }
    for side, b, a in zip(("initiator", "responder"), before, after):
        result[f"{side}_cpu_ms_per_tunnel"] = (a[0] - b[0]) * 1000 / max(up, 1)
        result[f"{side}_bytes_per_tunnel"] = (a[1] - b[1]) / max(up, 1)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tunnels", type=int, default=10000)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--nhelpers", type=int, default=0)
    parser.add_argument("--ike", default="aes_gcm128-sha2_256;dh31")
    parser.add_argument("--esp", default="aes_gcm128")
    parser.add_argument("--build", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent / "build")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep-logs", type=pathlib.Path)
    options = parser.parse_args()
    result = measure(options)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        for key, value in result.items():
            print(f"{key:32} {value:.3f}" if isinstance(value, float) else f"{key:32} {value}")
    sys.exit(0 if result["established"] == options.tunnels else 1)


if __name__ == "__main__":
    main()
