#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares two builds of stasis-bench, and with them of the library, in interleaved runs, and says
which workloads have become more than 10 % slower. `tools/bench --against` makes the two builds;
README.md has the method, verdict.py the statistics.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import time

import verdict

OK, SLOWER, ERROR = 0, 1, 2

# Of stasis-bench: as if the process hung. A run of 64 publishers on a busy machine takes its time.
TIMEOUT_S = 120

DEFAULT_ROUNDS = 15
DEFAULT_SECONDS = '0.2'

Figure = collections.namedtuple('Figure', 'workload unit scale value speed placement')


class Error(Exception):
    """Nothing can be compared: wrong use, or programs that cannot be run."""


class Failed(Exception):
    """A run whose workload failed: not verified, stalled, crashed or hung."""


class Workload:
    def __init__(self, name):
        self.name = name
        self.rows = {} # (workload, unit): Row
        self.failure = None


class Row:
    """One figure of a workload: pairs of it, the old build's first."""

    def __init__(self, figure):
        self.workload, self.unit, self.scale = figure.workload, figure.unit, figure.scale
        self.grows = figure.unit.startswith('bytes')
        self.pairs = []

    def comparable(self):
        """The pairs of that placement which most of them have, and what it is called. Runs in which
        it changed are of no use."""
        kept = collections.defaultdict(list)
        for old, new in self.pairs:
            if old.placement == new.placement != 'mixed':
                kept[old.placement].append((old, new))
        return max(kept.items(), key=lambda item: len(item[1]), default=('mixed', []))


class Program:
    """One of the two stasis-bench."""

    def __init__(self, label, path):
        self.label, self.path = label, path
        self.machine = None

    def call(self, *options):
        try:
            return subprocess.run([self.path, *options], capture_output=True, text=True,
                                  check=False, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Failed('did not end within {} s'.format(TIMEOUT_S)) from None
        except OSError as error:
            raise Error('{}: {}'.format(self.path, error.strerror)) from None

    def workloads(self):
        """[(name, group)], as --workload list prints them: in columns."""
        result = self.call('--workload', 'list')
        if result.returncode != 0:
            raise Error('{} --workload list: {}'.format(self.path, result.stderr.strip()))
        listed = []
        for line in result.stdout.splitlines():
            name = line.split()[0]
            column = max(20, len(name)) + 1
            if name != 'all':
                listed.append((name, line[column:column + 9].strip()))
        return listed

    def run(self, workload, options):
        """The figures of one run."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'report.json')
            result = self.call('--workload', workload, '--no-baselines', '--repeat', '1',
                               '--json', path, *options)
            if result.returncode == 2:
                raise Error('{}: {}'.format(self.path, result.stderr.strip()))
            try:
                with open(path, encoding='utf-8') as stream:
                    report = json.load(stream)
            except (OSError, ValueError):
                raise Failed(ending(result.returncode)) from None
        figures = list(figures_of(report))
        if result.returncode != 0:
            raise Failed(ending(result.returncode))
        self.machine = report['machine']
        return figures


def ending(status):
    return 'ended with signal {}'.format(-status) if status < 0 else \
        'ended with exit status {}'.format(status)


def check_outcome(entry):
    if entry['outcome'] != 'ok':
        raise Failed(entry.get('text') or entry['outcome'])


def rate(workload, unit, value, placement):
    if value <= 0:
        raise Failed('{} {}'.format(value, unit))
    return Figure(workload, unit, 1e6, value, value, placement)


def cost(workload, unit, scale, value, placement=None):
    if value <= 0:
        raise Failed('{} {}'.format(value, unit))
    return Figure(workload, unit, scale, value, 1 / value, placement)


def throughput_figures(row):
    engine = next(engine for engine in row['engines'] if engine['engine'] == 'stasis')
    for run in engine['runs']:
        check_outcome(run)
        if 'gets_per_s' in run:
            yield rate(row['workload'], 'M gets/s', run['gets_per_s'], run['placement'])
            yield rate(row['workload'], 'M updates/s', run['updates_per_s'], run['placement'])
        else:
            yield rate(row['workload'], 'M/s', run['deliveries_per_s'], run['placement'])


def figures_of(report):
    """All that a report of stasis-bench has of the library itself."""
    for row in report['throughput']:
        yield from throughput_figures(row)
    for row in report['latency']:
        for run in row['runs']:
            check_outcome(run)
            yield cost(row['workload'], 'p50 us', 1e3, run['p50_ns'], run['placement'])
            yield cost(row['workload'], 'p99 us', 1e3, run['p99_ns'], run['placement'])
    if 'idle' in report:
        check_outcome(report['idle'])
        yield cost('idle', 'CPU us/s', 1e3, report['idle']['cpu_ns_per_s'])
    if 'memory' in report and report['memory']['outcome'] != 'not counted':
        check_outcome(report['memory'])
        for key, value in report['memory'].items():
            if key.endswith('_bytes'):
                what = key[:-len('_bytes')].replace('_', ' ')
                yield cost('memory', 'bytes/' + what, 1, value)


def select(listed, asked):
    """The names of those that are asked for by name or group; by default all that need no options
    of their own."""
    names = [name for name, group in listed
             if name in asked or (group and group in asked) or
             ('all' in asked and name != 'topology')]
    known = {'all'}.union(*listed) - {''}
    return names, [name for name in asked if name not in known]


def common_workloads(old, new, asked):
    """What both have; says what only one has."""
    old_names, old_unknown = select(old.workloads(), asked)
    new_names, new_unknown = select(new.workloads(), asked)
    unknown = [name for name in new_unknown if name in old_unknown]
    if unknown:
        raise Error('neither build has a workload "{}"; try tools/bench --workload list'
                    .format(unknown[0]))
    for program, names, others in (old, old_names, new_names), (new, new_names, old_names):
        alone = [name for name in names if name not in others]
        if alone:
            say('only in {}, not compared: {}'.format(program.label, ', '.join(alone)))
    common = [name for name in new_names if name in old_names]
    if not common:
        raise Error('the two builds have no workload in common')
    return common


def say(text):
    print('compare: ' + text, file=sys.stderr, flush=True)


def run_pair(order, workload, options):
    """One run of each; what failed is remembered instead."""
    figures = {}
    for program in order:
        try:
            figures[program.label] = program.run(workload.name, options)
        except Failed as failed:
            workload.failure = '{}: {}'.format(program.label, failed)
            say('{}: {}'.format(workload.name, workload.failure))
            return None
    return figures


def measure(old, new, workloads, rounds, options):
    """Round by round, so that each workload's runs are spread over all the time; old new, new old,
    so that neither is always the second."""
    begin = time.monotonic()
    for i in range(rounds):
        for workload in workloads:
            order = (old, new) if i % 2 == 0 else (new, old)
            figures = run_pair(order, workload, options) if not workload.failure else None
            if figures is None:
                continue
            # By name, not by position: the harnesses may differ.
            after = {(figure.workload, figure.unit): figure for figure in figures[new.label]}
            for before in figures[old.label]:
                key = before.workload, before.unit
                if key in after:
                    row = workload.rows.setdefault(key, Row(before))
                    row.pairs.append((before, after[key]))
        check_alike(old, new)
        spent = time.monotonic() - begin
        say('round {} of {}; {:.0f} s more'.format(i + 1, rounds,
                                                   spent / (i + 1) * (rounds - i - 1)))


def check_alike(old, new):
    """Another compiler or allocator would be measured instead of the change."""
    for key in ('compiler', 'allocator'):
        if old.machine and new.machine and old.machine[key] != new.machine[key]:
            raise Error('the builds differ in their {}: {} and {}'.format(
                key, old.machine[key], new.machine[key]))


def word(row, judgement):
    if row.grows:
        return {'slower': 'larger', 'faster': 'smaller'}.get(judgement.verdict, judgement.verdict)
    return judgement.verdict


def advice(judgement):
    if judgement.verdict != 'undecided':
        return ''
    if judgement.rounds is None:
        return ': too near the limit'
    return ': try --rounds {}'.format(judgement.rounds)


def print_row(row, placement, pairs, judgement):
    line = '  {:<19} {:<20}'.format(row.workload, row.unit)
    if pairs:
        medians = [verdict.median(pair[i].value for pair in pairs) / row.scale for i in (0, 1)]
        line += '{:>8.4g} {:>8.4g} {:>6.2f}  {:.2f} to {:.2f} {:>6.3f}'.format(
            *medians, judgement.ratio, judgement.low, judgement.high, judgement.p)
    else:
        line += ' ' * 46
    line += ' {:>4}/{:<3} {:<9}  {}{}'.format(len(pairs), len(row.pairs), placement or '-',
                                              word(row, judgement), advice(judgement))
    print(line)


def print_table(args, machine, workloads, judged):
    print('old: {}; new: {}'.format(args.old_name, args.new_name))
    if machine:
        print('{cpu}, {cpus} CPUs ({cpus_used} used), Linux {kernel}, {compiler}, {allocator}'
              .format(**machine))
    print('\nold, new: medians. speed: new by old, from the pairs of runs; its {:.0%} '
          'interval. p: how\nprobable pairs this bad are if the new build is no more than {:.0%} '
          'slower, corrected for the\nnumber of rows. pairs: those compared, both in the same '
          'placement, of all.\n'.format(verdict.CONFIDENCE, 1 - verdict.LIMIT))
    print('  {:<40}{:>8} {:>8} {:>6}  {:<12} {:>6} {:>8} {:<9}  verdict'.format(
        '', 'old', 'new', 'speed', 'interval', 'p', 'pairs', 'placement'))
    for row, placement, pairs, judgement in judged:
        print_row(row, placement, pairs, judgement)
    for workload in workloads:
        if workload.failure:
            print('  {:<19} FAILED in {}'.format(workload.name, workload.failure))
    counts = collections.Counter(word(row, judgement) for row, _, _, judgement in judged)
    counts['failed'] = sum(workload.failure is not None for workload in workloads)
    print('\n' + ', '.join('{} {}'.format(n, what) for what, n in counts.items() if n))


def open_json(path):
    """Before anything is measured, so that nothing is measured in vain."""
    try:
        return open(path, 'w', encoding='utf-8')
    except OSError as error:
        raise Error('{}: {}'.format(path, error.strerror)) from None


def write_json(stream, args, machine, workloads, judged):
    rows = [{
        'workload': row.workload, 'figure': row.unit, 'verdict': word(row, judgement),
        'speed_ratio': judgement.ratio, 'interval': [judgement.low, judgement.high],
        'p': judgement.p, 'rounds_to_decide': judgement.rounds, 'placement': placement,
        'pairs_compared': len(pairs),
        'pairs': [[[f.value, f.placement] for f in pair] for pair in row.pairs],
    } for row, placement, pairs, judgement in judged]
    report = {
        'old': args.old_name, 'new': args.new_name, 'machine': machine, 'rounds': args.rounds,
        'limit': verdict.LIMIT, 'confidence': verdict.CONFIDENCE, 'rows': rows,
        'failed': {workload.name: workload.failure for workload in workloads if workload.failure},
    }
    try:
        with stream:
            json.dump(report, stream, indent=2)
            stream.write('\n')
    except OSError as error:
        raise Error('{}: {}'.format(stream.name, error.strerror)) from None


def count(text):
    value = int(text)
    if not 1 <= value <= verdict.ROUNDS_MAX:
        raise argparse.ArgumentTypeError('{} is not between 1 and {}'.format(
            text, verdict.ROUNDS_MAX))
    return value


def parse(argv):
    parser = argparse.ArgumentParser(
        description='Compares two builds of stasis-bench in interleaved runs.',
        epilog='All other options are handed to stasis-bench, such as --payload 256. Exit status: '
        '0; 1 when a workload is more than 10 % slower or failed, or, with --strict, undecided; 2 '
        'when nothing was compared.',
        usage='compare.py [OPTION...] OLD NEW [STASIS-BENCH OPTION...]', allow_abbrev=False)
    parser.add_argument('old', metavar='OLD', help='the stasis-bench to compare with')
    parser.add_argument('new', metavar='NEW', help='the stasis-bench in question')
    parser.add_argument('-w', '--workload', action='append', metavar='NAME,...',
                        help='what to compare; may be repeated. Default: all')
    parser.add_argument('--rounds', type=count, default=DEFAULT_ROUNDS, metavar='N',
                        help='runs of each build and workload (%(default)s)')
    parser.add_argument('-S', '--seconds', default=DEFAULT_SECONDS, metavar='S',
                        help='seconds to measure in each run (%(default)s)')
    parser.add_argument('--json', metavar='FILE', help='write everything to FILE')
    parser.add_argument('--strict', action='store_true',
                        help='what is undecided counts as slower')
    parser.add_argument('--old-name', default='OLD', metavar='TEXT', help=argparse.SUPPRESS)
    parser.add_argument('--new-name', default='NEW', metavar='TEXT', help=argparse.SUPPRESS)
    args, others = parser.parse_known_args(argv)
    for option in others:
        if option.split('=')[0] in ('-n', '--repeat'):
            parser.error('{}: it is --rounds that says how often'.format(option))
    asked = [name for names in args.workload or [] for name in names.split(',')]
    if not asked:
        own = any(option.startswith(('-p', '-s', '--publishers', '--subscribers'))
                  for option in others)
        asked = ['topology' if own else 'all']
    return args, asked, others + ['--quick', '--seconds', args.seconds]


def main(argv):
    args, asked, options = parse(argv)
    old, new = Program('old', args.old), Program('new', args.new)
    workloads = [Workload(name) for name in common_workloads(old, new, asked)]
    stream = open_json(args.json) if args.json else None
    measure(old, new, workloads, args.rounds, options)
    rows = [(row, *row.comparable()) for workload in workloads if not workload.failure
            for row in workload.rows.values()]
    ratios = [[after.speed / before.speed for before, after in pairs] for _, _, pairs in rows]
    judged = [(*row, judgement) for row, judgement
              in zip(rows, verdict.judge(ratios))]
    print_table(args, new.machine, workloads, judged)
    if stream:
        write_json(stream, args, new.machine, workloads, judged)
    bad_verdicts = ('slower', 'undecided') if args.strict else ('slower',)
    bad = any(workload.failure for workload in workloads) or \
        any(judgement.verdict in bad_verdicts for *_, judgement in judged)
    return SLOWER if bad else OK


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except Error as reason:
        say(str(reason))
        sys.exit(ERROR)
    except KeyboardInterrupt:
        say('interrupted')
        sys.exit(128 + 2)
