#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Looks at the progress that stasis-stress shows on a terminal, every second: it is told by a thread
of its own, from what others are writing at that moment.

usage: progress.py STASIS_STRESS
"""

import os
import pty
import re
import subprocess
import sys

# Rounds only: what was verified while it warmed up does not count.
LINE = re.compile(r'\[ *\d+ s\] round (\d+) [a-z-]+, (?!warming)[a-z ]+: \d+ messages/s, \d+ queued, '
                  r'(\d+) verified, (\d+) faults, 0 violations')


def read_all(terminal):
    text = b''
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError: # nobody has it open any more
            break
        if not piece:
            break
        text += piece
    return text.decode()


def main():
    terminal, theirs = pty.openpty()
    command = [sys.argv[1], '--threads', '8', '--seed', '42', '--seconds', '4', '--round', '1',
               '--faults', 'fork,exit,callback,limits']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as child:
        os.close(theirs)
        shown = read_all(terminal)
        verdict = child.stdout.read()
    os.close(terminal)
    assert child.returncode == 0, (child.returncode, shown)
    assert verdict.startswith('PASSED: '), verdict
    told = [tuple(map(int, line)) for line in LINE.findall(shown)]
    assert len(told) >= 2, shown
    for before, after in zip(told, told[1:]):
        assert all(a <= b for a, b in zip(before, after)), (before, after)
    assert told[-1][1] > 0, shown


main()
