"""Network namespaces, processes and files of one test: made with it, gone after it."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

PREFIX = 'plt'


def run(*command, check=True, timeout=30, env=None):
    """Runs to the end; the result has .returncode and .stdout, with stderr in it."""
    result = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors='replace', timeout=timeout, env=env)
    if check and result.returncode != 0:
        raise AssertionError(f'{" ".join(map(str, command))}: status {result.returncode}\n{result.stdout}')
    return result


def wait_for(what, condition, timeout=10, interval=0.02):
    """The condition's first true value; an AssertionError that names what did not come."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'not within {timeout} s: {what}')
        time.sleep(interval)


def pid_alive(pid):
    return pathlib.Path(f'/proc/{pid}').exists()


def remove_stale():
    """Namespaces of test runs that were killed before they could tidy up."""
    for line in run('ip', 'netns', 'list').stdout.splitlines():
        name = line.split()[0] if line.split() else ''
        pid = name.removeprefix(PREFIX).split('-')[0]
        if name.startswith(PREFIX) and pid.isdigit() and not pid_alive(pid):
            for orphan in run('ip', 'netns', 'pids', name, check=False).stdout.split():
                with contextlib.suppress(ProcessLookupError, ValueError):
                    os.kill(int(orphan), signal.SIGKILL)
            run('ip', 'netns', 'del', name, check=False)


class Namespace:
    def __init__(self, lab, name):
        self.lab = lab
        self.name = f'{PREFIX}{os.getpid()}-{name}'
        run('ip', 'netns', 'add', self.name)
        self.ip('link', 'set', 'lo', 'up')
        self.sysctl('net.ipv4.conf.all.rp_filter', 0)
        self.sysctl('net.ipv4.conf.default.rp_filter', 0)

    def run(self, *command, **options):
        return run('ip', 'netns', 'exec', self.name, *command, **options)

    def ip(self, *arguments, **options):
        return run('ip', '-n', self.name, *arguments, **options)

    def sysctl(self, key, value):
        self.run('sysctl', '-q', '-w', f'{key}={value}')

    def nft(self, commands):
        self.run('nft', commands)

    def start(self, *command, log=None, env=None):
        """A process of the lab: ended with it at the latest."""
        with open(log or os.devnull, 'ab') as out:
            process = subprocess.Popen(['ip', 'netns', 'exec', self.name, *map(str, command)],
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
        self.lab.processes.append(process)
        return process

    def address(self, device, *addresses):
        for address in addresses:
            self.ip('address', 'add', address, 'dev', device, *(['nodad'] if ':' in address else []))
        self.ip('link', 'set', device, 'up')

    def ping(self, target, source=None, count=3, size=56, check=True):
        """How many answers came."""
        command = ['ping', '-n', '-q', '-c', count, '-i', '0.05', '-W', '2', '-s', size]
        out = self.run(*command, *(['-I', source] if source else []), target, check=False, timeout=60).stdout
        received = next((int(w.split()[0]) for w in out.split(',') if 'received' in w), 0)
        if check:
            assert received == count, f'{self.name}: ping {target}\n{out}'
        return received


class Lab:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f'{PREFIX}{os.getpid()}-'))
        self.processes = []
        self.namespaces = {}
        self.logs = []

    def namespace(self, name):
        self.namespaces[name] = Namespace(self, name)
        return self.namespaces[name]

    def veth(self, a, device_a, b, device_b):
        """Two ends, up; the kernel does no checksum or segment work that a user-space end would miss."""
        run('ip', 'link', 'add', device_a, 'netns', a.name, 'type', 'veth',
            'peer', 'name', device_b, 'netns', b.name)
        for namespace, device in (a, device_a), (b, device_b):
            namespace.run('ethtool', '-K', device, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off')
            namespace.ip('link', 'set', device, 'up')

    def log_file(self, name):
        path = self.directory / name
        self.logs.append(path)
        return path

    def stop(self, process, how=signal.SIGTERM, timeout=5):
        """The exit status; a process that does not end is killed and the status says so."""
        if process.poll() is None:
            process.send_signal(how)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def close(self):
        for process in reversed(self.processes):
            self.stop(process, signal.SIGKILL)
        for namespace in self.namespaces.values():
            run('ip', 'netns', 'del', namespace.name, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
