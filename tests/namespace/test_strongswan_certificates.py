"""strongSwan 5.9.8 against our gateway on the DPDK dataplane, both with certificates, in both roles."""
import pytest

import certificates
import strongswan
from certificates import Certificates, NssDatabase
from gateway import Interop
from lab import wait_for

REASON = certificates.missing() or strongswan.missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

IKE = ('aes128gcm16-prfsha256-curve25519', 'aes_gcm128-sha2_256-dh31')


class Certified(Interop):
    def __init__(self, lab, kind, ca_kind=None, intermediate=False, ours='ours.test', theirs='swan.test'):
        self.certificates = Certificates(lab.directory / 'certificates')
        self.database = NssDatabase(lab.directory / 'nss', password='a pin')
        (lab.directory / 'nss' / 'nsspassword').write_text('NSS Certificate DB:a pin\n')
        super().__init__(lab, options=('--nssdir', self.database.directory, '--ipsecdir', self.database.directory))
        self.names = ours, theirs
        made = self.certificates
        made.ca('ca', kind=ca_kind or kind)
        issuer = made.ca('below', 'ca', kind=ca_kind or kind) if intermediate else 'ca'
        made.make('ours', issuer, kind, san=f'DNS:{ours}')
        made.make('swan', issuer, kind, san=f'DNS:{theirs}')
        chain = ['below'] if intermediate else []
        self.database.trust(made, 'ca')
        self.database.add(made, 'ours', chain=chain)
        if intermediate:
            # as a peer has it that is told the intermediate ones
            self.database.trust(made, 'below', ',,')
        self.swan.add_certificates(made, 'swan', ['ca'], chain)
        # The key is known to the daemon from the next look into its database on.
        self.pluto.whack('--rereadcerts', status=0)

    def describe(self, *options, auth='pubkey', ours_id=None, swan_id=None):
        self.pluto.whack('--name', 'swan', '--id', ours_id or f'@{self.names[0]}', '--host', self.ours, '--cert', 'ours',
                         '--client', '10.1.0.0/24', '--to', '--id', swan_id or f'@{self.names[1]}', '--host', self.theirs,
                         '--client', '10.2.0.0/24', '--encrypt', '--tunnel', '--ike', IKE[1], '--esp', 'aes_gcm128',
                         *options, status=0)
        self.pluto.listen()
        self.swan.load(self.theirs, self.ours, swan_id or self.names[1], ours_id or self.names[0], '', '10.2.0.0/24',
                       '10.1.0.0/24', IKE[0], 'aes128gcm16', certificate='swan.pem', auth=auth)
        return self


@pytest.mark.parametrize('who', ['ours', 'swan'])
@pytest.mark.parametrize('kind', ['rsa2048', 'ec256', 'ec384'])
def test_tunnel(lab, kind, who):
    interop = Certified(lab, kind).describe()
    interop.initiate(who)
    interop.check_traffic()


@pytest.mark.parametrize('who', ['ours', 'swan'])
def test_intermediate_authority(lab, who):
    interop = Certified(lab, 'rsa2048', intermediate=True).describe()
    interop.initiate(who)
    interop.host.ping('10.2.0.1')


@pytest.mark.parametrize('who', ['ours', 'swan'])
def test_names(lab, who):
    interop = Certified(lab, 'ec256').describe(ours_id='O=Test, CN=ours', swan_id='O=Test, CN=swan')
    interop.initiate(who)
    interop.host.ping('10.2.0.1')


@pytest.mark.parametrize('auth,shown', [
    ('ike:rsa/pss-sha256', 'RSASSA-PSS with SHA2_256'), ('ike:rsa/pss-sha512', 'RSASSA-PSS with SHA2_512'),
    ('ike:rsa-sha256', 'RSA with SHA2_256'), ('ike:rsa-sha384', 'RSA with SHA2_384'), ('ike:rsa-sha512', 'RSA with SHA2_512')])
def test_schemes_of_the_peer(lab, auth, shown):
    interop = Certified(lab, 'rsa2048').describe(auth=auth)
    interop.initiate('swan')
    interop.pluto.wait_log(rf'authenticated peer certificate \'O=Test, CN=swan\' and 2048-bit {shown} digital signature')


def test_refused_by_the_peer(lab):
    """Its certificate is for another name than the connection asks for: neither side has anything."""
    interop = Certified(lab, 'ec256').describe(swan_id='@other.test')
    answer = interop.pluto.whack('--name', 'swan', '--initiate')
    assert answer.status != 0
    wait_for('no SA', lambda: not interop.swan.established())
    assert interop.pluto.counters()['current.states.ipsec'] == 0
