#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""fake_peer.py - stands in for stasis-peer: speaks as it does, measures nothing, errs on demand

FAKE_PEER names a JSON file: {"ENGINE": {"title":, "version":, "workloads": {"WORKLOAD": [BEHAVIOUR...]}}};
the behaviours of a workload take turns, run by run. A behaviour is {"run": members of the run's object,
"jemalloc": what is different with jemalloc preloaded} or one of {"hang": true}, {"say": TEXT, "status": N},
{"signal": N}. FAKE_PEER_LOG names a file to which every run appends a line; turns are counted in it.
That name with .pids is of a file for the processes that hang.
"""

import json
import os
import signal
import sys
import time

SETTINGS = 'none; it is not real'


def show_list(engines, missing):
    print(json.dumps({
        'engines': [{'name': name, 'title': engine.get('title', name),
                     'version': engine.get('version', '1.0'), 'settings': SETTINGS,
                     'workloads': list(engine['workloads'])} for name, engine in engines.items()],
        'missing': missing, 'workloads': []}))


def count(path, line):
    """Appends the line; returns how many like it there were."""
    before = 0
    if os.path.exists(path):
        with open(path, encoding='utf-8') as stream:
            before = stream.read().splitlines().count(line)
    with open(path, 'a', encoding='utf-8') as stream:
        stream.write(line + '\n')
    return before


def main():
    with open(os.environ['FAKE_PEER'], encoding='utf-8') as stream:
        plan = json.load(stream)
    missing = plan.pop('missing', [])
    options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    if '--list' in sys.argv:
        show_list(plan, missing)
        return 0
    engine, workload = options['--engine'], options['--workload']
    allocator = 'jemalloc' if os.environ.get('LD_PRELOAD') else 'glibc'
    turns = plan[engine]['workloads'][workload]
    turn = count(os.environ['FAKE_PEER_LOG'], f'{workload} {engine} {allocator}')
    behaviour = turns[turn % len(turns)]
    if behaviour.get('hang'):
        # What it leaves behind is to be ended as well.
        behind = os.fork()
        if behind > 0:
            with open(os.environ['FAKE_PEER_LOG'] + '.pids', 'a', encoding='utf-8') as stream:
                stream.write(f'{os.getpid()} {behind} ')
        time.sleep(600)
    if 'signal' in behaviour:
        os.kill(os.getpid(), behaviour['signal'])
        signal.pause()
    if 'say' in behaviour:
        sys.stdout.write(behaviour['say'])
        return behaviour.get('status', 0)
    run = {'engine': engine, 'workload': workload, 'kind': 'throughput', 'outcome': 'ok', 'text': '',
           'seconds': float(options['--seconds']), 'round_trip_ns': [110.0, 112.0],
           'placement': 'two cores', 'allocator': allocator, **behaviour['run']}
    if allocator == 'jemalloc':
        run.update(behaviour.get('jemalloc', {}))
    print(json.dumps(run))
    return behaviour.get('status', 0)


if __name__ == '__main__':
    sys.exit(main())
