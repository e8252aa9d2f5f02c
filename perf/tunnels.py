#!/usr/bin/python3
"""What a tunnel costs between two plutos: N tunnels, one as the initiator with N connections, the other with a template.

Neither installs SAs (--use-none): what is measured is IKE. CPU of each side, tunnels a second with both on
this machine, resident bytes, and how the tunnels spread over the shards.

    perf/tunnels.py [--tunnels 10000] [--shards 1] [--suite x25519] [--json]
"""
import contextlib
import pathlib
import shutil
import sys
import tempfile
import time

from measure import check, hand_in, parser
from network import CLIENT_SIDE, RESPONDER, Network
from responders import INNER, SUITES, Pluto

# How many negotiations are under way at once. 200 overflow the default socket buffers, and then it is the retransmission
# timer that is measured.
WAVE = 100


class Initiator(Pluto):
    def __init__(self, network, *arguments, **options):
        super().__init__(network, *arguments, **options)
        self.namespace = network.clients


def initiator_config(suite, tunnels):
    return "".join(f"""conn t{n}
\tconnalias=wave{n // WAVE}
\tleft={CLIENT_SIDE}
\tleftid=@client{n}
\tleftsubnet=10.{128 + (n >> 16)}.{n >> 8 & 255}.{n & 255}/32
\tright={RESPONDER}
\trightid=@responder
\trightsubnet={INNER}
\tauthby=secret
\tike={suite.ike}
\tesp={suite.esp}
\tauto=add
""" for n in range(tunnels))


def keep_logs(scratch, target):
    target.mkdir(parents=True, exist_ok=True)
    for log in scratch.glob("*/log"):
        shutil.copy(log, target / f"{log.parent.name}.log")


def measure(options):
    suite = SUITES[options.suite]
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network())
        scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.keep_logs:
            stack.callback(keep_logs, scratch, options.keep_logs)
        sides = {"initiator": Initiator, "responder": Pluto}
        for name, kind in sides.items():
            sides[name] = kind(network, scratch / name, options.build, options.tunnels, options.shards, options.nhelpers)
            stack.callback(sides[name].stop)
        sides["initiator"].start_with(initiator_config(suite, options.tunnels))
        sides["responder"].start(suite)
        before = {name: (p.cpu_s(), p.resident()) for name, p in sides.items()}
        started = time.monotonic()
        for wave in range((options.tunnels + WAVE - 1) // WAVE):
            sides["initiator"].tool("whack", "--initiate", "--name", f"wave{wave}")
        elapsed = time.monotonic() - started
        after = {name: (p.cpu_s(), p.resident()) for name, p in sides.items()}
        statistics = sides["responder"].statistics()
        loaded = sides["initiator"].load_seconds
    up = int(statistics["current.states.ipsec"])
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
    for name in sides:
        result[f"{name}_cpu_ms_per_tunnel"] = (after[name][0] - before[name][0]) * 1000 / max(up, 1)
        result[f"{name}_bytes_per_tunnel"] = (after[name][1] - before[name][1]) / max(up, 1)
    return result


def main():
    p = parser(__doc__)
    p.add_argument("--tunnels", type=int, default=10000)
    p.add_argument("--shards", type=int, default=1)
    p.add_argument("--nhelpers", type=int, default=0)
    p.add_argument("--suite", choices=SUITES, default="x25519")
    p.add_argument("--keep-logs", type=pathlib.Path)
    options = p.parse_args()
    check(options, "src/pluto/pluto", "whack/whack", "whack/addconn")
    result = measure(options)
    if not hand_in(options, result):
        for key, value in result.items():
            print(f"{key:32} {value:.3f}" if isinstance(value, float) else f"{key:32} {value}")
    sys.exit(0 if result["established"] == options.tunnels else 1)


if __name__ == "__main__":
    main()
