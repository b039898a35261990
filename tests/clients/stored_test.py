# SPDX-License-Identifier: Apache-2.0
"""What clients leave on the server (files, batches, responses): with OpenAI's package, after a kill, on a full disk."""
import http.client
import io
import json
import os
import pathlib
import random
import tempfile
import threading
import time
import unittest

from server import Server, run_plait

try:
    import openai
except ImportError:
    openai = None

needs_openai = unittest.skipIf(openai is None, "the package openai is not installed")
CAPITAL = "What is the capital of France?"

server = None


def setUpModule():  # noqa: N802
    global server
    os.environ["NO_PROXY"] = "127.0.0.1"
    server = unittest.enterModuleContext(Server("--drain-seconds", "5"))


def client_of(running, key="none"):
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key=key, max_retries=0, timeout=120)


def request_line(name, **body) -> str:
    return json.dumps({"custom_id": name, "method": "POST", "url": "/v1/completions",
                       "body": {"prompt": f"The story of {name}", "max_tokens": 8, "ignore_eos": True} | body})


def form(content: bytes, purpose="batch") -> tuple[bytes, dict]:
    head = ('--XX\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n' + purpose +
            '\r\n--XX\r\ncontent-disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n')
    return head.encode() + content + b"\r\n--XX--\r\n", {"content-type": "multipart/form-data; boundary=XX"}


def upload(running, content: bytes, purpose="batch", headers=None):
    body, kind = form(content, purpose)
    return running.json("POST", "/v1/files", body, kind | (headers or {}))


def begin_batch(running, lines) -> str:
    status, card = upload(running, "\n".join(lines).encode())
    assert status == 200, card
    status, batch = running.json("POST", "/v1/batches", {"input_file_id": card["id"], "endpoint": "/v1/completions",
                                                         "completion_window": "24h"})
    assert status == 200, batch
    return batch["id"]


def wait_for(running, batch, status, seconds=180):
    end = time.monotonic() + seconds
    while True:
        shown = running.json("GET", f"/v1/batches/{batch}")[1]
        if shown["status"] == status or time.monotonic() > end:
            return shown
        time.sleep(0.05)


def result_lines(running, file) -> list[dict]:
    _, _, data = running.request("GET", f"/v1/files/{file}/content")
    return [json.loads(line) for line in data.splitlines()]


@needs_openai
class OpenAiTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = cls.enterClassContext(client_of(server))
        cls.model = server.name

    def test_files(self):
        content = "ünï\n".encode() * 1000
        made = self.client.files.create(file=("näme.jsonl", io.BytesIO(content)), purpose="user_data")
        self.assertEqual((made.bytes, made.purpose, made.object), (len(content), "user_data", "file"))
        self.assertEqual(self.client.files.retrieve(made.id), made)
        self.assertEqual(self.client.files.content(made.id).read(), content)
        more = [self.client.files.create(file=("x", b"x"), purpose="user_data").id for _ in range(3)]
        listed = [file.id for file in self.client.files.list(purpose="user_data", limit=2)]  # pages by itself
        self.assertEqual(listed, [*reversed(more), made.id])
        for file in listed:
            self.assertTrue(self.client.files.delete(file).deleted)
        with self.assertRaises(openai.NotFoundError):
            self.client.files.retrieve(made.id)

    def test_batch(self):
        lines = [request_line(f"r{i}") for i in range(10)] + [request_line("wrong", temperature=9)]
        file = self.client.files.create(file=("in.jsonl", "\n".join(lines).encode()), purpose="batch")
        batch = self.client.batches.create(input_file_id=file.id, endpoint="/v1/completions", completion_window="24h",
                                           metadata={"why": "test"})
        while batch.status not in ("completed", "failed"):
            time.sleep(0.1)
            batch = self.client.batches.retrieve(batch.id)
        self.assertEqual((batch.status, batch.metadata), ("completed", {"why": "test"}))
        counts = batch.request_counts
        self.assertEqual((counts.total, counts.completed, counts.failed), (11, 10, 1))
        answers = [json.loads(line) for line in self.client.files.content(batch.output_file_id).text.splitlines()]
        self.assertEqual({answer["custom_id"] for answer in answers}, {f"r{i}" for i in range(10)})
        errors = self.client.files.content(batch.error_file_id).text.splitlines()
        self.assertEqual(json.loads(errors[0])["response"]["status_code"], 400)
        self.assertIn(batch.id, [one.id for one in self.client.batches.list()])
        with self.assertRaises(openai.ConflictError):
            self.client.batches.cancel(batch.id)

    def test_batch_of_embeddings(self):
        lines = [json.dumps({"custom_id": f"e{i}", "method": "POST", "url": "/v1/embeddings",
                             "body": {"model": self.model, "input": [f"text {i}", "the other"]}}) for i in range(5)]
        file = self.client.files.create(file=("in.jsonl", "\n".join(lines).encode()), purpose="batch")
        batch = self.client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
        while batch.status not in ("completed", "failed"):
            time.sleep(0.1)
            batch = self.client.batches.retrieve(batch.id)
        self.assertEqual((batch.request_counts.completed, batch.request_counts.failed), (5, 0))
        for line in self.client.files.content(batch.output_file_id).text.splitlines():
            answer = json.loads(line)
            vectors = [one["embedding"] for one in answer["response"]["body"]["data"]]
            texts = [f"text {answer['custom_id'][1:]}", "the other"]
            live = self.client.embeddings.create(model=self.model, input=texts, encoding_format="float")
            self.assertEqual(vectors, [one.embedding for one in live.data])

    def test_response(self):
        made = self.client.responses.create(model=self.model, input=CAPITAL, instructions="Be brief.",
                                            max_output_tokens=12, temperature=0, metadata={"a": "b"})
        self.assertIn(made.status, ("completed", "incomplete"))
        self.assertEqual((made.object, made.metadata, made.instructions), ("response", {"a": "b"}, "Be brief."))
        self.assertEqual(made.usage.total_tokens, made.usage.input_tokens + made.usage.output_tokens)
        chat = self.client.chat.completions.create(
            model=self.model, max_tokens=12, temperature=0,
            messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": CAPITAL}])
        self.assertEqual(made.output_text, chat.choices[0].message.content)
        self.assertEqual(self.client.responses.retrieve(made.id), made)
        items = self.client.responses.input_items.list(made.id).data
        self.assertEqual([item.content[0].text for item in items], [CAPITAL])
        with self.assertRaises(openai.BadRequestError):
            self.client.responses.cancel(made.id)
        self.client.responses.delete(made.id)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(made.id)

    def test_conversation(self):
        first = self.client.responses.create(model=self.model, input=CAPITAL, max_output_tokens=10, temperature=0)
        second = self.client.responses.create(model=self.model, input="And of Italy?", previous_response_id=first.id,
                                              max_output_tokens=10, temperature=0)
        third = self.client.responses.create(model=self.model, input=[{"role": "user", "content": "And of Spain?"}],
                                             previous_response_id=second.id, max_output_tokens=10, temperature=0)
        said = [(CAPITAL, first), ("And of Italy?", second), ("And of Spain?", third)]
        messages = []
        for question, answer in said:
            messages.append({"role": "user", "content": question})
            chat = self.client.chat.completions.create(model=self.model, messages=messages, max_tokens=10,
                                                       temperature=0)
            self.assertEqual(answer.output_text, chat.choices[0].message.content)
            messages.append({"role": "assistant", "content": answer.output_text})
        self.assertEqual(third.previous_response_id, second.id)
        self.client.responses.delete(first.id)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.responses.create(model=self.model, input="x", previous_response_id=third.id)
        self.assertEqual(caught.exception.code, "previous_response_not_found")

    def test_stream(self):
        whole = self.client.responses.create(model=self.model, input=CAPITAL, max_output_tokens=10, temperature=0)
        events = list(self.client.responses.create(model=self.model, input=CAPITAL, max_output_tokens=10, temperature=0,
                                                   stream=True))
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        kinds = [event.type for event in events]
        self.assertEqual(kinds[:4], ["response.created", "response.in_progress", "response.output_item.added",
                                     "response.content_part.added"])
        self.assertEqual(kinds[-4:-1], ["response.output_text.done", "response.content_part.done",
                                        "response.output_item.done"])
        self.assertIn(kinds[-1], ("response.completed", "response.incomplete"))
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        last = events[-1].response
        self.assertEqual((text, last.output_text), (whole.output_text, whole.output_text))
        self.assertEqual(self.client.responses.retrieve(last.id), last)
        greeting = {"model": self.model, "input": "Hi", "max_output_tokens": 40, "temperature": 0}  # comes to its end
        with self.client.responses.stream(**greeting) as stream:
            final = stream.until_done().get_final_response()
        self.assertEqual((final.status, final.output_text),
                         ("completed", self.client.responses.create(**greeting).output_text))

    def test_format(self):
        schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"],
                  "additionalProperties": False}
        made = self.client.responses.create(
            model=self.model, input=CAPITAL, max_output_tokens=60,
            text={"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}})
        self.assertEqual(list(json.loads(made.output_text)), ["city"])

    def test_not_stored(self):
        made = self.client.responses.create(model=self.model, input=CAPITAL, max_output_tokens=2, store=False)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.retrieve(made.id)

    def test_refused(self):
        for more, param in (({"tools": [{"type": "web_search"}]}, "tools[0].type"),
                            ({"background": True}, "background"),
                            ({"temperature": 9}, "temperature"), ({"max_output_tokens": 0}, "max_output_tokens"),
                            ({"truncation": "some"}, "truncation"), ({"metadata": {"a": "x" * 600}}, "metadata"),
                            ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
                             "input[0].content[0]"),
                            ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role")):
            with self.subTest(param), self.assertRaises(openai.BadRequestError) as caught:
                self.client.responses.create(**{"model": self.model, "input": "x"} | more)
            self.assertEqual(caught.exception.param, param)


class KeysTest(unittest.TestCase):
    def test_two_keys_see_nothing_of_each_other(self):
        with tempfile.TemporaryDirectory(prefix="plait-keys-") as folder:
            path = pathlib.Path(folder) / "keys.json"
            keys = [run_plait("key", "add", name, "--file", path).strip() for name in ("alice", "bob")]
            alice, bob = ({"authorization": f"Bearer {key}"} for key in keys)
            with Server("--drain-seconds", "5", "--keys", path) as running:
                status, card = upload(running, b"secret", headers=alice)
                self.assertEqual(status, 200, card)
                status, response = running.json("POST", "/v1/responses", {"input": "Hi", "max_output_tokens": 1}, alice)
                self.assertEqual(status, 200, response)
                status, batch = running.json("POST", "/v1/batches", {"input_file_id": card["id"],
                                             "endpoint": "/v1/completions", "completion_window": "1h"}, alice)
                self.assertEqual(status, 200, batch)
                paths = [f"/v1/files/{card['id']}", f"/v1/files/{card['id']}/content", f"/v1/batches/{batch['id']}",
                         f"/v1/responses/{response['id']}", f"/v1/responses/{response['id']}/input_items"]
                for path in paths:
                    self.assertEqual(running.request("GET", path, headers=alice)[0], 200, path)
                    self.assertEqual(running.request("GET", path, headers=bob)[0], 404, path)
                    self.assertEqual(running.request("GET", path)[0], 401, path)
                for path in ("/v1/files", "/v1/batches"):
                    self.assertEqual(running.json("GET", path, headers=bob)[1]["data"], [])
                for path in (paths[0], paths[3]):
                    self.assertEqual(running.request("DELETE", path, headers=bob)[0], 404)
                status, reply = running.json("POST", "/v1/responses", {"input": "Hi", "max_output_tokens": 1,
                                             "previous_response_id": response["id"]}, bob)
                self.assertEqual((status, reply["error"]["code"]), (400, "previous_response_not_found"))


class KillTest(unittest.TestCase):
    """kill -9 at any moment: what was acknowledged is there, and a batch goes on with each result once."""

    def setUp(self):
        self.data = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="plait-data-"))) / "data"

    def serve(self):
        return Server("--drain-seconds", "5", "--data", self.data)

    def test_files_and_responses(self):
        acknowledged = {}
        for _ in range(3):
            with self.serve() as running:
                for path, body in acknowledged.items():
                    self.assertEqual(running.json("GET", path), (200, body), path)
                self.ask_until_killed(running, acknowledged)
        self.assertGreater(self.fewest(acknowledged), 3)
        with self.serve() as running:
            for path, body in acknowledged.items():
                self.assertEqual(running.json("GET", path), (200, body), path)
            listed = {f"/v1/files/{card['id']}" for card in running.json("GET", "/v1/files")[1]["data"]}
            self.assertLessEqual({path for path in acknowledged if "/files/" in path}, listed)
            for path in listed:
                self.assertEqual(running.request("GET", f"{path}/content")[2], b"content" * 1000)
        blobs = {path.name for path in (self.data / "blobs").iterdir()}
        self.assertEqual(blobs, {path.rsplit("/", 1)[1] for path in listed}, "nothing half-written stays")

    @staticmethod
    def fewest(acknowledged) -> int:
        """How many files or responses, whichever are fewer."""
        paths = list(acknowledged)
        return min(sum(f"/{kind}/" in path for path in paths) for kind in ("files", "responses"))

    def ask_until_killed(self, running, acknowledged):
        def ask(kind):
            while True:
                try:
                    if kind == "files":
                        status, reply = upload(running, b"content" * 1000, "user_data")
                    else:
                        status, reply = running.json("POST", "/v1/responses", {"input": "Hi", "max_output_tokens": 2})
                except (OSError, ValueError, EOFError, http.client.HTTPException):
                    return
                if status != 200:
                    return
                acknowledged[f"/v1/{kind}/{reply['id']}"] = reply

        wanted, end = self.fewest(acknowledged) + 2, time.monotonic() + 60
        threads = [threading.Thread(target=ask, args=(kind,)) for kind in ("files", "responses", "responses")]
        for thread in threads:
            thread.start()
        time.sleep(1.5 + random.random())
        while self.fewest(acknowledged) < wanted and time.monotonic() < end:  # a slow machine needs longer
            time.sleep(0.05)
        running.kill()
        for thread in threads:
            thread.join()

    def test_batch(self):
        lines = [request_line(f"r{i}", max_tokens=24) for i in range(150)]
        with self.serve() as running:
            whole = begin_batch(running, lines)
            expected = {line["custom_id"]: line["response"]["body"]["choices"]
                        for line in result_lines(running, wait_for(running, whole, "completed")["output_file_id"])}
            batch = begin_batch(running, lines)
            wait_for(running, batch, "in_progress")
            running.kill()
        kills, done = 1, 0
        while True:
            with self.serve() as running:
                shown = running.json("GET", f"/v1/batches/{batch}")[1]
                self.assertIn(shown["status"], ("validating", "in_progress", "finalizing", "completed"))
                if kills == 4:
                    shown = wait_for(running, batch, "completed")
                    break
                end = time.monotonic() + 60
                while (shown["status"] != "completed" and shown["request_counts"]["completed"] < done + 25 and
                       time.monotonic() < end):
                    time.sleep(0.02)
                    shown = running.json("GET", f"/v1/batches/{batch}")[1]
                done = shown["request_counts"]["completed"]
                running.kill()
                kills += 1
        self.assertEqual(shown["status"], "completed")
        self.assertEqual(shown["request_counts"], {"total": 150, "completed": 150, "failed": 0})
        self.assertIsNone(shown["error_file_id"])
        with self.serve() as running:
            results = result_lines(running, shown["output_file_id"])
        self.assertEqual(len(results), 150)
        self.assertEqual({line["custom_id"]: line["response"]["body"]["choices"] for line in results}, expected)


class FullDiskTest(unittest.TestCase):
    def test_nothing_half_written_stays(self):
        with tempfile.TemporaryDirectory(prefix="plait-full-") as folder:
            with Server("--drain-seconds", "5", "--data", folder, file_bytes_max=4 << 20) as running:
                self.assertEqual(upload(running, b"x" * 1000)[0], 200)
                status, reply = upload(running, b"x" * (5 << 20))
                self.assertEqual((status, reply["error"]["code"]), (507, "storage_full"))
                self.assertNotIn(folder, json.dumps(reply))
                self.assertEqual(len(list((pathlib.Path(folder) / "blobs").iterdir())), 1)
                self.assertEqual(len(running.json("GET", "/v1/files")[1]["data"]), 1)
                self.assertEqual(upload(running, b"x" * 1000)[0], 200, "it goes on")

    def test_switched_off(self):
        with Server("--drain-seconds", "5", "--data", "none") as running:
            status, reply = upload(running, b"x")
            self.assertEqual((status, reply["error"]["code"]), (501, "not_stored"))
            status, reply = running.json("POST", "/v1/responses", {"input": "Hi", "max_output_tokens": 1})
            self.assertEqual((status, reply["store"]), (200, False))
            status, reply = running.json("POST", "/v1/responses", {"input": "Hi", "store": True})
            self.assertEqual((status, reply["error"]["param"]), (400, "store"))


if __name__ == "__main__":
    unittest.main()
