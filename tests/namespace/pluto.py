"""pluto in a namespace and whack beside it."""
import dataclasses
import os
import re
import signal
import subprocess
import time

from lab import wait_for


def program(path):
    return os.path.join(os.environ['PLUTONIUM_BUILD'], path)


@dataclasses.dataclass
class Answer:
    status: int
    text: str    # stdout
    errors: str  # stderr

    @property
    def lines(self):
        return self.text.splitlines()

    def __contains__(self, pattern):
        """Is there a line that the regular expression matches from its start?"""
        return any(re.match(pattern, line) for line in self.lines)

    def find(self, pattern):
        found = re.search(pattern, self.text, re.MULTILINE)
        assert found, f'no {pattern!r} in:\n{self.text}{self.errors}'
        return found


class Pluto:
    """secrets: lines of ipsec.secrets. ports: {veth: twin} for the DPDK dataplane; without any, --use-none."""

    def __init__(self, lab, namespace, secrets, *options, name='pluto', ports=None, wait=True):
        self.lab, self.namespace, self.name = lab, namespace, name
        self.rundir = lab.directory / name
        self.rundir.mkdir(exist_ok=True)
        self.log = lab.log_file(f'{name}.log')
        self.secrets = self.rundir / 'ipsec.secrets'
        self.secrets.write_text(secrets)
        self.secrets.chmod(0o600)
        self.ports = ports or {}
        self.command = [program('src/pluto/pluto'), '--nofork', '--rundir', self.rundir, '--secretsfile', self.secrets,
                        '--logfile', self.log, '--use-dpdk' if ports else '--use-none']
        for device, twin in self.ports.items():
            self.command += ['--dataplane-port', f'{device}={twin}']
        self.command += options
        self.process = None
        self.start(wait)

    def start(self, wait=True):
        self.process = self.namespace.start(*self.command, log=self.rundir / 'output')
        self.lab.logs.append(self.rundir / 'output')
        if wait:
            wait_for(f'{self.name} serves whack', self.serves, timeout=20)

    def serves(self):
        assert self.process.poll() is None, \
            f'{self.name} ended with status {self.process.returncode}: {(self.rundir / "output").read_text()}'
        return self.whack('--briefstatus').status == 0

    @property
    def pid(self):
        return self.process.pid

    def whack_command(self, *arguments):
        return [program('whack/whack'), '--rundir', str(self.rundir), *map(str, arguments)]

    def whack(self, *arguments, timeout=30, status=None):
        """Runs whack to its end. With `status`: it must be this exit status."""
        done = subprocess.run(self.whack_command(*arguments), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors='replace', timeout=timeout)
        answer = Answer(done.returncode, done.stdout, done.stderr)
        if status is not None:
            assert answer.status == status, \
                f'whack {" ".join(map(str, arguments))}: status {answer.status}, not {status}\n{answer.text}{answer.errors}'
        return answer

    def whack_start(self, *arguments):
        process = subprocess.Popen(self.whack_command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.lab.processes.append(process)
        return process

    def listen(self):
        return self.whack('--listen', status=0)

    def counters(self):
        """--globalstatus as a dictionary; what it leaves out is 0."""
        pairs = (line.split('=', 1) for line in self.whack('--globalstatus', status=0).lines)
        return Counters((key, int(value)) for key, value in pairs)

    def shards(self, key):
        """A counter of every shard."""
        counters = self.counters()
        return [counters[f'plutonium.shard.{i}.{key}'] for i in range(counters['plutonium.shards'])]

    def traffic(self, connection):
        """[(bytes in, bytes out)] of the connection's Child SAs."""
        text = self.whack('--trafficstatus', '--name', connection, status=0).text
        return [(int(i), int(o)) for i, o in re.findall(r'inBytes=(\d+), outBytes=(\d+)', text)]

    def log_text(self):
        return self.log.read_text(errors='replace') if self.log.exists() else ''

    def wait_log(self, pattern, timeout=10):
        return wait_for(f'{pattern!r} in {self.name}\'s log',
                        lambda: re.search(pattern, self.log_text(), re.MULTILINE), timeout)

    def wait_counter(self, key, value, timeout=10):
        wait_for(f'{self.name}: {key}={value}', lambda: self.counters()[key] == value, timeout)

    def resident_kb(self):
        with open(f'/proc/{self.pid}/status', encoding='ascii') as status:
            return int(re.search(r'VmRSS:\s+(\d+)', status.read()).group(1))

    def cpu_seconds(self):
        with open(f'/proc/{self.pid}/stat', encoding='ascii') as stat:
            fields = stat.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def alive(self):
        return self.process.poll() is None

    def shutdown(self, timeout=20):
        """By whack; the daemon's exit status."""
        self.whack('--shutdown', status=0, timeout=timeout)
        return self.process.wait(timeout)

    def kill(self):
        return self.lab.stop(self.process, signal.SIGKILL)


class Counters(dict):
    def __missing__(self, key):
        return 0


def tunnel(name, local, remote, *options):
    """whack's description of a PSK tunnel; an end: (host, id, subnet)."""
    def end(host, identity, subnet):
        return ['--id', identity, '--host', host, *(['--client', subnet] if subnet else [])]
    return ['--name', name, *end(*local), '--to', *end(*remote), '--psk', '--encrypt', '--tunnel', *options]


def timed(call):
    """(seconds, result)"""
    start = time.monotonic()
    result = call()
    return time.monotonic() - start, result
