"""The daemons that answer the load: this pluto, and the peers that it is compared with. None of them installs an SA:
pluto runs with --use-none, the peers over accept_sas.so, which says yes in the kernel's place."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

from certificates import Certificates
from network import RESPONDER

SECRET = "one key for all of this measurement"
RESPONDER_ID = "responder"
INNER, CLIENTS_INNER = "10.0.0.0/16", "10.128.0.0/9"
START_PATIENCE_S = 15


class Suite:
    """One choice of algorithms in the spelling of each."""

    def __init__(self, name, group, swan_group, key=None):
        self.name = name
        self.key = key  # of certificates; None: a preshared key
        self.auth = {None: "psk", "rsa2048": "rsa", "ec256": "ecdsa"}[key]
        self.ike, self.esp = f"aes_gcm128-sha2_256;{group}", "aes_gcm128"
        self.swan_ike, self.swan_esp = f"aes128gcm16-prfsha256-{swan_group}", "aes128gcm16"


SUITES = {s.name: s for s in (Suite("x25519", "dh31", "curve25519"), Suite("p256", "dh19", "ecp256"),
                              Suite("modp2048", "dh14", "modp2048"), Suite("rsa2048", "dh31", "curve25519", "rsa2048"),
                              Suite("ecdsa256", "dh31", "curve25519", "ec256"))}


class Unavailable(Exception):
    """The peer cannot run here, and why."""


class Responder:
    """A daemon in the responder's namespace."""
    name = version = None

    def __init__(self, network, directory, build, tunnels):
        self.network, self.directory, self.build, self.tunnels = network, directory, build, tunnels
        self.namespace = network.responder
        self.process = self.certificates = None
        directory.mkdir(parents=True)

    def make_certificates(self, suite):
        if suite.key:
            self.certificates = Certificates(self.directory / "certificates", suite.key, RESPONDER_ID)

    def command(self, *arguments, environment=None, check=True, timeout=120):
        return subprocess.run(["ip", "netns", "exec", self.namespace, *map(str, arguments)], check=check,
                              env=environment, timeout=timeout, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def launch(self, *arguments, environment=None, ready):
        # `ip netns exec` replaces itself by the daemon: the process is the daemon's own.
        with open(self.directory / "output", "wb") as output:
            self.process = subprocess.Popen(["ip", "netns", "exec", self.namespace, *map(str, arguments)],
                                            env=environment, stdout=output, stderr=output)
        deadline = time.monotonic() + START_PATIENCE_S
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = (self.directory / "output").read_text(errors="replace")[-600:]
                self.stop()
                raise Unavailable(f"{self.name} did not start: {said}")
            time.sleep(0.05)

    def cpu_s(self):
        """Process clock, to the nanosecond: the sum over its threads, none of which ends meanwhile."""
        return self._scheduler(0)

    def waited_s(self):
        """How long its threads were ready to run, and others ran: what the rest of the machine takes from it."""
        return self._scheduler(1)

    def _scheduler(self, field):
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[field]) for task in tasks) / 1e9

    def resident(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()


class Pluto(Responder):
    name = "plutonium"

    def __init__(self, network, directory, build, tunnels, shards=1, nhelpers=0, dpd_s=0, more=()):
        super().__init__(network, directory, build, tunnels)
        self.shards, self.nhelpers, self.dpd_s = shards, nhelpers, dpd_s
        self.more = more  # options of its own
        self.load_seconds = None  # what loading its connections took
        self.version = subprocess.run([build / "src/pluto/pluto", "--version"], text=True, check=True,
                                      stdout=subprocess.PIPE).stdout.split()[-1]

    def start(self, suite):
        self.make_certificates(suite)
        self.start_with(libreswan_style_conn(suite, self.dpd_s))

    def start_with(self, config):
        (self.directory / "ipsec.secrets").write_text(f': PSK "{SECRET}"\n')
        (self.directory / "ipsec.conf").write_text(config)
        self.launch(self.build / "src/pluto/pluto", "--nofork", "--use-none", "--rundir", self.directory,
                    "--secretsfile", self.directory / "ipsec.secrets", "--logfile", self.directory / "log",
                    "--shards", self.shards, "--nhelpers", self.nhelpers,
                    *(["--nssdir", self.certificates.nss, "--uniqueids", "no"] if self.certificates else []),
                    *self.more, ready=self.directory / "pluto.ctl")
        started = time.monotonic()
        self.tool("addconn", "--config", self.directory / "ipsec.conf", "--autoall")
        self.load_seconds = time.monotonic() - started
        self.tool("whack", "--listen")

    def statistics(self):
        lines = self.tool("whack", "--globalstatus").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def tool(self, name, *arguments, timeout=300):
        return self.command(self.build / "whack" / name, *arguments, "--ctlsocket", self.directory / "pluto.ctl",
                            timeout=timeout)


def libreswan_style_conn(suite, dpd_s=0):
    auth = f"authby={'rsasig' if suite.auth == 'rsa' else suite.auth}\n\tleftcert=responder" if suite.key else "authby=secret"
    dpd = f"\tdpddelay={dpd_s}\n\tdpdtimeout={dpd_s * 6}\n" if dpd_s else ""
    return f"""conn template
\tleft={RESPONDER}
\tleftid=@{RESPONDER_ID}
\tleftsubnet={INNER}
\tright=%any
\trightid=%any
\trightsubnet={CLIENTS_INNER}
\tnarrowing=yes
\t{auth}
\tikev2=yes
\tike={suite.ike}
\tesp={suite.esp}
{dpd}\tauto=add
"""


class StrongSwan(Responder):
    """Debian's, quiet, with hash tables for the number of tunnels and without its DoS protection."""
    name = "strongSwan"
    CHARON = "/usr/sbin/charon-systemd"
    # Nothing that is not needed, and libcrypto in front, which is the fastest that it has.
    PLUGINS = "random nonce openssl pem pkcs1 x509 revocation constraints pubkey hmac kdf aes sha1 sha2 gcm " \
        "kernel-netlink socket-default vici"

    def authentication(self, suite):
        """What the sections local and remote say of it, and the secrets."""
        if not suite.key:
            return "auth = psk", "auth = psk", f'secrets {{ ike-1 {{ secret = "{SECRET}" }} }}'
        self.make_certificates(suite)
        for folder, name, ending in (("x509", "responder", "pem"), ("x509ca", "ca", "pem"), ("private", "responder", "key")):
            (self.directory / folder).mkdir()
            shutil.copy(self.certificates.path(name, ending), self.directory / folder / f"{name}.pem")
        return "auth = pubkey\n    certs = responder.pem", "auth = pubkey", ""

    def start(self, suite):
        if not os.access(self.CHARON, os.X_OK):
            raise Unavailable(f"{self.CHARON} is not installed")
        ours, theirs, secrets = self.authentication(suite)
        self.version = debian_version("charon-systemd")
        table = 1 << max(10, (self.tunnels - 1).bit_length())
        uri = f"unix://{self.directory}/vici"
        (self.directory / "strongswan.conf").write_text(f"""charon-systemd {{
  load_modular = no
  load = {self.PLUGINS}
  threads = 16
  ikesa_table_size = {table}
  ikesa_table_segments = 16
  dos_protection = no
  install_routes = no
  install_virtual_ip = no
  filelog {{ f {{ path = {self.directory}/log
    default = -1 }} }}
  journal {{ default = -1 }}
  plugins {{ vici {{ socket = {uri} }} }}
}}
""")
        (self.directory / "swanctl.conf").write_text(f"""connections {{ t {{
  version = 2
  local_addrs = {RESPONDER}
  unique = never
  proposals = {suite.swan_ike}
  local {{ {ours}
    id = {RESPONDER_ID} }}
  remote {{ {theirs} }}
  children {{ c {{
    local_ts = {INNER}
    remote_ts = {CLIENTS_INNER}
    esp_proposals = {suite.swan_esp} }} }} }} }}
{secrets}
""")
        environment = dict(os.environ, STRONGSWAN_CONF=f"{self.directory}/strongswan.conf",
                           SWANCTL_DIR=str(self.directory))
        self.launch(self.CHARON, environment=dict(environment, LD_PRELOAD=str(self.build / "perf/accept_sas.so")),
                    ready=self.directory / "vici")
        self.command("swanctl", "--load-all", "--noprompt", "--uri", uri, environment=environment)


class Libreswan(Responder):
    """Debian's package, unpacked beside the system, since it conflicts with strongSwan's."""
    name = "libreswan"
    PACKAGES = ("libreswan", "libldns3", "libevent-pthreads-2.1-7")

    def start(self, suite):
        prefix = unpacked(self.PACKAGES, self.build / "perf/peers/libreswan")
        programs, libraries = prefix / "usr/libexec/ipsec", prefix / "usr/lib/x86_64-linux-gnu"
        self.version = (prefix / "version").read_text().strip()
        d = self.directory
        (d / "ipsec.secrets").write_text(f': PSK "{SECRET}"\n')
        (d / "ipsec.conf").write_text("config setup\n\tuniqueids=no\n\n" + libreswan_style_conn(suite) +
                                      "\tleftupdown=%disabled\n")
        certutil = shutil.which("certutil")
        if not certutil:
            raise Unavailable("certutil is not installed (libnss3-tools)")
        self.make_certificates(suite)
        nss = self.certificates.nss if self.certificates else d
        if not self.certificates:
            subprocess.run([certutil, "-N", "-d", f"sql:{d}", "--empty-password"], check=True)
        environment = dict(os.environ, LD_LIBRARY_PATH=str(libraries))
        # It starts its addconn by an absolute path. `ip netns exec` has given us mounts of our own.
        self.launch("sh", "-c", 'mount --bind "$0" /usr/libexec && exec "$@"', prefix / "usr/libexec",
                    programs / "pluto", "--nofork", "--logfile", d / "log", "--config", d / "ipsec.conf", "--rundir", d,
                    "--secretsfile", d / "ipsec.secrets", "--nssdir", nss, "--ipsecdir", d, "--dumpdir", d,
                    "--no-dnssec", "--use-xfrm", "--force-unlimited",
                    environment=dict(environment, LD_PRELOAD=str(self.build / "perf/accept_sas.so")),
                    ready=d / "pluto.ctl")
        self.command(programs / "addconn", "--config", d / "ipsec.conf", "--ctlsocket", d / "pluto.ctl", "--autoall",
                     environment=environment)
        self.command(programs / "whack", "--listen", "--ctlsocket", d / "pluto.ctl", environment=environment)


def debian_version(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], text=True, check=False,
                          stdout=subprocess.PIPE).stdout or "?"


def unpacked(packages, prefix):
    """Debian packages, fetched once and unpacked under `prefix`, not installed."""
    if (prefix / "version").exists():
        return prefix
    shutil.rmtree(prefix, ignore_errors=True)
    (prefix / "packages").mkdir(parents=True)
    try:
        subprocess.run(["apt-get", "download", *packages], cwd=prefix / "packages", check=True, timeout=120,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for package in (prefix / "packages").glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, prefix], check=True)
    except (subprocess.SubprocessError, OSError) as e:
        raise Unavailable(f"packages cannot be fetched: {e}") from e
    found = next((prefix / "packages").glob(f"{packages[0]}_*.deb"))
    (prefix / "version").write_text(found.name.split("_")[1])
    return prefix


RESPONDERS = {r.name: r for r in (Pluto, StrongSwan, Libreswan)}
