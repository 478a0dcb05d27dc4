#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""peers.py from end to end, with a stasis-peer that is not one (fake_peer.py): engines that fail, hang,
crash, print nonsense, run in mixed placements or are not there, and wrong options."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
CONDUCTOR = os.path.join(HERE, '../../bench/peers/peers.py')
FAKE = os.path.join(HERE, 'fake_peer.py')
# Any library can be preloaded; this one is there already.
PRELOAD = 'libc.so.6'


def alive(pid):
    """A process that has ended counts as gone, even if nobody has asked how."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as stream:
            return stream.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except FileNotFoundError:
        return False


def rate(value, **more):
    return {'run': dict({'rate_per_s': value, 'cpu_ns_per_delivery': 1e9 / value}, **more)}


def engine(**workloads):
    return {'workloads': {'1:1': [rate(3e6)], **workloads}}


OURS = {'version': '7.8.9', 'title': 'ours', 'workloads': {'1:1': [rate(12e6)]}}


class PeersTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='stasis-peers-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_it(self, plan, *options, status=0, program=FAKE):
        """(document, completed process); document is None when there is none."""
        with open(self.path('plan'), 'w', encoding='utf-8') as stream:
            json.dump(plan, stream)
        if os.path.exists(self.path('log')):
            os.remove(self.path('log'))
        env = dict(os.environ, FAKE_PEER=self.path('plan'), FAKE_PEER_LOG=self.path('log'),
                   PYTHONDONTWRITEBYTECODE='1')
        command = [sys.executable, CONDUCTOR, '--program', program, '--jemalloc', PRELOAD,
                   '--json', self.path('json'), '--html', self.path('html'), '--seconds', '0.05',
                   *options]
        done = subprocess.run(command, env=env, capture_output=True, encoding='utf-8', check=False,
                              timeout=100)
        self.assertEqual(done.returncode, status, done.stderr)
        if not os.path.exists(self.path('json')):
            return None, done
        with open(self.path('json'), encoding='utf-8') as stream:
            return json.load(stream), done

    def results(self, document, name):
        return [r for r in document['workloads'][0]['results'] if r['engine'] == name]

    def test_document_table_and_page(self):
        better = dict(rate(3e6), jemalloc={'rate_per_s': 4e6})
        document, done = self.run_it({'stasis': OURS, 'good': engine(**{'1:1': [better]})},
                                     '--rounds', '3')
        self.assertEqual(document['version'], '7.8.9')
        workload = document['workloads'][0]
        self.assertEqual((workload['name'], workload['unit'], workload['better']),
                         ('1:1', '/s', 'more'))
        self.assertEqual(workload['ratio'], {'handed': 3})
        self.assertEqual([(r['allocator'], r['credited'], len(r['runs']))
                          for r in self.results(document, 'good')],
                         [('glibc', False, 2), ('jemalloc', True, 3)])
        self.assertIn('4.00 M/s', done.stdout)
        self.assertIn('3.00×', done.stdout)
        self.assertIn(self.path('html'), done.stdout)
        self.assertIn('to go', done.stderr)
        with open(self.path('html'), encoding='utf-8') as stream:
            self.assertIn('3.00×', stream.read())
        self.assertGreater(document['machine']['cpus'], 0)

    def check_bad(self, behaviour, outcome, text):
        """One engine errs; the others, and the exit status, are as if it were not there."""
        bad = engine(**{'1:1': [behaviour]})
        document, done = self.run_it({'stasis': OURS, 'bad': bad, 'good': engine()}, '--rounds', '1',
                                     '--limit', '3', '--no-html')
        for result in self.results(document, 'bad'):
            self.assertEqual(result['outcome'], outcome, result)
            self.assertIn(text, result['text'])
            self.assertIsNone(result['median'])
        self.assertEqual(self.results(document, 'good')[0]['outcome'], 'ok')
        self.assertEqual(document['workloads'][0]['best']['rate_per_s']['handed']['engine'],
                         'good')
        self.assertIn(f'{outcome}: ', done.stdout)
        return document

    def test_failed(self):
        self.check_bad({'run': {'outcome': 'failed', 'text': 'subscriber 3: lost one'}}, 'failed',
                       'subscriber 3: lost one')

    def test_signal(self):
        self.check_bad({'signal': 11}, 'failed', 'ended by SIGSEGV')

    def test_nonsense(self):
        for text in ('', 'Hello?', '[1, 2]', '{"outcome": "ok"', '{"outcome": "splendid"}'):
            with self.subTest(text):
                self.check_bad({'say': text}, 'failed', '')

    def test_impossible_figures(self):
        for value in (0, -1, 'fast', True, None, float('nan'), float('inf')):
            with self.subTest(value):
                self.check_bad({'run': {'rate_per_s': value}}, 'failed', '')

    def test_exit_status(self):
        self.check_bad(dict(rate(3e6), status=3), 'failed', 'exit status 3')

    def test_not_what_was_asked_for(self):
        self.check_bad(rate(3e6, engine='other'), 'failed', "engine is 'other'")
        self.check_bad(rate(3e6, allocator='mimalloc'), 'failed', "allocator is 'mimalloc'")

    def test_hung(self):
        document = self.check_bad({'hang': True}, 'stalled', 'killed after')
        # With each allocator once.
        self.assertEqual([len(r['runs']) for r in self.results(document, 'bad')], [1, 1])
        # What it has started is gone as well.
        with open(self.path('log.pids'), encoding='utf-8') as stream:
            pids = stream.read().split()
        self.assertEqual(len(pids), 4)
        self.assertEqual([pid for pid in pids if alive(pid)], [])

    def test_mixed(self):
        moving = [rate(1e6, placement='mixed'), rate(3e6)]
        document, _ = self.run_it({'stasis': OURS, 'moving': engine(**{'1:1': moving})},
                                  '--rounds', '2')
        for result in self.results(document, 'moving'):
            self.assertEqual((result['median'], result['dropped']), (3e6, 2))
        self.assertEqual(document['settings']['dropped'], 4)

    def test_ours_is_not_verified(self):
        for behaviour in ({'run': {'outcome': 'failed', 'text': 'two at once'}}, {'signal': 6}):
            ours = dict(OURS, workloads={'1:1': [behaviour]})
            document, done = self.run_it({'stasis': ours, 'good': engine()}, '--rounds', '1', status=1)
            self.assertIn('not verified: 1:1 stasis', done.stderr)
            self.assertEqual(document['workloads'][0]['ratio'], {'handed': None})

    def test_missing_peers_are_named(self):
        plan = {'stasis': OURS, 'good': engine(), 'missing': [
            {'name': 'gone-a', 'package': 'libgone-dev'},
            {'name': 'gone-b', 'package': 'libgone-dev'}]}
        document, done = self.run_it(plan, '--rounds', '1', '--engine', 'gone-a,good')
        self.assertEqual([m['name'] for m in document['missing']], ['gone-a', 'gone-b'])
        self.assertIn('gone-a, gone-b (package libgone-dev)', done.stdout)
        self.assertIn('gone-a: not installed', done.stderr)
        with open(self.path('html'), encoding='utf-8') as stream:
            self.assertIn('gone-a, gone-b (package libgone-dev)', stream.read())

    def test_choice(self):
        plan = {'stasis': dict(OURS, workloads={'1:1': [rate(9e6)], '2:1': [rate(8e6)]}),
                'one': engine(), 'two': engine(**{'2:1': [rate(1e6)]})}
        document, _ = self.run_it(plan, '--rounds', '1', '--engine', 'two', '--workload', '2:1')
        self.assertEqual([w['name'] for w in document['workloads']], ['2:1'])
        self.assertEqual({r['engine'] for r in document['workloads'][0]['results']},
                         {'stasis', 'two'})
        self.assertEqual(document['workloads'][0]['ratio'], {'handed': 8})

    def test_list(self):
        document, done = self.run_it({'stasis': OURS, 'good': engine()}, '--list')
        self.assertIsNone(document)
        for word in ('stasis', '7.8.9', 'good', '1:1'):
            self.assertIn(word, done.stdout)

    def test_wrong_options(self):
        plan = {'stasis': OURS, 'good': engine()}
        for options, text in ((['--workload', '7:7'], 'no workload 7:7'),
                              (['--engine', 'none'], 'no engine none'),
                              (['--rounds', '0'], 'positive number'),
                              (['--rounds', '1.5'], 'positive number'),
                              (['--seconds', 'nan'], 'positive number'),
                              (['--minutes', '3'], 'not allowed with'),
                              (['--json', self.path('nowhere/json')], 'No such file'),
                              (['--html', self.folder], 'Is a directory'),
                              (['--jemalloc', '/nowhere.so'], 'cannot be preloaded'),
                              (['--nonsense'], 'unrecognized')):
            with self.subTest(options):
                document, done = self.run_it(plan, *options, status=2)
                self.assertIsNone(document)
                self.assertIn(text, done.stderr)
                # Nothing was measured before it was said.
                self.assertFalse(os.path.exists(self.path('log')))

    def test_program_is_not_there(self):
        _, done = self.run_it({'stasis': OURS}, status=2, program='/nowhere/stasis-peer')
        self.assertIn('/nowhere/stasis-peer: No such file', done.stderr)
        _, done = self.run_it({'stasis': OURS}, status=2, program='/bin/false')
        self.assertIn('exit status 1', done.stderr)


if __name__ == '__main__':
    unittest.main()
