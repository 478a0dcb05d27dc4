#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""check_abi.py --source DIR --library FILE [--tag TAG] [--compiler COMMAND]

Would a program that was built with the last release run with this library? Builds the last tagged
version aside, and lets abidiff compare: what is only added is no change, nor is the inside of types
whose members no public header shows. Says so, and exits with status 77, when there is no tag. A
library with another soname owes nothing to the ones before it.

LIBRARY and the release are built with debug information, which abidiff reads.
"""

import argparse
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

SKIPPED = 77
HERE = os.path.dirname(os.path.abspath(__file__))

# Of abidiff's exit status: it could not compare, or was called wrongly.
FAILED = 1 | 2


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=False, encoding='utf-8',
                          errors='replace', **options)


def checked(command, **options):
    done = run(command, **options)
    if done.returncode != 0:
        raise SystemExit(f'{shlex.join(command)}\nexit status {done.returncode}\n{done.stdout}')
    return done.stdout


def soname(library):
    found = re.search(r'\(SONAME\).*\[(.*)\]', checked(['readelf', '-dW', library]))
    return found.group(1) if found else None


def compare(old, old_include, new, new_include):
    """None, or what has changed in a way that breaks programs."""
    done = run(['abidiff', '--no-added-syms', '--drop-private-types',
                '--headers-dir1', old_include, '--headers-dir2', new_include,
                '--suppressions', os.path.join(HERE, 'grown.abignore'), old, new])
    if done.returncode & FAILED:
        raise SystemExit(f'abidiff: exit status {done.returncode}\n{done.stdout}')
    return done.stdout if done.returncode != 0 else None


def last_tag(source):
    """The last release that this version follows; None: there is none, or no history."""
    inside = run(['git', '-C', source, 'rev-parse', '--is-inside-work-tree'])
    if 'dubious ownership' in inside.stdout:
        raise SystemExit(inside.stdout) # there may well be a tag
    if inside.returncode != 0:
        return None
    done = run(['git', '-C', source, 'describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*'])
    return done.stdout.strip() if done.returncode == 0 else None


def build_tag(source, tag, folder, compiler):
    """Builds a tagged version; its library and its headers."""
    tree, build = os.path.join(folder, 'tree'), os.path.join(folder, 'build')
    archive = os.path.join(folder, 'tree.tar')
    os.mkdir(tree)
    checked(['git', '-C', source, 'archive', '-o', archive, tag])
    checked(['tar', '-xf', archive, '-C', tree])
    env = dict(os.environ, CC=compiler) if compiler else None
    checked(['meson', 'setup', '--buildtype=debug', '-Dtests=disabled', '-Dbench=disabled', build,
             tree], env=env)
    checked(['ninja', '-C', build])
    libraries = [path for path in glob.glob(os.path.join(build, '**', 'lib*.so'), recursive=True)]
    if len(libraries) != 1:
        raise SystemExit(f'{tag}: {len(libraries)} shared libraries: {libraries}')
    return libraries[0], os.path.join(tree, 'include')


def check(source, library, tag, compiler):
    tag = tag or last_tag(source)
    if tag is None:
        print('skipped: no tag v[0-9]*, so there is no release to compare with')
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix='stasis-abi-') as folder:
        old, old_include = build_tag(source, tag, folder, compiler)
        if soname(old) != soname(library):
            print(f'{tag} is {soname(old)}, this is {soname(library)}: another library')
            return 0
        changes = compare(old, old_include, library, os.path.join(source, 'include'))
    if changes is None:
        print(f'programs built with {tag} will do')
        return 0
    print(f'programs built with {tag} break:\n{changes}')
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--source', required=True)
    parser.add_argument('--library', required=True)
    parser.add_argument('--tag')
    parser.add_argument('--compiler')
    args = parser.parse_args()
    return check(args.source, args.library, args.tag, args.compiler)


if __name__ == '__main__':
    sys.exit(main())
