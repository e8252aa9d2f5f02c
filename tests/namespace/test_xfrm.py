"""The Linux kernel's IPsec, as far as this machine's own kernel goes; what needs ESP is in tests/vm."""
import pytest

from pluto import Pluto, tunnel


def test_a_kernel_without_esp_offers_nothing(lab):
    namespace = lab.namespace('gw')
    namespace.ip('address', 'add', '192.0.2.1/24', 'dev', 'lo')
    pluto = Pluto(lab, namespace, '@west @east : PSK "x"\n', '--use-xfrm')
    pluto.wait_log('using kernel interface: xfrm')
    if 'kernel ESP encryption' in pluto.log_text():
        pluto.shutdown()
        pytest.skip('this kernel has ESP')
    assert 'the kernel has no ESP' in pluto.log_text()
    assert 'listening for IKE messages' in pluto.listen().text
    for options in ((), ('--esp', 'aes_gcm128'), ('--esp', 'aes128-sha2_256')):
        answer = pluto.whack(*tunnel('t', ('192.0.2.1', '@west', '10.1.0.0/24'), ('192.0.2.2', '@east', '10.2.0.0/24'),
                                     *options))
        assert answer.status != 0
        assert 'kernel interface "xfrm"' in answer.text
    assert pluto.whack('--name', 't', '--initiate').status != 0
    assert pluto.counters()['current.states.all'] == 0
    assert pluto.shutdown() == 0
    assert 'src' not in namespace.ip('xfrm', 'policy').stdout
    assert 'src' not in namespace.ip('xfrm', 'state').stdout


def test_shunts_on_the_kernel(lab):
    """Bypass and discard need no ESP: the narrower one decides, and priority= before that."""
    west, east = lab.namespace('west'), lab.namespace('east')
    lab.veth(west, 'wan', east, 'wan')
    west.address('wan', '192.0.2.1/24')
    west.address('lo', '10.1.0.1/24')
    east.address('wan', '192.0.2.2/24')
    east.address('lo', '10.2.0.1/24', '10.2.0.2/24')
    west.ip('route', 'add', '10.2.0.0/24', 'via', '192.0.2.2', 'src', '10.1.0.1')
    east.ip('route', 'add', '10.1.0.0/24', 'via', '192.0.2.1')
    pluto = Pluto(lab, west, '', '--use-xfrm', '--shards', '2')
    pluto.listen()

    def shunt(name, client, *options):
        pluto.whack('--name', name, '--host', '192.0.2.1', '--client', '10.1.0.0/24', '--to', '--host', '%any',
                    '--client', client, '--auth-never', *options, status=0)
        pluto.whack('--name', name, '--route', status=0)

    def reached():
        return [west.ping(f'10.2.0.{n}', source='10.1.0.1', count=1, check=False) for n in (1, 2)]

    assert reached() == [1, 1]
    shunt('all', '10.2.0.0/24', '--drop')
    assert reached() == [0, 0]
    assert east.ping('10.1.0.1', source='10.2.0.1', count=1, check=False) == 0
    shunt('one', '10.2.0.1/32', '--pass')
    assert reached() == [1, 0]
    shunt('wide', '10.2.0.0/16', '--pass', '--priority', '1')
    assert reached() == [1, 0]
    pluto.whack('--name', 'all', '--delete', status=0)
    shunt('all', '10.2.0.0/24', '--drop', '--priority', '2')
    assert reached() == [1, 1]
    for name in 'one', 'wide':
        pluto.whack('--name', name, '--unroute', status=0)
    assert reached() == [0, 0]
    pluto.whack('--name', 'all', '--delete', status=0)
    assert reached() == [1, 1]
    assert pluto.shutdown() == 0
    assert 'src' not in west.ip('xfrm', 'policy').stdout
