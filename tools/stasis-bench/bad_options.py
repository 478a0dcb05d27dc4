#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Gives stasis-bench wrong options and expects a clear refusal: exit status 2 and what is wrong on
standard error.

usage: bad_options.py STASIS_BENCH
"""

import os
import subprocess
import sys
import tempfile

# Options, and what the message must mention.
BAD = [
    (['--workload', 'nonsense'], 'nonsense'),
    (['--workload', '1:1,nonsense'], 'nonsense'),
    (['--workload', ''], 'workload'),
    (['--seconds', '0'], 'seconds'),
    (['--seconds', 'nan'], 'seconds'),
    (['--seconds', 'ten'], 'ten'),
    (['--seconds'], 'seconds'),
    (['--payload', '15'], 'payload'),
    (['--payload', '65537'], 'payload'),
    (['--payload', '20.5'], 'whole'),
    (['--payload', '16x'], '16x'),
    (['--publishers', '0'], 'publishers'),
    (['--subscribers', '-1'], 'subscribers'),
    (['--ids', '0'], 'ids'),
    (['--ids', '1048577'], 'ids'),
    (['--threads', '1025'], 'threads'),
    (['--repeat', '0'], 'repeat'),
    (['--rate', '1'], 'rate'),
    (['--window', '255'], 'window'),
    (['--nonsense'], 'nonsense'),
    (['nonsense'], 'nonsense'),
]


def run(program, *options):
    return subprocess.run([program, *options], capture_output=True, text=True, check=False,
                          timeout=60)


def check_refused(program, options, mention):
    result = run(program, *options)
    assert result.returncode == 2, (options, result)
    assert mention in result.stderr, (options, result)
    assert result.stdout == '', (options, result)


def check_json_file(program):
    """A file that cannot be written is found before anything is measured, or when it is full."""
    with tempfile.TemporaryDirectory() as folder:
        missing = os.path.join(folder, 'missing', 'report.json')
        check_refused(program, ['--json', missing], missing)
        check_refused(program, ['--json', folder], folder)
    if os.path.exists('/dev/full'):
        result = run(program, '--workload', 'memory', '--quick', '--json', '/dev/full')
        assert result.returncode == 2, result
        assert '/dev/full' in result.stderr, result


def check_information(program):
    for options, mention in [(['--help'], '--workload'), (['--version'], 'stasis-bench'),
                             (['--workload', 'list'], 'latency-park')]:
        result = run(program, *options)
        assert result.returncode == 0, (options, result)
        assert mention in result.stdout, (options, result)


def main():
    program = sys.argv[1]
    for options, mention in BAD:
        check_refused(program, options, mention)
    check_json_file(program)
    check_information(program)


if __name__ == '__main__':
    main()
