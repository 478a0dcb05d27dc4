# SPDX-License-Identifier: BSD-2-Clause
"""Many clients of an example server on one thread, and the server as a process of its own.

Nothing here sleeps: whoever waits, waits for sockets, until a condition holds or time is up.
"""

import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import time

# Seconds until something that has to happen has failed to; far more than it ever takes.
DEADLINE = 120
READ_SIZE = 1 << 16


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """A running server. stop() ends it and checks how it has ended."""

    def __init__(self, program, *options, descriptors=None):
        def limit():
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.process = subprocess.Popen([program, *options], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        text=True, preexec_fn=limit)
        line = self.process.stdout.readline()
        prefix = 'listening on 127.0.0.1:'
        if not line.startswith(prefix):
            self.process.kill()
            raise AssertionError(f'{program}: {line!r} {self.process.communicate()}')
        self.port = int(line[len(prefix):])

    def stop(self, number=signal.SIGTERM):
        """Sends a signal, unless the server has ended before; (exit status, stderr)."""
        self.process.send_signal(number)
        try:
            _, errors = self.process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, errors

    def resident(self):
        """Bytes of memory."""
        with open(f'/proc/{self.process.pid}/statm', encoding='ascii') as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.process.pid}/fd'))


class Client:
    """A connection, and what has come by it, by kind."""

    def __init__(self, crowd, port, reading=True, receive_buffer=None, keep=None):
        self.crowd = crowd
        self.keep = keep # how much to remember of each message
        self.replies = []
        self.messages = [] # (topic, text)
        self.lost = 0
        self.ended = None # 'end' or 'reset'
        self.partial = b''
        self.unsent = b''
        self.reading = reading
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(('127.0.0.1', port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        crowd.clients.append(self)
        self.watched = 0
        self.watch()

    def watch(self):
        wanted = 0
        if self.sock is not None and self.ended is None:
            wanted = (selectors.EVENT_READ if self.reading else 0) | \
                (selectors.EVENT_WRITE if self.unsent else 0)
        if wanted == self.watched:
            return
        if not self.watched:
            self.crowd.selector.register(self.sock, wanted, self)
        elif wanted:
            self.crowd.selector.modify(self.sock, wanted, self)
        else:
            self.crowd.selector.unregister(self.sock)
        self.watched = wanted

    def read(self, reading=True):
        """Starts to read, or stops."""
        if reading and not self.reading:
            # Through a tiny window it would take for ever.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.reading = reading
        self.watch()

    def send(self, data):
        self.unsent += data
        self.write()

    def write(self):
        try:
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent):]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.unsent = b''
        self.watch()

    def receive(self):
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.ended = 'reset'
            data = None
        if data == b'':
            self.ended = 'end'
        if not data:
            self.watch()
            return
        *lines, self.partial = (self.partial + data).split(b'\n')
        for line in lines:
            self.take(line)

    def take(self, line):
        word, _, rest = line.partition(b' ')
        if word == b'MSG':
            topic, _, text = rest.partition(b' ')
            self.messages.append((topic, text if self.keep is None else text[:self.keep]))
        elif word == b'LOST':
            n = int(rest)
            assert n > 0, line
            self.lost += n
        elif word == b'ERR' or line == b'OK':
            self.replies.append(line)
        else:
            raise AssertionError(f'the server says {line[:80]!r}')

    def seen(self):
        """Messages that have come, or have not and were owned up to."""
        return len(self.messages) + self.lost

    def request(self, line):
        """Sends a line and waits for its answer."""
        n = len(self.replies)
        self.send(line + b'\n')
        self.crowd.wait(lambda: len(self.replies) > n, f'the answer to {line[:40]!r}')
        return self.replies[n]

    def half_close(self):
        assert not self.unsent
        self.sock.shutdown(socket.SHUT_WR)

    def close(self, reset=False):
        if self.sock is None:
            return
        if self.watched:
            self.crowd.selector.unregister(self.sock)
            self.watched = 0
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()
        self.sock = None
        self.crowd.clients.remove(self)


class Crowd:
    """Clients, and the one loop that drives them."""

    def __init__(self, server):
        self.server = server
        self.selector = selectors.DefaultSelector()
        self.clients = []

    def client(self, **options):
        return Client(self, self.server.port, **options)

    def subscriber(self, *topics, reading=True, **options):
        client = self.client(**options)
        for topic in topics:
            answer = client.request(b'SUB ' + topic)
            assert answer == b'OK', answer
        client.read(reading)
        return client

    def step(self, timeout):
        for key, events in self.selector.select(timeout):
            client = key.data
            if events & selectors.EVENT_WRITE and client.ended is None:
                client.write()
            if events & selectors.EVENT_READ and client.ended is None:
                client.receive()

    def wait(self, condition, what):
        """Drives everybody until condition() holds."""
        end = time.monotonic() + DEADLINE
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f'waited in vain for {what}')
            # Now and then, for conditions that no socket tells about.
            self.step(min(left, 0.1))

    def close(self):
        for client in list(self.clients):
            client.close()
        self.selector.close()
