"""Certificates of a measurement: an authority, the responder, and one client whose key and certificate all clients share;
as files for strongSwan and in an NSS database for the others."""
import pathlib
import subprocess

CLIENT_ID = "client.test"
KEYS = {"rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ec256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]}


class Certificates:
    def __init__(self, directory, kind, responder_id):
        self.directory, self.kind = pathlib.Path(directory), kind
        self.directory.mkdir(parents=True)
        self.key("ca")
        self.openssl("req", "-x509", "-new", "-key", self.path("ca", "key"), "-subj", "/O=Load/CN=ca", "-days", "30",
                     "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                     "-out", self.path("ca", "pem"))
        self.signed("responder", responder_id)
        self.signed("client", CLIENT_ID)
        self.nss = self.directory / "nss"
        self.nss.mkdir()
        (self.nss / "password").write_text("")
        self.run("certutil", "-N", "-d", f"sql:{self.nss}", "--empty-password")
        self.run("certutil", "-A", "-d", f"sql:{self.nss}", "-n", "ca", "-t", "CT,,", "-i", self.path("ca", "pem"))
        for name in "responder", "client":
            self.run("pk12util", "-d", f"sql:{self.nss}", "-i", self.path(name, "p12"), "-W", "x", "-K", "")

    def path(self, name, ending):
        return self.directory / f"{name}.{ending}"

    def run(self, *command):
        subprocess.run([str(c) for c in command], check=True, timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def openssl(self, *arguments):
        self.run("openssl", *arguments)

    def key(self, name):
        self.openssl("genpkey", *KEYS[self.kind], "-out", self.path(name, "key"))

    def signed(self, name, dns):
        self.key(name)
        self.openssl("req", "-new", "-key", self.path(name, "key"), "-subj", f"/O=Load/CN={name}",
                     "-out", self.path(name, "csr"))
        self.path(name, "ext").write_text(f"subjectAltName=DNS:{dns}\n")
        self.openssl("x509", "-req", "-in", self.path(name, "csr"), "-CA", self.path("ca", "pem"), "-CAkey",
                     self.path("ca", "key"), "-CAcreateserial", "-days", "30", "-sha256", "-extfile",
                     self.path(name, "ext"), "-out", self.path(name, "pem"))
        self.openssl("pkcs12", "-export", "-in", self.path(name, "pem"), "-inkey", self.path(name, "key"), "-name", name,
                     "-passout", "pass:x", "-out", self.path(name, "p12"))
