#!/usr/bin/python3
"""summary.py DIR: sums the results of all parts of a test run; the last line is "N passed, N failed, N skipped".

DIR has, per part, PART.status (its exit status) and PART.json (meson's testlog), PART.xml (JUnit) or PART.tap.
A part or a program that failed without a failing case of its own counts as one failure: nothing is lost by a crash.
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree


class Sum:
    def __init__(self):
        self.passed = self.skipped = 0
        self.failures = []

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures


def tap(name, text):
    result, planned, seen = Sum(), None, 0
    for line in text.splitlines():
        plan = re.match(r'1\.\.(\d+)', line)
        case = re.match(r'(not )?ok\b\s*\d*\s*-?\s*(.*)', line)
        if plan:
            planned = int(plan.group(1))
        elif case:
            seen += 1
            if re.search(r'#\s*skip', case.group(2), re.IGNORECASE):
                result.skipped += 1
            elif case.group(1):
                result.failures.append(f'{name}: {case.group(2)}')
            else:
                result.passed += 1
    if planned is None or seen < planned:
        result.failures.append(f'{name}: ended after {seen} of {planned or "unknown"} cases')
    return result


def meson(part, text):
    result = Sum()
    for line in text.splitlines():
        test = json.loads(line)
        name = f'{part}: {test["name"]}'
        output = test.get('stdout') or ''
        if re.search(r'^1\.\.\d+', output, re.MULTILINE):
            one = tap(name, output)
        else:
            one = Sum()
            one.passed, one.skipped = test['result'] == 'OK', test['result'] == 'SKIP'
        if test['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL') and not one.failures:
            one.failures.append(f'{name}: {test["result"]}, status {test.get("returncode")}')
        result.add(one)
    return result


def junit(part, text):
    result = Sum()
    for case in xml.etree.ElementTree.fromstring(text).iter('testcase'):
        name = f'{part}: {case.get("classname")}.{case.get("name")}'
        if case.find('failure') is not None or case.find('error') is not None:
            result.failures.append(name)
        elif case.find('skipped') is not None:
            result.skipped += 1
            print(f'skipped: {name}: {case.find("skipped").get("message")}')
        else:
            result.passed += 1
    return result


READERS = {'.json': meson, '.xml': junit, '.tap': tap}


def part_sum(status_file):
    part, status = status_file.stem, status_file.read_text().strip()
    result, read = Sum(), False
    for suffix, reader in READERS.items():
        path = status_file.with_suffix(suffix)
        if path.exists() and path.stat().st_size:
            result.add(reader(part, path.read_text(errors='replace')))
            read = True
    if not read:
        result.failures.append(f'{part}: no results')
    if status != '0' and not result.failures:
        result.failures.append(f'{part}: exit status {status}' + (', cut off by its time cap' if status == '124' else ''))
    return part, result


def main():
    total = Sum()
    for status_file in sorted(pathlib.Path(sys.argv[1]).glob('*.status')):
        part, result = part_sum(status_file)
        print(f'{part}: {result.passed} passed, {len(result.failures)} failed, {result.skipped} skipped')
        total.add(result)
    for failure in total.failures:
        print(f'failed: {failure}')
    print(f'{total.passed} passed, {len(total.failures)} failed, {total.skipped} skipped')
    return 1 if total.failures or total.passed == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
