"""strongSwan 5.9.8 against our gateway on the DPDK dataplane: both roles, with and without NAT, traffic through the tunnel."""
import signal

import pytest

import strongswan
from gateway import Interop
from lab import wait_for
from strongswan import StrongSwan

pytestmark = pytest.mark.skipif(strongswan.missing() is not None, reason=str(strongswan.missing()))

CIPHERS = {
    'aes-gcm-128': ('aes128gcm16', 'aes_gcm128', 'AES_GCM_16-128'),
    'aes-gcm-256': ('aes256gcm16', 'aes_gcm256', 'AES_GCM_16-256'),
    'aes-cbc-128-sha256': ('aes128-sha256', 'aes128-sha2_256', 'AES_CBC-128/HMAC_SHA2_256_128'),
    'aes-cbc-256-sha1': ('aes256-sha1', 'aes256-sha1', 'AES_CBC-256/HMAC_SHA1_96'),
    'chacha20-poly1305': ('chacha20poly1305', 'chacha20_poly1305', 'CHACHA20_POLY1305'),
}
SUITES = {
    'gcm-x25519': ('aes128gcm16-prfsha256-curve25519', 'aes_gcm128-sha2_256-dh31'),
    'cbc-modp2048': ('aes256-sha256-modp2048', 'aes256-sha2_256-modp2048'),
    'cbc-ecp256': ('aes128-sha1-ecp256', 'aes128-sha1-dh19'),
    'gcm256-ecp384': ('aes256gcm16-prfsha384-ecp384', 'aes_gcm256-sha2_384-dh20'),
    'chacha-ecp521': ('chacha20poly1305-prfsha512-ecp521', 'chacha20_poly1305-sha2_512-dh21'),
}


@pytest.mark.parametrize('who,nat', [('ours', None), ('swan', None), ('ours', 'ours'), ('swan', 'peer'), ('ours', 'ipv6'), ('swan', 'ipv6')],
                         ids=['initiator', 'responder', 'initiator-behind-nat', 'responder-peer-behind-nat',
                              'initiator-over-ipv6', 'responder-over-ipv6'])
def test_tunnel(lab, who, nat):
    interop = Interop(lab, nat)
    interop.connect()
    interop.initiate(who).check_traffic()


@pytest.mark.parametrize('cipher', CIPHERS)
def test_esp_cipher(lab, cipher):
    theirs, ours, shown = CIPHERS[cipher]
    interop = Interop(lab)
    interop.connect(esp=(theirs, ours))
    interop.initiate('ours')
    assert interop.swan.established() == f'ESP:{shown}'
    interop.check_traffic()


@pytest.mark.parametrize('suite', SUITES)
@pytest.mark.parametrize('who', ['ours', 'swan'])
def test_ike_suite(lab, who, suite):
    interop = Interop(lab)
    interop.connect(ike=SUITES[suite])
    interop.initiate(who)
    interop.host.ping('10.2.0.1')


@pytest.mark.parametrize('cipher', ['gcm-x25519', 'cbc-ecp256'])
@pytest.mark.parametrize('who', ['ours', 'swan'])
def test_ike_fragments(lab, who, cipher):
    """RFC 7383 both ways, by making both ends cut what would go in one datagram."""
    interop = Interop(lab, options=('--ike-fragment-size', '200'), fragment_size=200)
    interop.connect(ike=SUITES[cipher])
    interop.initiate(who)
    interop.host.ping('10.2.0.1')
    theirs = interop.swan.log_text()
    assert 'received fragment #2' in theirs and 'splitting IKE message' in theirs
    assert 'reassembled from' in interop.pluto.log.read_text()


def no_clear_packet(interop):
    """What the policy protects is not sent in clear when the SA has gone."""
    assert interop.host.ping('10.2.0.1', count=1, check=False) == 0
    interop.capture.stop()
    assert not [p for p in interop.capture.packets() if p.source.startswith('10.') or p.target.startswith('10.')]


@pytest.mark.parametrize('initiator', ['ours', 'swan'])
def test_delete_by_us(lab, initiator):
    interop = Interop(lab)
    interop.connect()
    interop.initiate(initiator)
    interop.host.ping('10.2.0.1')
    interop.pluto.whack('--name', 'swan', '--terminate', status=0)
    wait_for('strongSwan deletes its SAs', lambda: not interop.swan.established())
    interop.pluto.wait_counter('current.states.ipsec', 0)
    no_clear_packet(interop)


def test_delete_by_the_peer_that_initiated(lab):
    interop = Interop(lab)
    interop.connect()
    interop.initiate('swan')
    interop.host.ping('10.2.0.1')
    interop.swan.terminate()
    interop.pluto.wait_counter('current.states.ipsec', 0)
    no_clear_packet(interop)


def test_delete_by_the_peer_of_what_is_to_remain_up(lab):
    interop = Interop(lab)
    interop.connect()
    interop.initiate('ours')
    interop.swan.terminate()
    interop.pluto.wait_log(r'"swan" #1: peer deleted the IKE SA')
    interop.pluto.wait_log(r'"swan".*: connection is supposed to remain up; revival attempt 1 scheduled in 0 seconds')
    interop.pluto.wait_counter('current.states.ipsec', 1)
    interop.host.ping('10.2.0.1')


def test_killed_peer_is_noticed_and_comes_back(lab):
    interop = Interop(lab)
    interop.connect(options=('--dpddelay', '1', '--dpdtimeout', '4', '--retransmit-timeout', '4'))
    interop.initiate('swan')
    lab.stop(interop.swan.process, signal.SIGKILL)
    wait_for('the SAs of the dead peer are gone', lambda: interop.pluto.counters()['current.states.ipsec'] == 0, 20)
    assert interop.pluto.counters()['total.ike.dpd.sent'] > 0
    no_clear_packet(interop)
    interop.swan = StrongSwan(lab, interop.peer, name='swan-again')
    interop.load_swan()
    interop.swan.initiate()
    interop.host.ping('10.2.0.1')
