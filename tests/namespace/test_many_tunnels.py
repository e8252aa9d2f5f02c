"""Thousands of tunnels between two plutos without ESP: steering, spread over the shards, reports that stall nobody."""
import re
import time

import pytest

from lab import run, wait_for
from pluto import Pluto, program, timed, tunnel

PSK = ': PSK "one key for all of this test"\n'
IKE, ESP = 'aes_gcm128-sha2_256-dh31', 'aes_gcm128'


class Crowd:
    """West has a connection for each tunnel, all with the alias "all"; east has one template for whoever comes."""

    def __init__(self, lab, tunnels, *options):
        self.tunnels = tunnels
        west, east = lab.namespace('west'), lab.namespace('east')
        lab.veth(west, 'wan', east, 'wan')
        west.address('wan', '192.0.2.1/24')
        east.address('wan', '192.0.2.2/24')
        self.west = Pluto(lab, west, PSK, *options, name='west')
        self.east = Pluto(lab, east, PSK, *options, name='east')
        self.east.whack(*tunnel('road', ('192.0.2.2', '@east', '10.0.0.0/16'), ('%any', '%any', '10.128.0.0/9'),
                                '--ike', IKE, '--esp', ESP, '--narrowing', 'yes'), status=0)
        config = self.west.rundir / 'ipsec.conf'
        config.write_text(''.join(self.description(n) for n in range(tunnels)))
        run(program('whack/addconn'), '--config', config, '--autoall', '--ctlsocket', self.west.rundir / 'pluto.ctl',
            timeout=120)
        assert self.west.counters()['plutonium.connections'] == tunnels
        self.west.listen()
        self.east.listen()

    @staticmethod
    def description(n):
        return f'''conn t{n}
\tconnalias=all
\tleft=192.0.2.1
\tleftid=@west{n}
\tleftsubnet=10.{128 + (n >> 16)}.{n >> 8 & 255}.{n & 255}/32
\tright=192.0.2.2
\trightid=@east
\trightsubnet=10.0.0.0/16
\tauthby=secret
\tike={IKE}
\tesp={ESP}
\tauto=add
'''

    def up(self, timeout=90):
        self.west.whack('--name', 'all', '--initiate', '--asynchronous', status=0, timeout=60)
        for pluto in self.west, self.east:
            wait_for(f'{self.tunnels} tunnels in the {pluto.name}',
                     lambda p=pluto: p.counters()['current.states.ipsec'] == self.tunnels, timeout, 0.2)
        for pluto in self.west, self.east:
            counters = pluto.counters()
            assert counters['current.states.iketype.authenticated'] == counters['current.states.ike'] == self.tunnels
            assert counters['current.states.iketype.halfopen'] == counters['current.states.iketype.open'] == 0
            assert counters['plutonium.shards'] == len(pluto.shards('ike_sas'))


@pytest.mark.parametrize('shards', [2, 4])
@pytest.mark.parametrize('steering', [True, False], ids=['steering', 'no-steering'])
def test_2000_tunnels(lab, shards, steering):
    crowd = Crowd(lab, 2000, '--shards', shards, *([] if steering else ['--no-steering']))
    crowd.up()
    for pluto in crowd.west, crowd.east:
        spread = pluto.shards('ike_sas')
        print(pluto.name, 'IKE SAs by shard', spread, 'handed over', pluto.shards('handed_over'))
        assert sum(spread) == 2000
        assert min(spread) > 0.8 * 2000 / shards and max(spread) < 1.2 * 2000 / shards
        handed_over = sum(pluto.shards('handed_over'))
        assert handed_over == 0 if steering else handed_over > 0
    assert crowd.west.shutdown() == 0
    for key in 'current.states.ipsec', 'current.states.iketype.authenticated':
        crowd.east.wait_counter(key, 0)
    assert crowd.east.shutdown() == 0


def test_clients_that_do_not_read_hold_up_nobody(lab):
    crowd = Crowd(lab, 10000, '--shards', 2)
    crowd.up(timeout=180)
    west = crowd.west
    before = west.resident_kb()
    # whack stops reading its socket when nobody reads what it prints.
    stuck = [west.whack_start('--status') for _ in range(10)]
    time.sleep(1)
    for command in ['--briefstatus'], ['--globalstatus'], ['--name', 't7', '--trafficstatus']:
        seconds, _ = timed(lambda c=command: west.whack(*c, status=0))
        assert seconds < 1, (command, seconds)
    west.whack(*tunnel('later', ('192.0.2.1', '@later', '10.200.0.0/32'), ('192.0.2.2', '@east', '10.0.0.0/16'),
                       '--ike', IKE, '--esp', ESP), status=0)
    seconds, _ = timed(lambda: west.whack('--name', 'later', '--initiate', status=0))
    assert seconds < 1, seconds
    assert all(client.poll() is None for client in stuck)
    assert west.resident_kb() < before + 20000
    # One that reads again gets all of it, and the daemon forgets those that go away.
    text, errors = stuck[0].communicate(timeout=60)
    assert stuck[0].returncode == 0, errors
    assert re.search(r'^Total IPsec connections: loaded 1000[01], ', text, re.MULTILINE)
    assert len(set(re.findall(r'^#\d+: "(t\d+)":500 established IKE SA;', text, re.MULTILINE))) == 10000
    for client in stuck[1:]:
        client.kill()
        client.wait()
    wait_for('only the asking client is left', lambda: west.counters()['plutonium.control.clients'] == 1)
    seconds, answer = timed(lambda: west.whack('--status', status=0, timeout=60))
    print(f'--status at 10,000 tunnels: {seconds:.2f} s, {len(answer.text)} bytes')
