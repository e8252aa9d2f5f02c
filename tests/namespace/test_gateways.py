"""Two gateways of ours on the DPDK dataplane: address families, modes, ciphers, and what must never leave in clear.

  west host -- gw-west -- wire -- gw-east -- east host
"""
import time

import pytest

from capture import Capture
from gateway import transfer
from lab import wait_for
from pluto import Pluto, tunnel

SECRETS = '@west @east : PSK "a preshared key of good length"\n'
OUTER = {4: ('192.0.2.1', '192.0.2.2', 24), 6: ('2001:db8::1', '2001:db8::2', 64)}
# the host, its gateway, the subnet
INNER = {4: [('10.1.0.10', '10.1.0.1', '10.1.0.0/24'), ('10.2.0.10', '10.2.0.1', '10.2.0.0/24')],
         6: [('fd00:1::10', 'fd00:1::1', 'fd00:1::/64'), ('fd00:2::10', 'fd00:2::1', 'fd00:2::/64')]}


class Pair:
    def __init__(self, lab, inner=4, outer=4, options=()):
        self.lab, self.inner, self.outer = lab, inner, outer
        self.wire = lab.namespace('wire')
        self.wire.ip('link', 'add', 'name', 'bridge0', 'type', 'bridge')
        self.wire.ip('link', 'set', 'bridge0', 'up')
        self.hosts, self.gateways, self.plutos = [], [], []
        for i, side in enumerate(('west', 'east')):
            self.add_side(i, side, options)
        self.capture = Capture(lab, self.wire, 'west')

    def add_side(self, i, side, options):
        host, gateway = self.lab.namespace(f'host-{side}'), self.lab.namespace(f'gw-{side}')
        for namespace in host, gateway:  # addresses serve at once
            namespace.sysctl('net.ipv6.conf.default.accept_dad', 0)
        self.lab.veth(gateway, 'wan', self.wire, side)
        self.wire.ip('link', 'set', side, 'master', 'bridge0')
        self.lab.veth(gateway, 'lan', host, 'eth0')
        pluto = Pluto(self.lab, gateway, SECRETS, *options, ports={'wan': 'wan0', 'lan': 'lan0'}, name=side)
        address, router, subnet = INNER[self.inner][i]
        bits = subnet.split('/')[1]
        gateway.address('wan0', f'{OUTER[self.outer][i]}/{OUTER[self.outer][2]}')
        gateway.address('lan0', f'{router}/{bits}')
        host.address('eth0', f'{address}/{bits}')
        host.ip(*(['-6'] if self.inner == 6 else []), 'route', 'add', 'default', 'via', router)
        self.hosts.append(host)
        self.gateways.append(gateway)
        self.plutos.append(pluto)

    def connect(self, *options, subnets=True):
        ends = [(OUTER[self.outer][i], f'@{side}', INNER[self.inner][i][2] if subnets else None)
                for i, side in enumerate(('west', 'east'))]
        family = [f'--ipv{self.outer}', f'--tunnelipv{self.inner}'] if subnets else [f'--ipv{self.outer}']
        for pluto in self.plutos:
            description = tunnel('pair', *ends, *options)
            if '--transport' in options:
                description.remove('--tunnel')
            pluto.whack(*family, *description, status=0)
            pluto.listen()
        return self

    def initiate(self):
        answer = self.plutos[0].whack('--name', 'pair', '--initiate', status=0)
        self.plutos[1].wait_counter('current.states.ipsec', 1)
        return answer

    def ping(self, **options):
        return self.hosts[0].ping(INNER[self.inner][1][0], **options)

    def clear_packets(self):
        self.capture.stop()
        inner = ('10.', 'fd00:')
        return [p for p in self.capture.packets() if p.source.startswith(inner) or p.target.startswith(inner)]

    def sent(self):
        """ESP packets that both counted: (west out, east in, east out, west in)."""
        west, east = (p.counters() for p in self.plutos)
        key = 'plutonium.dataplane.esp_{}_packets'.format
        return west[key('out')], east[key('in')], east[key('out')], west[key('in')]


@pytest.mark.parametrize('outer', [4, 6])
@pytest.mark.parametrize('inner', [4, 6])
def test_families(lab, inner, outer):
    pair = Pair(lab, inner, outer).connect()
    pair.initiate()
    pair.ping()
    transfer(pair.hosts[0], pair.hosts[1], INNER[inner][1][0])
    west_out, east_in, east_out, west_in = pair.sent()
    assert west_out == east_in > 1000 and east_out == west_in > 0
    assert not pair.clear_packets()


@pytest.mark.parametrize('esp', ['aes_gcm192', 'aes_gcm_a128', 'aes_gcm_b256', 'aes192-sha2_384', 'aes256-sha2_512',
                                 'aes128-sha1', 'chacha20_poly1305'])
def test_transforms(lab, esp):
    pair = Pair(lab).connect('--esp', esp)
    pair.initiate()
    pair.ping()
    transfer(pair.hosts[0], pair.hosts[1], '10.2.0.10', megabytes=1)
    west_out, east_in, east_out, west_in = pair.sent()
    assert west_out == east_in > 500 and east_out == west_in > 0


def test_forced_encapsulation(lab):
    pair = Pair(lab).connect('--encapsulation=yes')
    assert r'.*\{ESPinUDP' in pair.initiate()
    pair.ping()
    assert pair.capture.stop()['esp-in-udp'] >= 6


def test_transport_mode(lab):
    """Gateway to gateway: the gateways' own packets, from their own sockets."""
    pair = Pair(lab).connect('--transport', subnets=False)
    assert r'.*IPsec transport \[192.0.2.1/32===192.0.2.2/32\]' in pair.initiate()
    pair.gateways[0].ping('192.0.2.2')
    kinds = pair.capture.stop()
    assert kinds['esp'] >= 6
    assert set(kinds) <= {'esp', 'ike', 'arp', 'nd'}, kinds


def test_protected_traffic_never_leaves_in_clear(lab):
    pair = Pair(lab).connect()
    for gateway in pair.gateways:  # the kernel would forward it, if it got the chance
        gateway.sysctl('net.ipv4.ip_forward', 1)
    pair.gateways[0].ip('route', 'add', '10.2.0.0/24', 'via', '192.0.2.2')
    pair.gateways[1].ip('route', 'add', '10.1.0.0/24', 'via', '192.0.2.1')
    pair.initiate()
    pair.ping()
    pair.plutos[0].whack('--name', 'pair', '--terminate', status=0)
    pair.plutos[1].wait_counter('current.states.ipsec', 0)
    assert pair.ping(count=2, check=False) == 0
    assert not pair.clear_packets()


def test_traffic_brings_a_trapped_tunnel_up(lab):
    """The first packets are dropped, as a dataplane holds none; what a sender repeats gets through."""
    pair = Pair(lab).connect()
    west = pair.plutos[0]
    west.whack('--name', 'pair', '--route', status=0)
    for _ in range(2):
        assert pair.ping(count=8, check=False) >= 4
        assert 'routing: routed-tunnel;' in west.whack('--connectionstatus', '--name', 'pair').text
        west.whack('--name', 'pair', '--terminate', status=0)
        pair.plutos[1].wait_counter('current.states.ipsec', 0)
        assert 'routing: routed-ondemand;' in west.whack('--connectionstatus', '--name', 'pair').text
    assert west.log_text().count('initiating IKEv2 connection') == 2
    assert not pair.clear_packets()


def test_shunts_on_the_dataplane(lab):
    """What is narrower decides: first it is passed, then dropped, beside a trap that would protect it."""
    pair = Pair(lab).connect()
    for i, gateway in enumerate(pair.gateways):
        gateway.sysctl('net.ipv4.ip_forward', 1)
        gateway.ip('route', 'add', INNER[4][1 - i][2], 'via', OUTER[4][1 - i])
    west = pair.plutos[0]
    west.whack('--name', 'pair', '--route', status=0)
    for kind, answers in ('--pass', 2), ('--drop', 0):
        west.whack('--name', 'shunt', '--host', OUTER[4][0], '--client', '10.1.0.0/24', '--to', '--host', OUTER[4][1],
                   '--client', '10.2.0.10/32', '--auth-never', kind, status=0)
        west.whack('--name', 'shunt', '--route', status=0)
        assert pair.ping(count=2, check=False) == answers
        west.whack('--name', 'shunt', '--delete', status=0)
    assert west.counters()['current.states.ike'] == 0


def test_deleted_connection_opens_the_way(lab):
    """--delete takes the policy away: then, and only then, the kernel's route is used."""
    pair = Pair(lab).connect()
    for i, gateway in enumerate(pair.gateways):
        gateway.sysctl('net.ipv4.ip_forward', 1)
        gateway.ip('route', 'add', INNER[4][1 - i][2], 'via', OUTER[4][1 - i])
    pair.initiate()
    pair.ping()
    for pluto in pair.plutos:
        pluto.whack('--name', 'pair', '--delete', status=0)
    wait_for('the way is open', lambda: pair.ping(count=1, check=False) == 1)
    assert pair.clear_packets()


def test_too_big_is_told_to_the_sender(lab):
    pair = Pair(lab).connect()
    pair.initiate()
    told = pair.hosts[0].run('ping', '-n', '-c', 1, '-W', 2, '-M', 'do', '-s', 1472, '10.2.0.10', check=False).stdout
    assert 'Frag needed' in told or 'too long' in told, told
    pair.ping(size=1300)


def test_idle_gateway_costs_next_to_nothing(lab):
    pair = Pair(lab).connect()
    pair.initiate()
    pair.ping()
    time.sleep(1)
    before = [p.cpu_seconds() for p in pair.plutos]
    time.sleep(4)
    spent = [(p.cpu_seconds() - b) / 4 for p, b in zip(pair.plutos, before)]
    print(f'idle gateways take {spent[0]:.1%} and {spent[1]:.1%} of a core')
    # Polling would be 100 %; the bound leaves room for a busy machine.
    assert max(spent) < 0.3


@pytest.mark.parametrize('inner', [4, 6])
def test_fragments_go_through_the_tunnel(lab, inner):
    pair = Pair(lab, inner).connect()
    pair.initiate()
    for size in 1300, 2800, 8000:
        # Each direction may lose the one packet that tells its sender the path MTU.
        assert pair.ping(size=size, count=6, check=False) >= 4, size
    assert not pair.clear_packets()


@pytest.mark.parametrize('esn', ['yes', 'no'])
def test_extended_sequence_numbers(lab, esn):
    pair = Pair(lab).connect(f'--esn={esn}')
    assert rf'.*\{{ESP{"/ESN" if esn == "yes" else ""}=>' in pair.initiate()
    pair.ping()


def test_what_the_dataplane_has_not(lab):
    """AH is refused, compression and padding are left out in words."""
    pluto = Pluto(lab, lab.namespace('gateway'), SECRETS, ports={}, name='none')
    assert 'warning' not in pluto.whack(*tunnel('t', ('192.0.2.1', '@west', None), ('192.0.2.2', '@east', None),
                                                '--compress'), status=0).text
    namespace = lab.namespace('dataplane')
    lab.veth(namespace, 'wan', lab.namespace('wire'), 'end')
    pluto = Pluto(lab, namespace, SECRETS, ports={'wan': 'wan0'}, name='dpdk')
    ends = ('192.0.2.1', '@west', None), ('192.0.2.2', '@east', None)
    for option in ('--authenticate',), ('--ah', 'sha2_256'):
        answer = pluto.whack(*[o for o in tunnel('t', *ends) if o != '--encrypt'], *option, status=56)
        assert 'failed to add connection: the kernel interface "dpdk" has no AH' in answer.text
    answer = pluto.whack(*tunnel('t', *ends, '--compress', '--tfc', 1000), status=0)
    assert 'the kernel interface "dpdk" has no IPComp: nothing is compressed' in answer.text
    assert 'the kernel interface "dpdk" cannot pad' in answer.text
    status = pluto.whack('--connectionstatus', status=0).text
    assert 'COMPRESS' not in status and 'sa_tfc:none' in status
