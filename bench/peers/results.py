# SPDX-License-Identifier: BSD-2-Clause
"""results.py - from runs to figures: medians and ranges, the better allocator, ratios

Only runs of one placement are compared: of each workload, the placement in which most runs were made
(of two with as many, the one with the greater distance). An engine that has none in it is shown with what it has, and not
compared. An engine is credited with the allocator with which its median is better. A result is valid
when more than half of its runs are: then it is ranked, and the text says what the others were.
Ranked among each other, and compared with one of ours, are those that call back on the same thread: a
catalog.GROUPS each. Only who was measured on a workload is ranked in it, or on the one beside it, if that
is the same for him.
"""

import statistics
from collections import Counter

import catalog
import child

NOWHERE = ''  # the placement of a run that has none: memory, idle


def pairs(cells):
    """The cells grouped by workload and engine, in order."""
    groups = {}
    for cell in cells:
        groups.setdefault((cell.workload.name, cell.engine), []).append(cell)
    return list(groups.values())


def placement(run):
    return run.get('placement') or NOWHERE


def good_runs(cell):
    return [run for run in cell.runs if run['outcome'] == 'ok' and run.get('placement') != 'mixed']


def main_placement(cells):
    """The placement in which most of the runs of some cells were made; None: no run."""
    counts = Counter(placement(run) for cell in cells for run in good_runs(cell))
    # Two cores before one core, should both be as frequent: it is the harder case.
    return max(counts, key=lambda name: (counts[name], name), default=None)


def spread(values):
    return {'median': statistics.median(values), 'min': min(values), 'max': max(values)}


def spreads(runs):
    """{figure: {median, min, max}} of runs that are ok."""
    values = {}
    for run in runs:
        for name, value in child.figures(run).items():
            values.setdefault(name, []).append(value)
    # What only some runs have is not a figure of all.
    return {name: spread(found) for name, found in values.items() if len(found) == len(runs)}


def verdict(cell):
    """(outcome, text) of all runs of a cell."""
    outcomes = Counter(run['outcome'] for run in cell.runs)
    for outcome in ('failed', 'unsupported'):
        if outcomes[outcome]:
            return outcome, next(run.get('text', '') for run in cell.runs
                                 if run['outcome'] == outcome)
    stalls = [run for run in cell.runs if run['outcome'] == 'stalled']
    if stalls and 2 * len(stalls) >= len(cell.runs):
        return 'stalled', stalls[0].get('text', '')
    if not good_runs(cell):
        return 'mixed', 'the CPUs moved during every run'
    return 'ok', f'stalled in {len(stalls)} of {len(cell.runs)} runs' if stalls else ''


def summarise(cell, where):
    """The result of a cell, by its runs in one placement, or, without one there, in its own."""
    outcome, text = verdict(cell)
    result = {'engine': cell.engine, 'allocator': cell.allocator, 'outcome': outcome, 'text': text,
              'runs': cell.runs, 'dropped': cell.dropped, 'median': None, 'min': None, 'max': None,
              'figures': {}, 'placement': None, 'counted': 0, 'credited': False}
    if outcome != 'ok':
        return result
    runs = [run for run in good_runs(cell) if placement(run) == where]
    if not runs:
        where = main_placement([cell])
        runs = [run for run in good_runs(cell) if placement(run) == where]
    figures = spreads(runs)
    if cell.kind.main not in figures:
        return dict(result, outcome='failed', text=f'no {cell.kind.main} in some runs')
    result.update(figures=figures, placement=where, counted=len(runs), **figures[cell.kind.main])
    return result


def best_result(results, kind):
    """Of results with and without an allocator preloaded, the one to credit."""
    valid = [r for r in results if r['outcome'] == 'ok']
    if not valid:
        return results[0]
    main = kind.figures[kind.main]
    best = valid[0]
    for result in valid[1:]:
        if catalog.better(main, result['median'], best['median']):
            best = result
    return best


def better_cell(pair):
    """Of an engine's cells, the one with the better allocator so far."""
    where = main_placement(pair)
    found = [summarise(cell, where) for cell in pair]
    return pair[found.index(best_result(found, pair[0].kind))]


def credit(results, kind):
    """Marks one result of an engine. Only those that went through as many rounds as any are in the
    running: the others were found worse on the way."""
    most = max((len(r['runs']) for r in results if r['outcome'] == 'ok'), default=0)
    best_result([r for r in results if len(r['runs']) >= most] or results, kind)['credited'] = True


def rivals(workload, beside):
    """The valid peers, and of the workload beside it those that have not run this one."""
    here = {r['engine'] for r in workload['results']}
    for name, found in ((workload['name'], workload['results']),
                        (workload['beside'], [r for r in beside if r['engine'] not in here])):
        for result in found:
            if result['credited'] and result['outcome'] == 'ok' and \
                    result['placement'] == workload['placement'] and catalog.is_peer(result['engine']):
                yield name, result


def our_value(workload, engine, name):
    """The median of one of ours that peers are compared with; None: there is none."""
    for result in workload['results']:
        if result['engine'] == engine and result['credited'] and \
                result['placement'] == workload['placement'] and name in result['figures']:
            return result['figures'][name]['median']
    return None


def best_peers(workload, name, figure, beside):
    """{group: its best valid peer, and how many times better ours is}"""
    best = {}
    for where, rival in rivals(workload, beside):
        if name not in rival['figures']:
            continue
        value = rival['figures'][name]['median']
        group, engine = catalog.like(rival['engine'], workload['kind'], rival['figures'])
        if group in best and not catalog.better(figure, value, best[group]['median']):
            continue
        ours = our_value(workload, engine, name)
        best[group] = {'engine': rival['engine'], 'workload': where, 'median': value, 'ours': engine,
                       'ratio': None if ours is None else catalog.factor(figure, ours, value)}
    return best


def compare(workload, kind, beside):
    """Of each figure: the best valid peer of each group; how many times better ours is than each peer,
    and each of ours than the best peer of its group."""
    for name, figure in kind.figures.items():
        best = best_peers(workload, name, figure, beside)
        if best:
            workload['best'][name] = best
        for result in workload['results']:
            if result['placement'] != workload['placement'] or name not in result['figures']:
                continue
            value = result['figures'][name]['median']
            if catalog.is_peer(result['engine']):
                ours = our_value(workload, result['against'], name)
                if ours is not None:
                    result['ratios'][name] = catalog.factor(figure, ours, value)
            elif catalog.is_ours(result['engine']):
                rival = best.get(catalog.group_of_ours(result['engine']))
                if rival is not None:
                    result['ratios'][name] = catalog.factor(figure, value, rival['median'])


def hint(workload, other):
    """The best peer in another workload that has nothing like this one. It is not ranked."""
    main = catalog.KINDS[workload['kind']].figures[catalog.KINDS[workload['kind']].main]
    here = {r['engine'] for r in workload['results']}
    best = None
    for _, result in rivals(other, []):
        if result['engine'] not in here and (
                best is None or catalog.better(main, result['median'], best['median'])):
            best = result
    return best and {'workload': other['name'], 'engine': best['engine'], 'median': best['median']}


def compared(cell, where):
    """A cell's result, and which of ours it is compared with; None: it is no peer."""
    result = dict(summarise(cell, where), ratios={}, against=None)
    if catalog.is_peer(cell.engine):
        result['against'] = catalog.like(cell.engine, cell.workload.kind, result['figures'])[1]
    return result


def workloads(cells):
    """The workloads of the document, in the order of the cells."""
    found = {}
    for cell in cells:
        found.setdefault(cell.workload, []).append(cell)
    documents = []
    for workload, group in found.items():
        kind = catalog.KINDS[workload.kind]
        main = kind.figures[kind.main]
        where = main_placement(group)
        document = {'name': workload.name, 'title': workload.title, 'kind': workload.kind,
                    'unit': main.unit, 'better': main.better, 'beside': workload.beside,
                    'placement': where, 'best': {}, 'ratio': {}, 'hint': None, 'results': []}
        for pair in pairs(group):
            results = [compared(cell, where) for cell in pair if cell.runs]
            if results:
                credit(results, kind)
            document['results'] += results
        documents.append(document)
    by_name = {document['name']: document for document in documents}
    for document in documents:
        kind = catalog.KINDS[document['kind']]
        beside = by_name.get(document['beside'], {'results': []})['results']
        compare(document, kind, beside)
        document['ratio'] = {group: rival['ratio']
                             for group, rival in document['best'].get(kind.main, {}).items()}
        other = by_name.get(catalog.workload(document['name']).hint)
        if other is not None:
            document['hint'] = hint(document, other)
    return documents


def ours_failed(workloads_):
    """[(workload, engine, text)...] of ours that was not verified."""
    return [(w['name'], r['engine'], r['text'] or r['outcome'])
            for w in workloads_ for r in w['results']
            if catalog.is_ours(r['engine']) and r['outcome'] in ('failed', 'stalled')]
