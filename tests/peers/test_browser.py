#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The page in a real browser, Chromium without a window: every chart is there with all its bars and
lines, in colours that can be told from light and from dark, nothing is complained about, and nothing is
fetched. Exit status 77, skipped: there is no Chromium, or no gnuplot.
"""

import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

import sample

import page
import pictures
import png

BROWSER = shutil.which('chromium') or shutil.which('chromium-browser')
SKIPPED = 77
FLAGS = ['--headless', '--disable-gpu', '--hide-scrollbars', '--no-first-run', '--disable-sync',
         '--disable-background-networking', '--disable-component-update', '--disable-extensions',
         '--disable-default-apps', '--metrics-recording-only', '--enable-logging=stderr', '--v=0']
DARK = ['--blink-settings=preferredColorScheme=0']

OURS = {'light': '#0068b5', 'dark': '#57b0ff'}
PEER = {'light': '#a9b4c2', 'dark': '#5b6878'}
GROUND = {'light': '#ffffff', 'dark': '#12161c'}


class Proxy(socketserver.ThreadingTCPServer):
    """Whatever the browser wants from a network ends here, and is remembered."""

    def __init__(self):
        self.requests = []
        super().__init__(('127.0.0.1', 0), Listener)


class Listener(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.requests.append(self.rfile.readline().decode('latin-1').strip())


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = sample.document()
        cls.html = page.make(cls.document)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='stasis-browser-', ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.proxy = Proxy()
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()
        self.addCleanup(self.proxy.server_close)
        self.addCleanup(self.proxy.shutdown)

    def browse(self, html, *options):
        """(DOM, what was complained about, what was fetched)"""
        path = os.path.join(self.folder, 'page.html')
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(html)
        command = [BROWSER, *FLAGS, f'--user-data-dir={self.folder}/profile',
                   f'--proxy-server=127.0.0.1:{self.proxy.server_address[1]}', *options]
        if os.geteuid() == 0:
            command.append('--no-sandbox')
        done = subprocess.run(command + ['file://' + path], capture_output=True, encoding='utf-8',
                              timeout=100, check=True, env=dict(os.environ, HOME=self.folder))
        complaints = [line for line in done.stderr.splitlines() if ':CONSOLE' in line]
        # Of the browser's own accord, whatever the page: nothing of ours.
        wanted = [request for request in self.proxy.requests
                  if not re.search(r'google|gvt1|chromium', request)]
        return done.stdout, complaints, wanted

    def shot(self, html, *options):
        """{colour: pixels} of what is seen."""
        path = os.path.join(self.folder, 'shot.png')
        self.browse(html, f'--screenshot={path}', *options)
        return png.colors(path)

    def test_charts(self):
        dom, complaints, wanted = self.browse(self.html, '--dump-dom')
        self.assertEqual(complaints, [])
        self.assertEqual(wanted, [])
        charts = {re.search(r'aria-label="([^"]*)"', chart).group(1): chart
                  for chart in re.findall(r'<svg class="chart".*?</svg>', dom, re.S)}
        n_bars = 0
        for workload in self.document['workloads']:
            if workload['kind'] == 'latency':
                continue
            title = workload['name'] + ('' if workload['title'] == workload['name'] else ': ')
            chart = next(svg for name, svg in charts.items() if name.startswith(title))
            valid = [r for r in workload['results'] if r['credited'] and r['outcome'] == 'ok']
            bars = re.findall(r"<polygon[^>]*fill=['\"]var\(--(ours|peer)\)", chart)
            ours = [r for r in valid if r['engine'].startswith('stasis')]
            self.assertEqual(bars.count('ours'), len(ours), title)
            self.assertEqual(len(bars), len(valid), title)
            n_bars += len(bars)
        self.assertGreater(n_bars, 100)
        for name, n in (('From publishers to one subscriber', 8),
                        ('From one publisher to subscribers', 8),
                        ('Latency at 1,000 messages a second', 8),
                        ('Latency at 100,000 messages a second', 8)):
            self.assertEqual(len(self.lines(charts[name])), n, name)

    def lines(self, chart):
        """The parts of a chart that draw lines of series."""
        parts = re.findall(r'<g id="chart\d+-gnuplot_plot_\d+".*?(?=<g id="chart|</svg>)', chart, re.S)
        return [part for part in parts if re.search(r'var\(--s\d\)', part) and '<path' in part]

    def test_seen_in_light_and_dark(self):
        for scheme, options in (('light', []), ('dark', DARK)):
            counts = self.shot(self.html, '--window-size=1280,3600', *options)
            self.assertGreater(counts.get(GROUND[scheme], 0), 300000, scheme)
            # Bars of ours and of peers, and text: not blank.
            self.assertGreater(counts.get(OURS[scheme], 0), 10000, scheme)
            self.assertGreater(counts.get(PEER[scheme], 0), 2000, scheme)
            self.assertGreater(len(counts), 100, scheme)

    def test_blank_is_noticed(self):
        counts = self.shot('<!DOCTYPE html><title>nothing</title>', '--window-size=400,300')
        self.assertEqual(counts, {'#ffffff': 400 * 300})

    def test_narrow(self):
        """No wider than a telephone: only what scrolls by itself is."""
        script = ('<script>document.title = document.documentElement.scrollWidth + " of " +'
                  ' document.documentElement.clientWidth</script>')
        html = re.sub(r'<meta http-equiv[^>]*>', '', self.html)
        for more, fits in (('', True), ('<div style="width:900px">wide</div>', False)):
            dom, _, _ = self.browse(html.replace('</body>', more + script + '</body>'), '--dump-dom',
                                    '--window-size=500,1600')
            found = re.search(r'<title>(\d+) of (\d+)</title>', dom)
            self.assertIsNotNone(found)
            self.assertEqual(int(found.group(1)) <= int(found.group(2)), fits, found.group())

    def test_pictures(self):
        """Parts of the page as files: not blank, and each by itself."""
        path = os.path.join(self.folder, 'document.json')
        with open(path, 'w', encoding='utf-8') as stream:
            json.dump(self.document, stream)
        subprocess.run([sys.executable, pictures.__file__, path, self.folder], check=True,
                       stdout=subprocess.DEVNULL, env=dict(os.environ, HOME=self.folder))
        for name, _, _ in pictures.PARTS:
            counts = png.colors(os.path.join(self.folder, f'peers-{name}.png'))
            self.assertGreater(counts.get(OURS['light'], 0), 300, name)
        self.assertNotIn('<table', pictures.part(self.html, 'latency', 'at 1,000 messages'))

    def test_complaints_and_requests_are_noticed(self):
        _, complaints, _ = self.browse(self.html.replace('</body>', '<script>1</script></body>'),
                                       '--dump-dom')
        self.assertEqual(len(complaints), 1, complaints)
        _, _, wanted = self.browse('<img src="http://stasis.invalid/x.png">', '--dump-dom')
        self.assertTrue(any('stasis.invalid' in request for request in wanted), wanted)


if __name__ == '__main__':
    if BROWSER is None:
        print('skipped: no chromium (package chromium)')
        sys.exit(SKIPPED)
    if shutil.which('gnuplot') is None:
        print('skipped: no gnuplot, hence no charts (package gnuplot-nox)')
        sys.exit(SKIPPED)
    unittest.main()
