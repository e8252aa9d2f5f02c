"""Updown scripts: what they are told and when, and what becomes of an SA whose script fails or hangs."""
import os
import re
import time

import pytest

from lab import wait_for
from pluto import Pluto, timed, tunnel
from test_many_tunnels import Crowd

PSK = ': PSK "one key for all of this test"\n'
WEST, EAST = ('192.0.2.1', '@west', '10.1.0.0/24'), ('192.0.2.2', '@east', '10.2.0.0/24')


class Recorder:
    """A script that writes its environment into a directory, and whatever a test adds to it."""

    def __init__(self, lab, name, body=''):
        self.directory = lab.directory / f'{name}.runs'
        self.directory.mkdir()
        self.script = lab.directory / f'{name}.sh'
        self.write(body)

    def write(self, body):
        self.script.write_text('#!/bin/sh\nd=$1\n'
                               'env -0 >"$d/.$$" && mv "$d/.$$" "$d/$(date +%s%N).$$"\n' + body + '\n')
        self.script.chmod(0o755)

    @property
    def command(self):
        return f'{self.script} {self.directory}'

    def runs(self):
        """The environments, in order."""
        names = sorted(f for f in os.listdir(self.directory) if f[0] != '.' and f[0].isdigit())
        texts = [(self.directory / f).read_bytes().decode(errors='surrogateescape') for f in names]
        return [dict(v.split('=', 1) for v in text.split('\0') if '=' in v) for text in texts]

    def verbs(self):
        return [run['PLUTO_VERB'] for run in self.runs()]

    def wait(self, *verbs, timeout=10):
        wait_for(f'{verbs}; there is {self.verbs()}', lambda: self.verbs() == list(verbs), timeout)


class Two:
    """West and east, each with a recorder of its own."""

    def __init__(self, lab, *options, west=WEST, east=EAST, body='', more=(), secrets=PSK):
        self.lab = lab
        self.namespaces = [lab.namespace('west'), lab.namespace('east')]
        lab.veth(self.namespaces[0], 'wan', self.namespaces[1], 'wan')
        for n, namespace in enumerate(self.namespaces, 1):
            namespace.address('wan', f'192.0.2.{n}/24')
            namespace.ip('address', 'add', f'2001:db8::{n}/64', 'dev', 'wan', 'nodad')
        self.west, self.east = (Pluto(lab, namespace, secrets, '--updown-timeout', '2', *options, name=name)
                                for namespace, name in zip(self.namespaces, ('west', 'east')))
        self.recorders = [Recorder(lab, name, body) for name in ('west', 'east')]
        for pluto, recorder, local, remote in (self.west, self.recorders[0], west, east), \
                (self.east, self.recorders[1], east, west):
            words = tunnel('t', local, remote, *more)
            words[words.index('--to'):words.index('--to')] = ['--updown', recorder.command]
            pluto.whack(*words, status=0)
            pluto.listen()

    def initiate(self, status=0, timeout=30):
        return self.west.whack('--name', 't', '--initiate', status=status, timeout=timeout)


UP = ['prepare', 'route', 'up']


@pytest.mark.parametrize('kind,west,east,suffix', [
    ('client', WEST, EAST, '-client'),
    ('host', WEST[:2] + (None,), EAST[:2] + (None,), '-host'),
    ('client-v6', ('2001:db8::1', '@west', 'fd00:1::/64'), ('2001:db8::2', '@east', 'fd00:2::/64'), '-client-v6'),
    ('host-v6', ('2001:db8::1', '@west', None), ('2001:db8::2', '@east', None), '-host-v6'),
    ('v6-in-v4', ('192.0.2.1', '@west', 'fd00:1::/64'), ('192.0.2.2', '@east', 'fd00:2::/64'), '-client-v6'),
])
def test_verbs_and_variables(lab, kind, west, east, suffix):
    two = Two(lab, west=west, east=east, more=('--metric', 77, '--mtu', 1300))
    two.initiate()
    for recorder in two.recorders:
        recorder.wait(*(verb + suffix for verb in UP))
    run = two.recorders[0].runs()[2]
    bits, host = (128, west[0]) if ':' in (west[2] or west[0]) else (32, west[0])
    assert run['PLUTO_CONNECTION'] == 't' and run['PLUTO_CONNECTION_TYPE'] == 'tunnel'
    assert run['PLUTO_INTERFACE'] == 'wan' and run['PLUTO_NEXT_HOP'] == east[0]
    assert (run['PLUTO_ME'], run['PLUTO_PEER']) == (west[0], east[0])
    assert (run['PLUTO_MY_ID'], run['PLUTO_PEER_ID']) == ('@west', '@east')
    assert run['PLUTO_MY_CLIENT'] == (west[2] or f'{host}/{bits}')
    assert run['PLUTO_MY_CLIENT_NET'] == (west[2] or f'{host}/').split('/')[0]
    assert run['PLUTO_PEER_CLIENT'] == (east[2] or f'{east[0]}/{bits}')
    assert run['PLUTO_PEER_CLIENT_MASK'] == {'-client': '255.255.255.0', '-host': '255.255.255.255',
                                             '-client-v6': 'ffff:ffff:ffff:ffff::',
                                             '-host-v6': ':'.join(['ffff'] * 8)}[suffix]
    assert (run['PLUTO_METRIC'], run['PLUTO_MTU']) == ('77', '1300')
    assert run['PLUTO_STACK'] == 'none' and run['PLUTO_SA_TYPE'] == 'ESP' and run['PLUTO_CONN_KIND'] == 'CK_PERMANENT'
    assert run['PLUTO_CONN_ADDRFAMILY'] == ('ipv6' if ':' in west[0] else 'ipv4')
    assert int(run['SPI_IN'], 16) and run['SPI_OUT'] == two.recorders[1].runs()[2]['SPI_IN']
    assert 'PATH' in run and 'HOME' not in run
    two.west.whack('--name', 't', '--terminate', status=0)
    for recorder in two.recorders:
        recorder.wait(*(verb + suffix for verb in UP + ['down']))
    assert two.recorders[0].runs()[3]['PLUTO_IN_BYTES'].isdigit()
    # Routed it stays, until the connection goes; a new SA only comes up.
    two.initiate()
    two.recorders[0].wait(*(verb + suffix for verb in UP + ['down', 'up']))
    two.west.whack('--name', 't', '--delete', status=0)
    two.recorders[0].wait(*(verb + suffix for verb in UP + ['down', 'up', 'down', 'unroute']))
    assert two.west.shutdown() == 0
    # Its peer did not see the end of it, but its own end it does.
    assert two.east.shutdown() == 0
    two.recorders[1].wait(*(verb + suffix for verb in UP + ['down', 'up', 'down', 'unroute']))


def test_rekeying_runs_nothing(lab):
    two = Two(lab)
    two.initiate()
    for n, kind in enumerate(('child', 'child', 'ike', 'child'), 2):
        for pluto in (two.west, two.east)[n % 2:][:1]:
            pluto.whack('--name', 't', f'--rekey-{kind}', status=0)
    two.west.wait_counter('total.ikev2.child.established', 4)
    two.west.wait_counter('total.ikev2.ike.established', 2)
    time.sleep(0.5)
    for recorder in two.recorders:
        recorder.wait('prepare-client', 'route-client', 'up-client')
    two.west.whack('--name', 't', '--delete', status=0)
    two.recorders[0].wait('prepare-client', 'route-client', 'up-client', 'down-client', 'unroute-client')


@pytest.mark.parametrize('value', ['', '%disabled'])
def test_disabled(lab, value):
    two = Two(lab)
    words = tunnel('none', WEST, EAST)
    words[words.index('--to'):words.index('--to')] = ['--updown', value]
    two.west.whack('--name', 't', '--delete', status=0)
    two.west.whack(*words, status=0)
    assert 'my_updown=<disabled>;' in two.west.whack('--connectionstatus', '--name', 'none').text
    two.west.whack('--name', 'none', '--initiate', status=0)
    assert two.recorders[0].verbs() == []
    assert two.west.counters()['plutonium.updown.seats'] == 0


# All but the last two are printable; blanks make them key IDs.
HOSTILE = [b'$(touch MARK)', b'`touch MARK`', b';touch MARK;', b"'; touch MARK; '", b'"; touch MARK; "', b'&touch MARK',
           b'-rf *', b'\ntouch MARK\n', b'\x1b[2J\x00\xff']


def test_hostile_identities_of_instances(lab):
    """A sloppy script evaluates what it is given; what comes from peers is text all the same."""
    mark = lab.directory / 'mark'
    west, east = lab.namespace('west'), lab.namespace('east')
    lab.veth(west, 'wan', east, 'wan')
    west.address('wan', '192.0.2.1/24')
    east.address('wan', '192.0.2.2/24')
    secrets = ': PSK "x"\n'
    a, b = Pluto(lab, west, secrets, name='west'), Pluto(lab, east, secrets, name='east')
    recorder = Recorder(lab, 'east', 'cd /; eval "ID=\\"$PLUTO_PEER_ID\\""; eval "echo \'$PLUTO_PEER_ID\'"')
    words = tunnel('road', ('192.0.2.2', '@east', '10.0.0.0/16'), ('%any', '%any', '10.128.0.0/9'), '--narrowing', 'yes')
    words[words.index('--to'):words.index('--to')] = ['--updown', recorder.command]
    b.whack(*words, status=0)
    b.listen()
    a.listen()
    for n, identity in enumerate(HOSTILE):
        identity = '@#0x' + identity.replace(b'MARK', str(mark).encode()).hex()
        a.whack(*tunnel(f't{n}', ('192.0.2.1', identity, f'10.128.0.{n}/32'), ('192.0.2.2', '@east', '10.0.0.0/16')),
                status=0)
        a.whack('--name', f't{n}', '--initiate', status=0)
    wait_for('all are up', lambda: recorder.verbs().count('up-client') == len(HOSTILE))
    assert not mark.exists()
    for run in recorder.runs():
        assert run['PLUTO_CONN_KIND'] == 'CK_INSTANCE' and run['PLUTO_PEER'] == '192.0.2.1'
        assert re.fullmatch('[ -~]+', run['PLUTO_PEER_ID']) and not set(run['PLUTO_PEER_ID']) & set('$`"\'')
    assert len({run['PLUTO_PEER_ID'] for run in recorder.runs()}) == len(HOSTILE)
    # An instance's route goes with its last SA.
    a.whack('--name', 't0', '--terminate', status=0)
    wait_for('its end', lambda: recorder.verbs()[-2:] == ['down-client', 'unroute-client'])
    assert a.shutdown() == 0
    wait_for('all ends', lambda: recorder.verbs().count('unroute-client') == len(HOSTILE))
    assert b.counters()['plutonium.updown.seats'] == 0
    assert not mark.exists()


@pytest.mark.parametrize('verb', UP)
@pytest.mark.parametrize('who', [0, 1], ids=['initiator', 'responder'])
def test_a_failing_script(lab, who, verb):
    two = Two(lab)
    two.recorders[who].write(f'case $PLUTO_VERB in {verb}-*) echo no such thing; exit 3;; esac')
    answer = two.initiate(status=None)
    pluto = (two.west, two.east)[who]
    pluto.wait_log(f'#[0-9]+: {verb}-client output: no such thing')
    pluto.wait_log(f'Child SA refused: {verb}-client command exited with status 3: no such thing')
    for p in two.west, two.east:
        p.wait_counter('current.states.ipsec', 0)
    if who == 0:
        assert answer.status == 25, answer.text
        assert 'exited with status 3' in answer.text
    undone = {'prepare': [], 'route': ['unroute'], 'up': ['down', 'unroute']}[verb]
    wait_for('what was done is undone', lambda: two.recorders[who].verbs()[:len(UP[:UP.index(verb) + 1] + undone)] ==
             [f'{v}-client' for v in UP[:UP.index(verb) + 1] + undone])
    two.recorders[who].write('')
    two.west.whack('--name', 't', '--initiate', status=0)
    two.west.wait_counter('current.states.ipsec', 1)


def test_a_failing_end_is_logged(lab):
    two = Two(lab, body='case $PLUTO_VERB in down-*|unroute-*) exit 4;; esac')
    two.initiate()
    two.west.whack('--name', 't', '--delete', status=0)
    two.west.wait_log('"t" #[0-9]+: down-client command exited with status 4')
    two.west.wait_log('"t" #[0-9]+: unroute-client command exited with status 4')
    two.recorders[0].wait(*(f'{v}-client' for v in UP + ['down', 'unroute']))
    assert two.west.counters()['plutonium.updown.seats'] == 0


@pytest.mark.parametrize('trap', ['', 'trap "" TERM; '])
def test_a_hanging_script(lab, trap):
    """Its whole group is killed; whack is answered meanwhile; the output is bounded."""
    two = Two(lab)
    pids = lab.directory / 'pids'
    two.recorders[0].write(f'{trap}echo $$ >>{pids}; (sleep 100 & echo $! >>{pids}; yes flood) & sleep 100')
    waiting = two.west.whack_start('--name', 't', '--initiate')
    two.west.wait_log('prepare-client output: flood')
    for _ in range(10):
        assert timed(lambda: two.west.whack('--status', status=0))[0] < 5
    two.west.wait_log('prepare-client command still runs after 2 s: terminating it')
    two.west.wait_log('Child SA refused: prepare-client command did not end within 2 s')
    assert waiting.wait(10) == 25
    assert two.west.log_text().count('output: flood') < 40
    for pid in pids.read_text().split():
        wait_for(f'{pid} has ended', lambda p=pid: not os.path.exists(f'/proc/{p}/root/bin') or
                 'State:\tZ' in open(f'/proc/{p}/status', encoding='ascii').read())
    assert two.west.counters()['plutonium.updown.timed_out'] >= 1
    assert two.west.shutdown() == 0


def test_descriptors_and_signals(lab):
    out = lab.directory / 'facts'
    two = Two(lab)
    two.recorders[0].write(f'case $PLUTO_VERB in up-*) ls -l /proc/$$/fd >{out}; grep Sig /proc/$$/status >>{out}; '
                           f'cat >>{out}; ps -o pgid= -p $$ >>{out}; echo $$ $PPID >>{out};; esac')
    two.initiate()
    text = out.read_text()
    inherited = [fd for fd, what in re.findall(r' (\d+) -> (\S+)', text) if not what.endswith('west.sh') and
                 not (int(fd) > 9 and what.startswith('pipe:'))]  # the shell's own copies of 1 and 2
    assert sorted(inherited) == ['0', '1', '2'], text
    assert '0 -> /dev/null' in text
    assert re.search('SigBlk:\t0+$', text, re.M) and re.search('SigIgn:\t0+(180000000)?$', text, re.M)  # glibc's own two
    group, *shell = text.split()[-3:]
    assert group in shell  # /bin/sh may run the script in its place, or beside itself


def test_a_background_process_is_left_alone(lab):
    two = Two(lab)
    done = lab.directory / 'done'
    two.recorders[0].write(f'(sleep 1; echo >{done}) &')
    took = timed(two.initiate)[0]
    wait_for('the background process has done its work', done.exists)
    assert took < 5


def crowd_with(lab, tunnels, body):
    script = lab.directory / 'crowd.sh'
    script.write_text(f'#!/bin/sh\n{body}\n')
    script.chmod(0o755)

    class Scripted(Crowd):
        @staticmethod
        def description(n):
            return Crowd.description(n) + f'\tleftupdown={script}\n'

    return Scripted(lab, tunnels, '--shards', 2)


def test_a_crowd_with_a_script(lab):
    count = lab.directory / 'count'
    crowd = crowd_with(lab, 100, f'case $PLUTO_VERB in up-*) echo "$PLUTO_MY_ID" >>{count};; esac')
    crowd.up()
    assert sorted(count.read_text().split()) == sorted(f'@west{n}' for n in range(100))
    assert crowd.west.counters()['plutonium.updown.runs'] == 300
    assert crowd.west.shutdown(60) == 0


def test_2000_tunnels_wait_for_scripts(lab):
    """Scripts that take their time hold up neither the negotiation nor whack, nor the end of it all."""
    crowd = crowd_with(lab, 2000, 'sleep 0.2')
    start = time.monotonic()
    crowd.west.whack('--name', 'all', '--initiate', '--asynchronous', status=0, timeout=60)
    longest = 0
    while crowd.west.counters()['current.states.iketype.authenticated'] < 2000:
        longest = max(longest, timed(lambda: crowd.west.whack('--briefstatus', status=0))[0])
        assert time.monotonic() - start < 60
        time.sleep(0.1)
    took = time.monotonic() - start
    counters = crowd.west.counters()
    assert counters['current.states.ipsec'] < 1000 < counters['plutonium.updown.waiting']
    print(f'2000 IKE SAs up in {took:.1f} s, {counters["current.states.ipsec"]} Child SAs with their scripts; '
          f'whack waited at most {longest:.2f} s')
    took, status = timed(lambda: crowd.west.shutdown(60))
    assert status == 0
    print(f'shut down in {took:.1f} s')
