#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Installs the library into an empty directory and uses it as a stranger would.

The example of README.md is compiled with what `pkg-config --cflags --libs stasis` prints and
nothing else; the shared library is loaded by a program that was not linked to it; programs written
for Asterisk's Stasis compile with `stasis-compat` and with its one include path; the exported symbols
are exactly the ones that the installed headers declare and the version script lists.
"""

import argparse
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DLOPEN = os.path.join(TESTS, 'install', 'dlopen.c')
# Each a program.
COMPAT = {name: [os.path.join(TESTS, 'compat', source) for source in sources] for name, sources in {
    'channels': ['test_channels.c', 'tally.c'],
    'bar': ['test_bar.c', 'bar.c', 'foo.c', 'whatever.c', 'tally.c'],
    'bar_router': ['test_bar.c', 'bar_router.c', 'foo.c', 'whatever.c', 'tally.c'],
    'objects': ['test_objects.c', 'tally.c'],
    'raii': ['test_raii.c'],
}.items()}

args = None


def run(command, **options):
    """Runs a command; its output, or a failure that shows the command and what it said."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=60, check=False,
                          encoding='utf-8', errors='replace', **options)
    if done.returncode != 0:
        raise AssertionError(f'{shlex.join(command)}\nexit status {done.returncode}\n{done.stdout}')
    return done.stdout


def readme_example():
    """The first block of C under the heading "Example"."""
    with open(os.path.join(args.source, 'README.md'), encoding='utf-8') as stream:
        readme = stream.read()
    section = re.search(r'^## Example\s*$(.*?)(?=^## |\Z)', readme, re.M | re.S)
    block = section and re.search(r'^```c\n(.*?)^```', section.group(1), re.M | re.S)
    if not block:
        raise AssertionError('README.md has no ```c block under "## Example"')
    return block.group(1)


def mapped_symbols():
    """The functions of the version script, each with the version that it is listed under."""
    with open(os.path.join(args.source, 'lib', 'libstasis.map'), encoding='utf-8') as stream:
        script = re.sub(r'#.*', '', stream.read())
    mapped = {}
    for version, listed in re.findall(r'^(STASIS_\d+\.\d+) \{\s*global:(.*?)(?:local:.*?)?^\}',
                                      script, re.M | re.S):
        for name in re.findall(r'(\w+);', listed):
            if name in mapped:
                raise AssertionError(f'{name} is listed twice')
            mapped[name] = version
    return mapped


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix='stasis-install-')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.root = os.path.join(cls.folder, 'root')
        run([args.meson, 'install', '--no-rebuild', '-C', args.build, '--destdir', cls.root])
        pc = cls.installed('stasis.pc')
        library = cls.installed('libstasis.so')
        cls.libdir = os.path.dirname(library)
        cls.include = os.path.dirname(os.path.dirname(cls.installed('stasis/stasis.h')))
        # A staged installation: pkg-config puts the stage's root in front of the paths.
        cls.env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc),
                       PKG_CONFIG_SYSROOT_DIR=cls.root)
        cls.run_env = dict(os.environ, LD_LIBRARY_PATH=cls.libdir)
        cls.flags = cls.pkg_config('--cflags', '--libs', 'stasis')

    @classmethod
    def pkg_config(cls, *options):
        return shlex.split(run([args.pkg_config, *options], env=cls.env))

    @classmethod
    def installed(cls, name):
        found = glob.glob(f'{cls.root}/**/{name}', recursive=True)
        if len(found) != 1:
            raise AssertionError(f'{name} is installed {len(found)} times: {found}')
        return found[0]

    def compile(self, compiler, name, sources, flags):
        program = os.path.join(self.folder, name)
        run([compiler, '-Wall', '-Wextra', '-Werror', *sources, '-o', program, *flags])
        return program

    def test_pkg_config(self):
        self.assertIn('-lstasis', self.flags)
        self.assertNotIn('-lurcu-bp', self.flags, 'private to the library')
        with open(os.path.join(self.include, 'stasis', 'api.h'), encoding='utf-8') as stream:
            version = re.findall(r'STASIS_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)', stream.read())
        self.assertEqual(run([args.pkg_config, '--modversion', 'stasis'], env=self.env).strip(),
                         '.'.join(version))

    def test_readme_example(self):
        source = os.path.join(self.folder, 'example.c')
        with open(source, 'w', encoding='utf-8') as stream:
            stream.write(readme_example())
        for compiler in args.cc:
            name = 'example-' + os.path.basename(compiler)
            with self.subTest(compiler):
                program = self.compile(compiler, name, [source], self.flags)
                output = run([program], env=self.run_env)
                print(f'{name}: {output.strip()}')
                self.assertTrue(output.strip(), 'the example prints nothing')

    def test_static(self):
        """The archive and the private libraries are enough, too."""
        source = os.path.join(self.folder, 'static.c')
        with open(source, 'w', encoding='utf-8') as stream:
            stream.write(readme_example())
        flags = self.pkg_config('--static', '--cflags', '--libs', 'stasis')
        archive = self.installed('libstasis.a')
        flags = [archive if flag == '-lstasis' else flag for flag in flags]
        for compiler in args.cc:
            with self.subTest(compiler):
                program = self.compile(compiler, 'static-' + os.path.basename(compiler), [source],
                                       flags)
                run([program])

    def test_dlopen(self):
        for compiler in args.cc:
            with self.subTest(compiler):
                program = self.compile(compiler, 'dlopen-' + os.path.basename(compiler), [DLOPEN],
                                       ['-I' + self.include, '-ldl', '-pthread'])
                run([program, os.path.join(self.libdir, 'libstasis.so')])

    def test_compat(self):
        path = '-I' + os.path.join(self.include, 'stasis', 'compat')
        flags = self.pkg_config('--cflags', '--libs', 'stasis-compat')
        self.assertIn(path, flags)
        self.assertEqual(self.pkg_config('--modversion', 'stasis-compat'),
                         self.pkg_config('--modversion', 'stasis'))
        alone = [path, '-L' + self.libdir, '-lstasis']
        for compiler in args.cc:
            for name, sources in COMPAT.items():
                for way, options in (('pkg-config', flags), ('one path', alone)):
                    with self.subTest(compiler=compiler, program=name, way=way):
                        program = self.compile(compiler, 'compat', sources,
                                               [*options, '-pthread', '-ljansson'])
                        run([program], env=self.run_env)

    def test_exported_symbols(self):
        declared = set()
        for header in glob.glob(f'{self.include}/stasis/**/*.h', recursive=True):
            with open(header, encoding='utf-8') as stream:
                text = re.sub(r'/\*.*?\*/', '', stream.read(), flags=re.S)
            declared |= set(re.findall(r'^STASIS_API\b[^;]*?(\w+)\s*\(', text, re.M))
        symbols = run([args.nm, '-D', '--defined-only', '--with-symbol-versions',
                       os.path.join(self.libdir, 'libstasis.so')])
        exported = {}
        for line in symbols.splitlines():
            _, kind, name = line.split()
            name, _, version = name.partition('@')
            if kind != 'A': # the version node itself
                exported[name] = version.lstrip('@')
        self.assertEqual(set(exported), declared)
        self.assertEqual(exported, mapped_symbols())


def main():
    global args
    parser = argparse.ArgumentParser()
    for option in ('source', 'build', 'meson', 'nm', 'pkg-config'):
        parser.add_argument('--' + option, required=True)
    parser.add_argument('--cc', action='append', required=True)
    args = parser.parse_args()
    unittest.main(argv=sys.argv[:1])


if __name__ == '__main__':
    main()
