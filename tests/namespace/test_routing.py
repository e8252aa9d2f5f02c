"""Routing as whack shows it: words, exit statuses, what comes and goes with addresses. No traffic: see tests/vm."""
import subprocess

import pytest

from lab import wait_for
from pluto import Pluto, program, tunnel

SECRETS = '@west @east : PSK "namespace-test-psk"\n'
WEST = ('192.0.2.1', '@west', '10.1.0.0/24')
EAST = ('192.0.2.2', '@east', '10.2.0.0/24')
ROUTE, UNROUTE, ORIENT, UNKNOWN, INITSHUNT, FATAL = 25, 26, 22, 21, 30, 56


class Pair:
    def __init__(self, lab):
        self.left, self.right = lab.namespace('west'), lab.namespace('east')
        lab.veth(self.left, 'wan', self.right, 'wan')
        self.left.address('wan', '192.0.2.1/24')
        self.right.address('wan', '192.0.2.2/24')
        self.west = Pluto(lab, self.left, SECRETS, '--shards', '3', name='west')
        self.east = Pluto(lab, self.right, SECRETS, '--shards', '2', name='east')
        self.west.listen()
        self.east.listen()

    def add(self, *options):
        self.west.whack(*tunnel('c', WEST, EAST, *options), status=0)
        self.east.whack(*tunnel('c', EAST, WEST, *options), status=0)


@pytest.fixture
def pair(lab):
    return Pair(lab)


def routing(pluto, name='c'):
    return pluto.whack('--connectionstatus', '--name', name).find(r'^"%s":   routing: ([a-z-]+);' % name).group(1)


def wait_routing(pluto, word, name='c'):
    wait_for(f'{name} is {word}', lambda: routing(pluto, name) == word)


def shunt(name, *options, right='192.0.2.2', client='10.9.0.0/16'):
    return ('--name', name, '--host', '192.0.2.1', '--client', '10.1.0.0/24', '--to', '--host', right,
            '--client', client, '--auth-never', *options)


def test_route_and_unroute(pair):
    pair.add()
    assert routing(pair.west) == 'unrouted'
    assert pair.west.whack('--name', 'c', '--route', status=0).text == ''
    assert routing(pair.west) == 'routed-ondemand'
    status = pair.west.whack('--status')
    assert r'"c": 10\.1\.0\.0/24===192\.0\.2\.1.*; routed-ondemand; ' in status
    assert r'Total IPsec connections: loaded 1, routed 1, active 0' in status
    assert '+ROUTE' in status.find('policy: .*').group(0)
    assert pair.west.whack('--name', 'c', '--ondemand', status=0).text == ''
    pair.west.whack('--name', 'c', '--initiate', status=0)
    assert routing(pair.west) == 'routed-tunnel'
    assert 'cannot unroute: an IPsec SA is using it' in pair.west.whack('--name', 'c', '--unroute', status=UNROUTE).text
    # The end that has not routed it: the same.
    wait_routing(pair.east, 'routed-tunnel')
    pair.east.whack('--name', 'c', '--unroute', status=UNROUTE)
    pair.west.whack('--name', 'c', '--terminate', status=0)
    wait_routing(pair.west, 'routed-ondemand')
    wait_routing(pair.east, 'unrouted')
    assert pair.west.whack('--name', 'c', '--unroute', status=0).text == ''
    assert routing(pair.west) == 'unrouted'
    pair.west.whack('--name', 'c', '--unroute', status=0)


def test_refusals(pair):
    west = pair.west
    for command in '--route', '--unroute', '--suspend':
        west.whack('--name', 'nobody', command, status=UNKNOWN)
    west.whack('--name', 'road', '--host', '192.0.2.1', '--to', '--host', '%any', '--psk', '--encrypt', status=0)
    assert 'IP address is not known' in west.whack('--name', 'road', '--route', status=ROUTE).text
    assert routing(west, 'road') == 'unrouted'
    west.whack(*shunt('away', '--pass', right='%any'), status=0)
    west.whack('--name', 'bare', '--host', '192.0.2.1', '--to', '--host', '%any', '--auth-never', '--drop', status=0)
    assert 'neither an address nor a subnet' in west.whack('--name', 'bare', '--route', status=ROUTE).text
    pair.add()
    assert 'no stored ticket, cannot suspend' in west.whack('--name', 'c', '--suspend', status=FATAL).text


def test_shunt_connections(pair):
    west = pair.west
    for name, option, word in ('p', '--pass', 'PASS'), ('d', '--drop', 'DROP'), ('r', '--reject', 'DROP'):
        answer = west.whack(*shunt(name, option, right='%any'), status=0)
        assert r'".": added oriented never-negotiate connection' in answer
        assert ('"--reject" was replaced by "--drop"' in answer.errors) == (option == '--reject')
        west.whack('--name', name, '--route', status=0)
        assert routing(west, name) == 'routed-never-negotiate'
        assert f'IKEv2+AUTH_NEVER+{word}+ROUTE;' in west.whack('--connectionstatus', '--name', name).text
        west.whack('--name', name, '--initiate', '--remote-host', '192.0.2.2', status=INITSHUNT)
    assert west.whack(*shunt('x', '--pass', '--psk')).status != 0
    west.whack('--name', 'p', '--delete', status=0)
    west.whack('--name', 'd', '--unroute', status=0)
    assert routing(west, 'd') == 'unrouted'


def test_initiateontraffic(pair):
    pair.west.whack(*tunnel('c', WEST, EAST, '--initiateontraffic'), status=0)
    wait_routing(pair.west, 'routed-ondemand')


def test_addresses_come_and_go(pair):
    pair.add()
    pair.west.whack('--name', 'c', '--route', status=0)
    pair.left.ip('address', 'del', '192.0.2.1/24', 'dev', 'wan')
    pair.left.ip('address', 'add', '192.0.2.9/24', 'dev', 'wan')
    pair.west.listen()
    assert '; unoriented;' in pair.west.whack('--connectionstatus', '--name', 'c').text
    # What is wanted meanwhile comes too.
    pair.west.whack(*tunnel('late', WEST, ('192.0.2.3', '@third', '10.3.0.0/24')), status=0)
    assert 'cannot route yet' in pair.west.whack('--name', 'late', '--route', status=ORIENT).text
    pair.left.ip('address', 'add', '192.0.2.1/24', 'dev', 'wan')
    pair.west.listen()
    wait_routing(pair.west, 'routed-ondemand')
    wait_routing(pair.west, 'routed-ondemand', 'late')


def test_start(pair, lab):
    conf = lab.directory / 'ipsec.conf'
    conf.write_text('config setup\n\tshuntlifetime=77\n'
                    'conn %default\n\tleft=192.0.2.1\n\tauthby=secret\n'
                    'conn demand\n\tright=192.0.2.2\n\trightsubnet=10.2.0.0/24\n\tauto=ondemand\n'
                    'conn kept\n\tright=192.0.2.2\n\trightsubnet=10.3.0.0/24\n\tauto=keep\n'
                    'conn added\n\tright=192.0.2.2\n\trightsubnet=10.4.0.0/24\n\tauto=add\n'
                    'conn clear\n\tright=192.0.2.2\n\trightsubnet=10.5.0.0/24\n\tauthby=never\n\ttype=passthrough\n'
                    '\tauto=route\n')
    done = subprocess.run([program('whack/addconn'), '--config', str(conf), '--rundir', str(pair.west.rundir),
                           '--autoall'], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    words = {name: routing(pair.west, name) for name in ('demand', 'kept', 'added', 'clear')}
    assert words == {'demand': 'routed-ondemand', 'kept': 'unrouted', 'added': 'unrouted',
                     'clear': 'routed-never-negotiate'}
    assert '+KEEP' in pair.west.whack('--connectionstatus', '--name', 'kept').text
    assert 'Bare Shunt list:' in pair.west.whack('--shuntstatus', status=0).lines
