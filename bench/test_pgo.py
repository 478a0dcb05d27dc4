#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs tools/pgo in a made-up source tree, whose library takes a moment to build."""

import os
import shutil
import subprocess
import unittest

import made_up

SCRIPTS = ['tools/pgo', 'tools/common.sh']

FILES = {
    'meson.build': "project('made-up', 'c', 'cpp')\n"
                   "subdir('lib')\nsubdir('tools/stasis-bench')\n",
    'meson_options.txt': "option('tests', type: 'feature')\noption('bench', type: 'feature')\n",
    'lib/meson.build': "made_up = static_library('stasis', 'made_up.c')\n",
    'lib/made_up.c': 'int made_up(int n);\nint made_up(int n) { return n > 2 ? n * 3 : n; }\n',
    'tools/setup': '#!/bin/sh\n',
    'tools/stasis-bench/meson.build':
        "executable('stasis-bench', 'main.c', link_with: made_up)\n",
    'tools/stasis-bench/main.c':
        '#include <stdio.h>\nint made_up(int n);\n'
        'int main(int argc, char **argv)\n{\n'
        '\tfor (int i = 1; i < argc; i++)\n\t\tprintf("%s ", argv[i]);\n'
        '\tprintf("%d\\n", made_up(argc));\n\treturn argc > 3;\n}\n',
}


@unittest.skipUnless(shutil.which('gcc') and shutil.which('g++'), 'there is no gcc')
class PgoTest(made_up.TreeTest):
    scripts, files = SCRIPTS, FILES

    def setUp(self):
        super().setUp()
        self.environment = dict(os.environ, STASIS_BUILD_DIR=self.build, CC='gcc', CXX='g++')

    def pgo(self, *arguments, status):
        result = subprocess.run([os.path.join(self.tree, 'tools/pgo'), *arguments], cwd='/',
                                env=self.environment, capture_output=True, text=True, check=False,
                                timeout=240)
        self.assertEqual(result.returncode, status, result)
        return result.stdout + result.stderr

    def training(self, directory):
        with open(os.path.join(directory, 'training.log'), encoding='utf-8') as stream:
            return stream.read()

    def used(self, directory):
        """Is the profile that the training has left given to the compiler?"""
        commands = subprocess.run(['ninja', '-C', directory, '-t', 'commands'], text=True,
                                  check=True, capture_output=True).stdout
        return '-fprofile-use' in commands and '-fprofile-generate' not in commands

    def test_trained_and_built_again(self):
        directory = os.path.join(self.build, 'pgo')
        printed = self.pgo(status=0)
        self.assertIn('the library is in ' + directory, printed)
        self.assertEqual(self.training(directory), '--quick --no-baselines 9\n')
        self.assertTrue(self.used(directory))
        # Built by the profile, it says what it said before.
        program = os.path.join(directory, 'tools/stasis-bench/stasis-bench')
        self.assertEqual(subprocess.check_output([program], text=True), '1\n')

    def test_place_and_training_of_ones_own(self):
        directory = os.path.join(self.build, 'elsewhere')
        self.pgo(directory, '--', 'once', status=0)
        self.assertEqual(self.training(directory), 'once 2\n')
        # Once more in the same place, begun anew.
        self.pgo(directory, '--', 'twice', status=0)
        self.assertEqual(self.training(directory), 'twice 2\n')

    def test_refused(self):
        self.pgo('--nonsense', status=2)
        self.pgo('a', 'b', status=2)
        self.assertIn('training: failed', self.pgo('--', 'a', 'b', 'c', status=1))
        other = os.path.join(self.build, 'other')
        os.makedirs(other)
        with open(os.path.join(other, 'kept'), 'w', encoding='utf-8'):
            pass
        self.assertIn('is not a build directory', self.pgo(other, status=1))
        self.assertEqual(os.listdir(other), ['kept'])
        self.environment['CC'] = 'false'
        self.assertIn('is not gcc', self.pgo(status=1))


if __name__ == '__main__':
    unittest.main()
