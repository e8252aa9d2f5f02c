"""Tests with processes: daemons in network namespaces. `pytest --builddir DIR` names where pluto and whack are built."""
import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import lab as lab_module  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption('--builddir', default=str(TOP / 'build'), help='where pluto and whack are built')
    parser.addoption('--keep-logs', default=None, metavar='DIR', help='copy the daemons\' logs of failed tests to DIR')


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit('these tests make network namespaces: run them as root', 2)
    os.environ['PLUTONIUM_BUILD'] = os.path.abspath(config.getoption('--builddir'))
    lab_module.remove_stale()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    lab = item.funcargs.get('lab') if hasattr(item, 'funcargs') else None
    if not report.failed or not lab:
        return
    keep = item.config.getoption('--keep-logs')
    for path in lab.logs:
        if not path.exists():
            continue
        with open(path, 'rb') as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 6000))
            report.sections.append((path.name, log.read().decode(errors='replace')))
        if keep:
            folder = pathlib.Path(keep) / item.name.replace('/', '_')
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder)


@pytest.fixture
def lab():
    lab = lab_module.Lab()
    yield lab
    lab.close()
