"""Certificates by openssl, and NSS databases by certutil, pk12util and crlutil, for one test."""
import pathlib
import shutil

from lab import run

TOOLS = ('openssl', 'certutil', 'pk12util', 'crlutil')
CA_EXTENSIONS = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n'


def missing():
    """Why none can be made here, or None."""
    for tool in TOOLS:
        if not shutil.which(tool):
            return f'{tool} is not installed'
    return None


def key_options(kind):
    """kind: rsa2048, rsa3072, ec256, ec384, ec521"""
    if kind.startswith('rsa'):
        return ['-algorithm', 'RSA', '-pkeyopt', f'rsa_keygen_bits:{kind[3:]}']
    return ['-algorithm', 'EC', '-pkeyopt', f'ec_paramgen_curve:P-{kind[2:]}']


class Certificates:
    """Files NAME.pem, NAME.der, NAME.key in one directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.serial = 0x1000

    def path(self, name, ending):
        return self.directory / f'{name}.{ending}'

    def openssl(self, *arguments):
        return run('openssl', *arguments, timeout=60)

    def key(self, name, kind):
        if not self.path(name, 'key').exists():
            self.openssl('genpkey', *key_options(kind), '-out', self.path(name, 'key'))

    def make(self, name, issuer=None, kind='rsa2048', subject=None, san=None, extensions='', dates=None):
        """Signed by `issuer` (None: by itself). dates: (from, to) as YYYYMMDDHHMMSSZ, instead of a year from now."""
        self.key(name, kind)
        issuer = issuer or name
        self.serial += 1
        if san:
            extensions += f'subjectAltName={san}\n'
        subject = subject or f'/O=Test/CN={name}'
        request = self.path(name, 'csr')
        self.openssl('req', '-new', '-key', self.path(name, 'key'), '-subj', subject, '-out', request)
        self.ca_config(issuer).write_text(self.ca_text(issuer, extensions))
        self.path(issuer, 'serial').write_text(f'{self.serial:04x}\n')
        if not self.path(issuer, 'index').exists():
            self.path(issuer, 'index').write_text('')
        start, end = dates or ('20250101000000Z', '20360101000000Z')
        signer = ['-selfsign'] if issuer == name else ['-cert', self.path(issuer, 'pem')]
        self.openssl('ca', '-batch', '-notext', '-config', self.ca_config(issuer), *signer,
                     '-keyfile', self.path(issuer, 'key'), '-in', request, '-out', self.path(name, 'pem'),
                     '-startdate', start, '-enddate', end)
        self.openssl('x509', '-in', self.path(name, 'pem'), '-outform', 'der', '-out', self.path(name, 'der'))
        return name

    def ca(self, name='ca', issuer=None, kind='ec256', extensions=CA_EXTENSIONS, **options):
        return self.make(name, issuer, kind, extensions=extensions, **options)

    def ca_config(self, issuer):
        return self.path(issuer, 'cnf')

    def ca_text(self, issuer, extensions):
        return (f'[ca]\ndefault_ca=d\n[d]\ndatabase={self.path(issuer, "index")}\nserial={self.path(issuer, "serial")}\n'
                f'new_certs_dir={self.directory}\ndefault_md=sha256\npolicy=p\ndefault_crl_days=30\nunique_subject=no\n'
                f'x509_extensions=e\nemail_in_dn=yes\n[p]\nC=optional\nO=optional\nOU=optional\nCN=optional\n'
                f'[e]\nnsComment=test\n{extensions}')

    def as_authority(self, issuer, *arguments):
        return self.openssl('ca', '-config', self.ca_config(issuer), '-cert', self.path(issuer, 'pem'),
                            '-keyfile', self.path(issuer, 'key'), *arguments)

    def revoke(self, name, issuer):
        """Returns the issuer's new CRL, in DER."""
        self.as_authority(issuer, '-revoke', self.path(name, 'pem'))
        return self.crl(issuer)

    def crl(self, issuer, *options):
        self.as_authority(issuer, '-gencrl', *options, '-out', self.path(issuer, 'crl.pem'))
        self.openssl('crl', '-in', self.path(issuer, 'crl.pem'), '-outform', 'der', '-out', self.path(issuer, 'crl'))
        return self.path(issuer, 'crl')

    def pkcs12(self, name, password='secret', chain=()):
        extra = []
        if chain:
            bundle = self.path(name, 'chain.pem')
            bundle.write_text(''.join(self.path(c, 'pem').read_text() for c in chain))
            extra = ['-certfile', bundle]
        self.openssl('pkcs12', '-export', '-in', self.path(name, 'pem'), '-inkey', self.path(name, 'key'), *extra,
                     '-name', name, '-out', self.path(name, 'p12'), '-passout', f'pass:{password}')
        return self.path(name, 'p12')


class NssDatabase:
    def __init__(self, directory, password=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.password_file = self.directory / 'password'
        self.password_file.write_text(password or '')
        if password:
            run('certutil', '-N', '-d', self.name, '-f', self.password_file, timeout=60)
        else:
            run('certutil', '-N', '-d', self.name, '--empty-password', timeout=60)

    @property
    def name(self):
        return f'sql:{self.directory}'

    def trust(self, certificates, name, flags='CT,,'):
        run('certutil', '-A', '-d', self.name, '-n', name, '-t', flags, '-i', certificates.path(name, 'pem'),
            '-f', self.password_file)

    def add(self, certificates, name, chain=()):
        """With its private key."""
        run('pk12util', '-i', certificates.pkcs12(name, chain=chain), '-d', self.name, '-W', 'secret',
            '-k', self.password_file)

    def remove(self, name):
        run('certutil', '-F', '-d', self.name, '-n', name, '-f', self.password_file)

    def remove_authority(self, name):
        run('certutil', '-D', '-d', self.name, '-n', name, '-f', self.password_file)

    def crl(self, path):
        run('crlutil', '-I', '-d', self.name, '-i', path, '-B', '-f', self.password_file)
