"""Runs ike_load in the clients' namespace and reads what it reports."""
import json
import subprocess

from certificates import CLIENT_ID
from network import RESPONDER, SOURCES
from responders import CLIENTS_INNER, INNER, RESPONDER_ID, SECRET


class LoadFailed(Exception):
    pass


def authentication(suite, certificates):
    """All clients share one certificate, and so one identity."""
    if not suite.key:
        return ["--psk", SECRET]
    return ["--auth", suite.auth, "--nssdir", str(certificates.nss), "--cert", "client", "--id-pattern", f"@{CLIENT_ID}"]


def command(network, build, suite, tunnels, *options, certificates=None):
    return ["ip", "netns", "exec", network.clients, str(build / "perf/ike_load"), "--responder", RESPONDER,
            "--source-prefix", SOURCES, "--ike", suite.ike, "--esp", suite.esp,
            "--remote-net", INNER, "--client-net", CLIENTS_INNER, "--remote-id", f"@{RESPONDER_ID}",
            "--tunnels", str(tunnels), "--json", *map(str, options), *authentication(suite, certificates)]


def run_load(network, build, suite, tunnels, *options, timeout_s=300, certificates=None):
    """One JSON object a phase."""
    done = subprocess.run(command(network, build, suite, tunnels, "--timeout", timeout_s, *options,
                                  certificates=certificates), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout_s + 120, check=False)
    phases = {p["phase"]: p for p in map(json.loads, done.stdout.splitlines())}
    if "setup" not in phases:
        raise LoadFailed(f"ike_load said: {done.stderr.strip()[-400:]}")
    return phases


class HeldLoad:
    """A load that stays up until it is told to go."""

    def __init__(self, network, build, suite, tunnels, *options, timeout_s=300):
        self.process = subprocess.Popen(
            command(network, build, suite, tunnels, "--timeout", timeout_s, "--hold", 86000, *options), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise LoadFailed(f"ike_load said: {self.process.communicate()[1].strip()[-400:]}")
        self.setup = json.loads(line)

    def release(self, timeout_s=300):
        """Ends the hold; the phases that follow it."""
        if self.process.poll() is None:
            self.process.terminate()
        rest, _ = self.process.communicate(timeout=timeout_s)
        return {p["phase"]: p for p in map(json.loads, rest.splitlines())}

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
