#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""pictures.py FILE.json DIRECTORY

Parts of the page that peers.py makes of a document, as PNG files, for documents that show pictures:
overview, scaling, latency. A browser draws them: Chromium, and gnuplot for the page.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import page

# Name of the section; width; which of its figures, by a part of the caption.
PARTS = [('overview', 900, ''), ('scaling', 1240, ''), ('latency', 900, 'at 10,000 messages')]
TIMEOUT_SECONDS = 120
# The page has no scripts; this one tells how high it is, and is not part of what is drawn.
MEASURE = '<script>document.title = document.documentElement.scrollHeight</script>'


def browse(browser, *arguments):
    with tempfile.TemporaryDirectory(prefix='stasis-pictures-') as profile:
        return subprocess.run(
            [browser, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
             f'--user-data-dir={profile}', *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            check=True, timeout=TIMEOUT_SECONDS, encoding='utf-8').stdout


def part(html, name, which):
    """One section without its tables, in a page by itself."""
    found = re.search(rf'<section id="{name}".*?</section>', html, re.S)
    style = re.search(r'<style>.*?</style>', html, re.S)
    if found is None or style is None:
        sys.exit(f'the page has no section {name}')
    text = re.sub(r'<div [^>]*><table>.*?</table></div>', '', found.group(), flags=re.S)
    for figure in re.findall(r'<figure.*?</figure>', text, re.S):
        if which not in re.search(r'<figcaption>(.*?)</figcaption>', figure, re.S).group(1):
            text = text.replace(figure, '')
    return (f'<!doctype html><html lang="en"><meta charset="utf-8">{style.group()}'
            f'<style>:root{{color-scheme:light}}h2{{margin-top:0;border:0;padding:0}}</style>'
            f'<body>{text}</body></html>')


def draw(browser, html, width, path):
    with tempfile.TemporaryDirectory(prefix='stasis-pictures-') as folder:
        source = os.path.join(folder, 'part.html')
        url = 'file://' + source
        with open(source, 'w', encoding='utf-8') as stream:
            stream.write(html + MEASURE)
        dom = browse(browser, f'--window-size={width},600', '--dump-dom', url)
        height = int(re.search(r'<title>(\d+)</title>', dom).group(1))
        with open(source, 'w', encoding='utf-8') as stream:
            stream.write(html)
        browse(browser, f'--window-size={width},{height}', f'--screenshot={path}', url)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    browser = shutil.which('chromium') or shutil.which('chromium-browser')
    if browser is None:
        sys.exit('pictures.py: no chromium')
    with open(sys.argv[1], encoding='utf-8') as stream:
        html = page.make(json.load(stream))
    os.makedirs(sys.argv[2], exist_ok=True)
    for name, width, which in PARTS:
        path = os.path.abspath(os.path.join(sys.argv[2], f'peers-{name}.png'))
        draw(browser, part(html, name, which), width, path)
        print(path)


if __name__ == '__main__':
    main()
