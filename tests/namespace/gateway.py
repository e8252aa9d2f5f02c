"""One of our gateways on the DPDK dataplane, a host behind it, a strongSwan as the peer, with or without a NAT between.

  host 10.1.0.10 -- gw -- [nat] -- swan 10.2.0.1

nat: None; 'peer': strongSwan is behind the NAT; 'ours': our gateway is. 'ipv6': no NAT, and IPv6 between the gateways.
"""
import pathlib

from capture import Capture
from lab import wait_for
from pluto import Pluto, tunnel
from strongswan import StrongSwan

TRANSFER = pathlib.Path(__file__).resolve().parents[2] / 'scripts' / 'transfer.py'
PSK = 'interop-psk-1'
SECRETS = f'@ours.test @swan.test : PSK "{PSK}"\n'


def transfer(sender, receiver, address, megabytes=2, port=5001):
    """A TCP transfer; what arrives is what was sent."""
    output = receiver.lab.directory / 'received'
    output.write_bytes(b'')
    process = receiver.start('/usr/bin/python3', TRANSFER, 'receive', address, port, log=output)
    wait_for('a listening receiver', lambda: f':{port} ' in receiver.run('ss', '-Hltn').stdout)
    sent = sender.run('/usr/bin/python3', TRANSFER, 'send', address, port, megabytes, timeout=60).stdout
    assert process.wait(10) == 0, output.read_text()
    assert output.read_text().split() == sent.splitlines()[-1].split()


class Interop:
    OUTER = {None: ('192.0.2.1', '192.0.2.2'), 'peer': ('192.0.2.1', '198.51.100.2'), 'ours': ('198.51.100.2', '192.0.2.2'),
             'ipv6': ('2001:db8::1', '2001:db8::2')}

    def __init__(self, lab, nat=None, options=(), **swan):
        self.ours, self.theirs = self.OUTER[nat]
        length = 64 if nat == 'ipv6' else 24
        self.lab, self.nat = lab, None if nat == 'ipv6' else nat
        self.host, self.gw, self.peer = (lab.namespace(n) for n in ('host', 'gw', 'swan'))
        lab.veth(self.gw, 'lan', self.host, 'eth0')
        self.host.address('eth0', '10.1.0.10/24')
        self.peer.address('lo', '10.2.0.1/24')
        if self.nat:
            self.make_nat()
        else:
            lab.veth(self.gw, 'wan', self.peer, 'eth0')
        self.peer.address('eth0', f'{self.theirs}/{length}')
        self.pluto = Pluto(lab, self.gw, SECRETS, *options, ports={'wan': 'wan0', 'lan': 'lan0'}, name='ours')
        self.gw.address('wan0', f'{self.ours}/{length}')
        self.gw.address('lan0', '10.1.0.1/24')
        self.host.ip('route', 'add', 'default', 'via', '10.1.0.1')
        if self.nat:
            behind = self.peer if nat == 'peer' else self.gw
            behind.ip('route', 'add', 'default', 'via', '198.51.100.1')
        self.swan = StrongSwan(lab, self.peer, **swan)
        self.capture = Capture(lab, self.peer, 'eth0')

    def make_nat(self):
        box = self.box = self.lab.namespace('nat')
        inside, outside = ('swan', 'gw') if self.nat == 'peer' else ('gw', 'swan')
        ends = {'gw': (self.gw, 'wan'), 'swan': (self.peer, 'eth0')}
        self.lab.veth(*ends[inside], box, 'in')
        self.lab.veth(*ends[outside], box, 'out')
        box.address('in', '198.51.100.1/24')
        box.address('out', '192.0.2.254/24')
        box.sysctl('net.ipv4.ip_forward', 1)
        box.nft('add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; '
                'add rule ip nat post oifname "out" masquerade')

    def connect(self, ike=('aes128gcm16-prfsha256-curve25519', 'aes_gcm128-sha2_256-dh31'),
                esp=('aes128gcm16', 'aes_gcm128'), options=(), **swan):
        """Both descriptions; suites as (strongSwan's text, whack's text)."""
        seen = '%any' if self.nat == 'peer' else self.theirs
        self.pluto.whack(*tunnel('swan', (self.ours, '@ours.test', '10.1.0.0/24'), (seen, '@swan.test', '10.2.0.0/24'),
                                 '--ike', ike[1], '--esp', esp[1], *options), status=0)
        self.pluto.listen()
        self.load_swan(ike[0], esp[0], **swan)

    def load_swan(self, ike='aes128gcm16-prfsha256-curve25519', esp='aes128gcm16', **swan):
        seen = '%any' if self.nat == 'ours' else self.ours
        self.swan.load(self.theirs, seen, 'swan.test', 'ours.test', PSK, '10.2.0.0/24', '10.1.0.0/24', ike, esp, **swan)

    def initiate(self, who):
        if who == 'ours':
            answer = self.pluto.whack('--name', 'swan', '--initiate', status=0)
            assert r'"swan" #2: initiator established Child SA using #1; IPsec tunnel ' in answer
        else:
            self.swan.initiate()
        self.pluto.wait_counter('current.states.ipsec', 1)
        return self

    def check_traffic(self):
        """Ping and TCP both ways, in ESP only, by the count of both ends."""
        self.host.ping('10.2.0.1')
        self.peer.ping('10.1.0.10', source='10.2.0.1')
        transfer(self.host, self.peer, '10.2.0.1')
        transfer(self.peer, self.host, '10.1.0.10')
        (bytes_in, bytes_out), = self.pluto.traffic('swan')
        their_in, their_out = self.swan.traffic()
        # What overran a socket buffer of strongSwan's was counted by its sender only; TCP sent it again.
        assert 2 << 20 < bytes_in <= their_out
        assert 2 << 20 < their_in <= bytes_out
        kinds = self.capture.stop()
        assert set(kinds) <= {'ike', 'esp-in-udp', 'arp', 'nd', 'keepalive'}, kinds
        assert kinds['esp-in-udp'] > 2000
