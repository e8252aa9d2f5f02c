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
