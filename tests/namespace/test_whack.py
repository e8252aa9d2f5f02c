"""Two plutos on one veth, without ESP: what whack says and how it exits."""
import pathlib
import re
import signal

import pytest

from lab import run, wait_for
from pluto import Pluto, program, timed, tunnel

SECRETS = '@west @east : PSK "namespace-test-psk"\n'
WEST = ('192.0.2.1', '@west', '10.1.0.0/24')
EAST = ('192.0.2.2', '@east', '10.2.0.0/24')
SUITE = ('--ike', 'aes_gcm128-sha2_256-dh31', '--esp', 'aes_gcm128')


class Pair:
    def __init__(self, lab, *options, west_secrets=SECRETS):
        self.lab = lab
        west, east = lab.namespace('west'), lab.namespace('east')
        lab.veth(west, 'wan', east, 'wan')
        west.address('wan', '192.0.2.1/24')
        east.address('wan', '192.0.2.2/24')
        self.west = Pluto(lab, west, west_secrets, *options, name='west')
        self.east = Pluto(lab, east, SECRETS, *options, name='east')

    def add(self, name='v2', *options):
        self.west.whack(*tunnel(name, WEST, EAST, *SUITE, *options), status=0)
        self.east.whack(*tunnel(name, EAST, WEST, *SUITE, *options), status=0)

    def up(self, *options):
        self.add('v2', *options)
        self.west.listen()
        self.east.listen()
        return self.west.whack('--name', 'v2', '--initiate', status=0)


@pytest.fixture
def pair(lab):
    return Pair(lab)


def has_lines_in_order(answer, patterns):
    rest = iter(answer.lines)
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line) for line in rest), f'no {pattern!r} at its place in:\n{answer.text}'


def test_established(pair):
    answer = pair.west.whack(*tunnel('v2', WEST, EAST, *SUITE), status=0)
    assert r'"v2": added (un)?oriented IKEv2 connection' in answer
    pair.east.whack(*tunnel('v2', EAST, WEST, *SUITE), status=0)
    assert 'listening for IKE messages' in pair.west.listen()
    pair.east.listen()
    answer = pair.west.whack('--name', 'v2', '--initiate', status=0)
    suite = r'\{cipher=AES_GCM_16_128 integ=n/a prf=HMAC_SHA2_256 ke=DH31\}'
    selectors = r'\[10\.1\.0\.0/24===10\.2\.0\.0/24\]'
    has_lines_in_order(answer, [
        r'"v2" #1: initiating IKEv2 connection to 192\.0\.2\.2 using UDP',
        r'"v2" #1: sent IKE_SA_INIT request to 192\.0\.2\.2:UDP/500',
        rf'"v2" #1: processed IKE_SA_INIT response from 192\.0\.2\.2:UDP/500 {suite}, initiating IKE_AUTH',
        r'"v2" #1: sent IKE_AUTH request to 192\.0\.2\.2:UDP/500 with shared-key-mac and FQDN \'@west\'; '
        rf'Child SA #2 \{{ESP <0x[0-9a-f]+\}} {selectors}',
        r'"v2" #1: processing IKE_AUTH response from 192\.0\.2\.2:UDP/500 containing SK\{.*IDr.*AUTH.*\}',
        r'"v2" #1: initiator established IKE SA; authenticated peer using authby=secret and FQDN \'@east\'',
        rf'"v2" #2: initiator established Child SA using #1; IPsec tunnel {selectors} '
        r'\{ESP(/ESN)?=>0x[0-9a-f]+ <0x[0-9a-f]+ xfrm=AES_GCM_16_128 DPD=passive\}',
    ])
    pair.east.wait_log(r'"v2" #2: responder established Child SA using #1')


def test_wrong_psk(lab):
    pair = Pair(lab, west_secrets='@west @east : PSK "not-the-same-psk"\n')
    pair.add()
    pair.west.listen()
    pair.east.listen()
    answer = pair.west.whack('--name', 'v2', '--initiate', status=56)
    assert r'"v2" #1: IKE SA authentication request rejected by peer: AUTHENTICATION_FAILED' in answer
    assert r'"v2" #1: encountered fatal error in state IKE_AUTH_I' in answer
    assert pair.east.counters()['total.ikev2.sent.notifies.error.AUTHENTICATION_FAILED'] >= 1


def test_silence(pair):
    pair.add('v2', '--retransmit-timeout', '3')
    pair.west.listen()  # nobody listens in the east
    pair.east.namespace.nft('add table ip f; add chain ip f i { type filter hook input priority 0; }; '
                            'add rule ip f i udp dport 500 drop')
    seconds, answer = timed(lambda: pair.west.whack('--name', 'v2', '--initiate', status=51))
    assert 2.5 < seconds < 10
    has_lines_in_order(answer, [
        r'"v2" #1: retransmitting IKE_SA_INIT request; will wait 0\.5 seconds for response',
        r'"v2" #1: retransmitting IKE_SA_INIT request; will wait 1 seconds? for response',
        r'"v2" #1: IKE_SA_INIT_I: 3 second timeout exceeded after \d+ retransmits\.  No response \(or no acceptable '
        r'response\) to our first IKEv2 message',
    ])


def test_statuses_of_what_cannot_be(pair):
    pair.west.whack(*tunnel('v2', WEST, EAST, *SUITE), status=0)
    answer = pair.west.whack('--name', 'v2', '--initiate', status=24)
    assert 'need --listen before --initiate' in answer
    answer = pair.west.whack(*tunnel('v2', WEST, EAST, *SUITE), status=20)
    assert 'attempt to redefine connection "v2"' in answer
    pair.west.listen()
    for command in '--initiate', '--terminate', '--delete':
        answer = pair.west.whack('--name', 'nobody', command, status=21)
        assert 'no connection or alias named "nobody"' in answer
    pair.west.whack(*tunnel('elsewhere', ('203.0.113.1', '@w', None), ('203.0.113.2', '@e', None)), status=0)
    pair.west.whack('--name', 'elsewhere', '--initiate', status=22)
    pair.west.whack(*tunnel('road', WEST, ('%any', '%any', None)), status=0)
    pair.west.whack('--name', 'road', '--initiate', status=29)
    assert pair.west.whack('--no-such-option').status == 1
    assert pair.west.whack('--initiate').status == 33
    assert pair.west.whack('--initiate', '--listen', '--name', 'v2').status == 33


def test_not_running(tmp_path):
    result = run(program('whack/whack'), '--rundir', tmp_path, '--status', check=False)
    assert result.returncode == 33
    assert 'Pluto is not running (no "' in result.stdout


def test_lock_is_status_10(pair):
    second = run('ip', 'netns', 'exec', pair.west.namespace.name, *pair.west.command, check=False)
    assert second.returncode == 10
    assert pair.west.alive()


def test_terminate_and_reports(pair):
    pair.up()
    west = pair.west
    assert 'IKE SAs: total\\(1\\), half-open\\(0\\), open\\(0\\), authenticated\\(1\\), anonymous\\(0\\)' \
        in west.whack('--briefstatus', status=0)
    traffic = west.whack('--trafficstatus', status=0)
    assert len(traffic.lines) == 1
    traffic.find(r'^#2: "v2", type=ESP, add_time=\d+, inBytes=0, outBytes=0, maxBytes=2\^63B, id=\'@east\'$')
    states = west.whack('--showstates', status=0)
    states.find(r'^#1: "v2":500 established IKE SA; .*newest;')
    states.find(r'^#2: "v2":500 established Child SA; .*IKE SA #1;')
    status = west.whack('--status', status=0)
    for pattern in (r'^using kernel interface: none', r'^interface wan 192\.0\.2\.1:UDP/500', r'^Connection list:',
                    r'^"v2": 10\.1\.0\.0/24===192\.0\.2\.1\[@west\]\.\.\.192\.0\.2\.2\[@east\]===10\.2\.0\.0/24; ',
                    r'^Total IPsec connections: loaded 1, '):
        status.find(pattern)
    counters = west.counters()
    assert counters['current.states.ike'] == counters['current.states.ipsec'] == 1
    assert counters['total.ikev2.ike.established'] == counters['total.ikev2.child.established'] == 1

    answer = west.whack('--name', 'v2', '--terminate', status=0)
    has_lines_in_order(answer, [r'"v2": initiating delete of connection\'s IKE SA #1 \(and Child SA #2\)',
                                r'"v2" #1: sent INFORMATIONAL request to delete IKE SA',
                                r'"v2" #2: ESP traffic information: in=0B out=0B',
                                r'"v2" #1: deleting IKE SA \(established IKE SA\)'])
    for pluto in pair.west, pair.east:
        pluto.wait_counter('current.states.ipsec', 0)
        pluto.wait_counter('current.states.iketype.authenticated', 0)
    # The answering side keeps its last response for a while, for a peer that asks again.
    pair.east.wait_counter('current.states.all', 0)
    assert west.whack('--trafficstatus', status=0).lines == []


def test_delete_takes_the_sas_down(pair):
    pair.up()
    pair.east.whack('--name', 'v2', '--delete', status=0)
    pair.west.wait_counter('current.states.ipsec', 0)
    pair.east.whack('--name', 'v2', '--delete', status=21)
    pair.east.wait_counter('current.states.all', 0)


@pytest.mark.parametrize('how', ['whack', 'SIGTERM'])
def test_shutdown_deletes_at_the_peer(pair, how):
    pair.up()
    if how == 'whack':
        assert pair.west.shutdown() == 0
    else:
        assert pair.lab.stop(pair.west.process, signal.SIGTERM, timeout=10) == 0
    pair.east.wait_counter('current.states.ipsec', 0)
    assert not (pair.west.rundir / 'pluto.ctl').exists()
    assert not (pair.west.rundir / 'pluto.pid').exists()


def test_peer_that_died_is_noticed(pair):
    pair.up('--dpddelay', '1', '--dpdtimeout', '3', '--retransmit-timeout', '3')
    pair.west.kill()
    assert pair.east.counters()['current.states.ipsec'] == 1
    wait_for('the dead peer\'s SAs are gone', lambda: pair.east.counters()['current.states.ipsec'] == 0, timeout=15)
    assert pair.east.alive()


def test_asynchronous(pair):
    pair.add()
    pair.west.listen()
    pair.east.listen()
    pair.west.whack('--name', 'v2', '--initiate', '--asynchronous', status=0)
    pair.west.wait_counter('current.states.ipsec', 1)


def test_stopped_and_continued(pair):
    """What waits in a system call is interrupted without a signal's being delivered."""
    east = pair.east
    for _ in range(3):
        east.process.send_signal(signal.SIGSTOP)
        wait_for('it has stopped', lambda: all(' (stopped)' in t.read_text() for t in threads(east)))
        east.process.send_signal(signal.SIGCONT)
        east.whack('--briefstatus', status=0)
    assert 'control loop' not in east.log.read_text()


def threads(pluto):
    return list(pathlib.Path(f'/proc/{pluto.process.pid}/task').glob('*/status'))
