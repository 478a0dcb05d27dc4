#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""test_readme.py README LIBRARY INCLUDE COMPILER...

Compiles every C block of the README: a whole program is linked to LIBRARY and run, anything else is
compiled as part of a file. A block that does not compile, or a program that fails, fails the test.
"""

import os
import re
import subprocess
import sys
import tempfile

# What a fragment may take for granted.
PROLOGUE = '''#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <stasis/stasis.h>
'''


def main():
    readme, library, include, *compiler = sys.argv[1:]
    with open(readme, encoding='utf-8') as file:
        blocks = re.findall(r'^```c\n(.*?)^```$', file.read(), re.M | re.S)
    programs = [block for block in blocks if 'int main(' in block]
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        for number, block in enumerate(blocks, 1):
            program = block in programs
            source = os.path.join(work, f'block{number}.c')
            binary = os.path.join(work, f'block{number}')
            with open(source, 'w', encoding='utf-8') as file:
                file.write(block if program else PROLOGUE + block)
            command = [*compiler, '-std=gnu17', '-Wall', '-Wextra', '-Wno-unused-parameter',
                       '-Werror', '-I' + include, source]
            if program:
                command += ['-o', binary, library, '-Wl,-rpath,' + os.path.dirname(library)]
            else:
                command += ['-c', '-o', binary]
            good = subprocess.run(command, check=False).returncode == 0
            if good and program:
                good = subprocess.run([binary], check=False, timeout=60).returncode == 0
            print(f'block {number} ({"program" if program else "fragment"}):',
                  'good' if good else 'BAD')
            failed += not good
    if len(blocks) < 2 or not programs:
        print('no code found')
        failed += 1
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
