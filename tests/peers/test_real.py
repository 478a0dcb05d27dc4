#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""test_real.py STASIS_PEER

peers.py with the real stasis-peer, as briefly as it goes: what one says, the other understands.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

CONDUCTOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../bench/peers/peers.py')
WORKLOADS = {'1:1': 'throughput', 'latency-10k': 'latency', 'call': 'call', 'churn-0': 'churn',
             'memory': 'memory'}
program = ''


class RealTest(unittest.TestCase):
    def test_every_kind(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'peers')
            done = subprocess.run(
                [sys.executable, CONDUCTOR, '--program', program, '--quick', '--engine', 'mutex',
                 '--workload', ','.join(WORKLOADS), '--json', path + '.json',
                 '--html', path + '.html'],
                capture_output=True, encoding='utf-8', check=False, timeout=200)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(path + '.json', encoding='utf-8') as stream:
                document = json.load(stream)
            self.assertGreater(os.path.getsize(path + '.html'), 10000)
        self.assertEqual({w['name']: w['kind'] for w in document['workloads']}, WORKLOADS)
        self.assertIn('stasis', done.stdout)
        for workload in document['workloads']:
            names = {r['engine'] for r in workload['results']}
            self.assertIn('stasis', names)
            for result in workload['results']:
                # On a busy machine the CPUs may seem to have moved each time.
                self.assertIn(result['outcome'], ('ok', 'mixed'), result)
                self.assertEqual({run['allocator'] for run in result['runs']}, {result['allocator']})
                if result['outcome'] == 'ok':
                    self.assertGreater(result['median'], 0, result)
        self.assertGreater(document['machine']['cpus'], 0)


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    program = sys.argv.pop()
    unittest.main()
