# SPDX-License-Identifier: BSD-2-Clause
"""conduct.py - which run when: rounds, turns, repetitions, and how long each may take

Turns      A round is every workload, and in it ours and the peers one after the other, always in the
           same order: of ours and any one peer, runs strictly alternate. So what disturbs the machine
           meets all.
Allocators In the first TRIALS rounds everything runs with each allocator; from then on with the one
           that has been better. Or always with each, if wanted.
Placement  A run during which the CPUs moved (mixed) is dropped and made again, up to REPEATS times.
Failures   Who broke a promise, crashed or hung is not tried again; who stalled, once more.
Together   What only waits (idle) runs at the end of its round, all engines at once: what is measured
           is a process's own CPU time, of which they use next to none.
Length     Set anew for each round, so that all fits into the time that there is: by what is left,
           how many runs are left, and what a run has cost so far beyond what it measures. In one
           round it is the same for all who are on a workload.
"""

import concurrent.futures
import time

import catalog
import child
import results

TRIALS = 2
REPEATS = 2
STALLS = 2

SECONDS_MIN = 0.05
SECONDS_MAX = 1.0
SECONDS_ONCE = 1.0  # of what is measured in one round only
WARM_UP = 1.2  # how long a run takes, in times of what it measures
OVERHEAD = 0.1  # what a run costs besides, until that is known
OVERHEAD_ONCE = 2.0


class Cell:
    """One engine with one allocator on one workload, and its runs."""

    def __init__(self, workload, engine, allocator):
        self.workload = workload
        self.engine = engine
        self.allocator = allocator
        self.runs = []  # dropped ones not included
        self.dropped = 0
        self.open = True
        self.kind = catalog.KINDS[workload.kind]
        self.overhead = OVERHEAD if self.kind.rounds is None else OVERHEAD_ONCE

    def seconds(self, unit):
        """How long a run is to measure, when unit is that of most."""
        return SECONDS_ONCE if self.kind.rounds == 1 else unit * self.workload.weight

    def take(self, run):
        self.runs.append(run)
        if run['outcome'] in ('failed', 'unsupported') or run.get('killed'):
            self.open = False
        elif sum(r['outcome'] == 'stalled' for r in self.runs) >= STALLS:
            self.open = False


class Conductor:
    def __init__(self, cells, *, rounds, budget=None, seconds=None, both=False):
        """budget: seconds for everything; or seconds: for each run to measure."""
        self.cells = cells
        self.rounds = rounds
        self.budget = budget
        self.fixed = seconds
        self.both = both
        self.lengths = []  # of each round
        self.done = 0
        self.spent = 0.0

    def in_round(self, number):
        """The cells whose turn comes in this round, in order."""
        return [cell for cell in self.cells
                if cell.open and (cell.kind.rounds is None or number < cell.kind.rounds)]

    def ahead(self, number):
        """[(cell, runs)...] from this round on, as far as can be told."""
        trials = 0 if self.both else max(0, min(TRIALS, self.rounds) - number)
        alone = 0 if self.both else max(0, self.rounds - max(number, TRIALS))
        twins = {}
        for cell in self.in_round(number):
            twins[cell.workload.name, cell.engine] = \
                twins.get((cell.workload.name, cell.engine), 0) + 1
        for cell in self.in_round(number):
            n = twins[cell.workload.name, cell.engine]
            if cell.kind.rounds is not None:
                yield cell, cell.kind.rounds - number
            elif self.both:
                yield cell, self.rounds - number
            else:
                yield cell, trials + alone / n

    def estimate(self, number, unit):
        """Seconds that the rounds from this one on will take."""
        return sum(n * self.cost(cell, unit) for cell, n in self.ahead(number))

    def length(self, number):
        """How long most runs of this round are to measure."""
        if self.fixed is not None:
            return self.fixed
        left = self.budget - self.spent
        nothing = self.estimate(number, 0)
        slope = self.estimate(number, 1) - nothing
        if slope <= 0:
            return SECONDS_MIN
        return round(min(max((left - nothing) / slope, SECONDS_MIN), SECONDS_MAX), 3)

    def runs_ahead(self, number):
        return round(sum(n for _, n in self.ahead(number)))

    def choose(self):
        """From here on each engine runs with its better allocator only."""
        for pair in results.pairs(self.cells):
            if len([cell for cell in pair if cell.open]) > 1:
                best = results.better_cell(pair)
                for cell in pair:
                    cell.open = cell is best

    def turn(self, cell, unit, measure):
        """One run that counts, if there is to be one."""
        seconds = cell.seconds(unit)
        for attempt in range(1 + REPEATS):
            begin = time.monotonic()
            run = measure(cell, seconds)
            elapsed = time.monotonic() - begin
            self.spent += elapsed
            if not run.get('killed'):
                over = max(0.0, elapsed - WARM_UP * seconds)
                cell.overhead = over if not cell.runs else (cell.overhead + over) / 2
            if run['outcome'] != 'ok' or run.get('placement') != 'mixed' or attempt == REPEATS:
                break
            cell.dropped += 1
        cell.take(dict(run, asked_seconds=seconds))
        self.done += 1
        return cell.runs[-1]

    def together(self, cells, unit, measure):
        """One run of each, all at once."""
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(max(len(cells), 1)) as pool:
            runs = list(pool.map(lambda cell: measure(cell, cell.seconds(unit)), cells))
        self.spent += time.monotonic() - begin
        for cell, run in zip(cells, runs):
            cell.take(dict(run, asked_seconds=cell.seconds(unit)))
        self.done += len(cells)

    def cost(self, cell, unit):
        """Seconds that a run takes."""
        if cell.kind.together:
            return OVERHEAD
        return cell.overhead + WARM_UP * cell.seconds(unit)

    def conduct(self, measure, tell):
        """Runs it all. measure(cell, seconds) makes one run; tell is a progress.Progress."""
        for number in range(self.rounds):
            if number == TRIALS and not self.both:
                self.choose()
            unit = self.length(number)
            self.lengths.append(unit)
            cells = [cell for cell in self.in_round(number) if not cell.kind.together]
            waiting = [cell for cell in self.in_round(number) if cell.kind.together]
            tell.round(number, self, unit)
            for i, cell in enumerate(cells):
                if not cell.open:
                    continue
                tell.begin(cell)
                run = self.turn(cell, unit, measure)
                rest = sum(self.cost(c, unit) for c in cells[i + 1:] + waiting if c.open)
                later = self.estimate(number + 1, unit) if number + 1 < self.rounds else 0
                tell.end(cell, run, self.done, len(cells) - i - 1, rest + later)
            if waiting:
                self.together(waiting, unit, measure)
