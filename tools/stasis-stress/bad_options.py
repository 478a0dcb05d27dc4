#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Gives stasis-stress wrong options and broken records, and expects a clear refusal: exit status 2
and what is wrong on standard error.

usage: bad_options.py STASIS_STRESS
"""

import os
import subprocess
import sys
import tempfile

# Options, and what the message must mention.
BAD = [
    (['--seconds', '0'], 'seconds'),
    (['--seconds', 'nan'], 'seconds'),
    (['--seconds', 'ten'], 'ten'),
    (['--seconds'], 'seconds'),
    (['--threads', '0'], 'threads'),
    (['--threads', '1001'], 'threads'),
    (['--threads', '2.5'], 'threads'),
    (['--threads', '-1'], 'threads'),
    (['--seed', '-1'], 'seed'),
    (['--seed', '99999999999999999999'], 'seed'),
    (['--seed', ''], 'seed'),
    (['--round', '0'], 'round'),
    (['--patience', '0'], 'patience'),
    (['--topology', 'nonsense'], 'nonsense'),
    (['--topology', 'star,nonsense'], 'nonsense'),
    (['--topology', ''], 'topology'),
    (['--faults', 'nonsense'], 'nonsense'),
    (['--faults', ''], 'faults'),
    (['--plant', 'nonsense'], 'nonsense'),
    (['--nonsense'], 'nonsense'),
    (['nonsense'], 'nonsense'),
]

HEAD = 'stasis-stress schedule 1\nseed 1\nthreads 4\nplant none\n'

# Records, and what the message must mention.
BAD_RECORDS = [
    ('', 'no schedule'),
    ('something else\n', 'no schedule'),
    ('stasis-stress schedule 2\n', 'version'),
    ('stasis-stress schedule 1\nthreads 4\n', 'seed'),
    ('stasis-stress schedule 1\nseed 1\nthreads 100000\n', 'threads'),
    ('stasis-stress schedule 1\nseed 1\nthreads 4\nplant nonsense\n', 'plant'),
    (HEAD + 'op 1 fork 0 0 0\n', 'line 5: a round'),
    (HEAD + 'round 0 nonsense 1 1000 none\n', 'topology'),
    (HEAD + 'round 0 star 1 1000 nonsense\n', 'fault'),
    (HEAD + 'round 0 star 1 1000 fork\nop 1 nonsense 0 0 0\n', 'line 6: there is no such fault'),
    (HEAD + 'round 0 star 1 1000 fork\nop 1 exit 0 0 0\n', 'not among'),
    (HEAD + 'round 0 star 1 1000 fork\nop x\n', 'operation'),
    (HEAD + 'round 0 star 1 1000 fork\nop 1 fork 0 0 0 0\n', 'operation'),
    (HEAD + 'round 0 star 1 1000 fork\nop -1 fork 0 0 0\n', 'operation'),
    (HEAD + 'round 0 star 1 1000 fork\nop 1 fork 2 0 0\n', 'argument'),
    (HEAD + 'round 0 star 1 1000 signal\nop 1 signal 0 99999999999999999 0\n', 'argument'),
    (HEAD + 'round 0 star 1 1000 fork\nop 1000 fork 0 0 0\n', 'end of its round'),
    (HEAD + 'round 0 star 1 1000 fork\nop 18446744073709551615 fork 0 0 0\n', 'end of its'),
    (HEAD + 'round 0 star 1 1000 fork\nop 5 fork 0 0 0\nop 4 fork 0 0 0\n', 'before the last'),
    (HEAD + 'round 0 star 1 1000 fork nonsense\n', 'line 5: a round'),
    (HEAD + 'round 0 star -1 1000 fork\n', 'line 5: a round'),
    (HEAD + 'round 0 star 1 99999999999999 fork\n', 'line 5: a round'),
    ('stasis-stress schedule 1\nseed -1\n', 'line 2: no seed'),
    ('stasis-stress schedule 1\nseed 1\nthreads 4 nonsense\n', 'line 3: no number'),
    ('stasis-stress schedule 1 nonsense\n', 'line 1: this is no schedule'),
    (HEAD[:-1] + ' nonsense\n', 'line 4: no plant'),
    (HEAD + 'round 0 star 1 1000 fork\nop 1 fork ' + '1' * 1000 + '\n', 'too long'),
]


def run(program, *options):
    return subprocess.run([program, *options], capture_output=True, text=True, check=False,
                          timeout=120)


def check_refused(program, options, mention):
    result = run(program, *options)
    assert result.returncode == 2, (options, result)
    assert mention in result.stderr, (options, result)
    assert result.stdout == '', (options, result)


def check_records(program, folder):
    record = os.path.join(folder, 'record')
    for text, mention in BAD_RECORDS:
        with open(record, 'w', encoding='utf-8') as file:
            file.write(text)
        check_refused(program, ['--quiet', '--replay', record], mention)
        assert os.listdir(folder) == ['record'], (text, os.listdir(folder))
    # The file says it all: nothing else may.
    check_refused(program, ['--replay', record, '--seed', '2'], 'replay')
    check_refused(program, ['--replay', record, '--record', record], 'record')


def check_files(program, folder):
    missing = os.path.join(folder, 'missing', 'record')
    check_refused(program, ['--replay', missing], missing)
    check_refused(program, ['--record', missing], missing)
    check_refused(program, ['--record', folder], folder)
    if os.path.exists('/dev/full'):
        result = run(program, '--quiet', '--seconds', '0.1', '--topology', 'star', '--record',
                     '/dev/full', '--threads', '4')
        assert result.returncode == 2 and '/dev/full' in result.stderr, result


def check_information(program):
    for options, mention in [(['--help'], '--topology'), (['--version'], 'stasis-stress '),
                             (['--list'], 'diamond'), (['--list'], 'starve')]:
        result = run(program, *options)
        assert result.returncode == 0, (options, result)
        assert mention in result.stdout, (options, result)


def main():
    program = os.path.abspath(sys.argv[1])
    for options, mention in BAD:
        check_refused(program, options, mention)
    check_information(program)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        check_files(program, folder)
        check_records(program, folder)


if __name__ == '__main__':
    main()
