"""A running daemon under truncated and mutated messages: it stays up, keeps what it has, grows nothing and forgets the rest."""
import os
import struct

import pytest

from capture import Capture
from lab import wait_for
from pluto import Pluto, program, tunnel

SECRETS = '@west @east : PSK "namespace-test-psk"\n'
SUITES = [('aes_gcm128-sha2_256-dh31', 'aes_gcm128', ()),
          ('aes128-sha2_256-dh19', 'aes128-sha2_256', ('--encapsulation=yes',))]
COUNT = 120000
LONGEST_NEGOTIATION = 90
# The memory that a sanitizer keeps back is no growth of the daemon's.
SANITIZED = 'PLUTONIUM_SANITIZED' in os.environ


def messages_of(capture):
    """What mangle reads: each distinct IKE message of the capture with its port, in both directions."""
    seen = {}
    for packet in capture.packets():
        if packet.kind == 'ike':
            source, target, length = struct.unpack('!HHH', packet.payload[:6])
            port = 4500 if 4500 in (source, target) else 500
            seen[struct.pack('!HH', port, length - 8) + packet.payload[8:length]] = True
    return list(seen)


def exchange_of(message):
    return message[4 + (4 if message[:2] == struct.pack('!H', 4500) else 0) + 18]


@pytest.mark.parametrize('seed', [1])
def test_mangled_messages(lab, seed):
    west, east = lab.namespace('west'), lab.namespace('east')
    lab.veth(west, 'wan', east, 'wan')
    west.address('wan', '192.0.2.1/24')
    east.address('wan', '192.0.2.2/24')
    a = Pluto(lab, west, SECRETS, name='west')
    b = Pluto(lab, east, SECRETS, name='east')
    for n, (ike, esp, options) in enumerate(SUITES):
        ends = ('192.0.2.1', '@west', f'10.1.{n}.0/24'), ('192.0.2.2', '@east', f'10.2.{n}.0/24')
        options = ('--ike', ike, '--esp', esp, '--dpddelay', '1', *options)
        a.whack(*tunnel(f't{n}', *ends, *options), status=0)
        b.whack(*tunnel(f't{n}', *reversed(ends), *options), status=0)
    a.listen()
    b.listen()

    capture = Capture(lab, west, 'wan', snap=0, condition=('udp',))
    for n in range(len(SUITES)):
        a.whack('--name', f't{n}', '--initiate', status=0)
    wait_for('liveness checks in both IKE SAs', lambda: b.counters()['total.ike.dpd.replied'] >= 2)
    a.whack('--name', 't0', '--terminate', status=0)
    a.whack('--name', 't0', '--initiate', status=0)
    capture.stop()
    messages = messages_of(capture)
    # Of every exchange, on both ports, requests and responses.
    for port in 500, 4500:
        for exchange in 34, 35, 37:
            found = [m for m in messages if m[:2] == struct.pack('!H', port) and exchange_of(m) == exchange]
            if (port, exchange) != (4500, 34):  # IKE_SA_INIT begins on 500
                assert len(found) >= 2, (port, exchange)
    # IKE_SA_INIT may come to 4500 all the same.
    messages += [struct.pack('!HH', 4500, len(m)) + bytes(4) + m[4:] for m in messages
                 if m[:2] == struct.pack('!H', 500) and exchange_of(m) == 34]
    file = lab.directory / 'messages'
    file.write_bytes(b''.join(messages))

    before, memory = b.counters(), b.resident_kb()
    assert before['current.states.ipsec'] == 2
    received = sum(b.shards('datagrams_in'))
    while sum(b.shards('datagrams_in')) - received < 100000:
        sent = west.run(program('tests/namespace/mangle'), file, COUNT, seed, 20000, '192.0.2.1', '192.0.2.2', timeout=120)
        assert int(sent.stdout) >= COUNT
        assert b.alive()
        seed += 1000
    peak = b.counters()
    print(f'{len(messages)} messages; {sum(b.shards("datagrams_in")) - received} datagrams taken in; half-open after them '
          f'{peak["current.states.iketype.halfopen"] + peak["current.states.iketype.open"]}, memory {memory} kB before, '
          f'{b.resident_kb()} after, log of {b.log.stat().st_size} bytes')
    # Nothing that is not authenticated touches what is established.
    assert b.counters()['current.states.ipsec'] == 2
    assert b.counters()['total.ikev2.child.established'] == before['total.ikev2.child.established']
    wait_for('no half-open IKE SA is left',
             lambda: b.counters()['current.states.ike'] == 2, LONGEST_NEGOTIATION, 0.5)
    after = b.counters()
    assert after['current.states.iketype.halfopen'] == after['current.states.iketype.open'] == 0
    # Pools keep a page or two for the next ones.
    assert after['plutonium.memory.negotiations'] < before['plutonium.memory.negotiations'] + 300000
    if not SANITIZED:
        assert b.resident_kb() < memory + 40000

    ends = ('192.0.2.1', '@west', '10.1.9.0/24'), ('192.0.2.2', '@east', '10.2.9.0/24')
    a.whack(*tunnel('after', *ends), status=0)
    b.whack(*tunnel('after', *reversed(ends)), status=0)
    a.whack('--name', 'after', '--initiate', status=0)
    assert a.shutdown() == 0
    b.wait_counter('current.states.ipsec', 0)
    assert b.shutdown() == 0
