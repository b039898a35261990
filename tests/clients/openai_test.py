# SPDX-License-Identifier: Apache-2.0
"""The server with OpenAI's own Python package, unchanged."""
import asyncio
import logging
import os
import pathlib
import tempfile
import time
import unittest

from server import Server, run_plait

try:
    import openai
except ImportError:
    openai = None

CONCURRENT = 64
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
GREETING = [{"role": "user", "content": "Hi"}]  # the default model's answer comes to an end
STORY = "Once upon a time"
UNICODE = "Ünïcødé — 日本語のテキスト, עברית, emoji 🦜👩‍👩‍👧‍👦 and e\u0301; "
needs_openai = unittest.skipIf(openai is None, "the package openai is not installed")

server = None


def setUpModule():  # noqa: N802
    global server
    if openai is None:
        return
    os.environ["NO_PROXY"] = "127.0.0.1"
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a slow machine is no news
    server = unittest.enterModuleContext(Server("--drain-seconds", "5"))


def options(running, key="none"):
    return {"base_url": f"{running.url}/v1", "api_key": key, "max_retries": 0, "timeout": 120}


class ClientCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = cls.enterClassContext(openai.OpenAI(**options(server)))
        cls.model = server.name

    def chat(self, messages=None, **more):
        return self.client.chat.completions.create(model=self.model, messages=messages or CAPITAL,
                                                   **{"max_tokens": 12} | more)

    def complete(self, prompt=STORY, **more):
        return self.client.completions.create(model=self.model, prompt=prompt, **{"max_tokens": 12} | more)

    def tokens(self, text):
        return server.json("POST", "/tokenize", {"content": text, "add_special": True})[1]["tokens"]


@needs_openai
class ModelsTest(ClientCase):
    def test_list_and_retrieve(self):
        models = list(self.client.models.list())
        self.assertIn(self.model, [model.id for model in models])  # others may be in the cache
        self.assertEqual(self.client.models.retrieve(self.model), models[0])
        self.assertEqual(models[0].object, "model")
        self.assertAlmostEqual(models[0].created, time.time(), delta=3600)

    def test_unknown(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.models.retrieve("none/such")
        self.assertEqual((caught.exception.code, caught.exception.param), ("model_not_found", "model"))


@needs_openai
class ChatTest(ClientCase):
    def test_answer(self):
        reply = self.chat(GREETING, temperature=0, max_tokens=40)
        self.assertEqual(reply.choices[0].message.content.strip(), run_plait("ask", GREETING[0]["content"]).strip())
        self.assertEqual((reply.choices[0].message.role, reply.choices[0].finish_reason), ("assistant", "stop"))
        self.assertEqual((reply.model, reply.object, len(reply.choices)), (self.model, "chat.completion", 1))
        usage = reply.usage
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        self.assertLessEqual(usage.prompt_tokens_details.cached_tokens, usage.prompt_tokens)

    def test_length(self):
        reply = self.chat(max_tokens=None, max_completion_tokens=2)
        self.assertEqual((reply.choices[0].finish_reason, reply.usage.completion_tokens), ("length", 2))

    def test_ids_differ(self):
        self.assertNotEqual(self.chat(max_tokens=1).id, self.chat(max_tokens=1).id)

    def test_parts_and_roles(self):
        whole = [{"role": "system", "content": "Be brief."}, *CAPITAL, {"role": "assistant", "content": "Paris."},
                 {"role": "user", "content": "And of Italy?"}]
        parts = [{"role": "developer" if message["role"] == "system" else message["role"],
                  "content": [{"type": "text", "text": message["content"]}]} for message in whole]
        self.assertEqual(self.chat(whole, seed=3).choices[0].message, self.chat(parts, seed=3).choices[0].message)

    def test_seeds_repeat(self):
        first, again, other = (self.chat(seed=seed, temperature=1.5).choices[0].message.content for seed in (7, 7, 8))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertEqual(self.chat(seed=-5).choices[0], self.chat(seed=-5).choices[0])

    def test_without_seed_answers_differ(self):
        self.assertGreater(len({self.chat(temperature=2).choices[0].message.content for _ in range(3)}), 1)

    def test_several_choices(self):
        first, again = (self.chat(n=4, seed=1, temperature=1.5) for _ in range(2))
        self.assertEqual([choice.index for choice in first.choices], [0, 1, 2, 3])
        self.assertEqual(first.choices, again.choices)
        self.assertEqual(len({choice.message.content for choice in first.choices}), 4)
        alone = self.chat(max_tokens=1)
        self.assertEqual(first.usage.prompt_tokens, alone.usage.prompt_tokens, "a prompt counts once")
        self.assertLessEqual(first.usage.completion_tokens, 48)

    def test_logprobs(self):
        reply = self.chat(temperature=0, logprobs=True, top_logprobs=3)
        entries = reply.choices[0].logprobs.content
        self.assertEqual(len(entries), reply.usage.completion_tokens)
        text = b"".join(bytes(entry.bytes) for entry in entries)
        self.assertTrue(text.startswith(reply.choices[0].message.content.encode()))
        for entry in entries:
            self.assertLessEqual(entry.logprob, 0)
            self.assertEqual(len(entry.top_logprobs), 3)
            best = entry.top_logprobs[0]
            self.assertEqual((best.token, best.logprob), (entry.token, entry.logprob), "greedy takes the best, exactly")
        plain = self.chat(temperature=0, logprobs=True)
        self.assertEqual([entry.logprob for entry in plain.choices[0].logprobs.content],
                         [entry.logprob for entry in entries])
        self.assertIsNone(self.chat(temperature=0).choices[0].logprobs)

    def test_stop_strings(self):
        whole = self.chat(temperature=0).choices[0].message.content
        for stop in (whole[5:9], [whole[7:12], "never there"], whole[3]):
            with self.subTest(stop):
                choice = self.chat(temperature=0, stop=stop).choices[0]
                first = stop if isinstance(stop, str) else stop[0]
                self.assertEqual(choice.message.content, whole[:whole.index(first)])
                self.assertEqual(choice.finish_reason, "stop")
                stream = self.chat(temperature=0, stop=stop, stream=True)
                self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in stream),
                                 choice.message.content)

    def test_logit_bias(self):
        token = self.tokens(" yes")[-1]
        reply = self.chat(logit_bias={str(token): 100}, max_tokens=3, temperature=0)
        self.assertEqual(reply.choices[0].message.content, " yes yes yes")

    def test_long_unicode_prompt(self):
        reply = self.chat([{"role": "user", "content": UNICODE * 20}], max_tokens=4)
        self.assertGreater(reply.usage.prompt_tokens, 500)
        echo = self.complete(UNICODE * 20, echo=True, max_tokens=0)
        self.assertEqual(echo.choices[0].text, UNICODE * 20)


def joined(stream):
    """Of a chat's stream: the text of each choice, finish reasons, all chunks."""
    texts, reasons, chunks = {}, {}, []
    for chunk in stream:
        chunks.append(chunk)
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            if choice.finish_reason:
                assert choice.index not in reasons
                reasons[choice.index] = choice.finish_reason
    return texts, reasons, chunks


@needs_openai
class StreamTest(ClientCase):
    def test_chat(self):
        whole = self.chat(seed=5)
        texts, reasons, chunks = joined(self.chat(seed=5, stream=True))
        self.assertEqual(texts, {0: whole.choices[0].message.content})
        self.assertEqual(reasons, {0: whole.choices[0].finish_reason})
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertGreater(len(chunks), 5)
        self.assertEqual(len({chunk.id for chunk in chunks}), 1)
        self.assertEqual({chunk.object for chunk in chunks}, {"chat.completion.chunk"})
        self.assertTrue(all(chunk.usage is None for chunk in chunks))

    def test_usage(self):
        whole = self.chat(seed=5)
        *chunks, last = joined(self.chat(seed=5, stream=True, stream_options={"include_usage": True}))[2]
        self.assertTrue(all(chunk.usage is None and chunk.choices for chunk in chunks))
        self.assertEqual(last.choices, [])
        self.assertEqual((last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens),
                         (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens))

    def test_several_choices(self):
        whole = self.chat(n=4, seed=1, temperature=1.5)
        texts, reasons, _ = joined(self.chat(n=4, seed=1, temperature=1.5, stream=True))
        self.assertEqual(texts, {choice.index: choice.message.content for choice in whole.choices})
        self.assertEqual(reasons, {choice.index: choice.finish_reason for choice in whole.choices})

    def test_logprobs(self):
        whole = self.chat(temperature=0, logprobs=True, top_logprobs=2).choices[0].logprobs.content
        chunks = joined(self.chat(temperature=0, logprobs=True, top_logprobs=2, stream=True))[2]
        streamed = [entry for chunk in chunks if chunk.choices[0].logprobs
                    for entry in chunk.choices[0].logprobs.content]
        self.assertEqual(streamed, whole)

    def test_completions(self):
        more = {"n": 2, "seed": 4, "logprobs": 2}
        whole = self.complete([STORY, "Two plus two"], **more)
        texts, tokens = [""] * 4, [[] for _ in range(4)]
        for chunk in self.complete([STORY, "Two plus two"], stream=True, **more):
            choice = chunk.choices[0]
            texts[choice.index] += choice.text
            tokens[choice.index] += choice.logprobs.text_offset if choice.logprobs else []
        self.assertEqual(texts, [choice.text for choice in whole.choices])
        self.assertEqual(tokens, [choice.logprobs.text_offset for choice in whole.choices])

    def test_logprobs_up_to_a_stop_string(self):
        whole = self.complete(temperature=0).choices[0].text
        more = {"temperature": 0, "stop": whole[10:14], "logprobs": 1}
        cut = self.complete(**more).choices[0]
        chunks = list(self.complete(stream=True, **more))
        self.assertEqual("".join(chunk.choices[0].text for chunk in chunks), cut.text)
        for name in ("tokens", "token_logprobs", "text_offset"):
            streamed = [value for chunk in chunks if chunk.choices[0].logprobs
                        for value in getattr(chunk.choices[0].logprobs, name)]
            self.assertEqual(streamed, getattr(cut.logprobs, name))

    def test_characters_stay_whole(self):
        parrots = "🦜🎉日本語🦜🎉日本語🦜🎉日本語"
        whole = self.complete(parrots, temperature=0, max_tokens=24).choices[0].text
        pieces = [chunk.choices[0].text for chunk in self.complete(parrots, temperature=0, max_tokens=24, stream=True)]
        self.assertEqual("".join(pieces), whole)
        self.assertTrue(any(ord(character) > 0xffff for character in whole), whole)
        self.assertFalse(any("\ufffd" in piece for piece in pieces[:-1]), pieces)

    def test_helper_of_the_package(self):
        with self.client.chat.completions.stream(model=self.model, messages=GREETING, temperature=0) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        self.assertLessEqual({"chunk", "content.delta", "content.done"}, kinds)
        self.assertEqual(final.choices[0].message.content,
                         self.chat(GREETING, temperature=0, max_tokens=40).choices[0].message.content)

    def test_closed_early(self):
        for more in ({}, {"n": 4}):
            stream = self.chat(stream=True, max_tokens=4000, extra_body={"ignore_eos": True}, **more)
            for _ in range(6):
                next(stream)
            running = server.wait_for(lambda metrics: metrics["plait_sequences_running"] > 0)
            self.assertGreater(running["plait_sequences_running"], 0)
            stream.close()
            self.assertEqual(server.sequences_when_idle(), 0)


@needs_openai
class CompletionsTest(ClientCase):
    def test_text(self):
        reply = self.complete(temperature=0)
        self.assertEqual((reply.object, reply.choices[0].finish_reason), ("text_completion", "length"))
        self.assertEqual(reply.usage.completion_tokens, 12)
        self.assertEqual(self.complete(max_tokens=openai.omit, extra_body={"ignore_eos": True}).usage.completion_tokens,
                         16)

    def test_no_and_one_token(self):
        none, one = self.complete(max_tokens=0), self.complete(max_tokens=1, temperature=0, logprobs=1)
        self.assertEqual((none.choices[0].text, none.choices[0].finish_reason), ("", "length"))
        self.assertEqual((none.usage.completion_tokens, one.usage.completion_tokens), (0, 1))
        self.assertEqual(none.usage.prompt_tokens, len(self.tokens(STORY)))
        self.assertEqual([one.choices[0].text], one.choices[0].logprobs.tokens)
        self.assertEqual(self.complete(temperature=0).choices[0].text[:len(one.choices[0].text)], one.choices[0].text)
        chunks = list(self.complete(max_tokens=0, stream=True))
        self.assertEqual([chunk.choices[0].finish_reason for chunk in chunks], ["length"])

    def test_lists(self):
        prompts = [STORY, "Two plus two equals", "日本"]
        alone = [self.complete(prompt, temperature=0).choices[0].text for prompt in prompts]
        ids = [self.tokens(prompt) for prompt in prompts]
        self.assertEqual(self.complete(ids[0], temperature=0).choices[0].text, alone[0], "the ids of one prompt")
        for several in (prompts, ids):
            reply = self.complete(several, temperature=0)
            self.assertEqual([choice.text for choice in reply.choices], alone)
            self.assertEqual([choice.index for choice in reply.choices], [0, 1, 2])
            self.assertEqual(reply.usage.prompt_tokens, sum(map(len, ids)))
        reply = self.complete(prompts, n=2, seed=1, temperature=1.5)
        self.assertEqual([choice.index for choice in reply.choices], list(range(6)))
        self.assertEqual(reply.choices[2].text, self.complete(prompts[1], seed=1, temperature=1.5).choices[0].text)

    def test_echo(self):
        plain, echo = self.complete(seed=2), self.complete(seed=2, echo=True)
        self.assertEqual(echo.choices[0].text, STORY + plain.choices[0].text)
        self.assertEqual(self.complete(echo=True, max_tokens=0).choices[0].text, STORY)
        streamed = "".join(chunk.choices[0].text for chunk in self.complete(seed=2, echo=True, stream=True))
        self.assertEqual(streamed, echo.choices[0].text)
        self.assertEqual(self.complete(self.tokens(STORY), seed=2, echo=True).choices[0].text, echo.choices[0].text)

    def test_logprobs(self):
        reply = self.complete(temperature=0, logprobs=2)
        choice = reply.choices[0]
        found = choice.logprobs
        self.assertEqual("".join(found.tokens), choice.text)
        for token, logprob, top, offset in zip(found.tokens, found.token_logprobs, found.top_logprobs,
                                               found.text_offset, strict=True):
            self.assertEqual(len(top), 2)
            self.assertEqual((top[token], max(top.values())), (logprob, logprob), "greedy takes the best, exactly")
            self.assertTrue(choice.text[offset:].startswith(token))

    def test_echo_with_logprobs(self):
        written = self.complete(temperature=0, logprobs=2, max_tokens=6,
                                extra_body={"plait": {"return_token_ids": True}})
        ids = self.tokens(STORY) + written.choices[0].plait["token_ids"]
        for prompt, more in ((ids, {"max_tokens": 1}), ([ids, ids[:3]], {"max_tokens": 0})):
            choice = self.complete(prompt, temperature=0, logprobs=2, echo=True, **more).choices[0]
            found = choice.logprobs
            self.assertEqual("".join(found.tokens), choice.text)
            self.assertEqual((found.token_logprobs[0], found.top_logprobs[0]), (None, None))
            self.assertEqual(len(found.token_logprobs), len(ids) + more["max_tokens"])
            at = slice(len(ids) - 6, len(ids))
            self.assertEqual(found.token_logprobs[at], written.choices[0].logprobs.token_logprobs, "bit for bit")
            self.assertEqual(found.top_logprobs[at], written.choices[0].logprobs.top_logprobs)
            for token, offset in zip(found.tokens, found.text_offset, strict=True):
                self.assertTrue(choice.text[offset:].startswith(token))

    def test_best_of(self):
        ask = {"model": server.name, "prompt": STORY, "max_tokens": 12, "seed": 5}
        made = self.client.completions.create(**ask, n=4, logprobs=0).choices
        means = {one.text: sum(one.logprobs.token_logprobs) / len(one.logprobs.token_logprobs) for one in made}
        reply = self.client.completions.create(**ask, n=2, best_of=4)
        self.assertEqual([one.text for one in reply.choices], sorted(means, key=means.get, reverse=True)[:2])
        self.assertEqual(reply.usage.completion_tokens, sum(len(one.logprobs.tokens) for one in made))
        for bad in ({"n": 3, "best_of": 2}, {"best_of": 2, "stream": True}):
            with self.assertRaises(openai.BadRequestError) as caught:
                self.client.completions.create(**ask, **bad)
            self.assertEqual(caught.exception.param, "best_of")

    def test_stop_token_ids(self):
        whole = self.complete(temperature=0, extra_body={"plait": {"return_token_ids": True}})
        ids = whole.choices[0].plait["token_ids"]
        self.assertEqual(len(ids), 12)
        cut = self.complete(temperature=0, stop=[ids[4]], extra_body={"plait": {"return_token_ids": True}})
        self.assertEqual(cut.choices[0].finish_reason, "stop")
        self.assertTrue(whole.choices[0].text.startswith(cut.choices[0].text))
        self.assertLess(len(cut.choices[0].text), len(whole.choices[0].text))


@needs_openai
class EmbeddingsTest(ClientCase):
    def embed(self, given, **more):
        return self.client.embeddings.create(model=self.model, input=given, **more)

    def test_vectors(self):
        reply = self.embed(["A cat sits on the mat.", "A cat is sitting on a mat.", "Stocks fell by two percent."])
        vectors = [item.embedding for item in reply.data]
        self.assertEqual([item.index for item in reply.data], [0, 1, 2])
        product = [sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors]
        self.assertAlmostEqual(product[0], 1, places=5)
        self.assertGreater(product[1], product[2], "what means the same is nearer")
        self.assertEqual(reply.usage.prompt_tokens, reply.usage.total_tokens)

    def test_formats_and_company(self):
        alone = self.embed(STORY).data[0].embedding  # the package asks for base64
        self.assertEqual(self.embed(self.tokens(STORY)).data[0].embedding, alone)
        self.assertEqual(self.embed(["x" * 500, STORY, "y"]).data[1].embedding, alone)
        plain = self.embed(STORY, encoding_format="float").data[0].embedding
        for mine, theirs in zip(plain, alone, strict=True):
            self.assertAlmostEqual(mine, theirs, places=6)
        self.assertEqual(len(self.embed(STORY, dimensions=16).data[0].embedding), 16)
        last = self.embed(STORY, extra_body={"plait": {"pooling": "last"}}).data[0].embedding
        self.assertNotEqual(last, alone)

    def test_refusals(self):
        context = self.client.models.retrieve(self.model).max_model_len
        for bad in ({"given": "word " * (context + 10)}, {"given": []}, {"given": "a", "dimensions": 100000}):
            with self.subTest(str(bad)[:40]), self.assertRaises(openai.BadRequestError):
                self.embed(**bad)


@needs_openai
class ErrorsTest(ClientCase):
    def refused(self, kind, call, **more):
        with self.assertRaises(kind) as caught:
            call(**more)
        return caught.exception

    def test_bad_requests_name_the_field(self):
        for name, value in (("temperature", 3), ("top_p", -1), ("n", 0), ("max_tokens", -1), ("seed", "x"),
                            ("top_logprobs", 3), ("stop", [""]), ("logit_bias", {"x": 1})):
            with self.subTest(name):
                error = self.refused(openai.BadRequestError, self.chat, **{name: value})
                self.assertEqual((error.param, error.type), (name, "invalid_request_error"))
                self.assertTrue(error.request_id.startswith("req_"))
        error = self.refused(openai.BadRequestError, self.chat, messages=[{"role": "user", "content": 5}])
        self.assertEqual(error.param, "messages[0].content")
        error = self.refused(openai.BadRequestError, self.chat, temperature=3, stream=True)
        self.assertEqual(error.param, "temperature")

    def test_unknown_model(self):
        error = self.refused(openai.NotFoundError, self.client.chat.completions.create, model="gpt-none",
                             messages=CAPITAL)
        self.assertEqual((error.code, error.param), ("model_not_found", "model"))

    def test_unbuilt(self):
        with self.assertRaises(openai.NotFoundError):
            self.client.audio.speech.create(model="tts-1", voice="alloy", input="Hello")

    def test_context_length(self):
        context = self.client.models.retrieve(self.model).max_model_len
        for call, param, more in ((self.complete, "prompt", {"prompt": "word " * (context + 10)}),
                                  (self.complete, "prompt", {"prompt": "word " * 3000, "max_tokens": context - 2999}),
                                  (self.chat, "messages", {"max_tokens": context}),
                                  (self.complete, "prompt", {"prompt": ["a", "word " * (context + 10)]})):
            error = self.refused(openai.BadRequestError, call, **more)
            self.assertEqual((error.code, error.param), ("context_length_exceeded", param))
            self.assertIn(str(context), error.message)

    def test_headers(self):
        raw = self.client.chat.completions.with_raw_response.create(
            model=self.model, messages=CAPITAL, max_tokens=1, extra_body={"colour": "blue"})
        self.assertTrue(raw.headers["x-request-id"].startswith("req_"))
        self.assertIn("colour", raw.headers["x-plait-warning"])
        self.assertEqual(raw.parse().choices[0].finish_reason, "length")
        self.assertEqual(raw.parse()._request_id, raw.headers["x-request-id"])
        with self.client.chat.completions.with_streaming_response.create(
                model=self.model, messages=CAPITAL, max_tokens=1, stream=True,
                extra_body={"colour": "blue"}) as streamed:
            self.assertIn("colour", streamed.headers["x-plait-warning"])
            self.assertTrue(streamed.headers["content-type"].startswith("text/event-stream"))
        plain = self.client.chat.completions.with_raw_response.create(model=self.model, messages=CAPITAL, max_tokens=1)
        self.assertNotIn("x-plait-warning", plain.headers)


@needs_openai
class KeysTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="plait-keys-"))
        file = pathlib.Path(folder) / "keys.json"
        cls.alice = run_plait("key", "--file", file, "add", "alice").strip()
        cls.bob = run_plait("key", "--file", file, "add", "bob", "--requests-per-minute", "2").strip()
        cls.carol = run_plait("key", "--file", file, "add", "carol", "--in-flight", "1").strip()
        cls.server = cls.enterClassContext(Server("--keys", file))

    def client(self, key):
        client = openai.OpenAI(**options(self.server, key))
        self.addCleanup(client.close)
        return client

    def test_right_and_wrong_key(self):
        self.assertTrue(list(self.client(self.alice).models.list()))
        with self.assertRaises(openai.AuthenticationError) as caught:
            self.client("wrong").models.list()
        self.assertEqual(caught.exception.code, "invalid_api_key")

    def test_requests_per_minute(self):
        client = self.client(self.bob)
        client.models.list()
        client.models.list()
        with self.assertRaises(openai.RateLimitError) as caught:
            client.models.list()
        self.assertEqual(caught.exception.code, "rate_limit_exceeded")
        self.assertTrue(1 <= int(caught.exception.response.headers["retry-after"]) <= 30)
        self.client(self.alice).models.list()

    def test_in_flight(self):
        client = self.client(self.carol)
        stream = client.completions.create(model=self.server.name, prompt=STORY, max_tokens=4000, stream=True,
                                           extra_body={"ignore_eos": True})
        next(stream)
        with self.assertRaises(openai.RateLimitError) as caught:
            client.models.list()
        self.assertEqual(caught.exception.code, "too_many_requests_in_flight")
        self.assertGreaterEqual(int(caught.exception.response.headers["retry-after"]), 1)
        stream.close()
        # The package's own answer to 429 is to wait and try again.
        self.assertTrue(list(client.with_options(max_retries=5).models.list()))


def of_many(i):
    """The i-th of the concurrent requests: all differ in prompt, seed and length, some greedy, some with choices."""
    return {"model": server.name, "messages": [{"role": "user", "content": f"Tell me a fact about the number {i}."}],
            "seed": i, "temperature": 0 if i % 5 == 0 else 1, "max_tokens": 4 + i % 5, "n": 2 if i % 8 == 3 else 1}


@needs_openai
class AsyncTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.client = await self.enterAsyncContext(openai.AsyncOpenAI(**options(server)))

    async def whole(self, i):
        reply = await self.client.chat.completions.create(**of_many(i))
        return {choice.index: choice.message.content for choice in reply.choices}

    async def streamed(self, i):
        texts = {}
        async for chunk in await self.client.chat.completions.create(**of_many(i), stream=True):
            for choice in chunk.choices:
                texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
        return texts

    async def test_many_at_once_answer_as_alone(self):
        alone = [await self.whole(i) for i in range(CONCURRENT)]
        together = await asyncio.gather(*(self.streamed(i) if i % 2 else self.whole(i) for i in range(CONCURRENT)))
        self.assertEqual(together, alone)

    async def test_completions(self):
        more = {"model": server.name, "prompt": STORY, "max_tokens": 8, "seed": 1}
        whole = await self.client.completions.create(**more)
        stream = await self.client.completions.create(**more, stream=True)
        self.assertEqual("".join([chunk.choices[0].text async for chunk in stream]), whole.choices[0].text)

    async def test_models(self):
        self.assertIn(server.name, [model.id async for model in self.client.models.list()])

    async def test_errors(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            await self.client.chat.completions.create(**of_many(1) | {"temperature": -1})
        self.assertEqual(caught.exception.param, "temperature")
        with self.assertRaises(openai.NotFoundError):
            await self.client.chat.completions.create(**of_many(1) | {"model": "none"})

    async def idle(self):
        return await asyncio.to_thread(server.sequences_when_idle)

    async def test_left_early(self):
        long = of_many(1) | {"max_tokens": 4000, "extra_body": {"ignore_eos": True}}
        async with await self.client.chat.completions.create(**long, stream=True) as stream:
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
        self.assertEqual(await self.idle(), 0)

    async def test_cancelled(self):
        long = of_many(1) | {"max_tokens": 4000, "extra_body": {"ignore_eos": True}}
        tasks = [asyncio.create_task(self.client.chat.completions.create(**long)) for _ in range(3)]
        running = await asyncio.to_thread(server.wait_for, lambda metrics: metrics["plait_sequences_running"] == 3)
        self.assertEqual(running["plait_sequences_running"], 3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.assertEqual(await self.idle(), 0)

    async def test_time_out_of_the_client(self):
        long = of_many(1) | {"max_tokens": 4000, "extra_body": {"ignore_eos": True}}
        with self.assertRaises(openai.APITimeoutError):
            await self.client.with_options(timeout=0.3).chat.completions.create(**long)
        self.assertEqual(await self.idle(), 0)


if __name__ == "__main__":
    unittest.main()
