"""Authentication by certificates between two of ours, on an ordinary link, without SAs in the kernel."""
import pytest

import certificates
from certificates import Certificates, NssDatabase
from pluto import Pluto

pytestmark = pytest.mark.skipif(certificates.missing() is not None, reason=str(certificates.missing()))

WEST, EAST = '192.0.2.1', '192.0.2.2'


class Ends:
    """west initiates; each has a database of its own with the authority and its own certificate."""

    def __init__(self, lab, kind='rsa2048', west=None, east=None, start=True, nss_options=None):
        self.lab = lab
        self.certificates = Certificates(lab.directory / 'certificates')
        self.spaces = [lab.namespace(side) for side in ('west', 'east')]
        lab.veth(self.spaces[0], 'eth0', self.spaces[1], 'eth0')
        self.certificates.ca(kind='rsa2048' if kind.startswith('rsa') else kind)
        self.databases = [NssDatabase(lab.directory / f'nss-{side}', **(nss_options or {})) for side in ('west', 'east')]
        for database in self.databases:
            database.trust(self.certificates, 'ca')
        self.certificates.make('west', 'ca', kind, **(west or {'san': 'DNS:west.test'}))
        self.certificates.make('east', 'ca', kind, **(east or {'san': 'DNS:east.test'}))
        for side, database in zip(('west', 'east'), self.databases):
            database.add(self.certificates, side)
        self.spaces[0].address('eth0', f'{WEST}/24')
        self.spaces[1].address('eth0', f'{EAST}/24')
        if start:
            self.start()

    def start(self, *options, secrets=''):
        self.plutos = [Pluto(self.lab, space, secrets, '--nssdir', database.directory, '--ipsecdir', database.directory,
                             *options, name=side)
                       for space, database, side in zip(self.spaces, self.databases, ('west', 'east'))]
        self.west, self.east = self.plutos

    def describe(self, side, *options, west=None, east=None, ids=('@west.test', '@east.test'), certs=('west', None)):
        """whack's description for one side; west and east: options of that end."""
        def end(host, identity, certificate, more):
            return [*(['--id', identity] if identity else []), '--host', host,
                    *(['--cert', certificate] if certificate else []), *(more or [])]
        return ['--name', 'c', *end(WEST, ids[0], certs[0], west), '--to', *end(EAST, ids[1], certs[1], east),
                '--encrypt', '--tunnel', *options]

    def connect(self, *options, **ends):
        self.west.whack(*self.describe('west', *options, **ends, certs=('west', None)), status=0)
        self.east.whack(*self.describe('east', *options, **ends, certs=(None, 'east')), status=0)
        for pluto in self.plutos:
            pluto.listen()
        return self

    def up(self, status=0):
        return self.west.whack('--name', 'c', '--initiate', status=status)


@pytest.mark.parametrize('kind,shown', [
    ('rsa2048', '2048-bit RSASSA-PSS with SHA2_512'),
    ('rsa3072', '3072-bit RSASSA-PSS with SHA2_512'),
    ('ec256', '256-bit ECDSA with SHA2_256'),
    ('ec384', '384-bit ECDSA with SHA2_384'),
    ('ec521', '521-bit ECDSA with SHA2_512'),
])
def test_certificates_of_both_ends(lab, kind, shown):
    ends = Ends(lab, kind).connect()
    answer = ends.up()
    assert (r'"c" #1: initiator established IKE SA; authenticated peer certificate \'O=Test, CN=east\' and '
            rf'{shown} digital signature issued by \'O=Test, CN=ca\'') in answer
    assert r'"c" #2: initiator established Child SA' in answer
    assert rf'"c" #1: sent IKE_AUTH request to .* with digital-signature {shown.split(" ", 1)[1]} and FQDN' in answer
    ends.east.wait_log(r'"c" #1: responder established IKE SA; authenticated peer certificate \'O=Test, CN=west\' and ')


@pytest.mark.parametrize('policy,shown', [
    ('--rsa-sha2_256', 'RSASSA-PSS with SHA2_256'), ('--rsa-sha2_384', 'RSASSA-PSS with SHA2_384'),
    ('--rsa-sha1', 'RSA with SHA1'), ('--rsasig', 'RSASSA-PSS with SHA2_512')])
def test_policies(lab, policy, shown):
    answer = Ends(lab).connect(policy).up()
    assert rf'"c" #1: sent IKE_AUTH request to .* with digital-signature {shown} and ' in answer


def test_helpers_and_shards(lab):
    ends = Ends(lab, 'ec256', start=False)
    ends.start('--nhelpers', '2', '--shards', '2')
    ends.connect().up()


def test_identity_of_the_certificate(lab):
    answer = Ends(lab).connect(ids=('%fromcert', '%fromcert')).up()
    assert r'"c" #1: .* and DER_ASN1_DN \'O=Test, CN=west\'' in answer


@pytest.mark.parametrize('name,san', [
    ('192.0.2.1', 'IP:192.0.2.1'), ('user@West.test', 'email:user@west.test'), ('@WEST.test', 'DNS:west.TEST'),
    ('CN=west, o=test', None), ('O=TEST, CN=West', None)])
def test_identities(lab, name, san):
    """What the certificate says, in other spelling; the fourth is another name: its order counts."""
    ends = Ends(lab, 'ec256', west={'san': san} if san else {})
    ends.connect(ids=(name, '@east.test'))
    if name.startswith('CN'):
        ends.up(status=56)
        ends.east.wait_log(r'authentication failed: its certificate \'O=Test, CN=west\' is not for its identity')
    else:
        ends.up()


def test_mixed_authentication(lab):
    ends = Ends(lab, start=False)
    ends.start(secrets='@west.test @east.test : PSK "of one side only"\n')
    description = ends.describe('', west=['--auth', 'psk'], east=['--auth', 'rsasig'], certs=(None, None))
    ends.west.whack(*description, status=0)
    ends.east.whack(*ends.describe('', west=['--auth', 'psk'], east=['--auth', 'rsasig'], certs=(None, 'east')), status=0)
    for pluto in ends.plutos:
        pluto.listen()
    answer = ends.up()
    assert r'"c" #1: sent IKE_AUTH request to .* with shared-key-mac and ' in answer
    assert r'"c" #1: initiator established IKE SA; authenticated peer certificate ' in answer
    ends.east.wait_log(r'responder established IKE SA; authenticated peer using authby=secret and FQDN \'@west.test\'')
