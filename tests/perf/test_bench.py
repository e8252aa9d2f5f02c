"""The runner: a part that fails, hangs or is interrupted spoils neither the others nor the report."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import bench
from bench import Part

PERF = pathlib.Path(bench.__file__).parent
# The fake parts' way to the figures is that of the real ones: the last two arguments are --report FILE.
WRITE = 'import json, os, signal, subprocess, sys, time\n' \
    'def figures(x): open(sys.argv[-1], "w").write(json.dumps({"rows": [{"figure": x}]}))\n'
GOOD = 'print("a line of the good one"); figures(4711)'
FAILS = 'figures(42); print("its last words"); sys.exit(3)'
SILENT = 'pass'
HANGS = 'print("hanging", flush=True); time.sleep(600)'
DEAF = 'signal.signal(signal.SIGINT, signal.SIG_IGN); print("deaf", flush=True)\n' \
    'c = subprocess.Popen(["sleep", "600"]); print("child", c.pid, flush=True); time.sleep(600)'
GARBAGE = 'open(sys.argv[-1], "w").write("{")'


@pytest.fixture(name='run')
def runner(tmp_path):
    """Runs parts of these names and texts in a runner of its own process; (status, output, report)."""
    def run(arguments=(), cap_s=60, grace_s=5, during=None, whole_s=100, **texts):
        made = []
        for name, text in texts.items():
            (tmp_path / f'{name}.py').write_text(WRITE + text + '\n')
            made.append(f'bench.Part({name!r}, ({str(tmp_path / name) + ".py"!r},), 0.01, {cap_s})')
        main = tmp_path / 'main.py'
        main.write_text(f'import sys; sys.path.insert(0, {str(PERF)!r}); sys.dont_write_bytecode = True\n'
                        f'import bench; bench.GRACE_S, bench.WHOLE_S = {grace_s}, {whole_s}\n'
                        f'sys.exit(bench.main(["--build", {str(tmp_path)!r}, *sys.argv[1:]], ({", ".join(made)},)))')
        with subprocess.Popen([sys.executable, str(main), *arguments], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as process:
            try:
                if during:
                    during(process)
                output, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        file = tmp_path / 'bench-results/report.json'
        return process.returncode, output, json.loads(file.read_text()) if file.exists() else None
    return run


def statuses(report):
    return {name: part['status'] for name, part in report['parts'].items()}


def page(tmp_path):
    return (tmp_path / 'bench-results/report.html').read_text()


def is_there(pid):
    """Neither gone nor a zombie that waits for its new parent."""
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def test_all_is_well(run, tmp_path):
    status, output, report = run(one=GOOD, two=GOOD)
    assert status == 0 and statuses(report) == {'one': 'ok', 'two': 'ok'}
    assert 'a line of the good one' in output and 'one (1 of 2, about' in output and '\x1b' not in output
    assert report['parts']['two']['result'] == {'rows': [{'figure': 4711}]}
    assert report['machine']['cores'] == os.cpu_count() and report['date'] and report['revision']
    assert '4,711' in page(tmp_path)


@pytest.mark.parametrize('text, detail', [(FAILS, 'exit status 3'), (SILENT, 'it left no figures'),
                                          (GARBAGE, 'it left no figures'), ('os.abort()', 'signal 6')])
def test_a_part_that_fails(run, tmp_path, text, detail):
    status, _, report = run(bad=text, good=GOOD)
    assert status == 1 and statuses(report) == {'bad': 'failed', 'good': 'ok'}
    assert detail in report['parts']['bad']['detail']
    assert detail in page(tmp_path) and '4,711' in page(tmp_path)
    if text == FAILS:
        assert 'its last words' in report['parts']['bad']['said']
        assert report['parts']['bad']['result'] == {'rows': [{'figure': 42}]}


def test_a_part_that_hangs_is_interrupted(run):
    started = time.monotonic()
    status, _, report = run(cap_s=1, hang=HANGS, good=GOOD)
    assert time.monotonic() - started < 30
    assert status == 1 and statuses(report) == {'hang': 'cut off', 'good': 'ok'}
    assert report['parts']['hang']['detail'] == 'after 1 s'
    assert 'KeyboardInterrupt' in report['parts']['hang']['said']


def test_a_part_that_does_not_listen_is_killed_with_its_children(run):
    status, output, report = run(cap_s=1, grace_s=1, deaf=DEAF, good=GOOD)
    assert status == 1 and statuses(report) == {'deaf': 'cut off', 'good': 'ok'}
    assert 'killed' in report['parts']['deaf']['detail']
    child = int(output.partition('child ')[2].split()[0])
    assert not is_there(child)


def test_what_a_part_leaves_behind_goes(run, tmp_path):
    leaves = 'import tempfile; d = tempfile.mkdtemp(); print("scratch", d); ' \
        'c = subprocess.Popen(["sleep", "600"]); print("child", c.pid); figures(1)'
    status, output, _ = run(leaves=leaves)
    assert status == 0
    scratch = output.partition('scratch ')[2].split()[0]
    assert 'perf-bench-' in scratch and not os.path.exists(scratch)
    assert not is_there(int(output.partition('child ')[2].split()[0]))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_tidies_up_and_reports(run, tmp_path, number):
    seen = []

    def interrupt(process):
        for line in process.stdout:
            seen.append(line)
            if line.startswith('child'):
                break
        process.send_signal(number)
    text = HANGS.replace('time', 'c = subprocess.Popen(["sleep", "600"]); print("child", c.pid, flush=True); time')
    status, _, report = run(good=GOOD, hang=text, later=GOOD, during=interrupt)
    assert status == 128 + number
    assert statuses(report) == {'good': 'ok', 'hang': 'interrupted', 'later': 'not run'}
    assert report['parts']['later']['result'] is None
    assert not is_there(int(seen[-1].split()[1]))
    assert '4,711' in page(tmp_path)


def test_the_second_interrupt_does_not_wait(run):
    def twice(process):
        while 'child' not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
    started = time.monotonic()
    status, _, report = run(grace_s=50, deaf=DEAF, during=twice)
    assert time.monotonic() - started < 30
    assert status == 130 and statuses(report) == {'deaf': 'interrupted'}


def test_a_runner_that_is_killed_takes_its_part_along(run):
    pids = []

    def kill(process):
        for line in process.stdout:
            if line.startswith('pid'):
                pids.append(int(line.split()[1]))
                break
        process.kill()
    status, _, _ = run(hang='print("pid", os.getpid(), flush=True); time.sleep(600)', during=kill)
    assert status == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while is_there(pids[0]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_there(pids[0])


def test_the_whole_run_is_bounded(run):
    status, _, report = run(whole_s=6, grace_s=1, hang=HANGS, later=GOOD)
    assert status == 1 and statuses(report) == {'hang': 'cut off', 'later': 'not run'}


def test_parts_by_name(run):
    status, _, report = run(arguments=['two'], one=FAILS, two=GOOD)
    assert status == 0 and statuses(report) == {'two': 'ok'}
    status, output, _ = run(arguments=['three'], one=GOOD)
    assert status == 2 and "no part named 'three'" in output


def test_what_was_measured_is_the_next_estimate(run, tmp_path):
    run(one=GOOD + '; time.sleep(2)')
    known = json.loads((tmp_path / 'bench-results/durations.json').read_text())
    assert 2 <= known['full']['one'] < 30
    (tmp_path / 'bench-results/durations.json').write_text('{"full": {"one": 720}}')
    _, output, _ = run(whole_s=1170, one=GOOD)
    assert 'about 12 min left' in output
    (tmp_path / 'bench-results/durations.json').write_text('[garbage')
    status, _, _ = run(one=GOOD)
    assert status == 0


def test_what_a_part_says_cannot_move_the_terminal(run):
    _, output, _ = run(one=GOOD + '; print("\\x1b[2J\\x07\\x9b hostile")')
    assert '?[2J?? hostile' in output and '\x1b' not in output and '\x07' not in output


class Terminal:
    def __init__(self):
        self.text = ''

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_the_bar_stays_below_the_lines():
    terminal = Terminal()
    screen = bench.Screen(terminal)
    screen.bar('bar 1')
    screen.line('line')
    screen.bar('bar 2')
    assert terminal.text == '\r\x1b[Kbar 1\r\x1b[Kline\n\r\x1b[Kbar 1\r\x1b[Kbar 2'


def test_the_bar_counts_what_is_left(tmp_path):
    clock = bench.Clock([Part('a', ('x',), 3, 300), Part('b', ('x',), 1, 300)], tmp_path, False, tmp_path / 'none')
    assert '  0 %' in clock.bar('a', 0, '') and 'about 4 min left' in clock.bar('a', 0, '')
    assert ' 50 %' in clock.bar('a', 120, '')
    assert 'about 69 s left' in clock.bar('a', 1000, '')  # late: it does not say that it is done
    clock.done('a', 100, False)
    assert ' 75 %' in clock.bar('b', 0, '')


def test_the_parts_fit_into_the_time():
    assert sum(p.minutes for p in bench.PARTS) * 60 < bench.WHOLE_S < 20 * 60
    assert all(p.minutes * 60 < p.cap_s for p in bench.PARTS)
    assert len({p.name for p in bench.PARTS}) == len(bench.PARTS)


@pytest.mark.skipif(os.geteuid() != 0, reason='makes a network namespace')
def test_namespaces_of_a_killed_part_go(run):
    text = 'subprocess.run(["ip", "netns", "add", f"perf-test-{os.getpid()}"], check=True); print("pid", os.getpid());' \
        'figures(1); sys.stdout.flush(); os.kill(os.getpid(), 9)'
    status, output, report = run(one=text)
    assert status == 1 and statuses(report) == {'one': 'failed'}
    listed = subprocess.run(['ip', 'netns', 'list'], text=True, stdout=subprocess.PIPE, check=True).stdout
    pid = output.partition('pid ')[2].split()[0]
    assert f'perf-test-{pid}' not in listed
