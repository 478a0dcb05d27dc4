#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Copies a source file with some places changed: an error planted, or a constant made smaller.

Every text to be replaced must occur exactly once, however it is spaced; if it does not, the source
has changed and the error has to be planted anew, so this fails.
"""

import argparse
import re
import sys


def change(text, find, replace):
    pattern = r'\s+'.join(re.escape(word) for word in find.split())
    places = list(re.finditer(pattern, text))
    if len(places) != 1:
        raise ValueError(f'found {len(places)} times, expected once: {find}')
    return text[:places[0].start()] + replace + text[places[0].end():]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('input')
    parser.add_argument('output')
    parser.add_argument('changes', nargs='+', metavar='FIND REPLACE',
                        help='pairs: what is there, what is there instead')
    args = parser.parse_args()
    if len(args.changes) % 2 != 0:
        parser.error('what is to be replaced, and by what: always both')
    with open(args.input, encoding='utf-8') as stream:
        text = stream.read()
    try:
        for find, replace in zip(args.changes[::2], args.changes[1::2]):
            text = change(text, find, replace)
    except ValueError as error:
        print(f'{args.input}: {error}', file=sys.stderr)
        return 1
    with open(args.output, 'w', encoding='utf-8') as stream:
        # So that places are those of the original.
        stream.write(f'#line 1 "{args.input}"\n{text}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
