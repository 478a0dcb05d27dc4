#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks the source tree against its own rules; `tidy.py --list` says which.

Reads text only: no compiler, no build directory. Prints one line per finding, as a compiler would,
and fails when there is one. test_tidy.py plants a violation of every rule and expects it found.
"""

import argparse
import os
import re
import sys

COLUMNS = 100
FILE_LINES = 700
FUNCTION_LINES = 70
TAB = 8

# What may lie at the top of the tree, besides dot-files and build directories.
TOP = {'LICENSE', 'NEWS.md', 'README.md', 'bench', 'include', 'lib', 'meson.build',
       'meson_options.txt', 'tests', 'tools'}

# A file of lib/ includes its own layer or one of a lower level. Layers of one level do not know
# each other.
LEVELS = [['base'], ['sync'], ['map', 'ring', 'stats'], ['exec'], ['bus'], ['route'], ['cache'],
          ['channel'], ['bridge'], ['compat']]
LEVEL = {layer: level for level, layers in enumerate(LEVELS) for layer in layers}

# Foreign headers and the files of lib/, include/, tests/ and tools/ that may include them.
# The benchmarks are free: they compare with all kinds of things.
FOREIGN = [
    (r'urcu/rculfhash\.h', r'lib/(map/[^/]+|sync/rcu\.[ch])', 'only lib/map knows the hash table'),
    (r'urcu[-./].*|urcu\.h', r'lib/sync/rcu\.[ch]', 'only lib/sync/rcu.[ch] knows which RCU it is'),
    (r'ck_.*', r'lib/sync/eventcount\.[ch]', 'only lib/sync/eventcount.[ch] uses ck'),
    (r'jemalloc/.*', r'lib/base/alloc\.c', 'jemalloc is reached by weak symbols in base/alloc.c'),
]

# What is not called in lib/, the file that may all the same, and what to do instead.
CALL = r'(?<![\w.>])(?:%s)\s*\('
BANNED = [
    (CALL % 'printf|vprintf|puts|putchar|perror', None, 'a library does not print'),
    (r'\bstdout\b', None, 'a library does not print'),
    (CALL % 'strcpy|strcat|stpcpy', None, 'knows no bounds: memcpy() with a checked size'),
    (CALL % 'sprintf|vsprintf|gets', None, 'knows no bounds: snprintf()'),
    (CALL % 'strtok|strerror|localtime|gmtime', None, 'not thread-safe'),
    (CALL % 'malloc|calloc|realloc|reallocarray|free|posix_memalign|aligned_alloc|memalign',
     'lib/base/alloc.c', 'sti_alloc() and sti_free(), so that tests can make it fail'),
    (CALL % 'strdup|strndup|asprintf|vasprintf', 'lib/base/alloc.c', 'sti_strdup()'),
    (CALL % 'alloca', None, 'unbounded stack'),
    (CALL % 'assert', None, 'goes away with NDEBUG: stasis_assert()'),
    (r'(?<!asm )(?<!__asm__ )\bvolatile\b', None, 'says nothing to other threads: _Atomic'),
    (CALL % 'rcu_dereference|rcu_assign_pointer', None,
     'an _Atomic pointer with acquire and release, which ThreadSanitizer understands'),
    (CALL % ('atomic_(?:load|store|exchange|fetch_(?:add|sub|or|and|xor)|flag_test_and_set|'
             'flag_clear|compare_exchange_(?:weak|strong))'), None,
     'name the order: the _explicit form'),
    (r'\b__(?:sync|atomic)_\w+\s*\(', None, '<stdatomic.h>'),
]

ORDERED = re.compile(r'\bmemory_order_(?:acquire|release|acq_rel|seq_cst|consume)\b')
ATOMIC = re.compile(r'\batomic_\w+\s*\(')
LABEL = re.compile(r'\b[A-Z]\d{1,2}(?:(?:,|/| and)\s*[A-Z]\d{1,2})*:')
LABEL_NAME = re.compile(r'[A-Z]\d{1,2}')
EDGES = re.compile(r'^\W*Edges\W*$')
EDGE_ROW = re.compile(r'^[\s*/]*\s([A-Z]\d{1,2})\s{2,}\S')
# How many lines above an atomic operation its label may stand.
LABEL_REACH = 3

DOC_FIELDS = ['Ownership:', 'Threads:', 'Progress:', 'Return:']

# Written in two halves, so that this file does not find itself.
LEFTOVER = re.compile(r'\b(?:' + '|'.join(['TO' 'DO', 'FIX' 'ME', 'X' 'XX']) + r')\b')

RULES = {}


def rule(function):
    """Registers a check: a generator of (path, line, message) for a tree."""
    RULES[function.__name__] = function
    return function


class File:
    """A text file; for C also its lines with the comments taken out, and the comments alone."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding='utf-8') as stream:
            self.text = stream.read()
        self.lines = self.text.split('\n')
        if self.lines[-1] == '':
            self.lines.pop()
        self.is_c = path.endswith(('.c', '.h', '.cc', '.cpp', '.hpp'))
        self.code = self.comments = []
        if self.is_c:
            code, comments = split_comments(self.text)
            self.code = code.split('\n')[:len(self.lines)]
            self.comments = comments.split('\n')[:len(self.lines)]

    def within(self, *folders):
        return self.path.split('/')[0] in folders


class Tree:
    def __init__(self, root):
        self.root = root
        self.files = [File(root, path) for path in sorted(text_files(root))]

    def c_files(self, *folders):
        return [f for f in self.files if f.is_c and f.within(*folders)]

    def find(self, path):
        return next((f for f in self.files if f.path == path), None)


def is_build_directory(path):
    return os.path.isdir(os.path.join(path, 'meson-private'))


def is_text(root, path):
    """By name, or, for scripts without a suffix, by the first line."""
    name = os.path.basename(path)
    if name in ('meson.build', 'meson_options.txt', 'LICENSE'):
        return True
    if '.' in name.lstrip('.'):
        return name.endswith(('.c', '.h', '.cc', '.cpp', '.hpp', '.py', '.sh', '.map', '.md',
                              '.pml', '.supp', '.in'))
    with open(os.path.join(root, path), 'rb') as stream:
        return stream.read(2) == b'#!'


def text_files(root):
    for folder, folders, names in os.walk(root):
        top = os.path.samefile(folder, root)
        folders[:] = [d for d in folders
                      if (not d.startswith('.') or (top and d == '.ci'))
                      and d != '__pycache__' and not is_build_directory(os.path.join(folder, d))]
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if os.path.isfile(os.path.join(root, path)) and is_text(root, path):
                yield path


def split_comments(text):
    """Returns text twice, blanked out: without comments and string contents; only comments."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    code, comments, end = [], [], 0

    def blank(part):
        return re.sub(r'[^\n\t]', ' ', part)

    for match in token.finditer(text):
        plain, found = text[end:match.start()], match.group()
        end = match.end()
        is_comment = found.startswith('/')
        code += [plain, blank(found) if is_comment else found[0] + blank(found[1:-1]) + found[-1]]
        comments += [blank(plain), found if is_comment else blank(found)]
    code.append(text[end:])
    comments.append(blank(text[end:]))
    return ''.join(code), ''.join(comments)


def includes(source):
    """(line number, name, '<' or '"') of every #include."""
    for number, line in enumerate(source.lines, 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        # A commented-out include is none: there the code line is blank.
        if match and source.code[number - 1].strip():
            yield number, match.group(2), match.group(1)


# --- the tree ------------------------------------------------------------------------------------


@rule
def top(tree):
    """nothing at the top but the listed files and folders, dot-files and build directories"""
    for name in sorted(os.listdir(tree.root)):
        path = os.path.join(tree.root, name)
        if name not in TOP and not name.startswith('.') and not is_build_directory(path):
            yield name, 1, 'does not belong to the top of the tree'


@rule
def layer(tree):
    """a file of lib/ includes its own layer and lower ones, as "layer/file.h"; a public header
    includes public headers, by where they are: "file.h" or "../file.h" """
    for source in tree.c_files('lib'):
        own = source.path.split('/')[1]
        if own not in LEVEL:
            yield source.path, 1, f'"{own}" is not a layer'
            continue
        for number, name, quote in includes(source):
            other = name.split('/')[0]
            if quote == '<':
                if other in LEVEL:
                    yield source.path, number, f'internal headers are included as "{name}"'
            elif other == 'stasis':
                yield source.path, number, f'public headers are included as <{name}>'
            elif other not in LEVEL or '..' in name or '/' not in name:
                yield source.path, number, f'"{name}" is not of the form "layer/file.h"'
            elif other != own and LEVEL[other] >= LEVEL[own]:
                way = 'upward' if LEVEL[other] > LEVEL[own] else 'sideways'
                yield source.path, number, f'{own} includes {way}: "{name}"'
    for source in tree.c_files('include'):
        for number, name, quote in includes(source):
            place = os.path.normpath(os.path.join(os.path.dirname(source.path), name))
            if quote == '<' and name.split('/')[0] == 'stasis':
                yield source.path, number, f'<{name}>: written as "file.h", it needs no include path'
            elif quote == '<' and name.split('/')[0] in LEVEL:
                yield source.path, number, f'a public header includes the internal <{name}>'
            elif quote == '"' and not (place.startswith('include/') and tree.find(place)):
                yield source.path, number, f'"{name}" is not beside the other public headers'


@rule
def foreign(tree):
    """the headers of liburcu, ck and jemalloc are included only by the files that wrap them"""
    for source in tree.c_files('include', 'lib', 'tests', 'tools'):
        for number, name, quote in includes(source):
            for header, allowed, reason in FOREIGN:
                if quote == '<' and re.fullmatch(header, name):
                    if not re.fullmatch(allowed, source.path):
                        yield source.path, number, f'<{name}>: {reason}'
                    break


@rule
def columns(tree):
    """no line of C over 100 columns, tabs counting 8"""
    for source in tree.files:
        if source.is_c:
            for number, line in enumerate(source.lines, 1):
                width = len(line.expandtabs(TAB))
                if width > COLUMNS:
                    yield source.path, number, f'{width} columns; {COLUMNS} are the limit'


@rule
def length(tree):
    """no C file over 700 lines, no function over 70"""
    for source in tree.files:
        if not source.is_c:
            continue
        if len(source.lines) > FILE_LINES:
            yield source.path, FILE_LINES + 1, (f'{len(source.lines)} lines; '
                                                f'{FILE_LINES} are the limit')
        start = None
        for number, line in enumerate(source.code, 1):
            if line.rstrip() == '{':
                is_class = re.match(r'(?:class|struct|namespace)\b[^()]*$', source.code[number - 2])
                start = None if is_class else number
            elif line.startswith('}') and start is not None:
                if number - start + 1 > FUNCTION_LINES:
                    yield source.path, start, (f'a function of {number - start + 1} lines; '
                                               f'{FUNCTION_LINES} are the limit')
                start = None


@rule
def blank(tree):
    """no blanks at the end of a line; a newline at the end of a file"""
    for source in tree.files:
        for number, line in enumerate(source.lines, 1):
            if line != line.rstrip():
                yield source.path, number, 'ends in blanks'
        if not source.text.endswith('\n'):
            yield source.path, len(source.lines), 'no newline at the end of the file'


@rule
def leftover(tree):
    """no notes to oneself"""
    for source in tree.files:
        for number, line in enumerate(source.lines, 1):
            match = LEFTOVER.search(line)
            if match:
                yield source.path, number, f'{match.group()}: finish it or leave it out'


@rule
def licence(tree):
    """every source file and script names its licence within its first three lines"""
    for source in tree.files:
        if source.path == 'LICENSE' or source.path.endswith('.md'):
            continue
        if not any('SPDX-License-Identifier: BSD-2-Clause' in line for line in source.lines[:3]):
            yield source.path, 1, 'no SPDX-License-Identifier: BSD-2-Clause'


@rule
def listed(tree):
    """every .c file of lib/ is in lib/meson.build, every public header in include/meson.build"""
    for folder, suffix in (('lib', '.c'), ('include', '.h')):
        build = tree.find(folder + '/meson.build')
        names = set(re.findall(r"'([\w./-]+)'", build.text)) if build else set()
        for source in tree.c_files(folder):
            name = source.path[len(folder) + 1:]
            if name.endswith(suffix) and name not in names:
                yield source.path, 1, f'not in {folder}/meson.build'


# --- lib/ ----------------------------------------------------------------------------------------


@rule
def banned(tree):
    """no calls in lib/ that print, know no bounds, go round the allocator or hide a memory order"""
    for source in tree.c_files('lib'):
        for number, line in enumerate(source.code, 1):
            for pattern, allowed, reason in BANNED:
                match = re.search(pattern, line)
                if match and source.path != allowed:
                    yield source.path, number, f'{match.group().rstrip("( ")}: {reason}'


def comment_above(source, number):
    """The comments on this line and the ones that reach into the LABEL_REACH lines above it."""
    first = max(number - LABEL_REACH, 1)
    # A comment that only ends there counts from its beginning.
    while first > 1 and source.comments[first - 1].strip() and \
            '/*' not in source.comments[first - 1] and '//' not in source.comments[first - 1]:
        first -= 1
    return '\n'.join(source.comments[first - 1:number])


@rule
def order(tree):
    """every atomic operation of lib/ that is not relaxed has a label (R1: ...) in a comment on its
    line or up to three lines above"""
    for source in tree.c_files('lib'):
        for number, line in enumerate(source.code, 1):
            if not ORDERED.search(line):
                continue
            # The operation may begin a few lines before the order is named.
            start = number
            while not ATOMIC.search(source.code[start - 1]) and number - start < LABEL_REACH \
                    and start > 1:
                start -= 1
            if not ATOMIC.search(source.code[start - 1]):
                start = number
            if not LABEL.search(comment_above(source, start) + '\n' +
                                '\n'.join(source.comments[start - 1:number])):
                yield source.path, number, f'{ORDERED.search(line).group()} without a label'


def edge_rows(source):
    """{label: line number} of the table under the heading "Edges", and the lines it spans."""
    rows, span, inside = {}, set(), False
    for number, line in enumerate(source.comments, 1):
        if EDGES.match(line):
            inside = True
        if inside:
            span.add(number)
            match = EDGE_ROW.match(line)
            if match:
                rows.setdefault(match.group(1), number)
            if '*/' in line:
                inside = False
    return rows, span


@rule
def edges(tree):
    """every label has a row in an edge table of its layer, and every row is found in the code of the
    layer (not of the file alone: an edge may lead from one file to another)"""
    layers = {}
    for source in tree.c_files('lib'):
        layers.setdefault(os.path.dirname(source.path), []).append(source)
    for sources in layers.values():
        rows, used = {}, {}
        for source in sources:
            table, span = edge_rows(source)
            for label, number in table.items():
                rows.setdefault(label, []).append((source.path, number))
            for number, line in enumerate(source.comments, 1):
                if number in span:
                    continue
                for match in LABEL.finditer(line):
                    for label in LABEL_NAME.findall(match.group()):
                        used.setdefault(label, []).append((source.path, number))
        for label in rows.keys() - used.keys():
            for place in rows[label]:
                yield *place, f'the edge table names {label}, the code does not'
        for label in used.keys() - rows.keys():
            for place in used[label]:
                yield *place, f'{label} has no row in an edge table'


# --- the public interface ------------------------------------------------------------------------


def prototypes(tree):
    """(file, line, name, documentation or None) of every function marked STASIS_API."""
    for source in tree.c_files('include'):
        code = '\n'.join(source.code)
        for match in re.finditer(r'^STASIS_API\b([^;]*);', code, re.M):
            number = code.count('\n', 0, match.start()) + 1
            name = re.search(r'(\w+)\s*\(', match.group(1))
            before = source.text[:sum(len(line) + 1 for line in source.lines[:number - 1])]
            doc = re.search(r'/\*\*(?:(?!\*/).)*\*/\s*$', before, re.S)
            yield source, number, name and name.group(1), doc and doc.group()


@rule
def documentation(tree):
    """a public function has a comment that begins with its name and says Ownership:, Threads:,
    Progress: and Return:, in this order"""
    for source, number, name, doc in prototypes(tree):
        if name is None:
            yield source.path, number, 'STASIS_API is for functions'
            continue
        if doc is None:
            yield source.path, number, f'{name}() has no documentation'
            continue
        if not re.match(r'/\*\*\s*\*\s*' + name + r'\(\) - \S', doc):
            yield source.path, number, f'the comment does not begin with "{name}() - "'
        places = [doc.find('* ' + field) for field in DOC_FIELDS]
        for field, place in zip(DOC_FIELDS, places):
            if place < 0:
                yield source.path, number, f'{name}(): no "{field}"'
        if -1 not in places and places != sorted(places):
            yield source.path, number, f'{name}(): the order is {" ".join(DOC_FIELDS)}'


@rule
def exports(tree):
    """lib/libstasis.map lists exactly the functions marked STASIS_API"""
    listing = tree.find('lib/libstasis.map')
    if listing is None:
        yield 'lib/libstasis.map', 1, 'missing'
        return
    exported = {}
    for number, line in enumerate(listing.lines, 1):
        match = re.match(r'\s*(\w+);', line)
        if match:
            if match.group(1) in exported:
                yield listing.path, number, f'{match.group(1)} is listed twice'
            exported[match.group(1)] = number
    declared = set()
    for source, number, name, _ in prototypes(tree):
        declared.add(name)
        if name is not None and name not in exported:
            yield source.path, number, f'{name}() is not in {listing.path}'
    for name, number in exported.items():
        if name not in declared:
            yield listing.path, number, f'{name} is not declared STASIS_API'


def check(root):
    """All findings, as (path, line, rule, message)."""
    tree = Tree(root)
    return sorted((path, line, name, message) for name, function in RULES.items()
                  for path, line, message in function(tree))


def main():
    parser = argparse.ArgumentParser(description='Check the source tree against its rules.')
    parser.add_argument('root', nargs='?', default='.', help='the top of the tree')
    parser.add_argument('--list', action='store_true', help='say what is checked')
    args = parser.parse_args()
    if args.list:
        for name, function in RULES.items():
            print(f'{name + ":":15}', ' '.join(function.__doc__.split()))
        return 0
    findings = check(args.root)
    for path, line, name, message in findings:
        print(f'{path}:{line}: {message} [{name}]')
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
