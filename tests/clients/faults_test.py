# SPDX-License-Identifier: Apache-2.0
"""Crowds of clients, and what they do wrong: idle, half open, too many, leaving in the middle. More with --long."""
import contextlib
import json
import os
import resource
import select
import socket
import struct
import time
import unittest

from server import Server

LONG = os.environ.get("PLAIT_LONG") == "1"
CROWD = 10_000 if LONG else 2_500
LEAVERS = 1_000 if LONG else 60
HALVES = 500 if LONG else 50
IDLE = 2_000
IDLE_BYTES_MAX = 100 << 20
OTHER_FILES = 200
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
STREAM = {"prompt": "Once upon a time", "max_tokens": 400, "ignore_eos": True, "stream": True}


def setUpModule():  # noqa: N802
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def need_files(count):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + OTHER_FILES:
        raise unittest.SkipTest(f"only {soft} files may be open here")


class Crowd:
    """Many plain sockets to one server, from as many addresses as it takes."""

    def __init__(self, running, per_address):
        self.running, self.per_address = running, per_address
        self.sockets = []

    def grow(self, count):
        """More connections, all established from the client's point of view."""
        for _ in range(count):
            one = socket.socket()
            number = len(self.sockets) // self.per_address
            one.bind((f"127.0.{1 + number // 250}.{1 + number % 250}", 0))
            one.settimeout(60)
            one.connect((self.running.host, self.running.port))
            self.sockets.append(one)

    def answers(self, wanted, seconds=30):
        """The statuses of what has come on each socket, 0 for nothing, as soon as `wanted` have an answer."""
        statuses = [0] * len(self.sockets)
        poll = select.poll()
        numbers = {one.fileno(): number for number, one in enumerate(self.sockets)}
        for one in self.sockets:
            poll.register(one, select.POLLIN)
        end = time.monotonic() + seconds
        while sum(status != 0 for status in statuses) < wanted and time.monotonic() < end:
            for file, _ in poll.poll(1000):
                poll.unregister(file)
                with contextlib.suppress(ConnectionResetError):
                    head = self.sockets[numbers[file]].recv(4096)
                    statuses[numbers[file]] = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else -1
        return statuses

    def close(self):
        for one in self.sockets:
            one.close()
        self.sockets.clear()


class CrowdTest(unittest.TestCase):
    def enter(self, per_address, *arguments):
        running = self.enterContext(Server("--drain-seconds", "2", *arguments))
        crowd = Crowd(running, per_address)
        self.addCleanup(crowd.close)
        return running, crowd

    def test_idle_connections_cost_little(self):
        need_files(IDLE)
        running, crowd = self.enter(IDLE, "--connections", IDLE + 100, "--set",
                                    f"server.connections_per_address={IDLE}")
        crowd.grow(50)
        for one in crowd.sockets:
            one.sendall(HEALTH)
        self.assertEqual(crowd.answers(50), [200] * 50)
        before = running.resident_bytes()
        crowd.grow((IDLE - 50) // 2)
        for one in crowd.sockets[50:]:
            one.sendall(HEALTH)
        self.assertEqual(crowd.answers(len(crowd.sockets) - 50).count(200), len(crowd.sockets) - 50)
        crowd.grow(IDLE - len(crowd.sockets))  # these never ask, and are ended after ten seconds: they come last
        open_now = running.wait_for(lambda metrics: metrics["plait_http_connections"] > IDLE)["plait_http_connections"]
        self.assertGreaterEqual(open_now, IDLE)
        grown = running.resident_bytes() - before
        print(f"{IDLE} idle connections take {grown / 2**20:.1f} MiB, {grown / IDLE / 1024:.1f} KiB each", flush=True)
        self.assertLess(grown, IDLE_BYTES_MAX)

    def test_more_than_may_connect_are_told_so(self):
        need_files(CROWD)
        running, crowd = self.enter(250)
        before = running.resident_bytes()
        crowd.grow(CROWD)
        statuses = crowd.answers(CROWD - 1024)
        self.assertEqual(statuses.count(503) + statuses.count(-1), CROWD - 1024)
        # A client whose refusal the kernel throws away sees a reset: it may happen, but not as a rule.
        self.assertGreater(statuses.count(503), 0.99 * (CROWD - 1024))
        self.assertLess(running.resident_bytes() - before, IDLE_BYTES_MAX)
        crowd.close()
        metrics = running.wait_for(lambda metrics: metrics.get("plait_http_connections") == 1)
        self.assertEqual(metrics["plait_http_connections"], 1)
        self.assertGreaterEqual(metrics['plait_http_refusals_total{reason="too_many_connections"}'], CROWD - 1024)

    def test_more_than_one_address_may_have(self):
        running, crowd = self.enter(1000)
        crowd.grow(300)
        self.assertEqual(crowd.answers(44).count(429), 44)
        self.assertEqual(running.process.poll(), None)

    def test_half_open(self):
        """Heads, bodies and nothing at all that never come to their end: all are ended by the server."""
        running, crowd = self.enter(200)
        crowd.grow(HALVES)
        halves = (b"", b"GET /hea", b"GET /health HTTP/1.1\r\nhost: loc",
                  b"POST /tokenize HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        for number, one in enumerate(crowd.sockets):
            one.sendall(halves[number % len(halves)])
        self.assertEqual(running.request("GET", "/health")[0], 200)
        statuses = crowd.answers(HALVES, 40)
        self.assertEqual(statuses.count(408), sum(number % len(halves) > 0 for number in range(HALVES)))
        self.assertEqual(statuses.count(-1), sum(number % len(halves) == 0 for number in range(HALVES)))
        crowd.close()
        self.assertEqual(running.wait_for(lambda metrics: metrics["plait_http_connections"] == 1)
                         ["plait_http_connections"], 1)


class LeaversTest(unittest.TestCase):
    """Clients that leave while they are answered give back all they had."""

    def test_no_page_stays_behind(self):
        # 60 pages of 368,640 bytes: a handful that stays behind would be missed by the last request.
        running = self.enterContext(Server("--drain-seconds", "2", "--kv-memory", 60 * 368_640, "--rows", "16"))
        body = json.dumps(STREAM).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        waiting, served = [], 0
        for number in range(LEAVERS):
            one = socket.create_connection((running.host, running.port), timeout=60)
            one.sendall(head.encode() + body)
            waiting.append(one)
            if len(waiting) == 20 or number == LEAVERS - 1:
                served += self.leave(waiting)
        self.assertEqual(running.sequences_when_idle(), 0)
        gone = running.wait_for(lambda metrics: metrics["plait_http_clients_gone_total"] >= served and
                                metrics["plait_http_requests_in_flight"] == 1)
        self.assertGreaterEqual(gone["plait_http_clients_gone_total"], served)
        self.assertEqual(gone["plait_http_requests_in_flight"], 1)
        prompt = list(range(1000, 1000 + 58 * 16 - 16))  # token ids; with the answer, all pages but two
        status, last = running.json("POST", "/v1/completions", {"prompt": prompt, "max_tokens": 8, "ignore_eos": True})
        self.assertEqual((status, last["usage"]["completion_tokens"]), (200, 8), last)
        self.assertEqual(running.metrics()["plait_preemptions_total"], gone["plait_preemptions_total"])

    def leave(self, waiting):
        """Some at once, some after the first event, which are counted; half of them with a reset."""
        served = 0
        for number, one in enumerate(waiting):
            if number % 3 != 0:
                self.assertTrue(one.recv(100).startswith(b"HTTP/1.1 200 "))
                served += 1
            if number % 2 == 0:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
        waiting.clear()
        return served


class SilenceTest(unittest.TestCase):
    def test_a_request_that_waits_is_kept_awake(self):
        """One row: the second stream waits for the first, and hears something meanwhile."""
        running = self.enterContext(Server("--drain-seconds", "2", "--rows", "1", "--set", "server.ping=1"))
        streams = [running.connect() for _ in range(4)]
        for connection in streams:
            self.addCleanup(connection.close)
            connection.request("POST", "/v1/completions", json.dumps(STREAM | {"max_tokens": 4000}))
        replies = [connection.getresponse() for connection in streams]
        self.assertTrue(any(reply.readline() == b": ping\n" for reply in replies[2:]))
        model = running.json("GET", "/v1/plait/status")[1]["models"][0]
        self.assertEqual((model["rows_max"], model["rows_newcomers"]), (1, 1))  # one is the client's, one a newcomer's


if __name__ == "__main__":
    unittest.main()
