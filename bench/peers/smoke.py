#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs every engine of stasis-peer as briefly as it goes on one workload of each kind and checks the
JSON; then once more with a loss made on purpose, which must be found.

usage: smoke.py [--preload JEMALLOC] STASIS_PEER [ENGINE...]
"""

import argparse
import json
import os
import subprocess

KINDS = {'throughput', 'latency', 'call', 'churn', 'memory', 'idle'}
OWN = {'stasis', 'stasis-park', 'stasis-spin', 'stasis-inline', 'stasis-quiet', 'mutex', 'rwlock',
       'futex'}
# One of each kind, and a fan-out.
WORKLOADS = ['1:1', '1:10', 'republish', '2:1', 'forward-1000:1', 'cache-update', 'cache-get',
             'latency-10k', 'call', 'churn-100', 'memory', 'idle']
# With a loss. The control has no messages: its receiver counts.
LOSSY = ['1:1', '2:1', 'cache-update', 'latency-10k', 'call', 'churn-100']
CONTROL = 'futex'
# Who goes away drops what is under way, so there may be no callback to be late.
DROPPING = {'nng-pubsub'}

# Options, and what the message must mention.
BAD = [
    ([], '--engine'),
    (['--engine', 'mutex'], '--workload'),
    (['--workload', '1:1'], '--engine'),
    (['--engine', 'nonsense'], 'nonsense'),
    (['--workload', 'nonsense'], 'nonsense'),
    (['--list', '--seconds', '0'], 'seconds'),
    (['--list', '--seconds', 'nan'], 'seconds'),
    (['--list', '--payload', '15'], 'payload'),
    (['--list', '--payload', '20.5'], 'whole'),
    (['--list', '--window', '255'], 'window'),
    (['--list', '--limit', '0'], 'limit'),
    (['--list', '--settle', '-1'], 'settle'),
    (['--list', '--nonsense'], 'nonsense'),
    (['nonsense'], 'nonsense'),
]


def start(program, *options, **arguments):
    return subprocess.run([program, *options], capture_output=True, text=True, check=False,
                          timeout=100, **arguments)


def run(program, *options, **arguments):
    result = start(program, *options, **arguments)
    assert result.returncode == 0, (options, result)
    assert result.stderr == '', (options, result)
    return json.loads(result.stdout)


def run_briefly(program, engine, workload, *options, **arguments):
    """For longer when others had all the CPU, so that nothing came of it."""
    for seconds in '0.05', '0.5', '2':
        result = run(program, '--engine', engine, '--workload', workload, '--seconds', seconds,
                     '--limit', '60', '--settle', '0.05', *options, **arguments)
        if result['outcome'] != 'stalled':
            break
    return result


def check_rate(where, result):
    for figure in ('rate_per_s', 'seconds', 'deliveries', 'cpu_ns_per_delivery'):
        assert result[figure] > 0, (where, figure, result)
    assert result['preemptions'] >= 0, (where, result)
    expected = result['deliveries'] / result['seconds']
    assert abs(result['rate_per_s'] - expected) < 0.01 * expected, (where, result)


def check_latency(where, result):
    points = dict(map(tuple, result['percentiles']))
    assert list(points) == [50, 90, 99, 99.9, 99.99, 100], (where, points)
    curve = result['curve']
    assert 30 <= len(curve) <= 61, (where, len(curve))
    for line in result['percentiles'], curve:
        assert line == sorted(line), (where, line)
        assert all(ns > 0 for _, ns in line), (where, line)
    assert curve[0][0] == 0 and curve[-1] == [1, points[100]], (where, curve)
    assert result['messages'] > 0, (where, result)
    # Who delivers on the publisher's thread has no consumers; who never sleeps has one CPU's worth,
    # unless the machine is busy.
    used = result['consumer_percent']
    assert 0 <= used < 400, (where, used)
    if where[0] in ('stasis-inline', 'tbb-lightweight'):
        assert used < 20, (where, used)


def check_memory(where, result):
    """A sanitizer's allocator does not count, and others have allocators of their own."""
    for figure, least in ('bytes_per_subscriber', 64), ('bytes_per_queued_message', 16):
        if figure in result:
            assert result[figure] > least, (where, figure, result)
        else:
            assert where[0] not in OWN or result['allocator'] == 'unknown', (where, result)
    for by in 'subscribers_counted_by', 'messages_counted_by':
        assert result.get(by, 'allocator') in ('allocator', 'resident set'), (where, result)


def check_idle(where, result):
    assert result['seconds'] > 0, (where, result)
    assert 0 <= result['cpu_us_per_s'] < 1e6, (where, result)
    assert result['context_switches_per_s'] >= 0, (where, result)


CHECKS = {'throughput': check_rate, 'call': check_rate, 'churn': check_rate,
          'latency': check_latency, 'memory': check_memory, 'idle': check_idle}


def check_result(where, kind, result):
    engine, workload = where
    assert (result['engine'], result['workload'], result['kind']) == (engine, workload, kind), \
        (where, result)
    assert result['allocator'] in ('glibc', 'jemalloc', 'unknown'), (where, result)
    assert result['outcome'] == 'ok' and result['text'] == '', (where, result)
    if kind not in ('memory', 'idle'):
        assert len(result['round_trip_ns']) == 2 and result['placement'], (where, result)
    assert (result.get('pinning') in ('one CPU', 'two CPUs')) == (kind in ('call', 'churn')), \
        (where, result)
    CHECKS[kind](where, result)


def check_list(listing):
    names = [engine['name'] for engine in listing['engines']]
    assert len(set(names)) == len(names), names
    assert OWN <= set(names), names
    workloads = {workload['name']: workload['kind'] for workload in listing['workloads']}
    assert set(workloads.values()) == KINDS, workloads
    assert set(WORKLOADS) <= set(workloads), workloads
    for engine in listing['engines']:
        assert engine['title'] and engine['version'] and engine['settings'], engine
        assert engine['workloads'] and set(engine['workloads']) <= set(workloads), engine
    for missing in listing['missing']:
        assert missing['name'] not in names and missing['package'].startswith('lib'), missing
    assert set(listing['engines'][0]['workloads']) == set(workloads), 'the library does it all'
    return workloads


def check_losses(program, engine):
    for workload in LOSSY:
        if workload not in engine['workloads'] or engine['name'] == CONTROL:
            continue
        if workload == 'churn-100' and engine['name'] in DROPPING:
            continue
        result = run_briefly(program, engine['name'], workload, '--limit', '0.5', '--lose')
        where = engine['name'], workload
        assert result['outcome'] == 'failed', (where, result)
        assert result['text'], (where, result)
        assert 'rate_per_s' not in result and 'percentiles' not in result, (where, result)


def check_refused(program):
    for options, mention in BAD:
        result = start(program, *options)
        assert result.returncode == 2, (options, result)
        assert mention in result.stderr and result.stdout == '', (options, result)
    for options, mention in [(['--help'], '--workload'), (['--version'], 'stasis-peer')]:
        result = start(program, *options)
        assert result.returncode == 0 and mention in result.stdout, (options, result)


def check_preload(program, library):
    """The C library's allocator, unless another is preloaded, for the library too."""
    for allocator, preload in ('glibc', {}), ('jemalloc', {'LD_PRELOAD': library}):
        result = run_briefly(program, 'stasis', '1:1', env={**os.environ, **preload})
        assert result['outcome'] == 'ok' and result['allocator'] == allocator, (preload, result)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--preload')
    parser.add_argument('program')
    parser.add_argument('engines', nargs='*')
    arguments = parser.parse_args()
    program, only = arguments.program, arguments.engines
    check_refused(program)
    if arguments.preload:
        check_preload(program, arguments.preload)
    listing = run(program, '--list')
    workloads = check_list(listing)
    for engine in listing['engines']:
        if only and engine['name'] not in only:
            continue
        for workload in WORKLOADS:
            if workload not in engine['workloads']:
                continue
            result = run_briefly(program, engine['name'], workload)
            check_result((engine['name'], workload), workloads[workload], result)
        check_losses(program, engine)
    for missing in listing['missing']:
        print(f'not there: {missing["name"]}, package {missing["package"]}')
    result = run(program, '--engine', CONTROL, '--workload', '1:1')
    assert result['outcome'] == 'unsupported' and result['text'], result


if __name__ == '__main__':
    main()
