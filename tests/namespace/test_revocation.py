"""CRLs that are fetched, and OCSP: west's certificate is revoked or not, east finds out."""
import http.server
import pathlib
import re
import socketserver
import sys
import time

import pytest

import certificates
from lab import run, wait_for
from pluto import program
from test_certificates import EAST, Ends, refused

pytestmark = pytest.mark.skipif(certificates.missing() is not None, reason=str(certificates.missing()))

URL = f'http://{EAST}:8080'
POINT = f'crlDistributionPoints=URI:{URL}/ca.crl\n'
RESPONDER = f'authorityInfoAccess=OCSP;URI:{URL}\n'


class Server:
    """An HTTP server in east's namespace, for files of one directory; "slow" files never come."""

    def __init__(self, ends):
        self.directory = ends.lab.directory / 'web'
        self.directory.mkdir()
        self.log = ends.lab.directory / 'web.log'
        self.process = ends.spaces[1].start(sys.executable, __file__, EAST, 8080, self.directory, log=self.log)
        wait_for('the web server', lambda: 'serving' in self.log.read_text())

    def put(self, name, content):
        part = self.directory / f'{name}.part'
        part.write_bytes(content)
        part.rename(self.directory / name)

    def asked(self, name):
        return self.log.read_text().count(f'GET /{name} ')


def ends_with_point(lab, *options, extensions=POINT):
    ends = Ends(lab, 'ec256', west={'san': 'DNS:west.test', 'extensions': extensions}, start=False)
    server = Server(ends)
    ends.start(east=options)
    return ends.connect(), server


def crl(ends, *revoked):
    """A fresh CRL of the authority's, in DER."""
    for name in revoked:
        path = ends.certificates.revoke(name, 'ca')
    if not revoked:
        path = ends.certificates.crl('ca')
    return path.read_bytes()


def down(ends):
    ends.west.whack('--name', 'c', '--terminate', status=0)


def test_fetched_when_a_certificate_names_where(lab):
    ends, server = ends_with_point(lab, '--crlcheckinterval', '1')
    server.put('ca.crl', crl(ends))
    ends.up()
    ends.east.wait_log(rf"fetched the CRL of 'O=Test, CN=ca' from {URL}/ca.crl: 0 revoked certificates")
    down(ends)
    ends.up()
    down(ends)
    server.put('ca.crl', crl(ends, 'west'))
    ends.east.whack('--fetchcrls', status=0)
    ends.east.wait_log(r"fetched the CRL of .* 1 revoked certificates")
    refused(ends, 'it has been revoked')
    listed = ends.east.whack('--listcrls', status=0).text
    assert 'revoked certs: 1' in listed and f"distPts: '{URL}/ca.crl'" in listed


def test_strict_until_it_is_there(lab):
    """The first attempt is refused, and makes the CRL be fetched; the next one is accepted."""
    ends, server = ends_with_point(lab, '--crlcheckinterval', '1h', '--crl-strict')
    refused(ends, "there is no CRL of its authority 'O=Test, CN=ca'")
    ends.east.wait_log(rf'fetching the CRL of .* from {URL}/ca.crl failed: .*404')
    server.put('ca.crl', crl(ends))
    ends.east.whack('--fetchcrls', status=0)
    ends.east.wait_log(r'fetched the CRL of ')
    ends.up()
    assert 'crl-strict=yes, crlcheckinterval=3600' in ends.east.whack('--status', status=0).text


def test_nothing_is_fetched_unasked(lab):
    ends, server = ends_with_point(lab)
    server.put('ca.crl', crl(ends, 'west'))
    ends.up()
    time.sleep(0.5)
    assert server.asked('ca.crl') == 0
    down(ends)
    ends.east.whack('--fetchcrls', status=0)
    ends.east.wait_log(r'fetched the CRL of ')
    refused(ends, 'it has been revoked')


def test_bad_crls_change_nothing(lab):
    """Each is refused in words; the one from before counts."""
    ends, server = ends_with_point(lab, '--crlcheckinterval', '1h')
    good = crl(ends)
    ends.certificates.ca('other', subject='/O=Test/CN=ca')
    forged = ends.certificates.crl('other').read_bytes()
    ends.certificates.ca('stranger')
    strange = ends.certificates.crl('stranger').read_bytes()
    stale = ends.certificates.crl('ca', '-crl_lastupdate', '20200101000000Z', '-crl_nextupdate',
                                  '20200201000000Z').read_bytes()
    server.put('ca.crl', good)
    ends.up()
    ends.east.wait_log(r'fetched the CRL of ')
    for content, why in [(b'', 'the answer is empty'), (b'<html>no</html>', 'it is malformed'), (good[:-9], 'it is malformed'),
                         (good + b'more', 'it is malformed'), (strange, "it is another authority's"),
                         (forged, 'its signature is wrong'), (stale, 'it is out of date'),
                         (bytes(9 << 20), 'it is too large')]:
        server.put('ca.crl', content)
        seen = len(ends.east.log_text())
        ends.east.whack('--fetchcrls', status=0)
        wait_for(why, lambda: re.search(rf'fetching the CRL of .* failed: {why}', ends.east.log_text()[seen:]))
    assert 'revoked certs: 0' in ends.east.whack('--listcrls', status=0).text
    down(ends)
    ends.up()


def test_a_silent_server_holds_nobody_up(lab):
    extensions = f'crlDistributionPoints=URI:{URL}/slow,URI:ldap://{EAST}/x,URI:{URL}/ca.crl\n'
    ends, server = ends_with_point(lab, '--crlcheckinterval', '1h', '--curl-timeout', '1', extensions=extensions)
    server.put('ca.crl', crl(ends, 'west'))
    ends.up()
    assert ends.east.alive()
    ends.east.wait_log(rf'fetching the CRL of .* from {URL}/slow failed: .*timed out', timeout=20)
    ends.east.wait_log(rf'fetched the CRL of .* from {URL}/ca.crl: 1 revoked certificates')
    down(ends)
    refused(ends, 'it has been revoked')


# ---- OCSP -------------------------------------------------------------------------------

def start_responder(ends, signer='ca'):
    c = ends.certificates
    log = ends.lab.directory / 'ocsp.log'
    log.write_text('')
    process = ends.spaces[1].start('openssl', 'ocsp', '-port', 8080, '-index', c.path('ca', 'index'), '-CA',
                                   c.path('ca', 'pem'), '-rsigner', c.path(signer, 'pem'), '-rkey', c.path(signer, 'key'),
                                   '-ndays', '1', log=log)
    wait_for('the responder', lambda: 'waiting for' in log.read_text().lower())
    return process


def ends_with_responder(lab, *options, west=RESPONDER):
    ends = Ends(lab, 'ec256', west={'san': 'DNS:west.test', 'extensions': west}, start=False)
    ends.start(east=('--ocsp-enable', *options))
    return ends.connect()


@pytest.mark.parametrize('method', ['get', 'post'])
def test_ocsp(lab, method):
    ends = ends_with_responder(lab, '--ocsp-strict', '--ocsp-method', method)
    responder = start_responder(ends)
    ends.up()
    down(ends)
    ends.lab.stop(responder)
    ends.certificates.revoke('west', 'ca')
    start_responder(ends)
    ends.up()  # what was said before is remembered
    down(ends)
    ends.east.whack('--purgeocsp', status=0)
    refused(ends, 'its authority.s OCSP responder says that it has been revoked|it has been revoked')


def test_ocsp_without_an_answer(lab):
    """Accepted, unless an answer is a must."""
    ends = ends_with_responder(lab, '--ocsp-timeout', '1')
    ends.up()


def test_strict_ocsp_without_an_answer(lab):
    ends = ends_with_responder(lab, '--ocsp-timeout', '1', '--ocsp-strict')
    refused(ends, 'OCSP|responder|revocation')


def test_ocsp_answers_of_a_stranger_do_not_count(lab):
    ends = ends_with_responder(lab, '--ocsp-strict')
    ends.certificates.ca('stranger')
    start_responder(ends, 'stranger')
    refused(ends, '.*')


def test_options_that_do_not_fit(lab):
    for options, why in [(['--ocsp-uri', 'ftp://x'], 'is not an http URL'),
                         (['--ocsp-uri', 'http://x'], 'go together'),
                         (['--ocsp-method', 'put'], "'put' is not get or post"),
                         (['--crlcheckinterval', 'soon'], "'soon' is not a duration"),
                         (['--ocsp-cache-min-age', '2d'], "is more than '--ocsp-cache-max-age'")]:
        result = run(program('src/pluto/pluto'), *options, check=False)
        assert result.returncode == 1 and why in result.stdout


# ---- the web server, in a process of its own ----------------------------------------------

class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.0'

    def do_GET(self):
        if self.path.startswith('/slow'):
            time.sleep(60)
        super().do_GET()


def serve(address, port, directory):
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(
            (address, port), lambda *a: Handler(*a, directory=directory)) as server:
        print('serving', flush=True)
        server.serve_forever()


if __name__ == '__main__':
    serve(sys.argv[1], int(sys.argv[2]), str(pathlib.Path(sys.argv[3])))
