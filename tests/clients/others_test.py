# SPDX-License-Identifier: Apache-2.0
"""The server with the Python packages of Anthropic and ollama, and with answers in a format, unchanged."""
import json
import os
import re
import unittest

from server import Server

try:
    import anthropic
    import ollama
    import openai
    import pydantic
except ImportError:
    anthropic = None

QUESTION = [{"role": "user", "content": "Name three colours."}]
COLD = {"temperature": 0}
needs_libraries = unittest.skipIf(anthropic is None, "the packages anthropic, ollama and openai are not installed")

server = None


def setUpModule():  # noqa: N802
    global server
    if anthropic is None:
        return
    os.environ["NO_PROXY"] = "127.0.0.1"
    server = unittest.enterModuleContext(Server("--drain-seconds", "5"))


@needs_libraries
class AnthropicTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = cls.enterClassContext(anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0))

    def ask(self, **more):
        return self.client.messages.create(
            **{"model": server.name, "max_tokens": 16, "messages": QUESTION, "extra_body": COLD} | more)

    def test_message(self):
        message = self.ask(system="Be brief.", max_tokens=5)
        self.assertTrue(message.content[0].text)
        self.assertEqual((message.role, message.stop_reason), ("assistant", "max_tokens"))
        self.assertEqual(message.usage.output_tokens, 5)

    def test_stream_says_the_same(self):
        with self.client.messages.stream(model=server.name, max_tokens=16, messages=QUESTION,
                                         extra_body=COLD) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, self.ask().content[0].text)
        self.assertEqual((final.content[0].text, final.stop_reason), (text, "max_tokens"))

    def test_stop_sequence(self):
        stop = self.ask().content[0].text[5:8]
        message = self.ask(stop_sequences=[stop])
        self.assertEqual((message.stop_reason, message.stop_sequence), ("stop_sequence", stop))

    def test_count_tokens(self):
        counted = self.client.messages.count_tokens(model=server.name, messages=QUESTION).input_tokens
        usage = self.ask().usage
        self.assertEqual(counted, usage.input_tokens + usage.cache_read_input_tokens)

    def test_errors(self):
        with self.assertRaises(anthropic.NotFoundError):
            self.ask(model="no-such-model")
        with self.assertRaises(anthropic.BadRequestError):
            self.ask(max_tokens=0)
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
        with self.assertRaises(anthropic.BadRequestError):
            self.ask(messages=[{"role": "user", "content": [image]}])


@needs_libraries
class OllamaTest(unittest.TestCase):
    options = {"num_predict": 12, "temperature": 0}

    @classmethod
    def setUpClass(cls):
        cls.client = ollama.Client(host=server.url)

    def test_chat_and_its_stream(self):
        whole = self.client.chat(model=server.name, messages=QUESTION, options=self.options)
        parts = list(self.client.chat(model=f"{server.name}:latest", messages=QUESTION, options=self.options,
                                      stream=True))
        self.assertEqual("".join(part.message.content for part in parts), whole.message.content)
        self.assertTrue(parts[-1].done and whole.done)
        self.assertEqual(whole.eval_count, 12)
        self.assertGreater(whole.prompt_eval_count, 0)

    def test_generate(self):
        raw = self.client.generate(model=server.name, prompt="Once upon a time", raw=True, options=self.options)
        made = self.client.generate(model=server.name, prompt="Hi", system="Be brief.", options=self.options)
        self.assertTrue(raw.response and made.response)
        self.assertGreater(made.prompt_eval_count, raw.prompt_eval_count)

    def test_models(self):
        self.assertIn(server.name, [model.model for model in self.client.list().models])
        self.assertIn("completion", self.client.show(server.name).capabilities)

    def test_embeddings(self):
        reply = self.client.embed(model=server.name, input=["Once upon a time", "x"])
        self.assertEqual(len(reply.embeddings), 2)
        self.assertAlmostEqual(sum(value * value for value in reply.embeddings[0]), 1, places=5)
        self.assertEqual(self.client.embed(model=server.name, input="x").embeddings[0], reply.embeddings[1])
        old = self.client.embeddings(model=server.name, prompt="x").embedding
        length = sum(value * value for value in old) ** 0.5
        for raw, value in zip(old, reply.embeddings[1], strict=True):
            self.assertAlmostEqual(raw / length, value, places=5)
        self.assertGreater(reply.prompt_eval_count, 2)
        with self.assertRaises(ollama.ResponseError):
            self.client.embed(model=server.name, input="word " * 10000, truncate=False)

    def test_format(self):
        schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}
        answer = self.client.chat(model=server.name, messages=QUESTION, format=schema, options={"num_predict": 40})
        self.assertIn(json.loads(answer.message.content)["colour"], ("red", "blue"))

    def test_errors(self):
        with self.assertRaises(ollama.ResponseError) as caught:
            self.client.chat(model="no-such-model", messages=QUESTION)
        self.assertEqual(caught.exception.status_code, 404)


@needs_libraries
class FormatTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = cls.enterClassContext(openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0))

    def ask(self, response_format, **more):
        body = {"response_format": response_format}
        return self.client.chat.completions.create(model=server.name, messages=QUESTION, extra_body=body,
                                                   **{"max_tokens": 120} | more)

    def test_parse(self):
        class Person(pydantic.BaseModel):
            name: str
            age: int
            hobbies: list[str]

        reply = self.client.chat.completions.parse(model=server.name, messages=QUESTION, response_format=Person,
                                                   max_tokens=120, n=4, seed=1)
        for choice in reply.choices:
            self.assertIsInstance(choice.message.parsed, Person)

    def test_regex_and_grammar(self):
        date = self.ask({"type": "regex", "pattern": "[0-9]{4}-[0-9]{2}-[0-9]{2}"}).choices[0].message.content
        self.assertTrue(re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", date), date)
        word = self.ask({"type": "grammar", "grammar": 'root ::= "yes" | "no"'}).choices[0].message.content
        self.assertIn(word, ("yes", "no"))

    def test_refusals(self):
        schema = {"type": "object", "patternProperties": {"a": {}}}
        for bad in ({"type": "regex", "pattern": "(a"}, {"type": "grammar", "grammar": "root ::= nothing"},
                    {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}):
            with self.subTest(bad), self.assertRaises(openai.BadRequestError):
                self.ask(bad)


if __name__ == "__main__":
    unittest.main()
