#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""test_hardening.py COMPILER...

check_hardening.py finds each fault that is planted in a small library, that one and no other.
"""

import os
import subprocess
import sys
import tempfile
import unittest

import check_hardening

SOURCE = '''#include <stdarg.h>
#include <stdio.h>

int hardened(const char *format, ...);

int hardened(const char *format, ...)
{
	char text[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return puts(text);
}
'''

FLAGS = {
    'stack-protector': ('-fstack-protector-strong', '-fno-stack-protector'),
    'fortify': ('-D_FORTIFY_SOURCE=2', '-D_FORTIFY_SOURCE=0'),
    'cf-protection': ('-fcf-protection', '-fcf-protection=none'),
    'relro': ('-Wl,-z,relro', '-Wl,-z,norelro'),
    'now': ('-Wl,-z,now', '-Wl,-z,lazy'),
    'noexecstack': ('-Wl,-z,noexecstack', '-Wl,-z,execstack'),
}

compiler = []


class HardeningTest(unittest.TestCase):
    def faults_without(self, missing):
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, 'hardened.c')
            library = os.path.join(folder, 'libhardened.so')
            with open(source, 'w', encoding='utf-8') as stream:
                stream.write(SOURCE)
            flags = [off if name == missing else on for name, (on, off) in FLAGS.items()]
            subprocess.run([*compiler, '-O2', '-shared', '-fPIC', '-U_FORTIFY_SOURCE', *flags,
                            source, '-o', library], check=True, stdin=subprocess.DEVNULL)
            return [fault.split(':')[0] for fault in check_hardening.faults(library)]

    def test_all(self):
        self.assertEqual(self.faults_without(None), [])

    def test_each_is_missed(self):
        for name in FLAGS:
            with self.subTest(name):
                self.assertEqual(self.faults_without(name), [name])


if __name__ == '__main__':
    compiler = sys.argv[1:]
    if not compiler:
        sys.exit(__doc__)
    unittest.main(argv=sys.argv[:1])
