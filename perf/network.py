"""Two network namespaces joined by a veth: clients by the thousand on one side, a responder on the other."""
import os
import subprocess

RESPONDER = "192.0.2.2"
CLIENT_SIDE = "192.0.2.1"
# All of it is local on the clients' side and behind a next hop from the responder's: a flat subnet
# of so many hosts would overflow the neighbour table.
SOURCES = "10.64.0.0/12"


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Network:
    def __init__(self):
        self.clients, self.responder = (f"perf-{side}-{os.getpid()}" for side in ("clients", "responder"))

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        for name in (self.clients, self.responder):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", "veth0", "netns", self.clients,
            "type", "veth", "peer", "name", "veth0", "netns", self.responder)
        for name, address in ((self.clients, CLIENT_SIDE), (self.responder, RESPONDER)):
            run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "veth0")
            run("ip", "-n", name, "link", "set", "veth0", "up")
        run("ip", "-n", self.clients, "route", "add", "local", SOURCES, "dev", "lo")
        run("ip", "-n", self.responder, "route", "add", SOURCES, "via", CLIENT_SIDE)

    def udp(self, namespace):
        """What the kernel counts of the UDP of all sockets there (the fields of /proc/net/snmp)."""
        text = subprocess.run(["ip", "netns", "exec", namespace, "cat", "/proc/net/snmp"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        names, values = (line.split()[1:] for line in text.splitlines() if line.startswith("Udp:"))
        return dict(zip(names, map(int, values)))

    def __exit__(self, *_):
        for name in (self.clients, self.responder):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
