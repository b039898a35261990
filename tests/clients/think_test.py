# SPDX-License-Identifier: Apache-2.0
"""Strategies of strands over HTTP, from the command line and with plait's own Python package."""
import json
import os
import subprocess
import sys
import unittest

from server import ROOT, Server, run_plait

sys.path.insert(0, str(ROOT / "clients/python"))
try:
    import httpx
    import openai

    import plait
except ImportError:
    httpx = None

QUESTION = "Name three colours."
STRATEGIES = {
    "hogwild": {"workers": 2, "answer_tokens": 4},
    "group-think": {"thinkers": 3, "budget": 16},
    "threads": {"max_threads": 2},
    "spawn": {"children": 2},
    "pdr": {"rounds": [2, 1], "workspace_tokens": 16},
    "refine": {"rounds": 1},
    "outlines": {"n": 2},
    "best-of": {"n": 3},
}
needs_packages = unittest.skipIf(httpx is None, "the packages httpx and openai are not installed")

server = None


def setUpModule():  # noqa: N802
    global server
    if httpx is None:
        return
    os.environ["NO_PROXY"] = "127.0.0.1"
    server = unittest.enterModuleContext(Server("--drain-seconds", "5"))


def body(strategy, **more):
    options = {"call_tokens": 12, **STRATEGIES.get(strategy, {}), **more.pop("options", {})}
    return {"messages": [{"role": "user", "content": QUESTION}], "temperature": 0.8, "seed": 5, **more,
            "plait": {"strategy": strategy, "strategy_options": options}}


@needs_packages
class ReplyTest(unittest.TestCase):
    def test_every_strategy_answers_in_the_shape_that_clients_know(self):
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                asked = body(strategy)
                extra = {"plait": asked.pop("plait")}
                reply = client.chat.completions.create(model="", extra_body=extra, **asked)
                self.assertIsInstance(reply.choices[0].message.content, str)
                self.assertIn(reply.choices[0].finish_reason, ("stop", "length"))
                self.assertGreater(reply.usage.completion_tokens, 0)
                thought = reply.model_extra["plait"]
                self.assertEqual(thought["strategy"], strategy)
                self.assertEqual(thought["usage"]["generated_tokens"], reply.usage.completion_tokens)
                self.assertEqual(sum(call["generated_tokens"] for call in thought["calls"]),
                                 reply.usage.completion_tokens)
                self.assertLessEqual(thought["usage"]["critical_path_tokens"], reply.usage.completion_tokens)
        self.assertEqual(server.sequences_when_idle(), 0)

    def test_a_seed_gives_the_same_beside_others(self):
        for strategy in ("hogwild", "group-think", "best-of", "pdr"):
            with self.subTest(strategy):
                texts = []
                for others in (0, 6):
                    calls = [subprocess.Popen([sys.executable, "-c", OTHER, server.url]) for _ in range(others)]
                    status, reply = server.json("POST", "/v1/chat/completions", body(strategy))
                    for call in calls:
                        call.wait()
                    self.assertEqual(status, 200, reply)
                    texts.append([path["text"] for path in reply["plait"]["paths"]])
                self.assertEqual(texts[0], texts[1])

    def test_what_cannot_be_is_refused_by_name(self):
        for wrong, field in [
            (body("guess"), "plait.strategy"),
            (body("best-of", options={"n": 0}), "plait.strategy_options"),
            (body("best-of", options={"m": 1}), "plait.strategy_options"),
            (body("best-of", options={"call_tokens": 0}), "plait.strategy_options.call_tokens"),
            (body("best-of", options={"verifier": "command:ls"}), "plait.strategy_options"),
            (body("best-of", n=2), "n"),
            (body("best-of", stop="x"), "stop"),
            (body("best-of", logprobs=True), "logprobs"),
            (body("best-of", response_format={"type": "json_object"}), "response_format"),
            ({**body("best-of"), "plait": {"strategy_options": {"n": 2}}}, "plait.strategy_options"),
        ]:
            with self.subTest(field):
                status, reply = server.json("POST", "/v1/chat/completions", wrong)
                self.assertEqual(status, 400, reply)
                self.assertEqual(reply["error"]["param"], field, reply)
        for wrong in (body("best-of", max_tokens=2), body("group-think", options={"thinkers": 16, "budget": 9000},
                                                          max_tokens=20)):
            status, reply = server.json("POST", "/v1/chat/completions", wrong)
            self.assertEqual(status, 400, reply)
        status, reply = server.json("POST", "/v1/completions", {"prompt": "a", "plait": {"strategy": "best-of"}})
        self.assertEqual((status, reply["error"]["param"]), (400, "plait.strategy"))
        status, reply = server.json("POST", "/v1/messages", {"messages": [{"role": "user", "content": "a"}],
                                                             "max_tokens": 5, "plait": {"strategy": "best-of"}})
        self.assertIn(status, (200, 400))

    def test_it_ends_in_time_with_what_was_reached(self):
        asked = body("best-of", options={"n": 64, "call_tokens": 7000, "seconds": 2})
        asked["messages"][0]["content"] = "Write a story of three thousand words about a lighthouse."
        status, reply = server.json("POST", "/v1/chat/completions", asked)
        self.assertEqual(status, 200, reply)
        self.assertEqual(reply["plait"]["finish_reason"], "deadline")
        self.assertEqual(reply["choices"][0]["finish_reason"], "length")
        self.assertTrue(reply["choices"][0]["message"]["content"])


OTHER = """
import json, sys, urllib.request
data = json.dumps({"prompt": "Once upon a time", "max_tokens": 40, "temperature": 1}).encode()
urllib.request.urlopen(urllib.request.Request(sys.argv[1] + "/v1/completions", data,
                                              {"content-type": "application/json"})).read()
"""


@needs_packages
class StreamTest(unittest.TestCase):
    def test_events_name_the_strand_and_ignorant_clients_get_the_answer(self):
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
        for strategy in ("hogwild", "group-think", "best-of", "threads"):
            with self.subTest(strategy):
                asked = body(strategy, stream=True)
                extra = {"plait": asked.pop("plait")}
                text, events, texts = "", [], {}
                for chunk in client.chat.completions.create(model="", extra_body=extra, **asked):
                    more = (chunk.model_extra or {}).get("plait") or {}
                    if "event" in more:
                        events.append(more["event"])
                        if more["event"] == "text":
                            texts[more["call"]["id"]] = texts.get(more["call"]["id"], "") + more["text"]
                    for choice in chunk.choices:
                        text += choice.delta.content or ""
                _, whole = server.json("POST", "/v1/chat/completions", body(strategy))
                self.assertEqual(text, whole["choices"][0]["message"]["content"])
                self.assertEqual(events.count("opened"), len(whole["plait"]["calls"]))
                self.assertEqual(events.count("closed"), len(whole["plait"]["calls"]))
                if strategy == "best-of":
                    self.assertEqual(sorted(texts.values()), sorted(path["text"] for path in whole["plait"]["paths"]))

    def test_who_leaves_in_the_middle_leaves_nothing(self):
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                connection = server.connect()
                asked = json.dumps(body(strategy, stream=True, options={"call_tokens": 2000}))
                connection.request("POST", "/v1/chat/completions", asked, {"content-type": "application/json"})
                response = connection.getresponse()
                response.read(400)
                connection.close()
                response.close()
                self.assertEqual(server.sequences_when_idle(), 0)


@needs_packages
class PackageTest(unittest.TestCase):
    def test_think(self):
        heard = []
        with plait.Client(server.url) as client:
            thought = client.think(QUESTION, "best-of", options={"n": 3, "call_tokens": 8}, temperature=0.8, seed=3,
                                   on_event=heard.append)
            self.assertEqual(len(thought.paths), 3)
            self.assertEqual([path.text for path in thought.paths if path.chosen], [thought.answer])
            self.assertIn("majority", thought.selector)
            self.assertEqual({event.kind for event in heard}, {"opened", "text", "closed"})
            with self.assertRaises(plait.InvalidRequest):
                client.think(QUESTION, "guess")


class CommandTest(unittest.TestCase):
    def test_think(self):
        whole = json.loads(run_plait("think", "--json", "--strategy", "best-of", "-n", "3", "--seed", "3",
                                     "--max-tokens", "8", QUESTION))
        self.assertEqual(len(whole["paths"]), 3)
        self.assertEqual(whole["answer"], next(path["text"] for path in whole["paths"] if path["chosen"]))
        for strategy in ("hogwild", "group-think"):
            more = ("--budget", "16") if strategy == "group-think" else ()
            whole = json.loads(run_plait("think", "--json", "--strategy", strategy, "--max-tokens", "8", *more,
                                         QUESTION))
            self.assertGreater(whole["usage"]["generated_tokens"], 0)

    def test_explain_and_list_do_nothing_else(self):
        bound = json.loads(run_plait("think", "--json", "--explain", "--strategy", "pdr", "--rounds", "4,2",
                                     "--max-tokens", "100", QUESTION))
        self.assertEqual(bound["rows"], 4)
        self.assertEqual(bound["generated_tokens"], 7 * 100 + 2 * 512)
        names = [one["name"] for one in json.loads(run_plait("think", "--json", "--list"))]
        self.assertEqual(names, list(STRATEGIES))

    def test_wrong_options_say_what_is_wrong(self):
        for arguments, said in [(("--strategy", "guess"), "best-of"), (("-n", "0"), "whole number from 1 to 256"),
                                (("-o", "m=3"), "m is no option"), (("-o", "m"), "NAME=VALUE"),
                                (("--prompts", "/absent"), "/absent")]:
            done = subprocess.run([ROOT / "build/release/plait", "think", *arguments, QUESTION], capture_output=True,
                                  text=True, check=False)
            self.assertEqual(done.returncode, 2 if "--prompts" not in arguments else 3, done.stderr)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
