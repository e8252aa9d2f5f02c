"""Configuration payloads and address pools: strongSwan as the client of our gateway and as the server of it, two of
ours, and leases that outlive the daemon. Traffic goes through the DPDK dataplane."""
import re

import pytest

import strongswan
from gateway import PSK, SECRETS, Interop
from lab import wait_for
from pluto import Pluto, tunnel
from strongswan import StrongSwan
from test_updown import Recorder

needs_swan = pytest.mark.skipif(strongswan.missing() is not None, reason=str(strongswan.missing()))

OUR_SUITES = ('--ike', 'aes_gcm128-sha2_256-dh31', '--esp', 'aes_gcm128')
THEIR_SUITES = 'proposals = aes128gcm16-prfsha256-curve25519'

CLIENT = '''
connections {{ t {{
  version = 2
  local_addrs = 192.0.2.2
  remote_addrs = 192.0.2.1
  {suites}
  vips = {vips}
  local {{ auth = psk
    id = "{identity}" }}
  remote {{ auth = psk
    id = "ours.test" }}
  children {{ c {{
    remote_ts = {remote_ts}
    esp_proposals = aes128gcm16-curve25519 }} }} }} }}
secrets {{ ike-1 {{ secret = "{psk}" }} }}
'''
SERVER = '''
connections {{ t {{
  version = 2
  local_addrs = 192.0.2.2
  {suites}
  pools = p
  local {{ auth = psk
    id = "swan.test" }}
  remote {{ auth = psk
    id = "ours.test" }}
  children {{ c {{
    local_ts = 10.2.0.0/24
    esp_proposals = aes128gcm16 }} }} }} }}
pools {{ p {{
  addrs = 10.3.0.0/28
  dns = 10.2.0.53, 10.2.0.54 }} }}
secrets {{ ike-1 {{ secret = "{psk}" }} }}
'''


def serve(pluto, pool, *options, subnet='10.1.0.0/24', name='server', load=True):
    """A template for any client, out of whack's options; the client's end comes behind --to."""
    pluto.whack('--name', name, '--id', '@ours.test', '--host', '192.0.2.1', '--client', subnet, '--modecfgserver',
                '--to', '--host', '%any', '--id', '%any', '--addresspool', pool, '--modecfgclient', '--psk', '--encrypt', '--tunnel',
                '--modecfgpull', *OUR_SUITES, *options, status=0)
    if load:
        pluto.listen()


def ask(pluto, *options, peer_id='@swan.test', host='192.0.2.1', peer='192.0.2.2', identity='@ours.test', subnet='10.2.0.0/24', updown=None):
    pluto.whack('--name', 'client', '--id', identity, '--host', host, '--modecfgclient', *(['--updown', updown] if updown else []), '--to', '--id', peer_id,
                '--host', peer, '--client', subnet, '--modecfgserver', '--psk', '--encrypt', '--tunnel', '--modecfgpull',
                *OUR_SUITES, *options, status=0)
    pluto.listen()


def load_client(swan, vips='0.0.0.0', remote_ts='10.1.0.0/24', identity='swan.test'):
    (swan.directory / 'swanctl.conf').write_text(CLIENT.format(
        suites=THEIR_SUITES, vips=vips, remote_ts=remote_ts, identity=identity, psk=PSK))
    swan.swanctl('--load-all', '--noprompt')


def leases(pluto):
    """{address: state} of --addresspoolstatus."""
    return dict(re.findall(r'^    (\S+)/\d+ (assigned to|free)', pluto.whack('--addresspoolstatus', status=0).text, re.MULTILINE))


@needs_swan
def test_strongswan_as_client(lab):
    interop = Interop(lab)
    serve(interop.pluto, '10.5.0.10-10.5.0.20', '--modecfgdns', '10.1.0.53', '--modecfgdomains', 'a.test', '--modecfgbanner', 'hello')
    load_client(interop.swan)
    interop.swan.initiate()
    assert '10.5.0.10/32' in interop.swan.sas()
    interop.peer.ping('10.1.0.10', source='10.5.0.10')
    interop.host.ping('10.5.0.10')
    interop.pluto.wait_log(r'assigning unused lease 10\.5\.0\.10/32 from addresspool 10\.5\.0\.10-10\.5\.0\.20')
    status = interop.pluto.whack('--addresspoolstatus', status=0)
    assert r'address pool 10\.5\.0\.10-10\.5\.0\.20: 11 addresses, 1 leases, 1 in-use, 0 free \(0 reusable\)$' in status
    assert r'    10\.5\.0\.10/32 assigned to \$1 \[@swan\.test\]$' in status
    assert r'    "server"\[\d+\] 192\.0\.2\.2$' in status
    assert re.search(r", id='@swan\.test', lease=10\.5\.0\.10/32$", interop.pluto.whack('--trafficstatus', status=0).text, re.MULTILINE)
    block = interop.pluto.whack('--status', status=0).text
    assert 'modecfg info: us:server, them:client, modecfg policy:pull, dns:10.1.0.53, domains:a.test, cat:unset;' in block
    # It comes back, and gets the same.
    interop.swan.terminate()
    interop.pluto.wait_counter('plutonium.addresspools.in_use', 0)
    assert leases(interop.pluto) == {'10.5.0.10': 'free'}
    interop.swan.initiate()
    interop.host.ping('10.5.0.10')
    assert interop.pluto.counters()['plutonium.leases.kept'] == 1


@needs_swan
def test_strongswan_with_both_families(lab):
    interop = Interop(lab)
    interop.gw.address('lan0', 'fd00:1::1/64')
    interop.host.address('eth0', 'fd00:1::10/64')
    for namespace in interop.gw, interop.host, interop.peer:  # they find no neighbours with an address that is not theirs yet
        wait_for('link-local addresses', lambda: 'tentative' not in namespace.ip('-6', 'address').stdout)
    interop.host.ip('-6', 'route', 'add', 'default', 'via', 'fd00:1::1')
    serve(interop.pluto, '10.5.0.0/24,fd00:5::/64', subnet='10.1.0.0/24,fd00:1::/64')
    load_client(interop.swan, vips='0.0.0.0, ::', remote_ts='10.1.0.0/24, fd00:1::/64')
    interop.swan.initiate()
    interop.host.ping('10.5.0.0')
    interop.peer.ping('fd00:1::10', source='fd00:5::')
    interop.pluto.wait_counter('plutonium.addresspools.in_use', 2)
    text = interop.pluto.whack('--trafficstatus', status=0).text
    assert re.search(r'lease=10\.5\.0\.0/32,fd00:5::/128$', text, re.MULTILINE)


@needs_swan
def test_strongswan_rekeys_and_reauthenticates_with_its_address(lab):
    interop = Interop(lab)
    serve(interop.pluto, '10.5.0.10-10.5.0.20')
    load_client(interop.swan)
    interop.swan.initiate()
    interop.swan.swanctl('--rekey', '--ike', 't')
    wait_for('the IKE SA is rekeyed', lambda: 'rekeyed IKE SA' in interop.pluto.log_text())
    interop.host.ping('10.5.0.10')
    interop.swan.swanctl('--rekey', '--ike', 't', '--reauth')
    wait_for('a second authentication', lambda: interop.pluto.log_text().count('authenticated peer') == 2)
    interop.pluto.wait_counter('current.states.ipsec', 1)
    interop.host.ping('10.5.0.10')
    interop.swan.swanctl('--rekey', '--child', 'c')
    wait_for('the Child SA is rekeyed', lambda: 'rekeyed Child SA' in interop.pluto.log_text())
    interop.host.ping('10.5.0.10')
    assert leases(interop.pluto) == {'10.5.0.10': 'assigned to'}


@needs_swan
def test_strongswan_as_server(lab):
    interop = Interop(lab)
    (interop.swan.directory / 'swanctl.conf').write_text(SERVER.format(suites=THEIR_SUITES, psk=PSK))
    interop.swan.swanctl('--load-all', '--noprompt')
    ask(interop.pluto)
    answer = interop.pluto.whack('--name', 'client', '--initiate', status=0)
    assert 'received INTERNAL_IP4_ADDRESS 10.3.0.1' in answer.text
    assert 'received INTERNAL_IP4_DNS server address 10.2.0.54' in answer.text
    assert '[10.3.0.1/32===10.2.0.0/24]' in answer.text
    # The address is on the twin of the port, where the kernel sends from, and traffic finds its way.
    assert '10.2.0.0/24 dev wan0 proto 80 scope link src 10.3.0.1' in interop.gw.ip('route').stdout
    interop.gw.ping('10.2.0.1')
    sent, received = interop.pluto.traffic('client')[0]
    assert sent > 0 and received > 0
    interop.pluto.whack('--name', 'client', '--terminate', status=0)
    wait_for('strongSwan has its lease back', lambda: '0 online' in interop.swan.swanctl('--list-pools').stdout
             or re.search(r'\b0 / ', interop.swan.swanctl('--list-pools').stdout), timeout=5)
    interop.pluto.whack('--name', 'client', '--delete', status=0)
    wait_for('the address goes', lambda: '10.3.0.1' not in interop.gw.ip('address').stdout)


@needs_swan
def test_strongswan_without_an_address_is_refused(lab):
    interop = Interop(lab)
    serve(interop.pluto, '10.5.0.10-10.5.0.10')
    interop.load_swan()
    assert interop.swan.initiate(check=False).returncode != 0
    interop.pluto.wait_log('IKE_AUTH response refused the Child SA with FAILED_CP_REQUIRED')


class Ours:
    """A server of ours and clients of ours on one wire, without a dataplane."""

    def __init__(self, lab, pool, *options, clients=1):
        self.lab = lab
        self.wire = lab.namespace('wire')
        self.wire.ip('link', 'add', 'name', 'bridge0', 'type', 'bridge')
        self.wire.ip('link', 'set', 'bridge0', 'up')
        self.secrets = ': PSK "a preshared key of good length"\n'
        self.namespace = self.attach('server', '192.0.2.1')
        self.server = Pluto(lab, self.namespace, self.secrets, name='server')
        serve(self.server, pool, *options)
        self.clients = [Pluto(lab, self.attach(f'client{i}', f'192.0.2.{10 + i}'), self.secrets, name=f'client{i}') for i in range(clients)]
        for i, client in enumerate(self.clients):
            ask(client, peer_id='@ours.test', host=f'192.0.2.{10 + i}', peer='192.0.2.1', identity=f'@client{i}.test', subnet='10.1.0.0/24')

    def attach(self, name, address):
        namespace = self.lab.namespace(name)
        self.lab.veth(namespace, 'eth0', self.wire, name)
        self.wire.ip('link', 'set', name, 'master', 'bridge0')
        namespace.address('eth0', f'{address}/24')
        return namespace

    def up(self, i):
        return self.clients[i].whack('--name', 'client', '--initiate').text


def test_two_of_ours(lab):
    ours = Ours(lab, '10.5.0.10-10.5.0.10', '--modecfgdns', '10.1.0.53,2001:db8::53', '--modecfgdomains', 'a.test b.test', '--modecfgbanner', 'be good', clients=2)
    text = ours.up(0)
    assert '[10.5.0.10/32===10.1.0.0/24]' in text
    for line in ('received INTERNAL_IP4_DNS server address 10.1.0.53', 'received INTERNAL_DNS_DOMAIN b.test', 'received banner: be good'):
        assert line in text
    text = ours.clients[1].whack('--name', 'client', '--initiate', '--asynchronous').text
    ours.clients[1].wait_log('IKE_AUTH response rejected Child SA with INTERNAL_ADDRESS_FAILURE')
    ours.server.wait_log(r'no free address remains in addresspool 10\.5\.0\.10-10\.5\.0\.10')
    ours.clients[0].whack('--name', 'client', '--terminate', status=0)
    ours.clients[1].wait_counter('current.states.ipsec', 1, timeout=30)
    assert leases(ours.server) == {'10.5.0.10': 'assigned to'}


def test_scripts_are_told(lab):
    ours = Ours(lab, '10.5.0.10-10.5.0.10', '--modecfgdns', '10.1.0.53', '--modecfgdomains', 'a.test b.test', '--modecfgbanner', 'be good')
    recorder = Recorder(lab, 'client')
    ours.clients[0].whack('--name', 'client', '--delete', status=0)
    ask(ours.clients[0], peer_id='@ours.test', host='192.0.2.10', peer='192.0.2.1', identity='@client0.test', subnet='10.1.0.0/24',
        updown=recorder.command)
    ours.up(0)
    recorder.wait('prepare-client', 'route-client', 'up-client')
    run = recorder.runs()[2]
    assert run['PLUTO_MY_SOURCEIP'] == '10.5.0.10' and run['PLUTO_MY_CLIENT'] == '10.5.0.10/32'
    assert (run['PLUTO_PEER_DNS_INFO'], run['PLUTO_PEER_DOMAIN_INFO']) == ('10.1.0.53', 'a.test b.test')
    assert (run['PLUTO_PEER_BANNER'], run['PLUTO_CFG_CLIENT'], run['PLUTO_CFG_SERVER']) == ('be good', '1', '0')


def test_leases_outlive_the_daemon(lab):
    ours = Ours(lab, '10.5.0.10-10.5.0.20', clients=2)
    assert '[10.5.0.10/32===' in ours.up(0)
    assert '[10.5.0.11/32===' in ours.up(1)
    assert ours.server.shutdown() == 0
    file = ours.server.rundir / 'leases'
    assert file.read_text().startswith('plutonium leases 1\npool 10.5.0.10-10.5.0.20\n10.5.0.10 ')
    for client in ours.clients:
        client.whack('--name', 'client', '--terminate')
    ours.server.start()
    serve(ours.server, '10.5.0.10-10.5.0.20')
    assert leases(ours.server) == {'10.5.0.10': 'free', '10.5.0.11': 'free'}
    assert '[10.5.0.11/32===' in ours.up(1)
    assert '[10.5.0.10/32===' in ours.up(0)
    # A file that is not whole is said to be so, and does no harm.
    ours.server.shutdown()
    file.write_text(file.read_text()[:-6])
    ours.server.start()
    ours.server.wait_log('leases of earlier are forgotten: .*/leases: it is not complete')
    serve(ours.server, '10.5.0.10-10.5.0.20')
    assert leases(ours.server) == {}


def test_pools_that_overlap_are_refused(lab):
    ours = Ours(lab, '10.5.0.10-10.5.0.20')
    other = ('--id', '@ours.test', '--host', '192.0.2.1', '--client', '10.1.0.0/24', '--to', '--host', '%any', '--id', '%any', '--psk', '--encrypt',
             '--addresspool')
    answer = ours.server.whack('--name', 'b', *other, '10.5.0.15-10.5.0.30')
    assert answer.status != 0
    assert 'it overlaps with addresspool 10.5.0.10-10.5.0.20 of another connection' in answer.text
    ours.server.whack('--name', 'b', *other, '10.5.0.10-10.5.0.20', status=0)
    assert ours.server.counters()['plutonium.addresspools'] == 1
    for name in 'b', 'server':
        ours.server.whack('--name', name, '--delete', status=0)
    ours.server.whack('--name', 'b', *other, '10.5.0.15-10.5.0.30', status=0)
