# SPDX-License-Identifier: BSD-2-Clause
"""child.py - one run of stasis-peer: a process of its own, and what it says, checked

Whatever becomes of the process, the answer is one run: a dictionary with an outcome, and a text that
says why if that is not ok. A peer may crash, hang or print nonsense: it must not take the others with it.
"""

import json
import math
import os
import signal
import subprocess

import catalog

# Percentiles of latencies.
PERCENTILES = {50: 'p50', 90: 'p90', 99: 'p99', 99.9: 'p99.9', 99.99: 'p99.99', 100: 'max'}

# What a process may need beyond what it was asked to measure: a thousand threads, a stall that it
# notices itself, three seconds of rest before an idle one is looked at.
GRACE_SECONDS = 15
TEXT_MAX = 160


class Nonsense(ValueError):
    """What was printed is not a run."""


def figures(run):
    """{figure: value} of a run that is ok. A percentile counts only where a sample lies beyond it."""
    if run['kind'] == 'latency':
        values = {PERCENTILES[at]: ns for at, ns in run['percentiles'] if at in PERCENTILES and
                  (at == 100 or run['messages'] * (100 - at) >= 100 * 0.999)}
        names = ['consumer_percent']
    else:
        values, names = {}, catalog.KINDS[run['kind']].figures
    values.update({name: run[name] for name in names if run.get(name) is not None})
    return values


def parse(text):
    """The JSON object that is all of a text."""
    def refuse(constant):
        raise Nonsense(f'{constant} is no figure')

    try:
        value = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise Nonsense(f'not JSON: {text.strip()[:60]!r} ({error.msg})') from error
    if not isinstance(value, dict):
        raise Nonsense(f'not an object: {text.strip()[:60]!r}')
    return value


def check_figures(run):
    """A run that is ok has the figure that it is ranked by, and nothing impossible."""
    kind = catalog.KINDS[run['kind']]
    try:
        values = figures(run)
    except (KeyError, TypeError, ValueError) as error:
        raise Nonsense(f'no percentiles: {error}') from error
    if kind.main not in values:
        raise Nonsense(f'no {kind.main}')
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) \
                or not math.isfinite(value) or value < 0:
            raise Nonsense(f'{name} is {value!r}')
    if kind.figures[kind.main].better == 'more' and values[kind.main] <= 0:
        raise Nonsense(f'{kind.main} is {values[kind.main]!r}')


def check(run, workload, engine, allocator):
    """That it is the run that was asked for, and whole."""
    for name, wanted in (('engine', engine), ('workload', workload), ('allocator', allocator)):
        if name in run and run[name] != wanted:
            raise Nonsense(f'{name} is {run[name]!r}, asked for was {wanted!r}')
    if run.get('outcome') not in catalog.OUTCOMES:
        raise Nonsense(f'outcome is {run.get("outcome")!r}')
    if run['outcome'] != 'ok':
        return
    if 'allocator' not in run:
        raise Nonsense('no allocator')
    if run.get('kind') not in catalog.KINDS:
        raise Nonsense(f'kind is {run.get("kind")!r}')
    check_figures(run)


def environment(allocator, jemalloc):
    """As ours, but for what is preloaded."""
    env = {name: value for name, value in os.environ.items() if name != 'LD_PRELOAD'}
    if allocator == 'jemalloc':
        env['LD_PRELOAD'] = jemalloc
    return env


def kill(process):
    """The process, and all that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    # Not communicate(): should something have got away with its end of the pipe, that would wait for it.
    process.wait()


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1].strip()[:TEXT_MAX] if lines else ''


def execute(command, env, timeout):
    """(exit status, standard output, standard error); None in place of the status: not in time."""
    with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, start_new_session=True, encoding='utf-8',
                          errors='replace') as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            kill(process)
            return None, '', ''
        except BaseException:
            kill(process)
            raise
        return process.returncode, out, err


def measure(program, workload, engine, allocator, *, seconds, jemalloc=None, grace=GRACE_SECONDS):
    """One run."""
    run = {'engine': engine, 'workload': workload, 'kind': catalog.workload(workload).kind,
           'allocator': allocator}
    command = [program, '--engine', engine, '--workload', workload, '--seconds', f'{seconds:g}']
    timeout = grace + 4 * seconds
    try:
        status, out, err = execute(command, environment(allocator, jemalloc), timeout)
    except OSError as error:
        return dict(run, outcome='failed', text=f'{program}: {error.strerror}')
    if status is None:
        return dict(run, outcome='stalled', killed=True,
                    text=f'killed after {timeout:g} s without an end')
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f'signal {-status}'
        return dict(run, outcome='failed', text=f'ended by {name} {last_line(err)}'.rstrip())
    try:
        found = parse(out)
        check(found, workload, engine, allocator)
        if status != 0 and found['outcome'] == 'ok':
            raise Nonsense(f'exit status {status} {last_line(err)}'.rstrip())
    except Nonsense as error:
        why = last_line(err) if status != 0 and not out.strip() else str(error)
        return dict(run, outcome='failed', text=(why or f'exit status {status}')[:TEXT_MAX])
    return dict(run, **found)
