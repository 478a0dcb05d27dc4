#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs stasis-bench as briefly as it goes and checks the JSON file that it writes.

usage: smoke.py STASIS_BENCH [OPTION...]
"""

import json
import os
import subprocess
import sys
import tempfile

THROUGHPUT = ['1:1', 'republish', '1:10', '1:100', '1:1000', 'batch-1:10', 'batch-1:100',
              'batch-1:1000', '2:1', '4:1', '16:1', '64:1', 'forward-1000:1',
              'cache-update', 'cache-update-16:1id', 'cache-get']
LATENCY = ['latency-inline', 'latency-spin', 'latency-spin-park', 'latency-park']
BASELINES = {'bare ring', 'ck_ring', 'mutex', 'rwlock'}


def check_run(where, run, figure):
    if where[1] == 'ck_ring' and run['outcome'] == 'stalled':
        return
    assert run['outcome'] == 'ok', (where, run)
    assert run[figure] > 0, (where, run)
    assert run['placement'], (where, run)
    assert len(run['round_trip_ns']) == 2, (where, run)


def check_throughput(report, baselines):
    assert [row['workload'] for row in report['throughput']] == THROUGHPUT
    seen = set()
    for row in report['throughput']:
        assert row['engines'][0]['engine'] == 'stasis', row
        assert len(row['engines']) > 1 or not baselines or row['upstream_topics'] > 0, row
        assert (row['ids'] > 0) == row['workload'].startswith('cache-'), row
        for engine in row['engines']:
            where = row['workload'], engine['engine']
            seen.add(engine['engine'])
            assert engine['runs'], where
            for run in engine['runs']:
                if row['readers'] > 0:
                    check_run(where, run, 'gets_per_s')
                    assert run['updates_per_s'] > 0, (where, run)
                else:
                    check_run(where, run, 'deliveries_per_s')
    assert seen == {'stasis'} | (BASELINES if baselines else set()), seen


def check_latency(report, baselines):
    names = [row['workload'] for row in report['latency']]
    assert names == LATENCY + (['futex'] if baselines else []), names
    for row in report['latency']:
        for run in row['runs']:
            check_run((row['workload'], 'stasis'), run, 'p50_ns')
            assert run['p50_ns'] <= run['p90_ns'] <= run['p99_ns'] <= run['p99.9_ns'] \
                <= run['max_ns'], run


def main():
    program, options = sys.argv[1], sys.argv[2:]
    baselines = '--no-baselines' not in options
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'report.json')
        command = [program, '--quick', '--seconds', '0.05', '--repeat', '1', '--json', path]
        subprocess.run(command + options, check=True)
        with open(path, encoding='utf-8') as stream:
            report = json.load(stream)
    assert report['passed'] is True
    assert report['machine']['cpus_used'] > 0
    check_throughput(report, baselines)
    check_latency(report, baselines)
    assert report['idle']['outcome'] == 'ok', report['idle']
    # With a sanitizer the allocator may not count.
    assert report['memory']['outcome'] in ('ok', 'not counted'), report['memory']


if __name__ == '__main__':
    main()
