# SPDX-License-Identifier: BSD-2-Clause
"""table.py - the document as a table for the terminal"""

import catalog

LABELS = {'jemalloc': ' +je', 'glibc': ''}


def span(values, unit):
    """median [min .. max]"""
    if values['min'] == values['max']:
        return f'{catalog.text(values["median"], unit):>10}'
    return (f'{catalog.text(values["median"], unit):>10}  '
            f'[{catalog.span(values["min"], values["max"], unit).replace(" – ", " .. ")}]')


def ratio_text(result, name):
    """How many times better ours is than this peer, in the figure called name."""
    if not catalog.is_peer(result['engine']):
        return ''
    return catalog.times(result['ratios'].get(name))


def name_of(result, titles):
    return titles.get(result['engine'], result['engine']) + LABELS.get(result['allocator'], '')


def row(result, kind, place, titles, width):
    name = name_of(result, titles)
    if result['outcome'] != 'ok':
        return f'  {name:{width}} {result["outcome"]}: {result["text"]}'.rstrip()
    main = kind.figures[kind.main]
    line = f'  {name:{width}} {span(result["figures"][kind.main], main.unit):32}'
    ratio = ratio_text(result, kind.main)
    line += f'{ratio:>8} {result["against"] if ratio else "":13}'
    for extra, label in (('p99', 'p99'), ('consumer_percent', 'CPU'),
                         ('cpu_ns_per_delivery', 'CPU'),
                         ('bytes_per_queued_message', 'queued'),
                         ('context_switches_per_s', 'switches')):
        if extra in result['figures']:
            value = catalog.text(result['figures'][extra]['median'], kind.figures[extra].unit)
            line += f'  {label} {value:>8}'
            if extra == 'p99':
                line += f'{ratio_text(result, extra):>7}'
    if result['placement'] != place:
        line += f'  ({result["placement"]})'
    return (line + ('  ' + result['text'] if result['text'] else '')).rstrip()


def rival_text(rival, workload, titles):
    """How many times better ours is than the best of a group."""
    name = titles.get(rival['engine'], rival['engine'])
    if rival['workload'] != workload['name']:
        name += f' in {rival["workload"]}'
    return f'{catalog.times(rival["ratio"])} the best peer, {name}'


def verdict(workload, titles, name=None):
    """One line: ours against the best peers. Groups are named where there is more than one way."""
    best = workload['best'].get(name or catalog.KINDS[workload['kind']].main, {})
    both = set(best) != {catalog.HANDED} or any(r['engine'] == 'stasis-inline'
                                               for r in workload['results'])
    return '; '.join((f'{catalog.group_title(group, workload["kind"])}: ' if both else '') +
                     rival_text(best[group], workload, titles)
                     for group in catalog.GROUPS
                     if group in best and best[group]['ratio'] is not None)


def hint(workload, titles):
    """What is worth knowing, but another workload."""
    found = workload['hint']
    if found is None:
        return ''
    return (f'not ranked, because it is another workload: '
            f'{titles.get(found["engine"], found["engine"])} in {found["workload"]}, '
            f'{catalog.text(found["median"], workload["unit"])}')


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
        for result in workload['results']:
            if result['credited']:
                yield row(result, kind, workload['placement'], titles, width)
        end = verdict(workload, titles)
        if end:
            yield f'  ours: {end}'
        if hint(workload, titles):
            yield f'  {hint(workload, titles)}'
        yield ''
    for line in missing(document['missing']):
        yield f'not installed, and left out: {line}'
    yield ('median [min .. max] of the runs; N× is how many times better the one of ours is '
           'that stands there; '
           '+je: with jemalloc preloaded')
