"""The load generator counts what there is: its figures against the responder's own."""
import json

import pytest

from lab import run
from pluto import Pluto, program, tunnel

PSK = 'one key for all of this test'
IKE, ESP = 'aes_gcm128-sha2_256-dh31', 'aes_gcm128'
SOURCES = '10.64.0.0/16'


@pytest.fixture
def crowd(lab):
    clients, east = lab.namespace('clients'), lab.namespace('east')
    lab.veth(clients, 'wan', east, 'wan')
    clients.address('wan', '192.0.2.1/24')
    east.address('wan', '192.0.2.2/24')
    clients.ip('route', 'add', 'local', SOURCES, 'dev', 'lo')
    east.ip('route', 'add', SOURCES, 'via', '192.0.2.1')
    pluto = Pluto(lab, east, f': PSK "{PSK}"\n', name='east')
    pluto.whack(*tunnel('road', ('192.0.2.2', '@responder', '10.0.0.0/16'), ('%any', '%any', '10.128.0.0/9'),
                        '--ike', IKE, '--esp', ESP, '--narrowing', 'yes'), status=0)
    pluto.listen()
    return clients, pluto


def load(clients, *options, check=True, psk=PSK):
    done = run('ip', 'netns', 'exec', clients.name, program('perf/ike_load'), '--responder', '192.0.2.2',
               '--source-prefix', SOURCES, '--psk', psk, '--json', *options, check=check, timeout=60)
    phases = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {p['phase']: p for p in phases}


def test_all_come_up_stay_and_go(crowd):
    clients, pluto = crowd
    status, phases = load(clients, '--tunnels', '300', '--shards', '2', '--hold', '3', '--dpd', '1')
    setup, hold = phases['setup'], phases['hold']
    assert status == 0 and setup['established'] == 300 and setup['failed'] == {}
    assert sum(setup['over_time']) == 300
    counters = pluto.counters()
    assert counters['current.states.ipsec'] == 300
    assert counters['total.ike.traffic.in'] >= setup['bytes_sent']
    assert 0 < setup['latency_ms']['p50'] <= setup['latency_ms']['p99'] <= setup['latency_ms']['max']
    assert setup['latency_ms']['max'] <= setup['seconds'] * 1000
    assert hold['up_after'] == 300 and hold['dpd_sent'] >= 300
    assert counters['total.ike.dpd.recv'] >= 300


def test_a_thousand_clients_ask_for_addresses(crowd):
    clients, pluto = crowd
    pluto.whack('--name', 'road', '--delete', status=0)
    pluto.whack('--name', 'pool', '--id', '@responder', '--host', '192.0.2.2', '--client', '10.0.0.0/16', '--to', '--host', '%any',
                '--id', '%any', '--addresspool', '10.200.0.0/22', '--psk', '--encrypt', '--tunnel', '--ike', IKE, '--esp', ESP, status=0)
    for fresh in 1000, 0:
        status, phases = load(clients, '--tunnels', '1000', '--shards', '2', '--hold', '1', '--ask-address', '--delete')
        assert status == 0 and phases['setup']['established'] == 1000 and phases['setup']['failed'] == {}
        pluto.wait_counter('plutonium.addresspools.in_use', 0)
        counters = pluto.counters()
        assert counters['plutonium.leases.fresh'] == 1000 and counters['plutonium.leases.kept'] == 1000 - fresh
        assert counters['plutonium.addresspools.remembered'] == 1000


def test_child_sas_are_rekeyed_while_they_are_held(crowd):
    clients, pluto = crowd
    status, phases = load(clients, '--tunnels', '100', '--hold', '9', '--rekey-after', '3')
    hold = phases['hold']
    assert status == 0 and hold['up_after'] >= 100 and hold['rekeyed'] >= 100
    counters = pluto.counters()
    assert counters['total.ikev2.child.established'] == 100 + hold['rekeyed']
    assert counters['current.states.iketype.authenticated'] == 100


def test_clients_have_addresses_and_identities_of_their_own(crowd):
    clients, pluto = crowd
    load(clients, '--tunnels', '50', '--id-pattern', '@unit{}.test')
    text, log = pluto.whack('--trafficstatus').text, pluto.log.read_text()
    for n in (0, 25, 49):
        assert f"10.64.0.{n + 1}, type=ESP" in text and f"id='@unit{n}.test'" in text
        assert f'[10.0.0.0/16===10.128.0.{n}/32]' in log


def test_delete_leaves_nothing(crowd):
    clients, pluto = crowd
    status, phases = load(clients, '--tunnels', '200', '--delete')
    assert status == 0 and phases['delete']['left'] == 0
    # The responder remembers deleted IKE SAs for a while, so as to answer a repeated request.
    counters = pluto.counters()
    assert counters['current.states.ipsec'] == counters['current.states.iketype.authenticated'] == 0


def test_a_rate_is_kept(crowd):
    clients, _ = crowd
    _, phases = load(clients, '--tunnels', '201', '--rate', '100')
    assert 1.8 < phases['setup']['seconds'] < 4


def test_failures_are_counted_by_cause(crowd):
    clients, pluto = crowd
    status, phases = load(clients, '--tunnels', '20', check=False, psk='another')
    assert status == 1 and phases['setup']['established'] == 0
    assert [n for cause, n in phases['setup']['failed'].items() if 'AUTHENTICATION_FAILED' in cause] == [20]
    status, phases = load(clients, '--tunnels', '20', '--remote-net', '172.16.0.0/16', check=False)
    assert [n for cause, n in phases['setup']['failed'].items() if 'TS_UNACCEPTABLE' in cause] == [20]
    pluto.process.kill()
    pluto.process.wait()
    status, phases = load(clients, '--tunnels', '5', '--retransmit-timeout', '1', check=False)
    assert status == 1 and sum(phases['setup']['failed'].values()) == 5
    assert phases['setup']['retransmits'] >= 5


@pytest.mark.parametrize('options', [('--tunnels', '0'), ('--rate', 'x'), ('--auth', 'dss'), ('--shards', '65'),
                                     ('--source-prefix', '2001:db8::/32'), ('--client-net', '10.0.0.0/30')])
def test_bad_options_are_named(crowd, options):
    clients, _ = crowd
    done = run('ip', 'netns', 'exec', clients.name, program('perf/ike_load'), '--responder', '192.0.2.2',
               '--source-prefix', SOURCES, '--psk', PSK, *options, check=False)
    assert done.returncode == 2 and options[0] in done.stdout
