#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sends invented calls through channel-monitor, and compares what it says with a model.

usage: test_monitor.py --monitor PROGRAM --traffic PROGRAM [--sanitized] [--tsan]
       [unittest options]
"""

import argparse
import collections
import errno
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from crowd import DEADLINE, Server

LINE_MAX = 65536
STATES = ['Down', 'Rsrvd', 'OffHook', 'Dialing', 'Ring', 'Ringing', 'Up', 'Busy',
          'Dialing Offhook', 'Pre-ring']
CHANGES = ['created', 'state', 'caller', 'connected', 'account', 'language', 'dialplan', 'hangup',
           'gone']

args = None


class Bad(Exception):
    """A line that does not count."""


def unique(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise Bad('duplicate key')
    return result


DECODER = json.JSONDecoder(object_pairs_hook=unique)


def text(event, key, may_be_empty=True):
    value = event.get(key)
    if not isinstance(value, str) or not (value or may_be_empty):
        raise Bad(key)
    value.encode() # half a surrogate pair: UnicodeEncodeError, a ValueError
    return value


def integer(event, key):
    value = event.get(key)
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise Bad(key)
    return value


def person(event):
    return {'name': text(event, 'name'), 'number': text(event, 'number')}


def state(event):
    name = text(event, 'state')
    if name not in STATES:
        raise Bad('state')
    return name


def place(event):
    return {'context': text(event, 'context'), 'exten': text(event, 'exten'),
            'priority': integer(event, 'priority')}


# Event: the change it makes, the member of the snapshot that it sets, and to what.
SETTERS = {
    'state': ('state', 'state', state),
    'callerid': ('caller', 'caller', person),
    'connected': ('connected', 'connected', person),
    'account': ('account', 'accountcode', lambda event: text(event, 'account')),
    'language': ('language', 'language', lambda event: text(event, 'language')),
    'dialplan': ('dialplan', 'dialplan', place),
}


class Model:
    """What channel-monitor has to make of its input, one line after the other."""

    def __init__(self, on_update=None):
        self.on_update = on_update # called with the old snapshot and the new one; or a variable
        self.channels = {}
        self.changes = collections.Counter()
        self.counts = collections.Counter()
        self.bad = [] # line numbers
        self.number = 0

    def update(self, change, old, new):
        self.counts['updates'] += 1
        self.changes[change] += 1
        if self.on_update:
            self.on_update(old, new)

    def create(self, event):
        channel, name = text(event, 'id', False), text(event, 'name', False)
        if channel in self.channels:
            raise Bad('exists')
        nobody = {'name': '', 'number': ''}
        new = {'id': channel, 'name': name, 'state': 'Down', 'caller': nobody,
               'connected': nobody, 'accountcode': '', 'language': '',
               'dialplan': {'context': '', 'exten': '', 'priority': 0}, 'hangupcause': 0}
        self.channels[channel] = new
        self.counts['created'] += 1
        self.update('created', None, new)

    def set(self, old, change, member, value):
        if old[member] == value:
            return old
        new = {**old, member: value}
        self.channels[new['id']] = new
        self.update(change, old, new)
        return new

    def variable(self, old, event):
        name, value = text(event, 'name', False), text(event, 'value')
        self.counts['variables'] += 1
        if self.on_update:
            self.on_update({'type': 'variable', 'name': name, 'value': value, 'channel': old})

    def event(self, event):
        kind = event.get('event')
        if kind == 'create':
            self.create(event)
            return
        if not isinstance(kind, str):
            raise Bad('event')
        old = self.channels.get(text(event, 'id'))
        if old is None:
            raise Bad('no channel')
        if kind == 'variable':
            self.variable(old, event)
        elif kind == 'hangup':
            last = self.set(old, 'hangup', 'hangupcause', integer(event, 'cause'))
            del self.channels[last['id']]
            self.counts['hung_up'] += 1
            self.update('gone', last, None)
        elif kind in SETTERS:
            change, member, value = SETTERS[kind]
            self.set(old, change, member, value(event))
        else:
            raise Bad('unknown event')

    def line(self, line):
        """A line without its end."""
        self.number += 1
        try:
            if len(line) > LINE_MAX or b'\0' in line or b'\\u0000' in line:
                raise Bad('bytes')
            event = DECODER.decode(line.decode())
            if not isinstance(event, dict):
                raise Bad('no object')
            self.event(event)
            self.counts['events'] += 1
        except (Bad, ValueError):
            self.counts['bad'] += 1
            self.bad.append(self.number)

    def summary(self):
        states = collections.Counter(c['state'] for c in self.channels.values())
        names = ('events', 'created', 'hung_up', 'variables', 'updates', 'bad')
        return {'states': dict(states), 'channels': len(self.channels),
                'changes': {change: self.changes[change] for change in CHANGES},
                **{name: self.counts[name] for name in names}}


def without_times(snapshot):
    """A snapshot of which the model knows all."""
    if snapshot is None:
        return None
    result = dict(snapshot)
    assert result.pop('creationtime').endswith('+00:00'), snapshot
    return result


def lines_of(*events):
    return b''.join(json.dumps(event).encode() + b'\n' for event in events)


def create(channel):
    return {'event': 'create', 'id': channel, 'name': 'SIP/' + channel}


class MonitorTest(unittest.TestCase):
    maxDiff = 4000

    def traffic(self, *options):
        done = subprocess.run([args.traffic, *options], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, timeout=DEADLINE)
        self.assertEqual((done.returncode, done.stderr), (0, b''))
        return done.stdout

    def monitor(self, *options, data=b'', **more):
        """(exit status, stdout, stderr)"""
        done = subprocess.run([args.monitor, *options], input=data, check=False, timeout=DEADLINE,
                              stderr=subprocess.PIPE, **{'stdout': subprocess.PIPE, **more})
        output = done.stdout.decode() if done.stdout is not None else None
        return done.returncode, output, done.stderr.decode()

    def file_of(self, data):
        file = tempfile.NamedTemporaryFile(prefix='monitor-')
        self.addCleanup(file.close)
        file.write(data)
        file.flush()
        return file.name

    def check_end(self, model, output):
        """The dump and the summary behind it, of --dump --summary --json."""
        *dump, summary = [json.loads(line) for line in output.splitlines()]
        self.assertEqual(summary, model.summary())
        self.assertEqual(len(dump), len(model.channels))
        for snapshot in dump:
            self.assertEqual(without_times(snapshot), model.channels[snapshot['id']])

    def check_bad(self, model, errors, name):
        prefix = f'channel-monitor: {name}:'
        numbers = []
        for line in errors.splitlines():
            self.assertTrue(line.startswith(prefix), line)
            number, reason = line[len(prefix):].split(': ', 1)
            self.assertTrue(reason)
            numbers.append(int(number))
        self.assertEqual(numbers, model.bad)


class TrafficTest(MonitorTest):
    def test_seed(self):
        options = ['--calls', '200', '--bad', '0.1', '--open', '0.1', '--concurrent', '20']
        first = self.traffic(*options, '--seed', '7')
        self.assertEqual(first, self.traffic(*options, '--seed', '7'))
        self.assertNotEqual(first, self.traffic(*options, '--seed', '8'))

    def test_every_call(self):
        """All lines are good, each call has two channels, and all end."""
        model = Model()
        causes = collections.Counter()
        for line in self.traffic('--calls', '3000').splitlines():
            model.line(line)
            causes[json.loads(line).get('cause')] += 1
        self.assertEqual((model.bad, model.channels), ([], {}))
        self.assertEqual((model.counts['created'], model.counts['hung_up']), (6000, 6000))
        self.assertEqual(set(causes), {None, 16, 17, 19})
        self.assertGreater(causes[16], causes[17] + causes[19])
        self.assertEqual(set(change for change in CHANGES if model.changes[change] == 0), set())

    def test_fractions(self):
        model = Model()
        for line in self.traffic('--calls', '3000', '--bad', '0.05', '--open', '0.2') \
                .split(b'\n')[:-1]:
            model.line(line)
        self.assertAlmostEqual(model.counts['bad'] / model.counts['events'], 0.05, delta=0.01)
        # Some have lost a leg before.
        self.assertGreater(len(model.channels), 3000 * 0.2 * 0.9)
        self.assertLess(len(model.channels), 3000 * 0.2 * 2.2)

    def test_concurrent(self):
        for n in (1, 50):
            model, most = Model(), 0
            for line in self.traffic('--calls', '500', '--concurrent', str(n)).splitlines():
                model.line(line)
                most = max(most, len(model.channels))
            self.assertGreater(most, n)
            self.assertLessEqual(most, 2 * n)

    def test_none(self):
        self.assertEqual(self.traffic('--calls', '0'), b'')

    def test_memory(self):
        """It does not grow with the number of calls."""
        if args.sanitized:
            self.skipTest('the sanitizers have an allocator of their own')
        peaks = []
        for calls in ('1000', '50000'):
            process = subprocess.Popen([args.traffic, '--calls', calls, '--open', '0.5'],
                                       stdout=subprocess.DEVNULL)
            _, process.returncode, usage = os.wait4(process.pid, 0)
            self.assertEqual(process.returncode, 0)
            peaks.append(usage.ru_maxrss)
        self.assertLess(peaks[1] - peaks[0], 2048)

    def test_wrong(self):
        for options in (['--calls', '-1'], ['--calls', 'x'], ['--concurrent', '0'],
                        ['--bad', '1.5'], ['--open', 'nan'], ['--seed', ''], ['x']):
            with self.subTest(options):
                done = subprocess.run([args.traffic, *options], stdin=subprocess.DEVNULL,
                                      capture_output=True, check=False, timeout=DEADLINE)
                self.assertEqual((done.returncode, done.stdout), (2, b''))
                self.assertIn(options[-1].encode(), done.stderr)

    def test_full_disk(self):
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([args.traffic], stdin=subprocess.DEVNULL, stdout=full,
                                  stderr=subprocess.PIPE, check=False, timeout=DEADLINE)
        self.assertEqual(done.returncode, 2)
        self.assertIn(os.strerror(errno.ENOSPC).encode(), done.stderr)


class ModelTest(MonitorTest):
    """Many calls, by a pipe; and fewer, update by update."""

    def test_many(self):
        calls = '2000' if args.sanitized else '100000'
        command = [args.traffic, '--calls', calls, '--seed', '11', '--concurrent', '2000',
                   '--bad', '0.001', '--open', '0.01']
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            traffic = subprocess.Popen(command, stdout=subprocess.PIPE)
            monitor = subprocess.Popen([args.monitor, '--dump', '--summary', '--json'],
                                       stdin=traffic.stdout, stdout=output, stderr=errors)
            traffic.stdout.close()
            # The same once more, for the model.
            model = Model()
            with subprocess.Popen(command, stdout=subprocess.PIPE) as again:
                for line in again.stdout:
                    model.line(line[:-1])
            self.assertEqual((traffic.wait(DEADLINE), monitor.wait(DEADLINE)), (0, 1))
            output.seek(0)
            errors.seek(0)
            self.check_end(model, output.read().decode())
            self.check_bad(model, errors.read().decode(), 'stdin')
        self.assertEqual(model.counts['created'], 2 * int(calls))
        self.assertGreater(len(model.channels), int(calls) // 100)
        self.assertGreater(len(model.bad), 10)

    def test_updates(self):
        """Each update, in order, with the old snapshot and the new one."""
        expected = []
        model = Model(lambda *update: expected.append(update))
        data = self.traffic('--calls', '300', '--seed', '3', '--bad', '0.01', '--open', '0.1')
        for line in data.split(b'\n')[:-1]:
            model.line(line)
        status, output, errors = self.monitor('--json', data=data)
        self.assertEqual(status, 1)
        self.check_bad(model, errors, 'stdin')
        got = [json.loads(line) for line in output.splitlines()]
        self.assertEqual(len(got), len(expected))
        for update, wanted in zip(got, expected):
            self.assertTrue(update.pop('timestamp').endswith('+00:00'))
            if len(wanted) == 1:
                update['channel'] = without_times(update['channel'])
                self.assertEqual(update, wanted[0])
                continue
            self.assertEqual(update['type'], 'stasis_cache_update')
            self.assertEqual(update['snapshot_type'], 'stasis_channel_snapshot')
            pair = tuple(without_times(update[key] and update[key]['channel'])
                         for key in ('old', 'new'))
            self.assertEqual(pair, wanted)

    def test_memory(self):
        """It does not grow with the input, though printing is slower than reading."""
        if args.sanitized:
            self.skipTest('the sanitizers have an allocator of their own')
        peaks = []
        for calls in ('500', '5000'):
            path = self.file_of(self.traffic('--calls', calls))
            process = subprocess.Popen([args.monitor, '--json', path], stdout=subprocess.DEVNULL)
            _, process.returncode, usage = os.wait4(process.pid, 0)
            self.assertEqual(process.returncode, 0)
            peaks.append(usage.ru_maxrss)
        self.assertLess(peaks[1] - peaks[0], 16384)

    def test_one_line_each(self):
        """However many control characters there are in what it is told."""
        model = Model()
        data = self.traffic('--calls', '100', '--seed', '5') + lines_of(
            create('1'), {'event': 'callerid', 'id': '1', 'name': 'a\n\x1b[2J\x7f\x9b\u00e9',
                          'number': '1\r2'})
        for line in data.splitlines():
            model.line(line)
        status, output, errors = self.monitor(data=data)
        self.assertEqual((status, errors), (0, ''))
        lines = output.split('\n')[:-1]
        self.assertEqual(len(lines), model.counts['updates'] + model.counts['variables'])
        for line in lines:
            self.assertRegex(line, r'^\d\d:\d\d:\d\d\.\d\d\d \d[\d.]* SIP/\S+ [^\x00-\x1f\x7f]+$')
        self.assertTrue(lines[-1].endswith(
            ' 1 SIP/1 caller "a\\x0a\\x1b[2J\\x7f\\xc2\\x9b\u00e9" <1\\x0d2>'), lines[-1])

    def test_wording(self):
        events = [create('1'),
                  {'event': 'state', 'id': '1', 'state': 'Ringing'},
                  {'event': 'callerid', 'id': '1', 'name': 'Alice', 'number': '100'},
                  {'event': 'connected', 'id': '1', 'name': 'Bob', 'number': '200'},
                  {'event': 'account', 'id': '1', 'account': '7'},
                  {'event': 'language', 'id': '1', 'language': 'de'},
                  {'event': 'dialplan', 'id': '1', 'context': 'in', 'exten': 's', 'priority': 2},
                  {'event': 'variable', 'id': '1', 'name': 'A', 'value': 'b c'},
                  {'event': 'state', 'id': '1', 'state': 'Ringing'}, # nothing new
                  {'event': 'hangup', 'id': '1', 'cause': 16},
                  create('1'),
                  {'event': 'hangup', 'id': '1', 'cause': 0}]
        status, output, errors = self.monitor('-', data=lines_of(*events))
        self.assertEqual((status, errors), (0, ''))
        self.assertEqual([line.split(' ', 3)[3] for line in output.splitlines()],
                         ['created, Down', 'Ringing, was Down', 'caller "Alice" <100>',
                          'connected to "Bob" <200>', 'account 7', 'language de',
                          'dialplan in,s,2', 'variable A=b c', 'hangup cause 16',
                          'gone, was Ringing', 'created, Down', 'gone, was Down'])

    def test_table(self):
        events = [create(str(i)) for i in range(12)]
        events += [{'event': 'state', 'id': str(i), 'state': 'Up'} for i in range(5)]
        events += [{'event': 'hangup', 'id': '11', 'cause': 19}]
        status, output, errors = self.monitor('--summary', data=lines_of(*events))
        self.assertEqual((status, errors), (0, ''))
        rows = [tuple(line.rsplit(maxsplit=1)) for line in output.splitlines() if line]
        self.assertEqual(rows[:3], [('Down', '6'), ('Up', '5'), ('channels', '11')])
        rows = {name.strip(): int(n) for name, n in rows}
        self.assertEqual(rows, {
            'Down': 6, 'Up': 5, 'channels': 11, 'events': 18, 'channels created': 12,
            'channels hung up': 1, 'variables seen': 0, 'updates seen': 19, 'bad lines': 0,
            **{change: 0 for change in CHANGES}, 'created': 12, 'state': 5, 'hangup': 1,
            'gone': 1})

    def test_dump_order(self):
        events = [create(i) for i in ('10', '9', '1', 'b', 'a')]
        status, output, errors = self.monitor('--dump', data=lines_of(*events))
        self.assertEqual((status, errors), (0, ''))
        self.assertEqual([json.loads(line)['id'] for line in output.splitlines()],
                         ['1', '9', '10', 'a', 'b'])

    def test_nothing(self):
        self.assertEqual(self.monitor(), (0, '', ''))
        status, output, errors = self.monitor('--dump', '--summary', '--json')
        self.assertEqual((status, errors), (0, ''))
        self.check_end(Model(), output)


class MalformedTest(MonitorTest):
    GOOD = b'{"event":"callerid","id":"1","name":"n","number":"%d"}'

    # What is wrong, and how it is called. Channel "1" is there.
    LINES = [
        (b'', 'not JSON'),
        (b' ', 'not JSON'),
        (b'nonsense', 'not JSON'),
        (b'{"event":"create","id":"2","name":"x"', 'not JSON'),
        (b'{"event":"create","id":"2","name":"x"}}', 'not JSON: end of file expected'),
        (b'{"event":"create","id":"2","name":"x","name":"y"}', 'not JSON: duplicate'),
        (b'{"event":"create","id":"2","name":"\\u0000"}', 'not JSON'),
        (b'{"event":"create","id":"2","name":"\\ud800"}', 'not JSON'),
        (b'{"event":"create","id":"2","name":"\xff"}', 'not JSON: unable to decode byte 0xff'),
        (b'{"event":"create","id":"2","name":"\xc3"}', 'not JSON: unable to decode'),
        (b'{"event":"create","id":"2","name":"\xed\xa0\x80"}', 'not JSON: unable to decode'),
        (b'\xef\xbb\xbf{"event":"create","id":"2","name":"x"}', 'not JSON'),
        (b'{"event":"hangup","id":"1","cause":99999999999999999999}', 'not JSON: too big'),
        (b'{"event":"hangup","id":"1","cause":NaN}', 'not JSON'),
        (b'[' * 5000, 'not JSON: maximum parsing depth'),
        (b'\0', 'a NUL byte'),
        (b'{"event":"create","id":"2","name":"x"}\0', 'a NUL byte'),
        (b'[]', 'not a JSON object'),
        (b'[{"event":"create","id":"2","name":"x"}]', 'not a JSON object'),
        (b'{}', 'no "event"'),
        (b'{"id":"1"}', 'no "event"'),
        (b'{"event":1,"id":"1"}', '"event" is not a string'),
        (b'{"event":"Create","id":"2","name":"x"}', 'unknown event "Create"'),
        (b'{"event":"","id":"1"}', 'unknown event ""'),
        (b'{"event":"\\u001b[2J\xc3\xa9","id":"1"}', 'unknown event "?[2J??"'),
        (b'{"event":"create","name":"x"}', 'no "id"'),
        (b'{"event":"create","id":2,"name":"x"}', '"id" is not a string'),
        (b'{"event":"create","id":"","name":"x"}', '"id" is empty'),
        (b'{"event":"create","id":"2"}', 'no "name"'),
        (b'{"event":"create","id":"2","name":""}', '"name" is empty'),
        (b'{"event":"create","id":"2","name":null}', '"name" is not a string'),
        (b'{"event":"create","id":"1","name":"x"}', 'a channel of this id exists'),
        (b'{"event":"state","id":"1"}', 'no "state"'),
        (b'{"event":"state","id":"1","state":6}', '"state" is not a string'),
        (b'{"event":"state","id":"1","state":"Asleep"}', 'unknown state "Asleep"'),
        (b'{"event":"state","id":"1","state":"UP"}', 'unknown state "UP"'),
        (b'{"event":"state","id":"3","state":"Up"}', 'no channel of this id'),
        (b'{"event":"callerid","id":"1","name":"x"}', 'no "number"'),
        (b'{"event":"connected","id":"1","name":"x","number":7}', '"number" is not a string'),
        (b'{"event":"account","id":"1"}', 'no "account"'),
        (b'{"event":"language","id":"1","language":["de"]}', '"language" is not a string'),
        (b'{"event":"dialplan","id":"1","context":"c","exten":"e"}', 'no "priority"'),
        (b'{"event":"dialplan","id":"1","context":"c","exten":"e","priority":"1"}',
         '"priority" is not an integer'),
        (b'{"event":"dialplan","id":"1","context":"c","exten":"e","priority":1.0}',
         '"priority" is not an integer'),
        (b'{"event":"dialplan","id":"1","context":"c","exten":"e","priority":2147483648}',
         '"priority" is not between 0 and 2147483647'),
        (b'{"event":"variable","id":"1","name":"","value":"x"}', '"name" is empty'),
        (b'{"event":"variable","id":"1","name":"A","value":true}', '"value" is not a string'),
        (b'{"event":"hangup","id":"1"}', 'no "cause"'),
        (b'{"event":"hangup","id":"1","cause":-1}', '"cause" is not between'),
        (b'{"event":"hangup","id":"3","cause":16}', 'no channel of this id'),
        (GOOD % 0 + b' ' * (LINE_MAX + 1 - len(GOOD % 0)), 'line too long'),
        (b'x' * 1000000, 'line too long'),
        (b'\0' * (LINE_MAX * 2 + 2), 'line too long'),
        (b'\0' * (LINE_MAX * 2 + 1), 'line too long'),
    ]

    def check(self, name, data, model, *options):
        status, output, errors = self.monitor('--dump', '--summary', '--json', *options,
                                              data=b'' if options else data)
        self.assertEqual(status, 1)
        self.check_bad(model, errors, name)
        reasons = [line.split(': ', 2)[2] for line in errors.splitlines()]
        for reason, (line, wanted) in zip(reasons, self.LINES):
            self.assertTrue(reason.startswith(wanted), (line[:80], wanted, reason))
            self.assertTrue(reason.isascii() and reason.isprintable(), reason)
        self.assertEqual(len(reasons), len(self.LINES))
        self.check_end(model, output)

    def test_every_kind(self):
        """Each is told with its number, and nothing else is lost."""
        parts = [lines_of(create('1'))]
        for i, (line, _) in enumerate(self.LINES):
            parts += [line + b'\n', self.GOOD % i + b'\n']
        # The longest there may be, another end of line, and none at the end.
        longest = self.GOOD % 1000
        parts += [longest + b' ' * (LINE_MAX - len(longest)) + b'\n', self.GOOD % 1001 + b'\r\n',
                  self.GOOD % 1002]
        data = b''.join(parts)
        model = Model()
        for line in data.split(b'\n'):
            try:
                model.line(line)
            except RecursionError:
                model.counts['bad'] += 1
                model.bad.append(model.number)
        self.assertEqual(model.bad, [2 * i + 2 for i in range(len(self.LINES))])
        self.assertEqual(model.channels['1']['caller']['number'], '1002')
        path = self.file_of(data)
        self.check(path, data, model, path)
        self.check('stdin', data, model)

    def test_last_line(self):
        """Without its end it is a line like any other."""
        for data, number in ((b'x', 1), (b'\n', 1), (lines_of(create('1')) + b'{', 2),
                             (b'x' * (LINE_MAX + 1), 1)):
            status, output, errors = self.monitor(data=data)
            self.assertEqual(status, 1)
            self.assertEqual(len(errors.splitlines()), 1)
            self.assertTrue(errors.startswith(f'channel-monitor: stdin:{number}: '), errors)
            self.assertEqual(len(output.splitlines()), number - 1)

    def test_endless_line(self):
        """It takes no memory, and what follows it is read."""
        data = b'x' * 50000000 + b'\n' + lines_of(create('1'))
        status, output, errors = self.monitor(data=data)
        self.assertEqual((status, errors), (1, 'channel-monitor: stdin:1: line too long\n'))
        self.assertEqual(len(output.splitlines()), 1)

    def test_others_are_left_aside(self):
        event = {**create('1'), 'more': [1, 2], 'state': 'Up'}
        status, output, errors = self.monitor('--dump', data=lines_of(event))
        self.assertEqual((status, errors), (0, ''))
        self.assertEqual(json.loads(output)['state'], 'Down')


class LiveTest(MonitorTest):
    """While the input is open."""

    def start(self, *options):
        process = subprocess.Popen([args.monitor, *options], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.finish, process)
        return process

    def finish(self, process):
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def read(self, stream, n):
        """So many lines, as soon as they are there."""
        data = b''
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while data.count(b'\n') < n:
                self.assertTrue(selector.select(DEADLINE), f'waited in vain after {data!r}')
                part = os.read(stream.fileno(), 65536)
                self.assertTrue(part, f'ended after {data!r}')
                data += part
        self.assertEqual(data.count(b'\n'), n)
        return data.decode().splitlines()

    def send(self, process, data):
        process.stdin.write(data)
        process.stdin.flush()

    def test_at_once(self):
        process = self.start()
        for i in range(20):
            self.send(process, lines_of(create(str(i))))
            line, = self.read(process.stdout, 1)
            self.assertTrue(line.endswith(f' {i} SIP/{i} created, Down'), line)
        self.send(process, b'nonsense\n')
        line, = self.read(process.stderr, 1)
        self.assertTrue(line.startswith('channel-monitor: stdin:21: not JSON'), line)
        process.stdin.close()
        self.assertEqual(process.wait(DEADLINE), 1)
        # Those that are left when the input ends are not reported as gone.
        self.assertEqual(process.stdout.read(), b'')

    def check_signal(self, number):
        process = self.start('--summary', '--json')
        self.send(process, lines_of(create('1')) + b'nonsense\n' + b'{"event":')
        self.read(process.stderr, 1)
        process.send_signal(number)
        self.assertEqual(process.wait(DEADLINE), 1)
        summary = json.loads(process.stdout.read())
        self.assertEqual((summary['channels'], summary['events'], summary['bad']), (1, 1, 1))

    def test_sigint(self):
        self.check_signal(signal.SIGINT)

    def test_sigterm(self):
        self.check_signal(signal.SIGTERM)

    def test_reader_leaves(self):
        process = self.start()
        self.send(process, lines_of(create('1')))
        self.read(process.stdout, 1)
        process.stdout.close()
        self.send(process, lines_of(create('2')))
        # The input is still open.
        self.assertEqual(process.wait(DEADLINE), 2)
        self.assertEqual(process.stderr.read().decode(),
                         f'channel-monitor: standard output: {os.strerror(errno.EPIPE)}\n')

    def test_second_signal(self):
        """Ends it even when nobody reads what it prints."""
        if args.tsan:
            self.skipTest('ThreadSanitizer holds a handler back while its thread is in a write')
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b'x')
        except BlockingIOError:
            os.set_blocking(writer, True)
        process = subprocess.Popen([args.monitor], stdin=subprocess.PIPE, stdout=writer,
                                   stderr=subprocess.PIPE)
        os.close(writer)
        self.addCleanup(self.finish, process)
        self.send(process, lines_of(create('1')) + b'nonsense\n')
        # Now it is trying to write, or is about to.
        self.read(process.stderr, 1)
        process.send_signal(signal.SIGTERM)
        end = time.monotonic() + DEADLINE
        while self.catches(process, signal.SIGTERM) and time.monotonic() < end:
            pass
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(DEADLINE), -signal.SIGINT)

    @staticmethod
    def catches(process, number):
        with open(f'/proc/{process.pid}/status', encoding='ascii') as status:
            caught = next(line for line in status if line.startswith('SigCgt:'))
        return int(caught.split()[1], 16) >> (number - 1) & 1


class TcpTest(MonitorTest):
    def start(self, *options):
        server = Server(args.monitor, '--listen', '0', *options)
        self.addCleanup(self.finish, server)
        return server

    def finish(self, server):
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        server.process.stdout.close()
        server.process.stderr.close()

    def connect(self, server):
        client = socket.create_connection(('127.0.0.1', server.port), timeout=DEADLINE)
        self.addCleanup(client.close)
        return client

    def name(self, client):
        return '%s:%d' % client.getsockname()

    def wait_for_bad(self, server, client, number):
        """All lines of this client up to here have been read, once the bad one is told."""
        client.sendall(b'mark\n')
        line = server.process.stderr.readline()
        self.assertTrue(line.startswith(f'channel-monitor: {self.name(client)}:{number}: not JSON'),
                        line)

    def test_once(self):
        data = self.traffic('--calls', '2000', '--seed', '9', '--bad', '0.01', '--open', '0.1')
        model = Model()
        for line in data.split(b'\n')[:-1]:
            model.line(line)
        server = self.start('--once', '--dump', '--summary', '--json')
        client = self.connect(server)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        output, errors = server.process.communicate(timeout=DEADLINE)
        self.assertEqual(server.process.returncode, 1)
        self.check_end(model, output)
        self.check_bad(model, errors, self.name(client))

    def test_several(self):
        """At once, in parts of lines, all for the same channels."""
        server = self.start('--dump')
        clients = [self.connect(server) for _ in range(10)]
        first = self.connect(server)
        first.sendall(lines_of(*(create(str(i)) for i in range(10))))
        # Nothing orders connections, save that one has been seen to be read.
        self.wait_for_bad(server, first, 11)
        lines = [lines_of({'event': 'state', 'id': str(i), 'state': STATES[i]}) for i in range(10)]
        for k in range(max(map(len, lines))):
            for client, line in zip(clients, lines):
                client.sendall(line[k:k + 1])
        for client in clients:
            self.wait_for_bad(server, client, 2)
        server.process.send_signal(signal.SIGTERM)
        output, errors = server.process.communicate(timeout=DEADLINE)
        self.assertEqual((server.process.returncode, errors), (1, ''))
        states = {line['id']: line['state'] for line in map(json.loads, output.splitlines())}
        self.assertEqual(states, {str(i): STATES[i] for i in range(10)})

    def test_one_after_another(self):
        server = self.start('--summary', '--json')
        for i in range(100):
            client = self.connect(server)
            client.sendall(lines_of(create(str(i))))
            client.close()
        client = self.connect(server)
        self.wait_for_bad(server, client, 1)
        server.process.send_signal(signal.SIGINT)
        output, errors = server.process.communicate(timeout=DEADLINE)
        self.assertEqual((server.process.returncode, errors), (1, ''))
        self.assertEqual(json.loads(output)['channels'], 100)

    def test_more_than_at_once(self):
        """Some wait until others have gone."""
        server = self.start()
        clients = [self.connect(server) for _ in range(80)]
        for i, client in enumerate(clients):
            client.sendall(lines_of(create(str(i))))
        seen = [server.process.stdout.readline().split()[1] for _ in range(64)]
        for client in clients:
            client.close()
        seen += [server.process.stdout.readline().split()[1] for _ in range(16)]
        self.assertEqual(sorted(seen, key=int), [str(i) for i in range(80)])
        self.assertEqual(server.stop(), (0, ''))

    def test_reset(self):
        """A connection that breaks off is told, and the others go on."""
        server = self.start()
        client, other = self.connect(server), self.connect(server)
        client.sendall(lines_of(create('1')) + b'{"event":')
        self.assertTrue(server.process.stdout.readline().endswith('created, Down\n'))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        name = self.name(client)
        client.close()
        self.assertEqual(server.process.stderr.readline(),
                         f'channel-monitor: {name}:2: {os.strerror(errno.ECONNRESET)}\n')
        other.sendall(lines_of(create('2')))
        self.assertTrue(server.process.stdout.readline().endswith(' 2 SIP/2 created, Down\n'))
        self.assertEqual(server.stop(), (1, ''))

    def test_port_in_use(self):
        server = self.start()
        status, output, errors = self.monitor('--listen', str(server.port))
        self.assertEqual((status, output), (2, ''))
        self.assertIn(os.strerror(errno.EADDRINUSE), errors)


class ErrorTest(MonitorTest):
    def test_wrong_options(self):
        for options in (['--listen', '65536'], ['--listen', '-1'], ['--listen', 'x'],
                        ['--listen', ''], ['--listen', '0', 'file'], ['--listen', '0', '-'],
                        ['--once'], ['a', 'b'], ['--nonsense']):
            with self.subTest(options):
                status, output, errors = self.monitor(*options)
                self.assertEqual((status, output), (2, ''))
                self.assertIn(options[-1], errors)

    def test_help(self):
        status, output, errors = self.monitor('--help')
        self.assertEqual((status, errors), (0, ''))
        for word in ('--listen', '--summary', '--dump', '"priority": N', 'exit status', '65536',
                     *STATES[:8]):
            self.assertIn(word, output)

    def test_unreadable(self):
        with tempfile.TemporaryDirectory() as folder:
            for path, number in ((folder, errno.EISDIR), (folder + '/none', errno.ENOENT),
                                 (args.monitor + '/x', errno.ENOTDIR)):
                status, output, errors = self.monitor(path)
                self.assertEqual((status, output), (2, ''))
                self.assertEqual(errors, f'channel-monitor: {path}: {os.strerror(number)}\n')

    def test_no_input(self):
        status, output, errors = self.monitor(data=None, preexec_fn=lambda: os.close(0))
        self.assertEqual((status, output), (2, ''))
        self.assertEqual(errors, f'channel-monitor: stdin: {os.strerror(errno.EBADF)}\n')

    def test_full_disk(self):
        data = self.traffic('--calls', '100')
        for options in ([], ['--json'], ['--summary'], ['--dump', '--summary', '--json']):
            with self.subTest(options), open('/dev/full', 'wb') as full:
                status, _, errors = self.monitor(*options, data=data, stdout=full)
                self.assertEqual(status, 2)
                self.assertEqual(errors, 'channel-monitor: standard output: '
                                 f'{os.strerror(errno.ENOSPC)}\n')

    def test_broken_pipe(self):
        data = self.traffic('--calls', '500')
        for options in ([], ['--json'], ['--summary']):
            reader, writer = os.pipe()
            os.close(reader)
            with self.subTest(options), open(writer, 'wb') as stream:
                status, _, errors = self.monitor(*options, self.file_of(data), stdout=stream)
                self.assertEqual(status, 2)
                self.assertEqual(errors, 'channel-monitor: standard output: '
                                 f'{os.strerror(errno.EPIPE)}\n')


def main():
    global args
    parser = argparse.ArgumentParser()
    parser.add_argument('--monitor', required=True)
    parser.add_argument('--traffic', required=True)
    parser.add_argument('--sanitized', action='store_true')
    parser.add_argument('--tsan', action='store_true')
    args, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)


if __name__ == '__main__':
    main()
