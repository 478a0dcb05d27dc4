#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The page is whole: it needs nothing from elsewhere, has every figure of the document, escapes what it
is given, and says why there are no charts where there are none."""

import os
import re
import tempfile
import unittest
from html import escape
from html.parser import HTMLParser

import sample

import catalog
import page

VOID = {'meta', 'link', 'br', 'img'}
LOADING = {'src', 'href', 'xlink:href', 'srcset', 'action', 'data', 'poster'}


class Reader(HTMLParser):
    """Elements, texts of table cells, and what is wrong with the nesting."""

    def __init__(self, html):
        super().__init__()
        self.stack, self.problems, self.ids, self.tags = [], [], [], []
        self.outside = []  # what would be loaded from elsewhere
        self.cells = []
        self.feed(html)
        self.problems += [f'<{tag}> is not closed' for tag in self.stack]
        for link in re.findall(r'url\(([^)]*)\)|@import\s+(\S+)', html):
            self.outside += [part for part in link if part and not part.startswith('#')]

    def handle_startendtag(self, tag, attrs):
        self.element(tag, attrs)

    def handle_starttag(self, tag, attrs):
        self.element(tag, attrs)
        if tag not in VOID:
            self.stack.append(tag)
        if tag in ('td', 'th'):
            self.cells.append('')

    def element(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == 'id':
                self.ids.append(value)
            if name in LOADING and not value.startswith(('#', 'data:')):
                self.outside.append(value)

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.problems.append(f'</{tag}> in line {self.getpos()[0]} closes something else')

    def handle_data(self, data):
        if self.stack and ('td' in self.stack or 'th' in self.stack):
            self.cells[-1] += data


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = sample.document()
        cls.html = page.make(cls.document)
        cls.reader = Reader(cls.html)

    def test_well_formed(self):
        self.assertEqual(self.reader.problems, [])
        self.assertEqual(len(self.reader.ids), len(set(self.reader.ids)))
        for wrong in ('<div>', '<p></div></p>'):
            self.assertNotEqual(Reader(wrong).problems, [])

    def test_links_lead_somewhere(self):
        links = re.findall(r'href=["\']#([^"\']+)', self.html)
        self.assertGreater(len(links), 8)
        self.assertEqual(set(links) - set(self.reader.ids), set())

    def test_nothing_from_elsewhere(self):
        self.assertEqual(self.reader.outside, [])
        self.assertNotIn('script', self.reader.tags)
        self.assertNotRegex(self.html, r'https?://')
        self.assertIn("default-src 'none'", self.html)
        for wrong in ('<img src="https://example.org/x.png">', '<a style="background:url(x.png)"></a>',
                      '<link href="x.css">'):
            self.assertNotEqual(Reader(wrong).outside, [])

    def test_every_figure_is_in_a_table(self):
        missed = []
        for workload in self.document['workloads']:
            kind = catalog.KINDS[workload['kind']]
            for result in workload['results']:
                if result['credited'] and result['outcome'] == 'ok':
                    for name, values in result['figures'].items():
                        text = catalog.text(values['median'], kind.figures[name].unit)
                        if not any(cell.startswith(text) for cell in self.reader.cells):
                            missed.append((workload['name'], result['engine'], name, text))
        self.assertEqual(missed, [])

    def test_what_is_not_valid_is_shown(self):
        for text in ('lost <3> messages', '12 messages not delivered'):
            self.assertIn(text, self.reader.cells)

    def test_escapes(self):
        for raw in ('<PUB/SUB>', 'lost <3>', 'Imaginary & Sons', 'mutex & vector'):
            self.assertNotIn(raw, self.html)
        for cell in ('Alpha <PUB/SUB>', 'Beta "queues" 100 %'):
            self.assertIn(cell, self.reader.cells)

    def test_says_how_and_who(self):
        text = re.sub(r'<[^>]*>', ' ', self.html)
        for words in ('Coordinated omission', 'Exact: every sample', 'Imaginary &amp; Sons 9000',
                      'libdelta-dev', 'as advised', 'release', 'two cores: 110 to 118 ns',
                      '5; each allocator in 2'):
            self.assertIn(words, text)
        self.assertIn(self.document['date'][:10], text)

    def test_credits_the_better_allocator(self):
        self.assertRegex(self.html, r'37\.5 M/s<abbr title="with jemalloc preloaded">je</abbr>')

    def test_names_which_of_ours_it_is_compared_with(self):
        figures = {cell for cell in self.reader.cells if cell.startswith('15.0 M/s')}
        self.assertTrue(any(cell.endswith('stasis-inline: 3.33×') for cell in figures), figures)
        self.assertIn("best peer, on the publisher's thread", self.reader.cells)
        self.assertIn('3.33×stasis-inline against Light graph', self.reader.cells)
        for words in ("handed over: 3.75× the best peer, Alpha PUSH/PULL; on the publisher's thread: "
                      '3.33× the best peer, Light graph',
                      'not ranked, because it is another workload: mutex & vector in 2:1'):
            self.assertTrue(escape(words) in self.html, words)

    def test_says_what_churn_includes(self):
        self.assertIn('What coming and going includes', self.html)
        row = self.reader.cells.index('who is told')
        told = self.reader.cells[row + 1:row + 4]
        self.assertEqual(told[0], 'libstasis')
        self.assertIn('200 deliveries a cycle', told[2])
        self.assertIn('200 messages a pair', self.html)

    def test_stalled_is_explained(self):
        self.assertIn('killed at the limit', self.html)
        rest = dict(self.document, workloads=[w for w in self.document['workloads']
                                              if w['name'] == '1:1'])
        self.assertNotIn('killed at the limit', page.make(rest))

    def test_remarks(self):
        for member, words in (('interrupted', 'Interrupted'), ('quick', 'quick look')):
            self.assertNotIn(words, self.html)
            document = dict(self.document, settings=dict(self.document['settings'], **{member: True}))
            self.assertIn(words, page.make(document))

    def test_nothing_measured(self):
        self.assertEqual(Reader(page.make(dict(self.document, workloads=[]))).problems, [])

    def without(self, program):
        """The page as it is with another gnuplot, or none."""
        path = os.environ['PATH']
        with tempfile.TemporaryDirectory() as folder:
            if program is not None:
                with open(os.path.join(folder, 'gnuplot'), 'w', encoding='utf-8') as stream:
                    stream.write(program)
                os.chmod(stream.name, 0o755)
            os.environ['PATH'] = folder
            try:
                return page.make(self.document)
            finally:
                os.environ['PATH'] = path

    def test_without_gnuplot(self):
        html = self.without(None)
        self.assertIn('No charts: gnuplot is not installed', html)
        reader = Reader(html)
        self.assertNotIn('figure', reader.tags)
        self.assertEqual(reader.problems, [])
        self.assertEqual(reader.cells, self.reader.cells)

    def test_gnuplot_fails(self):
        html = self.without('#!/bin/sh\necho "it is <broken>" >&2\nexit 1\n')
        self.assertIn('No charts: gnuplot failed: it is &lt;broken&gt;', html)


class TextTest(unittest.TestCase):
    def test_units(self):
        for value, unit, text in ((30.54e6, '/s', '30.5 M/s'), (999.96e3, '/s', '1.00 M/s'),
                                  (950, '/s', '950 /s'), (0, 'ns', '0 ns'), (62.04, 'ns', '62.0 ns'),
                                  (1234, 'ns', '1.23 µs'), (3.1e6, 'ns', '3.10 ms'),
                                  (448, 'bytes', '448 B'), (66560, 'bytes', '65.0 KiB')):
            self.assertEqual(catalog.text(value, unit), text)
        self.assertEqual(catalog.span(1.5e6, 2.5e6, '/s'), '1.50 – 2.50 M/s')
        self.assertEqual(catalog.span(1.5e3, 2.5e6, '/s'), '1.50 k/s – 2.50 M/s')


if __name__ == '__main__':
    unittest.main()
