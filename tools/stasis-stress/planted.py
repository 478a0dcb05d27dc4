#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Has stasis-stress falsify what it observes, and expects it to be found: the checkers can fail.

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
    ('stray', 'star', 'stray'),
    ('filter', 'star', 'filter'),
    ('route', 'filters', 'route'),
    ('congestion', 'policies', 'congestion'),
    ('memory', 'star', 'memory'),
    ('wants', 'star', 'wants'),
    ('subscribers', 'star', 'subscribers'),
    ('error', 'star', 'error'),
    ('told', 'sync', 'stats'),
    ('published', 'star', 'stats'),
    ('get', 'cache', 'cache'),
    ('dump', 'cache', 'cache'),
    ('forward', 'chain', 'forward'),
]


# A run ends with the first violation, so that there is time enough on the slowest machine. A leak,
# too, is waited for, a third of the patience.
PATIENCE = {'leak': '15', 'topic': '15'}


def run(program, *options):
    return subprocess.run([program, '--quiet', *options], capture_output=True, text=True,
                          check=False, timeout=300)


def draw(program, *options):
    return run(program, '--threads', '8', '--seconds', '60', '--round', '1', '--faults', 'none',
               *options)


def lengthen(record):
    """Has a record say its last round again and again, as the violation need not come at once."""
    with open(record, encoding='utf-8') as file:
        rounds = [line for line in file if line.startswith('round ')]
    with open(record, 'a', encoding='utf-8') as file:
        file.writelines(rounds[-1:] * 60)


def check_found(program, plant, topology, word):
    patience = PATIENCE.get(plant, '60')
    result = draw(program, '--topology', topology, '--plant', plant, '--json', '--patience',
                  patience)
    assert result.returncode == 1, (plant, result)
    verdict = json.loads(result.stdout)
    assert verdict['passed'] is False and verdict['violations'] > 0, (plant, verdict)
    assert verdict['first_violation'].startswith(word + ':'), (plant, verdict)
    assert 'VIOLATION: ' + word in result.stderr, (plant, result)
    # What it leaves behind is what --replay takes, and finds the same.
    lengthen(verdict['record'])
    result = run(program, '--json', '--patience', patience, '--replay', verdict['record'])
    assert result.returncode == 1, (plant, result)
    assert json.loads(result.stdout)['first_violation'].startswith(word + ':'), (plant, result)


def check_text(program):
    result = draw(program, '--topology', 'star', '--plant', 'loss')
    assert result.returncode == 1, result
    assert result.stdout.startswith('FAILED: '), result
    for mention in ['seed 1', 'round 0', 'topology star', 'step ', '--seed 1 ', '--replay ']:
        assert mention in result.stdout, (mention, result)


def check_hang(program):
    result = draw(program, '--topology', 'star', '--plant', 'hang', '--patience', '2', '--json')
    assert result.returncode == 3, result
    for mention in ['FAILED: the run hangs', 'thread 0, publisher: ending', 'station 0']:
        assert mention in result.stderr, (mention, result)
    record = result.stderr.rstrip().rsplit(' --replay ', 1)[1]
    assert os.path.exists(record), result
    verdict = json.loads(result.stdout)
    assert verdict['passed'] is False and verdict['hangs'] == 'threads ending', verdict
    assert verdict['record'] == record and verdict['published'] > 0, verdict


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
