"""The peer by itself: what the interoperation tests rest on is a strongSwan that works here."""
import pytest

import strongswan
from strongswan import StrongSwan

SUITE = dict(secret='interop-psk-1', ike='aes128gcm16-prfsha256-curve25519', esp='aes128gcm16')


@pytest.mark.skipif(strongswan.missing() is not None, reason=str(strongswan.missing()))
def test_strongswan_with_strongswan(lab):
    west, east = lab.namespace('west'), lab.namespace('east')
    lab.veth(west, 'wan', east, 'wan')
    west.address('wan', '192.0.2.1/24')
    east.address('wan', '192.0.2.2/24')
    west.address('lo', '10.1.0.1/24')
    east.address('lo', '10.2.0.1/24')
    a, b = StrongSwan(lab, west, 'a'), StrongSwan(lab, east, 'b')
    a.load('192.0.2.1', '192.0.2.2', 'a.test', 'b.test', local_ts='10.1.0.0/24', remote_ts='10.2.0.0/24', **SUITE)
    b.load('192.0.2.2', '192.0.2.1', 'b.test', 'a.test', local_ts='10.2.0.0/24', remote_ts='10.1.0.0/24', **SUITE)
    a.initiate()
    assert a.established() == b.established() == 'ESP:AES_GCM_16-128'
    west.ping('10.2.0.1', source='10.1.0.1')
    assert min(a.traffic()) > 0 and min(b.traffic()) > 0
    a.terminate()
    assert not b.established()
