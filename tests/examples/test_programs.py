#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the examples that are no servers. They check themselves.

usage: test_programs.py [--raii PROGRAM] --plugin-host PROGRAM --plugin MODULE [unittest options]
"""

import argparse
import os
import subprocess
import sys
import unittest

DEADLINE = 300

args = None


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=DEADLINE)


class RaiiTest(unittest.TestCase):
    def test_result(self):
        if args.raii is None:
            self.skipTest('there is no C++ compiler')
        for _ in range(10):
            done = run(args.raii)
            self.assertEqual((done.returncode, done.stderr), (0, ''))
            self.assertEqual(done.stdout, 'PAR: last price 1000, 2000 traded\n'
                                          'TYO: last price 1000, 2000 traded\n'
                                          'paris: 999 quotes counted, 1 exceptions\n')


class PluginTest(unittest.TestCase):
    def test_rounds(self):
        done = run(args.plugin_host, '--rounds', '50', args.plugin)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertEqual(done.stdout.splitlines(),
                         [f'round {i}: loaded, 1000 numbers, unloaded' for i in range(1, 51)])

    def test_not_linked(self):
        """The library is there because of the module alone."""
        with open(args.plugin_host, 'rb') as program:
            self.assertNotIn(b'libstasis.so', program.read())

    def test_no_module(self):
        for path in (os.devnull, args.plugin + '.missing'):
            done = run(args.plugin_host, path)
            self.assertEqual((done.returncode, done.stdout), (1, ''))
            self.assertIn(os.path.basename(path), done.stderr)

    def test_wrong_options(self):
        for options in ([], ['--rounds', '0', args.plugin], ['--numbers', 'x', args.plugin],
                        ['--nonsense', args.plugin], [args.plugin, args.plugin]):
            with self.subTest(options):
                done = run(args.plugin_host, *options)
                self.assertEqual((done.returncode, done.stdout), (2, ''))
                self.assertIn('--help', done.stderr)


def main():
    global args
    parser = argparse.ArgumentParser()
    parser.add_argument('--raii')
    parser.add_argument('--plugin-host', required=True)
    parser.add_argument('--plugin', required=True)
    args, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)


if __name__ == '__main__':
    main()
