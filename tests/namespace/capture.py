"""What goes over a device, by tcpdump."""
import collections
import pathlib
import signal
import sys

from lab import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'scripts'))
import wire  # noqa: E402


class Capture:
    def __init__(self, lab, namespace, device, snap=128, condition=()):
        self.lab = lab
        self.file = lab.directory / f'{namespace.name}-{device}.pcap'
        said = self.file.with_suffix('.said')
        self.process = namespace.start('tcpdump', '-n', '-i', device, '--immediate-mode', '-s', snap, '-B', 65536,
                                       '-w', self.file, *condition, log=said)
        wait_for('tcpdump listens', lambda: 'listening on' in said.read_text())

    def stop(self):
        """{kind: how many packets}"""
        self.lab.stop(self.process, signal.SIGINT)
        return collections.Counter(packet.kind for packet in self.packets())

    def packets(self):
        return wire.packets(self.file)
