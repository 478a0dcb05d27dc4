#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""check_hardening.py LIBRARY

Says in which ways a shared library is not hardened as a release build is to be: the stack protector,
fortified functions, relocations that are read-only after the start and all done there, no executable
stack, no code that is written to, and on x86 functions marked as targets of indirect calls. Exit
status 0 when there is nothing to say. test_hardening.py plants each of these faults.
"""

import argparse
import os
import re
import subprocess
import sys

# As glibc names what -fstack-protector and _FORTIFY_SOURCE call.
STACK_PROTECTOR = '__stack_chk_fail'
FORTIFIED = re.compile(r'^__(?!stack_)\w+_chk$')


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True,
                          encoding='utf-8', errors='replace', env=dict(os.environ, LC_ALL='C'))
    return done.stdout


def segments(library):
    """Type and flags of each program header."""
    row = re.compile(r'^\s+(GNU_\w+|[A-Z]+)\s+(?:0x\w+\s+){5}([RWE ]+?)\s+(?:0x)?\w+$', re.M)
    return dict(row.findall(run('readelf', '-lW', library)))


def functions_without_target(library):
    """Exported functions whose first instruction is not a target of indirect calls."""
    names = set(re.findall(r' T (\w+)', run('nm', '-D', '--defined-only', library)))
    first = re.compile(r'^\w+ <(\w+)>:\n\s*\w+:\s+(\w+)', re.M)
    code = run('objdump', '-d', '--no-show-raw-insn', library)
    begins = {name: op for name, op in first.findall(code) if name in names}
    if not begins:
        return ['(none found)']
    return sorted(name for name, op in begins.items() if not op.startswith('endbr'))


def faults(library):
    header = run('readelf', '-hW', library)
    segment = segments(library)
    dynamic = run('readelf', '-dW', library)
    undefined = re.findall(r' U (\w+)', run('nm', '-D', '--undefined-only', library))

    if 'GNU_RELRO' not in segment:
        yield 'relro: relocated data stays writable'
    if not re.search(r'\(BIND_NOW\)|\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*\bNOW\b', dynamic):
        yield 'now: functions are bound at their first call'
    if 'E' in segment.get('GNU_STACK', 'E'):
        yield 'noexecstack: the stack is executable'
    if 'TEXTREL' in dynamic:
        yield 'textrel: code is relocated'
    if STACK_PROTECTOR not in undefined:
        yield 'stack-protector: nothing checks the stack'
    if not any(FORTIFIED.match(name) for name in undefined):
        yield 'fortify: no function is checked'
    if re.search(r'Machine:.*(X86-64|80386)', header):
        bare = functions_without_target(library)
        if bare:
            yield f'cf-protection: {len(bare)} functions are not marked, {bare[0]} for one'


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('library')
    library = parser.parse_args().library
    found = list(faults(library))
    for fault in found:
        print(f'{library}: {fault}')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
