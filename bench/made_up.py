# SPDX-License-Identifier: BSD-2-Clause
"""A source tree made up for a test: some of this one's scripts, with files for them to work on."""

import os
import shutil
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class TreeTest(unittest.TestCase):
    """Of whose tests each has a tree of its own, and a place to build in that is not there yet."""

    scripts = [] # copied from this source tree
    files = {} # name: text; a script's begins with #!

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.tree = os.path.join(folder.name, 'tree')
        self.build = os.path.join(folder.name, 'build')
        for name in self.scripts:
            shutil.copy(os.path.join(TOP, name), self.path(name))
        for name, text in self.files.items():
            self.write(name, text)

    def path(self, name):
        """In a folder that is there."""
        path = os.path.join(self.tree, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, text):
        path = self.path(name)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
        if text.startswith('#!'):
            os.chmod(path, 0o755)
