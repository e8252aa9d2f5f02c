"""Authentication by certificates between two of ours, on an ordinary link, without SAs in the kernel."""
import pytest

import certificates
from certificates import Certificates, NssDatabase
from lab import run
from pluto import Pluto, program

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

    def start(self, *options, secrets='', east=()):
        """east: options of that one's only."""
        self.plutos = [Pluto(self.lab, space, secrets, '--nssdir', database.directory, '--ipsecdir', database.directory,
                             *options, *more, name=side)
                       for space, database, side, more in zip(self.spaces, self.databases, ('west', 'east'), ((), east))]
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


BAD = {
    'expired': (dict(dates=('20200101000000Z', '20210101000000Z')), 'it has expired'),
    'not-yet-valid': (dict(dates=('20350101000000Z', '20360101000000Z')), 'it is not valid yet'),
    'wrong-name': (dict(san='DNS:somebody.test'), "is not for its identity '@west.test'"),
    'no-name': (dict(san=None), "is not for its identity '@west.test'"),
    'wrong-usage': (dict(extensions='keyUsage=critical,keyEncipherment\n'), 'its key usage does not allow signatures'),
    'wrong-extended-usage': (dict(extensions='extendedKeyUsage=codeSigning\n'),
                             'its extended key usage does not allow IPsec'),
    'unknown-critical-extension': (dict(extensions='1.2.3.4.5=critical,ASN1:UTF8String:x\n'), 'it has a critical extension that is not known'),
}


def refused(ends, why):
    """East says why, west learns nothing but that, and east goes on: another, good one is served."""
    answer = ends.up(status=56)
    assert r'"c" #\d+: IKE SA authentication request rejected by peer: AUTHENTICATION_FAILED' in answer
    ends.east.wait_log(rf'"c" #\d+: authentication failed: .*{why}; responding to IKE_AUTH with AUTHENTICATION_FAILED')
    assert ends.east.alive()
    assert ends.east.counters()['current.states.ipsec'] == 0


@pytest.mark.parametrize('case', BAD)
def test_bad_certificate(lab, case):
    options, why = BAD[case]
    refused(Ends(lab, 'ec256', west={'san': 'DNS:west.test', **options}).connect(), why)


def test_unknown_authority(lab):
    ends = Ends(lab, 'ec256', start=False)
    ends.certificates.ca('other')
    ends.databases[1].remove_authority('ca')
    ends.databases[1].trust(ends.certificates, 'other')
    ends.start()
    refused(ends.connect(), 'no path leads to an authority of the NSS database')


def test_revoked_once_the_list_is_read(lab):
    ends = Ends(lab, 'ec256').connect()
    ends.up()
    ends.west.whack('--name', 'c', '--terminate', status=0)
    ends.databases[1].crl(ends.certificates.revoke('west', 'ca'))
    answer = ends.east.whack('--rereadcerts', status=0)
    assert r'"c": reloaded rightcert=\'east\'' in answer
    refused(ends, 'it has been revoked')
    assert 'revoked certs: 1' in ends.east.whack('--listcrls', status=0)


def test_chain_that_is_too_long(lab):
    ends = Ends(lab, 'ec256', start=False)
    issuer = 'ca'
    chain = []
    for i in range(10):
        issuer = ends.certificates.ca(f'depth{i}', issuer)
        chain.append(issuer)
    ends.certificates.make('deep', issuer, 'ec256', san='DNS:west.test')
    for name in chain:
        ends.databases[0].trust(ends.certificates, name, ',,')
    ends.databases[0].add(ends.certificates, 'deep')
    ends.start()
    ends.west.whack(*ends.describe('west', certs=('deep', None)), status=0)
    ends.east.whack(*ends.describe('east', certs=(None, 'east')), status=0)
    for pluto in ends.plutos:
        pluto.listen()
    refused(ends, 'no path leads to an authority of the NSS database')


def test_what_the_database_lacks_is_said(lab):
    ends = Ends(lab, 'ec256')
    whack = ends.west.whack
    assert 'there is no certificate \'nobody\' in the NSS database' in whack(
        *ends.describe('west', certs=('nobody', None)), status=56).text
    ends.databases[0].trust(ends.certificates, 'east', ',,')
    assert 'leftcert=east has no private key in the NSS database' in whack(
        *ends.describe('west', certs=('east', None)), status=56).text
    assert 'needs leftcert= or rightcert=' in whack(*ends.describe('west', certs=(None, None)), status=56).text
    assert 'has an ECDSA key, whose signatures authby= does not allow' in whack(
        *ends.describe('west', '--rsasig', certs=('west', None)), status=56).text
    listed = whack('--listcerts', status=0).text
    assert 'End certificate "west" - SN: 0x' in listed and '  256 bit ECDSA: has private key' in listed
    assert '  subject: O=Test, CN=west\n  issuer: O=Test, CN=ca\n' in listed
    assert 'Root CA certificate "ca" - SN: 0x' in whack('--listcacerts', status=0).text
    ckaid = whack('--listcerts', status=0).find(r'ckaid: ([0-9a-f]+)').group(1)
    description = ends.describe('west', certs=(None, None), west=['--ckaid', ckaid])
    whack(*description, status=0)
    ends.east.whack(*ends.describe('east', certs=(None, 'east')), status=0)
    for pluto in ends.plutos:
        pluto.listen()
    ends.up()


def test_password(lab):
    ends = Ends(lab, 'ec256', start=False, nss_options={'password': 'right'})
    pin = ends.databases[0].directory / 'nsspassword'
    pin.write_text('NSS Certificate DB:wrong\n')
    (ends.databases[1].directory / 'nsspassword').write_text('right\n')
    failed = Pluto(lab, ends.spaces[0], '', '--nssdir', ends.databases[0].directory, '--ipsecdir',
                   ends.databases[0].directory, name='failed', wait=False)
    assert failed.process.wait(20) == 1
    assert 'the password for token \'NSS Certificate DB\'' in (failed.rundir / 'output').read_text()
    pin.write_text('NSS Certificate DB:right\n')
    ends.start()
    ends.connect().up()


def test_ipsec_makes_databases(lab):
    ends = Ends(lab, 'ec256', start=False)
    directory = lab.directory / 'made'
    script = program('whack/ipsec')
    run('sh', script, 'initnss', '--nssdir', directory)
    assert run('sh', script, 'initnss', '--nssdir', directory, check=False).returncode == 42
    run('sh', script, 'checknss', '--nssdir', directory)
    run('sh', script, 'import', '--nssdir', directory, ends.certificates.pkcs12('west'), '-W', 'secret', '-K', '')
    assert 'west' in run('sh', script, 'certutil', '--nssdir', directory, '-L').stdout
