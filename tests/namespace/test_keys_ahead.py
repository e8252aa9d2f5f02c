"""Ephemeral keys made ahead in idle moments: reported, bounded, used, wiped when nobody asks; and an idle daemon is idle."""
import time

from lab import wait_for
from pluto import Pluto, tunnel

SECRETS = '@west @east : PSK "namespace-test-psk"\n'
GROUP = 'MODP2048'
# Of key_stock.h: a group that is not asked for is wiped after two windows at most.
WINDOW_S = 10


def held(pluto, what='held'):
    return int(pluto.counters()[f'plutonium.keys_ahead.{GROUP}.{what}'])


def pair(lab, options, east_options):
    west, east = lab.namespace('west'), lab.namespace('east')
    lab.veth(west, 'wan', east, 'wan')
    west.address('wan', '192.0.2.1/24')
    east.address('wan', '192.0.2.2/24')
    backend = ('--shards', '1')
    return (Pluto(lab, west, SECRETS, *backend, *options, name='west', ports=()),
            Pluto(lab, east, SECRETS, *backend, *east_options, name='east', ports=()))


def set_up(a, b, count):
    for n in range(count):
        ends = ('192.0.2.1', '@west', f'10.1.{n}.0/24'), ('192.0.2.2', '@east', f'10.2.{n}.0/24')
        options = ('--ike', 'aes_gcm128-sha2_256-dh14', '--esp', 'aes_gcm128')
        a.whack(*tunnel(f't{n}', *ends, *options), status=0)
        b.whack(*tunnel(f't{n}', *reversed(ends), *options), status=0)
    a.listen()
    b.listen()
    for n in range(count):
        a.whack('--name', f't{n}', '--initiate', status=0)


def test_keys_are_made_used_and_wiped(lab):
    """The initiator runs jobs on its shard, the responder on a worker."""
    a, b = pair(lab, ('--nhelpers', '0'), ('--nhelpers', '1', '--keys-ahead', '6'))
    set_up(a, b, 5)
    for side, most in ((a, 64), (b, 6)):
        wait_for('keys in stock', lambda side=side: held(side) > 0)
        assert held(side) <= most
        assert held(side, 'used') >= 3
        assert held(side, 'made') == held(side) + held(side, 'used') + held(side, 'expired')
    wait_for('the stocks to be wiped', lambda: held(a) == 0 and held(b) == 0, timeout=2 * WINDOW_S + 5, interval=0.5)
    assert held(a, 'made') == held(a, 'used') + held(a, 'expired')
    made, wakeups = held(a, 'made'), a.cpu_seconds()
    time.sleep(3)
    assert held(a, 'made') == made
    # three seconds of nothing: no busy loop
    assert a.cpu_seconds() - wakeups < 1


def test_none_when_told_so(lab):
    a, b = pair(lab, ('--keys-ahead', '0', '--nhelpers', '0'), ('--keys-ahead', '0', '--nhelpers', '1'))
    set_up(a, b, 3)
    for side in (a, b):
        assert not [key for key in side.counters() if key.startswith('plutonium.keys_ahead.')]
