#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Ends runs of stasis-stress before their time, by a crash and by signals, and expects it to say how
far it came and how to run it again; a run in which nothing happened, not to pass; and a record that
nobody asked for, to be where it is said to be and never in somebody else's file.

usage: ends.py STASIS_STRESS
"""

import glob
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

LONG = ['--quiet', '--seconds', '600', '--threads', '4', '--topology', 'star', '--faults', 'none']


def run(program, *options, **how):
    return subprocess.run([*program, *options], capture_output=True, text=True, check=False,
                          timeout=300, **how)


def check_crash(program):
    result = run([program], *LONG, '--plant', 'crash')
    assert result.returncode == -signal.SIGABRT, result
    assert result.stdout == '', result
    for mention in ['FAILED: the run crashes, SIGABRT', 'seed 1, round 0, topology star',
                    '--seed 1 ', '--seconds 600']:
        assert mention in result.stderr, (mention, result)
    record = re.search('--replay (.+)', result.stderr).group(1)
    assert os.listdir('.') == [record], os.listdir('.')
    result = run([program], '--quiet', '--replay', record)
    assert result.returncode == -signal.SIGABRT, result
    # What is replayed is not what these options draw.
    assert '--replay stasis-stress-' in result.stderr and 'same seed' not in result.stderr, result


def wait_for_round(record):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if os.path.exists(record):
            with open(record, encoding='utf-8') as file:
                if '\nround ' in file.read():
                    return
        time.sleep(0.05)
    raise AssertionError('no round begins')


def interrupt(program, number, *options):
    with subprocess.Popen([program, *LONG, '--record', 'record', *options], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        wait_for_round('record')
        time.sleep(1)
        child.send_signal(number)
        stdout, stderr = child.communicate(timeout=200)
    os.unlink('record')
    assert child.returncode == 0, (number, child.returncode, stdout, stderr)
    return stdout


def check_interrupts(program):
    # Ignored it would be, if this were started in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stdout = interrupt(program, signal.SIGINT)
    assert stdout.startswith('PASSED (interrupted): '), stdout
    verdict = json.loads(interrupt(program, signal.SIGTERM, '--json'))
    assert verdict['passed'] is True and verdict['interrupted'] is True, verdict
    assert verdict['published'] > 0 and verdict['verified'] > 0, verdict


def check_void(program):
    with open('nothing', 'w', encoding='utf-8') as file:
        file.write('stasis-stress schedule 1\nseed 18446744073709551615\nthreads 4\nplant none\n')
    result = run([program], '--quiet', '--json', '--replay', 'nothing')
    assert result.returncode == 1, result
    verdict = json.loads(result.stdout)
    assert verdict['passed'] is False and verdict['verified'] == 0, verdict
    assert verdict['first_violation'].startswith('void: '), verdict
    assert verdict['seed'] == '18446744073709551615', verdict
    # A path need not be text.
    record = b'r\xe9cord'
    result = run([program], '--quiet', '--json', '--replay', 'nothing', '--record', record)
    assert result.returncode == 1 and json.loads(result.stdout)['record'] == 'r?cord', result


def check_limits(program):
    """What is not injected but a trait of rounds is counted by rounds."""
    result = run([program], '--quiet', '--json', '--seconds', '0.4', '--round', '0.2', '--threads',
                 '4', '--topology', 'star,tree', '--faults', 'limits')
    verdict = json.loads(result.stdout)
    assert result.returncode == 0 and verdict['rounds'] >= 2, result
    assert verdict['faults']['limits'] == verdict['rounds'], result


def check_places(program):
    """Where it cannot write, the record is in $TMPDIR, where what is there already is left alone."""
    place = os.path.join(os.getcwd(), 'place')
    os.mkdir(place)
    script = '{} cd "$(mktemp -d)" && rmdir "$PWD" && exec "$@"'
    link = 'ln -s "$TMPDIR/victim" "$TMPDIR/stasis-stress-1-$$.schedule" &&'
    for before, status in [('', 1), (link, 2)]:
        result = run(['sh', '-c', script.format(before), 'sh', program], *LONG, '--plant', 'loss',
                     env={**os.environ, 'TMPDIR': place})
        assert result.returncode == status, result
        if status == 1:
            record = re.search('--replay (.+)', result.stdout).group(1)
            assert glob.glob(os.path.join(place, '*')) == [record], os.listdir(place)
        else:
            assert 'File exists' in result.stderr, result
    assert not os.path.exists(os.path.join(place, 'victim')), os.listdir(place)


def main():
    program = os.path.abspath(sys.argv[1])
    for check in [check_crash, check_interrupts, check_void, check_limits, check_places]:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            check(program)
            os.chdir('/')


if __name__ == '__main__':
    main()
