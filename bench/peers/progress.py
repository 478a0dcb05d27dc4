# SPDX-License-Identifier: BSD-2-Clause
"""progress.py - how far it is, on standard error: one line that changes on a terminal, else a line now
and then"""

import sys
import time

import catalog
import child

EVERY_SECONDS = 10


def clock(seconds):
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'


def figure(run):
    """What a run came to, for people."""
    if run['outcome'] != 'ok':
        return f'{run["outcome"]}: {run.get("text", "")}'
    kind = catalog.KINDS[run['kind']]
    mixed = ', CPUs moved' if run.get('placement') == 'mixed' else ''
    return catalog.text(child.figures(run)[kind.main], kind.figures[kind.main].unit) + mixed


class Progress:
    def __init__(self, rounds, stream=sys.stderr):
        self.stream = stream
        self.rounds = rounds
        self.terminal = stream.isatty()
        self.number = 0
        self.last = 0.0
        self.width = 0
        self.begun = time.monotonic()

    def line(self, text, stays=False):
        if self.terminal:
            text = text[:110]
            self.stream.write('\r' + text.ljust(self.width) + ('\n' if stays else ''))
            self.width = 0 if stays else len(text)
        else:
            self.stream.write(text + '\n')
        self.stream.flush()

    def round(self, number, conductor, unit):
        self.number = number
        count = len(conductor.in_round(number))
        seconds = conductor.estimate(number, unit)
        late = conductor.budget is not None and \
            conductor.spent + seconds > conductor.budget * 1.1 + EVERY_SECONDS
        self.line(f'round {number + 1} of {self.rounds}: {count} runs of {unit * 1000:.0f} ms and '
                  f'more; {conductor.runs_ahead(number)} runs, {clock(seconds)} to go' +
                  (': more than asked for, this machine is busy or slow' if late else ''),
                  stays=True)

    def begin(self, cell):
        if self.terminal:
            self.line(f'{cell.workload.name} {cell.engine} {cell.allocator} ...')

    def end(self, cell, run, done, left, seconds):
        now = time.monotonic()
        bad = run['outcome'] != 'ok'
        if not self.terminal and not bad and now - self.last < EVERY_SECONDS:
            return
        self.last = now
        self.line(f'{clock(now - self.begun)}  {done} runs, {left} left in round {self.number + 1}, '
                  f'{clock(seconds)} to go  {cell.workload.name} {cell.engine} {cell.allocator}: '
                  f'{figure(run)}', stays=bad)

    def close(self):
        if self.terminal and self.width > 0:
            self.line('')
            self.stream.write('\r')
            self.stream.flush()
