#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Gives compare.py two made-up stasis-bench, of which it is known how fast they are, and
verdict.py's arithmetic what can be counted by other means.
"""

import itertools
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import unittest

import verdict

FOLDER = os.path.dirname(os.path.abspath(__file__))

# In place of stasis-bench: prints one report after the other, of the files that lie beside it. The
# shell starts faster than Python.
FAKE = '''#!/bin/sh
folder=${0%/*}
label=${folder##*/}
calls=$folder/../calls
arguments="$label"
while [ $# -gt 0 ]; do
	case $1 in
	--workload) name=$2 ;;
	--json) file=$2 ;;
	--nonsense) echo "unrecognized option" >&2; exit 2 ;;
	esac
	arguments="$arguments $1"
	shift
done
[ "$name" != list ] || exec cat "$folder/list"
echo "$name $arguments" >>"$calls"
n=$(grep -c "^$name $label " "$calls")
[ ! -f "$folder/$name.signal" ] || kill -SEGV $$
n=$(((n - 1) % $(cat "$folder/$name.reports")))
cat "$folder/$name.$n" >"$file"
! grep -q '"outcome": "failed"' "$file"
'''


def report_of(machine, name, workload, n):
    """Of the n-th run; the values come again from the beginning after the last."""
    placements = workload.get('placements', ['two cores'])
    value = workload['values'][n % len(workload['values'])]
    run = {'outcome': workload.get('outcome', 'ok'), 'text': 'message lost',
           'placement': placements[n % len(placements)]}
    report = {'machine': machine, 'throughput': [], 'latency': []}
    kind = workload.get('kind')
    if kind == 'memory':
        report['memory'] = {'outcome': 'ok', 'topic_bytes': value}
    elif kind == 'latency':
        report['latency'] = [{'workload': name, 'runs': [dict(run, p50_ns=100, p99_ns=value)]}]
    else:
        run.update({'gets_per_s': value, 'updates_per_s': 1e6} if kind == 'gets' else
                   {'deliveries_per_s': value})
        report['throughput'] = [{'workload': name, 'engines': [
            {'engine': 'stasis', 'runs': [run]}, {'engine': 'mutex', 'runs': [{}]}]}]
    return report


def write(text, *path, mode=0o644):
    with open(os.path.join(*path), 'w', encoding='utf-8') as stream:
        stream.write(text)
    os.chmod(os.path.join(*path), mode)
    return os.path.join(*path)


MACHINE = {'cpu': 'none', 'cpus': 2, 'cpus_used': 2, 'kernel': '0', 'compiler': 'cc 1',
           'allocator': 'malloc'}


def values(seed, mean, spread, n=15):
    """Of a workload whose runs vary by spread."""
    rng = random.Random(seed)
    return [mean * math.exp(rng.gauss(0, spread)) for _ in range(n)]


class CompareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def program(self, label, workloads, machine=None, groups=None):
        folder = os.path.join(self.folder, label)
        os.mkdir(folder)
        lines = ['{:<20} {:<9} made up\n'.format(name, (groups or {}).get(name, ''))
                 for name in workloads]
        write(''.join(lines) + 'all\n', folder, 'list')
        for name, workload in workloads.items():
            n_reports = len(workload['values']) * len(workload.get('placements', ['']))
            write(str(n_reports), folder, name + '.reports')
            for n in range(n_reports):
                report = report_of(dict(MACHINE, **machine or {}), name, workload, n)
                write(json.dumps(report), folder, '{}.{}'.format(name, n))
            if 'signal' in workload:
                write('', folder, name + '.signal')
        return write(FAKE, folder, 'stasis-bench', mode=0o755)

    def calls(self):
        with open(os.path.join(self.folder, 'calls'), encoding='utf-8') as stream:
            return stream.read().splitlines()

    def compare(self, old, new, *options, status=0):
        """The rows of the JSON file by workload and figure, and what was printed."""
        path = os.path.join(self.folder, 'report.json')
        command = [sys.executable, os.path.join(FOLDER, 'compare.py'), old, new, '--json', path,
                   '--rounds', '9']
        result = subprocess.run(command + list(options), capture_output=True, text=True,
                                check=False, timeout=60)
        self.assertEqual(result.returncode, status, result)
        self.printed = result.stdout + result.stderr
        if status == 2:
            self.assertEqual(result.stdout, '')
            self.assertNotIn('Traceback', result.stderr)
            return None
        with open(path, encoding='utf-8') as stream:
            self.report = json.load(stream)
        return {(row['workload'], row['figure']): row for row in self.report['rows']}

    def test_slower_is_found_and_equal_is_not(self):
        rows = self.compare(
            self.program('old', {'a': {'values': values(1, 2e7, 0.03)},
                                 'b': {'values': values(2, 3e7, 0.03)},
                                 'c': {'values': values(3, 1e7, 0.03)}}),
            self.program('new', {'a': {'values': values(4, 2e7, 0.03)},
                                 'b': {'values': values(5, 2.4e7, 0.03)},
                                 'c': {'values': values(6, 1.3e7, 0.03)}}), status=1)
        self.assertEqual(rows['a', 'M/s']['verdict'], 'same')
        self.assertEqual(rows['b', 'M/s']['verdict'], 'slower')
        self.assertEqual(rows['c', 'M/s']['verdict'], 'faster')
        low, high = rows['b', 'M/s']['interval']
        self.assertLess(low, 0.8)
        self.assertLess(0.8, high)
        self.assertLess(rows['b', 'M/s']['p'], 0.01)
        self.assertIn('1 slower', self.printed)

    def test_nothing_slower(self):
        rows = self.compare(self.program('old', {'a': {'values': values(1, 2e7, 0.05)}}),
                            self.program('new', {'a': {'values': values(2, 2e7, 0.05)}}))
        self.assertEqual(rows['a', 'M/s']['verdict'], 'same')

    def test_noise_decides_nothing_and_says_what_would(self):
        rows = self.compare(self.program('old', {'a': {'values': values(1, 2e7, 0.6)}}),
                            self.program('new', {'a': {'values': values(2, 2e7, 0.6)}}))
        self.assertEqual(rows['a', 'M/s']['verdict'], 'undecided')
        self.assertGreater(rows['a', 'M/s']['rounds_to_decide'], 9)
        self.assertIn('try --rounds', self.printed)
        self.compare(os.path.join(self.folder, 'old', 'stasis-bench'),
                     os.path.join(self.folder, 'new', 'stasis-bench'), '--strict', status=1)

    def test_too_few_rounds_decide_nothing(self):
        rows = self.compare(self.program('old', {'a': {'values': [2e7]}}),
                            self.program('new', {'a': {'values': [1e7]}}), '--rounds', '4')
        self.assertEqual(rows['a', 'M/s']['verdict'], 'undecided')
        self.assertEqual(rows['a', 'M/s']['rounds_to_decide'], 6)
        self.compare(os.path.join(self.folder, 'old', 'stasis-bench'),
                     os.path.join(self.folder, 'new', 'stasis-bench'), '--rounds', '6', status=1)

    def test_latency_gets_and_memory(self):
        rows = self.compare(
            self.program('old', {'wait': {'kind': 'latency', 'values': [1000, 1010]},
                                 'get': {'kind': 'gets', 'values': [2e6]},
                                 'memory': {'kind': 'memory', 'values': [192]}}),
            self.program('new', {'wait': {'kind': 'latency', 'values': [1300, 1310]},
                                 'get': {'kind': 'gets', 'values': [1e6]},
                                 'memory': {'kind': 'memory', 'values': [256]}}), status=1)
        self.assertEqual({key: row['verdict'] for key, row in rows.items()}, {
            ('wait', 'p50 us'): 'same', ('wait', 'p99 us'): 'slower',
            ('get', 'M gets/s'): 'slower', ('get', 'M updates/s'): 'same',
            ('memory', 'bytes/topic'): 'larger'})
        self.assertAlmostEqual(rows['memory', 'bytes/topic']['speed_ratio'], 0.75)

    def test_failure_is_reported(self):
        good = {'values': [1e7]}
        old = self.program('old', {'a': good, 'b': good, 'c': good})
        new = self.program('new', {'a': good, 'b': dict(good, outcome='failed'),
                                   'c': dict(good, signal=True)})
        rows = self.compare(old, new, status=1)
        self.assertEqual({key[0] for key in rows}, {'a'})
        self.assertEqual(self.report['failed'], {'b': 'new: message lost',
                                                 'c': 'new: ended with signal 11'})
        self.assertIn('2 failed', self.printed)
        # What has failed is not run again.
        self.assertEqual(sum(line.startswith('b new ') for line in self.calls()), 1)
        self.assertEqual(sum(line.startswith('a new ') for line in self.calls()), 9)

    def test_only_equal_placements_are_compared(self):
        old = {'values': [2e7, 1e7], 'placements': ['one core', 'two cores', 'two cores']}
        new = {'values': [1e7], 'placements': ['two cores', 'two cores', 'mixed']}
        rows = self.compare(self.program('old', {'a': old, 'b': dict(old, placements=['mixed'])}),
                            self.program('new', {'a': new, 'b': dict(new, placements=['mixed'])}))
        self.assertEqual(rows['a', 'M/s']['pairs_compared'], 3)
        self.assertEqual(rows['a', 'M/s']['placement'], 'two cores')
        self.assertEqual(rows['b', 'M/s']['pairs_compared'], 0)
        self.assertEqual(rows['b', 'M/s']['verdict'], 'undecided')

    def test_runs_take_turns(self):
        self.compare(self.program('old', {'a': {'values': [1]}, 'b': {'values': [1]}}),
                     self.program('new', {'a': {'values': [1]}, 'b': {'values': [1]}}),
                     '--rounds', '3', '--payload', '256')
        calls = self.calls()
        self.assertEqual([' '.join(line.split()[:2]) for line in calls],
                         ['a old', 'a new', 'b old', 'b new', 'a new', 'a old', 'b new', 'b old',
                          'a old', 'a new', 'b old', 'b new'])
        self.assertTrue(all('--payload 256' in line and '--no-baselines' in line
                            for line in calls), calls)

    def test_what_both_have(self):
        some = {'values': [1e7]}
        old = self.program('old', {'a': some, 'b': some, 'c': some}, groups={'b': 'g', 'a': 'g'})
        new = self.program('new', {'b': some, 'c': some, 'd': some}, groups={'b': 'g', 'd': 'g'})
        rows = self.compare(old, new, '--workload', 'g')
        self.assertEqual([key[0] for key in rows], ['b'])
        self.assertIn('only in old, not compared: a', self.printed)
        self.assertIn('only in new, not compared: d', self.printed)
        self.compare(old, new, '-w', 'a,d', status=2)
        self.assertIn('no workload in common', self.printed)
        self.compare(old, new, '-w', 'nonsense', status=2)
        self.assertIn('nonsense', self.printed)

    def test_refused(self):
        some = {'a': {'values': [1e7]}}
        old, new = self.program('old', some), self.program('new', some, {'compiler': 'cc 2'})
        for options, mention in [([], 'cc 2'), (['--nonsense'], 'unrecognized'),
                                 (['--repeat', '3'], '--rounds'), (['--rounds', '0'], 'rounds'),
                                 (['--json', self.folder], self.folder)]:
            self.compare(old, new, *options, status=2)
            self.assertIn(mention, self.printed)
        self.compare(old, os.path.join(self.folder, 'missing'), status=2)
        self.assertIn('missing', self.printed)


class VerdictTest(unittest.TestCase):
    def test_p_counts_all_signs(self):
        rng = random.Random(1)
        ratios = [0.9 * math.exp(rng.gauss(-0.05, 0.1)) for _ in range(9)]
        distances = sorted((math.log(ratio / 0.9) for ratio in ratios), key=abs)
        sums = [sum(rank for rank, sign in enumerate(signs, 1) if sign)
                for signs in itertools.product([False, True], repeat=9)]
        above = sum(rank for rank, distance in enumerate(distances, 1) if distance > 0)
        expected = sum(s <= above for s in sums) / len(sums)
        self.assertAlmostEqual(verdict.p_slower(ratios), expected)
        self.assertTrue(0.001 < expected < 0.9, expected)

    def test_p_of_many_pairs_agrees_with_the_normal_distribution(self):
        ratios = values(3, 0.905, 0.05, verdict.EXACT_MAX)
        exact = verdict.p_slower(ratios)
        ratios.append(0.9 * (1 + 1e-9))
        self.assertAlmostEqual(verdict.p_slower(ratios), exact, delta=0.02)
        self.assertTrue(0.01 < exact < 0.5, exact)

    def test_ties(self):
        self.assertEqual(verdict.doubled_ranks([5, 1, 5, 9]), [5, 2, 5, 8])
        self.assertEqual(verdict.p_slower([0.5] * 4), 1 / 16)
        self.assertEqual(verdict.p_slower([1] * 4), 1)
        self.assertEqual(verdict.p_slower([9 / 10] * 4), 1)

    def test_holm(self):
        self.assertEqual(verdict.holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
        self.assertEqual(verdict.holm([0.9, 0.5]), [1.0, 1.0])

    def test_interval_holds_the_truth_as_often_as_it_says(self):
        rng, hits = random.Random(1), 0
        for _ in range(200):
            ratios = [0.9 * math.exp(rng.gauss(0, 0.1)) for _ in range(15)]
            low, _, high = verdict.estimate(ratios)
            hits += low <= 0.9 <= high
        self.assertTrue(185 <= hits <= 196, hits)

    def test_equal_builds_are_not_called_slower(self):
        rng, slower = random.Random(2), 0
        for _ in range(10):
            rows = [[math.exp(rng.gauss(0, 0.4)) for _ in range(15)] for _ in range(25)]
            slower += sum(j.verdict == 'slower' for j in verdict.judge(rows))
        self.assertEqual(slower, 0)

    def test_clear_but_one_of_many_is_not_enough(self):
        bad = [0.7, 0.7, 0.8, 0.8, 0.85, 0.85, 0.85, 0.88, 0.88, 0.89, 0.89, 0.95]
        alone, = verdict.judge([bad])
        first, *_ = verdict.judge([bad] + [[1.0] * 12] * 100)
        self.assertEqual((alone.verdict, first.verdict), ('slower', 'undecided'))
        self.assertLess(first.high, verdict.LIMIT)

    def test_few_pairs_decide_nothing_however_alike(self):
        for ratio in (0.5, 1.0, 2.0):
            judgement, = verdict.judge([[ratio] * 5])
            self.assertEqual((judgement.verdict, judgement.rounds), ('undecided', 6))
            judgement, = verdict.judge([[ratio] * 6])
            self.assertNotEqual(judgement.verdict, 'undecided')

    def test_rounds_to_decide(self):
        # Half as wide takes four times as many; a little more, for rounding.
        reach = 1.999 * math.log(1 / verdict.LIMIT)
        self.assertEqual(verdict.rounds_to_decide(15, math.exp(-reach), 1, 1.2, 5), 60)
        self.assertEqual(verdict.rounds_to_decide(2, 0.89, 1, 1.2, 100), 11)
        self.assertIsNone(verdict.rounds_to_decide(15, 0.8, 0.9001, 1.0, 5))
        self.assertIsNone(verdict.rounds_to_decide(15, 0.8, verdict.LIMIT, 1.0, 5))


if __name__ == '__main__':
    unittest.main()
