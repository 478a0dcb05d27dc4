# SPDX-License-Identifier: BSD-2-Clause
"""charts.py - the page's pictures: gnuplot draws them, as SVG that takes its colours from the page

gnuplot knows no style sheets. So each part is drawn in a colour that stands for a role (COLORS), and
these are then replaced by variables of the page's style sheet, which has light and dark values for them.
Without gnuplot there are no pictures, and the page says so; its tables have all figures.
"""

import math
import re
import shutil
import subprocess

import catalog

# What a colour stands for: 0x000100 + place in this list is drawn, var(--NAME) comes out.
COLORS = ['text', 'muted', 'grid', 'axis', 'whisker', 'peer', 'ours', 'behind',
          's0', 's1', 's2', 's3', 's4', 's5', 's6', 's7', 's8']
ROLE = 0x000100

# A series is (family, member): what belongs together has one colour, and shape and dashes of its own.
# Shapes as gnuplot counts them.
FAMILIES = 9
FILLED = [7, 5, 9, 11, 13]
HOLLOW = [6, 4, 8, 10, 12]
DASHES = ['', '7 3', '2 3', '9 3 2 3']
OURS = (0, 0)

TIMEOUT_SECONDS = 60
LABEL_MAX = 20
TEXT_MAX = 30
WIDE = 840  # as wide as they are shown on a large screen: letters keep their size
HALF = 560
PANEL = 364


class NoCharts(Exception):
    """There is no gnuplot, or it does not work."""


def color(name):
    return f'0x{ROLE + COLORS.index(name):06x}'


def rgb(name):
    return f'rgb "#{ROLE + COLORS.index(name):06x}"'


def quoted(text):
    """For gnuplot, in data and scripts; it would take a backslash for the beginning of something."""
    return '"' + re.sub(r'["\\\n]', ' ', text) + '"'


def shorten(text, most):
    return text if len(text) <= most else text[:most - 1] + '…'


def label(text, most=60):
    """Of a tick; gnuplot takes it for a format."""
    return quoted(shorten(text, most)).replace('%', '%%')


def variable(match):
    number = int(match.group(1)) * 65536 + int(match.group(2)) * 256 + int(match.group(3)) - ROLE
    return f'var(--{COLORS[number]})' if 0 <= number < len(COLORS) else match.group()


def adapt(svg, name, title):
    """To be a part of the page: no prologue, no names used twice, the page's fonts and colours."""
    svg = svg[svg.index('<svg'):]
    svg = re.sub(r'<title>.*?</title>\s*<desc>.*?</desc>', '', svg, count=1, flags=re.S)
    svg = re.sub(r'<filter .*?</filter>', '', svg, flags=re.S)
    svg = re.sub(r'rgb\(\s*(\d+),\s*(\d+),\s*(\d+)\)', variable, svg)
    svg = re.sub(r'([\'"])black\1', '"currentColor"', svg)
    svg = re.sub(r'\s+font-family=(["\']).*?\1', '', svg)
    svg = re.sub(r'\bid=(["\'])', rf'id=\1{name}-', svg)
    svg = re.sub(r'xlink:href=(["\'])#', rf'href=\1#{name}-', svg)
    svg = svg.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', '')
    svg = svg.replace(' xmlns="http://www.w3.org/2000/svg"', '')
    svg = re.sub(r'<g [^>]*>\s*</g>\s*', '', svg)
    svg = re.sub(r'\s*\n\s*', '\n', svg)
    return svg.replace('<svg', f'<svg class="chart" id="{name}" role="img" '
                               f'aria-label="{title}"', 1)


def draw(script, name, title):
    """The SVG that a script of gnuplot's draws."""
    program = shutil.which('gnuplot')
    if program is None:
        raise NoCharts('gnuplot is not installed (package gnuplot-nox)')
    try:
        done = subprocess.run([program, '-d'], input=script, capture_output=True, check=False,
                              encoding='utf-8', timeout=TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCharts(f'gnuplot does not run: {error}') from error
    if done.returncode != 0 or '</svg>' not in done.stdout:
        raise NoCharts('gnuplot failed: ' + ' '.join(done.stderr.split())[:300])
    return adapt(done.stdout, name, title)


def head(width, height):
    return [
        f'set terminal svg size {width},{height} dynamic noenhanced font "sans-serif,12"',
        'set encoding utf8',
        'set border 0',
        'set tics scale 0',
        'set errorbars small',
        'unset key',
        f'set xtics nomirror textcolor {rgb("muted")}',
        f'set ytics nomirror textcolor {rgb("text")}',
        f'set style line 100 lc {rgb("grid")} lw 1 dt solid',
    ]


def margins(width, height, left, right, top, bottom):
    return [f'set lmargin at screen {left / width:.4f}',
            f'set rmargin at screen {1 - right / width:.4f}',
            f'set tmargin at screen {1 - top / height:.4f}',
            f'set bmargin at screen {bottom / height:.4f}']


def block(name, rows):
    return [f'${name} << EOD', *(' '.join(str(value) for value in row) for row in rows), 'EOD']


def ticks(most, count):
    """Round numbers from 0 to most, about so many."""
    raw = most / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= raw * 0.999)
    return [step * i for i in range(int(most / step * 1.001) + 1)]


def tics(axis, values, unit):
    """The command that sets them, written as everywhere on the page."""
    labels = ', '.join(f'{label(tick_text(value, unit))} {value:g}' for value in values)
    return f'set {axis}tics ({labels})'


def tick_text(value, unit):
    """As a figure, without the digits that a round number does not need."""
    if value == 0:
        return '0'
    if unit == '':
        return f'{value:g}'
    number, _, name = catalog.text(value, unit).partition(' ')
    if '.' in number:
        number = number.rstrip('0').rstrip('.')
    return f'{number} {name}'.replace('/s', '') if unit == '/s' else f'{number} {name}'


def bars(name, title, rows, unit):
    """Horizontal bars with ranges. rows: [(engine, ours, (median, min, max) or None, text)...]; the text
    stands at the end of the bar, or in its place."""
    width, height = PANEL, 22 * len(rows) + 30
    most = max((row[2][2] for row in rows if row[2]), default=1) or 1
    data, whiskers, labels, places = [], [], [], []
    for y, (engine, ours, values, text) in enumerate(rows, 1):
        places.append(f'{label(engine, LABEL_MAX)} {y}')
        median, low, high = values or (0, 0, 0)
        if values:
            data.append((y, median, color('ours' if ours else 'peer')))
            whiskers.append((y, median, low, high))
        labels.append((y, high, quoted(shorten(text, TEXT_MAX)),
                       color('text' if values else 'muted')))
    script = head(width, height) + margins(width, height, 146, 6, 2, 24)
    script += [f'set yrange [{len(rows) + 0.5}:0.5]', f'set xrange [0:{most * (1.62 if data else 1):g}]',
               f'set ytics ({", ".join(places)})', tics('x', ticks(most * 1.3, 3), unit),
               'set grid xtics back ls 100']
    script += block('labels', labels)
    parts = []
    if data:
        script += block('data', data) + block('whiskers', whiskers)
        parts = ['$data using ($2/2):1:(0):2:($1-0.34):($1+0.34):3 with boxxyerror fs solid noborder '
                 'lc rgb variable',
                 f'$whiskers using 2:1:3:4 with xerrorbars pt 7 ps 0.01 lw 1.2 lc {rgb("whisker")}']
    parts.append('$labels using 2:1:3:4 with labels left offset 0.5,0 textcolor rgb variable')
    return draw('\n'.join(script + ['plot ' + ', '.join(parts), '']), name, title)


def factors(name, title, rows):
    """Bars on a log axis that begin at 1. rows: [(text, factor, text)...]."""
    width, height = WIDE, 22 * len(rows) + 36
    low = min([0.5] + [row[1] / 1.5 for row in rows])
    high = max([4] + [row[1] for row in rows])
    script = head(width, height) + margins(width, height, 150, 10, 4, 26)
    script += ['set logscale x', f'set yrange [{len(rows) + 0.5}:0.5]',
               # Room for the texts: a third of the width.
               f'set xrange [{low:g}:{high * (high / low) ** 0.5:g}]',
               'set ytics (' + ', '.join(f'{label(row[0], LABEL_MAX)} {y}'
                                         for y, row in enumerate(rows, 1)) + ')']
    steps = [v for v in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
             if low <= v <= high * 1.01]
    if len(steps) > 8:
        steps = [v for v in steps if v in (0.1, 0.5, 1, 2, 10, 100, 1000)]
    script += ['set xtics (' + ', '.join(f'"{v:g}×" {v:g}' for v in steps) + ')',
               'set grid xtics back ls 100',
               f'set arrow 1 from 1, graph 0 to 1, graph 1 nohead lc {rgb("axis")} lw 1.5 back',
               f'set arrow 2 from 2, graph 0 to 2, graph 1 nohead lc {rgb("axis")} lw 1 dt 2 back']
    script += block('data', [(y, max(row[1], 1), min(row[1], 1), row[1], quoted(row[2]),
                              color('ours' if row[1] >= 1 else 'behind'))
                             for y, row in enumerate(rows, 1)])
    script.append('plot $data using 4:1:3:2:($1-0.34):($1+0.34):6 with boxxyerror fs solid noborder '
                  f'lc rgb variable, $data using 2:1:5 with labels left offset 0.6,0 '
                  f'textcolor {rgb("text")}')
    return draw('\n'.join(script + ['']), name, title)


def style(series):
    """How a series is drawn: (colour, dash pattern, shape of its points)."""
    family, member = series
    shape = [FILLED[family % 5], HOLLOW[family % 5], 1, 2][member % 4]
    # Ours alone has the first colour.
    place = family if family < FAMILIES else 1 + (family - 1) % (FAMILIES - 1)
    return f's{place}', DASHES[member % 4], shape


def dash(pattern):
    """As gnuplot has it."""
    if not pattern:
        return 'dt solid'
    return 'dt (' + ','.join(str(int(part)) for part in pattern.split()) + ')'


def decades(low, high):
    """Ticks of a log axis: the powers of ten in a range; where they are few, 2 and 5 times them too."""
    powers = [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    found = [v for v in powers if low <= v <= high]
    if len(found) > 2:
        return found
    return [f * v for v in powers for f in (1, 2, 5) if low <= f * v <= high] or [low]


def lines(name, title, series, *, x, unit, errors, width):
    """Lines on a log axis. series: [((family, member), [(x, median, min, max)...])...]; x: (ticks as
    [(text, place)...], logarithmic or not, title)."""
    height = 380
    places, log, x_title = x
    values = [v for _, points in series for point in points for v in point[1:]]
    low, high = min(values) * 0.75, max(values) * 1.35
    script = head(width, height) + margins(width, height, 64, 16, 8, 52)
    script += ['set logscale y'] + (['set logscale x 2'] if log else [])
    first, last = places[0][1], places[-1][1]
    pad = ((last / first) ** 0.04, (last - first) * 0.03)
    script += [f'set xrange [{first / pad[0] if log else first - pad[1]:g}:'
               f'{last * pad[0] if log else last + pad[1]:g}]',
               'set xtics (' + ', '.join(f'{label(text)} {place:g}' for text, place in places) +
               ')', f'set yrange [{low:g}:{high:g}]',
               tics('y', decades(low, high), unit), f'set ytics textcolor {rgb("muted")}',
               'set grid xtics ytics back ls 100',
               f'set xlabel {quoted(x_title)} textcolor {rgb("muted")}']
    parts = []
    # Ours last, so that it lies above.
    for number, (key, points) in enumerate(sorted(series, reverse=True)):
        script += block(f'd{number}', points)
        role, pattern, shape = style(key)
        wide = 2.6 if key == OURS else 1.5
        kind = 'yerrorlines' if errors else 'lines'
        parts.append(f'$d{number} using 1:2{":3:4" if errors else ""} with {kind} lw {wide} '
                     f'{dash(pattern)} lc {rgb(role)}' +
                     (f' pt {shape} ps 0.8' if errors else ''))
    return draw('\n'.join(script + ['plot ' + ', '.join(parts), '']), name, title)


def dots(name, title, rows, series, unit):
    """A point per series in every row, on a log axis. rows: labels; series: [((family, member),
    [(row, value)...])...]."""
    width, height = WIDE, 22 * len(rows) + 36
    values = [value for _, points in series for _, value in points]
    low, high = min(values) / 1.3, max(values) * 1.3
    script = head(width, height) + margins(width, height, 150, 16, 4, 26)
    script += ['set logscale x', f'set yrange [{len(rows) + 0.5}:0.5]',
               f'set xrange [{low:g}:{high:g}]',
               'set ytics (' + ', '.join(f'{label(row, LABEL_MAX)} {y}'
                                         for y, row in enumerate(rows, 1)) + ')',
               tics('x', decades(low, high), unit), 'set grid xtics ytics back ls 100']
    parts = []
    for number, (key, points) in enumerate(sorted(series, reverse=True)):
        script += block(f'd{number}', [(value, row + 1) for row, value in points])
        role, _, shape = style(key)
        parts.append(f'$d{number} using 1:2 with points pt {shape} '
                     f'ps {1.1 if key == OURS else 0.8} lc {rgb(role)}')
    return draw('\n'.join(script + ['plot ' + ', '.join(parts), '']), name, title)


# The points' shapes once more, for the legend.
MARKS = {
    7: '<circle cx="14" cy="6" r="3.4" class="fill"/>',
    6: '<circle cx="14" cy="6" r="3.2"/>',
    5: '<rect x="11" y="3" width="6" height="6" class="fill"/>',
    4: '<rect x="11" y="3" width="6" height="6"/>',
    9: '<path d="M14 2.4l3.6 6.6h-7.2z" class="fill"/>',
    8: '<path d="M14 2.4l3.6 6.6h-7.2z"/>',
    11: '<path d="M14 9.6l3.6-6.6h-7.2z" class="fill"/>',
    10: '<path d="M14 9.6l3.6-6.6h-7.2z"/>',
    13: '<path d="M14 2l4 4-4 4-4-4z" class="fill"/>',
    12: '<path d="M14 2l4 4-4 4-4-4z"/>',
    2: '<path d="M11 3l6 6m0-6l-6 6"/>',
    1: '<path d="M10.5 6h7M14 2.5v7"/>',
}


def sample(series, line, point):
    """A small picture of a series, for a legend: its line, its point, or both."""
    role, pattern, shape = style(series)
    stroke = f' stroke-dasharray="{pattern}"' if pattern else ''
    return (f'<svg class="sample" style="--c:var(--{role})" viewBox="0 0 28 12" aria-hidden="true">' +
            (f'<path d="M0 6h28"{stroke}/>' if line else '') +
            (MARKS[shape] if point else '') + '</svg>')


def nines(quantile):
    """Where a quantile lies on the axis of percentiles: 0.9 at 1, 0.99 at 2."""
    return -math.log10(1 - quantile)
