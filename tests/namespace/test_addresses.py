"""Addresses and interfaces that come and go while pluto runs: it follows, with nobody saying --listen."""
import re
import time

from lab import run, wait_for
from pluto import Pluto, tunnel

SECRETS = '@west @east : PSK "namespace-test-psk"\n'
WEST = ('192.0.2.1', '@west', '10.1.0.0/24')
EAST = ('192.0.2.2', '@east', '10.2.0.0/24')


def listens(pluto, address):
    return f'{address}:500 ' in pluto.namespace.run('ss', '-Hlun').stdout


def oriented(pluto, name):
    return 'host: oriented' in pluto.whack('--name', name, '--connectionstatus', status=0).text


def make_link(lab):
    west, east = lab.namespaces['west'], lab.namespaces['east']
    lab.veth(west, 'wan', east, 'wan')
    west.address('wan', '192.0.2.1/24')
    east.address('wan', '192.0.2.2/24')


def pair(lab, *options):
    for name in 'west', 'east':
        lab.namespace(name)
    make_link(lab)
    west = Pluto(lab, lab.namespaces['west'], SECRETS, *options, name='west')
    east = Pluto(lab, lab.namespaces['east'], SECRETS, *options, name='east')
    west.whack(*tunnel('t', WEST, EAST), status=0)
    east.whack(*tunnel('t', EAST, WEST), status=0)
    west.listen()
    east.listen()
    return west, east


def test_interface_goes_and_comes_back(lab):
    west, east = pair(lab)
    west.whack('--name', 't', '--initiate', status=0)
    west.namespace.ip('link', 'del', 'wan')
    wait_for('west lets go of the address', lambda: not listens(west, '192.0.2.1'))
    west.wait_log(r'shutting down UDP interface wan 192\.0\.2\.1:500')
    wait_for('the connection is not oriented', lambda: not oriented(west, 't'))
    make_link(lab)
    for pluto, address in (west, '192.0.2.1'), (east, '192.0.2.2'):
        wait_for(f'{address} is listened on', lambda: listens(pluto, address))
        wait_for('the connection is oriented', lambda: oriented(pluto, 't'))
    # The SAs are the same ones, and work.
    answer = west.whack('--name', 't', '--rekey-child', status=0)
    assert re.search(r'rekeyed Child SA #2', answer.text), answer.text
    assert west.counters()['current.states.ike'] == 1


def test_new_address_orients_a_connection(lab):
    west, _ = pair(lab)
    west.whack(*tunnel('other', ('192.0.2.77', '@west', '10.3.0.0/24'), EAST), status=0)
    assert not oriented(west, 'other')
    west.namespace.ip('address', 'add', '192.0.2.77/24', 'dev', 'wan')
    wait_for('the new address is listened on', lambda: listens(west, '192.0.2.77'))
    assert oriented(west, 'other')
    assert listens(west, '192.0.2.1')
    west.namespace.ip('address', 'del', '192.0.2.77/24', 'dev', 'wan')
    wait_for('it is let go', lambda: not listens(west, '192.0.2.77'))
    assert not oriented(west, 'other')
    assert oriented(west, 't')


def test_only_what_is_wanted_is_followed(lab):
    west, _ = pair(lab, '--listen', '192.0.2.1', '--listen', '192.0.2.2')
    west.namespace.ip('address', 'add', '192.0.2.78/24', 'dev', 'wan')
    west.namespace.ip('address', 'add', '192.0.2.2/24', 'dev', 'lo')
    wait_for('the one that --listen names', lambda: listens(west, '192.0.2.2'))
    assert not listens(west, '192.0.2.78')
    west.whack('--unlisten', status=0)
    wait_for('no socket is left', lambda: not listens(west, '192.0.2.1'))
    west.namespace.ip('address', 'del', '192.0.2.78/24', 'dev', 'wan')
    west.namespace.ip('address', 'add', '192.0.2.79/24', 'dev', 'wan')
    time.sleep(1)  # longer than it takes to follow
    assert west.whack('--briefstatus').status == 0
    assert not listens(west, '192.0.2.1')


def test_a_storm_of_addresses(lab):
    """Many changes at once are one piece of work; what is there in the end is listened on."""
    west, _ = pair(lab)
    lines = [f'address add 198.51.{i // 250}.{1 + i % 250}/32 dev lo' for i in range(600)]
    lines += [f'address del 198.51.{i // 250}.{1 + i % 250}/32 dev lo' for i in range(580)]
    batch = lab.directory / 'batch'
    batch.write_text('\n'.join(lines) + '\n')
    before = west.cpu_seconds()
    run('ip', '-n', west.namespace.name, '-batch', batch)
    wait_for('the last ones', lambda: listens(west, '198.51.2.100') and not listens(west, '198.51.0.1'), timeout=90)
    print(f'figure: {west.cpu_seconds() - before:.2f} s of CPU for 1180 changes')
    assert west.whack('--briefstatus').status == 0


def test_what_could_not_be_opened_is_tried_again(lab):
    west, _ = pair(lab)
    west.namespace.sysctl('net.ipv4.ip_nonlocal_bind', 1)
    holder = west.namespace.start('/usr/bin/python3', '-c', 'import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); '
                                  's.bind(("192.0.2.80", 500)); time.sleep(60)')
    wait_for('the port is taken', lambda: listens(west, '192.0.2.80'))
    west.namespace.ip('address', 'add', '192.0.2.80/24', 'dev', 'wan')
    west.wait_log('Address already in use')
    lab.stop(holder)
    wait_for('pluto has it', lambda: '192.0.2.80:4500 ' in west.namespace.run('ss', '-Hlun').stdout)
