# SPDX-License-Identifier: Apache-2.0
"""Metrics, traces and recent requests: the server with a collector that is well, slow, ill or away."""
import http.server
import json
import pathlib
import re
import socket
import tempfile
import threading
import time
import unittest
import unittest.mock

from server import Server, run_plait

try:
    from prometheus_client import parser
except ImportError:
    parser = None

CHAT, COMPLETIONS, RECENT = "/v1/chat/completions", "/v1/completions", "/v1/plait/requests"
QUESTION = {"messages": [{"role": "user", "content": "What do zebras eat?"}], "max_tokens": 8, "ignore_eos": True}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NAMES = {"stringValue": str, "intValue": str, "doubleValue": (int, float), "boolValue": bool, "arrayValue": dict}


class Collector:
    """Takes OTLP over HTTP. `answers` are the statuses of the first requests, then 200; None: no answer for a while."""

    def __init__(self, *answers, headers=None):
        self.answers, self.headers = list(answers), headers or {}
        self.bodies, self.seen, self.changed = [], [], threading.Condition()
        self.release = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers["content-length"]))
                with outer.changed:
                    status = outer.answers.pop(0) if outer.answers else 200
                    outer.seen.append((time.monotonic(), self.path, dict(self.headers.items()), status))
                    if status == 200:
                        outer.bodies.append(body.decode())
                    outer.changed.notify_all()
                if status is None:
                    outer.release.wait(60)
                    return
                self.send_response(status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()

    def wait(self, wanted, seconds=30):
        with self.changed:
            assert self.changed.wait_for(lambda: wanted(self), seconds), (self.seen, self.bodies)

    def spans(self):
        return [span for body in self.bodies for span in spans_of(body)]


def spans_of(text):
    """The spans of a request of OTLP, whose shape is checked."""
    spans = []
    for resource in json.loads(text)["resourceSpans"]:
        names = {one["key"] for one in resource["resource"]["attributes"]}
        assert "service.name" in names
        for scope in resource["scopeSpans"]:
            assert scope["scope"]["name"] == "plait"
            spans += scope["spans"]
    for span in spans:
        assert re.fullmatch("[0-9a-f]{32}", span["traceId"]) and int(span["traceId"], 16), span
        assert re.fullmatch("[0-9a-f]{16}", span["spanId"]) and int(span["spanId"], 16), span
        assert "parentSpanId" not in span or re.fullmatch("[0-9a-f]{16}", span["parentSpanId"]), span
        assert isinstance(span["kind"], int) and isinstance(span["name"], str) and span["name"]
        for field in ("startTimeUnixNano", "endTimeUnixNano"):
            assert isinstance(span[field], str) and abs(int(span[field]) / 1e9 - time.time()) < 3600, span
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]), span
        for event in span.get("events", []):
            assert isinstance(event["timeUnixNano"], str) and event["name"]
        for one in span.get("attributes", []):
            (kind, value), = one["value"].items()
            assert isinstance(value, NAMES[kind]), one
            assert kind != "intValue" or str(int(value)) == value
    return spans


def attributes(span):
    return {one["key"]: next(iter(one["value"].values())) for one in span.get("attributes", [])}


def trees(spans):
    """Request spans with what is below them, by the response's id."""
    roots = [span for span in spans if span["kind"] == 2]
    return {attributes(root).get("plait.request_id"):
            (root, [span for span in spans if span.get("parentSpanId") == root["spanId"]]) for root in roots}


class SpansTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.collector = cls.enterClassContext(Collector())
        cls.server = cls.enterClassContext(Server("--otlp-url", cls.collector.url))

    def ask(self, body, path=CHAT, headers=None):
        """The answer, its headers, and the request's span with those below it."""
        _, reply, data = self.server.request("POST", path, body, headers)
        identity = reply["x-request-id"]
        self.collector.wait(lambda collector: identity in trees(collector.spans()))
        return data, reply, *trees(self.collector.spans())[identity]

    def test_a_request_is_a_tree(self):
        data, _, root, below = self.ask(QUESTION | {"temperature": 0.5, "seed": 4, "top_p": 0.9})
        answer = json.loads(data)
        found = attributes(root)
        self.assertEqual(root["name"], f"chat {self.server.name}")
        self.assertNotIn("parentSpanId", root)
        self.assertEqual({key: found[key] for key in (
            "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.response.model", "gen_ai.response.id",
            "gen_ai.request.temperature", "gen_ai.request.top_p", "gen_ai.request.seed", "gen_ai.request.max_tokens",
            "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "server.address", "server.port",
            "http.response.status_code")},
            {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "plait",
             "gen_ai.response.model": self.server.name, "gen_ai.response.id": answer["id"],
             "gen_ai.request.temperature": 0.5, "gen_ai.request.top_p": 0.9, "gen_ai.request.seed": "4",
             "gen_ai.request.max_tokens": "8", "gen_ai.usage.input_tokens": str(answer["usage"]["prompt_tokens"]),
             "gen_ai.usage.output_tokens": "8", "server.address": "127.0.0.1", "server.port": str(self.server.port),
             "http.response.status_code": "200"})
        self.assertEqual(found["gen_ai.response.finish_reasons"], {"values": [{"stringValue": "length"}]})
        self.assertEqual([span["name"] for span in below][:4], ["read", "queue", "prompt", "decode"])
        for span in below:
            self.assertEqual(span["traceId"], root["traceId"])
            self.assertGreaterEqual(int(span["startTimeUnixNano"]), int(root["startTimeUnixNano"]))
            self.assertLessEqual(int(span["endTimeUnixNano"]), int(root["endTimeUnixNano"]) + 1000)

    def test_every_api(self):
        for path, body, name in (
                (COMPLETIONS, {"prompt": "Zebras", "max_tokens": 2}, "text_completion"),
                ("/v1/messages", {"max_tokens": 2, "messages": QUESTION["messages"]}, "chat"),
                ("/api/chat", {"model": self.server.name, "messages": QUESTION["messages"],
                               "options": {"num_predict": 2}}, "chat")):
            with self.subTest(path):
                _, _, root, _ = self.ask(body, path)
                self.assertEqual(attributes(root)["gen_ai.operation.name"], name)
                self.assertEqual(attributes(root)["http.route"], path)

    def test_several_answers(self):
        _, _, root, below = self.ask(QUESTION | {"n": 3, "stream": True})
        self.assertEqual(attributes(root)["gen_ai.request.choice.count"], "3")
        self.assertEqual(sorted(attributes(span).get("plait.choice") for span in below if span["name"] == "decode"),
                         ["0", "1", "2"])

    def test_a_client_s_trace_goes_on(self):
        _, reply, root, _ = self.ask(QUESTION, headers={"traceparent": PARENT, "tracestate": "vendor=1"})
        self.assertEqual((root["traceId"], root["parentSpanId"]), (PARENT[3:35], PARENT[36:52]))
        self.assertEqual(root["traceState"], "vendor=1")
        self.assertEqual(reply["traceparent"], f"00-{root['traceId']}-{root['spanId']}-01")

    def test_what_a_client_does_not_sample_is_not_sent(self):
        _, reply, _ = self.server.request("POST", CHAT, QUESTION, {"traceparent": PARENT[:-1] + "0"})
        self.assertTrue(reply["traceparent"].endswith("-00"))
        self.ask(QUESTION)
        self.assertNotIn(reply["x-request-id"], trees(self.collector.spans()))

    def test_a_damaged_parent_is_ignored(self):
        _, reply, root, _ = self.ask(QUESTION, headers={"traceparent": "00-" + "0" * 32 + PARENT[35:]})
        self.assertNotIn("parentSpanId", root)
        self.assertIn(root["traceId"], reply["traceparent"])

    def test_a_refusal(self):
        _, _, root, below = self.ask(QUESTION | {"temperature": -1})
        self.assertEqual(attributes(root)["error.type"], "invalid_value")
        self.assertEqual([span["name"] for span in below], ["read"])

    def test_no_content(self):
        self.ask(QUESTION)
        text = "".join(self.collector.bodies)
        self.assertNotIn("zebras", text.lower())
        self.assertNotIn("messages\"", text.replace("/v1/messages", ""))

    def test_counters(self):
        self.ask(QUESTION)
        metrics = self.server.wait_for(lambda metrics: metrics['plait_traces_total{to="otlp",result="told"}'] > 0)
        self.assertEqual(metrics['plait_traces_total{to="otlp",result="dropped"}'], 0)


class ContentTest(unittest.TestCase):
    def test_content_where_it_is_switched_on(self):
        with Collector() as collector, tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "traces.jsonl"
            with Server("--otlp-url", collector.url, "--trace-content", "--trace-file", file) as server:
                _, answer = server.json("POST", CHAT, QUESTION)
                server.stop()
            spans = [span for line in file.read_text(encoding="utf-8").splitlines() for span in spans_of(line)]
            for found in (attributes(spans[0]), attributes(collector.spans()[0])):
                self.assertEqual(json.loads(found["gen_ai.input.messages"]),
                                 [{"role": "user", "parts": [{"type": "text", "content": "What do zebras eat?"}]}])
                told, = json.loads(found["gen_ai.output.messages"])
                self.assertEqual(told["parts"], [{"type": "text",
                                                  "content": answer["choices"][0]["message"]["content"]}])
                self.assertEqual(told["finish_reason"], "length")


class FileTest(unittest.TestCase):
    def test_a_line_for_each_request(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "traces.jsonl"
            with Server("--trace-file", file) as server:
                for _ in range(3):
                    server.request("POST", CHAT, QUESTION)
                server.request("POST", CHAT, "{")
                server.stop()
            lines = file.read_text(encoding="utf-8").splitlines()
            self.assertEqual([spans_of(line)[0]["name"] for line in lines],
                             [f"chat {server.name}"] * 3 + ["chat"])
            self.assertNotIn("zebras", "".join(lines).lower())
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_a_file_that_cannot_be_written(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(AssertionError):
            Server("--trace-file", folder).__enter__()  # pylint: disable=unnecessary-dunder-call


class IllCollectorTest(unittest.TestCase):
    def serves(self, server):
        """Requests are answered as ever."""
        started = time.monotonic()
        for _ in range(3):
            self.assertEqual(server.request("POST", CHAT, QUESTION)[0], 200)
        self.assertLess(time.monotonic() - started, 20)

    def test_away(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://me:pa55word@127.0.0.1:{unused.getsockname()[1]}"
            with Server("--otlp-url", url) as server:
                self.serves(server)
                started = time.monotonic()
                self.assertEqual(server.stop(), 0)
                self.assertLess(time.monotonic() - started, 15)
                self.assertNotIn("pa55word", "".join(server.said))

    def test_hangs(self):
        with Collector(*[None] * 100) as collector, Server("--otlp-url", collector.url) as server:
            self.serves(server)
            collector.wait(lambda all: all.seen)
            started = time.monotonic()
            self.assertEqual(server.stop(), 0)
            self.assertLess(time.monotonic() - started, 15)

    def test_busy(self):
        for status in (429, 503):
            with Collector(status, headers={"Retry-After": "2"}) as collector, \
                    Server("--otlp-url", collector.url) as server:
                self.serves(server)
                collector.wait(lambda all: all.bodies)
                (first, *_), (second, *_) = collector.seen[:2]
                self.assertGreater(second - first, 1.9, "Retry-After is kept")
                metrics = server.wait_for(
                    lambda metrics: metrics['plait_traces_total{to="otlp",result="told"}'] == 3)
                self.assertEqual(metrics['plait_traces_total{to="otlp",result="lost"}'], 0)

    def test_refuses(self):
        with Collector(*[400] * 100) as collector, Server("--otlp-url", collector.url) as server:
            self.serves(server)
            metrics = server.wait_for(lambda metrics: metrics['plait_traces_total{to="otlp",result="lost"}'] == 3)
            self.assertEqual(metrics['plait_traces_total{to="otlp",result="lost"}'], 3)
            self.assertTrue(server.wait_until_said("answers with status 400"))


class EnvironmentTest(unittest.TestCase):
    def test_variables_of_opentelemetry(self):
        with Collector() as collector, unittest.mock.patch.dict("os.environ", {
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "answers",
                "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret"}), Server() as server:
            server.request("POST", CHAT, QUESTION)
            self.assertEqual(server.stop(), 0)
            _, path, headers, _ = collector.seen[0]
            self.assertEqual(path, "/v1/traces")
            self.assertEqual({name.lower(): value for name, value in headers.items()}["authorization"],
                             "Bearer s3cret")
            resource, = json.loads(collector.bodies[0])["resourceSpans"]
            self.assertIn({"key": "service.name", "value": {"stringValue": "answers"}},
                          resource["resource"]["attributes"])
            self.assertNotIn("s3cret", "".join(server.said + collector.bodies))


class RecentTest(unittest.TestCase):
    def test_a_key_sees_its_own(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            keys = folder / "keys.json"
            alice, bob = (run_plait("key", "add", name, "--file", keys).strip() for name in ("alice", "bob"))
            chief = run_plait("key", "add", "chief", "--operator", "--file", keys).strip()
            traces = folder / "traces.jsonl"
            with Collector() as collector, Server("--keys", keys, "--trace-file", traces, "--trace-content",
                                                  "--otlp-url", collector.url) as server:
                for key in (alice, bob, alice):
                    server.request("POST", CHAT, QUESTION, {"authorization": f"Bearer {key}"})

                def clients(key, query=""):
                    status, reply = server.json("GET", RECENT + query, headers={"x-api-key": key})
                    self.assertEqual(status, 200)
                    self.assertNotIn("zebras", json.dumps(reply).lower())
                    return [one["client"] for one in reply["data"]]

                self.assertEqual(server.request("GET", RECENT)[0], 401)
                self.assertEqual(clients(alice), ["alice", "alice"])
                self.assertEqual(clients(bob), ["bob"])
                self.assertEqual(clients(chief), ["alice", "bob", "alice"])
                self.assertEqual(clients(chief, "?limit=2"), ["alice", "bob"])
                _, metrics, = server.request("GET", "/metrics", headers={"x-api-key": alice})[1:]
                server.stop()
                for text in (traces.read_text(encoding="utf-8"), *collector.bodies, metrics.decode(),
                             "".join(server.said)):
                    for key in (alice, bob, chief):
                        self.assertNotIn(key, text)

    def test_limits(self):
        with Server() as server:
            self.assertEqual(server.json("GET", RECENT), (200, {"object": "list", "data": []}))
            server.request("POST", CHAT, QUESTION)
            _, reply = server.json("GET", RECENT)
            self.assertEqual(reply["data"][0]["generated_tokens"], 8)
            for limit in ("0", "1001", "-1", "x", "1.5", ""):
                status, reply = server.json("GET", f"{RECENT}?limit={limit}")
                self.assertEqual((status, reply["error"]["param"]), (400, "limit"))


@unittest.skipIf(parser is None, "the package prometheus_client is not installed")
class MetricsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server())
        cls.server.request("POST", CHAT, QUESTION)
        cls.server.request("POST", CHAT, "{")
        cls.server.request("POST", CHAT, QUESTION | {"n": 2, "stream": True})  # counted before its end is told
        _, _, text = cls.server.request("GET", "/metrics")
        cls.families = {}
        for family in parser.text_string_to_metric_families(text.decode()):
            assert family.name not in cls.families, family.name
            cls.families[family.name] = family

    def value(self, name, **labels):
        family = self.families.get(name) or self.families[re.sub("_(total|sum|count)$", "", name)]
        return sum(sample.value for sample in family.samples
                   if sample.name == name and labels.items() <= sample.labels.items())

    def test_histograms_are_cumulative(self):
        found = 0
        for family in self.families.values():
            if family.type != "histogram":
                continue
            series = {}
            for sample in family.samples:
                labels = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
                series.setdefault(labels, {}).setdefault(sample.name.removeprefix(family.name), []).append(sample)
            for parts in series.values():
                counts = [sample.value for sample in parts["_bucket"]]
                bounds = [float(sample.labels["le"]) for sample in parts["_bucket"]]
                self.assertEqual((counts, bounds), (sorted(counts), sorted(bounds)))
                self.assertEqual(bounds[-1], float("inf"))
                self.assertEqual(counts[-1], parts["_count"][0].value)
                found += 1
        self.assertGreater(found, 20)

    def test_counts(self):
        name = self.server.name
        self.assertEqual(self.value("plait_requests_total", status="200", model=name), 2)
        self.assertEqual(self.value("plait_requests_total", status="400"), 1)
        self.assertEqual(self.value("plait_answers_total", reason="length"), 3)
        self.assertEqual(self.value("plait_generated_tokens_total"), 24)
        for histogram, count in (("request_seconds", 2), ("time_to_first_token_seconds", 2), ("queue_seconds", 3),
                                 ("prefill_seconds", 3), ("decode_seconds", 3), ("request_prompt_tokens", 2),
                                 ("request_generated_tokens", 2)):
            self.assertEqual(self.value(f"plait_{histogram}_count"), count, histogram)
        self.assertEqual(self.value("plait_step_seconds_count"), self.value("plait_steps_total"))
        self.assertEqual(self.value("plait_step_rows_sum"),
                         self.value("plait_prompt_rows_total") + self.value("plait_decode_rows_total"))
        self.assertTrue(0 <= self.value("plait_kv_usage_ratio") <= 1)

    def test_names_of_vllm(self):
        for theirs, ours in (
                ("num_requests_running", "sequences_running"), ("num_requests_waiting", "sequences_waiting"),
                ("kv_cache_usage_perc", "kv_usage_ratio"), ("num_preemptions_total", "preemptions_total"),
                ("prompt_tokens_total", "prompt_tokens_total"), ("generation_tokens_total", "generated_tokens_total"),
                ("request_success_total", "answers_total"),
                ("time_to_first_token_seconds_sum", "time_to_first_token_seconds_sum"),
                ("time_per_output_token_seconds_sum", "time_per_output_token_seconds_sum"),
                ("inter_token_latency_seconds_count", "time_per_output_token_seconds_count"),
                ("e2e_request_latency_seconds_sum", "request_seconds_sum"),
                ("request_queue_time_seconds_sum", "queue_seconds_sum")):
            self.assertEqual(self.value(f"vllm:{theirs}", model_name=self.server.name),
                             self.value(f"plait_{ours}", model=self.server.name), theirs)
        self.assertEqual(self.value("vllm:request_success_total", finished_reason="length"), 3)


if __name__ == "__main__":
    unittest.main()
