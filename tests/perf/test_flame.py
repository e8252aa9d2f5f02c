"""The flame graph: what perf says, folded, and drawn in proportion."""
import xml.etree.ElementTree as ElementTree

import pytest

import flame
from markup import to_text

SAID = """shard 0
\tffffffff81000001 udp_sendmsg ([kernel.kallsyms])
\tffffffff81000002 __x64_sys_sendmmsg ([kernel.kallsyms])
\t    7f0000000001 shard_send_flush (/usr/sbin/pluto)
\t    7f0000000002 shard_run (/usr/sbin/pluto)

shard 0
\t    7f0000000003 x25519_run_lanes+0x1f (/usr/sbin/pluto)
\t    7f0000000004 crypto_job_run_batch (/usr/sbin/pluto)
\t    7f0000000002 shard_run (/usr/sbin/pluto)

shard 0
\t    7f0000000003 x25519_run_lanes+0x2f (/usr/sbin/pluto)
\t    7f0000000004 crypto_job_run_batch (/usr/sbin/pluto)
\t    7f0000000002 shard_run (/usr/sbin/pluto)

a <hostile> & "thread"
\t    7f0000000005 aes_cfb_128_one_sse (/usr/lib/x86_64-linux-gnu/libIPSec_MB.so.1.3.0)
\t    7f0000000006 [unknown] (/usr/lib/x86_64-linux-gnu/libc.so.6)
"""


def test_fold():
    assert flame.fold(SAID) == {
        ('shard 0', 'shard_run', 'shard_send_flush', '__x64_sys_sendmmsg_[k]', 'udp_sendmsg_[k]'): 1,
        ('shard 0', 'shard_run', 'crypto_job_run_batch', 'x25519_run_lanes'): 2,
        ('a <hostile> & "thread"', '[libc.so.6]', '[libIPSec_MB.so.1.3.0]'): 1}
    assert flame.fold('') == {}


def test_nothing_is_lost_without_frames():
    assert flame.fold('thread\n\nthread\n') == {('thread',): 2}


def test_shares_are_of_all_samples():
    shares = dict(flame.shares(flame.fold(SAID)))
    assert shares == {'sendmmsg': .25, 'key exchange': .5, 'PRF, hashes, encryption': .25}


def frames(image):
    result = {}
    for group in image.iter('{http://www.w3.org/2000/svg}g'):
        title, rect = group.find('{http://www.w3.org/2000/svg}title'), group.find('{http://www.w3.org/2000/svg}rect')
        result[title.text.rpartition(':')[0]] = {k: float(rect.get(k)) for k in ('x', 'y', 'width')}
    return result


def test_frames_are_as_wide_as_their_share_and_stand_on_their_callers():
    image = ElementTree.fromstring(to_text(flame.flame(flame.fold(SAID), 'a title', 'told')))
    found = frames(image)
    assert found['shard 0']['width'] == pytest.approx(flame.WIDTH * .75, abs=.1)
    assert found['x25519_run_lanes']['width'] == pytest.approx(flame.WIDTH * .5, abs=.1)
    assert found['x25519_run_lanes']['y'] < found['crypto_job_run_batch']['y'] < found['shard_run']['y']
    inner, outer = found['x25519_run_lanes'], found['shard_run']
    assert outer['x'] <= inner['x'] and inner['x'] + inner['width'] <= outer['x'] + outer['width'] + .1
    assert 'a <hostile> & "thread"' in found
    assert min(f['y'] for f in found.values()) > 44


def test_thin_frames_are_left_out_and_the_rest_keeps_its_place():
    folded = {('t', 'wide'): 100000, ('t', 'thin'): 1, ('u', 'last'): 100000}
    found = frames(ElementTree.fromstring(to_text(flame.flame(folded, 't'))))
    assert 'thin' not in found
    assert found['last']['x'] == pytest.approx(flame.WIDTH / 2, abs=.2)


def test_a_deep_stack_is_cut():
    found = frames(ElementTree.fromstring(to_text(flame.flame({tuple(f'f{i}' for i in range(5000)): 7}, 't'))))
    assert len(found) == flame.DEEPEST
