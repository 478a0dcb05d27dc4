# SPDX-License-Identifier: BSD-2-Clause
"""catalog.py - what is measured: workloads, the figures of each, and how they are written

stasis-peer says which engine can do which workload; titles, order and units are here. A workload that
is not known here is measured and shown all the same, under its name.
"""

from collections import namedtuple

# One number of a run. better: 'more' or 'less'. floor: what is below counts as that in comparisons: the
# harness itself needs as much.
Figure = namedtuple('Figure', 'title unit better floor', defaults=(0,))

# What is measured in the same way. main: the figure that a workload is ranked by. rounds: None for as
# many as asked for. together: all engines at once, because they only wait.
Kind = namedtuple('Kind', 'title main figures rounds together', defaults=(False,))

CPU = Figure('CPU time', 'ns', 'less')

KINDS = {
    'throughput': Kind('throughput', 'rate_per_s', {
        'rate_per_s': Figure('deliveries', '/s', 'more'),
        'cpu_ns_per_delivery': CPU}, None),
    'latency': Kind('latency', 'p50', {
        'p50': Figure('p50', 'ns', 'less'),
        'p90': Figure('p90', 'ns', 'less'),
        'p99': Figure('p99', 'ns', 'less'),
        'p99.9': Figure('p99.9', 'ns', 'less'),
        'p99.99': Figure('p99.99', 'ns', 'less'),
        'max': Figure('maximum', 'ns', 'less'),
        'consumer_percent': Figure('CPU of consumers', '%', 'less', 1)}, None),
    'call': Kind('request and reply', 'rate_per_s', {
        'rate_per_s': Figure('calls', '/s', 'more'),
        'cpu_ns_per_delivery': CPU}, None),
    'churn': Kind('subscribe and unsubscribe', 'rate_per_s', {
        'rate_per_s': Figure('pairs', '/s', 'more'),
        'cpu_ns_per_delivery': CPU}, None),
    'memory': Kind('memory', 'bytes_per_subscriber', {
        'bytes_per_subscriber': Figure('idle subscriber', 'bytes', 'less'),
        'bytes_per_queued_message': Figure('queued message', 'bytes', 'less')}, 1),
    'idle': Kind('idle', 'cpu_us_per_s', {
        'cpu_us_per_s': Figure('CPU time', 'us/s', 'less', 100),
        'context_switches_per_s': Figure('context switches', '/s', 'less', 2)}, 1, True),
}

# beside: the workload whose figures stand for peers that have not run this one, because it would be the
# same. weight: how much longer than others its runs are. hint: another workload, whose best peer is named
# where it has nothing like this one, but not ranked. With more threads than CPUs the scheduler decides for
# milliseconds at a time who runs: such runs are longer.
Workload = namedtuple('Workload', 'name title kind beside weight hint', defaults=(None, 1, None))

WORKLOADS = [
    Workload('1:1', '1 publisher, 1 subscriber', 'throughput'),
    Workload('republish', '1:1, one message over and over', 'throughput'),
    Workload('1:10', '1 publisher, 10 subscribers', 'throughput'),
    Workload('1:100', '1 publisher, 100 subscribers', 'throughput'),
    Workload('1:1000', '1 publisher, 1,000 subscribers', 'throughput'),
    Workload('batch-1:10', '10 subscribers, batches of 64', 'throughput', '1:10'),
    Workload('batch-1:100', '100 subscribers, batches of 64', 'throughput', '1:100'),
    Workload('batch-1:1000', '1,000 subscribers, batches of 64', 'throughput', '1:1000'),
    Workload('2:1', '2 publishers, 1 subscriber', 'throughput', weight=2),
    Workload('4:1', '4 publishers, 1 subscriber', 'throughput', weight=2),
    Workload('16:1', '16 publishers, 1 subscriber', 'throughput', weight=2),
    Workload('64:1', '64 publishers, 1 subscriber', 'throughput', weight=2),
    Workload('forward-1000:1', '1,000 topics into one', 'throughput', weight=2, hint='2:1'),
    Workload('1:1/256B', '1:1, 256 bytes', 'throughput'),
    Workload('1:1/4KiB', '1:1, 4 KiB', 'throughput'),
    Workload('1:10/256B', '1:10, 256 bytes', 'throughput'),
    Workload('1:10/4KiB', '1:10, 4 KiB', 'throughput'),
    Workload('latency-1k', '1,000 messages a second', 'latency', weight=4),
    Workload('latency-10k', '10,000 messages a second', 'latency', weight=2),
    Workload('latency-100k', '100,000 messages a second', 'latency'),
    Workload('call', 'request and reply', 'call'),
    Workload('churn-0', 'subscribe and unsubscribe, alone', 'churn'),
    Workload('churn-100', 'the same beside 100 subscribers', 'churn'),
    Workload('cache-update', 'cache: updates of 10,000 ids', 'throughput'),
    Workload('cache-get', 'cache: gets beside updates', 'throughput'),
    Workload('memory', 'memory', 'memory'),
    Workload('idle', 'idle for a second', 'idle'),
]

# Like is compared with like. Most hand messages over to a consuming thread; some call back on the
# thread that publishes or calls: no way from thread to thread, but a slow subscriber holds that one up.
# Where messages come at a pace, a thread that never sleeps between them pays for a short way with a CPU.
HANDED = 'handed'
SPINNING = 'spinning'
INLINE = 'inline'
GROUPS = {HANDED: 'handed over', SPINNING: 'handed over to a thread that does not sleep',
          INLINE: "on the publisher's thread"}
CALL_GROUPS = {HANDED: 'peers that hand over', INLINE: "on the caller's thread"}

# From so much of a CPU on, consumers do not sleep between messages.
SPINNING_PERCENT = 80

# Who comes and goes without a thread or a queue that would have to end: on the caller's thread, too.
CHURN_INLINE = {'zeromq-pubsub', 'nng-pubsub', 'tbb'}

# Ours; what only shows what the machine costs, and is not in the running.
OURS = 'stasis'
CONTROLS = {'futex'}

# Who can publish many messages with one call. For others batch-1:N is 1:N over again, with which ours is
# compared anyway: it is not measured twice.
BATCHING = {'stasis', 'stasis-inline', 'mutex'}

ALLOCATORS = ['glibc', 'jemalloc']

# Outcomes of runs and results; mixed: never in one placement from beginning to end.
OUTCOMES = {'ok', 'stalled', 'failed', 'unsupported', 'mixed'}


def is_ours(engine):
    return engine == OURS or engine.startswith(OURS + '-')


def is_peer(engine):
    return not is_ours(engine) and engine not in CONTROLS


def like(engine, kind, figures):
    """(group, which of ours) a peer is compared with, by its figures, too."""
    if kind == 'churn':
        return (INLINE, 'stasis-inline') if engine in CHURN_INLINE else (HANDED, 'stasis-quiet')
    if engine == 'tbb-lightweight':
        return INLINE, 'stasis-inline'
    # Who calls runs the task in wait_for_all(), as a call of ours runs the callback.
    if engine == 'tbb' and kind == 'call':
        return INLINE, OURS
    used = figures.get('consumer_percent')
    if used is not None and used['median'] >= SPINNING_PERCENT:
        return SPINNING, 'stasis-spin'
    return HANDED, OURS


def group_of_ours(engine):
    return {'stasis-inline': INLINE, 'stasis-spin': SPINNING}.get(engine, HANDED)


def group_title(group, kind):
    return (CALL_GROUPS if kind in ('call', 'churn') else GROUPS)[group]


def workload(name):
    """The workload of this name; one that is not known counts by how it is called."""
    for known in WORKLOADS:
        if known.name == name:
            return known
    kind = name.split('-')[0]
    return Workload(name, name, kind if kind in KINDS else 'throughput')


def better(figure, one, other):
    """Whether one value of a figure is better than another."""
    return one > other if figure.better == 'more' else one < other


def factor(figure, one, other):
    """How many times better one value is than another: above 1 it is. None: there is no saying."""
    one, other = max(one, figure.floor), max(other, figure.floor)
    if one <= 0 or other <= 0:
        return None
    return one / other if figure.better == 'more' else other / one


def digits(value):
    """Three digits, no exponent."""
    if value >= 100 or value == 0:
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.2f}' if value >= 0.1 else f'{value:.3f}'


def scaled(value, steps):
    """In the largest unit that leaves at least one before the point: steps is [(size, unit)...]."""
    for size, unit in steps:
        # What would be rounded up to the next unit is of that.
        if value >= size * 0.9995:
            return f'{digits(value / size)} {unit}'.rstrip()
    return f'{digits(value)} {steps[-1][1]}'.rstrip()


UNITS = {
    '/s': [(1e9, 'G/s'), (1e6, 'M/s'), (1e3, 'k/s'), (1, '/s')],
    'ns': [(1e9, 's'), (1e6, 'ms'), (1e3, 'µs'), (1, 'ns')],
    'us/s': [(1e3, 'ms/s'), (1, 'µs/s')],
    '%': [(1, '%')],
    'bytes': [(1 << 20, 'MiB'), (1 << 10, 'KiB'), (1, 'B')],
}


def text(value, unit):
    """A value for people."""
    return scaled(value, UNITS[unit])


def span(low, high, unit):
    """A range for people; its unit once, if it is the same."""
    low, high = text(low, unit), text(high, unit)
    if low.split(' ')[1:] == high.split(' ')[1:]:
        low = low.split(' ')[0]
    return f'{low} \u2013 {high}'


def times(value):
    """A factor for people."""
    return '' if value is None else f'{digits(value)}\u00d7'
