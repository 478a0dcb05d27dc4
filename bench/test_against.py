#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs tools/bench --against in a made-up repository, whose stasis-bench says how fast it is and has
nothing to measure.
"""

import fcntl
import os
import re
import shutil
import subprocess
import threading
import unittest

import made_up

SCRIPTS = ['tools/bench', 'tools/against', 'tools/common.sh', 'bench/compare.py',
           'bench/verdict.py']

STASIS_BENCH = '''#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in
	--workload) name=$2 ;;
	--json) file=$2 ;;
	esac
	shift
done
if [ "$name" = list ]; then
	echo fast
	exit
fi
cat >"$file" <<END_OF_REPORT
{
	"machine": {"cpu": "none", "cpus": 1, "cpus_used": 1, "kernel": "0", "compiler": "cc",
		    "allocator": "malloc"},
	"latency": [],
	"throughput": [{"workload": "fast", "engines": [{"engine": "stasis", "runs": [
		{"outcome": "ok", "deliveries_per_s": SPEED, "placement": "two cores"}]}]}]
}
END_OF_REPORT
'''

FILES = {
    'meson.build': "project('made-up', 'c')\nsubdir('tools/stasis-bench')\n",
    'meson_options.txt': "option('tests', type: 'feature')\noption('bench', type: 'feature')\n",
    'tools/setup': '#!/bin/sh\n',
    'tools/stasis-bench/meson.build':
        "custom_target('stasis-bench', input: '../../lib/speed', output: 'stasis-bench',\n"
        "  command: [find_program('make.sh'), files('stasis-bench.in'), '@INPUT@', '@OUTPUT@'])\n",
    'tools/stasis-bench/make.sh':
        '#!/bin/sh\nsed "s/SPEED/$(cat "$2")/" "$1" >"$3"\nchmod +x "$3"\n',
    'tools/stasis-bench/stasis-bench.in': STASIS_BENCH,
    'lib/speed': '1000000',
}


@unittest.skipUnless(shutil.which('git'), 'there is no git')
class AgainstTest(made_up.TreeTest):
    scripts, files = SCRIPTS, FILES

    def setUp(self):
        super().setUp()
        # None of the user's settings, and not the repository that this may be called from.
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith('GIT_')}
        self.environment.update(
            GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull,
            GIT_CEILING_DIRECTORIES=self.folder,
            GIT_AUTHOR_NAME='a', GIT_AUTHOR_EMAIL='a@example.org',
            GIT_COMMITTER_NAME='a', GIT_COMMITTER_EMAIL='a@example.org',
            STASIS_BUILD_DIR=self.build)

    def git(self, *arguments):
        subprocess.run(['git', *arguments], cwd=self.tree, env=self.environment, check=True,
                       stdout=subprocess.DEVNULL)

    def commit(self, speed):
        self.write('lib/speed', speed)
        self.git('add', '-A')
        self.git('commit', '-q', '-m', 'speed ' + speed)

    def repository(self):
        self.git('init', '-q', '-b', 'main')
        self.commit('1000000')
        self.commit('1100000')

    def against(self, *arguments, status):
        result = subprocess.run(
            [os.path.join(self.tree, 'tools/bench'), '--against', *arguments], cwd='/',
            env=self.environment, capture_output=True, text=True, check=False, timeout=240)
        self.assertEqual(result.returncode, status, result)
        self.printed = result.stdout + result.stderr
        return result.stdout

    def expect_old(self, subject, printed):
        self.assertRegex(printed, r'old: [^;]*\({} {}\)'.format('[0-9a-f]+', re.escape(subject)))

    def test_which_revision(self):
        self.repository()
        self.expect_old('speed 1000000', self.against('--rounds', '1', status=0))
        self.write('lib/speed', '1200000')
        self.expect_old('speed 1100000', self.against('--rounds', '1', status=0))
        self.git('checkout', '-q', '-b', 'other')
        self.commit('1200000')
        self.commit('1300000')
        self.expect_old('speed 1100000', self.against('--rounds', '1', status=0))
        self.expect_old('speed 1000000', self.against('HEAD~3', '--rounds', '1', status=0))

    def test_what_is_not_committed(self):
        self.repository()
        printed = self.against('HEAD', '--rounds', '6', status=0)
        self.assertIn('1 same', printed)
        self.write('lib/speed', '900000')
        printed = self.against('HEAD', '--rounds', '6', status=1)
        self.assertIn('and changes', printed)
        self.assertIn('1 slower', printed)
        self.assertNotIn('harness', self.printed)
        self.write('tools/stasis-bench/new.c', '')
        self.against('HEAD', '--rounds', '6', status=1)
        self.assertIn('the harness has changed', self.printed)

    def test_one_at_a_time(self):
        self.repository()
        os.makedirs(self.build)
        lock = os.path.join(self.build, 'against.lock')
        with open(lock, 'w', encoding='utf-8') as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            with subprocess.Popen(
                    [os.path.join(self.tree, 'tools/bench'), '--against', 'HEAD', '--rounds', '1'],
                    env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                    text=True) as process:
                # Should it wait without a word.
                limit = threading.Timer(200, process.kill)
                limit.start()
                # To the end of the stream, should it not wait.
                printed = next((line for line in process.stderr if 'waiting for it' in line), '')
                fcntl.flock(stream, fcntl.LOCK_UN)
                rest = process.stderr.read()
                limit.cancel()
        self.assertNotEqual(printed, '')
        self.assertIn('round 1 of 1', rest)
        self.assertEqual(process.returncode, 0)

    def test_built_anew_with_other_flags(self):
        self.repository()
        self.against('HEAD', '--rounds', '1', status=0)
        self.against('HEAD', '--rounds', '1', status=0)
        self.assertNotIn('configuring', self.printed)
        self.environment['CFLAGS'] = '-O1'
        self.against('HEAD', '--rounds', '1', status=0)
        self.assertIn('configuring', self.printed)

    def test_refused(self):
        self.against(status=2)
        self.assertIn('not in a git repository', self.printed)
        self.repository()
        self.against('nonsense', status=2)
        self.assertIn('nonsense', self.printed)
        self.write('meson.build', "project('made-up', 'c')\nerror('made up')\n")
        self.against('HEAD', status=2)
        self.assertIn('the working tree does not build', self.printed)
        self.commit('1200000')
        self.against('HEAD', status=2)
        self.assertIn('HEAD does not build', self.printed)


if __name__ == '__main__':
    unittest.main()
