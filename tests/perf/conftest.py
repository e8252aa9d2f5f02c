"""Tests of what perf/ says of its measurements. They measure nothing, and need neither root nor a build."""
import pathlib
import sys

PERF = pathlib.Path(__file__).resolve().parents[2] / 'perf'
sys.path.insert(0, str(PERF))
sys.dont_write_bytecode = True


def pytest_terminal_summary(terminalreporter):
    """TAP, by which the test run counts cases."""
    cases = [(outcome, report.nodeid) for outcome in ('passed', 'failed', 'error', 'skipped')
             for report in terminalreporter.stats.get(outcome, ())]
    terminalreporter.write_line(f'1..{len(cases)}')
    for number, (outcome, name) in enumerate(cases, 1):
        word = 'ok' if outcome in ('passed', 'skipped') else 'not ok'
        terminalreporter.write_line(f'{word} {number} - {name}' + (' # SKIP' if outcome == 'skipped' else ''))
