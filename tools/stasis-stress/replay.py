#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Records what stasis-stress does, replays it, and expects the same operations; one seed gives the
same operations twice, another gives others, and so does one that has too little CPU for them.

usage: replay.py STASIS_STRESS
"""

import json
import os
import subprocess
import sys
import tempfile


def run(program, *options):
    result = subprocess.run([program, '--quiet', *options], capture_output=True, text=True,
                            check=False, timeout=300)
    assert result.returncode == 0, (options, result)
    assert '--json' in options or result.stdout.startswith('PASSED: '), (options, result)
    return result.stdout


def draw(program, record, seed):
    # Long enough that every topology has its round, whatever the machine.
    run(program, '--seconds', '0.1', '--round', '0.3', '--threads', '8', '--seed', seed,
        '--record', record)
    return read(record)


def check_late(program):
    """What is not done for want of time is written down, and read again."""
    options = ['--seconds', '0.1', '--topology', 'star,tree', '--faults', 'signal', '--round',
               '0.3', '--threads', '4', '--json']
    verdicts = [run(program, *options, '--record', 'timely'),
                run(program, *options, '--record', 'late', '--plant', 'late')]
    verdicts.append(run(program, '--json', '--replay', 'late', '--record', 'late-replayed'))
    verdicts = [json.loads(verdict) for verdict in verdicts]
    assert all(verdict['passed'] and verdict['rounds'] == 2 for verdict in verdicts), verdicts
    late = read('late')
    assert late == read('timely').replace('plant none', 'plant late'), 'a late round is shorter'
    assert read('late-replayed') == late, 'a late round is replayed otherwise'
    # It was late indeed: what comes after the third operation is left out in one round.
    signals = [[int(line.split()[4]) for line in part.splitlines() if line.startswith('op ')]
               for part in late.split('\nround ')[1:]]
    assert sum(map(len, signals)) > 20, late
    assert verdicts[1]['faults']['signal'] <= sum(map(sum, signals)) - sum(signals[0][3:]), late


def read(record):
    with open(record, encoding='utf-8') as file:
        return file.read()


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        first = draw(program, 'first', '5')
        assert first.startswith('stasis-stress schedule 1\n'), first
        assert first.count('\nround ') >= 10 and first.count('\nop ') > 20, first
        run(program, '--replay', 'first', '--record', 'replayed')
        assert read('replayed') == first, 'a replay does something else'
        assert draw(program, 'again', '5') == first, 'the same seed does something else'
        assert draw(program, 'other', '6') != first, 'another seed does the same'
        for name in ['first', 'replayed', 'again', 'other']:
            os.unlink(name)
        check_late(program)
        for name in ['timely', 'late', 'late-replayed']:
            os.unlink(name)
        # Passed, and nobody asked for a record: nothing is left.
        run(program, '--seconds', '0.1', '--topology', 'star', '--threads', '4')
        assert not os.listdir('.'), os.listdir('.')


if __name__ == '__main__':
    main()
