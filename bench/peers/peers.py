#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures the library beside what could be used instead, in the same run, by the same harness."""

import argparse
import ctypes.util
import datetime
import json
import os
import platform
import sys
import tempfile

import catalog
import child
import conduct
import page
import progress
import results
import table

ROUNDS = 5
MINUTES = 7.0
HTML = 'stasis-bench-peers.html'
QUICK_SECONDS = 0.05

EPILOG = '''Runs take turns (ours, a peer, ours, a peer ...), a process each, with glibc's malloc and
with jemalloc preloaded; each engine is credited with what suits it better. Exit status: 0, or 1 when
ours was not verified, or 2 for wrong options or what cannot be written. A peer that fails is shown as
failed.'''


class Trouble(Exception):
    """Something that the user must know, and nothing can be done about here."""


def positive(convert):
    def parse(text):
        value = convert(text)
        if not 0 < value < 1e6:
            raise ValueError(text)
        return value
    parse.__name__ = 'positive number'
    return parse


def parse_options(arguments):
    parser = argparse.ArgumentParser(prog=os.environ.get('STASIS_BENCH_COMMAND', 'peers.py'),
                                     description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add('--workload', action='append', metavar='NAMES', help='only these; separated by commas')
    add('--engine', action='append', metavar='NAMES', help='only these, as well as ours')
    add('--list', action='store_true', help='what there is: engines, workloads, what is missing')
    add('--rounds', type=positive(int), metavar='N', help=f'default: {ROUNDS}')
    length = parser.add_mutually_exclusive_group()
    length.add_argument('--minutes', type=positive(float), metavar='M', default=MINUTES,
                        help=f'how long all of it may take; default: {MINUTES:g}')
    length.add_argument('--seconds', type=positive(float), metavar='S',
                        help='what each run measures, however long it takes in all')
    length.add_argument('--quick', action='store_true',
                        help=f'a look: one round, {QUICK_SECONDS} s a run. No figures to rely on')
    add('--limit', type=positive(float), metavar='S', default=child.GRACE_SECONDS,
        help='seconds that a run may take longer than it measures before it is killed; '
             f'default: {child.GRACE_SECONDS}')
    add('--both-allocators', action='store_true',
        help=f'in all rounds; else the better one only, after {conduct.TRIALS}')
    add('--jemalloc', metavar='FILE', help='to be preloaded; default: that of the system')
    add('--json', metavar='FILE', help='everything, each run included')
    add('--html', metavar='FILE', default=HTML, help=f'the page; default: {HTML}')
    add('--no-html', action='store_true', help='no page')
    add('--program', metavar='FILE', required=True, help='stasis-peer, which makes the runs')
    add('--build', metavar='TEXT', help='compiler and options, for the page')
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds = QUICK_SECONDS
    options.rounds = options.rounds or (1 if options.quick else ROUNDS)
    return options


def read_list(program):
    """What stasis-peer can do."""
    try:
        status, out, err = child.execute([program, '--list'], child.environment('glibc', None), 60)
    except OSError as error:
        raise Trouble(f'{program}: {error.strerror}') from error
    if status != 0:
        raise Trouble(f'{program} --list: exit status {status} {child.last_line(err)}'.rstrip())
    try:
        found = child.parse(out)
        for engine in found['engines']:
            for member in ('name', 'title', 'version', 'settings', 'workloads'):
                engine[member]  # pylint: disable=pointless-statement
    except (child.Nonsense, KeyError, TypeError) as error:
        raise Trouble(f'{program} --list: {error}') from error
    found.setdefault('missing', [])
    return found


def split(lists):
    return [name for text in lists or [] for name in text.split(',') if name]


def chosen_engines(available, wanted):
    """Ours and the controls, and of the peers those wanted."""
    missing = {m['name']: m for m in available['missing']}
    known = {engine['name'] for engine in available['engines']}
    for name in wanted:
        if name in missing:
            print(f'{name}: not installed (package {missing[name]["package"]}), left out',
                  file=sys.stderr)
        elif name not in known:
            raise Trouble(f'no engine {name}: there are {", ".join(sorted(known))}')
    engines = [e for e in available['engines']
               if not wanted or e['name'] in wanted or not catalog.is_peer(e['name'])]
    return sorted(engines, key=lambda e: not catalog.is_ours(e['name']))


def chosen_workloads(engines, wanted):
    """Those that somebody can do, in the catalogue's order."""
    possible = list(dict.fromkeys(name for engine in engines for name in engine['workloads']))
    order = [w.name for w in catalog.WORKLOADS]
    possible.sort(key=lambda name: order.index(name) if name in order else len(order))
    for name in wanted:
        if name not in possible:
            raise Trouble(f'no workload {name}: there are {", ".join(possible)}')
    return [catalog.workload(name) for name in possible if not wanted or name in wanted]


def make_cells(engines, workloads, allocators):
    return [conduct.Cell(workload, engine['name'], allocator)
            for workload in workloads for engine in engines
            if workload.name in engine['workloads'] and
            (not workload.name.startswith('batch-') or engine['name'] in catalog.BATCHING)
            # What costs seconds and does not depend on it is measured with one.
            for allocator in (allocators[:1] if workload.kind == 'idle' else allocators)]


def processor():
    try:
        with open('/proc/cpuinfo', encoding='utf-8', errors='replace') as stream:
            text = stream.read()
    except OSError:
        text = ''
    model = next((line.split(':', 1)[1].strip() for line in text.splitlines()
                  if line.startswith('model name')), platform.machine())
    return model, ' hypervisor' in text


def system_name():
    try:
        return platform.freedesktop_os_release().get('PRETTY_NAME', '')
    except OSError:
        return ''


def machine(options, known):
    """known: what stasis-peer says of it."""
    model, virtual = processor()
    found = dict({'cpu': model, 'cpus': len(os.sched_getaffinity(0)), 'compiler': ''}, **known)
    found.update({
        'virtual': virtual, 'kernel': f'{platform.system()} {platform.release()}',
        'system': system_name(), 'build': options.build or '',
        'load': [round(load, 2) for load in os.getloadavg()]})
    return found


def check_writable(path):
    """Before minutes are spent on what is to be written there."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        if os.path.isdir(path):
            raise IsADirectoryError(None, 'Is a directory')
        if os.path.exists(path) and not os.access(path, os.W_OK):
            raise PermissionError(None, 'Permission denied')
    except OSError as error:
        raise Trouble(f'{path}: {error.strerror}') from error


def write(path, text):
    try:
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(text)
    except OSError as error:
        raise Trouble(f'{path}: {error.strerror}') from error


def find_jemalloc(options, program):
    """What to preload; None, and it is said, when there is nothing that works."""
    name = options.jemalloc or ctypes.util.find_library('jemalloc')
    if name is None:
        return None
    # The dynamic linker warns of what it cannot preload, and goes on.
    status, _, err = child.execute([program, '--list'], child.environment('jemalloc', name), 60)
    return name if status == 0 and 'cannot be preloaded' not in err else None


def make_document(options, available, engines, cells, conductor, allocators, interrupted):
    workloads = results.workloads([cell for cell in cells if cell.runs])
    ours = next((e['version'] for e in engines if catalog.is_ours(e['name'])), '')
    return {
        'program': 'stasis-bench --peers',
        'version': ours,
        'date': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'machine': machine(options, available.get('machine', {})),
        'settings': dict({
            'payload': 16, 'rounds': options.rounds, 'seconds': conductor.lengths,
            'trials': options.rounds if options.both_allocators else conduct.TRIALS,
            'allocators': allocators, 'runs': conductor.done,
            'dropped': sum(cell.dropped for cell in cells),
            'elapsed_seconds': round(conductor.spent, 1), 'quick': options.quick,
            'interrupted': interrupted}, **available.get('settings', {})),
        'engines': [{key: value for key, value in engine.items() if key != 'workloads'}
                    for engine in engines],
        'missing': available['missing'],
        'workloads': workloads,
    }


def show_list(available):
    print('engines:')
    for engine in available['engines']:
        print(f'  {engine["name"]:22} {engine["title"]}, {engine["version"]}')
    print('workloads:')
    for workload in chosen_workloads(available['engines'], []):
        print(f'  {workload.name:22} {workload.title}')
    for line in table.missing(available['missing']):
        print(f'not installed: {line}')


def run(options):
    available = read_list(options.program)
    if options.list:
        show_list(available)
        return 0
    engines = chosen_engines(available, split(options.engine))
    workloads = chosen_workloads(engines, split(options.workload))
    for path in [options.json] + ([] if options.no_html else [options.html]):
        if path is not None:
            check_writable(path)
    jemalloc = find_jemalloc(options, options.program)
    if jemalloc is None:
        if options.jemalloc:
            raise Trouble(f'{options.jemalloc}: cannot be preloaded')
        print('no jemalloc to preload: all runs with glibc', file=sys.stderr)
    allocators = catalog.ALLOCATORS if jemalloc else catalog.ALLOCATORS[:1]
    cells = make_cells(engines, workloads, allocators)
    conductor = conduct.Conductor(cells, rounds=options.rounds, seconds=options.seconds,
                                  budget=60 * options.minutes, both=options.both_allocators)
    for line in table.missing(available['missing']):
        print(f'not installed, left out: {line}', file=sys.stderr)
    tell = progress.Progress(options.rounds)
    interrupted = False
    try:
        conductor.conduct(lambda cell, seconds: child.measure(
            options.program, cell.workload.name, cell.engine, cell.allocator, seconds=seconds,
            jemalloc=jemalloc, grace=options.limit), tell)
    except KeyboardInterrupt:
        interrupted = True
    tell.close()
    return report(options, make_document(options, available, engines, cells, conductor, allocators,
                                         interrupted))


def report(options, document):
    print('\n'.join(table.lines(document)), flush=True)
    if options.json:
        write(options.json, json.dumps(document, indent=1) + '\n')
    if not options.no_html:
        write(options.html, page.make(document))
        print(f'page: {os.path.abspath(options.html)}')
    failed = results.ours_failed(document['workloads'])
    for workload, engine, text in failed:
        print(f'not verified: {workload} {engine}: {text}', file=sys.stderr)
    if document['settings']['interrupted']:
        return 130
    return 1 if failed else 0


def main():
    options = parse_options(sys.argv[1:])
    try:
        return run(options)
    except Trouble as trouble:
        print(f'{os.path.basename(sys.argv[0])}: {trouble}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
