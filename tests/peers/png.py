# SPDX-License-Identifier: BSD-2-Clause
"""png.py - the pixels of a PNG file as Chromium writes it: 8 bits, red, green, blue and perhaps alpha"""

import struct
import zlib


def chunks(data):
    if data[:8] != b'\x89PNG\r\n\x1a\n':
        raise ValueError('not a PNG file')
    place = 8
    while place < len(data):
        length, kind = struct.unpack('>I4s', data[place:place + 8])
        yield kind, data[place + 8:place + 8 + length]
        place += 12 + length


def paeth(left, up, corner):
    guess = left + up - corner
    distances = (abs(guess - left), abs(guess - up), abs(guess - corner))
    return (left, up, corner)[distances.index(min(distances))]


def restore(kind, line, before, step):
    """Undoes the filter of a line, in place."""
    if kind == 2:
        for i, up in enumerate(before):
            line[i] = (line[i] + up) & 255
    elif kind in (1, 3, 4):
        for i, value in enumerate(line):
            left = line[i - step] if i >= step else 0
            corner = before[i - step] if i >= step else 0
            guess = left if kind == 1 else (left + before[i]) // 2 if kind == 3 \
                else paeth(left, before[i], corner)
            line[i] = (value + guess) & 255


def read(path):
    """(width, height, [a bytearray per line], bytes per pixel)"""
    with open(path, 'rb') as stream:
        found = list(chunks(stream.read()))
    width, height, depth, color = struct.unpack('>IIBB', found[0][1][:10])
    if depth != 8 or color not in (2, 6):
        raise ValueError(f'depth {depth}, colour type {color}')
    step = 3 if color == 2 else 4
    raw = zlib.decompress(b''.join(data for kind, data in found if kind == b'IDAT'))
    lines, before = [], bytearray(width * step)
    for y in range(height):
        begin = y * (1 + width * step)
        line = bytearray(raw[begin + 1:begin + 1 + width * step])
        restore(raw[begin], line, before, step)
        lines.append(line)
        before = line
    return width, height, lines, step


def colors(path):
    """{'#rrggbb': how many pixels}"""
    width, _, lines, step = read(path)
    counts = {}
    for line in lines:
        for x in range(0, width * step, step):
            pixel = bytes(line[x:x + 3])
            counts[pixel] = counts.get(pixel, 0) + 1
    return {'#' + pixel.hex(): n for pixel, n in counts.items()}
