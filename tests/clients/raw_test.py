# SPDX-License-Identifier: Apache-2.0
"""The server without any client library: what is odd, wrong, hostile, or ends in the middle."""
import http.client
import json
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from server import Server, exchange, run_plait

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]
BASES = {CHAT: {"messages": MESSAGES, "max_tokens": 1}, COMPLETIONS: {"prompt": "Hi", "max_tokens": 1}}
LONG = {"prompt": "Once upon a time", "max_tokens": 4000, "ignore_eos": True, "stream": True}

server = None


def setUpModule():  # noqa: N802
    global server
    server = unittest.enterModuleContext(Server("--drain-seconds", "5"))


def request_bytes(path, body) -> bytes:
    data = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data


def read_until(sock, text: bytes) -> bytes:
    data = b""
    while text not in data:
        part = sock.recv(4096)
        assert part, f"the connection ended: {data[-500:]}"
        data += part
    return data


class RawCase(unittest.TestCase):
    def error(self, method, path, body=None, headers=None):
        """Status and error object of a request that is refused."""
        status, reply = server.json(method, path, body, headers)
        self.assertEqual(set(reply), {"error"}, reply)
        self.assertEqual(set(reply["error"]), {"message", "type", "param", "code"})
        return status, reply["error"]


class PagesTest(RawCase):
    def test_health(self):
        self.assertEqual(server.json("GET", "/health"), (200, {"status": "ok"}))

    def test_metrics_are_prometheus_text(self):
        server.request("POST", COMPLETIONS, BASES[COMPLETIONS])
        status, headers, text = server.request("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["content-type"].startswith("text/plain; version=0.0.4"))
        name, label = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"'
        number = r"(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)"
        sample = re.compile(rf"({name})(?:\{{{label}(?:,{label})*,?\}})? {number}(?: -?\d+)?")
        kinds, helped = {}, set()
        self.assertTrue(text.endswith(b"\n"))
        for line in text.decode().splitlines():
            with self.subTest(line):
                if found := re.fullmatch(rf"# TYPE ({name}) (counter|gauge|histogram|summary|untyped)", line):
                    self.assertNotIn(found[1], kinds, "a family comes once")
                    kinds[found[1]] = found[2]
                elif found := re.fullmatch(rf"# HELP ({name}) \S.*", line):
                    self.assertNotIn(found[1], helped)
                    helped.add(found[1])
                else:
                    found = sample.fullmatch(line)
                    self.assertTrue(found, "neither comment nor sample")
                    family = re.sub(r"_(bucket|sum|count)$", "", found[1])
                    self.assertTrue(kinds.get(family) == "histogram" or found[1] in kinds, "a sample without a type")
        self.assertEqual(helped, set(kinds))
        self.assertEqual(kinds["plait_time_to_first_token_seconds"], "histogram")

    def test_metrics_count(self):
        key = f'plait_requests_total{{endpoint="{COMPLETIONS}",model="{server.name}",status="200"}}'
        before = server.metrics()
        server.request("POST", COMPLETIONS, BASES[COMPLETIONS] | {"max_tokens": 3, "ignore_eos": True})
        after = server.metrics()
        self.assertEqual(after[key] - before.get(key, 0), 1)
        self.assertEqual(after["plait_generated_tokens_total"] - before["plait_generated_tokens_total"], 3)
        self.assertEqual(after["plait_prompt_tokens_total"] - before["plait_prompt_tokens_total"], 1)

    def test_tokenize_and_back(self):
        for text in ("Hello, world", "", "  two  spaces\n\ttab\r\n", "naïve café — “quotes”", "日本語のテキスト",
                     "emoji 🦜👩‍👩‍👧‍👦🏳️‍🌈 e\u0301", "null\0byte", "עברית العربية", "<|im_start|>no tag"):
            with self.subTest(text):
                status, tokens = server.json("POST", "/tokenize", {"content": text})
                self.assertEqual(status, 200)
                self.assertEqual(tokens["count"], len(tokens["tokens"]))
                status, back = server.json("POST", "/detokenize", {"tokens": tokens["tokens"]})
                self.assertEqual((status, back["content"], back["prompt"]), (200, text, text))
                status, pieces = server.json("POST", "/tokenize", {"content": text, "with_pieces": True})
                self.assertEqual([piece["id"] for piece in pieces["tokens"]], tokens["tokens"])

    def test_tokenize_messages(self):
        status, reply = server.json("POST", "/tokenize", {"messages": MESSAGES})
        self.assertEqual(status, 200)
        _, answer = server.json("POST", CHAT, BASES[CHAT])
        self.assertEqual(reply["count"], answer["usage"]["prompt_tokens"])

    def test_long_text_keeps_nobody_waiting(self):
        ended = []

        def ask(name, method, path, body=None):
            server.request(method, path, body)
            ended.append(name)

        # As long as it may be: while both are read, there is time for a question about it and for the short request.
        long = [threading.Thread(target=ask, args=("long", "POST", "/tokenize", {"content": "a" * 4_000_000}))
                for _ in range(2)]
        for thread in long:
            thread.start()
        # The third is that for the metrics itself.
        server.wait_for(lambda metrics: metrics["plait_http_requests_in_flight"] == 3, seconds=5)
        ask("short", "GET", "/v1/models")
        for thread in long:
            thread.join()
        self.assertEqual(ended[0], "short")


class MethodsTest(RawCase):
    def test_head(self):
        for path in ("/health", "/v1/models"):
            status, headers, body = server.request("HEAD", path)
            _, of_get, full = server.request("GET", path)
            self.assertEqual((status, body), (200, b""))
            self.assertEqual(headers["content-length"], str(len(full)))
            self.assertEqual(headers["content-type"], of_get["content-type"])

    def test_head_keeps_the_connection_in_step(self):
        connection = server.connect()
        self.addCleanup(connection.close)
        for method in ("HEAD", "GET", "HEAD", "OPTIONS", "GET"):
            self.assertIn(exchange(connection, method, "/health")[0], (200, 204))

    def test_options(self):
        for path, allowed in (("/health", "GET, HEAD, OPTIONS"), (CHAT, "POST, OPTIONS")):
            status, headers, body = server.request("OPTIONS", path)
            self.assertEqual((status, body), (204, b""))
            self.assertEqual(set(headers["allow"].split(", ")), set(allowed.split(", ")))

    def test_unknown_paths(self):
        for path in ("/v1", "/v1/", "/v2/models", "/v1/chat", CHAT + "/", "//v1/models", "/health/x", "/Health",
                     "/v1/models/none", "/v1/models/a/b", "/%2e%2e/etc/passwd", "/../etc/passwd"):
            with self.subTest(path):
                self.assertEqual(self.error("GET", path)[0], 404)

    def test_wrong_methods(self):
        for method, path in (("GET", CHAT), ("GET", COMPLETIONS), ("PUT", CHAT), ("DELETE", "/health"),
                             ("POST", "/v1/models"), ("POST", "/metrics"), ("GET", "/tokenize"), ("HEAD", CHAT)):
            with self.subTest(f"{method} {path}"):
                status, headers, body = server.request(method, path)
                self.assertEqual(status, 405)
                self.assertIn("OPTIONS", headers["allow"])
                self.assertEqual(body == b"", method == "HEAD")
        self.assertEqual(self.error("BREW", "/health")[0], 501)


class BrowserTest(RawCase):
    def test_wrong_host(self):
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "169.254.169.254"):
            for method, path in (("GET", "/health"), ("POST", CHAT)):
                with self.subTest(f"{method} {host}"):
                    self.assertEqual(self.error(method, path, headers={"Host": host})[0], 403)

    def test_right_host(self):
        for host in ("localhost", f"LOCALHOST:{server.port}", f"127.0.0.1:{server.port}", "[::1]:80"):
            with self.subTest(host):
                self.assertEqual(server.request("GET", "/health", headers={"Host": host})[0], 200)

    def test_foreign_origin(self):
        for origin in ("https://evil.example", "null", f"http://127.0.0.1:{server.port + 1}"):
            for method, path in (("POST", CHAT), ("POST", "/tokenize"), ("OPTIONS", CHAT)):
                with self.subTest(f"{method} {origin}"):
                    self.assertEqual(self.error(method, path, BASES[CHAT], {"Origin": origin})[0], 403)
            # Reading is harmless as long as the browser keeps the answer from the page.
            _, headers, _ = server.request("GET", "/v1/models", headers={"Origin": origin})
            self.assertNotIn("access-control-allow-origin", headers)

    def test_own_origin(self):
        own = {"Origin": server.url}
        self.assertEqual(server.request("POST", "/tokenize", {"content": "a"}, own)[0], 200)


class BodiesTest(RawCase):
    def test_no_json(self):
        deep = "[" * 100_000
        for body in ("", "{", "nonsense", '{"messages": }', b'{"prompt": "\xff"}', '{"prompt": "\\ud800"}', "{}{}",
                     '{"a": 1e400}', deep, '{"a":' * 129, '{"a":' + deep):
            for path in (CHAT, COMPLETIONS, "/tokenize", "/detokenize"):
                with self.subTest(f"{path} {body[:30]}"):
                    status, error = self.error("POST", path, body)
                    self.assertEqual((status, error["code"]), (400, "invalid_json"))

    def test_no_object(self):
        for body in ("[]", "5", "null", "true", '"text"', '[{"messages": []}]'):
            for path in (CHAT, COMPLETIONS, "/tokenize", "/detokenize"):
                with self.subTest(f"{path} {body}"):
                    self.assertEqual(self.error("POST", path, body)[0], 400)

    def test_nesting(self):
        nested = json.loads("[" * 120 + "]" * 120)
        status, _ = server.json("POST", CHAT, BASES[CHAT] | {"unknown": nested})
        self.assertEqual(status, 200, "an unknown field is ignored")
        for name in ("messages", "stop", "tools", "logit_bias", "response_format", "plait", "stream_options",
                     "chat_template_kwargs", "model", "user", "n"):
            with self.subTest(name):
                status, error = self.error("POST", CHAT, BASES[CHAT] | {name: nested})
                self.assertEqual(status, 400)
                self.assertEqual(re.split(r"[.\[]", error["param"])[0], name)

    def test_unknown_fields(self):
        status, headers, _ = server.request("POST", COMPLETIONS, BASES[COMPLETIONS] | {"a\r\nset-cookie: b": 1})
        self.assertEqual(status, 200)
        self.assertIn("unknown field ignored", headers["x-plait-warning"])
        self.assertNotIn("set-cookie", headers)

    def test_many_unknown_fields(self):
        many = {f"field{i}": 1 for i in range(1000)}
        self.assertEqual(server.request("POST", COMPLETIONS, BASES[COMPLETIONS] | many)[0], 200)

    def test_parts_that_are_no_text(self):
        parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
        status, error = self.error("POST", CHAT, {"messages": [{"role": "user", "content": parts}]})
        self.assertEqual((status, error["param"]), (400, "messages[0].content[1]"))


HUGE = [2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30, 1e308]
NEGATIVE = [-1, -(2**31), -(2**63), -(2**63) - 1, -(10**30), -1e308]
NO_NUMBER = ["1", True, [], {}, [1], ""]
# Field, values that are wrong in it. For every one the answer is a 400 that names the field.
NUMBERS = {
    "temperature": [2.1, -0.1, *HUGE, *NEGATIVE, *NO_NUMBER],
    "top_p": [0, 1.1, *HUGE, *NEGATIVE, *NO_NUMBER],
    "min_p": [1.1, *HUGE, *NEGATIVE, *NO_NUMBER],
    "top_k": [-2, 1.5, *HUGE, *NEGATIVE[1:], *NO_NUMBER],
    "seed": [1.5, *HUGE[3:], *NEGATIVE[3:], *NO_NUMBER],
    "presence_penalty": [2.1, -2.1, *HUGE, *NEGATIVE[1:], *NO_NUMBER],
    "frequency_penalty": [2.1, -2.1, *HUGE, *NEGATIVE[1:], *NO_NUMBER],
    "repetition_penalty": [0, 100.1, *HUGE, *NEGATIVE, *NO_NUMBER],
    "n": [0, 129, 1.5, *HUGE, *NEGATIVE, *NO_NUMBER],
    "max_tokens": [1.5, *HUGE[3:], *NEGATIVE, *NO_NUMBER],
    "max_completion_tokens": [1.5, *HUGE[3:], *NEGATIVE, *NO_NUMBER],
    "logit_bias": [{"5": value} for value in [101, -101, *HUGE, *NEGATIVE[1:], *NO_NUMBER, None]]
    + [{str(key): 1} for key in [*HUGE, *NEGATIVE, "", "x", "1x", " 1", "1.0"]],
    "stop": [[value] for value in [1.5, *HUGE, *NEGATIVE, True, [], {}, None, ""]] + [0.5, True, {}, ""],
    "plait.priority": [1.5, *HUGE, *NEGATIVE, *NO_NUMBER],
    "plait.prompt_token_ids": [[value] for value in [1.5, *HUGE, *NEGATIVE, *NO_NUMBER, None]] + [[], 1, "1"],
}
OF_CHAT = {
    "max_tokens": [0],
    "top_logprobs": [21, 1.5, *HUGE, *NEGATIVE, *NO_NUMBER],
}
OF_COMPLETIONS = {
    "logprobs": [21, 1.5, *HUGE, *NEGATIVE, *NO_NUMBER],
    "best_of": [0, 1.5, *HUGE, *NEGATIVE, *NO_NUMBER],
    "prompt": [[value] for value in [1.5, *HUGE, *NEGATIVE, True, {}, None]] + [[1, "a"], [[1], [-1]], [[]], [], 1],
}


class NumbersTest(RawCase):
    def refuses(self, path, field, value, base):
        outer, _, inner = field.partition(".")
        body = base | {outer: {inner: value} if inner else value}
        with self.subTest(f"{path} {field} = {json.dumps(value)}"):
            status, _, data = exchange(self.connection, "POST", path, body)
            self.assertEqual(status, 400, data)
            error = json.loads(data)["error"]
            self.assertEqual(re.sub(r"(\[\d+\])+$", "", error["param"] or ""), field, error)
            self.assertIn(field, error["message"])

    def refuses_all(self, path, table, extra=None):
        self.connection = server.connect()
        self.addCleanup(self.connection.close)
        for field, values in table.items():
            for value in values:
                self.refuses(path, field, value, BASES[path] | (extra or {}))

    def test_chat(self):
        self.refuses_all(CHAT, NUMBERS)
        self.refuses_all(CHAT, OF_CHAT, {"logprobs": True})

    def test_completions(self):
        self.refuses_all(COMPLETIONS, NUMBERS)
        self.refuses_all(COMPLETIONS, OF_COMPLETIONS)

    def test_detokenize(self):
        self.connection = server.connect()
        self.addCleanup(self.connection.close)
        for value in [1.5, *HUGE, *NEGATIVE, *NO_NUMBER, None]:
            self.refuses("/detokenize", "tokens", [0, value], {})
        for value in (None, 1, "1", {}):
            self.refuses("/detokenize", "tokens", value, {})

    def test_more_than_the_context(self):
        for path in (CHAT, COMPLETIONS):
            for value in (8193, *HUGE[:3]):
                status, error = self.error("POST", path, BASES[path] | {"max_tokens": value})
                self.assertEqual((status, error["code"]), (400, "context_length_exceeded"))
                self.assertIn(str(value), error["message"])
                self.assertIn("8192", error["message"])

    def test_too_many_answers_in_all(self):
        status, error = self.error("POST", COMPLETIONS, {"prompt": ["a"] * 100, "n": 128, "max_tokens": 1})
        self.assertEqual((status, error["param"]), (400, "n"))

    def test_extremes_that_are_right(self):
        right = {"seed": -(2**63), "top_k": -1, "temperature": 2, "top_p": 5e-324, "min_p": 1, "presence_penalty": -2,
                 "repetition_penalty": 100, "frequency_penalty": 2, "logit_bias": {"0": -100, "49151": 100}}
        for path in (CHAT, COMPLETIONS):
            for name, value in right.items():
                with self.subTest(f"{path} {name}"):
                    self.assertEqual(server.request("POST", path, BASES[path] | {name: value})[0], 200)

    def test_tiny_repetition_penalty(self):
        status, _ = server.json("POST", COMPLETIONS, BASES[COMPLETIONS] | {"repetition_penalty": 1e-38})
        self.assertIn(status, (200, 400))


class KeysTest(RawCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="plait-keys-"))
        cls.file = pathlib.Path(folder) / "keys.json"
        cls.key = cls.add("alice")
        cls.log = pathlib.Path(folder) / "access.log"
        cls.server = cls.enterClassContext(Server(
            "--keys", cls.file, "--access-log", cls.log, "--allowed-origins", "https://chat.example",
            "--allowed-hosts", "plait.example"))

    @classmethod
    def add(cls, name, *options):
        return run_plait("key", "--file", cls.file, "add", name, *options).strip()

    def status(self, key, name="Authorization", prefix="Bearer "):
        return self.server.request("GET", "/v1/models", headers={name: prefix + key})[0]

    def becomes(self, key, wanted):
        end = time.monotonic() + 20
        while (status := self.status(key)) != wanted and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(status, wanted)

    def test_right_key(self):
        self.assertEqual(self.status(self.key), 200)
        self.assertEqual(self.status(self.key, "x-api-key", ""), 200)
        self.assertEqual(self.status(self.key, "Authorization", "bearer "), 200, "schemes have no case")

    def test_wrong_key(self):
        for key in ("", "x", self.key[:-1], self.key + "0", self.key.upper(), "plait-" + "0" * 64):
            with self.subTest(key):
                self.assertEqual(self.status(key), 401)
        self.assertEqual(self.status(self.key, "Authorization", "Basic "), 401)
        status, headers, body = self.server.request("POST", CHAT, BASES[CHAT])
        self.assertEqual((status, headers["www-authenticate"]), (401, "Bearer"))
        self.assertEqual(json.loads(body)["error"]["code"], "invalid_api_key")

    def test_file_changes_while_it_runs(self):
        key = self.add("bob")
        self.becomes(key, 200)
        self.assertEqual(self.status(self.key), 200)
        run_plait("key", "--file", self.file, "remove", "bob")
        self.becomes(key, 401)
        good = self.file.read_text(encoding="utf-8")
        self.file.write_text("nonsense", encoding="utf-8")
        self.assertTrue(self.server.wait_until_said("the old keys and certificates stay"), self.server.said)
        self.assertEqual(self.status(self.key), 200)
        self.file.write_text(good, encoding="utf-8")

    def test_access_log(self):
        headers = {"x-api-key": self.key}
        _, reply, data = self.server.request("POST", COMPLETIONS, BASES[COMPLETIONS] | {"prompt": "secret"}, headers)
        identity = reply["x-request-id"]
        self.assertIn(identity, json.loads(data)["id"])
        end = time.monotonic() + 10
        while identity not in (text := self.log.read_text(encoding="utf-8")) and time.monotonic() < end:
            time.sleep(0.05)
        lines = [json.loads(line) for line in text.splitlines()]
        line, = [line for line in lines if line["id"] == identity]
        self.assertEqual({name: line[name] for name in ("client", "method", "path", "status")},
                         {"client": "alice", "method": "POST", "path": COMPLETIONS, "status": 200})
        self.assertGreater(line["bytes"], len(data))
        self.assertNotIn("secret", text)
        self.assertNotIn(self.key, text)

    def test_requests_per_minute(self):
        key = self.add("carol", "--requests-per-minute", "2")
        self.becomes(key, 200)
        statuses = [self.status(key) for _ in range(3)]
        self.assertEqual(statuses[1:], [429, 429])
        _, headers, body = self.server.request("GET", "/v1/models", headers={"x-api-key": key})
        self.assertTrue(1 <= int(headers["retry-after"]) <= 30)
        self.assertEqual(json.loads(body)["error"]["code"], "rate_limit_exceeded")
        self.assertEqual(self.status(self.key), 200, "others are not concerned")

    def test_allowed_origin(self):
        origin = {"Origin": "https://chat.example"}
        preflight = origin | {"Access-Control-Request-Method": "POST",
                              "Access-Control-Request-Headers": "authorization"}
        status, headers, _ = self.server.request("OPTIONS", CHAT, headers=preflight)
        self.assertEqual((status, headers["access-control-allow-origin"]), (204, "https://chat.example"))
        self.assertIn("POST", headers["access-control-allow-methods"])
        self.assertIn("authorization", headers["access-control-allow-headers"])
        status, headers, _ = self.server.request("POST", CHAT, BASES[CHAT], origin | {"x-api-key": self.key})
        self.assertEqual((status, headers["access-control-allow-origin"]), (200, "https://chat.example"))

    def test_allowed_host(self):
        for host, wanted in (("plait.example", 200), ("evil.example", 403)):
            headers = {"Host": host, "x-api-key": self.key}
            self.assertEqual(self.server.request("GET", "/health", headers=headers)[0], wanted)


CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
    sock.sendall(sys.stdin.buffer.read())
    while sock.recv(100):
        print("got some", flush=True)
"""


class GoneTest(RawCase):
    """Clients that go away in the middle: what they asked for is dropped from the engine."""

    def begin(self, body=None):
        sock = socket.create_connection((server.host, server.port), timeout=60)
        self.addCleanup(sock.close)
        sock.sendall(request_bytes(COMPLETIONS, body or LONG))
        return sock

    def assert_dropped(self, gone_before):
        self.assertEqual(server.sequences_when_idle(), 0)
        metrics = server.wait_for(lambda metrics: metrics["plait_http_clients_gone_total"] > gone_before)
        self.assertEqual(metrics["plait_http_clients_gone_total"], gone_before + 1)

    def gone(self):
        return server.metrics()["plait_http_clients_gone_total"]

    def test_close(self):
        before = self.gone()
        sock = self.begin()
        read_until(sock, b"data: ")
        sock.close()
        self.assert_dropped(before)

    def test_reset(self):
        before = self.gone()
        sock = self.begin()
        read_until(sock, b"data: ")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        self.assert_dropped(before)

    def test_half_closed(self):
        before = self.gone()
        sock = self.begin()
        read_until(sock, b"data: ")
        sock.shutdown(socket.SHUT_WR)
        self.assert_dropped(before)

    def test_without_a_stream(self):
        before = self.gone()
        sock = self.begin(LONG | {"stream": False})
        self.assertGreater(server.wait_for(lambda metrics: metrics["plait_sequences_running"] > 0)
                           ["plait_sequences_running"], 0)
        sock.close()
        self.assert_dropped(before)

    def test_killed(self):
        before = self.gone()
        with subprocess.Popen([sys.executable, "-c", CLIENT, str(server.port)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as client:
            client.stdin.write(request_bytes(COMPLETIONS, LONG | {"n": 4}))
            client.stdin.close()
            self.assertEqual(client.stdout.readline(), b"got some\n")
            client.send_signal(signal.SIGKILL)
        self.assert_dropped(before)

    def test_in_the_middle_of_a_body(self):
        sock = socket.create_connection((server.host, server.port), timeout=60)
        sock.sendall(b"POST /tokenize HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        sock.close()
        self.assertEqual(server.request("GET", "/health")[0], 200)


class EndTest(unittest.TestCase):
    def stream(self, running, tokens):
        connection = running.connect()
        self.addCleanup(connection.close)
        connection.request("POST", COMPLETIONS, json.dumps(LONG | {"max_tokens": tokens}))
        reply = connection.getresponse()
        self.assertEqual(reply.status, 200)
        self.assertTrue(reply.readline().startswith(b"data: "))
        return reply

    def assert_closes_its_door(self, running):
        end = time.monotonic() + 5
        with self.assertRaises(ConnectionRefusedError):
            while time.monotonic() < end:
                socket.create_connection((running.host, running.port), timeout=5).close()

    def test_sigterm_finishes_a_stream(self):
        with Server("--drain-seconds", "60") as running:
            idle = running.connect()
            self.addCleanup(idle.close)
            exchange(idle, "GET", "/health")
            reply = self.stream(running, 300)
            running.signal()
            rest = reply.read()
            self.assertEqual(rest.count(b'"finish_reason":"length"'), 1)
            self.assertTrue(rest.endswith(b"data: [DONE]\n\n"))
            self.assertEqual(running.process.wait(timeout=30), 0)
            self.assert_closes_its_door(running)

    def test_while_it_drains(self):
        with Server("--drain-seconds", "60") as running:
            idle = running.connect()
            self.addCleanup(idle.close)
            exchange(idle, "GET", "/health")
            reply = self.stream(running, 8000)  # does not end while the test looks
            running.signal()
            self.assertTrue(running.wait_until_said("finishing what runs"))
            self.assert_closes_its_door(running)
            status, headers, body = exchange(idle, "POST", COMPLETIONS, BASES[COMPLETIONS])
            self.assertEqual((status, json.loads(body)["error"]["code"]), (503, "server_draining"))
            self.assertIn("retry-after", headers)
            self.assertTrue(reply.readline())
            self.assertIsNone(running.process.poll())
            reply.close()
            self.doCleanups()  # the clients leave: nothing is left to wait for
            self.assertEqual(running.process.wait(timeout=30), 0)

    def test_what_takes_longer_is_cut(self):
        with Server("--drain-seconds", "0.5") as running:
            reply = self.stream(running, 8000)
            started = time.monotonic()
            running.signal()
            self.assertEqual(running.process.wait(timeout=30), 0)
            self.assertLess(time.monotonic() - started, 10)
            try:
                rest = reply.read()
            except http.client.IncompleteRead as cut:
                rest = cut.partial
            self.assertNotIn(b"[DONE]", rest)

    def test_second_signal_ends_at_once(self):
        with Server("--drain-seconds", "60") as running:
            self.stream(running, 8000)
            running.signal()
            self.assertTrue(running.wait_until_said("finishing what runs"))
            running.signal()
            self.assertEqual(running.process.wait(timeout=10), 130)


if __name__ == "__main__":
    unittest.main()
