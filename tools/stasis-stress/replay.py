#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Records what stasis-stress does, replays it, and expects the same operations; one seed gives the
same operations twice, another gives others.

usage: replay.py STASIS_STRESS
"""

import os
import subprocess
import sys
import tempfile


def run(program, *options):
    result = subprocess.run([program, '--quiet', *options], capture_output=True, text=True,
                            check=False, timeout=300)
    assert result.returncode == 0, (options, result)
    assert result.stdout.startswith('PASSED: '), (options, result)


def draw(program, record, seed):
    # Long enough that every topology has its round, whatever the machine.
    run(program, '--seconds', '0.1', '--round', '0.3', '--threads', '8', '--seed', seed,
        '--record', record)
    return read(record)


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
        # Passed, and nobody asked for a record: nothing is left.
        run(program, '--seconds', '0.1', '--topology', 'star', '--threads', '4')
        assert sorted(os.listdir('.')) == ['again', 'first', 'other', 'replayed'], os.listdir('.')


if __name__ == '__main__':
    main()
