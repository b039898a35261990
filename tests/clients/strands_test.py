# SPDX-License-Identifier: Apache-2.0
"""Strands over HTTP, with plait's own Python package and without."""
import asyncio
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

from server import ROOT, Server, run_plait

sys.path.insert(0, str(ROOT / "clients/python"))
try:
    import httpx

    import plait
except ImportError:
    httpx = None

PACKAGE = ROOT / "clients/python"
STORY = "Once upon a time, there was a little"
needs_httpx = unittest.skipIf(httpx is None, "the package httpx is not installed")

server = None


def setUpModule():  # noqa: N802
    global server
    if httpx is None:
        return
    os.environ["NO_PROXY"] = "127.0.0.1"
    server = unittest.enterModuleContext(Server("--drain-seconds", "5"))


@needs_httpx
class StrandCase(unittest.TestCase):
    def setUp(self):
        self.client = self.enterContext(plait.Client(server.url))

    def strand(self, text=STORY, **more):
        return self.enterContext(self.client.strand(text, **more))


@needs_httpx
class ProgramTest(StrandCase):
    def test_a_gen_is_what_the_completion_says(self):
        strand = self.strand(heal=False)
        capture = strand.gen("story", max_tokens=16, temperature=0.8, seed=5, logprobs=1).get()
        _, whole = server.json("POST", "/v1/completions", {"prompt": STORY, "max_tokens": 16, "temperature": 0.8,
                                                           "seed": 5, "logprobs": 1})
        self.assertEqual(capture.text, whole["choices"][0]["text"])
        self.assertEqual(capture.logprobs.token_logprobs, whole["choices"][0]["logprobs"]["token_logprobs"])
        self.assertEqual(strand.text, STORY + capture.text)
        self.assertEqual(strand["story"], capture.text)

    def test_the_boundary_is_healed(self):
        link = "The link is <a href=\"http:"  # "://" is one token
        self.assertTrue(self.strand(link).gen(max_tokens=4, temperature=0).get().text.startswith("//"))
        spaced = self.strand("The capital of France is ").gen(max_tokens=4, temperature=0).get()
        plain = self.strand("The capital of France is").gen(max_tokens=4, temperature=0).get()
        self.assertEqual(" " + spaced.text, plain.text)

    def test_fork_and_join_in_order(self):
        root = self.strand(seed=3)
        children = root.fork(3)
        values = [child.gen("part", max_tokens=12 - 5 * i, ignore_eos=True) for i, child in enumerate(children)]
        joined = root.join(separator="\n").get()
        self.assertEqual([child.id for child in joined.children], [child.id for child in children])
        self.assertEqual(root.text, STORY + "\n".join(value.get().text for value in values))
        state = root.state()
        self.assertEqual(state.ledger.critical_path_tokens, 12)
        self.assertEqual(state.tree_ledger.generated_tokens, 12 + 7 + 2)
        self.assertGreater(state.tree_ledger.cached_tokens, 0)
        self.assertEqual(sorted(state.children), sorted(child.id for child in children))
        self.assertEqual(len({value.get().text for value in values}), 3)
        again = self.strand(seed=3).fork(3)[1].gen("part", max_tokens=7, ignore_eos=True).get()
        self.assertEqual(again.text, values[1].get().text)

    def test_join_by_spans(self):
        root = self.strand(heal=False)
        for child in root.fork(2):
            child.gen("part", max_tokens=8, ignore_eos=True)
        joined = root.join(how="spans").get()
        self.assertEqual(joined.tokens, 16)
        root.append(" So").get()
        self.assertEqual(root.gen(max_tokens=3, ignore_eos=True).get().usage["completion_tokens"], 3)

    def test_select(self):
        strand = self.strand("Question: What is the capital of France?\nAnswer:")
        capture = strand.select("city", [" Paris", " Berlin", " a banana"]).get()
        self.assertEqual(capture.text, " Paris")
        options = capture.selection.options
        for option in options:
            self.assertAlmostEqual(option.score, option.logprob / option.tokens, places=6)
        self.assertAlmostEqual(sum(option.probability for option in options), 1)
        self.assertTrue(strand.text.endswith("Answer: Paris"))

    def test_formats(self):
        strand = self.strand("My favourite number is")
        self.assertRegex(strand.gen("n", regex=" [0-9]{2}", max_tokens=8).get().text, r"^ \d\d$")
        strand.append(" and as JSON:\n")
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        self.assertIn("n", json.loads(strand.gen("j", json_schema=schema, max_tokens=40).get().text))

    def test_a_chat_is_what_the_chat_says(self):
        first, second = "What is the capital of France?", "And of Italy?"
        strand = self.enterContext(self.client.strand(messages=first))
        answer = strand.gen("a", max_tokens=40, temperature=0).get().text
        strand.append(messages=second)
        again = strand.gen("b", max_tokens=12, temperature=0).get().text
        turns = [{"role": "user", "content": first}, {"role": "assistant", "content": answer},
                 {"role": "user", "content": second}]
        _, whole = server.json("POST", "/v1/chat/completions", {"messages": turns, "max_tokens": 12, "temperature": 0})
        self.assertEqual(again, whole["choices"][0]["message"]["content"])


@needs_httpx
class ValueTest(StrandCase):
    def test_values_block_where_they_are_read(self):
        strand = self.strand()
        value = strand.gen("long", max_tokens=4000, ignore_eos=True)  # it must not end before it is cancelled
        self.assertFalse(value.ready())
        with self.assertRaises(TimeoutError):
            value.get(timeout=0)
        self.assertEqual(strand.cancel(), 1)
        self.assertEqual(value.get().finish_reason, "cancelled")

    def test_an_error_surfaces_where_it_is_read(self):
        root = self.strand()
        children = root.fork(2)
        children[0].append(token_ids=[1] * 1000)
        bad = children[0].append(token_ids=[1] * 7900)  # beyond the context
        behind = children[0].gen("x", max_tokens=2)
        good = children[1].gen("x", max_tokens=4, ignore_eos=True)
        joined = root.join()
        self.assertEqual(good.get().usage["completion_tokens"], 4)
        for value in (bad, behind, joined):
            with self.assertRaises(plait.InvalidRequest) as caught:
                value.get()
            self.assertEqual((caught.exception.status, caught.exception.code), (400, "invalid_value"))
        self.assertEqual(root.join(children[1:]).get().children[0]["x"].text, good.get().text)

    def test_streams(self):
        strand = self.strand()
        pieces = list(strand.stream("s", max_tokens=12, seed=1, ignore_eos=True))
        self.assertGreater(len(pieces), 3)
        self.assertEqual(strand.text, STORY + "".join(pieces))
        with self.assertRaises(plait.InvalidRequest) as caught:
            list(strand.stream("s", temperature=-1))
        self.assertEqual(caught.exception.param, "temperature")

    def test_events_of_a_tree_can_be_resumed(self):
        root = self.strand()
        child = root.fork(1)[0]
        capture = child.gen("x", max_tokens=8, ignore_eos=True).get()
        events = []
        for event in root.events():
            events.append(event)
            if event.kind == "captured":
                break
        text = "".join(event.data["text"] for event in events if event.kind == "text")
        self.assertEqual(text, capture.text)
        self.assertEqual([event.id for event in events], list(range(1, len(events) + 1)))
        middle = len(events) // 2
        rest, begun = [], threading.Event()

        def read():
            for event in child.events(after=middle):
                rest.append(event)
                begun.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        self.assertTrue(begun.wait(timeout=30))
        root.delete()
        reader.join(timeout=30)
        self.assertEqual(rest[:len(events) - middle], events[middle:])
        self.assertEqual([event.kind for event in rest[-2:]], ["closed", "closed"])

    def test_what_is_not_there(self):
        strand = self.strand()
        strand.delete()
        strand.delete()
        with self.assertRaises(plait.NotFound) as caught:
            strand.append("x")
        self.assertEqual(caught.exception.code, "strand_not_found")
        with plait.Client("http://127.0.0.1:1") as nobody, self.assertRaises(plait.ConnectionFailed):
            nobody.strand()

    def test_many_strands_leave_nothing(self):
        for _ in range(20):
            with self.client.strand(STORY) as root:
                for child in root.fork(4):
                    child.gen("x", max_tokens=30)
        self.assertEqual(server.sequences_when_idle(), 0)


@needs_httpx
class AsyncTest(unittest.IsolatedAsyncioTestCase):
    async def test_a_program(self):
        async with plait.AsyncClient(server.url) as client, await client.strand(STORY, seed=2) as root:
            children = await root.fork(3)
            values = [await child.gen("x", max_tokens=6, ignore_eos=True) for child in children]
            captures = await asyncio.gather(*(value.get() for value in values))
            await (await root.join())
            self.assertEqual(await root.text(), STORY + "".join(capture.text for capture in captures))
            pieces = [piece async for piece in root.stream("y", max_tokens=5, ignore_eos=True)]
            self.assertEqual((await root.state()).captures[-1]["text"], "".join(pieces))
            first = await anext(root.events())
            self.assertEqual((first.id, first.kind), (1, "created"))
            chosen = await (await root.select("z", [" yes", " no"], rule="sum"))
            self.assertEqual(chosen.selection.rule, "sum")
            with self.assertRaises(plait.InvalidRequest):
                await root.fork(1000)
            value = await root.gen("w", max_tokens=4000, ignore_eos=True)
            self.assertEqual(await root.cancel(), 1)
            self.assertEqual((await value).finish_reason, "cancelled")


@needs_httpx
class KeyTest(unittest.TestCase):
    def test_strands_belong_to_a_key(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "keys.json"
            keys = [run_plait("key", "add", name, "--file", path).split()[-1] for name in ("alice", "bob")]
            with Server("--keys", path, "--drain-seconds", "5") as guarded:
                clients = [self.enterContext(plait.Client(guarded.url, api_key=key)) for key in keys]
                strand = clients[0].strand("secret")
                theirs = plait.Strand(clients[1], strand.id, strand.root, None)
                with self.assertRaises(plait.NotFound):
                    theirs.state()
                self.assertEqual(strand.text, "secret")
                with plait.Client(guarded.url) as nobody, self.assertRaises(plait.NotAuthorized):
                    nobody.strand("x")


@needs_httpx
class DocumentsTest(unittest.TestCase):
    def test_blocks_of_python_run(self):
        environment = os.environ | {"PLAIT_URL": server.url, "PYTHONPATH": str(PACKAGE)}
        block_of_python = re.compile(r"^```text\n((?:from plait|import asyncio).*?)^```$", re.M | re.S)
        for page in (ROOT / "docs/strands.md", PACKAGE / "README.md"):
            found = block_of_python.findall(page.read_text("utf-8"))
            self.assertTrue(found, page)
            for block in found:
                with self.subTest(page.name, block=block):
                    subprocess.run([sys.executable, "-c", block], env=environment, stdout=subprocess.DEVNULL,
                                   check=True, timeout=120)


@needs_httpx
class PackageTest(unittest.TestCase):
    def test_the_wheel(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
                            "--disable-pip-version-check", "--wheel-dir", folder, PACKAGE], check=True, timeout=120)
            wheel, = pathlib.Path(folder).glob("plait-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                names = archive.namelist()
            self.assertIn("plait/py.typed", names)
            self.assertEqual({name.split("/")[0].split("-")[0] for name in names}, {"plait"})


if __name__ == "__main__":
    unittest.main()
