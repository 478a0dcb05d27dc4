#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""test_check_abi.py COMPILER...

check_abi.py tells changes that break programs from those that do not: on a small library, each
change in turn, and once from end to end, from a repository with and without a tag.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import unittest

import check_abi

HEADER = '''#include <stddef.h>

#define STASIS_API __attribute__((visibility("default")))

struct stasis_thing;
enum stasis_color { STASIS_RED, STASIS_GREEN };

struct stasis_thing_options {
	size_t size;
	unsigned depth;
	void *data;
};

struct stasis_change {
	struct stasis_thing *thing;
	int count;
};

STASIS_API struct stasis_thing *stasis_thing_create(const struct stasis_thing_options *options);
STASIS_API int stasis_thing_paint(struct stasis_thing *thing, enum stasis_color color);
STASIS_API const struct stasis_change *stasis_thing_change(struct stasis_thing *thing);
'''

SOURCE = '''#include <stdlib.h>
#include "stasis/thing.h"

struct stasis_thing {
	int color;
	struct stasis_change change;
};

struct stasis_thing *stasis_thing_create(const struct stasis_thing_options *options)
{
	return options->depth > 0 ? calloc(1, sizeof(struct stasis_thing)) : NULL;
}

int stasis_thing_paint(struct stasis_thing *thing, enum stasis_color color)
{
	thing->color = (int)color;
	return 0;
}

const struct stasis_change *stasis_thing_change(struct stasis_thing *thing)
{
	return &thing->change;
}
'''

# What becomes of the text of header and source.
KEEPS = {
    'nothing': [],
    'a function is added': [
        ('\nSTASIS_API struct', '\nSTASIS_API int stasis_more(void);\nSTASIS_API struct'),
        ('#include "stasis/thing.h"',
         '#include "stasis/thing.h"\nint stasis_more(void) { return 1; }')],
    'options grow at the end': [('void *data;', 'void *data;\n\tunsigned more;')],
    'the inside of an opaque type': [('int color;', 'long color;\n\tvoid *more;')],
    'an enumerator is added': [('STASIS_GREEN }', 'STASIS_GREEN, STASIS_BLUE }')],
}
BREAKS = {
    'a function is gone': [('STASIS_API int stasis_thing_paint',
                            '__attribute__((visibility("hidden"))) int stasis_thing_paint')],
    'a parameter is of another type': [
        ('stasis_thing_paint(struct stasis_thing *thing, enum stasis_color color)',
         'stasis_thing_paint(struct stasis_thing *thing, long color)')],
    'a function returns another type': [('int stasis_thing_paint', 'long stasis_thing_paint')],
    'a member in the middle of options': [('unsigned depth;', 'void *front;\n\tunsigned depth;')],
    'a member is of another size': [('int count;', 'long count;')],
    'a public structure grows': [('int count;', 'int count;\n\tlong more[4];')],
    'an enumerator has another value': [('STASIS_RED, STASIS_GREEN', 'STASIS_GREEN, STASIS_RED')],
}

MESON = '''project('thing', 'c')
shared_library('thing', 'thing.c', include_directories: 'include', soversion: '0',
  gnu_symbol_visibility: 'hidden')
'''
MESON_OPTIONS = '''option('tests', type: 'feature')
option('bench', type: 'feature')
'''

compiler = []


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write(text)
    return path


def write_version(folder, changes=()):
    """The library's files, with changes that must find what they change."""
    header, source = HEADER, SOURCE
    for before, after in changes:
        if before not in header + source:
            raise AssertionError(f'nowhere: {before}')
        header, source = header.replace(before, after), source.replace(before, after)
    write(folder, 'include/stasis/thing.h', header)
    return write(folder, 'thing.c', source)


class AbiTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='stasis-abi-')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def build(self, name, changes=(), version=0):
        """Compiles a version; the library and its headers."""
        folder = os.path.join(self.folder, name)
        source = write_version(folder, changes)
        library = os.path.join(folder, 'libthing.so')
        include = os.path.join(folder, 'include')
        subprocess.run([*compiler, '-g', '-shared', '-fPIC', '-fvisibility=hidden', '-I' + include,
                        f'-Wl,-soname,libthing.so.{version}', source, '-o', library], check=True)
        return library, include

    def test_changes(self):
        old = self.build('old')
        for breaks, cases in ((False, KEEPS), (True, BREAKS)):
            for number, (name, changes) in enumerate(cases.items()):
                with self.subTest(name):
                    found = check_abi.compare(*old, *self.build(f'{breaks}{number}', changes))
                    self.assertEqual(found is not None, breaks, found)

    def git(self, *command):
        subprocess.run(['git', '-C', self.repository, '-c', 'user.name=nobody',
                        '-c', 'user.email=nobody@example.org', *command],
                       check=True, stdout=subprocess.DEVNULL)

    def check(self, changes, version=0):
        """What check_abi says about a working copy with changes, its own library built."""
        write_version(self.repository, changes)
        library, _ = self.build('new', changes, version)
        return check_abi.check(self.repository, library, None, shlex.join(compiler))

    def test_last_tag(self):
        self.repository = os.path.join(self.folder, 'repository')
        write_version(self.repository)
        write(self.repository, 'meson.build', MESON)
        write(self.repository, 'meson_options.txt', MESON_OPTIONS)
        self.assertEqual(self.check(()), check_abi.SKIPPED, 'not even a repository')
        self.git('init', '-q')
        self.git('add', '.')
        self.git('commit', '-q', '-m', 'first')
        self.assertEqual(self.check(()), check_abi.SKIPPED, 'no tag')
        self.git('tag', 'v0.1.0')
        self.assertEqual(self.check(KEEPS['a function is added']), 0)
        self.assertEqual(self.check(BREAKS['a function is gone']), 1)
        self.assertEqual(self.check(BREAKS['a function is gone'], version=1), 0)


if __name__ == '__main__':
    compiler = sys.argv[1:]
    if not compiler:
        sys.exit(__doc__)
    unittest.main(argv=sys.argv[:1])
