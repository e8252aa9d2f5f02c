"""strongSwan as a peer: charon-systemd with ESP in user space (kernel-libipsec), driven by swanctl."""
import os
import re
import shutil

from lab import run, wait_for

CHARON = '/usr/sbin/charon-systemd'
PLUGINS = ('random nonce x509 revocation constraints pubkey pkcs1 pkcs8 pem openssl curve25519 gmp hmac kdf drbg '
           'aes sha1 sha2 gcm ctr chapoly kernel-libipsec kernel-netlink socket-default vici updown')


def missing():
    """Why the peer cannot run here, or None."""
    if not os.access(CHARON, os.X_OK):
        return f'{CHARON} is not installed'
    if not os.path.exists('/dev/net/tun'):
        return 'no /dev/net/tun, which kernel-libipsec needs'
    return None


class StrongSwan:
    def __init__(self, lab, namespace, name='swan', retransmit_timeout=0.5, retransmit_tries=3, fragment_size=1280):
        self.lab, self.namespace = lab, namespace
        self.directory = lab.directory / name
        self.directory.mkdir()
        self.log = lab.log_file(f'{name}.log')
        self.uri = f'unix://{self.directory}/vici'
        (self.directory / 'strongswan.conf').write_text(f'''
charon-systemd {{
  load_modular = no
  load = {PLUGINS}
  retransmit_timeout = {retransmit_timeout}
  retransmit_tries = {retransmit_tries}
  retransmit_base = 1
  fragment_size = {fragment_size}
  filelog {{ f {{ path = {self.log}
    flush_line = yes
    default = 1 }} }}
  plugins {{ vici {{ socket = {self.uri} }} }}
}}
''')
        self.environment = dict(os.environ, STRONGSWAN_CONF=f'{self.directory}/strongswan.conf',
                                SWANCTL_DIR=str(self.directory))
        self.process = namespace.start(CHARON, env=self.environment, log=self.directory / 'output')
        wait_for('strongSwan\'s vici socket', (self.directory / 'vici').exists)

    def swanctl(self, *arguments, check=True, timeout=60):
        return self.namespace.run('swanctl', *arguments, '--uri', self.uri, check=check, timeout=timeout,
                                  env=self.environment)

    def load(self, local, remote, local_id, remote_id, secret, local_ts, remote_ts, ike, esp,
             mode='tunnel', dpd_delay=None, start_action='none', close_action='none', certificate=None, auth='pubkey',
             further=()):
        """One connection "t" with one child "c", and `further` ones: (name, local_ts, remote_ts). By certificate: its file name beneath x509/, instead of `secret`."""
        ours = f'auth = {auth}\n    certs = {certificate}' if certificate else 'auth = psk'
        theirs = 'auth = pubkey' if certificate else 'auth = psk'
        more = '\n'.join(f'''  {name} {{ local_ts = {ours_ts}
    remote_ts = {theirs_ts}
    esp_proposals = {esp} }}''' for name, ours_ts, theirs_ts in further)
        dpd = f'dpd_delay = {dpd_delay}' if dpd_delay else ''
        (self.directory / 'swanctl.conf').write_text(f'''
connections {{ t {{
  version = 2
  local_addrs = {local}
  remote_addrs = {remote}
  proposals = {ike}
  {dpd}
  local {{ {ours}
    id = "{local_id}" }}
  remote {{ {theirs}
    id = "{remote_id}" }}
  children {{ c {{
    mode = {mode}
    local_ts = {local_ts}
    remote_ts = {remote_ts}
    esp_proposals = {esp}
    start_action = {start_action}
    close_action = {close_action} }}
  {more} }} }} }}
secrets {{ ike-1 {{ id-a = "{local_id}"
  id-b = "{remote_id}"
  secret = "{secret}" }} }}
''')
        self.swanctl('--load-all', '--noprompt')

    def add_certificates(self, certificates, name, authorities, chain=()):
        """Files of `certificates`: its own with the key, whom it trusts, and intermediate ones."""
        for folder, names in ('x509', [name, *chain]), ('x509ca', [*authorities, *chain]):
            (self.directory / folder).mkdir(exist_ok=True)
            for n in names:
                shutil.copy(certificates.path(n, 'pem'), self.directory / folder)
        (self.directory / 'private').mkdir(exist_ok=True)
        shutil.copy(certificates.path(name, 'key'), self.directory / 'private' / f'{name}.pem')

    def initiate(self, check=True, child='c'):
        return self.swanctl('--initiate', '--child', child, '--timeout', '20', check=check)

    def terminate(self, check=True):
        return self.swanctl('--terminate', '--ike', 't', '--timeout', '20', check=check)

    def sas(self):
        return self.swanctl('--list-sas').stdout

    def established(self):
        """The cipher of the installed Child SA, or None."""
        found = re.search(r'INSTALLED, \w+[^,]*, (ESP:\S+)', self.sas())
        return found.group(1) if found else None

    def traffic(self):
        """Bytes in and out of the Child SA."""
        text = self.sas()
        return tuple(int(re.search(rf'{way}\s+\w+[^,]*,\s+(\d+) bytes', text).group(1)) for way in ('in', 'out'))

    def log_text(self):
        return self.log.read_text(errors='replace')
