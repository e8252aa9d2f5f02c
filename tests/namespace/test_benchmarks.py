"""The benchmarks at small scale: their figures agree with each other, and nothing is left behind. How long things take
is not judged."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from lab import run
from pluto import program

PERF = pathlib.Path(__file__).resolve().parents[2] / 'perf'


def leftovers(pid):
    """Namespaces are named after the process that made them."""
    return [n for n in run('ip', 'netns', 'list').stdout.splitlines() if n.split()[0].endswith(f'-{pid}')]


def benchmark(name, *options, timeout=180):
    with subprocess.Popen(['/usr/bin/python3', str(PERF / name), '--build', os.environ['PLUTONIUM_BUILD'], '--json',
                           *map(str, options)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    assert leftovers(process.pid) == []
    return json.loads(out)


def test_herd():
    report = benchmark('ike_herd.py', '--tunnels', 300, '--responders', 'plutonium+plutonium, system buffers',
                       '--jitter', 50)
    assert [r['responder'] for r in report['rows']] == ['plutonium', 'plutonium, system buffers']
    for row in report['rows']:
        assert 'skipped' not in row
        assert row['up_before'] == row['established'] == row['init_begun'] == 300 and row['failed'] == {}
        assert row['init_in_vain'] == 0
        after = row['up_after_s']
        assert 0 < after['50'] <= after['99'] <= after['100']
        assert row['up_each_100_ms'] == sorted(row['up_each_100_ms']) and row['up_each_100_ms'][-1] == 300
        # What a tunnel needs, what was sent again, what a cookie cost: there is nothing else.
        assert row['datagrams_sent'] == 600 + row['retransmits'] + row['cookies_sent']
        assert row['lost_by_responder'] <= row['retransmits']


def test_herd_within_a_window():
    row, = benchmark('ike_herd.py', '--tunnels', 100, '--responders', 'plutonium', '--window', 2)['rows']
    assert row['established'] == 100
    assert row['up_after_s']['100'] > 1.5 and row['up_each_100_ms'][4] < 60


def test_flood():
    report = benchmark('ike_flood.py', '--flood', 2000, '--rate', 20, '--seconds', 3, '--alone', 1,
                       '--ddos-mode', 'busy')
    alone, flood = report['rows']
    assert alone['established'] == alone['begun_by_peers'] == alone['cookies_sent'] == 20 and not alone['flood']
    assert flood['established'] == flood['begun_by_peers'] == 60 and flood['failed'] == {}
    forged = flood['flood']
    assert 0 < forged['sent'] <= 8000 + 64 and forged['not_sent'] == 0
    # Nobody but the honest peers began an IKE SA; everything else that was read was answered by a cookie.
    assert flood['begun'] == 60 and flood['cookies_bad'] == 0
    assert forged['sent'] + flood['begun_by_peers'] - flood['lost'] - flood['shed'] <= \
        flood['cookies_sent'] + flood['retransmits']
    assert flood['cookies_sent'] <= forged['sent'] + flood['begun_by_peers'] + flood['retransmits']


def test_flood_without_cookies_is_half_open():
    _, flood = benchmark('ike_flood.py', '--flood', 500, '--rate', 20, '--seconds', 2, '--alone', 1,
                         '--ddos-mode', 'unlimited')['rows']
    assert flood['cookies_sent'] == 0 and flood['established'] == 40
    assert flood['begun'] == flood['flood']['sent'] + 40 - flood['lost'] - flood['shed']


@pytest.mark.parametrize('options, said', [((), 'needs --responder'), (('--responder', 'east'), '--responder'),
                                           (('--responder', '192.0.2.2', '--rate', '0'), '--rate'),
                                           (('--responder', '192.0.2.2', '--sources', '10.0.0.0'), '--sources'),
                                           (('--responder', '192.0.2.2', '--seconds', '601'), '--seconds')])
def test_flood_options_are_named(options, said):
    done = run(program('perf/ike_flood'), *options, check=False)
    assert done.returncode == 2 and said in done.stdout


def test_flood_stays_in_a_namespace():
    done = run(program('perf/ike_flood'), '--responder', '127.0.0.1', '--count', '1', check=False)
    assert done.returncode == 1 and 'namespace' in done.stdout


def test_shards():
    report = benchmark('ike_shards.py', '--shards', '1,2', '--tunnels', 300, '--runs', 1, '--pace', 50, '--traced', 50)
    one, two = report['rows']
    assert [one['shards'], two['shards']] == [1, 2]
    for row in (one, two):
        assert row['established'] == 300 and row['failed'] == {}
        assert row['cpu_ms']['median'] > 0 and row['paced_cpu_ms']['median'] > 0
        assert row['generator_cpu_ms']['median'] > 0 and row['hand_over_lost'] == 0
        assert len(row['per_shard']) == row['shards'] and sum(row['per_shard']) >= 300
        assert row['contention']['system_calls'] > 0
    assert all(n > 50 for n in two['per_shard'])
    assert one['handed_over'] == 0 and one['speed_up'] == 1 and two['speed_up'] > 0


@pytest.mark.parametrize('name', ['ike_herd.py', 'ike_flood.py', 'ike_shards.py'])
def test_interrupted_leaves_nothing(name):
    with subprocess.Popen(['/usr/bin/python3', str(PERF / name), '--build', os.environ['PLUTONIUM_BUILD']],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 30
        while not run('ip', 'netns', 'pids', f'perf-responder-{process.pid}', check=False).stdout.strip().isdigit():
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.1)
        daemon = run('ip', 'netns', 'pids', f'perf-responder-{process.pid}').stdout.split()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert process.returncode != 0 and leftovers(process.pid) == []
    for pid in daemon:
        assert not pathlib.Path(f'/proc/{pid}').exists()
