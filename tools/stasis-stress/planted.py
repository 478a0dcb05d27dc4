#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Has stasis-stress falsify what it observes, and expects it to be found: each checker can fail.

usage: planted.py STASIS_STRESS
"""

import json
import os
import subprocess
import sys
import tempfile

# What is planted, on which topology, and the word with which the first violation must begin.
PLANTS = [
    ('order', 'star', 'order'),
    ('loss', 'star', 'loss'),
    ('overlap', 'star', 'overlap'),
    ('final', 'star', 'final'),
    ('join', 'star', 'join'),
    ('leak', 'star', 'leak'),
    ('topic', 'chain', 'leak'),
    ('chain', 'cache', 'chain'),
    ('stats', 'star', 'stats'),
    ('drain', 'executors', 'drain'),
    ('sync', 'sync', 'sync'),
]


def run(program, *options):
    return subprocess.run([program, '--quiet', '--threads', '8', '--seconds', '1', '--faults',
                           'none', '--patience', '6', *options],
                          capture_output=True, text=True, check=False, timeout=300)


def check_found(program, plant, topology, word):
    result = run(program, '--topology', topology, '--plant', plant, '--json')
    assert result.returncode == 1, (plant, result)
    verdict = json.loads(result.stdout)
    assert verdict['passed'] is False and verdict['violations'] > 0, (plant, verdict)
    assert verdict['first_violation'].startswith(word + ':'), (plant, verdict)
    assert 'VIOLATION: ' + word in result.stderr, (plant, result)
    # What it leaves behind is what --replay takes, and finds the same.
    result = subprocess.run([program, '--quiet', '--json', '--patience', '6', '--replay',
                             verdict['record']],
                            capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 1, (plant, result)
    assert json.loads(result.stdout)['first_violation'].startswith(word + ':'), (plant, result)


def check_text(program):
    result = run(program, '--topology', 'star', '--plant', 'loss')
    assert result.returncode == 1, result
    assert result.stdout.startswith('FAILED: '), result
    for mention in ['seed 1', 'round 0', 'topology star', 'step ', '--seed 1 ', '--replay ']:
        assert mention in result.stdout, (mention, result)


def check_hang(program):
    result = run(program, '--topology', 'star', '--plant', 'hang', '--patience', '2')
    assert result.returncode == 3, result
    for mention in ['FAILED: the run hangs', 'thread 0, publisher: ending', 'station 0']:
        assert mention in result.stderr, (mention, result)


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for plant, topology, word in PLANTS:
            check_found(program, plant, topology, word)
        check_text(program)
        check_hang(program)


if __name__ == '__main__':
    main()
