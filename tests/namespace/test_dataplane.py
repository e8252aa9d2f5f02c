"""The dataplane without an IKE daemon: SAs and policies by hand, between two gateways.

  west host -- gw-west -- gw-east -- east host
"""
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from capture import Capture
from gateway import transfer
from lab import wait_for

OUTER = {4: ('192.0.2.1', '192.0.2.2', 24), 6: ('2001:db8::1', '2001:db8::2', 64)}
HOSTS = {4: ('10.1.0.10', '10.2.0.10'), 6: ('fd00:1::10', 'fd00:2::10')}
ROUTERS = {4: ('10.1.0.1', '10.2.0.1'), 6: ('fd00:1::1', 'fd00:2::1')}
SUBNETS = {4: ('10.1.0.0/24', '10.2.0.0/24'), 6: ('fd00:1::/64', 'fd00:2::/64')}
TRANSFORMS = {
    'aes_gcm_16_128': dict(encr=20, key=20),
    'aes_gcm_8_256': dict(encr=18, key=36),
    'chacha20_poly1305': dict(encr=28, key=36),
    'aes_cbc_128-sha1': dict(encr=12, key=16, integ=2, ikey=20),
    'aes_cbc_256-sha2_512': dict(encr=12, key=32, integ=14, ikey=64),
    'null-sha2_256': dict(encr=11, key=0, integ=12, ikey=32),
}


def driver_path():
    path = pathlib.Path(os.environ['PLUTONIUM_BUILD']) / 'tests/unit/dataplane/dataplane_driver'
    if not path.exists():
        pytest.skip('built without DPDK: no dataplane_driver')
    return path


class Driver:
    """A dataplane of its own process, told what to do by lines."""

    def __init__(self, lab, namespace, *options, ports=('wan=wan0', 'lan=lan0')):
        self.lines, self.events = [], []
        self.namespace = namespace
        log = open(lab.log_file(f'{namespace.name}.log'), 'ab')
        self.process = subprocess.Popen(['ip', 'netns', 'exec', namespace.name, str(driver_path()), *options, *ports],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        lab.processes.append(self.process)
        threading.Thread(target=self.read, daemon=True).start()
        wait_for('a dataplane that is ready', lambda: 'ready' in self.lines or self.process.poll() is not None)
        assert 'ready' in self.lines

    def read(self):
        for line in self.process.stdout:
            (self.events if line.startswith('event') else self.lines).append(line.strip())

    def tell(self, command, **words):
        """The line that answers."""
        seen = len(self.lines)
        text = ' '.join([command] + [f'{k}={v}' for k, v in words.items() if v is not None])
        self.process.stdin.write(text + '\n')
        self.process.stdin.flush()
        wait_for(f'an answer to {text}', lambda: len(self.lines) > seen)
        return self.lines[seen]

    def do(self, command, **words):
        answer = self.tell(command, **words)
        assert ' error=0 ' in answer, answer
        return dict(w.split('=') for w in answer.split()[1:])

    def stats(self):
        return {k: int(v) for k, v in (w.split('=') for w in self.tell('stats').split()[1:])}

    def cpu_seconds(self):
        fields = pathlib.Path(f'/proc/{self.process.pid}/stat').read_text().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Pair:
    def __init__(self, lab, *options, outer=4):
        self.lab, self.outer = lab, outer
        self.hosts = [lab.namespace(f'host-{side}') for side in ('west', 'east')]
        self.gateways = [lab.namespace(f'gw-{side}') for side in ('west', 'east')]
        for namespace in self.hosts + self.gateways:
            namespace.sysctl('net.ipv6.conf.default.accept_dad', 0)
        lab.veth(self.gateways[0], 'wan', self.gateways[1], 'wan')
        self.drivers = []
        for i in range(2):
            lab.veth(self.gateways[i], 'lan', self.hosts[i], 'eth0')
            self.drivers.append(Driver(lab, self.gateways[i], *options))
            self.addresses(i)
            self.hosts[i].address('eth0', f'{HOSTS[4][i]}/24', f'{HOSTS[6][i]}/64')
            self.hosts[i].ip('route', 'add', 'default', 'via', ROUTERS[4][i])
            self.hosts[i].ip('-6', 'route', 'add', 'default', 'via', ROUTERS[6][i])
        for i, gateway in enumerate(self.gateways):  # as an updown script would
            gateway.ip('route', 'add', SUBNETS[4][1 - i], 'via', OUTER[4][1 - i])
            gateway.ip('-6', 'route', 'add', SUBNETS[6][1 - i], 'via', OUTER[6][1 - i])

    def addresses(self, i):
        self.gateways[i].address('wan0', f'{OUTER[4][i]}/24', f'{OUTER[6][i]}/64')
        self.gateways[i].address('lan0', f'{ROUTERS[4][i]}/24', f'{ROUTERS[6][i]}/64')

    def watch(self):
        """AF_XDP takes frames before tcpdump sees them on their way in; on their way out it sees all."""
        self.captures = [Capture(self.lab, g, 'wan', 128, ('-Q', 'out')) for g in self.gateways]

    def kinds(self):
        return {kind for c in self.captures for kind in c.stop()}

    def ends(self, i):
        return dict(local=OUTER[self.outer][i], remote=OUTER[self.outer][1 - i])

    def selectors(self, i, inner, mode):
        of = SUBNETS[inner] if mode == 'tunnel' else [f'{a}/{32 if self.outer == 4 else 128}' for a in OUTER[self.outer]]
        return dict(lts=of[i], rts=of[1 - i])

    def sas(self, transform, inner=4, mode='tunnel', encapsulated=False, spi=0x1000, reqid=1, **more):
        t = TRANSFORMS[transform]
        port = 4500 if encapsulated else None
        for i, driver in enumerate(self.drivers):
            for direction in 'in', 'out':
                sender = i if direction == 'out' else 1 - i
                driver.do('sa', dir=direction, spi=spi + sender, mode=mode, encr=t['encr'],
                          key=bytes(range(sender, sender + t['key'])).hex() or None, integ=t.get('integ'),
                          ikey=bytes([sender + 9] * t.get('ikey', 0)).hex() or None, reqid=reqid, lport=port, rport=port,
                          window=128 if direction == 'in' else None, **self.ends(i), **self.selectors(i, inner, mode),
                          **more)

    def policies(self, inner=4, mode='tunnel', reqid=1, **more):
        for i, driver in enumerate(self.drivers):
            driver.do('policy', reqid=reqid, **self.selectors(i, inner, mode), **more)


@pytest.mark.parametrize('transform', TRANSFORMS)
@pytest.mark.parametrize('inner,outer,encapsulated', [(4, 4, False), (6, 6, True)])
def test_tunnel(lab, transform, inner, outer, encapsulated):
    pair = Pair(lab, outer=outer)
    pair.sas(transform, inner, encapsulated=encapsulated, esn=1 if inner == 6 else None)
    pair.policies(inner)
    pair.watch()
    pair.hosts[0].ping(HOSTS[inner][1])
    pair.hosts[1].ping(HOSTS[inner][0])
    pair.hosts[0].ping(ROUTERS[inner][1])
    transfer(pair.hosts[0], pair.hosts[1], HOSTS[inner][1])
    west, east = (d.stats() for d in pair.drivers)
    assert west['esp_out_packets'] > 1000
    assert 2 << 20 < west['esp_out_bytes']
    assert east['esp_in_packets'] <= west['esp_out_packets']
    for stats in west, east:
        assert stats['dropped_auth'] == stats['dropped_replay'] == stats['dropped_malformed'] == 0
    assert pair.kinds() <= {'esp-in-udp' if encapsulated else 'esp', 'arp', 'nd'}


@pytest.mark.parametrize('outer,encapsulated', [(4, False), (4, True), (6, False), (6, True)])
def test_transport(lab, outer, encapsulated):
    pair = Pair(lab, outer=outer)
    pair.sas('aes_gcm_16_128', mode='transport', encapsulated=encapsulated)
    pair.policies(mode='transport')
    pair.watch()
    pair.gateways[0].ping(OUTER[outer][1])
    transfer(pair.gateways[0], pair.gateways[1], OUTER[outer][1])
    assert pair.drivers[0].stats()['esp_out_packets'] > 1000
    assert pair.kinds() <= {'esp-in-udp' if encapsulated else 'esp', 'arp', 'nd'}


def test_two_lcores(lab):
    pair = Pair(lab, '--lcores', '2')
    pair.sas('aes_gcm_16_128')
    pair.policies()
    pair.watch()
    pair.hosts[0].ping(HOSTS[4][1], count=20)
    transfer(pair.hosts[0], pair.hosts[1], HOSTS[4][1], megabytes=20)
    transfer(pair.hosts[1], pair.hosts[0], HOSTS[4][0], megabytes=20)
    stats = [d.stats() for d in pair.drivers]
    assert all(s['dropped_replay'] == s['dropped_auth'] == 0 for s in stats)
    assert pair.kinds() <= {'esp', 'arp', 'nd'}
    # Whatever went wrong on the way, no buffer is lost.
    time.sleep(0.3)
    pair.hosts[0].ping(HOSTS[4][1])
    assert abs(pair.drivers[0].stats()['buffers_free'] - stats[0]['buffers_free']) < 200


def test_nothing_in_clear_without_an_sa(lab):
    pair = Pair(lab)
    pair.gateways[0].sysctl('net.ipv4.ip_forward', 1)
    pair.policies(trap=1)
    pair.watch()
    assert pair.hosts[0].ping(HOSTS[4][1], count=20, check=False) == 0
    assert pair.drivers[0].stats()['dropped_no_sa'] == 20
    acquires = [e for e in pair.drivers[0].events if e.startswith('event acquire')]
    assert 1 <= len(acquires) <= 4
    assert f'lts={HOSTS[4][0]}/32/ICMP/2048 rts={HOSTS[4][1]}/32/ICMP/2048' in acquires[0]
    pair.sas('aes_gcm_16_128')
    pair.hosts[0].ping(HOSTS[4][1])
    # An SA that goes while packets flow.
    flood = pair.hosts[0].start('ping', '-n', '-q', '-i', '0.002', '-c', '400', HOSTS[4][1])
    time.sleep(0.2)
    pair.drivers[0].do('delete', dir='out', spi='0x1000', remote=OUTER[4][1], reqid=1)
    flood.wait(20)
    assert pair.drivers[0].stats()['dropped_no_sa'] > 100
    assert pair.kinds() <= {'esp', 'arp', 'nd'}
    # The policy gone as well, the kernel forwards.
    assert pair.hosts[0].ping(HOSTS[4][1], check=False) == 0
    for i, driver in enumerate(pair.drivers):
        driver.do('unpolicy', reqid=1, **pair.selectors(i, 4, 'tunnel'))
    pair.gateways[1].sysctl('net.ipv4.ip_forward', 1)
    pair.hosts[0].ping(HOSTS[4][1])


def test_clear_packets_from_outside_are_dropped(lab):
    pair = Pair(lab)
    pair.sas('aes_gcm_16_128')
    for namespace in pair.gateways:
        namespace.sysctl('net.ipv4.ip_forward', 1)
    pair.drivers[0].do('policy', reqid=1, **pair.selectors(0, 4, 'tunnel'))  # east knows no policy: it sends in clear
    assert pair.hosts[1].ping(HOSTS[4][0], check=False) == 0
    assert pair.hosts[1].ping(ROUTERS[4][0], check=False) == 0
    assert pair.drivers[0].stats()['dropped_clear'] == 6


def test_path_mtu(lab):
    pair = Pair(lab)
    pair.sas('aes_cbc_128-sha1')
    pair.policies()
    # What may not be cut is answered; the host learns the size, and sends smaller packets from then on.
    assert pair.hosts[0].ping(HOSTS[4][1], size=1472, check=False) < 3
    assert 'mtu 14' in pair.hosts[0].ip('route', 'get', HOSTS[4][1]).stdout
    pair.hosts[0].ping(HOSTS[4][1], size=1472)
    # What may be cut is.
    pair.hosts[1].sysctl('net.ipv4.ip_no_pmtu_disc', 1)
    pair.hosts[1].ping(HOSTS[4][0], size=1472)
    pair.hosts[1].ping(HOSTS[4][0], size=4000)
    assert pair.drivers[1].stats()['dropped_no_buffer'] == 0


def test_hub(lab):
    """Out of one tunnel into another: east reaches 10.3.0.0/24, which is at its own end as well, through west."""
    pair = Pair(lab)
    hub, spoke = pair.drivers
    key, there, back = bytes(range(20)).hex(), dict(lts='10.2.0.0/24', rts='10.3.0.0/24'), \
        dict(lts='10.3.0.0/24', rts='10.2.0.0/24')
    for driver, ends, to_hub, from_hub in (hub, pair.ends(0), ('in', back), ('out', there)), \
            (spoke, pair.ends(1), ('out', there), ('in', back)):
        for spi, (direction, ts) in (0x5000, to_hub), (0x5001, from_hub):
            driver.do('sa', dir=direction, spi=spi, encr=20, key=key, reqid=spi, **ts, **ends)
    hub.do('policy', reqid=0x5001, **there)
    spoke.do('policy', reqid=0x5000, **there)
    # Nobody is there: three hops are enough to come back once, and end the packet there.
    pair.hosts[1].run('ping', '-n', '-c', '2', '-t', '3', '-W', '1', '10.3.0.1', check=False)
    for driver, direction, spi, remote in (spoke, 'out', 0x5000, 0), (hub, 'in', 0x5000, 1), \
            (hub, 'out', 0x5001, 1), (spoke, 'in', 0x5001, 0):
        counters = driver.do('query', dir=direction, spi=spi, remote=OUTER[4][remote], reqid=spi)
        assert counters['packets'] == '2' and counters['bytes'] == '168', (direction, spi, counters)


def test_neighbours_and_addresses_change(lab):
    pair = Pair(lab)
    pair.sas('aes_gcm_16_128')
    pair.policies()
    pair.hosts[0].ping(HOSTS[4][1])
    # The host behind the other gateway gets another network card.
    pair.hosts[1].ip('link', 'set', 'eth0', 'address', '02:aa:bb:cc:dd:ee')
    pair.hosts[1].ip('route', 'replace', 'default', 'via', ROUTERS[4][1])
    pair.hosts[1].ping(ROUTERS[4][1], count=1)
    pair.hosts[0].ping(HOSTS[4][1])
    # A new subnet on the LAN, by a route that did not exist.
    pair.hosts[1].address('eth0', '10.2.0.200/24')
    pair.gateways[1].ip('neigh', 'flush', 'dev', 'lan0')
    assert pair.hosts[0].ping('10.2.0.200', count=5, check=False) >= 4
    # Without its address the gateway is deaf for ESP; with it, it hears again.
    pair.gateways[1].ip('address', 'del', f'{OUTER[4][1]}/24', 'dev', 'wan0')
    assert pair.hosts[0].ping(HOSTS[4][1], check=False) == 0
    pair.gateways[1].address('wan0', f'{OUTER[4][1]}/24')
    pair.hosts[0].ping(HOSTS[4][1])


def test_idle_costs_nothing_and_wakes_at_once(lab):
    pair = Pair(lab)
    pair.sas('aes_gcm_16_128')
    pair.policies()
    pair.hosts[0].ping(HOSTS[4][1], count=20)
    before = [d.cpu_seconds() for d in pair.drivers]
    time.sleep(4)
    for driver, start in zip(pair.drivers, before):
        assert (driver.cpu_seconds() - start) / 4 < 0.03
    started = time.monotonic()
    pair.hosts[0].ping(HOSTS[4][1], count=1)
    assert time.monotonic() - started < 1


def test_a_killed_dataplane_starts_again(lab):
    pair = Pair(lab)
    for how in signal.SIGKILL, signal.SIGKILL:
        pair.lab.stop(pair.drivers[0].process, how)
        pair.drivers[0] = Driver(lab, pair.gateways[0])
        pair.addresses(0)
        pair.gateways[0].ping(OUTER[4][1])
    assert pair.drivers[0].process.poll() is None
    pair.drivers[0].process.stdin.write('quit\n')
    pair.drivers[0].process.stdin.flush()
    assert pair.drivers[0].process.wait(10) == 0
    assert 'wan0' not in pair.gateways[0].run('ls', '/sys/class/net', check=False).stdout.split() or \
        'does not exist' in pair.gateways[0].ip('link', 'show', 'wan0', check=False).stdout


def test_errors_are_an_operators(lab):
    gateway = lab.namespace('gw')
    for ports, words in ((['nowhere=wan0'], 'no interface "nowhere"'),
                         (['net_nonsense,x=y'], 'net_nonsense'), ([], '0 ports')):
        answer = gateway.run(driver_path(), *ports, check=False)
        assert answer.returncode == 1 and words in answer.stdout, answer.stdout


def test_bad_requests_are_answered(lab):
    pair = Pair(lab)
    driver = pair.drivers[0]
    good = dict(dir='in', spi='0x1000', encr=20, key='00' * 20, lts='10.1.0.0/24', rts='10.2.0.0/24', **pair.ends(0))
    for change in (dict(spi=5), dict(key='00' * 19), dict(encr=99), dict(window=100000), dict(remote='2001:db8::2'),
                   dict(lport=4500)):
        assert ' error=0 ' not in driver.tell('sa', **{**good, **change})
    driver.do('sa', **good)
    assert ' error=17 ' in driver.tell('sa', **good)  # EEXIST
    for command in 'query', 'move', 'delete':
        assert ' error=3 ' in driver.tell(command, dir='out', spi='0x4444', **pair.ends(0))  # ESRCH
    assert ' error=2 ' in driver.tell('unpolicy', reqid=5, lts='10.0.0.0/8', rts='10.0.0.0/8')  # ENOENT
    assert ' error=22 ' in driver.tell('policy', reqid=5, lts='10.0.0.0/8', rts='fd00::/8')  # EINVAL
