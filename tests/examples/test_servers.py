#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Drives an example server with hundreds of clients, fast, slow and ill-behaved.

usage: test_servers.py SERVER [--threads] [--sanitized] [unittest options]
"""

import argparse
import random
import signal
import subprocess
import sys
import time
import unittest

from crowd import Crowd, DEADLINE, Server, raise_descriptor_limit

LINE_MAX = 4096
BUFFER = 65536

# Nobody waits this long for what a server does at once, whatever else goes on on the machine.
LATENCY_MAX = 10

args = None


def sequence(messages, publisher):
    """The numbers in the messages of one publisher: "publisher number ..."."""
    return [int(text.split()[1]) for _, text in messages if text.split()[0] == publisher]


class ServerTest(unittest.TestCase):
    def start(self, *options, **more):
        server = Server(args.server, *options, **more)
        crowd = Crowd(server)
        self.addCleanup(self.finish, server, crowd)
        return server, crowd

    def finish(self, server, crowd):
        """However it was treated, a server ends cleanly when asked to."""
        if server.process.poll() is None:
            self.assertEqual(server.stop(), (0, ''))
        crowd.close()
        server.process.stdout.close()
        server.process.stderr.close()

    def publish_all(self, crowd, publishers, topic, n, filler=b''):
        """Each publisher sends n numbered lines; returns when all have been answered."""
        before = [len(p.replies) for p in publishers]
        for i, publisher in enumerate(publishers):
            publisher.send(b''.join(b'PUB %s p%d %d %s\n' % (topic, i, k, filler)
                                    for k in range(n)))
        crowd.wait(lambda: all(len(p.replies) == b + n for p, b in zip(publishers, before)),
                   'the answers to publishers')
        for publisher in publishers:
            self.assertEqual(set(publisher.replies), {b'OK'})


class ProtocolTest(ServerTest):
    ANSWERS = [
        (b'SUB a', b'OK'),
        (b'SUB a', b'ERR subscribed already'),
        (b'SUB ' + b'x' * 64, b'OK'),
        (b'SUB ' + b'x' * 65, b'ERR topic too long'),
        (b'SUB', b'ERR no topic'),
        (b'SUB ', b'ERR no topic'),
        (b'SUB a b', b'ERR something follows'),
        (b'SUB \x7f', b'ERR bad character in topic'),
        (b'SUB \xc3\xa4', b'ERR bad character in topic'),
        (b'UNSUB b', b'ERR not subscribed'),
        (b'UNSUB a\r', b'OK'),
        (b'UNSUB a', b'ERR not subscribed'),
        (b'PUB', b'ERR no topic'),
        (b'PUB a', b'ERR no text'),
        (b'PUB a ', b'ERR no text'),
        (b'PUB nobody is there', b'OK'),
        (b'pub a b', b'ERR unknown command'),
        (b'', b'ERR unknown command'),
        (b'\0', b'ERR unknown command'),
        (b'QUIT now', b'ERR something follows'),
        (b'QUIT', b'OK'),
    ]

    def test_answers(self):
        _, crowd = self.start()
        client = crowd.client()
        client.send(b''.join(line + b'\n' for line, _ in self.ANSWERS))
        crowd.wait(lambda: client.ended, 'the end')
        self.assertEqual(client.replies, [answer for _, answer in self.ANSWERS])
        self.assertEqual(client.ended, 'end')

    def test_line_by_byte(self):
        _, crowd = self.start()
        client = crowd.subscriber(b't')
        for byte in b'PUB t abc':
            client.send(bytes([byte]))
        self.assertEqual(client.request(b''), b'OK')
        crowd.wait(client.seen, 'the message')
        self.assertEqual(client.messages, [(b't', b'abc')])

    def test_text_is_kept(self):
        _, crowd = self.start()
        client = crowd.subscriber(b't')
        text = bytes(set(range(256)) - {10, 13}) + b'  \t \r .'
        self.assertEqual(client.request(b'PUB t ' + text), b'OK')
        crowd.wait(client.seen, 'the message')
        self.assertEqual(client.messages, [(b't', text)])

    def test_unsubscribe(self):
        """After the answer nothing more comes, and a new subscription starts afresh."""
        _, crowd = self.start()
        client, other = crowd.subscriber(b't'), crowd.subscriber(b't')
        self.assertEqual(client.request(b'PUB t 1'), b'OK')
        crowd.wait(client.seen, 'the first')
        self.assertEqual(client.request(b'UNSUB t'), b'OK')
        self.assertEqual(client.request(b'PUB t 2'), b'OK')
        crowd.wait(lambda: other.seen() == 2, 'the second, at the other')
        self.assertEqual(client.request(b'SUB t'), b'OK')
        self.assertEqual(client.request(b'PUB t 3'), b'OK')
        crowd.wait(lambda: other.seen() == 3 and client.seen() == 2, 'the third')
        self.assertEqual([text for _, text in client.messages], [b'1', b'3'])

    def test_many_subscriptions(self):
        _, crowd = self.start()
        client = crowd.client()
        answers = [client.request(b'SUB t%d' % i) for i in range(66)]
        self.assertEqual(answers, [b'OK'] * 64 + [b'ERR too many subscriptions'] * 2)
        for i in range(64):
            self.assertEqual(client.request(b'PUB t%d %d' % (i, i)), b'OK')
        crowd.wait(lambda: client.seen() == 64, 'one of each')
        self.assertEqual(client.messages, [(b't%d' % i, b'%d' % i) for i in range(64)])

    def test_long_lines(self):
        _, crowd = self.start()
        client, long = crowd.subscriber(b't'), crowd.client()
        text = b'x' * (LINE_MAX - len(b'PUB t \n'))
        self.assertEqual(client.request(b'PUB t ' + text), b'OK')
        crowd.wait(client.seen, 'the longest')
        self.assertEqual(client.messages, [(b't', text)])
        long.send(b'PUB t ' + text + b'x\n')
        crowd.wait(lambda: long.ended, 'the end')
        self.assertEqual(long.replies, [b'ERR line too long'])
        self.assertEqual(long.ended, 'end')
        self.assertEqual(client.request(b'PUB t 2'), b'OK')
        crowd.wait(lambda: client.seen() == 2, 'the next')
        self.assertEqual(client.messages[1], (b't', b'2'))

    def test_endless_line(self):
        _, crowd = self.start()
        clients = [crowd.client() for _ in range(10)]
        for client in clients:
            client.send(b'x' * 4000000)
        crowd.wait(lambda: all(client.ended for client in clients), 'the end')
        self.assertEqual(crowd.client().request(b'PUB a b'), b'OK')

    def test_garbage(self):
        """Each line gets its answer, whatever is in it."""
        _, crowd = self.start()
        chance = random.Random(1)
        lines = {}
        for _ in range(100):
            client = crowd.client()
            parts = [chance.randbytes(chance.randrange(200)).replace(b'\n', b'')
                     for _ in range(100)]
            lines[client] = [part for part in parts if not part.startswith(b'QUIT')]
            client.send(b''.join(part + b'\n' for part in lines[client]))
        crowd.wait(lambda: all(len(client.replies) == len(sent)
                               for client, sent in lines.items()), 'all answers')
        self.assertFalse([client for client in lines if client.ended])


class FanOutTest(ServerTest):
    def check_order(self, subscribers, n_publishers, n):
        for subscriber in subscribers:
            self.assertEqual(subscriber.lost, 0)
            for i in range(n_publishers):
                self.assertEqual(sequence(subscriber.messages, b'p%d' % i), list(range(n)))

    def run_crowd(self, options, n_subscribers, n_publishers, n):
        _, crowd = self.start(*options)
        subscribers = [crowd.subscriber(b't') for _ in range(n_subscribers)]
        publishers = [crowd.client() for _ in range(n_publishers)]
        self.publish_all(crowd, publishers, b't', n)
        crowd.wait(lambda: all(s.seen() == n_publishers * n for s in subscribers),
                   'everything everywhere')
        self.check_order(subscribers, n_publishers, n)

    def test_hundreds(self):
        """All fits the buffers, so that nothing may be lost however slow this test is."""
        self.run_crowd([], 300, 20, 50)

    def test_more_than_the_buffers(self):
        """A loop reads no faster than it delivers: its queues do not overflow."""
        self.run_crowd(['--buffer', str(1 << 24)], 10, 20, 1000)

    def test_loops(self):
        if not args.threads:
            self.skipTest('it has one loop')
        options = ['--threads', '3', '--buffer', str(1 << 24), '--capacity', str(1 << 16)]
        self.run_crowd(options, 60, 20, 200)

    def test_loops_lossy(self):
        """Queues do overflow here, when other loops publish faster than one delivers."""
        if not args.threads:
            self.skipTest('it has one loop')
        _, crowd = self.start('--threads', '3', '--capacity', '4')
        subscribers = [crowd.subscriber(b't') for _ in range(20)]
        publishers = [crowd.client() for _ in range(10)]
        self.publish_all(crowd, publishers, b't', 300)
        # What is lost at the end is told with the next message, if that is not lost.
        end = crowd.client()
        self.assertEqual(end.request(b'PUB t end 0'), b'OK')
        crowd.wait(lambda: all(s.seen() == 3001 for s in subscribers), 'everything accounted for')
        for subscriber in subscribers:
            for i in range(10):
                numbers = sequence(subscriber.messages, b'p%d' % i)
                self.assertEqual(numbers, sorted(set(numbers)))


class QueueTest(ServerTest):
    """A queue that is too short for what comes at once."""

    N = 1000

    def flood(self, policy):
        _, crowd = self.start('--policy', policy, '--capacity', '4')
        subscriber, publisher = crowd.subscriber(b't'), crowd.client()
        publisher.send(b''.join(b'PUB t p %d\n' % i for i in range(self.N)))
        crowd.wait(lambda: len(publisher.replies) == self.N, 'the answers')
        return crowd, subscriber

    def check_losses(self, crowd, subscriber):
        crowd.wait(lambda: subscriber.seen() == self.N, 'everything accounted for')
        numbers = sequence(subscriber.messages, b'p')
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertGreater(subscriber.lost, 0)
        return numbers

    def test_drop_oldest(self):
        numbers = self.check_losses(*self.flood('drop-oldest'))
        self.assertEqual(numbers[-1], self.N - 1)

    def test_drop_newest(self):
        numbers = self.check_losses(*self.flood('drop-newest'))
        self.assertEqual(numbers[0], 0)

    def test_disconnect(self):
        crowd, subscriber = self.flood('disconnect')
        crowd.wait(lambda: subscriber.ended, 'the end')
        self.assertEqual(subscriber.lost, 0)
        self.assertLess(subscriber.seen(), self.N)


class SlowReaderTest(ServerTest):
    """Some read nothing while others get everything."""

    SLOW = 10
    FAST = 4
    ROUNDS = 300
    LINES = 12 # a round's fit the buffer of somebody who reads
    FILLER = b'x' * 4000

    def overwhelm(self, policy):
        server, crowd = self.start('--policy', policy)
        slow = [crowd.subscriber(b't', reading=False, receive_buffer=4096, keep=20)
                for _ in range(self.SLOW)]
        fast = [crowd.subscriber(b't', keep=20) for _ in range(self.FAST)]
        publisher = crowd.client()
        before = server.resident()
        worst = 0
        for i in range(self.ROUNDS):
            begin = time.monotonic()
            publisher.send(b''.join(b'PUB t p %d %s\n' % (k, self.FILLER) for k in
                                    range(i * self.LINES, (i + 1) * self.LINES)))
            total = (i + 1) * self.LINES
            crowd.wait(lambda total=total: len(publisher.replies) == total and
                       all(f.seen() == total for f in fast), 'those who read')
            worst = max(worst, time.monotonic() - begin)
        self.assertLess(worst, LATENCY_MAX)
        for client in fast:
            self.assertEqual(client.lost, 0)
            self.assertEqual(sequence(client.messages, b'p'), list(range(total)))
        # The sanitizers' allocators keep what has been freed.
        if not args.sanitized:
            self.assertLess(server.resident() - before, self.SLOW * BUFFER + (16 << 20))
        return crowd, slow, fast, publisher, total

    def check_catching_up(self, policy):
        crowd, slow, fast, publisher, total = self.overwhelm(policy)
        for client in slow:
            self.assertEqual(client.seen(), 0)
            client.read()
        crowd.wait(lambda: all(client.seen() == total for client in slow),
                   'everything accounted for')
        for client in slow:
            numbers = sequence(client.messages, b'p')
            self.assertGreater(client.lost, 0)
            self.assertEqual(numbers, sorted(set(numbers)))
        # As good as new.
        self.assertEqual(publisher.request(b'PUB t p %d' % total), b'OK')
        crowd.wait(lambda: all(client.seen() == total + 1 for client in slow + fast),
                   'one more')
        for client in slow + fast:
            self.assertEqual(sequence(client.messages, b'p')[-1], total)

    def test_drop_oldest(self):
        self.check_catching_up('drop-oldest')

    def test_drop_newest(self):
        self.check_catching_up('drop-newest')

    def test_disconnect(self):
        crowd, slow, fast, publisher, total = self.overwhelm('disconnect')
        for client in slow:
            client.read()
        crowd.wait(lambda: all(client.ended for client in slow), 'the end of the slow')
        for client in slow:
            numbers = sequence(client.messages, b'p')
            self.assertEqual(client.lost, 0)
            self.assertEqual(numbers, list(range(len(numbers))))
            self.assertLess(len(numbers), total)
        self.assertEqual(publisher.request(b'PUB t p %d' % total), b'OK')
        crowd.wait(lambda: all(client.seen() == total + 1 for client in fast), 'one more')

    def test_publisher_who_does_not_read(self):
        """What he publishes goes out at once, though nothing can be sent to him that would wake
        the loop up afterwards."""
        _, crowd = self.start()
        subscriber, filler = crowd.subscriber(b't'), crowd.client()
        publisher = crowd.subscriber(b'big', reading=False, receive_buffer=4096, keep=20)
        self.publish_all(crowd, [filler], b'big', 2000, self.FILLER)
        publisher.send(b'PUB t 1\n')
        crowd.wait(lambda: subscriber.seen() == 1, 'the first')
        # More lines than a loop handles at a time.
        publisher.send(b'PUB nobody x\n' * 280 + b'PUB t 2\n')
        crowd.wait(lambda: subscriber.seen() == 2, 'the second')
        publisher.read()
        crowd.wait(lambda: len(publisher.replies) == 283 and publisher.seen() == 2000,
                   'everything accounted for')
        self.assertGreater(publisher.lost, 0)

    def test_answers_wait(self):
        """Who does not read his answers is not read from; his lines wait."""
        _, crowd = self.start()
        client = crowd.client(reading=False, receive_buffer=4096)
        other = crowd.client()
        n_sent, idle = 0, 0
        # The server has had enough when it takes nothing while others are served.
        while idle < 50:
            if not client.unsent:
                client.send(b'????\n' * 10000)
                n_sent += 10000
                idle = 0
            self.assertLess(n_sent, 10000000, 'nobody holds it back')
            left = len(client.unsent)
            self.assertEqual(other.request(b'PUB a b'), b'OK')
            idle = idle + 1 if len(client.unsent) == left else 0
        client.read()
        crowd.wait(lambda: len(client.replies) == n_sent, 'all answers')
        self.assertEqual(set(client.replies), {b'ERR unknown command'})


class DisconnectTest(ServerTest):
    def check_in_mid_line(self, leave):
        _, crowd = self.start()
        subscriber = crowd.subscriber(b't')
        for i in range(50):
            client = crowd.client()
            client.send(b'PUB t whole %d\nPUB t half %d' % (i, i))
            crowd.wait(lambda n=i + 1: subscriber.seen() >= n, 'the whole line')
            leave(client)
        self.assertEqual(subscriber.request(b'PUB t whole 50'), b'OK')
        crowd.wait(lambda: subscriber.seen() >= 51, 'the last line')
        self.assertEqual(sequence(subscriber.messages, b'whole'), list(range(51)))
        self.assertEqual(len(subscriber.messages), 51)

    def test_in_mid_line(self):
        self.check_in_mid_line(lambda client: client.close())

    def test_reset_in_mid_line(self):
        self.check_in_mid_line(lambda client: client.close(reset=True))

    def test_in_mid_output(self):
        """They leave while the server has more for them than they have read."""
        server, crowd = self.start()
        client = crowd.subscriber(b't')
        idle = server.descriptors()
        for reset in (False, True):
            leavers = [crowd.subscriber(b't', reading=False, receive_buffer=4096)
                       for _ in range(30)]
            publisher = crowd.client()
            for i in range(40):
                publisher.send(b'PUB t %s\n' % (b'x' * 4000) * 5)
                if i >= 10:
                    leavers.pop().close(reset)
                crowd.wait(lambda n=(i + 1) * 5: len(publisher.replies) == n, 'the answers')
            publisher.close()
            self.assertFalse(leavers)
        self.assertEqual(client.request(b'PUB u end'), b'OK')
        # All of them are noticed, some when the server next has something for them.
        crowd.wait(lambda: client.request(b'PUB t x') and server.descriptors() == idle,
                   'the server to let go of them')

    def test_half_closed(self):
        """Who has finished sending still gets all that is due to him."""
        _, crowd = self.start()
        client = crowd.client()
        client.send(b'SUB t\n' + b''.join(b'PUB t p %d\n' % i for i in range(200)) + b'PUB t p')
        crowd.wait(lambda: not client.unsent, 'the kernel to take it')
        client.half_close()
        crowd.wait(lambda: client.ended, 'the end')
        self.assertEqual(client.ended, 'end')
        self.assertEqual(client.replies, [b'OK'] * 201)
        numbers = sequence(client.messages, b'p')
        self.assertEqual(numbers, list(range(len(numbers))))

    def test_half_closed_with_output(self):
        _, crowd = self.start()
        client = crowd.subscriber(b't', reading=False, receive_buffer=4096, keep=20)
        publisher = crowd.client()
        self.publish_all(crowd, [publisher], b't', 1000, b'x' * 4000)
        client.half_close()
        self.assertEqual(publisher.request(b'PUB a b'), b'OK')
        client.read()
        crowd.wait(lambda: client.ended, 'the end')
        self.assertEqual(client.ended, 'end')
        self.assertEqual(client.seen(), 1000)

    def test_half_closed_and_not_reading(self):
        """Nobody keeps a connection for ever by not reading what is left."""
        server, crowd = self.start('--buffer', str(1 << 23))
        client, publisher = crowd.client(), crowd.client()
        self.assertEqual(client.request(b'PUB a b'), b'OK')
        self.assertEqual(publisher.request(b'PUB a b'), b'OK')
        idle = server.descriptors()
        lingerer = crowd.subscriber(b't', reading=False, receive_buffer=4096, keep=20)
        # More than the kernel takes, so that some of it stays with the server.
        self.publish_all(crowd, [publisher], b't', 3000, b'x' * 4000)
        lingerer.half_close()
        crowd.wait(lambda: client.request(b'PUB a b') and server.descriptors() == idle,
                   'the server to let go of it')
        lingerer.read()
        crowd.wait(lambda: lingerer.ended, 'the end')
        self.assertLess(lingerer.seen(), 3000)

    def test_come_and_go(self):
        """No descriptor and no topic is left behind."""
        server, crowd = self.start()
        client = crowd.client()
        self.assertEqual(client.request(b'PUB a b'), b'OK')
        idle = server.descriptors()
        for i in range(20):
            visitors = [crowd.subscriber(b't%d' % (i % 3), b'u%d' % j) for j in range(20)]
            self.assertEqual(client.request(b'PUB t%d x' % (i % 3)), b'OK')
            crowd.wait(lambda v=visitors: all(c.seen() == 1 for c in v), 'the message')
            for j, visitor in enumerate(visitors):
                visitor.close(reset=j % 2 == 0)
        crowd.wait(lambda: client.request(b'PUB a b') and server.descriptors() == idle,
                   'the server to let go of them')


class LimitTest(ServerTest):
    def test_connections(self):
        _, crowd = self.start('--connections', '5')
        clients = [crowd.client() for _ in range(5)]
        for client in clients:
            self.assertEqual(client.request(b'PUB a b'), b'OK')
        for _ in range(5):
            refused = crowd.client()
            crowd.wait(lambda r=refused: r.ended, 'the refusal')
            self.assertEqual(refused.replies, [b'ERR too many connections'])
        clients.pop().close()
        crowd.wait(lambda: not self.refused(crowd), 'a place')
        self.assertEqual(clients[0].request(b'PUB a b'), b'OK')

    def test_connections_go_round(self):
        """Each loop gets its share."""
        if not args.threads:
            self.skipTest('it has one loop')
        _, crowd = self.start('--threads', '3', '--connections', '2')
        for _ in range(6):
            self.assertEqual(crowd.client().request(b'PUB a b'), b'OK')
        self.assertTrue(self.refused(crowd))

    def refused(self, crowd):
        client = crowd.client()
        client.send(b'PUB a b\n')
        crowd.wait(lambda: client.replies or client.ended, 'an answer or the end')
        result = client.replies != [b'OK']
        client.close()
        return result

    def test_descriptors(self):
        """Out of descriptors, a server turns new ones away and serves those it has."""
        server, crowd = self.start(descriptors=40)
        client = crowd.client()
        self.assertEqual(client.request(b'SUB t'), b'OK')
        others = [crowd.client() for _ in range(100)]
        for other in others:
            other.send(b'PUB a b\n')
        crowd.wait(lambda: all(other.replies or other.ended for other in others),
                   'an answer or the end')
        served = [other for other in others if other.replies]
        self.assertGreater(len(served), 10)
        self.assertLess(len(served), 40)
        self.assertEqual(client.request(b'PUB t x'), b'OK')
        crowd.wait(client.seen, 'the message')
        for other in others:
            other.close()
        crowd.wait(lambda: not self.refused(crowd), 'a place')
        self.assertLessEqual(server.descriptors(), 40)


class EndTest(ServerTest):
    def check_end(self, number):
        """In the middle of everything: output pending, lines half read, clients that flood it."""
        server, crowd = self.start(*(['--threads', '3'] if args.threads else []))
        readers = [crowd.subscriber(b't%d' % (i % 4), keep=20) for i in range(50)]
        for i in range(10):
            crowd.subscriber(b't%d' % (i % 4), reading=False, receive_buffer=4096)
        publishers = [crowd.client() for _ in range(10)]
        for i, publisher in enumerate(publishers):
            publisher.send(b'PUB t%d %s\n' % (i % 4, b'x' * 1000) * 5000)
        crowd.wait(lambda: all(reader.seen() > 20 for reader in readers), 'some messages')
        self.assertTrue(any(publisher.unsent for publisher in publishers), 'it was not busy')
        self.assertEqual(server.stop(number), (0, ''))
        for client in crowd.clients:
            client.read()
        crowd.wait(lambda: all(client.ended for client in crowd.clients), 'the end')

    def test_sigterm(self):
        self.check_end(signal.SIGTERM)

    def test_sigint(self):
        self.check_end(signal.SIGINT)

    def test_idle(self):
        server, _ = self.start()
        self.assertEqual(server.stop(), (0, ''))


class OptionTest(ServerTest):
    def run_server(self, *options):
        return subprocess.run([args.server, *options], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=DEADLINE)

    def test_wrong(self):
        for options in (['--port', '65536'], ['--port', '-1'], ['--port', 'x'], ['--port', ''],
                        ['--policy', 'none'], ['--capacity', '0'], ['--buffer', '100'],
                        ['--connections', '0'], ['--nonsense'], ['nonsense']):
            with self.subTest(options):
                done = self.run_server(*options)
                self.assertEqual((done.returncode, done.stdout), (2, ''))
                self.assertIn(options[-1], done.stderr)

    def test_help(self):
        done = self.run_server('--help')
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        for word in ('PUB topic text', 'LOST n', '--policy', 'drop-oldest'):
            self.assertIn(word, done.stdout)

    def test_port_in_use(self):
        server, _ = self.start()
        done = self.run_server('--port', str(server.port))
        self.assertEqual((done.returncode, done.stdout), (1, ''))
        self.assertIn('in use', done.stderr)


def main():
    global args
    parser = argparse.ArgumentParser()
    parser.add_argument('server')
    parser.add_argument('--threads', action='store_true', help='the server has that option')
    parser.add_argument('--sanitized', action='store_true')
    args, rest = parser.parse_known_args()
    raise_descriptor_limit()
    unittest.main(argv=sys.argv[:1] + rest)


if __name__ == '__main__':
    main()
