# SPDX-License-Identifier: Apache-2.0
"""Load from Locust: every request of many users at a time is answered."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from server import Server

USERS = 12
SECONDS = 8
FILE = '''
from locust import HttpUser, task

class Asker(HttpUser):
    @task
    def chat(self):
        self.client.post("/v1/chat/completions", name="chat", json={
            "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4})

    @task
    def stream(self):
        with self.client.post("/v1/completions", name="stream", stream=True, catch_response=True, json={
                "prompt": "Once", "max_tokens": 4, "stream": True}) as reply:
            lines = [line for line in reply.iter_lines() if line]
            if lines[-1:] == [b"data: [DONE]"]:
                reply.success()
            else:
                reply.failure(f"the stream ended with {lines[-1:]}")

    @task
    def embed(self):
        self.client.post("/v1/embeddings", name="embed", json={"input": ["Once upon a time", "there was"]})
'''


@unittest.skipIf(importlib.util.find_spec("locust") is None, "the package locust is not installed")
class LocustTest(unittest.TestCase):
    def test_nothing_fails(self):
        with Server("--drain-seconds", "5") as server, tempfile.TemporaryDirectory(prefix="plait-locust-") as folder:
            file = pathlib.Path(folder) / "asker.py"
            file.write_text(FILE, encoding="utf-8")
            done = subprocess.run([sys.executable, "-m", "locust", "-f", file, "--headless", "--users", str(USERS),
                                   "--spawn-rate", str(USERS), "--run-time", f"{SECONDS}s", "--stop-timeout", "60",
                                   "--host", server.url, "--json", "--loglevel", "WARNING"], cwd=folder,
                                  env=os.environ | {"NO_PROXY": "127.0.0.1"}, capture_output=True, text=True,
                                  timeout=SECONDS + 120, check=False)
            self.assertEqual(done.returncode, 0, done.stderr[-3000:])
            counts = {entry["name"]: (entry["num_requests"], entry["num_failures"])
                      for entry in json.loads(done.stdout)}
            self.assertEqual(set(counts), {"chat", "stream", "embed"})
            for name, (requests, failures) in counts.items():
                with self.subTest(name):
                    self.assertGreater(requests, 0)
                    self.assertEqual(failures, 0)
            self.assertEqual(server.sequences_when_idle(), 0)


if __name__ == "__main__":
    unittest.main()
