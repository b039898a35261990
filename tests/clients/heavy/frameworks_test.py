# SPDX-License-Identifier: Apache-2.0
"""Packages on top of OpenAI's: LangChain, LiteLLM and the command line llm, unchanged."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from server import Server

os.environ |= {"NO_PROXY": "127.0.0.1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGCHAIN_TRACING_V2": "false"}
try:
    import langchain_openai
    import litellm
    import llm
except ImportError:
    llm = None

QUESTION = "What is the capital of France?"
needs_packages = unittest.skipIf(llm is None, "the packages langchain-openai, litellm and llm are not installed")

server = None


def setUpModule():  # noqa: N802
    global server
    if llm is not None:
        server = unittest.enterModuleContext(Server("--drain-seconds", "5"))


def said() -> str:
    """What the server answers to the question."""
    _, body = server.json("POST", "/v1/chat/completions", {
        "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 16})
    return body["choices"][0]["message"]["content"]


def embedded() -> list[float]:
    return server.json("POST", "/v1/embeddings", {"input": QUESTION})[1]["data"][0]["embedding"]


@needs_packages
class LangChainTest(unittest.TestCase):
    def model(self, **more):
        return langchain_openai.ChatOpenAI(base_url=f"{server.url}/v1", api_key="none", model=server.name,
                                           temperature=0, max_tokens=16, max_retries=0, **more)

    def test_answer_and_stream(self):
        message = self.model().invoke(QUESTION)
        self.assertEqual(message.content, said())
        self.assertGreater(message.usage_metadata["input_tokens"], 0)
        chunks = [chunk.content for chunk in self.model().stream(QUESTION)]
        self.assertEqual("".join(chunks), said())
        self.assertGreater(len(chunks), 4)

    def test_batch(self):
        alone = [self.model().invoke(f"Say {i}.").content for i in range(6)]
        self.assertEqual([message.content for message in self.model().batch([f"Say {i}." for i in range(6)])], alone)

    def test_embeddings(self):
        embeddings = langchain_openai.OpenAIEmbeddings(base_url=f"{server.url}/v1", api_key="none", model=server.name,
                                                       check_embedding_ctx_length=False)
        vectors = embeddings.embed_documents([QUESTION, "x"])
        self.assertEqual(len(vectors), 2)
        for mine, theirs in zip(vectors[0], embedded(), strict=True):
            self.assertAlmostEqual(mine, theirs, places=6)


@needs_packages
class LiteLlmTest(unittest.TestCase):
    def ask(self, **more):
        return litellm.completion(model=f"openai/{server.name}", api_base=f"{server.url}/v1", api_key="none",
                                  messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=16,
                                  **more)

    def test_answer_and_stream(self):
        self.assertEqual(self.ask().choices[0].message.content, said())
        text = "".join(chunk.choices[0].delta.content or "" for chunk in self.ask(stream=True))
        self.assertEqual(text, said())

    def test_embedding(self):
        reply = litellm.embedding(model=f"openai/{server.name}", api_base=f"{server.url}/v1", api_key="none",
                                  input=[QUESTION])
        for mine, theirs in zip(reply.data[0]["embedding"], embedded(), strict=True):
            self.assertAlmostEqual(mine, theirs, places=6)

    def test_errors_are_theirs(self):
        with self.assertRaises(litellm.BadRequestError):
            self.ask(top_p=-1)


@needs_packages
class LlmTest(unittest.TestCase):
    def test_command_line(self):
        with tempfile.TemporaryDirectory(prefix="plait-llm-") as folder:
            (pathlib.Path(folder) / "extra-openai-models.yaml").write_text(
                f"- model_id: plait\n  model_name: {server.name}\n  api_base: {server.url}/v1\n", encoding="utf-8")
            environment = os.environ | {"LLM_USER_PATH": folder, "OPENAI_API_KEY": "none"}
            for more in ([], ["--no-stream"]):
                done = subprocess.run([sys.executable, "-m", "llm", "prompt", "-m", "plait", QUESTION, "-o",
                                       "temperature", "0", "-o", "max_tokens", "16", *more], env=environment,
                                      capture_output=True, text=True, timeout=120, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stdout.strip(), said().strip())


if __name__ == "__main__":
    unittest.main()
