#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Turns, repetitions, run lengths, medians, what is credited and what is compared: on made-up runs."""

import threading
import unittest

from sample import Silence

import catalog
import child
import conduct
import results
import table


def cells(workloads, engines, allocators=('glibc', 'jemalloc')):
    return [conduct.Cell(catalog.workload(w), e, a)
            for w in workloads for e in engines for a in allocators]


def ok(rate, **more):
    return dict({'kind': 'throughput', 'outcome': 'ok', 'rate_per_s': rate, 'placement': 'two cores'},
                **more)


class Play:
    """Makes runs of what is written down; remembers whose turn it was."""

    def __init__(self, rates):
        self.rates = rates  # {(engine, allocator) or engine: [rate or run...]}
        self.turns = []
        self.n = {}

    def __call__(self, cell, seconds):
        self.turns.append((cell.workload.name, cell.engine, cell.allocator, seconds))
        key = (cell.engine, cell.allocator)
        found = self.rates.get(key) or self.rates[cell.engine]
        number = self.n[cell.workload.name, key] = self.n.get((cell.workload.name, key), -1) + 1
        run = found[number % len(found)]
        return dict(run) if isinstance(run, dict) else ok(run)


def play(rates, *, workloads=('1:1',), allocators=('glibc', 'jemalloc'), rounds=5, **options):
    """(workloads of the document, turns, conductor)"""
    engines = list(dict.fromkeys(key if isinstance(key, str) else key[0] for key in rates))
    options.setdefault('seconds', 0.1)
    conductor = conduct.Conductor(cells(workloads, engines, allocators), rounds=rounds, **options)
    script = Play(rates)
    conductor.conduct(script, Silence())
    return results.workloads(conductor.cells), script.turns, conductor


def credited(document, engine):
    return next(r for r in document['results'] if r['engine'] == engine and r['credited'])


class Turns(unittest.TestCase):
    def test_ours_and_each_peer_alternate(self):
        _, turns, _ = play({'stasis': [9], 'a': [3], 'b': [2]}, workloads=('1:1', '1:10'),
                           allocators=('glibc',))
        for workload in ('1:1', '1:10'):
            for peer in ('a', 'b'):
                order = [t[1] for t in turns if t[0] == workload and t[1] in ('stasis', peer)]
                self.assertEqual(order, ['stasis', peer] * 5)

    def test_rounds_go_through_all_workloads(self):
        _, turns, _ = play({'stasis': [9], 'a': [3]}, workloads=('1:1', '1:10'),
                           allocators=('glibc',), rounds=2)
        self.assertEqual([t[0] for t in turns], ['1:1', '1:1', '1:10', '1:10'] * 2)

    def test_after_the_trials_only_the_better_allocator(self):
        _, turns, _ = play({('stasis', 'glibc'): [9], ('stasis', 'jemalloc'): [10],
                            ('a', 'glibc'): [3], ('a', 'jemalloc'): [2]})
        trials = [t[1:3] for t in turns[:8]]
        self.assertEqual(trials, [('stasis', 'glibc'), ('stasis', 'jemalloc'), ('a', 'glibc'),
                                  ('a', 'jemalloc')] * 2)
        self.assertEqual([t[1:3] for t in turns[8:]],
                         [('stasis', 'jemalloc'), ('a', 'glibc')] * 3)

    def test_both_allocators_all_the_time(self):
        _, turns, _ = play({'stasis': [9], 'a': [3]}, both=True)
        self.assertEqual(len(turns), 2 * 2 * 5)

    def test_what_takes_seconds_is_measured_once(self):
        run = dict(kind='memory', outcome='ok', bytes_per_subscriber=448)
        _, turns, _ = play({'stasis': [run]}, workloads=('memory',))
        self.assertEqual([t[2] for t in turns], ['glibc', 'jemalloc'])

    def test_what_only_waits_is_measured_together(self):
        gate = threading.Barrier(3)

        def measure(cell, seconds):
            gate.wait(30)
            return dict(kind='idle', outcome='ok', cpu_us_per_s=len(cell.engine))

        found = cells(('idle',), ('stasis', 'a', 'b'), ('glibc',))
        conductor = conduct.Conductor(found, rounds=5, seconds=0.1)
        conductor.conduct(measure, Silence())
        self.assertEqual([len(cell.runs) for cell in found], [1, 1, 1])
        self.assertEqual(conductor.done, 3)

    def test_latency_runs_are_longer(self):
        _, turns, _ = play({'stasis': [dict(kind='latency', outcome='ok', messages=100,
                                            percentiles=[[50, 7], [100, 9]])]},
                           workloads=('latency-1k', 'latency-100k'), allocators=('glibc',), rounds=1)
        self.assertEqual([t[3] for t in turns], [0.4, 0.1])


class Repetitions(unittest.TestCase):
    def test_mixed_runs_are_dropped_and_made_again(self):
        found, turns, _ = play({'stasis': [ok(1, placement='mixed'), ok(9)], 'a': [3]},
                               allocators=('glibc',), rounds=2)
        ours = credited(found[0], 'stasis')
        self.assertEqual([run['rate_per_s'] for run in ours['runs']], [9, 9])
        self.assertEqual(ours['dropped'], 2)
        self.assertEqual([t[1] for t in turns], ['stasis', 'stasis', 'a'] * 2)

    def test_not_for_ever(self):
        found, turns, _ = play({'stasis': [ok(1, placement='mixed')], 'a': [3]},
                               allocators=('glibc',), rounds=1)
        self.assertEqual(len(turns), 1 + conduct.REPEATS + 1)
        self.assertEqual(credited(found[0], 'stasis')['outcome'], 'mixed')
        self.assertEqual(found[0]['ratio'], {'handed': None})

    def test_who_fails_is_not_tried_again(self):
        found, turns, _ = play({'stasis': [9], 'a': [ok(3), dict(outcome='failed', text='lost 1')]},
                               allocators=('glibc',))
        self.assertEqual([t[1] for t in turns].count('a'), 2)
        result = credited(found[0], 'a')
        self.assertEqual((result['outcome'], result['text'], result['median']),
                         ('failed', 'lost 1', None))
        self.assertEqual(found[0]['best'], {})

    def test_who_stalls_is_tried_once_more(self):
        _, turns, _ = play({'stasis': [9], 'a': [dict(outcome='stalled', text='late')]},
                           allocators=('glibc',))
        self.assertEqual([t[1] for t in turns].count('a'), 2)
        _, turns, _ = play({'stasis': [9], 'a': [dict(outcome='stalled', text='', killed=True)]},
                           allocators=('glibc',))
        self.assertEqual([t[1] for t in turns].count('a'), 1)

    def test_one_stall_among_five_is_a_remark(self):
        found, _, _ = play({'stasis': [9], 'a': [3, dict(outcome='stalled', text='late'), 4, 5, 5]},
                           allocators=('glibc',))
        result = credited(found[0], 'a')
        self.assertEqual((result['outcome'], result['text'], result['median']),
                         ('ok', 'stalled in 1 of 5 runs', 4.5))


class Figures(unittest.TestCase):
    def test_median_and_range(self):
        found, _, _ = play({'stasis': [50, 10, 40, 20, 30], 'a': [5, 1, 4, 9, 7]},
                           allocators=('glibc',))
        ours, peer = found[0]['results']
        self.assertEqual((ours['median'], ours['min'], ours['max']), (30, 10, 50))
        self.assertEqual((peer['median'], peer['min'], peer['max']), (5, 1, 9))
        self.assertEqual(found[0]['ratio'], {'handed': 6})

    def test_credited_with_the_better_allocator(self):
        for both in (False, True):
            found, _, _ = play({('stasis', 'glibc'): [9], ('stasis', 'jemalloc'): [12],
                                ('a', 'glibc'): [4], ('a', 'jemalloc'): [3]}, both=both)
            self.assertEqual([(r['engine'], r['allocator']) for r in found[0]['results']
                              if r['credited']], [('stasis', 'jemalloc'), ('a', 'glibc')])
            self.assertEqual(found[0]['ratio'], {'handed': 3})

    def test_less_is_better(self):
        def run(ns):
            return dict(kind='latency', outcome='ok', messages=1000, placement='two cores',
                        percentiles=[[50, ns], [99, 3 * ns], [100, 9 * ns]])

        found, _, _ = play({('stasis', 'glibc'): [run(20)], ('stasis', 'jemalloc'): [run(10)],
                            ('a', 'glibc'): [run(40)], ('a', 'jemalloc'): [run(50)],
                            ('futex', 'glibc'): [run(5)], ('futex', 'jemalloc'): [run(5)]},
                           workloads=('latency-10k',))
        self.assertEqual(credited(found[0], 'stasis')['allocator'], 'jemalloc')
        self.assertEqual(credited(found[0], 'a')['allocator'], 'glibc')
        # The control is not in the running.
        self.assertEqual(found[0]['best']['p50'], {'handed': {
            'engine': 'a', 'workload': 'latency-10k', 'median': 40, 'ours': 'stasis', 'ratio': 4}})
        self.assertEqual(credited(found[0], 'stasis')['ratios']['p99'], 4)

    def test_percentiles_need_samples_beyond(self):
        values = child.figures(dict(kind='latency', messages=1000,
                                    percentiles=[[50, 1], [99.9, 2], [99.99, 3], [100, 4]]))
        self.assertEqual(values, {'p50': 1, 'p99.9': 2, 'max': 4})

    def test_compared_within_one_placement_only(self):
        one = dict(placement='one core')
        found, _, _ = play({'stasis': [10, ok(90, **one), 12, 11, 11],
                            'a': [ok(50, **one), 2, 2, 2, 2],
                            'b': [ok(70, **one)]}, allocators=('glibc',))
        self.assertEqual(found[0]['placement'], 'two cores')
        ours, a, b = found[0]['results']
        self.assertEqual((ours['median'], ours['counted']), (11, 4))
        self.assertEqual((a['median'], a['counted']), (2, 4))
        self.assertEqual((b['median'], b['placement']), (70, 'one core'))
        self.assertEqual(found[0]['best']['rate_per_s']['handed']['engine'], 'a')
        self.assertEqual(found[0]['ratio'], {'handed': 5.5})

    def test_what_the_harness_needs_itself_is_no_difference(self):
        figure = catalog.KINDS['idle'].figures['cpu_us_per_s']
        self.assertEqual(catalog.factor(figure, 30, 20), 1)
        self.assertEqual(catalog.factor(figure, 30, 400), 4)
        self.assertEqual(catalog.factor(figure, 400, 30), 0.25)

    def made(self, *rates):
        """[the documents of workloads] by (workload, engine, rate)."""
        found = [conduct.Cell(catalog.workload(w), e, 'glibc') for w, e, _ in rates]
        for cell, (_, _, value) in zip(found, rates):
            cell.take(ok(value))
        return {w['name']: w for w in results.workloads(found)}

    def test_like_is_compared_with_like(self):
        """Whoever calls back on the publisher's thread is compared with ours that does."""
        found = self.made(('1:1', 'stasis', 30), ('1:1', 'stasis-inline', 60), ('1:1', 'a', 10),
                          ('1:1', 'tbb', 15), ('1:1', 'tbb-lightweight', 40))['1:1']
        self.assertEqual(found['ratio'], {'handed': 2, 'inline': 1.5})
        self.assertEqual({g: (b['ours'], b['engine']) for g, b in found['best']['rate_per_s'].items()},
                         {'handed': ('stasis', 'tbb'), 'inline': ('stasis-inline', 'tbb-lightweight')})
        self.assertEqual({r['engine']: (r['against'], r['ratios']['rate_per_s'])
                          for r in found['results']},
                         {'stasis': (None, 2), 'stasis-inline': (None, 1.5), 'a': ('stasis', 3),
                          'tbb': ('stasis', 2), 'tbb-lightweight': ('stasis-inline', 1.5)})
        self.assertEqual(table.verdict(found, {}),
                         "handed over: 2.00\u00d7 the best peer, tbb; "
                         "on the publisher's thread: 1.50\u00d7 the best peer, tbb-lightweight")

    def test_calls_of_tbb_are_served_by_the_caller(self):
        found = self.made(('call', 'stasis', 30), ('call', 'stasis-inline', 60), ('call', 'a', 10),
                          ('call', 'tbb', 15), ('call', 'tbb-lightweight', 12))['call']
        self.assertEqual(found['ratio'], {'handed': 3, 'inline': 2})
        self.assertEqual({r['engine']: r['against'] for r in found['results']},
                         {'stasis': None, 'stasis-inline': None, 'a': 'stasis', 'tbb': 'stasis',
                          'tbb-lightweight': 'stasis-inline'})

    def test_without_ours_that_is_like_it(self):
        found = self.made(('1:1', 'stasis', 30), ('1:1', 'tbb-lightweight', 40))['1:1']
        self.assertEqual(found['ratio'], {'inline': None})
        self.assertEqual(table.verdict(found, {}), '')

    def test_batch_is_compared_with_ordinary_publishes_too(self):
        found = self.made(('1:10', 'stasis', 80), ('1:10', 'a', 20), ('batch-1:10', 'stasis', 200))
        self.assertEqual([w['ratio'] for w in found.values()], [{'handed': 4}, {'handed': 10}])
        self.assertIn('a in 1:10', table.verdict(found['batch-1:10'], {}))

    def test_who_has_batches_is_compared_with_those(self):
        found = self.made(('1:10', 'mutex', 90), ('1:10', 'a', 20), ('batch-1:10', 'stasis', 200),
                          ('batch-1:10', 'mutex', 50))['batch-1:10']
        self.assertEqual(found['ratio'], {'handed': 4})

    def test_another_workload_is_a_hint_and_not_ranked(self):
        found = self.made(('2:1', 'mutex', 90), ('2:1', 'a', 20), ('forward-1000:1', 'stasis', 30),
                          ('forward-1000:1', 'a', 10))['forward-1000:1']
        self.assertEqual(found['ratio'], {'handed': 3})
        self.assertEqual(found['hint'], {'workload': '2:1', 'engine': 'mutex', 'median': 90})
        self.assertIn('not ranked', table.hint(found, {}))
        alone = self.made(('2:1', 'mutex', 90), ('forward-1000:1', 'stasis', 30))['forward-1000:1']
        self.assertEqual((alone['ratio'], alone['best']), ({}, {}))

    def test_ours_that_fails_is_reported(self):
        found, _, _ = play({'stasis': [dict(outcome='failed', text='lost 1')], 'a': [3]},
                           allocators=('glibc',))
        self.assertEqual(results.ours_failed(found), [('1:1', 'stasis', 'lost 1')])


class Lengths(unittest.TestCase):
    def conductor(self, budget, rounds=5):
        return conduct.Conductor(cells(('1:1', '1:10', 'latency-1k'), ('stasis', 'a', 'b')),
                                 rounds=rounds, budget=budget)

    def test_fits_into_the_time(self):
        for budget in (15, 60, 120):
            conductor = self.conductor(budget)
            unit = conductor.length(0)
            self.assertTrue(conduct.SECONDS_MIN < unit < conduct.SECONDS_MAX, (budget, unit))
            self.assertAlmostEqual(conductor.estimate(0, unit), budget, delta=1)

    def test_limits(self):
        self.assertEqual(self.conductor(1).length(0), conduct.SECONDS_MIN)
        self.assertEqual(self.conductor(1e5).length(0), conduct.SECONDS_MAX)

    def test_costly_runs_make_the_rest_shorter(self):
        conductor = self.conductor(60)
        before = conductor.length(1)
        for cell in conductor.cells:
            cell.overhead = 0.3
        self.assertLess(conductor.length(1), before)

    def test_counts_what_will_run(self):
        conductor = self.conductor(60)
        # Two rounds of 18, then three of 9.
        self.assertEqual(conductor.runs_ahead(0), 2 * 18 + 3 * 9)
        conductor.conduct(Play({'stasis': [9], 'a': [3], 'b': [2]}), Silence())
        self.assertEqual(conductor.done, 2 * 18 + 3 * 9)


if __name__ == '__main__':
    unittest.main()
