"""Several connections between the same ends on one IKE SA: strongSwan with two children, and two of ours by leftsubnets=."""
import subprocess

import pytest

import strongswan
from gateway import Interop
from lab import wait_for
from pluto import program, tunnel
from test_gateways import Pair

needs_swan = pytest.mark.skipif(strongswan.missing() is not None, reason=str(strongswan.missing()))


class TwoChildren(Interop):
    """Ours: "swan" to 10.2.0.0/24 and "swan2" to 10.2.1.0/24; strongSwan's children: c and d."""

    def __init__(self, lab, pfs='no'):
        super().__init__(lab)
        self.peer.address('lo', '10.2.1.1/24')
        for name, subnet in ('swan', '10.2.0.0/24'), ('swan2', '10.2.1.0/24'):
            self.pluto.whack(*tunnel(name, (self.ours, '@ours.test', '10.1.0.0/24'), (self.theirs, '@swan.test', subnet),
                                     '--ike', 'aes_gcm128-sha2_256-dh31', '--esp', 'aes_gcm128', f'--pfs={pfs}'), status=0)
        self.pluto.listen()
        self.load_swan(further=[('d', '10.2.1.0/24', '10.1.0.0/24')])

    def both_up(self, who):
        for name, child in ('swan', 'c'), ('swan2', 'd'):
            if who == 'ours':
                self.pluto.whack('--name', name, '--initiate', status=0)
            else:
                self.swan.initiate(child=child)
        self.pluto.wait_counter('current.states.ipsec', 2)
        self.check_one()

    def check_one(self):
        """One IKE SA with both Child SAs, at both ends, and traffic through each."""
        self.pluto.wait_counter('current.states.ike', 1)
        self.pluto.wait_counter('current.states.ipsec', 2)
        wait_for('one IKE SA at strongSwan', lambda: self.swan.sas().count('IKEv2') == 1)
        wait_for('two Child SAs at strongSwan', lambda: self.swan.sas().count('INSTALLED') == 2)
        for target in '10.2.0.1', '10.2.1.1':
            self.host.ping(target)


@needs_swan
@pytest.mark.parametrize('who', ['ours', 'swan'])
def test_two_children_of_strongswan(lab, who):
    pair = TwoChildren(lab)
    pair.both_up(who)
    first, second = pair.pluto.traffic('swan'), pair.pluto.traffic('swan2')
    assert len(first) == len(second) == 1 and first[0][0] > 0 and second[0][0] > 0
    states = pair.pluto.whack('--showstates').text
    assert states.count('established IKE SA') == 1 and '"swan2":' in states
    brief = pair.pluto.whack('--briefconnectionstatus', '--name', 'swan2', status=0).text
    assert '10.2.1.0/24' in brief and '10.2.0.0/24' not in brief
    pair.pluto.whack('--name', 'swan2', '--rekey-child', status=0)
    pair.pluto.wait_counter('total.ikev2.child.established', 3)
    pair.check_one()
    pair.swan.swanctl('--rekey', '--child', 'c')
    pair.pluto.wait_counter('total.ikev2.child.established', 4)
    pair.check_one()
    pair.pluto.whack('--name', 'swan', '--rekey-ike', status=0)
    pair.pluto.wait_counter('total.ikev2.ike.established', 2)
    pair.check_one()
    pair.swan.swanctl('--rekey', '--ike', 't')
    pair.pluto.wait_counter('total.ikev2.ike.established', 3)
    pair.check_one()
    answer = pair.pluto.whack('--name', 'swan', '--terminate', status=0)
    assert 'is shared - only terminating IPsec SA' in answer.text
    pair.pluto.wait_counter('current.states.ipsec', 1)
    wait_for('one Child SA at strongSwan', lambda: pair.swan.sas().count('INSTALLED') == 1)
    pair.host.ping('10.2.1.1')
    pair.pluto.whack('--name', 'swan2', '--terminate', status=0)
    wait_for('strongSwan deletes its SAs', lambda: not pair.swan.established())
    pair.pluto.wait_counter('current.states.ike', 0)


@needs_swan
def test_strongswan_deletes_one_of_two(lab):
    pair = TwoChildren(lab)
    pair.both_up('swan')
    pair.swan.swanctl('--terminate', '--child', 'c', '--timeout', '20')
    pair.pluto.wait_counter('current.states.ipsec', 1)
    pair.host.ping('10.2.1.1')
    pair.swan.initiate(child='c')
    pair.check_one()


@needs_swan
def test_refused_on_the_shared_one(lab):
    """What strongSwan does not create by CREATE_CHILD_SA (without PFS), it does by IKE_AUTH: each has an IKE SA then."""
    pair = TwoChildren(lab, pfs='yes')
    for name in 'swan', 'swan2':
        answer = pair.pluto.whack('--name', name, '--initiate', status=0)
    assert r'"swan2" #3: CREATE_CHILD_SA request rejected by peer: NO_PROPOSAL_CHOSEN' in answer
    assert r'"swan2": the peer does not create it on IKE SA #1; initiating one of its own' in answer
    pair.pluto.wait_counter('current.states.ipsec', 2)
    assert pair.pluto.counters()['current.states.ike'] == 2
    for target in '10.2.0.1', '10.2.1.1':
        pair.host.ping(target)


SUBNETS = '''config setup

conn net
    left=192.0.2.1
    leftid=@west
    leftsubnets={10.1.0.0/24 10.1.1.0/24}
    right=192.0.2.2
    rightid=@east
    rightsubnets=10.2.0.0/24,10.2.1.0/24
    authby=secret
    ike=aes_gcm128-sha2_256-dh31
    auto=%s
'''
NAMES = 'net/1x1', 'net/1x2', 'net/2x1', 'net/2x2'


def add_from_file(lab, pluto, auto):
    config = lab.directory / f'{pluto.name}.conf'
    config.write_text(SUBNETS % auto)
    return subprocess.run([program('whack/addconn'), '--config', config, '--autoall', '--ctlsocket', pluto.rundir / 'pluto.ctl'],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)


def test_subnets_of_two_of_ours(lab):
    pair = Pair(lab)
    west, east = pair.plutos
    for side, gateway, host in ((1, pair.gateways[0], pair.hosts[0]), (2, pair.gateways[1], pair.hosts[1])):
        gateway.address('lan0', f'10.{side}.1.1/24')
        host.address('eth0', f'10.{side}.1.10/24')
    for pluto in pair.plutos:
        pluto.listen()
    add_from_file(lab, east, 'add')
    add_from_file(lab, west, 'up')
    for pluto in pair.plutos:
        pluto.wait_counter('current.states.ipsec', 4)
        assert pluto.counters()['current.states.ike'] == 1
    for source in '10.1.0.10', '10.1.1.10':
        for target in '10.2.0.10', '10.2.1.10':
            pair.hosts[0].ping(target, source=source)
    text = west.whack('--trafficstatus', '--name', 'net', status=0).text
    for name in NAMES:
        assert text.count(f'"{name}"') == 1
        assert west.whack('--trafficstatus', '--name', name, status=0).text.count('#') == 1
    west.whack('--name', 'net', '--rekey-ike', status=0)
    for pluto in pair.plutos:
        pluto.wait_counter('current.states.ike', 1)
        pluto.wait_counter('current.states.ipsec', 4)
    west.whack('--name', 'net/1x1', '--terminate', status=0)
    for pluto in pair.plutos:
        pluto.wait_counter('current.states.ipsec', 3)
    pair.hosts[0].ping('10.2.1.10', source='10.1.1.10')
    west.whack('--name', 'net', '--terminate', status=0)
    for pluto in pair.plutos:
        pluto.wait_counter('current.states.ipsec', 0)
        pluto.wait_counter('current.states.ike', 0)
    assert not pair.clear_packets()
