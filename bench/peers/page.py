#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes the page out of the document that peers.py writes with --json.

One file that needs nothing else: no script, no font, no picture from elsewhere; its own policy forbids
them. usage: page.py DOCUMENT.json > page.html
"""

import json
import statistics
import sys
from html import escape

import catalog
import charts
import prose
import results
import table as table_text

FANIN = [('1:1', 1), ('2:1', 2), ('4:1', 4), ('16:1', 16), ('64:1', 64)]
FANOUT = [('1:1', 1), ('1:10', 10), ('1:100', 100), ('1:1000', 1000)]
PERCENTILES = [('50', 0.5), ('90', 0.9), ('99', 0.99), ('99.9', 0.999), ('99.99', 0.9999)]


class Page:
    """What the parts of the page are made from, and the charts made so far."""

    def __init__(self, document):
        self.document = document
        self.titles = {e['name']: e['title'] for e in document['engines']}
        self.workloads = document['workloads']
        self.series = families([e['name'] for e in document['engines']])
        self.n_charts = 0
        self.no_charts = None  # why there are none

    def title(self, engine):
        return self.titles.get(engine, engine)

    def of_kind(self, *kinds):
        return [w for w in self.workloads if w['kind'] in kinds]

    def workload(self, name):
        return next((w for w in self.workloads if w['name'] == name), None)

    def chart(self, draw, title, *arguments, **options):
        """A chart, or nothing where there is no gnuplot."""
        if self.no_charts is not None:
            return ''
        self.n_charts += 1
        try:
            return draw(f'chart{self.n_charts}', escape(title), *arguments, **options)
        except charts.NoCharts as reason:
            self.no_charts = str(reason)
            return ''


def families(engines):
    """{engine: (family, member)}: those with the same first word are one family, ours the first."""
    found, series = {}, {}
    for engine in sorted(engines, key=lambda name: not catalog.is_ours(name)):
        members = found.setdefault(engine.split('-')[0], [])
        members.append(engine)
        series[engine] = (list(found).index(engine.split('-')[0]), len(members) - 1)
    return series


def credited(workload):
    return [r for r in workload['results'] if r['credited']]


def valid(workload):
    return [r for r in credited(workload) if r['outcome'] == 'ok']


def tag(result):
    return '<abbr title="with jemalloc preloaded">je</abbr>' \
        if result['allocator'] == 'jemalloc' else ''


# --- pieces ----------------------------------------------------------------------------------------


def section(name, title, *parts):
    body = '\n'.join(part for part in parts if part)
    return f'<section id="{name}">\n<h2>{title}</h2>\n{body}\n</section>' if body else ''


def figure(caption, chart, note='', wide=False):
    if not chart:
        return ''
    small = f'<p class="note">{note}</p>' if note else ''
    return (f'<figure{" class=wide" if wide else ""}><figcaption>{caption}</figcaption>'
            f'<div class="scroll">{chart}</div>{small}</figure>')


def table(head, rows, caption):
    """head: column titles, HTML; rows: lists of cells, HTML or (HTML, class)."""
    lines = [f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
             f'<table><caption>{escape(caption)}</caption><thead><tr>' +
             ''.join(f'<th scope="col">{cell}</th>' for cell in head) + '</tr></thead><tbody>']
    for first, *rest in rows:
        cells = [cell if isinstance(cell, tuple) else (cell, '') for cell in rest]
        lines.append(f'<tr><th scope="row">{first}</th>' +
                     ''.join(f'<td class="{name}">{cell}</td>' if name else f'<td>{cell}</td>'
                             for cell, name in cells) + '</tr>')
    return '\n'.join(lines) + '</tbody></table></div>'


def legend(page, engines, line=False, point=False):
    items = ''.join(f'<li{" class=ours" if page.series[e] == charts.OURS else ""}>'
                    f'{charts.sample(page.series[e], line, point)}{escape(page.title(e))}</li>'
                    for e in engines)
    return f'<ul class="legend">{items}</ul>'


def in_order(page, engines):
    return sorted(engines, key=lambda engine: page.series[engine])


def cell_text(result, name, unit):
    """A figure in a table: median, and below it the range and how many times better which of ours is."""
    if result is None:
        return '', 'none'
    if result['outcome'] != 'ok':
        return f'<span title="{escape(result["text"])}">{result["outcome"]}</span>', 'bad'
    if name not in result['figures']:
        return '', 'none'
    values = result['figures'][name]
    text = f'{catalog.text(values["median"], unit)}{tag(result)}'
    if values['min'] != values['max']:
        text += f'<small>{catalog.span(values["min"], values["max"], unit)}</small>'
    if result['against'] is not None and name in result['ratios']:
        text += f'<small>{result["against"]}: {catalog.times(result["ratios"][name])}</small>'
    return text, 'ours' if catalog.is_ours(result['engine']) else ''


def matrix(page, workloads, name, caption):
    """Workloads by engines: one figure of each, and how many times better ours is."""
    present = {r['engine'] for w in workloads for r in credited(w)
               if name in r['figures'] or r['outcome'] != 'ok'}
    engines = in_order(page, present)
    groups = [g for g in catalog.GROUPS if any(g in w['best'].get(name, {}) for w in workloads)]
    titles = [f'best peer, {catalog.group_title(g, workloads[0]["kind"])}' for g in groups]
    # Beside our first.
    head = ['workload'] + [escape(page.title(e)) for e in engines]
    head[2:2] = [escape(title) for title in titles]
    rows = []
    for workload in workloads:
        found = {r['engine']: r for r in credited(workload)}
        unit = catalog.KINDS[workload['kind']].figures[name].unit
        row = [f'{escape(workload["name"])}<small>{escape(workload["title"])}</small>']
        row += [cell_text(found.get(engine), name, unit) for engine in engines]
        row[2:2] = [ratio_cell(page, workload, name, group) for group in groups]
        rows.append(row)
    return table(head, rows, caption) if engines else ''


def ratio_cell(page, workload, name, group):
    """How many times better ours is than the best peer of a group, and who both are."""
    best = workload['best'].get(name, {}).get(group)
    if best is None or best['ratio'] is None:
        return '', 'none'
    where = f' in {best["workload"]}' if best['workload'] != workload['name'] else ''
    return (f'{catalog.times(best["ratio"])}<small>{escape(best["ours"])} against '
            f'{escape(page.title(best["engine"]))}{where}</small>',
            'ahead' if best['ratio'] >= 1 else 'behind')


# --- sections ----------------------------------------------------------------------------------------


def comparisons(page, group):
    """(workload, what, factor, peer) of everything in which ours can be compared with a group."""
    for workload in page.workloads:
        kind = catalog.KINDS[workload['kind']]
        names = ['p50', 'p99'] if workload['kind'] == 'latency' else [kind.main]
        for name in names:
            best = workload['best'].get(name, {}).get(group)
            if best is not None and best['ratio'] is not None:
                what = workload['name'] + (f' {name}' if len(names) > 1 else '')
                yield workload, what, best['ratio'], best['engine']


def tiles(found, how):
    """The figures of a group that sum it up."""
    rates = [entry for entry in found if entry[0]['kind'] == 'throughput']
    behind = [entry for entry in found if entry[2] < 1]
    if rates:
        ahead = sum(entry[2] >= 1 for entry in rates)
        least = min(rates, key=lambda entry: entry[2])
        yield (f'{ahead} of {len(rates)}', f'{how}: throughput workloads in which ours is ahead of '
               'every peer')
        yield (catalog.times(statistics.median(entry[2] for entry in rates)),
               f'{how}: the best peer of each, in the median workload')
        yield (catalog.times(least[2]), f'{how}: where it is least: {escape(least[1])}, against '
               f'{escape(least[3])}')
    yield (f'{len(behind)}', f'{how}: comparisons of all kinds in which a peer is ahead' +
           (': ' + ', '.join(escape(entry[1]) for entry in behind) if behind else ''))


def overview(page):
    groups = {group: list(comparisons(page, group)) for group in catalog.GROUPS}
    groups = {group: found for group, found in groups.items() if found}
    if not groups:
        return section('overview', 'Overview', '<p>No peer was measured beside ours.</p>')
    parts = []
    for group, found in groups.items():
        how = catalog.GROUPS[group]
        parts.append('<ul class="tiles">' + ''.join(f'<li><b>{big}</b> {small}</li>'
                                                    for big, small in tiles(found, how)) + '</ul>')
        title = f'How many times better ours is than the best valid peer: {how}'
        rows = [(what, ratio, f'{catalog.times(ratio)}  {peer}') for _, what, ratio, peer in found]
        parts.append(figure(title, page.chart(charts.factors, title, rows), prose.FACTORS, wide=True))
    return section('overview', 'Overview', f'<p>{prose.GROUPS}</p>', *parts)


def bar_rows(page, workload, name):
    unit = catalog.KINDS[workload['kind']].figures[name].unit
    better = catalog.KINDS[workload['kind']].figures[name].better
    rows = []
    for result in credited(workload):
        ours = catalog.is_ours(result['engine'])
        if result['outcome'] == 'ok' and name in result['figures']:
            v = result['figures'][name]
            rows.append((result['engine'], ours, (v['median'], v['min'], v['max']),
                         catalog.text(v['median'], unit) +
                         (' +je' if result['allocator'] == 'jemalloc' else '')))
        else:
            rows.append((result['engine'], ours, None,
                         f'{result["outcome"]}: {result["text"]}'))
    sign = -1 if better == 'more' else 1
    return sorted(rows, key=lambda row: (row[2] is None, row[2] and sign * row[2][0]))


def panel(page, workload, name):
    kind = catalog.KINDS[workload['kind']]
    title = f'{workload["name"]}: {workload["title"]}' \
        if workload['title'] != workload['name'] else workload['name']
    what = f'{kind.figures[name].title}, {kind.figures[name].better} is better'
    chart = page.chart(charts.bars, f'{title}. {what}', bar_rows(page, workload, name),
                       kind.figures[name].unit)
    place = f', {escape(workload["placement"])}' if workload['placement'] else ''
    return figure(f'<b>{escape(workload["name"])}</b> {escape(workload["title"])}'
                  if workload['title'] != workload['name'] else f'<b>{escape(workload["name"])}</b>',
                  chart, '. '.join(part for part in (
                      f'{what}{place}', ours_text(page, workload, name),
                      escape(table_text.hint(workload, page.titles)),
                      prose.PANEL_NOTES.get(workload['name'])) if part))


def ours_text(page, workload, name):
    found = table_text.verdict(workload, page.titles, name)
    return escape(f'Ours: {found}') if found else ''


def panels(page, workloads, name=None):
    found = [panel(page, w, name or catalog.KINDS[w['kind']].main) for w in workloads]
    found = [p for p in found if p]
    return f'<div class="panels">{"".join(found)}</div>' if found else ''


def throughput(page):
    workloads = [w for w in page.of_kind('throughput') if not w['name'].startswith('cache-')]
    if not workloads:
        return ''
    return section('throughput', 'Throughput', f'<p>{prose.THROUGHPUT}</p>',
                   panels(page, workloads),
                   matrix(page, workloads, 'rate_per_s',
                          'Deliveries a second: median, and range of the runs'))


def scaling_chart(page, points, caption, x_title):
    series = {}
    for name, x in points:
        workload = page.workload(name)
        for result in valid(workload) if workload else []:
            v = result['figures']['rate_per_s']
            if result['placement'] == workload['placement']:
                series.setdefault(result['engine'], []).append(
                    (x, v['median'], v['min'], v['max']))
    series = {engine: found for engine, found in series.items() if len(found) > 1}
    if not series:
        return ''
    ticks = [(f'{x:,}', x) for _, x in points]
    chart = page.chart(charts.lines, caption,
                       [(page.series[engine], found) for engine, found in series.items()],
                       x=(ticks, True, x_title), unit='/s', errors=True,
                       width=charts.HALF)
    return figure(caption, chart,
                  legend(page, in_order(page, series), line=True, point=True))


def scaling(page):
    fanin = scaling_chart(page, FANIN, 'From publishers to one subscriber', 'publishers')
    fanout = scaling_chart(page, FANOUT, 'From one publisher to subscribers', 'subscribers')
    both = f'<div class="panels two">{fanin}{fanout}</div>' if fanin or fanout else ''
    return section('scaling', 'Scaling over publishers and subscribers',
                   f'<p>{prose.SCALING}</p>' if both else '', both)


def curve(result):
    """[(place, median, min, max)...] of a latency, as far as every run has samples beyond it."""
    runs = [r for r in result['runs'] if r['outcome'] == 'ok' and
            results.placement(r) == result['placement'] and r.get('curve')]
    values = {}
    for run in runs:
        for at, ns in run['curve']:
            if 0.43 < at < 1 and run['messages'] * (1 - at) >= 0.999:
                values.setdefault(at, []).append(ns)
    return [(charts.nines(at), statistics.median(found), min(found), max(found))
            for at, found in sorted(values.items()) if len(found) == len(runs) and found[0] > 0]


def latency_part(page, workload):
    found = {r['engine']: curve(r) for r in valid(workload)}
    found = {engine: points for engine, points in found.items() if len(points) > 1}
    html = ''
    if found:
        ticks = [(name + ' %', charts.nines(at)) for name, at in PERCENTILES]
        last = max(point[0] for points in found.values() for point in points)
        ticks = [tick for tick in ticks if tick[1] <= last + 0.01] or ticks[:1]
        title = f'Latency at {workload["title"]}'
        chart = page.chart(charts.lines, title,
                           [(page.series[e], points) for e, points in found.items()],
                           x=(ticks, False, 'percentile'), unit='ns', errors=False,
                           width=charts.WIDE)
        html = figure(title, chart, legend(page, in_order(page, found), line=True), wide=True)
    kind = catalog.KINDS['latency']
    names = [n for n in kind.figures if any(n in r['figures'] for r in valid(workload))]
    head = [escape(workload['title'])] + [kind.figures[n].title for n in names] + \
        ['p50: ours is better', 'p99: ours is better']
    rows = []
    for result in credited(workload):
        row = [escape(page.title(result['engine']))]
        row += [cell_text(result, name, kind.figures[name].unit) for name in names]
        for name in ('p50', 'p99'):
            row.append(latency_ratio(page, workload, result, name))
        rows.append(row)
    return html + table(head, rows, f'Latency, publish due to callback, at {workload["title"]}: '
                        'median of the runs, and their range')


def latency_ratio(page, workload, result, name):
    """Of ours against the best peer of its group, of a peer against that one of ours."""
    ratio = result['ratios'].get(name)
    if ratio is None:
        return '', 'none'
    if result['against'] is not None:
        who = result['against']
    else:
        best = workload['best'][name][catalog.group_of_ours(result['engine'])]
        who = f'against {page.title(best["engine"])}'
    return (f'{catalog.times(ratio)}<small>{escape(who)}</small>',
            'ahead' if ratio >= 1 else 'behind')


def latency(page):
    parts = [latency_part(page, w) for w in page.of_kind('latency')]
    return section('latency', 'Latency at a fixed pace',
                   *([f'<p>{prose.LATENCY}</p>'] + parts if parts else []))


def cpu(page):
    workloads = [w for w in page.workloads if w['kind'] in ('throughput', 'call', 'churn')
                 and any('cpu_ns_per_delivery' in r['figures'] for r in valid(w))]
    if not workloads:
        return ''
    series = {}
    for row, workload in enumerate(workloads):
        for result in valid(workload):
            v = result['figures'].get('cpu_ns_per_delivery')
            if v and v['median'] > 0 and result['placement'] == workload['placement']:
                series.setdefault(result['engine'], []).append((row, v['median']))
    chart = page.chart(charts.dots, 'CPU time per delivery, less is better',
                       [w['name'] for w in workloads],
                       [(page.series[e], points) for e, points in series.items()], 'ns')
    return section('cpu', 'CPU time',
                   f'<p>{prose.CPU}</p>',
                   figure('CPU time of the whole process per delivery, call or pair; less is better',
                          chart, legend(page, in_order(page, series), point=True), wide=True),
                   matrix(page, workloads, 'cpu_ns_per_delivery',
                          'CPU time per delivery, call or pair: median, and range of the runs'))


def others(page):
    call, churn = page.of_kind('call'), page.of_kind('churn')
    cache = [w for w in page.of_kind('throughput') if w['name'].startswith('cache-')]
    html = []
    for workloads, caption in ((call, 'Calls a second'), (churn, 'Pairs a second'),
                               (cache, 'Updates and gets a second')):
        if workloads:
            html += [matrix(page, workloads, 'rate_per_s', caption + ': median, and range')]
    return section('others', 'Request and reply, coming and going, cache',
                   f'<p>{prose.OTHERS}</p>' if html else '', panels(page, call + churn + cache), *html,
                   churn_text(page) if churn else '')


def churn_text(page):
    """What the figures of coming and going are for."""
    rows = [[escape(page.title(engine)), (escape(what), 'long'), (escape(told), 'long')]
            for engine, what, told in prose.CHURN_INCLUDES if engine in page.titles]
    return f'<p>{prose.CHURN}</p>' + table(['engine', 'a cycle', 'who is told'], rows,
                                           'What coming and going includes')


def memory(page):
    parts = []
    for kind, caption in (('memory', 'Memory'), ('idle', 'Idle: CPU time and context switches')):
        for workload in page.of_kind(kind):
            parts.append(panels(page, [workload]))
            figures = catalog.KINDS[kind].figures
            found = [r for r in credited(workload)]
            parts.append(table(
                ['engine'] + [f'{f.title}' for f in figures.values()] + ['how it was counted'],
                [[escape(page.title(r['engine']))] +
                 [cell_text(r, name, f.unit) for name, f in figures.items()] +
                 [escape(counted(r))] for r in found], caption))
    return section('memory', 'Memory and idle', *([f'<p>{prose.MEMORY}</p>'] + parts
                                                  if parts else []))


def counted(result):
    """How a run says that memory was counted."""
    ways = [next((run[key] for run in result['runs'] if run.get(key)), '')
            for key in ('subscribers_counted_by', 'messages_counted_by')]
    return ', '.join(dict.fromkeys(way for way in ways if way))


def invalid(page):
    """What is not ranked, and who is not there."""
    rows = []
    for workload in page.workloads:
        for result in workload['results']:
            if result['outcome'] != 'ok' or result['text']:
                rows.append([escape(workload['name']), escape(page.title(result['engine'])),
                             escape(result['allocator']), escape(result['outcome']),
                             escape(result['text'])])
            elif result['credited'] and result['placement'] != workload['placement']:
                rows.append([escape(workload['name']), escape(page.title(result['engine'])),
                             escape(result['allocator']), 'not compared',
                             f'all its runs: {escape(result["placement"])}'])
    missing = page.document['missing']
    html = []
    if rows:
        html.append(f'<p>{prose.STALLED}</p>')
        html.append(table(['workload', 'engine', 'allocator', 'outcome', 'why'], rows,
                          'Not valid, or valid with a remark'))
    if missing:
        html.append('<p>Not installed, and left out: ' +
                    escape('; '.join(table_text.missing(missing))) + '.</p>')
    return section('invalid', 'Not ranked', *html)


def engines(page):
    rows = [[escape(e['title']), escape(e['version'] or ''), (escape(e['settings'] or ''), 'long')]
            for e in page.document['engines']]
    return section('engines', 'Versions and settings',
                   table(['engine', 'version', 'settings'], rows, 'Who takes part, and how'))


def facts(page):
    document, m, s = page.document, page.document['machine'], page.document['settings']
    lengths = [f'{1000 * seconds:g} ms' for seconds in dict.fromkeys(s['seconds'])]
    rows = [
        ('date', when(document)), ('version', document['version']),
        ('processor', f'{m["cpu"]}, {m["cpus"]} CPUs' + (', virtual' if m['virtual'] else '')),
        ('system', f'{m["system"]}, {m["kernel"]}'), ('compiler', m['compiler']),
        ('build', m['build']), ('caveat', m.get('caveat')),
        ('rounds', f'{s["rounds"]}; each allocator in {s["trials"]}'),
        ('a run measures', ', '.join(lengths)),
        ('payload', f'{s["payload"]} bytes, unless the workload says otherwise'),
        ('allocators', ', '.join(s['allocators'])),
        ('runs', f'{s["runs"]} that count, {s["dropped"]} dropped because the CPUs moved'),
        ('time', f'{s["elapsed_seconds"]:.0f} s'), ('load at the end', ', '.join(map(str, m['load']))),
        ('round trip of a cache line', round_trips(page)),
    ]
    return section('machine', 'Machine and run',
                   table(['what', ''], [[escape(name), (escape(str(value)), 'long')]
                                        for name, value in rows if value], 'This run'))


def round_trips(page):
    """Range of what was measured around the runs, by placement."""
    found = {}
    for workload in page.workloads:
        for result in workload['results']:
            for run in result['runs']:
                trips = [t for t in run.get('round_trip_ns') or [] if t]
                if trips and run.get('placement'):
                    found.setdefault(run['placement'], []).extend(trips)
    return '; '.join(f'{name}: {min(trips):.0f} to {max(trips):.0f} ns, median '
                     f'{statistics.median(trips):.0f}' for name, trips in sorted(found.items()))


def when(document):
    """The date, to the minute, without what a reader would stumble over."""
    return document['date'][:16].replace('T', ' ') + ' UTC'


def make(document):
    """The page, HTML."""
    page = Page(document)
    body = [part(page) for part in (overview, throughput, scaling, latency, cpu, others, memory,
                                    invalid)]
    body += [section('method', 'Method', prose.METHOD), engines(page), facts(page)]
    m, s = document['machine'], document['settings']
    warnings = []
    if s['interrupted']:
        warnings.append(prose.INTERRUPTED)
    if s['quick']:
        warnings.append(prose.QUICK)
    if page.no_charts is not None:
        warnings.append(f'No charts: {escape(page.no_charts)}. The tables have all figures.')
    lead = (f'libstasis {escape(document["version"])} and what could be used instead, measured in one '
            f'run on {escape(m["cpu"])} ({m["cpus"]} CPUs), <time>{escape(when(document))}</time>')
    return prose.PAGE.format(
        style=prose.STYLE, lead=lead, body='\n'.join(part for part in body if part),
        warnings=''.join(f'<p class="warning">{text}</p>' for text in warnings),
        contents=contents(body))


def contents(body):
    links = []
    for part in body:
        if part:
            name = part.split('"')[1]
            title = part.split('<h2>')[1].split('</h2>')[0]
            links.append(f'<a href="#{name}">{title}</a>')
    return ' '.join(links)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding='utf-8') as stream:
        sys.stdout.write(make(json.load(stream)))


if __name__ == '__main__':
    main()
