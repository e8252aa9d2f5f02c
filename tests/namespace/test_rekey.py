"""Rekeying under traffic: a Child SA and the IKE SA, ordered at either end, with and without PFS; not a packet is lost."""
import re

import pytest

import strongswan
from gateway import Interop
from lab import wait_for
from test_gateways import Pair

needs_swan = pytest.mark.skipif(strongswan.missing() is not None, reason=str(strongswan.missing()))
COUNT = 120


class Pinging:
    """A ping every 50 ms for as long as the block lasts, and a little longer; none may be lost."""

    def __init__(self, host, target):
        self.host, self.target = host, target

    def __enter__(self):
        self.log = self.host.lab.directory / 'ping.log'
        self.log.write_bytes(b'')
        self.process = self.host.start('ping', '-n', '-q', '-c', COUNT, '-i', '0.05', '-W', '2', self.target, log=self.log)
        return self

    def __exit__(self, kind, *_):
        if kind:
            return
        self.process.wait(30)
        assert f'{COUNT} packets transmitted, {COUNT} received' in self.log.read_text(), self.log.read_text()


def child_serials(pluto):
    return set(re.findall(r'#(\d+): [^#]*ESTABLISHED_CHILD_SA', pluto.whack('--showstates').text))


def rekey(interop, who, kind):
    if who == 'ours':
        interop.pluto.whack('--name', 'swan', f'--rekey-{kind}', status=0)
    else:
        interop.swan.swanctl('--rekey', f'--{kind}', {'child': 'c', 'ike': 't'}[kind])


@needs_swan
@pytest.mark.parametrize('initiator', ['ours', 'swan'])
@pytest.mark.parametrize('who', ['ours', 'swan'])
@pytest.mark.parametrize('pfs', ['pfs', 'no-pfs'])
def test_child(lab, pfs, who, initiator):
    interop = Interop(lab)
    theirs = 'aes128gcm16-curve25519' if pfs == 'pfs' else 'aes128gcm16'
    interop.connect(esp=(theirs, 'aes_gcm128'), options=[f'--pfs={"yes" if pfs == "pfs" else "no"}'])
    interop.initiate(initiator)
    with Pinging(interop.host, '10.2.0.1'):
        for n in 2, 3:
            rekey(interop, who, 'child')
            interop.pluto.wait_counter('total.ikev2.child.established', n)
            interop.pluto.wait_counter('current.states.ipsec', 1)
    rekeyed = r'rekeyed Child SA #\d+ using #1; .*xfrm=AES_GCM_16_128' + ('-DH31' if pfs == 'pfs' else ' ')
    assert len(re.findall(('initiator ' if who == 'ours' else 'responder ') + rekeyed, interop.pluto.log_text())) == 2
    assert interop.swan.sas().count('INSTALLED') == 1
    assert interop.pluto.counters()['total.ikev2.ike.established'] == 1


@needs_swan
@pytest.mark.parametrize('initiator', ['ours', 'swan'])
@pytest.mark.parametrize('who', ['ours', 'swan'])
def test_ike(lab, who, initiator):
    interop = Interop(lab)
    interop.connect()
    interop.initiate(initiator)
    with Pinging(interop.host, '10.2.0.1'):
        for n in 2, 3:
            rekey(interop, who, 'ike')
            interop.pluto.wait_counter('total.ikev2.ike.established', n)
            interop.pluto.wait_counter('current.states.ike', 1)
    wait_for('one IKE SA at strongSwan', lambda: interop.swan.sas().count('IKEv2') == 1)
    assert interop.pluto.counters()['total.ikev2.child.established'] == 1
    interop.pluto.whack('--name', 'swan', '--terminate', status=0)
    wait_for('strongSwan deletes its SAs', lambda: not interop.swan.established())


@needs_swan
def test_child_without_the_pfs_that_we_insist_on(lab):
    """strongSwan refuses; a new IKE SA takes the place of the old one."""
    interop = Interop(lab)
    interop.connect(options=['--pfs=yes'])
    interop.initiate('ours')
    interop.pluto.whack('--name', 'swan', '--rekey-child')
    interop.pluto.wait_log('rejected by peer: NO_PROPOSAL_CHOSEN')
    interop.pluto.wait_counter('total.ikev2.ike.established', 2)
    interop.pluto.wait_counter('current.states.ike', 1)
    interop.host.ping('10.2.0.1')


@pytest.mark.parametrize('kind', ['ike', 'child'])
def test_both_ends_of_ours(lab, kind):
    pair = Pair(lab).connect()
    pair.initiate()
    with Pinging(pair.hosts[0], '10.2.0.10'):
        for _ in range(3):
            orders = [p.whack_start('--name', 'pair', f'--rekey-{kind}') for p in pair.plutos]
            assert [order.wait(20) for order in orders] == [0, 0]
            for pluto in pair.plutos:
                pluto.wait_counter('current.states.ipsec', 1)
                pluto.wait_counter('current.states.ike', 1)
    assert not pair.clear_packets()


def test_lifetimes_of_their_own(lab):
    pair = Pair(lab).connect('--ipsec-lifetime', '4s', '--ikelifetime', '7s', '--rekeymargin', '1s', '--rekeyfuzz', '50%')
    pair.initiate()
    with Pinging(pair.hosts[0], '10.2.0.10'):
        pair.plutos[0].wait_counter('total.ikev2.child.established', 3)
        pair.plutos[0].wait_log('rekeyed IKE SA')


def test_commands_by_kind(lab):
    pair = Pair(lab).connect()
    west, east = pair.plutos
    answer = west.whack('--name', 'pair', '--rekey-child', status=0)
    assert '"pair": connection does not have an established Child SA' in answer.text
    pair.initiate()
    answer = west.whack('--name', 'pair', '--rekey-ipsec', status=0)
    assert r'.*initiator rekeyed Child SA #2 using #1; IPsec tunnel ' in answer
    assert r'.*#2: sent INFORMATIONAL request to delete established Child SA using IKE SA #1' in answer
    west.whack('--name', 'pair', '--delete-child', status=0)
    west.wait_counter('total.ikev2.child.established', 3)  # it is wanted up
    answer = west.whack('--name', 'pair', '--rekey-ike', status=0)
    assert r'.*initiator rekeyed IKE SA #1 \{cipher=' in answer
    west.whack('--name', 'pair', '--down-child', status=0)
    west.wait_counter('current.states.ipsec', 0)
    east.wait_counter('current.states.ipsec', 0)
    assert west.counters()['current.states.ike'] == 1
    west.whack('--name', 'pair', '--down-ike', status=0)
    east.wait_counter('current.states.ike', 0)
