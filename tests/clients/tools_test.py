# SPDX-License-Identifier: Apache-2.0
"""Calls of tools, with the Python packages of OpenAI, Anthropic and ollama, unchanged."""
import json
import os
import unittest

from server import Server

try:
    import anthropic
    import ollama
    import openai
except ImportError:
    anthropic = None

QUESTION = [{"role": "user", "content": "What is the weather in Oslo?"}]
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]},
                                           "days": {"type": "integer", "minimum": 1, "maximum": 7}},
          "required": ["city", "days"], "additionalProperties": False}
ABOUT = {"name": "get_weather", "description": "The weather of the next days."}
TOOLS = [{"type": "function", "function": ABOUT | {"parameters": SCHEMA}}]
needs_libraries = unittest.skipIf(anthropic is None, "the packages anthropic, ollama and openai are not installed")

server = None


def setUpModule():  # noqa: N802
    global server
    if anthropic is None:
        return
    os.environ["NO_PROXY"] = "127.0.0.1"
    server = unittest.enterModuleContext(Server("--drain-seconds", "5"))


class ToolCase(unittest.TestCase):
    def check(self, name, arguments):
        self.assertEqual(name, "get_weather")
        self.assertEqual(set(arguments), {"city", "days"})
        self.assertIn(arguments["city"], ("Oslo", "Rome"))
        self.assertIn(arguments["days"], range(1, 8))


@needs_libraries
class OpenAiToolsTest(ToolCase):
    @classmethod
    def setUpClass(cls):
        cls.client = cls.enterClassContext(openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0))

    def ask(self, messages=None, **more):
        return self.client.chat.completions.create(model=server.name, messages=messages or QUESTION,
                                                   **{"tools": TOOLS, "max_tokens": 200, "seed": 1} | more)

    def test_required(self):
        reply = self.ask(tool_choice="required", n=2)
        for choice in reply.choices:
            self.assertEqual((choice.finish_reason, choice.message.content), ("tool_calls", None))
            for call in choice.message.tool_calls:
                self.check(call.function.name, json.loads(call.function.arguments))
        ids = [call.id for choice in reply.choices for call in choice.message.tool_calls]
        self.assertEqual(len(ids), len(set(ids)))

    def test_stream_says_the_same(self):
        whole = self.ask(tool_choice="required").choices[0].message.tool_calls
        calls = []
        for chunk in self.ask(tool_choice="required", stream=True):
            for delta in chunk.choices[0].delta.tool_calls or []:
                if delta.index == len(calls):
                    calls.append([delta.id, delta.function.name, ""])
                calls[delta.index][2] += delta.function.arguments
            finish = chunk.choices[0].finish_reason
        self.assertEqual(finish, "tool_calls")
        self.assertEqual(calls, [[call.id, call.function.name, call.function.arguments] for call in whole])

    def test_the_result_goes_back(self):
        named = {"type": "function", "function": {"name": "get_weather"}}
        first = self.ask(tool_choice=named, parallel_tool_calls=False).choices[0].message
        self.assertEqual(len(first.tool_calls), 1)
        result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "rain"}
        second = self.ask([*QUESTION, first, result], tool_choice="none", max_tokens=8).choices[0].message
        self.assertTrue(second.content)
        self.assertIsNone(second.tool_calls)

    def test_refusals(self):
        loose = {"type": "function", "function": ABOUT | {"strict": True, "parameters": {"type": "object", "not": {}}}}
        for bad in ({"tools": [{"type": "function"}]}, {"tools": [loose]}, {"tool_choice": {"type": "other"}},
                    {"response_format": {"type": "json_object"}}):
            with self.subTest(bad), self.assertRaises(openai.BadRequestError):
                self.ask(**bad)


@needs_libraries
class ResponsesToolsTest(ToolCase):
    tools = [{"type": "function", "parameters": SCHEMA, "strict": True} | ABOUT]

    @classmethod
    def setUpClass(cls):
        cls.client = cls.enterClassContext(openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0))

    def options(self, **more):
        return {"model": server.name, "input": QUESTION, "tools": self.tools, "tool_choice": "required",
                "parallel_tool_calls": False, "max_output_tokens": 200, "temperature": 0} | more

    def test_call_and_its_stream(self):
        whole = self.client.responses.create(**self.options())
        self.assertEqual([item.type for item in whole.output], ["function_call"])
        call = whole.output[0]
        self.check(call.name, json.loads(call.arguments))
        self.assertEqual((call.status, whole.tool_choice), ("completed", "required"))
        self.assertEqual(whole.tools[0].name, "get_weather")
        with self.client.responses.stream(**self.options()) as stream:
            events = list(stream)
            final = stream.get_final_response()
        kinds = [event.type for event in events]
        self.assertEqual(kinds[:3], ["response.created", "response.in_progress", "response.output_item.added"])
        self.assertEqual(kinds[-3:], ["response.function_call_arguments.done", "response.output_item.done",
                                      "response.completed"])
        deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        self.assertEqual(("".join(deltas), events[-3].arguments), (call.arguments, call.arguments))
        self.assertEqual(final.output[0].arguments, call.arguments)
        self.assertEqual(final.output[0].call_id, events[-2].item.call_id)
        self.assertEqual(self.client.responses.retrieve(final.id).output[0].arguments, call.arguments)

    def test_the_result_goes_back(self):
        named = {"type": "function", "name": "get_weather"}
        first = self.client.responses.create(**self.options(tool_choice=named))
        result = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "rain"}
        ask = {"tool_choice": "none", "max_output_tokens": 8}
        chained = self.client.responses.create(**self.options(input=[result], previous_response_id=first.id, **ask))
        self.assertTrue(chained.output_text)
        conversation = [*QUESTION, *first.output, result]
        listed = self.client.responses.create(**self.options(input=conversation, store=False, **ask))
        self.assertEqual(listed.output_text, chained.output_text)
        items = self.client.responses.input_items.list(chained.id).data
        self.assertEqual([(item.type, item.output) for item in items], [("function_call_output", "rain")])
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.responses.create(**self.options(input=[result]))
        self.assertEqual(caught.exception.param, "input[0].call_id")


@needs_libraries
class AnthropicToolsTest(ToolCase):
    tools = [ABOUT | {"input_schema": SCHEMA}]

    @classmethod
    def setUpClass(cls):
        cls.client = cls.enterClassContext(anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0))

    def options(self, **more):
        return {"model": server.name, "max_tokens": 200, "messages": QUESTION, "tools": self.tools,
                "tool_choice": {"type": "any", "disable_parallel_tool_use": True}, "extra_body": {"seed": 1}} | more

    def test_call_and_its_stream(self):
        message = self.client.messages.create(**self.options())
        self.assertEqual(message.stop_reason, "tool_use")
        call = message.content[0]
        self.check(call.name, call.input)
        with self.client.messages.stream(**self.options()) as stream:
            final = stream.get_final_message()
        self.assertEqual((final.stop_reason, final.content[0].input), ("tool_use", call.input))
        self.assertEqual((final.content[0].id, final.content[0].name), (call.id, call.name))

    def test_the_result_goes_back(self):
        call = self.client.messages.create(**self.options()).content[0]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
        messages = [*QUESTION, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        message = self.client.messages.create(
            **self.options(messages=messages, tool_choice={"type": "none"}, max_tokens=8))
        self.assertEqual(message.content[0].type, "text")


@needs_libraries
class OllamaToolsTest(ToolCase):
    def test_call(self):
        body = {"model": server.name, "messages": QUESTION, "tools": TOOLS, "tool_choice": "required", "stream": False,
                "options": {"num_predict": 200, "seed": 1}}
        status, reply = server.json("POST", "/api/chat", body)
        self.assertEqual(status, 200)
        call = reply["message"]["tool_calls"][0]["function"]
        self.check(call["name"], call["arguments"])
        _, _, stream = server.request("POST", "/api/chat", body | {"stream": True})
        lines = [json.loads(line) for line in stream.splitlines()]
        streamed = [call for line in lines for call in line["message"].get("tool_calls", [])]
        self.assertEqual(streamed, reply["message"]["tool_calls"])

    def test_tools_and_results_are_read(self):
        client = ollama.Client(host=server.url)
        options = {"num_predict": 8, "temperature": 0}
        plain = client.chat(model=server.name, messages=QUESTION, options=options)
        told = client.chat(model=server.name, messages=QUESTION, tools=TOOLS, options=options)
        self.assertGreater(told.prompt_eval_count, plain.prompt_eval_count)
        call = {"function": {"name": "get_weather", "arguments": {"city": "Oslo", "days": 1}}}
        messages = [*QUESTION, {"role": "assistant", "content": "", "tool_calls": [call]},
                    {"role": "tool", "tool_name": "get_weather", "content": "rain"}]
        self.assertTrue(client.chat(model=server.name, messages=messages, options=options).message.content)
        self.assertIn("tools", client.show(server.name).capabilities)


if __name__ == "__main__":
    unittest.main()
