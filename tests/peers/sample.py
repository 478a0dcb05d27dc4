# SPDX-License-Identifier: BSD-2-Clause
"""sample.py - a document with all that a page can show, made up: the same every time"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '../../bench/peers'))

import catalog
import conduct
import peers

ENGINES = {
    'stasis': 'libstasis', 'stasis-spin': 'libstasis, spinning',
    'stasis-inline': 'libstasis, inline', 'tbb-lightweight': 'Light graph', 'mutex': 'mutex & vector',
    'rwlock': 'table under a rwlock', 'futex': 'bare futex', 'alpha-pubsub': 'Alpha <PUB/SUB>',
    'alpha-pushpull': 'Alpha PUSH/PULL', 'beta': 'Beta "queues" 100 %', 'gamma': 'Gamma',
}
QUEUES = {'stasis': 30e6, 'mutex': 9e6, 'alpha-pubsub': 5e6, 'alpha-pushpull': 8e6, 'beta': 4e6,
          'gamma': 6e6, 'stasis-inline': 40e6, 'tbb-lightweight': 12e6}
LATENCIES = {'stasis': 31e3, 'stasis-spin': 750, 'stasis-inline': 150,
             'tbb-lightweight': 120, 'futex': 30e3, 'mutex': 39e3,
             'alpha-pubsub': 45e3, 'gamma': 52e3}
CACHES = {'stasis': 7e6, 'rwlock': 3e6}
MISSING = [{'name': 'delta-pubsub', 'package': 'libdelta-dev'},
           {'name': 'delta-reqrep', 'package': 'libdelta-dev'}]
# Who breaks what: (outcome, text).
BROKEN = {('1:1000', 'gamma'): ('failed', 'lost <3> messages'),
          ('64:1', 'beta'): ('stalled', '12 messages not delivered'),
          ('1:1/4KiB', 'alpha-pubsub'): ('unsupported', '')}


def engines_of(workload):
    """{engine: its figure, about} of a workload."""
    if workload.name.startswith('cache-'):
        return CACHES
    if workload.kind == 'latency':
        return LATENCIES
    if workload.kind == 'idle':
        return {'stasis': 20.0, 'mutex': 18.0, 'alpha-pubsub': 2600.0}
    if workload.kind == 'memory':
        return {'stasis': 448.0, 'mutex': 300.0, 'alpha-pubsub': 65e3}
    if workload.name.startswith('batch-'):
        return {'stasis': 100e6, 'mutex': 120e6, 'alpha-pubsub': 5e6}
    if workload.name.startswith('forward-'):
        return {engine: rate for engine, rate in QUEUES.items() if engine != 'mutex'}
    return QUEUES


def shape(number):
    """A run is a little slower or faster than the next."""
    return 1 + (number * 7 % 5 - 2) / 25


def latency_run(typical):
    samples = [(0.5, 1), (0.9, 1.3), (0.99, 2), (0.999, 8), (0.9999, 40)]
    curve = [[1 - 10 ** (-i / 4), typical * (1 + (i / 5) ** 2)] for i in range(17)]
    return {'messages': 20000, 'curve': curve + [[1.0, 60 * typical]],
            'percentiles': [[100 * at, typical * x] for at, x in samples] + [[100, 60 * typical]]}


def make_run(cell, number):
    typical = engines_of(cell.workload)[cell.engine] * shape(number)
    run = {'engine': cell.engine, 'workload': cell.workload.name, 'kind': cell.workload.kind,
           'outcome': 'ok', 'text': '', 'allocator': cell.allocator, 'placement': 'two cores',
           'round_trip_ns': [110.0, 118.0]}
    outcome = BROKEN.get((cell.workload.name, cell.engine))
    if outcome is not None:
        return dict(run, outcome=outcome[0], text=outcome[1])
    if cell.workload.kind == 'latency':
        return dict(run, **latency_run(typical))
    if cell.allocator == 'jemalloc' and cell.engine != 'mutex':
        typical *= 1.25
    if cell.workload.kind == 'memory':
        return dict(run, bytes_per_subscriber=typical, bytes_per_queued_message=96.0,
                    subscribers_counted_by='allocator', placement='')
    if cell.workload.kind == 'idle':
        return dict(run, cpu_us_per_s=typical, context_switches_per_s=typical / 10, placement='')
    return dict(run, rate_per_s=typical, cpu_ns_per_delivery=1.7e9 / typical)


class Silence:
    """A progress that tells nothing."""

    def __getattr__(self, name):
        return lambda *arguments: None


def available():
    workloads = {name: [w.name for w in catalog.WORKLOADS if name in engines_of(w)]
                 for name in ENGINES}
    return {'engines': [{'name': name, 'title': title, 'version': '1.2', 'workloads': workloads[name],
                         'settings': f'{title}, as advised'} for name, title in ENGINES.items()],
            'missing': MISSING, 'machine': {'cpu': 'Imaginary & Sons 9000', 'cpus': 2,
                                            'compiler': 'gcc 12'}}


def document():
    """As after a run."""
    found = available()
    options = peers.parse_options(['--program', 'none', '--build', 'release'])
    engines = peers.chosen_engines(found, [])
    cells = peers.make_cells(engines, peers.chosen_workloads(engines, []), catalog.ALLOCATORS)
    conductor = conduct.Conductor(cells, rounds=5, seconds=0.25)
    conductor.conduct(lambda cell, seconds: make_run(cell, len(cell.runs)), Silence())
    return peers.make_document(options, found, engines, cells, conductor, catalog.ALLOCATORS, False)
