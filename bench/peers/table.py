# SPDX-License-Identifier: BSD-2-Clause
"""table.py - the document as a table for the terminal"""

import catalog
import results

LABELS = {'jemalloc': ' +je', 'glibc': ''}


def span(values, unit):
    """median [min .. max]"""
    if values['min'] == values['max']:
        return f'{catalog.text(values["median"], unit):>10}'
    return (f'{catalog.text(values["median"], unit):>10}  '
            f'[{catalog.span(values["min"], values["max"], unit).replace(" – ", " .. ")}]')


def ratio_text(result, name, figure, ours):
    """How many times better ours is than this peer, in the figure called name."""
    if ours is None or not catalog.is_peer(result['engine']) or \
            name not in ours['figures'] or result['placement'] != ours['placement']:
        return ''
    return catalog.times(catalog.factor(figure, ours['figures'][name]['median'],
                                        result['figures'][name]['median']))


def name_of(result, titles):
    return titles.get(result['engine'], result['engine']) + LABELS.get(result['allocator'], '')


def row(result, kind, ours, titles, width):
    name = name_of(result, titles)
    if result['outcome'] != 'ok':
        return f'  {name:{width}} {result["outcome"]}: {result["text"]}'.rstrip()
    main = kind.figures[kind.main]
    line = f'  {name:{width}} {span(result["figures"][kind.main], main.unit):32}'
    line += f'{ratio_text(result, kind.main, main, ours):>8}'
    for extra, label in (('p99', 'p99'), ('cpu_ns_per_delivery', 'CPU'),
                         ('bytes_per_queued_message', 'queued'),
                         ('context_switches_per_s', 'switches')):
        if extra in result['figures']:
            value = catalog.text(result['figures'][extra]['median'], kind.figures[extra].unit)
            line += f'  {label} {value:>8}'
            if extra == 'p99':
                line += f'{ratio_text(result, extra, kind.figures[extra], ours):>7}'
    if ours is not None and result['placement'] != ours['placement']:
        line += f'  ({result["placement"]})'
    return (line + ('  ' + result['text'] if result['text'] else '')).rstrip()


def verdict(workload, titles):
    """One line: ours against the best peer."""
    ours, main = results.headline(workload), catalog.KINDS[workload['kind']].main
    best = workload['best'].get(main)
    if ours is None or best is None or ours['ratios'].get(main) is None:
        return ''
    name = titles.get(best['engine'], best['engine'])
    if workload['beside'] and not any(r['engine'] == best['engine'] for r in workload['results']):
        name += f' in {workload["beside"]}'
    return f'{catalog.times(ours["ratios"][main])} the best peer, {name}'


def missing(entries):
    """A line for each package that is not there."""
    packages = {}
    for entry in entries:
        packages.setdefault(entry['package'], []).append(entry['name'])
    return [f'{", ".join(names)} (package {package})' for package, names in packages.items()]


def lines(document):
    titles = {engine['name']: engine['title'] for engine in document['engines']}
    width = max([len(name_of(r, titles)) for w in document['workloads'] for r in w['results']] + [1])
    for workload in document['workloads']:
        kind = catalog.KINDS[workload['kind']]
        main = kind.figures[kind.main]
        where = f', {workload["placement"]}' if workload['placement'] else ''
        title = '' if workload['title'] == workload['name'] else f': {workload["title"]}'
        yield (f'{workload["name"]}{title} ({main.title}, {main.better} is better{where})')
        ours = results.headline(workload)
        for result in workload['results']:
            if result['credited']:
                yield row(result, kind, ours, titles, width)
        end = verdict(workload, titles)
        if end:
            yield f'  ours: {end}'
        yield ''
    for line in missing(document['missing']):
        yield f'not installed, and left out: {line}'
    yield ('median [min .. max] of the runs; N× is how many times better ours is; '
           '+je: with jemalloc preloaded')
